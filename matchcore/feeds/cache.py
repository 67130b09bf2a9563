"""A cache in Redis: the newest book of each symbol, and the last trades and levels.

A thousand web servers read there, and none here.  Nothing is queued for it: what it lacks is taken
from the feed's history when it answers, and books are written as they are then.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FeedError, MissingExtra
from ..records.changes import ChangeFlag, ChangeKind, unseen
from ..records.instruments import Instrument, price_text
from ..records.markets import ANY_BUY, ANY_SELL
from ..records.schema import BOOK_CHANGES, Side
from ..serving.tasks import end
from .serving import Feed
from .stream import Changes

DEPTH = 50  # levels of a side
STREAM_MAX = 100_000  # entries of each stream, roughly; and changes that are written late
ROWS_MAX = 4096  # changes of one round; a level is written once in it
COMMANDS_MAX = 128  # in one pipeline: they are packed in the event loop
FLUSH_SECONDS = 0.02  # between two rounds; a book is written once in each
PAUSE_SECONDS, PAUSE_SECONDS_MAX = 0.1, 2.0  # between two attempts
ANSWER_SECONDS, END_SECONDS = 5.0, 1.0
_SIDES = {Side.BUY: "buy", Side.SELL: "sell"}
_OLD_ID = "equal or smaller"  # what Redis says of an entry that another feed has written

Command = tuple[str, tuple[Any, ...], dict[str, Any]]


class RedisOutlet:
    """Keeps the Redis of ``url`` filled.  ``say``: is told what it waits for, and what it left out.

    Keys begin with ``matchcore:SESSION:``.  docs/feeds/lines.md describes them.  `MissingExtra`
    without the client library, `FeedError` for a URL that is none.
    """

    def __init__(self, url: str, say: Callable[[str], None]) -> None:
        try:
            import redis.asyncio as client
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
            from redis.exceptions import RedisError
        except ImportError:
            raise MissingExtra("a cache in Redis", "redis") from None
        self._failures = (RedisError, OSError, asyncio.TimeoutError)
        try:
            self._redis = client.Redis.from_url(
                url, decode_responses=True, retry=Retry(NoBackoff(), 0),
                socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS,
            )  # fmt: skip
        except ValueError:  # its message may have the password in it
            raise FeedError(
                "the URL of Redis: must be redis://user:password@host:port/0, or rediss:// for TLS"
            ) from None
        self._say, self._said = say, ""
        self._changed = asyncio.Event()
        self._dirty: set[int] = set()  # instruments whose books changed
        self._number = 0  # up to here the streams are written
        self._written = False  # the status, since it began
        self._time = 0
        self._instruments: list[Instrument] = []  # behind that number
        self._task: asyncio.Task[None] | None = None

    async def start(self, feed: Feed) -> None:
        """Begins to fill it; does not wait for it."""
        self._feed = feed
        self._prefix = f"matchcore:{feed.stream.session}"
        self._task = asyncio.ensure_future(self._run())

    def take(self, changes: Changes, live: bool) -> None:
        """Notes which books changed."""
        self._time = int(changes.rows["time"][-1])
        if live:
            self._dirty.update(np.unique(changes.rows["instrument"]).tolist())
            self._changed.set()

    def beat(self) -> None:
        """Has the status written, so that readers see that the feed is there."""
        self._changed.set()

    async def close(self) -> None:
        """Writes what is left, if Redis takes it soon."""
        assert self._task is not None
        await end([self._task])
        with suppress(*self._failures):
            if not self._said:
                await asyncio.wait_for(self._round(ended=True), END_SECONDS)
            await self._redis.aclose()

    # ------------------------------------------------------------------ inside

    async def _run(self) -> None:
        pause = PAUSE_SECONDS
        while True:
            try:
                await self._begin()
                if self._said:
                    self._said = ""
                    self._say("Redis accepts writes again")
                pause = PAUSE_SECONDS
                while True:
                    await self._changed.wait()
                    self._changed.clear()
                    await self._round()
                    await asyncio.sleep(FLUSH_SECONDS)
            except self._failures as error:
                self._wait_for(error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS_MAX)

    def _wait_for(self, error: Exception) -> None:
        said = str(error) or type(error).__name__
        if said != self._said:
            self._said = said
            self._say(f"Redis: {said}; retrying")

    async def _begin(self) -> None:
        """Goes on where the Redis is, which may be new, set back, or filled by another feed."""
        self._written = False
        await self._begin_behind(int(await self._redis.hget(self._key("status"), "number") or 0))

    async def _begin_behind(self, number: int) -> None:
        """Every book, and the entries behind ``number`` that are in memory and have today's ticks.

        Entries between are left out, and the streams say so.
        """
        history = self._feed.history
        first = max(number + 1, history.first, history.last + 1 - STREAM_MAX)
        for changes in history.between(first, history.last) if first <= history.last else ():
            if changes.defined is not None:
                first = changes.last + 1
        self._number, self._instruments = first - 1, [*self._feed.stream.instruments]
        self._dirty.update(range(1, len(self._instruments) + 1))
        self._changed.set()
        if number and first > number + 1:
            self._say(f"Redis: numbers {number + 1} to {first - 1} are not in its streams")
            gap = {"type": "gap", "first": number + 1, "last": first - 1}
            await self._send([self._added(name, first - 1, gap) for name in ("trades", "levels")])

    async def _round(self, ended: bool = False) -> None:
        """Everything that is there now, and the books as they are then."""
        history = self._feed.history
        target = history.last
        while self._number < target:
            if self._number + 1 < history.first:
                await self._begin_behind(self._number)
            with suppress(FeedError):  # Redis was slower than the memory is long
                await self._entered(min(target, self._number + ROWS_MAX))
        dirty, self._dirty = self._dirty, set()
        try:
            await self._send(self._books(dirty))
            made = await self._redis.hset(self._key("status"), mapping=self._status(ended))
        except BaseException:
            self._dirty |= dirty
            raise
        if made and self._written:
            self._say("Redis was emptied; it is filled again")
            await self._begin_behind(0)
        self._written = True
        if self._number < history.last:
            self._changed.set()

    async def _entered(self, last: int) -> None:
        for changes in self._feed.history.between(self._number + 1, last):
            await self._send(self._entries(changes))
            self._number = changes.last
            if changes.defined is not None:
                self._define(int(changes.rows["instrument"][-1]), changes.defined)

    def _define(self, number: int, instrument: Instrument) -> None:
        self._instruments[number - 1 : number] = [instrument]

    async def _send(self, commands: Iterable[Command]) -> None:
        """In pipelines; what the feed's other work needs comes between."""
        wanted = iter(commands)
        while True:
            pipeline = self._redis.pipeline(transaction=False)
            for _, (name, given, named) in zip(range(COMMANDS_MAX), wanted, strict=False):
                getattr(pipeline, name)(*given, **named)
            if not len(pipeline):
                return
            for result in await pipeline.execute(raise_on_error=False):
                if isinstance(result, Exception) and _OLD_ID not in str(result):
                    raise result

    # ------------------------------------------------------------------ what is written

    def _key(self, *names: str) -> str:
        return ":".join((self._prefix, *names))

    def _added(self, name: str, number: int, fields: dict[str, Any]) -> Command:
        """An entry of a stream whose id is the number: another feed cannot add it again."""
        limit = {"id": f"{number}-0", "maxlen": STREAM_MAX, "approximate": True}
        return "xadd", (self._key(name), fields), limit

    def _entries(self, changes: Changes) -> Iterator[Command]:
        rows = changes.rows
        for at in np.flatnonzero(rows["kind"] == ChangeKind.EXECUTED).tolist():
            yield from self._trade(changes.first + at, rows[at])
        for at in _last_of_levels(rows):
            yield self._level(changes.first + at, rows[at])

    def _trade(self, number: int, row: np.void) -> Iterator[Command]:
        instrument = self._instruments[int(row["instrument"]) - 1]
        said = {
            "id": str(row["trade_id"]), "price": price_text(instrument.price(int(row["price"]))),
            "quantity": int(row["quantity"]), "time": str(row["time"]),
            "side": _aggressor(row),
        }  # fmt: skip
        yield self._added("trades", number, {"symbol": instrument.symbol, **said})
        text = _message("update", "trades", instrument, number, int(row["time"]), trades=[said])
        yield "publish", (self._key("trades", instrument.symbol), text), {}

    def _level(self, number: int, row: np.void) -> Command:
        instrument = self._instruments[int(row["instrument"]) - 1]
        fields = {
            "symbol": instrument.symbol, "side": _SIDES[Side(int(row["side"]))],
            "price": _limit(instrument, int(row["side"]), int(row["price"])) or "any",
            "quantity": int(row["level_quantity"]), "orders": int(row["level_orders"]),
            "time": str(row["time"]),
        }  # fmt: skip
        return self._added("levels", number, fields)

    def _books(self, numbers: set[int]) -> Iterator[Command]:
        """As they are when the command is packed, with the number of that moment."""
        for number in sorted(numbers):
            instrument = self._feed.stream.instruments.get(number)
            if instrument is None:  # of all instruments, as the end of a day
                continue
            sides = [self._side(number, instrument, side) for side in Side]
            text = _message(
                "snapshot", "book.l2", instrument, self._feed.history.last, self._time,
                bids=sides[0], asks=sides[1],
            )  # fmt: skip
            key = self._key("book", instrument.symbol)
            yield "set", (key, text), {}
            yield "publish", (key, text), {}

    def _side(self, number: int, instrument: Instrument, side: Side) -> Sequence[object]:
        levels = self._feed.books.levels(number, side, DEPTH)
        return [
            [_limit(instrument, side, price), quantity, orders]
            for price, quantity, orders in levels.tolist()
        ]

    def _status(self, ended: bool) -> dict[Any, Any]:
        return {"number": self._number, "time": str(self._time), "ended": int(ended)}


