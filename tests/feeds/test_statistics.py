"""Statistics and bars: equal to plain sums, exact beyond 64 bits, bounded."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import matchcore as mc
from matchcore.errors import FeedError
from matchcore.feeds import Books, saving
from matchcore.feeds.notices import Notices, Told
from matchcore.feeds.rings import Ring
from matchcore.feeds.saving import from_bytes, load, load_mark, packed, save, to_bytes
from matchcore.feeds.statistics import BAR, DAYS, MINUTES, TRADES, WORD, Statistics, Symbol
from matchcore.feeds.stream import Mark
from matchcore.records.changes import CHANGE, ChangeKind
from matchcore.records.instruments import Directory

MOST = 2**63 - 1
MINUTE = 60 * 10**9

Trade = tuple[int, int, int, int]  # instrument, price, quantity, time

trades_given = st.lists(
    st.one_of(
        st.tuples(
            st.integers(1, 3),
            st.one_of(st.integers(-5, 5), st.sampled_from([-(2**63), MOST])),
            st.one_of(st.integers(1, 9), st.just(MOST)),
            st.integers(-3 * MINUTE, 3000 * MINUTE),
        ),
        st.integers(0, 3),  # the end of a day, of an instrument or all
    ),
    max_size=40,
)


def rows_of(happened: list[Trade | int]) -> NDArray[np.void]:
    rows = np.zeros(len(happened), CHANGE)
    for at, one in enumerate(happened):
        if isinstance(one, int):
            rows[at]["kind"], rows[at]["instrument"] = ChangeKind.DAY_ENDED, one
        else:
            rows[at]["kind"], rows[at]["side"] = ChangeKind.EXECUTED, 1 + at % 2
            rows[at]["instrument"], rows[at]["price"], rows[at]["quantity"], rows[at]["time"] = one
            rows[at]["trade_id"] = at + 1
    return rows


def three() -> Directory:
    return Directory(mc.Instrument(symbol, "0.05") for symbol in ("ONE", "TWO", "THREE"))


def plain(happened: list[Trade | int], number: int) -> tuple[Any, int, list[list[int]]]:
    """Values of the day, ended days, and minute bars, one trade at a time."""
    day: list[int] | None = None
    ended, bars = 0, list[list[int]]()
    for one in happened:
        if isinstance(one, int):
            if one in (0, number):
                day, ended = None, ended + 1
        elif one[0] == number:
            _, price, quantity, time = one
            day = added(day, price, quantity)
            start = time // MINUTE * 60
            if bars and start <= bars[-1][0]:
                bars[-1][1:] = added(bars[-1][1:], price, quantity)
            else:
                bars.append([start, *added(None, price, quantity)])
    return day, ended, bars


def added(values: list[int] | None, price: int, quantity: int) -> list[int]:
    if values is None:
        return [price, price, price, price, quantity, price * quantity, 1]
    first, high, low, _, volume, turnover, count = values
    return [first, max(high, price), min(low, price), price, volume + quantity,
            turnover + price * quantity, count + 1]  # fmt: skip


def bar_values(bars: NDArray[np.void]) -> list[list[int]]:
    return [
        [int(bar["start"]), *(int(bar[name]) for name in ("open", "high", "low", "close")),
         int(bar["volume_high"]) * WORD + int(bar["volume"]),
         int(bar["turnover_high"]) * WORD + int(bar["turnover"]), int(bar["trades"])]
        for bar in bars
    ]  # fmt: skip


@given(trades_given, st.lists(st.integers(0, 40), max_size=4))
def test_they_are_plain_sums_however_the_changes_come(
    happened: list[Trade | int], cuts: list[int]
) -> None:
    statistics, rows = Statistics(three()), rows_of(happened)
    at = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    for begin, end in pairwise(at):
        statistics.apply(rows[begin:end])
    for number in (1, 2, 3):
        day, ended, bars = plain(happened, number)
        symbol = statistics[number]
        assert (symbol.day and symbol.day.values()) == day and symbol.days_ended == ended
        fitting = [bar for bar in bars if min(bar[1:5]) >= -MOST and abs(bar[6]) < 2**127]
        assert bar_values(symbol.bars(days=False)) == fitting
        mine = [one for one in happened if isinstance(one, tuple) and one[0] == number]
        assert symbol.trades.last()["price"].tolist() == [price for _, price, _, _ in mine]


def test_memory_is_bounded() -> None:
    statistics = Statistics(three())
    count = 3 * MINUTES
    for day in range(3):
        happened: list[Trade | int] = [
            (1, 1, 1, (day * count + minute) * MINUTE) for minute in range(count)
        ]
        statistics.apply(rows_of(happened))
    symbol = statistics[1]
    assert len(symbol.bars(days=False)) == MINUTES + 1
    assert symbol.bars(False)["start"][-1] == (3 * count - 1) * 60
    assert len(symbol.trades) == TRADES
    far: list[Trade | int] = [(2, 1, 1, day * 1440 * MINUTE) for day in range(DAYS + 100)]
    statistics.apply(rows_of(far))
    assert len(statistics[2].bars(days=True)) == DAYS + 1
    assert len(statistics[2].bars(True, 10)) == 10 and len(statistics[2].bars(True, 1)) == 1


@given(st.lists(st.integers(0, 30), max_size=20), st.integers(1, 20))
def test_a_ring_keeps_the_last(counts: list[int], most: int) -> None:
    ring, plain_list, number = Ring(BAR, most), list[int](), 0
    views: list[tuple[NDArray[np.void], list[int]]] = []
    for count in counts:
        rows = np.zeros(count, BAR)
        rows["start"] = np.arange(number, number + count)
        number += count
        ring.extend(rows)
        plain_list = [*plain_list, *rows["start"].tolist()][-most:]
        views.append((ring.last(), plain_list))
        assert len(ring) == len(plain_list)
        assert ring.last(3)["start"].tolist() == plain_list[-3:]
    for view, expected in views:
        assert view["start"].tolist() == expected


@given(trades_given)
def test_what_is_saved_goes_on_as_if_nothing_had_been(happened: list[Trade | int]) -> None:
    mark = Mark("00" * 16, 7, 8, "11" * 32)
    statistics = Statistics(three())
    statistics.apply(rows_of(happened))
    with tempfile.TemporaryDirectory() as directory:
        books = Books(three())
        save(Path(directory), mark, packed(statistics, Notices()) | saving.added(books))
        assert load_mark(Path(directory)) == mark
        again, _, _ = load(Path(directory), mark, books)
    told = Notices([Told(9, 8, 7, 0, "halt")])
    relayed, its_notices = from_bytes(to_bytes(statistics, told), three())
    assert its_notices.last == told.last
    for known in (statistics, again, relayed):
        known.apply(rows_of(happened))
    for number in (1, 2, 3):
        equal(statistics[number], again[number])
        equal(statistics[number], relayed[number])


def equal(mine: Symbol, its: Symbol) -> None:
    assert (mine.day and mine.day.values()) == (its.day and its.day.values())
    assert mine.days_ended == its.days_ended
    for days in (False, True):
        assert mine.bars(days).tobytes() == its.bars(days).tobytes()
    assert mine.trades.last().tobytes() == its.trades.last().tobytes()


@given(st.binary(max_size=200), st.data())
def test_bytes_that_are_no_statistics_are_refused(wrong: bytes, data: st.DataObject) -> None:
    statistics = Statistics(three())
    statistics.apply(rows_of([(1, 3, 2, 0)]))
    good = to_bytes(statistics, Notices())
    at = data.draw(st.integers(0, len(good) - 1))
    for said in (wrong, good[:at], good[:at] + wrong + good[at + len(wrong) :]):
        with suppress(FeedError):  # nothing else
            from_bytes(said, three())
    with pytest.raises(FeedError, match="statistics of another feed"):
        from_bytes(good[:at], three())
    with pytest.raises(FeedError, match="of 3 instruments, not 1"):
        from_bytes(good, Directory([mc.Instrument("ONE", "0.05")]))


def test_a_finer_and_a_coarser_tick_keep_values() -> None:
    instruments = Directory([mc.Instrument("ONE", "0.05")])
    statistics = Statistics(instruments)
    statistics.apply(rows_of([(1, 3, 2, 0)]))  # 0.15
    for tick, price in (("0.02", 4), ("1", 2), ("0.05", 1)):  # 0.08, 2, 0.05
        instruments.replace(1, mc.Instrument("ONE", tick))
        defined = rows_of([0])
        defined["kind"], defined["instrument"] = ChangeKind.DEFINED, 1
        statistics.apply(defined)
        statistics.apply(rows_of([(1, price, 1, 0)]))
    symbol = statistics[1]
    assert symbol.unit == (1, -2) and symbol.day is not None
    assert symbol.day.values() == [15, 200, 5, 5, 5, 2 * 15 + 8 + 200 + 5, 4]
    assert symbol.trades.last()[["price", "mantissa", "exponent"]].tolist() == [
        (3, 5, -2), (4, 2, -2), (2, 1, 0), (1, 5, -2)
    ]  # fmt: skip
