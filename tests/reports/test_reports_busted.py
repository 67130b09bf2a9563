"""What an order has traded after one of its trades was busted: by hand, on both implementations,
and as FIX says it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flows import definitions
from market_flows import parameter
from numpy.typing import NDArray
from reports_kit import WORLD, Pair

from matchcore import COMMAND, Kind, Machine, OrderType, Side, TimeInForce
from matchcore.gateways.fix._reports import Reports as Fast
from matchcore.gateways.fix.plain_reports import Plain
from matchcore.records.schema import Flag, OrderStatus, Parameter, ReportFlag, ReportKind

PREVIOUSLY = {"kind": Kind.NEW, "instrument": 1, "order_type": OrderType.LIMIT,
              "time_in_force": TimeInForce.GTC}  # fmt: skip
SELL = {"order_id": 1, "account": 1, "session": 1, "client_order_id": 11, "side": Side.SELL}
BUY = {"account": 2, "session": 2, "side": Side.BUY}
BUST = {"kind": Kind.BUST, "side": 0, "order_type": 0, "time_in_force": 0}
WRITERS = Fast, Plain


def command(*parts: dict[str, int], **fields: int) -> dict[str, int]:
    return {name: value for part in (PREVIOUSLY, *parts, fields) for name, value in part.items()}


def bust(trade: int, quantity: int, price: int) -> dict[str, int]:
    return command(BUST, order_id=trade, quantity=quantity, price=price)


class Exchange:
    """A machine with a market, and what the sessions of its orders are told."""

    def __init__(self) -> None:
        self.machine, self.pair = Machine(), Pair(1 << 20)
        for rows in (definitions(*WORLD), parameter(1, Parameter.TRADING)):
            self.tell(rows)
        self.send(command(SELL, quantity=10, price=100))
        self.send(command(BUY, order_id=2, client_order_id=21, quantity=4, price=100))
        self.send(command(BUY, order_id=3, client_order_id=22, quantity=3, price=104))

    def tell(self, rows: NDArray[Any]) -> NDArray[np.void]:
        return self.pair.apply(rows, self.machine.apply(rows))

    def send(self, fields: dict[str, int]) -> NDArray[np.void]:
        rows = np.zeros(1, COMMAND)
        for name, value in fields.items():
            rows[name] = value
        return self.tell(rows)


def said(report: np.void) -> tuple[int, ...]:
    """Kind, order, filled, left, quantity, turnover, status."""
    names = "kind", "order_id", "filled", "left", "quantity", "turnover", "status"
    return tuple(int(report[name]) for name in names)


def fix_of(report: NDArray[np.void], writer: Any) -> dict[str, str]:
    made = writer(b"FIX.4.4", b"ME", b"YOU", 9, False, [(b"ONE", 1, 2), (b"TWO", 5, 1)])
    text = made.write(report, 1, 0).decode()
    fields = dict(field.split("=") for field in text.split("\x01") if field)
    return {tag: fields[tag] for tag in ("150", "39", "38", "151", "14", "6", "32", "31", "527")}


def test_a_trade_counts_no_more_and_the_book_stays() -> None:
    exchange = Exchange()
    # 4 and 3 of 10 have traded at 1.00; the trade of 4 goes
    maker, taker = exchange.send(bust(1, 4, 100))
    assert said(maker) == (ReportKind.BUSTED, 1, 3, 3, 6, 300, OrderStatus.PARTLY_FILLED)
    assert said(taker) == (ReportKind.BUSTED, 2, 0, 0, 0, 0, OrderStatus.CANCELLED)
    for report, flags in ((maker, ReportFlag.MAKER), (taker, 0)):
        assert report["flags"] == flags | ReportFlag.UNSOLICITED
        assert (report["trade_id"], report["last_quantity"], report["last_price"]) == (1, 4, 100)
    assert (maker["session"], maker["client_order_id"]) == (1, 11)
    assert (taker["session"], taker["client_order_id"]) == (2, 21)
    assert exchange.machine.orders(1)["quantity"].tolist() == [3]


def test_an_open_order_that_has_traded_nothing_else_is_new_again() -> None:
    exchange = Exchange()
    exchange.send(bust(2, 3, 100))
    maker, taker = exchange.send(bust(1, 4, 100))
    assert said(maker) == (ReportKind.BUSTED, 1, 0, 3, 3, 0, OrderStatus.NEW)
    assert said(taker) == (ReportKind.BUSTED, 2, 0, 0, 0, 0, OrderStatus.CANCELLED)
    assert len(exchange.send(bust(1, 4, 100))) == 0  # told once


def test_the_next_fill_counts_from_there() -> None:
    exchange = Exchange()
    exchange.send(bust(1, 4, 100))
    maker, taker = exchange.send(
        command(BUY, order_id=4, client_order_id=23, quantity=3, price=100)
    )[1:]
    assert said(maker) == (ReportKind.TRADE, 1, 6, 0, 6, 600, OrderStatus.FILLED)
    assert said(taker) == (ReportKind.TRADE, 4, 3, 0, 3, 300, OrderStatus.FILLED)
    # of a filled order with another trade: still filled, with what is left of it
    maker, taker = exchange.send(bust(2, 3, 100))
    assert said(maker) == (ReportKind.BUSTED, 1, 3, 0, 3, 300, OrderStatus.FILLED)
    assert said(taker) == (ReportKind.BUSTED, 3, 0, 0, 0, 0, OrderStatus.CANCELLED)


def test_the_price_and_quantity_told_are_those_of_the_trade() -> None:
    """Not those that the operator named."""
    maker, taker = Exchange().send(bust(1, 1, 7))
    assert [(row["last_quantity"], row["last_price"]) for row in (maker, taker)] == [(4, 100)] * 2


def test_a_total_goes_on_counting_it_as_filled() -> None:
    exchange = Exchange()
    exchange.send(bust(1, 4, 100))
    total = command(
        SELL, kind=Kind.AMEND, side=0, order_type=0, time_in_force=0, client_order_id=12,
        quantity=9, flags=Flag.TOTAL | Flag.KEEP_PRICE,
    )  # fmt: skip
    (report,) = exchange.send(total)
    assert said(report) == (ReportKind.REPLACED, 1, 3, 2, 5, 300, OrderStatus.PARTLY_FILLED)


@pytest.mark.parametrize("writer", WRITERS)
def test_fix_counts_it_no_more(writer: Any) -> None:
    exchange = Exchange()
    reports = exchange.send(bust(1, 4, 100))
    shared = {"150": "H", "32": "4", "31": "1.00", "527": "1"}
    assert fix_of(reports[:1], writer) == {
        **shared, "39": "1", "38": "6", "151": "3", "14": "3", "6": "1.00",
    }  # fmt: skip
    assert fix_of(reports[1:], writer) == {
        **shared, "39": "4", "38": "0", "151": "0", "14": "0", "6": "0",
    }  # fmt: skip