def _limit(instrument: Instrument, side: int, ticks: int) -> str | None:
    """A price of orders; None for those that trade at any."""
    at_any = ticks == (ANY_BUY if side == Side.BUY else ANY_SELL)
    return None if at_any else price_text(instrument.price(ticks))


def _aggressor(row: np.void) -> str:
    if row["flags"] & ChangeFlag.CROSS:
        return "none"
    return _SIDES[Side.SELL if row["side"] == Side.BUY else Side.BUY]


def _last_of_levels(rows: NDArray[np.void]) -> list[int]:
    """Places of the last change of each level, in order."""
    booked = np.flatnonzero(np.isin(rows["kind"], [*BOOK_CHANGES]) & ~unseen(rows))
    found = {
        (number, side, price): at
        for number, side, price, at in zip(
            rows["instrument"][booked].tolist(), rows["side"][booked].tolist(),
            rows["price"][booked].tolist(), booked.tolist(), strict=True,
        )
    }  # fmt: skip
    return sorted(found.values())


def _message(
    kind: str, channel: str, instrument: Instrument, number: int, time: int, **more: object
) -> str:
    said = {
        "type": kind, "channel": channel, "symbol": instrument.symbol, "number": number,
        "time": str(time), **more,
    }  # fmt: skip
    return json.dumps(said, separators=(",", ":"))
