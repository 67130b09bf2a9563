"""Daily bars, brought up batch by batch, and sums that do not fit into 63 bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from .tables import DAY_NS, TABLES

DAYS_KEPT_MAX = 8
_BAR = TABLES["daily_bars"].dtype
_LOW = np.int64(2**32 - 1)


def wide_sum(
    values: NDArray[np.int64],
    starts: NDArray[np.intp],
    before: NDArray[np.int64],
    wraps: NDArray[np.integer],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sums of groups of values of 0 and more, onto what was before, as (sum mod 2**63, wraps).

    In halves of 32 bits, so that nothing overflows for up to 2**31 values.
    """
    low = np.add.reduceat(values & _LOW, starts) + (before & _LOW)
    high = np.add.reduceat(values >> 32, starts) + (before >> 32) + (low >> 32)
    return ((high & (2**31 - 1)) << 32) | (low & _LOW), wraps + (high >> 31)


class Bars:
    """Bars of the days that a log is in; others are read again when a trade is of such a day."""

    def __init__(
        self, shard: int, read: Callable[[str, str, Sequence[int]], NDArray[np.void]]
    ) -> None:
        self._shard = shard
        self._read = read
        self._days: dict[int, dict[int, NDArray[np.void]]] = {}  # day -> version -> bar
        self._places: dict[int, set[tuple[int, int]]] = {}  # `seq` -> day and version

    def make(self, trades: NDArray[np.void]) -> tuple[NDArray[np.void], NDArray[np.int64]]:
        """The bars that trades (in order) lead to, and the `seq`s of those they replace.

        With them come, as they were, others of these `seq`s: an auction may begin several bars.
        """
        if not len(trades):
            return np.zeros(0, _BAR), np.zeros(0, np.int64)
        day = trades["time_ns"] // DAY_NS
        queue = np.lexsort((np.arange(len(trades)), trades["instrument_seq"], day))
        day, version = day[queue], trades["instrument_seq"][queue]
        begins = np.ones(len(queue), np.bool_)
        begins[1:] = (day[1:] != day[:-1]) | (version[1:] != version[:-1])
        starts = np.flatnonzero(begins)
        ends = np.append(starts[1:], len(queue))
        self._fetch(np.unique(day).tolist())

        bars, known = np.zeros(len(starts), _BAR), np.zeros(len(starts), np.bool_)
        keys = zip(day[starts].tolist(), version[starts].tolist(), strict=True)
        for at, (one, of) in enumerate(keys):
            bar = self._days[one].get(of)
            if bar is not None:
                bars[at], known[at] = bar, True
        first, price = queue[starts], trades["price_ticks"][queue]
        high, low = np.maximum.reduceat(price, starts), np.minimum.reduceat(price, starts)
        bars["shard"], bars["day"] = self._shard, day[starts]
        bars["instrument"], bars["instrument_seq"] = trades["instrument"][first], version[starts]
        for name, value in (("seq", trades["seq"][first]), ("open_ticks", price[starts]),
                            ("high_ticks", high), ("low_ticks", low)):  # fmt: skip
            bars[name][~known] = value[~known]
        bars["high_ticks"] = np.maximum(bars["high_ticks"], high)
        bars["low_ticks"] = np.minimum(bars["low_ticks"], low)
        bars["close_ticks"] = price[ends - 1]
        bars["volume"], bars["volume_wraps"] = wide_sum(
            trades["quantity"][queue], starts, bars["volume"], bars["volume_wraps"]
        )
        bars["trades"] += ends - starts
        gone = np.unique(bars["seq"][known])
        own = set(zip(day[starts].tolist(), version[starts].tolist(), strict=True))
        others = {place for seq in gone.tolist() for place in self._places[seq]} - own
        kept = [self._days[one][of].reshape(1) for one, of in sorted(others)]
        return np.concatenate([bars, *kept]), gone

    def accept(self, bars: NDArray[np.void]) -> None:
        for bar in bars:
            self._note(bar)
        while len(self._days) > DAYS_KEPT_MAX:
            oldest = next(iter(self._days))  # the one that came first
            for version, bar in self._days.pop(oldest).items():
                self._places[int(bar["seq"])].discard((oldest, version))

    def _note(self, bar: NDArray[np.void]) -> None:
        place = int(bar["day"]), int(bar["instrument_seq"])
        self._days[place[0]][place[1]] = bar
        self._places.setdefault(int(bar["seq"]), set()).add(place)

    def _fetch(self, days: list[int]) -> None:
        missing = [day for day in days if day not in self._days]
        if not missing:
            return
        found = self._read("daily_bars", "day", missing)  # which may fail, and be asked again
        for day in missing:
            self._days[day] = {}
        for bar in found:
            self._note(bar)
