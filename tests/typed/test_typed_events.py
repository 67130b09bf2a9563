"""Typed events: every field of the record, for every kind, and what an answer makes of them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import matchcore as mc
from matchcore import EVENT, Directory, EventKind, Field, Instrument, Reason, Side, Status
from matchcore.records.schema import BOOK_EVENTS, MARKET_EVENTS, ORDER_EVENTS

DIRECTORY = Directory([Instrument("ANA", "0.05"), Instrument("NANO", "1e-9")])
i64, u64 = st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**64 - 1)
VALUES = {
    name: i64 if kind == np.dtype("<i8") else u64
    for name, (kind, *_) in (EVENT.fields or {}).items()
    if kind.itemsize == 8
} | {
    "side": st.sampled_from([1, 2]),
    "reason": st.sampled_from([int(reason) for reason in Reason]),
    "field": st.sampled_from([int(field) for field in Field]),
}
SAME = ("sequence", "order_id", "client_order_id", "account", "quantity", "left", "reason",
        "field", "side", "kind")  # fmt: skip

UNKNOWN = max(EventKind) + 1


def row_of(kind: int, values: dict[str, int], instrument: int = 1) -> np.void:
    row = np.zeros(1, EVENT)
    for name, value in (values | {"kind": kind, "instrument": instrument}).items():
        row[name] = value
    return row[0]


@given(st.fixed_dictionaries(VALUES), st.sampled_from([1, 2]))
def test_a_trade_is_its_record(values: dict[str, int], number: int) -> None:
    trade = mc.decode_event(row_of(EventKind.TRADED, values, number), DIRECTORY)
    assert isinstance(trade, mc.Trade)
    assert trade.symbol == DIRECTORY[number].symbol
    assert DIRECTORY[number].ticks(trade.price) == values["price"]
    shown = (trade.maker_order_id, trade.maker_account, trade.maker_left, trade.taker_order_id,
             trade.taker_account, trade.taker_left, trade.trade_id, trade.quantity,
             trade.sequence, trade.side)  # fmt: skip
    names = ("order_id", "account", "left", "taker_order_id", "taker_account", "taker_left",
             "trade_id", "quantity", "sequence", "side")  # fmt: skip
    assert shown == tuple(values[name] for name in names)
    assert {trade.side, trade.aggressor} == {Side.BUY, Side.SELL}


@pytest.mark.parametrize("kind", [kind for kind in EventKind if kind != EventKind.TRADED])
@given(values=st.fixed_dictionaries(VALUES), number=st.sampled_from([1, 2]))
def test_an_order_event_is_its_record(kind: EventKind, values: dict[str, int], number: int) -> None:
    if kind == EventKind.PHASE_CHANGED:
        values = values | {"left": values["left"] % 12 + 1, "taker_left": values["side"]}
    event = mc.decode_event(row_of(kind, values, number), DIRECTORY)
    assert isinstance(event, mc.OrderEvent)
    values = values | {"kind": kind}
    assert [int(getattr(event, name)) for name in SAME] == [values[name] for name in SAME]
    assert event.symbol == DIRECTORY[number].symbol
    told = kind == EventKind.BUSTED or (kind in MARKET_EVENTS and values["quantity"] > 0)
    any_price = 2**63 - 1 if event.side == Side.BUY else -(2**63)  # of a market order in a call
    if told or (kind in ORDER_EVENTS and values["price"] != any_price):
        assert event.price is not None and DIRECTORY[number].ticks(event.price) == values["price"]
    else:
        assert event.price is None
    assert event.trade_id == (values["trade_id"] if kind == EventKind.BUSTED else 0)
    phases = (values["left"], values["taker_left"])
    changed = kind == EventKind.PHASE_CHANGED
    assert (event.phase, event.before) == (phases if changed else (None, None))


@given(st.fixed_dictionaries(VALUES), st.sampled_from([0, 3, 2**32 - 1]))
def test_a_refusal_about_an_unknown_instrument_has_no_symbol_and_no_price(
    values: dict[str, int], number: int
) -> None:
    event = mc.decode_event(row_of(EventKind.REJECTED, values, number), DIRECTORY)
    assert isinstance(event, mc.OrderEvent)
    assert (event.symbol, event.price, event.quantity) == (None, None, values["quantity"])


@pytest.mark.parametrize(
    ("field", "row"),
    [("kind 0", row_of(0, {})), (f"kind {UNKNOWN}", row_of(UNKNOWN, {})),
     ("reason 31", row_of(EventKind.REJECTED, {"reason": 31})),
     (f"field {max(Field) + 1}", row_of(EventKind.REJECTED, {"field": max(Field) + 1})),
     ("side 0", row_of(EventKind.TRADED, {"side": 0})),
     ("left 0", row_of(EventKind.PHASE_CHANGED, {"taker_left": 1})),
     ("taker_left 13", row_of(EventKind.PHASE_CHANGED, {"left": 1, "taker_left": 13})),
     *((f"instrument {number}", row_of(kind, {"side": 1}, number)) for number in (0, 3)
       for kind in sorted(BOOK_EVENTS))],
)  # fmt: skip
def test_what_no_exchange_says_is_an_invalid_event(field: str, row: np.void) -> None:
    with pytest.raises(mc.InvalidEvent, match=f"^{field}:"):
        mc.decode_event(row, DIRECTORY)


@pytest.mark.parametrize("side", [0, 3, 255])
def test_a_refused_side_is_no_side(side: int) -> None:
    event = mc.decode_event(row_of(EventKind.REJECTED, {"side": side}), DIRECTORY)
    assert event.side is None


@pytest.mark.parametrize("kind", EventKind)
@given(values=st.fixed_dictionaries(VALUES))
def test_an_event_is_shown_as_json(kind: EventKind, values: dict[str, int]) -> None:
    if kind == EventKind.PHASE_CHANGED:
        values = values | {"left": 5, "taker_left": 2}
    event = mc.decode_event(row_of(kind, values), DIRECTORY)
    plain = mc.as_plain(event)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["side"] == event.side.name  # type: ignore[union-attr]
    if event.price is not None:
        assert Decimal(plain["price"]) == event.price
    if isinstance(event, mc.OrderEvent):
        assert plain["phase"] == ("CONTINUOUS" if kind == EventKind.PHASE_CHANGED else None)
        assert (plain["kind"], plain["reason"]) == (kind.name, Reason(values["reason"]).name)


def engine() -> mc.Engine:
    return mc.Engine.memory(instruments=DIRECTORY)


def test_the_events_of_an_engine_in_words() -> None:
    exchange = engine()
    exchange.submit(mc.NewOrder("ANA", Side.SELL, 74, "95.70", account=1, client_order_id=9))
    answer = exchange.submit(mc.NewOrder("ANA", Side.BUY, 30, "95.75", account=2))
    accepted, trade = answer.typed()
    assert (accepted.kind, accepted.price, accepted.left) == (1, Decimal("95.75"), 30)  # type: ignore[union-attr]
    assert trade == mc.Trade(4, "ANA", 1, Decimal("95.70"), 30, Side.SELL, 1, 1, 44, 2, 2, 0)
    assert answer.trades == [trade] and trade.aggressor == Side.BUY  # type: ignore[union-attr]


#: Commands one after another on one engine; what each answer says.
STORY: list[tuple[Any, Status, int, int, Reason]] = [
    (mc.NewOrder("ANA", Side.SELL, 10, "1", order_id=7), Status.OPEN, 0, 10, Reason.NONE),
    (mc.NewOrder("ANA", Side.BUY, 4, "1"), Status.FILLED, 4, 0, Reason.NONE),
    (mc.NewOrder("ANA", Side.BUY, 9, "1", order_id=8), Status.PARTLY_FILLED, 6, 3, Reason.NONE),
    (mc.NewOrder("ANA", Side.SELL, 5), Status.CANCELLED, 3, 0, Reason.MARKET_REMAINDER),
    (mc.NewOrder("ANA", Side.SELL, 0), Status.REJECTED, 0, 0, Reason.QUANTITY_NOT_POSITIVE),
    (mc.NewOrder("ANA", Side.SELL, 5, "2", order_id=9), Status.OPEN, 0, 5, Reason.NONE),
    (mc.Amend("ANA", 9, 4), Status.OPEN, 0, 4, Reason.NONE),
    (mc.Reduce("ANA", 9, 1), Status.OPEN, 0, 3, Reason.NONE),
    (mc.Reduce("ANA", 9, 3), Status.CANCELLED, 0, 0, Reason.REDUCED_TO_NOTHING),
    (mc.Cancel("ANA", 9), Status.REJECTED, 0, 0, Reason.UNKNOWN_ORDER),
    (mc.MassCancel(), Status.DONE, 0, 0, Reason.NONE),
    (mc.EndDay("ANA"), Status.DONE, 0, 0, Reason.NONE),
]


def test_what_an_answer_says_of_its_order() -> None:
    exchange = engine()
    for sequence, (command, status, filled, left, reason) in enumerate(STORY, 3):
        answer = exchange.submit(command)
        said = (answer.sequence, answer.status, answer.filled, answer.left, answer.reason)
        assert said == (sequence, status, filled, left, reason), command
        assert answer.rejected == (status == Status.REJECTED)
        assert repr(answer).startswith(f"<Answer {sequence}: order {answer.order_id} {status}")
    assert answer.field == Field.NONE


def test_an_instrument_command_leaves_nothing_open() -> None:
    answer = engine().submit(mc.AddInstrument(Instrument("X", 1)))
    assert (answer.status, answer.left) == (Status.DONE, 0)


def test_a_look_into_the_book_in_prices() -> None:
    exchange = engine()
    sent = (Side.BUY, "1"), (Side.BUY, "1"), (Side.BUY, "0.95"), (Side.SELL, "1.05")
    for client, (side, price) in enumerate(sent, 3):
        exchange.submit(mc.NewOrder("ANA", side, 5, price, account=4, client_order_id=client))
    book = exchange.book("ANA")
    assert [str(level) for level in book.bids()] == ["1.00 x 10", "0.95 x 5"]
    assert book.best_bid == mc.PriceLevel(Decimal("1.00"), 10, 2) == book.bids(1)[0]
    assert book.best_ask == mc.PriceLevel(Decimal("1.05"), 5, 1) and book.asks(0) == []
    assert book.order(4) == mc.RestingOrder(4, 6, 4, Side.SELL, Decimal("1.05"), 5)
    assert book.order(5) is None and len(book.orders()) == 4
    assert json.loads(json.dumps(book.as_plain(1))) == {
        "symbol": "ANA",
        "bids": [{"price": "1.00", "quantity": 10, "orders": 2}],
        "asks": [{"price": "1.05", "quantity": 5, "orders": 1}],
    }
    with pytest.raises(ValueError, match="depth"):
        book.bids(-1)
