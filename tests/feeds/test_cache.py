"""The cache in a real Redis: what it holds, and what happens when it goes away."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import feed_kit as kit
import numpy as np
import pytest
import redis
from redis_server import RedisServer

import matchcore as mc
from matchcore.errors import FeedError
from matchcore.feeds.cache import RedisOutlet
from matchcore.records.changes import CHANGE, ChangeKind

WORD = "secret-word"
SYMBOLS = "ANA", "BEE"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path / "redis", WORD)
    yield made
    made.kill()


class Filled:
    """A Redis that a feed of an exchange fills."""

    def __init__(self, path: Path, client: redis.Redis, session: str) -> None:
        self.path, self.client, self.prefix = path, client, f"matchcore:{session}"

    def caught_up(self) -> bool:
        number = self.client.hget(f"{self.prefix}:status", "number")
        return int(number or 0) == len(kit.truth(self.path)) // CHANGE.itemsize

    def stream(self, name: str) -> list[tuple[str, dict[str, str]]]:
        return self.client.xrange(f"{self.prefix}:{name}")

    def check(self, engine: mc.Engine) -> None:
        """Waits until books, trades and levels are those of the exchange."""
        kit.until(self.caught_up)
        kit.until(lambda: self.books() == books_of(engine), lambda: f"{self.books()}")
        rows = np.frombuffer(kit.truth(self.path), CHANGE)
        traded = np.flatnonzero(rows["kind"] == ChangeKind.EXECUTED)
        trades = [(f"{at + 1}-0", int(rows["quantity"][at])) for at in traded]
        kit.until(lambda: self.trades() == trades, lambda: f"{len(self.trades())} {len(trades)}")
        newest: dict[tuple[str, str, str], int] = {}
        for entry, said in self.stream("levels"):
            newest[said["symbol"], said["side"], said["price"]] = int(said["quantity"])
            at = int(entry.partition("-")[0]) - 1
            assert int(said["quantity"]) == rows["level_quantity"][at]
        everything = sum(one[1] for sides in books_of(engine) for side in sides for one in side)
        assert sum(newest.values()) == everything

    def trades(self) -> list[tuple[str, int]]:
        return [(entry, int(said["quantity"])) for entry, said in self.stream("trades")]

    def books(self) -> list[list[list[tuple[Decimal, int]]]]:
        found = []
        for symbol in SYMBOLS:
            said = json.loads(self.client.get(f"{self.prefix}:book:{symbol}") or "null") or {}
            found.append([
                [(Decimal(price), quantity) for price, quantity, _ in said.get(side, [])]
                for side in ("bids", "asks")
            ])  # fmt: skip
        return found


def books_of(engine: mc.Engine) -> list[list[list[tuple[Decimal, int]]]]:
    depths = [engine.book(symbol).depth(50) for symbol in SYMBOLS]
    return [
        [[(one.price, one.quantity) for one in side] for side in (depth.bids, depth.asks)]
        for depth in depths
    ]


def test_books_trades_levels_and_a_redis_that_goes_away(
    tmp_path: Path, server: RedisServer
) -> None:
    path = tmp_path / "e"
    environment = {"MATCHCORE_REDIS_URL": server.url}
    with (
        kit.opened(path) as engine,
        closing(server.start()) as client,
        kit.FeedProcess(path, **environment) as feed,
    ):
        kit.trade(engine, 500)
        session = engine.identity.hex()[:10].upper()
        filled = Filled(path, client, session)
        filled.check(engine)
        listening = client.pubsub(ignore_subscribe_messages=True)
        listening.psubscribe(f"{filled.prefix}:*")
        listening.get_message(timeout=5)
        kit.trade(engine, 200, 2)
        filled.check(engine)
        heard: list[dict[str, Any]] = []
        while (message := listening.get_message(timeout=0.2)) is not None:
            heard.append(json.loads(message["data"]))
        assert {one["channel"] for one in heard} == {"trades", "book.l2"}
        books = [one["number"] for one in heard if one["channel"] == "book.l2"]
        assert books == sorted(books)
        listening.close()

        client.flushall()
        kit.until(lambda: "was emptied" in feed.said(), feed.said)
        filled.check(engine)

        server.kill()
        kit.trade(engine, 200, 3)
        kit.until(lambda: "retrying" in feed.said(), feed.said)
        server.start().close()
        filled.check(engine)
        assert "accepts writes again" in feed.said()

        client.replicaof("127.0.0.1", kit.free_port())  # read only
        kit.trade(engine, 200, 4)
        kit.until(lambda: "read only" in feed.said(), feed.said)
        client.replicaof("no", "one")
        filled.check(engine)

        with kit.FeedProcess(path, **environment) as second:  # a backup writes nothing twice
            kit.until(lambda: "Ctrl-C" in second.said(), second.said)
            kit.trade(engine, 200, 5)
            filled.check(engine)
            assert second.stop() == 0
            assert feed.stop() == 0
            filled.check(engine)
            assert client.hget(f"{filled.prefix}:status", "ended") == "1"
            assert WORD not in feed.said() + second.said()


def test_a_slow_redis_holds_up_nothing(tmp_path: Path, server: RedisServer) -> None:
    """Stopped for a while, as by the debugger: the line goes on."""
    path = tmp_path / "e"
    with (
        kit.opened(path) as engine,
        closing(server.start()) as client,
        kit.FeedProcess(path, MATCHCORE_REDIS_URL=server.url) as feed,
        kit.Client(feed.address, first=1) as follower,
    ):
        kit.trade(engine, 200)
        filled = Filled(path, client, engine.identity.hex()[:10].upper())
        filled.check(engine)
        server.pause()
        taken = kit.Taken(follower)
        for seed in range(5):
            kit.trade(engine, 1000, 10 + seed)
            taken.until(len(kit.truth(path)) // CHANGE.itemsize)
        server.go_on()
        filled.check(engine)
        assert bytes(taken.bytes) == kit.truth(path)


@pytest.mark.parametrize("url", ["", "http://h/", "redis://:word@h:word2/0"])
def test_a_wrong_url_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(FeedError, match="must be redis://") as caught:
        RedisOutlet(url, print)
    assert "word2" not in str(caught.value) and ":word@" not in str(caught.value)


def test_without_the_client_library_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(mc.MissingExtra, match=r"matchcore\[redis\]"):
        RedisOutlet("redis://127.0.0.1/0", print)
