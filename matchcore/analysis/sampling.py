"""What is drawn of a log: a fixed number of samples, however long the log is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..engine.recovery import look, replay
from ..engine.starts import Start, of_this_log, starts
from ..errors import NotInTheLog
from ..journal import Keys, LogReader, batches, despite_archiving, first_sequence, snapshots
from ..machine import Machine, machine_class
from ..records.commands import among, defines
from ..records.events import fresh
from ..records.schema import EventKind, Kind, Phase, Side
from ..records.times import text_of

COLUMNS = 2000  # samples from left to right: more than a picture has pixels
BARS_MAX = 240
LEVELS = 5
BUNDLE_COMMANDS = 4096
SECOND_NS = 10**9
SIDES = (Side.BUY, Side.SELL)

#: How long a bar of the volume may be: the shortest one that makes no more than `BARS_MAX` bars.
_BARS_NS = [
    *(ms * 10**6 for ms in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    *(s * SECOND_NS for s in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800)),
    *(h * 3600 * SECOND_NS for h in (1, 2, 4, 6, 12, 24)),
]
DAY_NS = _BARS_NS[-1]
#: Kinds that say nothing of trading in a market.
_OPERATING = frozenset({Kind.SET_MARKET, Kind.SET_PROTECTION, Kind.CLOCK})

Array = NDArray[np.float64]


def _none() -> Array:
    """A sample for each side and column; NaN where there is none."""
    return np.full((2, COLUMNS), np.nan)


@dataclass
class Samples:
    """A symbol between two moments (nanoseconds).

    Rows of the arrays are buy and sell; columns are equal times from `start` to `last`.  ``best``
    (price), ``touch`` and ``near`` (quantity at the best price, and at the best few) are what the
    book held at the end of a column.  ``low`` and ``high``: of the trades in it, by the side that
    took.  ``volume``: quantity traded in bars of `bar_ns`, the first of which holds `start`.
    ``phase``: of an instrument with a market, a `Phase` at the end of each column, 0 without one;
    ``indicative``: the price that its call would have.  Outside continuous trading, where a book
    may be crossed, there is no best price.
    """

    symbol: str
    tick: str
    start: int
    last: int
    levels: int
    commands: int = 0
    first_sequence: int = 0
    last_sequence: int = 0
    trades: int = 0
    traded: int = 0
    best: Array = field(default_factory=_none)
    touch: Array = field(default_factory=_none)
    near: Array = field(default_factory=_none)
    low: Array = field(default_factory=_none)
    high: Array = field(default_factory=_none)
    phase: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(COLUMNS, np.uint8))
    indicative: Array = field(default_factory=lambda: np.full(COLUMNS, np.nan))

    def __post_init__(self) -> None:
        span = self.last - self.start
        self.column_ns = span // COLUMNS + 1
        days = span // DAY_NS // BARS_MAX + 1
        self.bar_ns = next((bar for bar in _BARS_NS if span // bar < BARS_MAX), days * DAY_NS)
        self.volume = np.zeros(self.last // self.bar_ns - self.start // self.bar_ns + 1)
        self._phase, self._indicative = 0, np.nan  # now, while samples are taken

    def column(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """In which column times are; those outside count as the first or last moment."""
        inside = np.clip(times, self.start, self.last)
        # the distance may have 64 bits
        since = inside.view(np.uint64) - np.int64(self.start).view(np.uint64)
        columns: NDArray[np.int64] = (since // np.uint64(self.column_ns)).astype(np.int64)
        return columns

    def add_trades(
        self, times: NDArray[np.int64], events: NDArray[np.void], price_of_tick: float
    ) -> None:
        """Adds TRADED events of these times."""
        inside = (times >= self.start) & (times <= self.last)
        times, events = times[inside], events[inside]
        prices = events["price"] * price_of_tick
        cell = 2 - events["side"].astype(np.int64), self.column(times)  # the maker's side, turned
        np.fmin.at(self.low, cell, prices)
        np.fmax.at(self.high, cell, prices)
        bars = times // self.bar_ns - self.start // self.bar_ns
        np.add.at(self.volume, bars, events["quantity"].astype(np.float64))
        self.trades += len(events)
        self.traded += sum(events["quantity"].tolist())

    def add_book(self, column: int, machine: Machine, number: int) -> None:
        """Keeps what a book holds as the end of a column."""
        if number > len(machine.instruments):
            return
        price = float(machine.instruments[number].tick)
        self.phase[column] = self._phase
        self.indicative[column] = self._indicative * price
        crossing = self._phase not in (0, Phase.CONTINUOUS, Phase.AT_CLOSING_PRICE)
        for row, side in enumerate(SIDES):
            levels = machine.levels(number, side, self.levels)
            quantities = levels["quantity"].astype(np.float64)
            known = len(levels) > 0 and not crossing
            self.best[row, column] = levels["price"][0] * price if known else np.nan
            self.touch[row, column] = quantities[:1].sum()
            self.near[row, column] = quantities.sum()

    def add_market(self, events: NDArray[np.void]) -> None:
        """Notes what the last of these events say of phase and indicative price."""
        kinds = events["kind"]
        changed = events[kinds == EventKind.PHASE_CHANGED]
        if len(changed):
            self._phase, self._indicative = int(changed["left"][-1]), np.nan
            events = events[np.flatnonzero(kinds == EventKind.PHASE_CHANGED)[-1] :]
        told = events[events["kind"] == EventKind.INDICATIVE]
        if len(told):
            last = told[-1]
            self._indicative = float(last["price"]) if last["quantity"] else np.nan

    def carry_on(self, known: NDArray[np.bool_]) -> None:
        """Columns in which nothing happened show what the last one before them does."""
        latest = np.maximum.accumulate(np.where(known, np.arange(COLUMNS), 0))
        for samples in (self.best, self.touch, self.near):
            samples[:] = samples[:, latest]
        self.phase[:], self.indicative[:] = self.phase[latest], self.indicative[latest]


def sampled(
    directory: Path,
    symbol: str,
    *,
    first: int | None,
    end: int | None,
    levels: int,
    keys: Keys | None,
    progress: Callable[[int], None],
) -> Samples:
    """Reads the log twice: for when the symbol was traded, and for what happened then."""

    def read() -> Samples:
        instruments = look(directory, keys=keys).machine.instruments
        number = instruments.number(symbol)
        reading = _Reading(directory, number, keys, progress)
        extent = reading.extent(first, end)
        tick = format(instruments[number].tick, "f")
        if extent is None:
            if first is not None or end is not None:
                raise NotInTheLog(f"{symbol}: {_said(reading.extent(None, None))} in {directory}")
            return Samples(symbol, tick, 0, 0, levels)
        samples = Samples(
            symbol, tick, extent.start, extent.last, levels, extent.commands,
            extent.first_sequence, extent.last_sequence,
        )  # fmt: skip
        reading.fill(samples, extent)
        return samples

    return despite_archiving(directory, read)


def _said(extent: _Extent | None) -> str:
    if extent is None:
        return "no commands"
    return f"no commands in that time, but from {text_of(extent.start)} to {text_of(extent.last)}"


@dataclass
class _Extent:
    """Commands of a symbol: their first and last sequence, the earliest and latest time."""

    first_sequence: int
    last_sequence: int
    start: int
    last: int
    commands: int


class _Reading:
    """One instrument's part of a log; the log may go on meanwhile."""

    def __init__(
        self, directory: Path, number: int, keys: Keys | None, progress: Callable[[int], None]
    ) -> None:
        self._directory, self._number, self._keys = directory, number, keys
        self._progress = progress
        begins = first_sequence(directory)
        kept = [snapshots.sequence_of(file) for file in snapshots.listing(directory)]
        late = min((at for at in kept if at + 1 >= begins), default=begins - 1)
        self._earliest = late if begins > 1 else 0  # where a machine can be had: see archiving

    def extent(self, first: int | None, end: int | None) -> _Extent | None:
        """Of the commands about the instrument at or after `first` and before `end`."""
        found: _Extent | None = None
        self._progress(self._earliest)
        with LogReader(self._directory, after=self._earliest, keys=self._keys) as reader:
            for batch in batches(reader.read(), BUNDLE_COMMANDS):
                sequence, commands = batch.first_sequence, batch.commands
                self._progress(len(commands))
                if batch.rules:
                    continue
                times, mine = commands["time"], self._mine(commands)
                if first is not None:
                    mine &= times >= first
                if end is not None:
                    mine &= times < end
                at = np.flatnonzero(mine)
                if not len(at):
                    continue
                earliest, latest = int(times[at].min()), int(times[at].max())
                if found is None:
                    found = _Extent(sequence + int(at[0]), 0, earliest, latest, 0)
                found.last_sequence = sequence + int(at[-1])
                found.start, found.last = min(found.start, earliest), max(found.last, latest)
                found.commands += len(at)
        return found

    def _mine(self, commands: NDArray[np.void]) -> NDArray[np.bool_]:
        """Commands about the instrument's orders, those about all instruments included."""
        about = (commands["instrument"] == self._number) | (commands["instrument"] == 0)
        mine: NDArray[np.bool_] = about & ~defines(commands) & ~among(commands["kind"], _OPERATING)
        return mine

    def fill(self, samples: Samples, extent: _Extent) -> None:
        """Replays up to the first command, and takes samples until the last."""
        start = self._start(extent.first_sequence - 1)
        machine, column = start.machine, 0
        known = np.zeros(COLUMNS, np.bool_)
        self._progress(machine.sequence)
        with LogReader(
            self._directory, after=start.sequence, chain=start.chain, keys=self._keys
        ) as reader:
            for batch in batches(reader.read(), BUNDLE_COMMANDS):
                self._progress(len(batch.commands))
                replay(machine, batch, upto=extent.first_sequence - 1)
                if batch.rules:
                    replay(machine, batch, upto=extent.last_sequence)
                at, end = (one + 1 - batch.first_sequence
                           for one in (machine.sequence, extent.last_sequence))  # fmt: skip
                commands = batch.commands[at:end]
                columns = self._columns(samples, commands, column)
                for part, there in zip(*_parts(commands, columns), strict=True):
                    if there != column:
                        samples.add_book(column, machine, self._number)
                        known[column] = True
                        column = there
                    self._trade(samples, machine, part)
                if machine.sequence >= extent.last_sequence:
                    break
        samples.add_book(column, machine, self._number)
        known[column] = True
        samples.carry_on(known)

    def _start(self, sequence: int) -> Start:
        at_most = max(sequence, self._earliest)
        accept = of_this_log(self._directory)
        return starts(self._directory, machine_class("cython"), at_most, accept, keys=self._keys)

    def _columns(
        self, samples: Samples, commands: NDArray[np.void], column: int
    ) -> NDArray[np.int64]:
        """The column that each command is in; one whose time runs back stays in the latest."""
        mine = self._mine(commands)
        columns = np.where(mine, samples.column(np.ascontiguousarray(commands["time"])), column)
        return np.maximum.accumulate(np.maximum(columns, column))

    def _trade(self, samples: Samples, machine: Machine, commands: NDArray[np.void]) -> None:
        """Applies commands, at most the last of which changes an instrument."""
        known = self._number <= len(machine.instruments)
        price = float(machine.instruments[self._number].tick) if known else 0.0
        sequence = machine.sequence + 1
        events = fresh(machine.apply(commands))
        events = events[events["instrument"] == self._number]
        samples.add_market(events)
        events = events[events["kind"] == EventKind.TRADED]
        if len(events):
            at = (events["sequence"] - np.uint64(sequence)).astype(np.int64)
            samples.add_trades(commands["time"][at], events, price)


def _parts(
    commands: NDArray[np.void], columns: NDArray[np.int64]
) -> tuple[list[NDArray[np.void]], list[int]]:
    """Cut where the column changes and behind changes of instruments; columns beside them."""
    if not len(commands):
        return [], []
    cuts = np.flatnonzero((np.diff(columns) != 0) | defines(commands[:-1])) + 1
    return np.split(commands, cuts), columns[np.concatenate([[0], cuts])].tolist()
