"""Statistics of the day, bars, last trades and states of every instrument, from the changes alone.

All figures are exact integers.  Memory is bounded for each symbol by `MINUTES`, `DAYS` and
`TRADES`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..records.changes import ChangeFlag, ChangeKind
from ..records.instruments import Directory, Instrument
from ..records.schema import Side
from .rings import Ring, joined
from .states import States

MINUTE_NS = 60 * 10**9
DAY_MINUTES = 1440
MINUTES, DAYS, TRADES = 1440, 400, 500  # kept of a symbol
WAITING_MAX = 4096  # changes that are not added up yet
# enumerations compare slowly
DEFINED, EXECUTED = int(ChangeKind.DEFINED), int(ChangeKind.EXECUTED)
CROSS = int(ChangeFlag.CROSS)
INT64_MAX, WORD = 2**63 - 1, 2**64

#: A bar that is over.  ``start``: seconds since 1970 UTC.  Prices are in units of ``mantissa`` x
#: 10 ** ``exponent``, the turnover in those times units.  ``..._high``: the upper 64 bits.
BAR = np.dtype(
    [("start", "<i8"), ("open", "<i8"), ("high", "<i8"), ("low", "<i8"), ("close", "<i8"),
     ("volume", "<u8"), ("volume_high", "<i8"), ("turnover", "<u8"), ("turnover_high", "<i8"),
     ("trades", "<u8"), ("mantissa", "<i8"), ("exponent", "i1"), ("zero", "u1", 7)]
)  # fmt: skip
#: A trade.  ``price``: in units of ``mantissa`` x 10 ** ``exponent``, the tick of its time.
#: ``side``: the aggressor's; 0 in an auction.
TRADE = np.dtype(
    [("trade_id", "<u8"), ("price", "<i8"), ("quantity", "<i8"), ("time", "<i8"),
     ("mantissa", "<i8"), ("exponent", "i1"), ("side", "u1"), ("zero", "u1", 6)]
)  # fmt: skip

Unit = tuple[int, int]  # mantissa, exponent of ten


class Span:
    """What was traded in a stretch of time.  Prices and turnover in the symbol's unit."""

    __slots__ = ("close", "high", "low", "open", "start", "trades", "turnover", "volume")

    def __init__(self, start: int, values: Iterable[int]) -> None:
        self.start = start  # seconds since 1970; of no meaning for a day that an exchange ends
        (self.open, self.high, self.low, self.close, self.volume, self.turnover,
         self.trades) = values  # fmt: skip

    def add(self, values: tuple[int, ...]) -> None:
        """Trades that came later, as such values of their own."""
        _, high, low, close, volume, turnover, trades = values
        self.high, self.low, self.close = max(self.high, high), min(self.low, low), close
        self.volume += volume
        self.turnover += turnover
        self.trades += trades

    def values(self) -> list[int]:
        """Open, high, low, close, volume, turnover, number of trades."""
        return [self.open, self.high, self.low, self.close, self.volume, self.turnover,
                self.trades]  # fmt: skip

    @property
    def fits(self) -> bool:
        """Whether a record can hold it: prices have 64 bits there, sums 128."""
        prices = max(abs(self.high), abs(self.low), abs(self.open), abs(self.close))
        return prices <= INT64_MAX and max(self.volume, abs(self.turnover)) < WORD * WORD // 2

    def rescale(self, factor: int) -> None:
        """The same in a unit that is ``factor`` times finer."""
        self.open, self.high = self.open * factor, self.high * factor
        self.low, self.close = self.low * factor, self.close * factor
        self.turnover *= factor


