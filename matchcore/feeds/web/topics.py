"""Channels: what one says about one instrument, encoded once for all who have subscribed to it.

A topic is a channel of one instrument in one format (and, for book.l2, one depth).  Each of its
messages names its own number and the one of the message before it, so a subscriber sees a gap.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import FeedError
from ...records.schema import ChangeKind, Side
from ..serving import Feed
from ..statistics import MINUTES, Symbol, bars_of, trades_of
from . import _texts, frames, texts
from .windows import Window

if TYPE_CHECKING:
    from .groups import Group

SNAPSHOT_TRADES = 50
BUY = int(Side.BUY)  # an enumeration compares slowly
SIDES = BUY, int(Side.SELL)

#: What a message says beside its head: JSON text, or binary records.
Fields = bytes
Told = tuple[int, Fields]


class Key(NamedTuple):
    """Names a topic.  ``depth``: levels of a side, 0 for all.  ``symbols``: that notices may be
    about, beside those about all instruments; None: any."""

    channel: str
    instrument: int
    depth: int = 0
    binary: bool = False
    symbols: frozenset[str] | None = None

    @property
    def place(self) -> tuple[str, int]:
        """Of which a subscriber has one at most."""
        return self.channel, self.instrument


class Known(NamedTuple):
    """What topics are made of.  ``orders_max``: in a snapshot as JSON."""

    feed: Feed
    notices: texts.NoticeTexts
    orders_max: int


class TooLarge(FeedError):
    """A snapshot is beyond the limits."""


class Topic(ABC):
    """One channel of one instrument.  ``last``: the number that it has come to."""

    resumes = False  # whether what came after a number can be told from the changes alone

    def __init__(self, key: Key, known: Known, number: int) -> None:
        self.key, self.last, self._feed = key, number, known.feed
        self._orders_max, self._notices = known.orders_max, known.notices
        self.groups: set[Group] = set()
        self._snapshot: tuple[int, bytes] | None = None
        self.define()

    def define(self) -> None:
        """The instrument is as it is now, and all begins."""
        instrument = self._feed.stream.instruments[self.key.instrument]
        self.tick = instrument.tick_parts
        self.symbol: str | None = instrument.symbol
        self._scale = self.tick[0], -self.tick[1]  # mantissa and decimals
        name = f'"channel":"{self.key.channel}","symbol":{json.dumps(instrument.symbol)},'
        self._begin = {
            frames.SNAPSHOT: f'{{"type":"snapshot",{name}'.encode(),
            frames.UPDATE: f'{{"type":"update",{name}'.encode(),
        }

    @abstractmethod
    def told(self, window: Window) -> Told | None:
        """The number and the fields of an update; None if the changes do not concern it."""

    @abstractmethod
    def whole(self) -> Fields:
        """The fields of a snapshot."""

    def nothing(self) -> Fields:
        """The fields of an update without any change, for a topic that resumes."""
        raise NotImplementedError

    def update(self, window: Window, time: int) -> bytes | None:
        """The frame of the next update, or None."""
        told = self.told(window)
        if told is None:
            return None
        number, fields = told
        prev, self.last = self.last, number
        return self.framed(frames.UPDATE, fields, prev, time)

    def snapshot(self, time: int) -> bytes:
        """The frame of a snapshot, good for ``last``.  Encoded once for all who come together."""
        if self._snapshot is None or self._snapshot[0] != self.last:
            frame = self.framed(frames.SNAPSHOT, self.whole(), 0, time)
            self._snapshot = self.last, frame
        return self._snapshot[1]

    def forget(self) -> None:
        """The next snapshot is made anew."""
        self._snapshot = None

    def resumed(self, window: Window, after: int, time: int) -> bytes:
        """The frame of an update that makes of the state at ``after`` that of ``last``."""
        told = self.told(window)
        return self.framed(frames.UPDATE, told[1] if told else self.nothing(), after, time)

    def framed(self, kind: int, fields: Fields, prev: int, time: int) -> bytes:
        if self.key.binary:
            code = frames.CHANNEL_CODES[self.key.channel]
            head = frames.HEADER.pack(kind, code, 0, self.key.instrument, self.last, prev, time)
            return frames.frame(frames.BINARY, head + fields)
        update = kind == frames.UPDATE
        return _texts.framed(self._begin[kind], self.last, prev, update, time, fields)


class AllLevels(Topic):
    """Every level of a book."""

    resumes = True

    def told(self, window: Window) -> Told | None:
        number = window.last
        if not number:
            return None
        if self.key.binary:
            return number, frames.last_levels(window.rows)
        return number, _texts.levels(window.rows, *self._scale)

    def whole(self) -> Fields:
        return self._fields(levels_of(self._feed, self.key.instrument, None))

    def nothing(self) -> Fields:
        return self._fields([])

    def _fields(self, found: Iterable[texts.Level]) -> Fields:
        if self.key.binary:
            return frames.levels([*found])
        return texts.levels(found, self.tick).encode()


class BestLevels(Topic):
    """The best levels of each side: those that changed, came, or may have left them.

    An update depends on the changes and the book alone.  Whoever has the state at its number, at
    ``prev`` or anywhere between has the one at its number behind it.
    """

    def told(self, window: Window) -> Told | None:
        changed = self._changed(window)
        return (window.last, self._fields(changed)) if changed else None

    def whole(self) -> Fields:
        return self._fields(levels_of(self._feed, self.key.instrument, self._depth))

    @property
    def _depth(self) -> int:
        return self.key.depth

    def _changed(self, window: Window) -> list[texts.Level]:
        found: list[texts.Level] = []
        number, depth = self.key.instrument, self._depth
        for side, touched in zip(SIDES, _texts.touched(window.rows), strict=True):
            if touched:
                most = depth + len(touched)
                levels = self._feed.books.levels(number, side, most).tolist()
                found += [(side, *level) for level in reachable(levels, touched, depth, side)]
        return found

    def _fields(self, found: Iterable[texts.Level]) -> Fields:
        if self.key.binary:
            return frames.levels([*found])
        return texts.levels(found, self.tick).encode()


class Best(BestLevels):
    """The best level of each side, both of them in each message."""

    @property
    def _depth(self) -> int:
        return 1

    def told(self, window: Window) -> Told | None:
        return (window.last, self.whole()) if self._changed(window) else None

    def _fields(self, found: Iterable[texts.Level]) -> Fields:
        if self.key.binary:
            return frames.levels([*found])
        return texts.best(found, self.tick).encode()


def reachable(
    levels: list[tuple[int, int, int]], touched: dict[int, bool], depth: int, side: int
) -> list[tuple[int, int, int]]:
    """What is said of one side, so that any of its states since becomes that of now.

    ``levels``: the best ``depth`` and as many more as were ``touched``; ``touched``: see
    `_texts.touched`.  Levels are price, quantity and orders; quantity 0: not among the best now.
    Behind ``depth`` levels that were always there nothing was ever among the best.  Before as many
    that were there at any moment, a level that was not touched always was.
    """
    said = []
    held = {level[0]: level for level in levels}
    always = now = 0  # better levels: that were never empty, and that there are
    prices = sorted(held.keys() | touched.keys(), reverse=side == BUY)
    for before, price in enumerate(prices):  # before: better levels at any moment, at most
        if always == depth:
            break
        level = held.get(price)
        if price in touched or before >= depth:
            said.append(level if level and now < depth else (price, 0, 0))
        now += level is not None
        always += not touched.get(price)
    return said


class Orders(Topic):
    """Every order of a book, and each change of one."""

    resumes = True

    def told(self, window: Window) -> Told | None:
        number = window.last
        if not number:
            return None
        if self.key.binary:
            return number, window.rows.tobytes()
        return number, _texts.orders(window.rows, *self._scale)

    def nothing(self) -> Fields:
        return b"" if self.key.binary else b'"changes":[]'

    def whole(self) -> Fields:
        if self.key.binary:
            return self._feed.books.snapshot(self.key.instrument).tobytes()
        found = self._feed.books.orders(self.key.instrument)
        if len(found) > self._orders_max:
            raise TooLarge(
                f"{len(found)} orders: JSON has at most {self._orders_max}; take the binary format"
            )
        return texts.orders(found, self.tick).encode()


class Trades(Topic):
    """Each trade."""

    resumes = True

    def told(self, window: Window) -> Told | None:
        number = window.last_executed
        if not number:
            return None
        if self.key.binary:
            trades = trades_of(window.rows.compress(window.rows["kind"] == ChangeKind.EXECUTED))
            trades["mantissa"], trades["exponent"] = self.tick
            return number, trades.tobytes()
        return number, _texts.executions(window.rows, *self._scale)

    def whole(self) -> Fields:
        symbol = self._feed.statistics[self.key.instrument]
        trades = symbol.trades.last(SNAPSHOT_TRADES)
        return trades.tobytes() if self.key.binary else texts.trades(trades).encode()

    def nothing(self) -> Fields:
        return b"" if self.key.binary else b'"trades":[]'


class Bars(Topic):
    """Bars of a minute or a day: those that have changed since the last message, whole."""

    def define(self) -> None:
        super().define()
        self._days = self.key.channel == "bars.1d"
        self._start = self._in_work.start if self._in_work else 0

    @property
    def _symbol(self) -> Symbol:
        return self._feed.statistics[self.key.instrument]

    @property
    def _in_work(self) -> Any:
        return self._symbol.calendar if self._days else self._symbol.minute

    def told(self, window: Window) -> Told | None:
        number = window.last_executed
        if not number:
            return None
        before, self._start = self._start, self._in_work.start
        if before == self._start:
            changed = bars_of([self._in_work], self._symbol.unit)
        else:
            kept = self._symbol.bars(self._days, MINUTES)
            changed = kept[np.searchsorted(kept["start"], before) :]
        return number, self._fields(changed)

    def whole(self) -> Fields:
        return self._fields(self._symbol.bars(self._days))

    def _fields(self, found: NDArray[np.void]) -> Fields:
        return found.tobytes() if self.key.binary else texts.bars(found).encode()


class Status(Topic):
    """Statistics of the day, and the state of the market."""

    def told(self, window: Window) -> Told | None:
        number = max(window.last_executed, window.status)
        return (number, self.whole()) if number else None

    def whole(self) -> Fields:
        statistics, number = self._feed.statistics, self.key.instrument
        symbol, state = statistics[number], statistics.states[number]
        if self.key.binary:
            return frames.status(symbol, state)
        return texts.status(symbol, state).encode()


class Board(Topic):
    """Notices of the exchange, under number 0: one topic for all who may see the same."""

    def define(self) -> None:
        self.symbol = None
        self._begin = {
            kind: f'{{"type":"{word}","channel":"{NOTICES}",'.encode()
            for kind, word in ((frames.SNAPSHOT, "snapshot"), (frames.UPDATE, "update"))
        }

    def told(self, window: Window) -> Told | None:
        last = self._feed.notices.last
        if not last or last[-1].number <= self.last:
            return None
        mine = self._notices.visible(self.key.symbols)
        if not mine or mine[-1].number <= self.last:
            return None
        return mine[-1].number, self._notices.fields(self.key.symbols, self.last).encode()

    def whole(self) -> Fields:
        return self._notices.fields(self.key.symbols).encode()


NOTICES = "notices"
CHANNELS: dict[str, type[Topic]] = {
    "book.l1": Best,
    "book.l2": AllLevels,
    "book.l3": Orders,
    "trades": Trades,
    "bars.1m": Bars,
    "bars.1d": Bars,
    "status": Status,
    NOTICES: Board,
}


def topic_of(key: Key, known: Known, number: int) -> Topic:
    """The topic with this name, as it stands at ``number``."""
    kind = BestLevels if key.depth else CHANNELS[key.channel]
    return kind(key, known, number)


def levels_of(feed: Feed, instrument: int, depth: int | None) -> list[texts.Level]:
    """The best levels of both sides, best first."""
    found: list[texts.Level] = []
    for side in (Side.BUY, Side.SELL):
        for price, quantity, orders in feed.books.levels(instrument, side, depth).tolist():
            found.append((int(side), price, quantity, orders))
    return found
