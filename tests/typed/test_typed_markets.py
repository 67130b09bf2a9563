"""Typed commands of markets: every field both ways, and what no record and no face can say."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import matchcore as mc
from matchcore import COMMAND, OrderType, Parameter, Phase, SelfTrade, Side, TimeInForce
from matchcore.records.parameters import PARAMETERS
from matchcore.records.schema import (
    AMEND_FLAGS,
    NEW_FLAGS,
    PEG_TYPES,
    UNPRICED_TYPES,
    Flag,
    Kind,
)

DIRECTORY = mc.Directory([mc.Instrument("ANA", "0.05"), mc.Instrument("NANO", "1e-9", lot=3)])
I64_MIN, I64_MAX = -(2**63), 2**63 - 1
i64 = st.one_of(st.integers(I64_MIN, I64_MAX), st.sampled_from([0, 1, -1, I64_MAX, I64_MIN]))
u64 = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 2**63, 2**64 - 1]))
u32 = st.integers(0, 2**32 - 1)
symbols = st.sampled_from(["ANA", "NANO"])
STOPS = {OrderType.STOP, OrderType.STOP_LIMIT}


def priced(draw: st.DrawFn, symbol: str, nonzero: bool = False) -> Decimal:
    return DIRECTORY[symbol].price(draw(i64.filter(bool) if nonzero else i64))


@st.composite
def new_orders(draw: st.DrawFn) -> mc.NewOrder:
    """Every meaning of every field, also of types that the exchange refuses it of."""
    symbol, kind = draw(symbols), draw(st.sampled_from([None, *OrderType]))
    more: dict[str, Any] = {}
    bounded = draw(st.booleans()) or kind in (OrderType.LIMIT, OrderType.STOP_LIMIT)
    price = priced(draw, symbol) if bounded else None
    if kind == OrderType.LIMIT or (kind == OrderType.MARKET and price is None):
        kind = None  # which says the same
    if kind in STOPS:
        more["stop_price"] = priced(draw, symbol)
    elif kind == OrderType.TRAILING_STOP and draw(st.booleans()):
        more["trailing_percent"] = Decimal(draw(i64)).scaleb(-2)
    elif kind in PEG_TYPES | {OrderType.TRAILING_STOP}:
        more["offset"] = priced(draw, symbol, nonzero=True) if draw(st.booleans()) else None
    elif draw(st.booleans()):
        more["minimum_quantity"] = draw(i64)
    elif draw(st.booleans()):
        more["stop_price"] = priced(draw, symbol, nonzero=True)
    more["linked_order_id" if draw(st.booleans()) else "display_quantity"] = draw(
        st.integers(0, I64_MAX) | st.sampled_from([1, I64_MAX])
    )
    if "linked_order_id" in more:
        more["linked_order_id"] = draw(u64)
    return mc.NewOrder(
        symbol, draw(st.sampled_from(Side)), draw(i64), price,
        draw(st.sampled_from(TimeInForce)), draw(u64), draw(u64), draw(u64), draw(st.booleans()),
        draw(i64), draw(u32), draw(u64), order_type=kind, expiry=draw(i64),
        self_trade=draw(st.sampled_from(SelfTrade)), hidden=draw(st.booleans()),
        slide=draw(st.booleans()), **more,
    )  # fmt: skip


@st.composite
def amends(draw: st.DrawFn) -> mc.Amend:
    symbol = draw(symbols)
    quantity = {draw(st.sampled_from(["quantity", "total_quantity"])): draw(st.none() | i64)}
    prices = {name: priced(draw, symbol) for name in ("price", "stop_price")
              if draw(st.booleans())}  # fmt: skip
    return mc.Amend(
        symbol, draw(u64), account=draw(u64), time=draw(i64), client_order_id=draw(u64),
        session=draw(u32), client_order_tail=draw(u64), display_quantity=draw(st.none() | i64),
        **quantity, **prices,
    )  # fmt: skip


@st.composite
def mass_cancels(draw: st.DrawFn) -> mc.MassCancel:
    symbol = draw(st.none() | symbols)
    ends: dict[str, Any] = {}
    if symbol is not None:
        inside = st.integers(I64_MIN + 1, I64_MAX - 1)
        ends = {name: draw(st.none() | inside.map(DIRECTORY[symbol].price))
                for name in ("lowest", "highest")}  # fmt: skip
    return mc.MassCancel(
        symbol, draw(u64), draw(st.sampled_from([None, *Side])), draw(i64), draw(u64), draw(u32),
        draw(u64), of_session=draw(st.booleans()), **ends,
    )  # fmt: skip


@st.composite
def quotes(draw: st.DrawFn) -> mc.Quote:
    symbol = draw(symbols)
    sides: dict[str, Any] = {}
    for side in ("bid", "ask"):
        if draw(st.booleans()):
            sides[side] = priced(draw, symbol)
            sides[f"{side}_quantity"] = draw(i64.filter(bool))
    return mc.Quote(
        symbol, draw(u64), **sides, self_trade=draw(st.sampled_from(SelfTrade)), time=draw(i64),
        client_order_id=draw(u64), session=draw(u32), client_order_tail=draw(u64),
    )  # fmt: skip


@st.composite
def parameters(draw: st.DrawFn) -> mc.SetMarket:
    parameter = draw(st.sampled_from(Parameter))
    values = {one.name: draw(i64) for one in PARAMETERS[parameter]}
    index = draw(st.integers(0, 255))
    return mc.SetMarket(draw(symbols), parameter, values, index, draw(i64), draw(u32))


STRATEGIES: dict[str, st.SearchStrategy[Any]] = {
    "NewOrder": new_orders(),
    "Amend": amends(),
    "MassCancel": mass_cancels(),
    "Quote": quotes(),
    "SetMarket": parameters(),
    "SetPhase": st.builds(
        mc.SetPhase, st.none() | symbols, st.sampled_from(Phase), u32, i64, st.booleans(), i64, u32
    ),
    "Clock": st.builds(mc.Clock, st.none() | symbols, i64, u32),
    "SetProtection": st.builds(
        mc.SetProtection, u64, st.none() | symbols, i64, i64, i64, u64, i64, u32
    ),
    "Bust": st.builds(
        lambda symbol, trade, ticks, *more: mc.Bust(
            symbol, trade, DIRECTORY[symbol].price(ticks), *more
        ),
        symbols, u64, i64, i64, i64, u32,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STRATEGIES)
@given(data=st.data())
def test_every_field_comes_back_from_its_record(name: str, data: st.DataObject) -> None:
    command = data.draw(STRATEGIES[name])
    record = mc.encode(command, DIRECTORY)
    assert record.dtype == COMMAND and record.shape == (1,)
    again = mc.decode(record[0], DIRECTORY)
    assert type(again).__name__ == name and again == command
    assert mc.encode(again, DIRECTORY).tobytes() == record.tobytes()


@pytest.mark.parametrize("name", STRATEGIES)
@given(data=st.data())
def test_every_field_is_shown_as_json(name: str, data: st.DataObject) -> None:
    plain = mc.as_plain(data.draw(STRATEGIES[name]))
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["type"] == name
    for field in ("stop_price", "offset", "trailing_percent", "lowest", "highest", "bid", "ask"):
        assert isinstance(plain.get(field), str | None)


#: Fields of a record that its kind reads, and values that are near what they mean.
NEAR = st.one_of(i64, st.integers(-3, 20))
READ: dict[Kind, dict[str, st.SearchStrategy[int]]] = {
    Kind.NEW: {
        "side": st.integers(0, 3), "order_type": st.integers(0, 15),
        "time_in_force": st.integers(0, 10), "self_trade": st.integers(0, 6),
        "flags": st.sampled_from([0, *NEW_FLAGS]) | st.integers(0, 2**16 - 1),
        "expiry": NEAR, "reserved": st.sampled_from([0, 0, 0, 1]),
        "price": NEAR, "stop_price": NEAR, "display_quantity": NEAR, "quantity": NEAR,
    },
    Kind.AMEND: {
        "flags": st.sampled_from([0, *AMEND_FLAGS]) | st.integers(0, 2**16 - 1),
        "price": NEAR, "stop_price": NEAR, "display_quantity": NEAR, "quantity": NEAR,
        "expiry": st.sampled_from([0, 0, 1]), "self_trade": st.sampled_from([0, 0, 1]),
    },
    Kind.QUOTE: {
        "flags": st.sampled_from([0, 0, 1]), "self_trade": st.integers(0, 6),
        "expiry": st.sampled_from([0, 0, 1]),
        "price": NEAR, "stop_price": NEAR, "display_quantity": NEAR, "quantity": NEAR,
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", READ)
@given(data=st.data())
def test_a_record_is_what_its_face_is_or_has_none(kind: Kind, data: st.DataObject) -> None:
    """All that the record says is in the face: it gives the same bytes again."""
    record = np.zeros(1, COMMAND)
    record["kind"], record["instrument"] = kind, 2
    for name, values in READ[kind].items():
        record[name] = data.draw(values, name)
    flags = int(record["flags"][0])
    if kind == Kind.AMEND:  # what it says to keep, it does not read
        record["price"] *= not flags & Flag.KEEP_PRICE
        record["quantity"] *= not flags & Flag.KEEP_QUANTITY
    try:
        face = mc.decode(record[0], DIRECTORY)
    except mc.InvalidCommand:
        return
    assert mc.encode(face, DIRECTORY).tobytes() == record.tobytes()


def test_every_type_and_flag_has_a_face() -> None:
    for kind in OrderType:
        order = mc.NewOrder(
            "ANA", Side.BUY, 10, None if kind in UNPRICED_TYPES else "9", order_type=kind,
            stop_price="9.5" if kind in STOPS else None,
        )  # fmt: skip
        row = mc.encode(order, DIRECTORY)[0]
        assert (row["order_type"], row["flags"]) == (kind, 0)
    flags = {
        Flag.POST_ONLY: {"post_only": True}, Flag.HIDDEN: {"hidden": True},
        Flag.SLIDE: {"slide": True}, Flag.MINIMUM: {"minimum_quantity": 3},
        Flag.PROTECTED: {"order_type": OrderType.MARKET}, Flag.LINKED: {"linked_order_id": 5},
        Flag.PERCENT: {"order_type": OrderType.TRAILING_STOP, "trailing_percent": "1.5"},
    }  # fmt: skip
    assert {*flags} == {*NEW_FLAGS}
    for bit, more in flags.items():
        given = {"price": "9", **more}
        if bit == Flag.PERCENT:
            given["price"] = None
        assert mc.encode(mc.NewOrder("ANA", Side.BUY, 10, **given), DIRECTORY)["flags"] == bit


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, TimeInForce.IOC), ({"price": "9"}, TimeInForce.GTC),
        ({"price": "9", "expiry": 5}, TimeInForce.GTD), ({"order_type": 10}, TimeInForce.IOC),
        ({"order_type": 2, "price": "9"}, TimeInForce.IOC),
        ({"order_type": 4, "stop_price": "9"}, TimeInForce.GTC),
        ({"order_type": 3}, TimeInForce.GTC), ({"order_type": 7}, TimeInForce.GTC),
    ],
)  # fmt: skip
def test_the_usual_time_in_force(more: dict[str, Any], expected: TimeInForce) -> None:
    row = mc.encode(mc.NewOrder("ANA", Side.BUY, 10, **more), DIRECTORY)[0]
    assert row["time_in_force"] == expected


def test_the_record_of_each_meaning() -> None:
    def of(**more: Any) -> dict[str, int]:
        row = mc.encode(mc.NewOrder("ANA", Side.BUY, 10, **more), DIRECTORY)[0]
        names = ("price", "stop_price", "display_quantity", "flags")
        return {name: int(row[name]) for name in names if row[name]}

    trailing = OrderType.TRAILING_STOP
    assert of(order_type=4, stop_price="9.5") == {"stop_price": 190}
    assert of(order_type=trailing, offset="0.20") == {"stop_price": 4}
    assert of(order_type=trailing, trailing_percent="1.25") == {"stop_price": 125, "flags": 128}
    assert of(order_type=8, offset="-0.05", price="9") == {
        "price": 180, "stop_price": -1, "flags": 8,
    }  # fmt: skip
    assert of(price="9", minimum_quantity=4) == {"price": 180, "stop_price": 4, "flags": 64}
    assert of(price="9", display_quantity=2) == {"price": 180, "display_quantity": 2}
    assert of(price="9", linked_order_id=2**64 - 1) == {
        "price": 180, "display_quantity": -1, "flags": 256,
    }  # fmt: skip


ORDER = {"symbol": "ANA", "side": Side.BUY, "quantity": 10}
WRONG: list[tuple[Any, str]] = [
    *((mc.NewOrder(**ORDER, **more), field) for more, field in (
        ({"order_type": OrderType.LIMIT}, "price"),
        ({"order_type": OrderType.STOP_LIMIT, "stop_price": "9"}, "price"),
        ({"order_type": OrderType.STOP}, "stop_price"),
        ({"order_type": OrderType.PEG_MARKET, "stop_price": "9"}, "stop_price"),
        ({"order_type": OrderType.TRAILING_STOP, "stop_price": "9"}, "stop_price"),
        ({"price": "9", "offset": "1"}, "offset"),
        ({"price": "9", "trailing_percent": 1}, "trailing_percent"),
        ({"order_type": OrderType.TRAILING_STOP, "trailing_percent": "1.005"}, "trailing_percent"),
        ({"order_type": OrderType.TRAILING_STOP, "trailing_percent": 1, "offset": 1},
         "trailing_percent"),
        ({"order_type": OrderType.STOP, "stop_price": "9", "minimum_quantity": 1},
         "minimum_quantity"),
        ({"order_type": OrderType.PEG_PRIMARY, "minimum_quantity": 1}, "minimum_quantity"),
        ({"price": "9", "display_quantity": 2, "linked_order_id": 1}, "display_quantity"),
        ({"price": "9", "linked_order_id": -1}, "linked_order_id"),
        ({"price": "9", "hidden": 2}, "hidden"), ({"price": "9", "self_trade": 256}, "self_trade"),
        ({"price": "9", "order_type": "LIMIT"}, "order_type"),
        ({"order_type": OrderType.STOP, "stop_price": "9.01"}, "ANA"),
    )),
    (mc.Amend("ANA", 1, 5, total_quantity=5), "total_quantity"),
    (mc.MassCancel(lowest="9"), "lowest"),
    (mc.MassCancel("ANA", of_session="yes"), "of_session"),  # type: ignore[arg-type]  # wrong
    (mc.Quote("ANA", 1, bid_quantity=5), "bid"),
    (mc.SetMarket("ANA", 99), "parameter"),  # type: ignore[arg-type]  # wrong
    (mc.SetMarket("ANA", Parameter.CAGE, {"pro_rata": 1}), "values"),
    (mc.SetMarket("ANA", Parameter.CAGE, {"mode": "x"}), "values"),  # type: ignore[dict-item]  # wrong
    (mc.SetPhase("ANA", 256), "phase"),  # type: ignore[arg-type]  # wrong
    (mc.SetProtection(1, max_fills=2**63), "max_fills"),
    (mc.Bust("ANA", -1, "9", 1), "trade_id"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "field"), WRONG, ids=lambda one: str(one)[:40])
def test_what_no_record_can_hold_names_its_field(command: Any, field: str) -> None:
    with pytest.raises(mc.InvalidCommand, match=field):
        mc.encode(command, DIRECTORY)


@pytest.mark.parametrize("command", [
    mc.SetMarket("NO", Parameter.CAGE), mc.SetPhase("NO", Phase.CLOSED), mc.Clock("NO"),
    mc.Quote("NO", 1), mc.SetProtection(1, "NO"), mc.Bust("NO", 1, 1, 1),
    mc.SetMarket(None, Parameter.CAGE),  # type: ignore[arg-type]  # wrong
], ids=repr)  # fmt: skip
def test_an_unknown_symbol_of_a_market_command(command: Any) -> None:
    with pytest.raises(mc.UnknownInstrument):
        mc.encode(command, DIRECTORY)


def row(layout: Any, **fields: int) -> np.void:
    record = np.zeros(1, layout)
    for name, value in fields.items():
        record[name] = value
    return record.view(COMMAND)[0]


FACELESS = [
    ("instrument 0", row(COMMAND, kind=15)), ("instrument 3", row(COMMAND, kind=14, instrument=3)),
    ("instrument 0", row(COMMAND, kind=5, flags=4096)),
    ("parameter 0", row(mc.PARAMETER, kind=12, instrument=1)),
    ("value4 1", row(mc.PARAMETER, kind=12, instrument=1, parameter=2, value4=1)),
    ("reserved 1", row(mc.PARAMETER, kind=12, instrument=1, parameter=2, reserved=1)),
    ("phase 0", row(mc.PHASE, kind=13)), ("flags 2", row(mc.PHASE, kind=13, phase=1, flags=2)),
    ("reserved5 1", row(mc.PHASE, kind=13, phase=1, reserved5=1)),
    ("reserved2 1", row(mc.PROTECTION, kind=16, account=1, reserved2=1)),
    ("flags 1", row(COMMAND, kind=15, instrument=1, flags=1)),
    ("self_trade 9", row(COMMAND, kind=15, instrument=1, self_trade=9)),
]  # fmt: skip


@pytest.mark.parametrize(("field", "record"), FACELESS, ids=[name for name, _ in FACELESS])
def test_a_record_of_a_market_without_a_face(field: str, record: np.void) -> None:
    with pytest.raises(mc.InvalidCommand, match=rf"\b{field}\b"):
        mc.decode(record, DIRECTORY)


def test_values_that_are_not_named_are_as_before_anything_is_set() -> None:
    command = mc.SetMarket("ANA", Parameter.TRADING, {"amends": 0})
    face = mc.decode(mc.encode(command, DIRECTORY)[0], DIRECTORY)
    assert isinstance(face, mc.SetMarket)
    usual = {one.name: one.default for one in PARAMETERS[Parameter.TRADING]}
    assert face.values == {**usual, "amends": 0}
    assert hash(face) == hash(mc.SetMarket("ANA", Parameter.TRADING))