class Symbol:
    """Of one instrument.

    ``unit``: of all prices of the spans, as (mantissa, exponent of ten): the tick, or what is
    common to the ticks of a span that saw two.
    """

    __slots__ = ("calendar", "day", "days", "days_ended", "factor", "minute", "minutes", "tick",
                 "trades", "unit")  # fmt: skip

    def __init__(self, tick: Unit) -> None:
        self.tick = self.unit = tick
        self.factor = 1  # units of a tick
        self.day: Span | None = None
        self.minute: Span | None = None
        self.calendar: Span | None = None
        self.days_ended = 0
        self.minutes = Ring(BAR, MINUTES)
        self.days = Ring(BAR, DAYS)
        self.trades = Ring(TRADE, TRADES)

    def spans(self) -> list[Span]:
        return [span for span in (self.day, self.minute, self.calendar) if span is not None]

    def add(self, minute: int, values: tuple[int, ...]) -> None:
        """Trades of a minute since 1970, with prices in ticks."""
        if self.factor != 1:
            *prices, volume, turnover, trades = values
            prices = [price * self.factor for price in prices]
            values = (*prices, volume, turnover * self.factor, trades)
        if self.day is None:
            self.day = Span(0, values)
        else:
            self.day.add(values)
        self.minute = self._into(self.minute, self.minutes, minute * 60, values)
        start = minute // DAY_MINUTES * DAY_MINUTES * 60
        self.calendar = self._into(self.calendar, self.days, start, values)

    def _into(self, span: Span | None, over: Ring, start: int, values: tuple[int, ...]) -> Span:
        """A trade before the bar in work (a clock went back) counts there."""
        if span is None:
            return Span(start, values)
        if start <= span.start:
            span.add(values)
            return span
        over.extend(bars_of([span], self.unit))
        return Span(start, values)

    def change_tick(self, tick: Unit) -> None:
        """Later prices are in another tick; what is there keeps its value."""
        if tick == self.tick:
            return
        self.tick = tick
        exponent = min(tick[1], self.unit[1])
        mine = self.unit[0] * 10 ** (self.unit[1] - exponent)
        its = tick[0] * 10 ** (tick[1] - exponent)
        common = gcd(mine, its) if self.spans() else its
        for span in self.spans():
            span.rescale(mine // common)
        self.unit, self.factor = (common, exponent), its // common

    def bars(self, days: bool, count: int | None = None) -> NDArray[np.void]:
        """The last ``count`` bars (None: all) of a `BAR` array, the one in work included."""
        span, over = (self.calendar, self.days) if days else (self.minute, self.minutes)
        if span is None:
            return over.last(count)
        rest = over.last(None if count is None else max(0, count - 1))
        return joined([rest, bars_of([span], self.unit)])


def bars_of(spans: list[Span], unit: Unit) -> NDArray[np.void]:
    """As a `BAR` array.  One that does not fit a record is left out."""
    fitting = [one for one in spans if one.fits]
    rows = np.zeros(len(fitting), BAR)
    rows["mantissa"], rows["exponent"] = unit
    for row, span in zip(rows, fitting, strict=True):
        row["start"], row["trades"] = span.start, span.trades
        row["open"], row["high"], row["low"] = span.open, span.high, span.low
        row["close"] = span.close
        row["volume_high"], row["volume"] = divmod(span.volume, WORD)
        row["turnover_high"], row["turnover"] = divmod(span.turnover, WORD)
    return rows


class Statistics:
    """Of all ``instruments``, a `Directory` that the owner of the changes keeps.

    `apply` all changes in turn.  They wait until somebody asks, or there are many: a thousand at
    once cost little more than one.
    """

    def __init__(self, instruments: Directory) -> None:
        self._instruments = instruments
        self._symbols = [Symbol(one.tick_parts) for one in instruments]
        self._states = States()
        self._waiting: list[NDArray[np.void]] = []
        self._count = 0  # of what waits

    def __len__(self) -> int:
        return len(self._symbols)

    def __getitem__(self, number: int) -> Symbol:
        """Of the instrument ``number``, which there is; as it is behind the last change."""
        self._settle()
        return self._symbols[number - 1]

    @property
    def states(self) -> States:
        """Of the instruments, as they are behind the last change."""
        self._settle()
        return self._states

    def apply(self, rows: NDArray[np.void]) -> None:
        """The next changes, a `CHANGE` array; one that defines an instrument is the last."""
        if not len(rows):
            return
        self._waiting.append(rows)
        self._count += len(rows)
        if self._count >= WAITING_MAX or rows["kind"][-1] == DEFINED:
            self._settle()  # a definition at once: what it says is only now in the directory

    def _settle(self) -> None:
        if self._waiting:
            waiting, self._waiting, self._count = self._waiting, [], 0
            self._add(joined(waiting))

    def _add(self, rows: NDArray[np.void]) -> None:
        self._states.apply(rows)
        kinds = rows["kind"]
        begin = 0
        for end in np.flatnonzero(kinds == ChangeKind.DAY_ENDED).tolist():
            self._trade(rows[begin:end], kinds[begin:end])
            self._end_day(int(rows["instrument"][end]))
            begin = end + 1
        self._trade(rows[begin:], kinds[begin:])
        if kinds[-1] == DEFINED:
            self._define(int(rows["instrument"][-1]))

    def _define(self, number: int) -> None:
        instrument: Instrument = self._instruments[number]
        if number > len(self._symbols):
            self._symbols.append(Symbol(instrument.tick_parts))
        else:
            self._symbols[number - 1].change_tick(instrument.tick_parts)

    def _end_day(self, number: int) -> None:
        for symbol in [self._symbols[number - 1]] if number else self._symbols:
            symbol.day = None
            symbol.days_ended += 1

    def _trade(self, rows: NDArray[np.void], kinds: NDArray[np.uint8]) -> None:
        rows = rows.compress(kinds == EXECUTED)
        if not len(rows):
            return
        rows = rows.take(np.argsort(rows["instrument"], kind="stable"))
        instruments = rows["instrument"]
        trades = trades_of(rows)
        at = [0, *(np.flatnonzero(np.diff(instruments)) + 1).tolist(), len(rows)]
        for begin, end in pairwise(at):
            symbol = self._symbols[int(instruments[begin]) - 1]
            part = trades[max(begin, end - TRADES) : end]
            part["mantissa"], part["exponent"] = symbol.tick
            symbol.trades.extend(part)
        minutes, starts = _by_minute(rows)
        for number, minute, *values in zip(
            instruments[starts].tolist(), minutes[starts].tolist(), *_sums(rows, starts),
            strict=True,
        ):  # fmt: skip
            self._symbols[number - 1].add(minute, tuple(values))


def trades_of(executed: NDArray[np.void]) -> NDArray[np.void]:
    """A `TRADE` array of executions, a `CHANGE` array; their ticks are left to be filled."""
    trades = np.zeros(len(executed), TRADE)
    for name in ("trade_id", "price", "quantity", "time"):
        trades[name] = executed[name]
    trades["side"] = np.where(executed["side"] == Side.BUY, Side.SELL, Side.BUY)
    trades["side"][executed["flags"] & CROSS != 0] = 0
    return trades


def _by_minute(rows: NDArray[np.void]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The minutes since 1970 that rows, sorted by instrument, count to; where each one begins.

    Of one instrument they never go back.
    """
    minutes = rows["time"] // MINUTE_NS
    least = minutes.min()
    reach = minutes.max() - least + 1
    above = rows["instrument"].astype(np.int64) * reach
    keys = np.maximum.accumulate(above + (minutes - least))
    starts = np.flatnonzero(np.diff(keys, prepend=keys[0] - 1))
    return keys - above + least, starts


def _sums(rows: NDArray[np.void], starts: NDArray[np.int64]) -> list[list[int]]:
    """Open, high, low, close, volume, turnover and number of the trades from each start on."""
    prices, quantities = rows["price"], rows["quantity"]
    ends = np.append(starts[1:], len(rows))
    widest = int(np.abs(prices.astype(object)).max() if prices.min() == -(2**63)
                 else np.abs(prices).max())  # fmt: skip
    exact: Any = np.int64
    if max(widest, 1) * int(quantities.max()) * len(rows) > INT64_MAX:
        exact = object  # Python's integers
    quantities = quantities.astype(exact)
    turnovers = prices.astype(exact) * quantities
    return [
        prices[starts].tolist(),
        np.maximum.reduceat(prices, starts).tolist(),
        np.minimum.reduceat(prices, starts).tolist(),
        prices[ends - 1].tolist(),
        np.add.reduceat(quantities, starts).tolist(),
        np.add.reduceat(turnovers, starts).tolist(),
        (ends - starts).tolist(),
    ]
