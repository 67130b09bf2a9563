"""Reports of markets: what they say of an order adds up, and is what the machine has of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from market_flows import market_flow, world
from numpy.typing import NDArray
from reports_kit import Pair, cuts

from matchcore import EventKind, Kind
from matchcore.machine.reference import Machine
from matchcore.records.events import fresh
from matchcore.records.markets import ANY_BUY, ANY_SELL
from matchcore.records.schema import (
    CANCEL_REASONS,
    EXPIRY_REASONS,
    OPEN_STATUSES,
    Flag,
    OrderStatus,
    OrderType,
    Reason,
    ReportFlag,
    ReportKind,
)

MANY = 1 << 20
#: Reports of one order that is known.
OF_ORDERS = {
    ReportKind.NEW,
    ReportKind.TRADE,
    ReportKind.CANCELLED,
    ReportKind.REPLACED,
    ReportKind.TRIGGERED,
    ReportKind.REPRICED,
    ReportKind.DECREMENTED,
    ReportKind.BUSTED,
}


def session_market_flow(seed: int, count: int) -> NDArray[np.void]:
    """As `market_flow`, whose orders have ids with tails; some are sent again."""
    rows = market_flow(seed, count)
    rng = np.random.default_rng(seed)
    orders = rows["kind"] <= Kind.MASS_CANCEL
    orders |= rows["kind"] == Kind.QUOTE
    named = orders & (rng.random(len(rows)) < 0.8)
    names = 1 + np.arange(len(rows)) - np.where(rng.random(len(rows)) < 0.1, 3, 0)
    rows["client_order_id"][named] = names[named]
    rows["client_order_tail"][orders] = rng.choice([0, 0, 7], len(rows))[orders]
    totals = (rows["kind"] == Kind.AMEND) & (rng.random(len(rows)) < 0.3)
    rows["flags"][totals], rows["quantity"][totals] = Flag.TOTAL | Flag.KEEP_PRICE, 2
    for name in ("account", "stop_price", "display_quantity"):
        rows[name][totals] = 0
    busts = rows["kind"] == Kind.BUST
    rows["instrument"][busts] = np.maximum(1, rows["instrument"][busts])
    return rows


@dataclass
class Told:
    """One order as its session has been told of it, added up here."""

    entered: int  # with what it was amended by, less what it was decremented by
    left: int
    filled: int = 0
    busted: int = 0
    cancelled: int = 0
    turnover: int = 0


class Book:
    """Adds up the reports of orders, and checks each against what came before."""

    def __init__(self) -> None:
        self.orders: dict[tuple[int, int], Told] = {}
        self.trades: dict[int, list[Told]] = defaultdict(list)  # maker, then taker

    def take(self, row: np.void) -> None:
        kind, trade = int(row["kind"]), int(row["trade_id"])
        if kind not in OF_ORDERS or row["flags"] & ReportFlag.COPY:
            return
        place = int(row["instrument"]), int(row["order_id"])
        left, last = int(row["left"]), int(row["last_quantity"])
        if kind == ReportKind.NEW:
            self.orders[place] = Told(left, left)
        told = self.orders[place]
        if kind == ReportKind.BUSTED:  # the id may be of a newer order
            told = self.trades[trade][0 if row["flags"] & ReportFlag.MAKER else 1]
            told.filled, told.busted = told.filled - last, told.busted + last
            told.turnover -= last * int(row["last_price"])
        elif kind == ReportKind.TRADE:
            self.trades[trade].append(told)
            told.filled, told.left = told.filled + last, told.left - last
            told.turnover += last * int(row["last_price"])
        elif kind in (ReportKind.DECREMENTED, ReportKind.REPLACED):
            assert kind == ReportKind.REPLACED or told.left - left == last > 0
            told.entered, told.left = told.entered + left - told.left, left
        elif kind == ReportKind.CANCELLED:
            told.cancelled, told.left = told.left, 0
        self.check(row, told)

    def check(self, row: np.void, told: Told) -> None:
        assert told.entered == told.filled + told.busted + told.left + told.cancelled
        assert int(row["filled"]) == told.filled
        assert int(row["left"]) == told.left >= 0
        assert int(row["quantity"]) == told.filled + told.left + told.cancelled
        turnover = int(row["turnover"]) + (int(row["turnover_high"]) << 64)
        assert turnover == told.turnover
        assert (row["status"] in OPEN_STATUSES) == (told.left > 0)
        if row["status"] == OrderStatus.PARTLY_FILLED:
            assert told.filled > 0
        if row["order_type"] == OrderType.MARKET:
            assert row["price"] not in (ANY_BUY, ANY_SELL)
        if row["kind"] == ReportKind.CANCELLED:
            ended = row["reason"] in EXPIRY_REASONS
            assert row["status"] == (OrderStatus.EXPIRED if ended else OrderStatus.CANCELLED)

    def compare(self, machine: Machine, pair: Pair) -> None:
        """What is open here is what rests there."""
        state, resting, at = machine.state(), set(), 0
        markets = set(state.markets["instrument"].tolist())
        for number, orders in enumerate(state.orders, 1):
            for order in orders:
                place = number, int(order["order_id"])
                resting.add(place)
                told, row = self.orders[place], pair.fast.order(*place)
                assert row is not None and row["status"][0] in OPEN_STATUSES
                assert told.left == order["quantity"] == row["left"][0]
                assert order["price"] == row["price"][0] or row["order_type"][0] == OrderType.MARKET
                if number in markets:
                    more = state.market_orders[at]
                    at += 1
                    assert told.filled + told.busted == more["filled"]
                    assert more["session"] == row["session"][0]
        assert resting == {place for place, told in self.orders.items() if told.left}


def run(seed: int, count: int, longest: int, remembered: int = MANY) -> NDArray[np.void]:
    """All reports of a flow, from both implementations, which agree."""
    machine, pair, book = Machine(), Pair(remembered), Book()
    said = []
    rows = session_market_flow(seed, count)
    for part in [world(), *cuts(seed, rows, longest)]:
        events = machine.apply(part)
        reports = pair.apply(part, events)
        said.append(reports)
        if remembered == MANY:
            for report in reports:
                book.take(report)
            book.compare(machine, pair)
    pair.look(rows[-30:])
    return np.concatenate(said)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.integers(1, 250), st.integers(2, 60))
def test_reports_of_markets_conserve_quantity(seed: int, count: int, longest: int) -> None:
    run(seed, count, longest)


@pytest.mark.parametrize("remembered", [1, 2, 30])
@pytest.mark.parametrize("seed", range(2))
def test_reports_that_forget_agree(seed: int, remembered: int) -> None:
    run(seed, 600, 100, remembered)


def test_the_flows_meet_every_report_and_reason() -> None:
    """The checks above are worth something only if the flows get everywhere."""
    told = np.concatenate([run(seed, 700, 300) for seed in range(10)])
    assert set(told["kind"].tolist()) == set(ReportKind)
    assert set(told["status"].tolist()) == set(range(7))
    flags = int(np.bitwise_or.reduce(told["flags"]))
    assert flags == sum(ReportFlag)
    cancelled = told[told["kind"] == ReportKind.CANCELLED]
    rare = {Reason.KILL_SWITCH, Reason.REFERENCE_GONE, Reason.VOLATILITY, Reason.PROTECTION}
    assert CANCEL_REASONS - rare <= set(cancelled["reason"].tolist())


def test_trades_are_told_to_the_sessions_of_both_orders() -> None:
    """Whatever command made them meet: its sender is told only of its own orders."""
    machine, pair = Machine(), Pair(MANY)
    rows = np.concatenate([world(), session_market_flow(3, 700)])
    events = machine.apply(rows)
    told = pair.apply(rows, events)
    sender: dict[tuple[int, int], int] = {}
    expected = []
    for event in fresh(events):
        command = rows[int(event["sequence"]) - 1]
        place = int(event["instrument"]), int(event["order_id"])
        if event["kind"] == EventKind.ACCEPTED:
            sender[place] = int(command["session"])
        elif event["kind"] == EventKind.TRADED:
            taker = int(event["instrument"]), int(event["taker_order_id"])
            expected += [(int(event["trade_id"]), sender[place]),
                         (int(event["trade_id"]), sender[taker])]  # fmt: skip
    trades = told[told["kind"] == ReportKind.TRADE]
    assert list(zip(trades["trade_id"].tolist(), trades["session"].tolist(), strict=True)) == (
        expected
    )
    others = trades["session"] != rows["session"][trades["sequence"].astype(int) - 1]
    assert others.any()
