"""From an engine over feeds and lines to a client: every change once, whatever is killed."""

from __future__ import annotations

from pathlib import Path

import feed_kit as kit

from matchcore.feeds.client import Client


def test_two_feeds_and_one_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "e"
    with kit.opened(path) as engine:
        kit.trade(engine, 2000)
        with (
            kit.FeedProcess(path) as a,
            kit.FeedProcess(path) as b,
            Client(a.address, b.address, first=1) as client,
        ):
            taken = kit.Taken(client)
            taken.until(1000)
            kit.trade(engine, 500, 2)
            a.kill()
            kit.trade(engine, 500, 3)
            last = len(kit.truth(path)) // 88
            taken.until(last)
            kit.equal_books(client, engine)
            with kit.FeedProcess(path, port=a.port):
                kit.until(lambda: client.health()[0].state == "connected")
                b.kill()
                kit.trade(engine, 500, 4)
                taken.until(len(kit.truth(path)) // 88)
            kit.equal_books(client, engine)
    assert bytes(taken.bytes) == kit.truth(path)
