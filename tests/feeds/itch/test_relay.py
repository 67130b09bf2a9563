"""A relay speaks ITCH and has the statistics of its source, also behind a restart of that."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import feed_kit as kit
import pytest
from itch_kit import HOST, PASSWORD, USER, SoupClient

from matchcore.feeds.itch import add_login
from matchcore.feeds.itch.deriving import Log, Place


def every_message(directory: Path) -> bytes:
    return b"".join(
        encoder.blocks(changes.rows) for encoder, changes in Log(directory).messages(Place())
    )


def blocks(messages: list[bytes]) -> bytes:
    return b"".join(len(one).to_bytes(2, "big") + one for one in messages)


def asked(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://{HOST}:{port}/api/{path}") as answer:
        return json.load(answer)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_relay_says_what_the_log_says(tmp_path: Path, restarted: bool) -> None:
    path, logins = tmp_path / "e", tmp_path / "logins.json"
    add_login(logins, USER, PASSWORD)
    with kit.opened(path) as engine:
        kit.trade(engine, 2000)
        source_web, web, soup, glimpse = (kit.free_port() for _ in range(4))
        given: tuple[object, ...] = (path, "--web", source_web, "--state", tmp_path / "state")
        if restarted:
            with kit.FeedProcess(*given) as first:
                kit.until(first.listens, first.said)
                first.stop()
            kit.trade(engine, 500, seed=7)
        with (
            kit.FeedProcess(*given) as source,
            kit.FeedProcess("--upstream", source.address, "--web", web, "--soup", soup,
                            "--glimpse", glimpse, "--logins", logins) as relay,
        ):  # fmt: skip
            for port in (relay.port, soup, glimpse):  # they start one after the other
                kit.until(lambda port=port: kit.listening(port), relay.said)
            before = every_message(path)
            number = asked(web, "status/ANA")["number"]
            kit.trade(engine, 1000, seed=2)
            whole = every_message(path)
            with SoupClient((HOST, soup)) as client:
                assert client.login(number)[0] == b"J", relay.said()  # before the relay's beginning
            with SoupClient((HOST, soup)) as client:
                assert client.login(number + 1)[0] == b"A"
                count = len(kit.truth(path)) // kit.mc.CHANGE.itemsize - number
                assert blocks(client.messages(count)) == whole[len(before) :]
            told = []
            for port in (source_web, web):
                kit.until(lambda port=port: asked(port, "status/ANA")["number"] == number + count)
                told.append([asked(port, what) for what in (
                    "status/ANA", "status/BEE", "bars/ANA?interval=1m", "bars/BEE?interval=1d",
                    "trades/ANA")])  # fmt: skip
            assert told[0] == told[1] and told[0][0]["trades"] > 0
            with SoupClient((HOST, glimpse)) as client:
                assert client.login()[0] == b"A"
                snapshot = client.messages(1_000_000)
            assert snapshot[-1] == b"G" + str(number + count + 1).encode().rjust(20)
            assert {one for one in snapshot if one[:1] in b"Aa"} <= {
                one for one in snapshot if one[3:5] == b"\0\0"
            }
