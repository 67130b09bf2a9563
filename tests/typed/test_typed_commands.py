"""Typed commands and their records: both ways, and what cannot be written."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import matchcore as mc
from matchcore import COMMAND, INSTRUMENT, Directory, Instrument, Side, TimeInForce
from matchcore.records.schema import LATER_FIELDS, ORDER_KINDS, SWEEP_KINDS

DIRECTORY = Directory([Instrument("ANA", "0.05"), Instrument("NANO", "1e-9", lot=3)])
i64 = st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63)]))
u64 = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 2**63, 2**64 - 1]))
symbols = st.sampled_from(["ANA", "NANO"])
sides = st.sampled_from(Side)
instruments = st.builds(
    Instrument,
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=24),
    st.builds("{}e{}".format, st.integers(1, 2**63 - 1), st.integers(-18, 0)),
    st.integers(1, 1000),
    st.integers(1000, 2**63 - 1),
    st.integers(1, 2**32 - 1),
)


@st.composite
def new_orders(draw: st.DrawFn) -> mc.NewOrder:
    symbol = draw(symbols)
    ticks = draw(st.one_of(st.none(), i64))
    instrument = DIRECTORY.get(symbol)
    assert instrument is not None
    price = None if ticks is None else instrument.price(ticks)
    return mc.NewOrder(
        symbol, draw(sides), draw(i64), price, draw(st.sampled_from(TimeInForce)), draw(u64),
        draw(u64), draw(u64), draw(st.booleans()), draw(i64),
    )  # fmt: skip


@st.composite
def amends(draw: st.DrawFn) -> mc.Amend:
    symbol = draw(symbols)
    instrument = DIRECTORY.get(symbol)
    assert instrument is not None
    price = draw(st.one_of(st.none(), i64.map(instrument.price)))
    quantity = draw(st.one_of(st.none(), i64))
    return mc.Amend(symbol, draw(u64), quantity, price, draw(u64), draw(i64), draw(u64))


STRATEGIES: dict[str, st.SearchStrategy[Any]] = {
    "NewOrder": new_orders(),
    "Cancel": st.builds(mc.Cancel, symbols, u64, u64, i64, u64),
    "Amend": amends(),
    "Reduce": st.builds(mc.Reduce, symbols, u64, i64, u64, i64, u64),
    "MassCancel": st.builds(
        mc.MassCancel, st.none() | symbols, u64, st.sampled_from([None, *Side]), i64, u64
    ),
    "EndDay": st.builds(mc.EndDay, st.none() | symbols, i64),
    "AddInstrument": st.builds(mc.AddInstrument, instruments, i64),
    "ChangeInstrument": st.builds(
        mc.ChangeInstrument, instruments.map(lambda it: replace(it, symbol="NANO")), i64
    ),
}


@pytest.mark.parametrize("name", STRATEGIES)
@given(data=st.data())
def test_a_command_comes_back_from_its_record(name: str, data: st.DataObject) -> None:
    command = data.draw(STRATEGIES[name])
    record = mc.encode(command, DIRECTORY)
    assert record.dtype == COMMAND and record.shape == (1,)
    again = mc.decode(record[0], DIRECTORY)
    assert type(again).__name__ == name and again == command
    assert mc.encode(again, DIRECTORY).tobytes() == record.tobytes()
    assert mc.encode_all([command, again], DIRECTORY).tobytes() == 2 * record.tobytes()


@pytest.mark.parametrize("name", STRATEGIES)
@given(data=st.data())
def test_a_command_is_shown_as_json(name: str, data: st.DataObject) -> None:
    command = data.draw(STRATEGIES[name])
    plain = mc.as_plain(command)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["type"] == name
    if name in ("NewOrder", "Amend") and command.price is not None:
        assert isinstance(plain["price"], str) and Decimal(plain["price"]) == command.price
    if name in ("NewOrder", "MassCancel"):
        assert plain["side"] == (command.side.name if command.side else None)


def test_the_record_of_a_new_order_field_by_field() -> None:
    order = mc.NewOrder("NANO", Side.SELL, 30, "-0.000000007", TimeInForce.DAY, 4, 5, 6, True, 7)
    row = mc.encode(order, DIRECTORY)[0]
    expected = {"kind": 1, "instrument": 2, "side": 2, "quantity": 30, "price": -7, "flags": 1,
                "order_type": 1, "time_in_force": 2, "account": 4, "order_id": 5,
                "client_order_id": 6, "time": 7}  # fmt: skip
    assert {name: int(row[name]) for name in COMMAND.names or () if row[name]} == expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [(mc.Cancel("NANO", 5, 4, 7, 6), {"kind": 2, "order_id": 5}),
     (mc.Amend("NANO", 5, 30, "-0.000000007", 4, 7, 6),
      {"kind": 3, "order_id": 5, "quantity": 30, "price": -7}),
     (mc.Reduce("NANO", 5, 30, 4, 7, 6), {"kind": 4, "order_id": 5, "quantity": 30}),
     (mc.MassCancel("NANO", 4, Side.SELL, 7, 6), {"kind": 5, "side": 2})],
)  # fmt: skip
def test_the_record_of_the_other_kinds_field_by_field(command: Any, expected: Any) -> None:
    row = mc.encode(command, DIRECTORY)[0]
    expected |= {"instrument": 2, "account": 4, "time": 7, "client_order_id": 6}
    assert {name: int(row[name]) for name in COMMAND.names or () if row[name]} == expected


@pytest.mark.parametrize(
    ("command", "order_type", "tif"),
    [(mc.NewOrder("ANA", Side.BUY, 1), 2, TimeInForce.IOC),
     (mc.NewOrder("ANA", Side.BUY, 1, "1"), 1, TimeInForce.GTC),
     (mc.NewOrder("ANA", Side.BUY, 1, 0), 1, TimeInForce.GTC),
     (mc.NewOrder("ANA", Side.BUY, 1, None, TimeInForce.FOK), 2, TimeInForce.FOK)],
)  # fmt: skip
def test_without_a_price_it_is_a_market_order(
    command: mc.NewOrder, order_type: int, tif: int
) -> None:
    row = mc.encode(command, DIRECTORY)[0]
    assert (row["order_type"], row["time_in_force"], row["flags"]) == (order_type, tif, 0)


@pytest.mark.parametrize(
    ("quantity", "price", "flags"), [(None, None, 6), (5, None, 2), (None, "1", 4), (5, "1", 0)]
)
def test_what_an_amend_does_not_name_is_kept(quantity: Any, price: Any, flags: int) -> None:
    assert mc.encode(mc.Amend("ANA", 1, quantity, price), DIRECTORY)["flags"] == flags


NEW = {"symbol": "ANA", "side": Side.BUY, "quantity": 5, "price": "1"}
WRONG: list[tuple[type, dict[str, Any], str, Any]] = [
    *((mc.NewOrder, NEW, "quantity", v) for v in (True, 1.0, "5", Decimal(5), 2**63, -(2**63) - 1)),
    *((mc.NewOrder, NEW, name, v) for name in ("order_id", "client_order_id", "account")
      for v in (-1, 2**64, 1.5, "x", True, Decimal(1))),
    *((mc.NewOrder, NEW, name, v) for name in ("order_id", "client_order_id", "quantity")
      for v in (False, "", 0.0, [], None, np.True_, np.float64(1))),
    *((mc.NewOrder, NEW, "time", v) for v in (2**63, 1.0, True)),
    *((mc.NewOrder, NEW, "side", v) for v in (None, "BUY", 256, -1, 1.0, True)),
    *((mc.NewOrder, NEW, "time_in_force", v) for v in ("GTC", "", 256, -1, 1.0, False)),
    *((mc.NewOrder, NEW, "price", v) for v in (True, b"1", "1.01", "nan", 10**18)),
    *((mc.Cancel, {"symbol": "ANA", "order_id": 1}, name, v)
      for name in ("order_id", "account", "client_order_id")
      for v in (-1, 2**64, True, "1", None)),
    *((mc.Reduce, {"symbol": "ANA", "order_id": 1, "quantity": 1}, "quantity", v)
      for v in (2**63, 1.5, True)),
    *((mc.Amend, {"symbol": "ANA", "order_id": 1}, "quantity", v) for v in (2**63, 1.5, True, "")),
    *((mc.Amend, {"symbol": "ANA", "order_id": 1}, "price", v) for v in ("0.01", False)),
    *((mc.MassCancel, {}, name, v) for name in ("account", "client_order_id")
      for v in (-1, 2**64, True)),
    *((mc.MassCancel, {}, "side", v) for v in ("BUY", "", 256, 1.5, False)),
    (mc.EndDay, {}, "time", 2**63),
]  # fmt: skip


@pytest.mark.parametrize(("face", "fields", "name", "value"), WRONG)
def test_what_a_record_can_not_hold_is_an_invalid_command(
    face: type, fields: dict[str, Any], name: str, value: Any
) -> None:
    mc.encode(face(**fields), DIRECTORY)
    with pytest.raises(mc.InvalidCommand):
        mc.encode(face(**(fields | {name: value})), DIRECTORY)


def test_time_in_force_zero_is_not_guessed() -> None:
    order = mc.NewOrder(**(NEW | {"time_in_force": 0}))
    assert mc.encode(order, DIRECTORY)["time_in_force"] == 0


@pytest.mark.parametrize("quantity", [0, -5, -(2**63)])
def test_what_the_rules_refuse_is_written_and_left_to_the_machine(quantity: int) -> None:
    engine = mc.Engine.memory(instruments=DIRECTORY)
    answer = engine.submit(mc.NewOrder("ANA", Side.BUY, quantity, "1"))
    assert answer.rejected and answer.reason == mc.Reason.QUANTITY_NOT_POSITIVE
    assert engine.sequence == 3


@pytest.mark.parametrize(
    "command",
    [mc.NewOrder("NO", Side.BUY, 1), mc.Cancel("NO", 1), mc.Amend("NO", 1), mc.Reduce("NO", 1, 1),
     mc.MassCancel("NO"), mc.MassCancel(""), mc.EndDay("NO"),
     mc.ChangeInstrument(Instrument("NO", 1))],
    ids=lambda command: type(command).__name__,
)  # fmt: skip
def test_an_unknown_symbol_is_an_unknown_instrument_and_sends_nothing(command: Any) -> None:
    with pytest.raises(mc.UnknownInstrument):
        mc.encode(command, DIRECTORY)
    engine = mc.Engine.memory(instruments=DIRECTORY)
    with pytest.raises(mc.UnknownInstrument):
        engine.submit(command)
    assert engine.sequence == len(DIRECTORY)


@pytest.mark.parametrize("thing", [None, "NEW", 5, Instrument("X", 1), np.zeros(1, COMMAND)[0]])
def test_what_is_no_command_is_an_invalid_command(thing: Any) -> None:
    with pytest.raises(mc.InvalidCommand):
        mc.encode(thing, DIRECTORY)


def test_no_commands_are_an_empty_array() -> None:
    assert mc.encode_all([], DIRECTORY).dtype == COMMAND
    assert len(mc.encode_all(iter([]), DIRECTORY)) == 0


def command_row(**fields: Any) -> np.void:
    row = np.zeros(1, COMMAND)
    for name, value in fields.items():
        row[name] = value
    return row[0]


def instrument_row(**fields: Any) -> np.void:
    row = np.zeros(1, INSTRUMENT)
    row[["kind", "tick_mantissa", "lot", "max_quantity", "max_orders"]] = (7, 1, 1, 5, 5)
    for name, value in {"symbol": b"NEW", **fields}.items():
        row[name] = value
    return row.view(COMMAND)[0]


LIMIT = {"kind": 1, "instrument": 1, "side": 1, "order_type": 1, "time_in_force": 1}
AMEND = {"kind": 3, "instrument": 1}
#: The field that no typed command can say, and a record.  An exchange refuses each of them, and
#: keeps it in its log, where a reader may meet it.
FACELESS: list[tuple[str, np.void]] = [
    ("kind 77", command_row(kind=77, instrument=1)),
    ("kind 0", command_row(instrument=1)),
    *(("instrument 0", command_row(kind=kind)) for kind in ORDER_KINDS),
    *(("instrument 3", command_row(kind=kind, instrument=3)) for kind in ORDER_KINDS | SWEEP_KINDS),
    *((f"side {side}", command_row(**LIMIT | {"side": side})) for side in (0, 3)),
    ("side 3", command_row(kind=5, side=3)),
    *((f"order_type {t}", command_row(**LIMIT | {"order_type": t})) for t in (0, 14)),
    *((f"time_in_force {t}", command_row(**LIMIT | {"time_in_force": t})) for t in (0, 9)),
    *((f"flags {flags}", command_row(**LIMIT, flags=flags)) for flags in (2, 3, 8, 65535)),
    *((f"flags {flags}", command_row(**AMEND, flags=flags)) for flags in (1, 7, 8, 65535)),
    ("price -5", command_row(**LIMIT | {"order_type": 2, "price": -5})),
    ("reserved 1", command_row(**LIMIT, reserved=1)),
    *((f"{name} 1", command_row(**AMEND, **{name: 1})) for name in LATER_FIELDS),
    *(("symbol", instrument_row(symbol=symbol)) for symbol in (b"", b"\xff", b"A B", b"A\0B")),
    *(("tick", instrument_row(**fields)) for fields in
      ({"tick_mantissa": 0}, {"tick_exponent": -128}, {"tick_exponent": 127})),
    ("lot", instrument_row(lot=0)),
    ("max_quantity", instrument_row(max_quantity=0)),
    ("max_orders", instrument_row(max_orders=2**32)),
    ("instrument 9", instrument_row(kind=8, symbol=b"ANA", instrument=9)),
    ("symbol", instrument_row(kind=8, instrument=1)),
]  # fmt: skip


@pytest.mark.parametrize(("field", "row"), FACELESS)
def test_a_record_without_a_face_is_an_invalid_command(field: str, row: np.void) -> None:
    with pytest.raises(mc.InvalidCommand, match=rf"\b{field}\b"):
        mc.decode(row, DIRECTORY)


#: (kind, fields that it does not read).
UNREAD: list[tuple[int, dict[str, int]]] = [
    *((kind, {"flags": 9, "order_type": 9, "time_in_force": 9, "expiry": 1}) for kind in (2, 4, 5)),
    (2, {"side": 9, "price": 5, "quantity": 5}),
    (6, {"side": 9, "account": 5, "reserved": 1}),
    (3, {"side": 9, "order_type": 9, "time_in_force": 9}),
]


@pytest.mark.parametrize(("kind", "fields"), UNREAD)
def test_fields_that_a_kind_does_not_read_are_not_looked_at(
    kind: int, fields: dict[str, int]
) -> None:
    plain, noisy = command_row(kind=kind, instrument=2), command_row(kind=kind, instrument=2)
    for name, value in fields.items():
        noisy[name] = value
    assert mc.decode(noisy, DIRECTORY) == mc.decode(plain, DIRECTORY)


def test_numpy_values_are_shown_as_json() -> None:
    order = mc.NewOrder("ANA", Side.BUY, np.int64(5), np.float64(95.7), post_only=np.True_)  # type: ignore[arg-type]
    mc.encode(order, DIRECTORY)
    plain = json.loads(json.dumps(mc.as_plain(order)))
    assert (plain["quantity"], plain["price"], plain["post_only"]) == (5, "95.7", True)


@pytest.mark.parametrize(
    ("price", "text"),
    [(95.7, "95.7"), (95, "95"), (1e-9, "0.000000001"), (Decimal("0E-9"), "0.000000000"),
     (np.int64(3), "3"), ("95.70", "95.70"), (None, None)],
)  # fmt: skip
def test_every_price_is_shown_as_text(price: Any, text: str | None) -> None:
    assert mc.as_plain(mc.NewOrder("ANA", Side.BUY, 5, price))["price"] == text
    plain = mc.as_plain(mc.AddInstrument(DIRECTORY[2]))
    assert plain["instrument"]["tick"] == "0.000000001"
