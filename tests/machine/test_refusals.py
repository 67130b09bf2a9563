"""Every refusal: its reason, its field, and that nothing has changed."""

from __future__ import annotations

import numpy as np
import pytest
from desk import BUY, MACHINES, SELL, Desk
from flows import definitions

from matchcore import COMMAND, INSTRUMENT, EventKind, Field, Instrument, Kind, Reason

INT64_MAX = 2**63 - 1
LIMIT = {"kind": Kind.NEW, "order_id": 99, "side": BUY, "order_type": 1, "time_in_force": 1,
         "price": 5, "quantity": 10}  # fmt: skip
MARKET = {**LIMIT, "order_type": 2, "time_in_force": 3, "price": 0}
AMEND = {"kind": Kind.AMEND, "order_id": 1, "price": 50, "quantity": 10}
CANCEL = {"kind": Kind.CANCEL, "order_id": 1}
REDUCE = {"kind": Kind.REDUCE, "order_id": 1, "quantity": 5}

#: what is sent, reason, field.  The book has a buy (id 1, account 7, 10 at 50, post-only), a sell
#: (id 2, 10 at 60), and a sell (id 3) that nearly fills its level at 70.
REFUSALS = [
    ({"kind": 0}, Reason.UNKNOWN_KIND, Field.KIND),
    ({"kind": 255}, Reason.UNKNOWN_KIND, Field.KIND),
    *[
        ({**command, "instrument": number}, Reason.UNKNOWN_INSTRUMENT, Field.INSTRUMENT)
        for command in (LIMIT, AMEND, CANCEL, REDUCE)
        for number in (0, 3, 2**32 - 1)
    ],
    ({"kind": Kind.MASS_CANCEL, "instrument": 3}, Reason.UNKNOWN_INSTRUMENT, Field.INSTRUMENT),
    ({"kind": Kind.END_DAY, "instrument": 3}, Reason.UNKNOWN_INSTRUMENT, Field.INSTRUMENT),
    *[({**LIMIT, "side": side}, Reason.BAD_SIDE, Field.SIDE) for side in (0, 3, 255)],
    ({"kind": Kind.MASS_CANCEL, "side": 3}, Reason.BAD_SIDE, Field.SIDE),
    *[({**LIMIT, "order_type": t}, Reason.BAD_ORDER_TYPE, Field.ORDER_TYPE) for t in (0, 3)],
    *[
        ({**LIMIT, "time_in_force": t}, Reason.BAD_TIME_IN_FORCE, Field.TIME_IN_FORCE)
        for t in (0, 5)
    ],
    ({**LIMIT, "flags": 2}, Reason.BAD_FLAGS, Field.FLAGS),
    ({**LIMIT, "flags": 1, "time_in_force": 3}, Reason.BAD_FLAGS, Field.FLAGS),
    ({**MARKET, "flags": 1}, Reason.BAD_FLAGS, Field.FLAGS),
    ({**AMEND, "flags": 6}, Reason.BAD_FLAGS, Field.FLAGS),
    ({**AMEND, "flags": 1}, Reason.BAD_FLAGS, Field.FLAGS),
    *[
        ({**command, name: 1}, Reason.UNSUPPORTED, field)
        for command in (LIMIT, AMEND)
        for name, field in (
            ("stop_price", Field.STOP_PRICE),
            ("display_quantity", Field.DISPLAY_QUANTITY),
            ("expiry", Field.EXPIRY),
            ("self_trade", Field.SELF_TRADE),
            ("reserved", Field.RESERVED),
            ("reserved_wide", Field.RESERVED),
            ("reserved_long", Field.RESERVED),
        )
    ],
    ({**MARKET, "price": 1}, Reason.PRICE_NOT_ALLOWED, Field.PRICE),
    *[
        ({**command, "quantity": quantity}, Reason.QUANTITY_NOT_POSITIVE, Field.QUANTITY)
        for command in (LIMIT, MARKET, AMEND, REDUCE)
        for quantity in (0, -5, -(2**63))
    ],
    ({**LIMIT, "quantity": 1005, "instrument": 2}, Reason.QUANTITY_TOO_LARGE, Field.QUANTITY),
    ({**LIMIT, "quantity": 7, "instrument": 2}, Reason.OFF_LOT, Field.QUANTITY),
    ({**AMEND, "quantity": 7, "instrument": 2}, Reason.OFF_LOT, Field.QUANTITY),
    ({**REDUCE, "quantity": 3, "instrument": 2}, Reason.OFF_LOT, Field.QUANTITY),
    ({**LIMIT, "order_id": 1}, Reason.DUPLICATE_ORDER, Field.ORDER_ID),
    ({**MARKET, "order_id": 2}, Reason.DUPLICATE_ORDER, Field.ORDER_ID),
    ({**LIMIT, "instrument": 2}, Reason.TOO_MANY_ORDERS, Field.MAX_ORDERS),
    ({**LIMIT, "flags": 1, "price": 60}, Reason.WOULD_TRADE, Field.PRICE),
    ({**AMEND, "price": 61}, Reason.WOULD_TRADE, Field.PRICE),
    ({**LIMIT, "side": SELL, "price": 70}, Reason.LEVEL_OVERFLOW, Field.QUANTITY),
    ({**AMEND, "order_id": 2, "price": 70}, Reason.LEVEL_OVERFLOW, Field.QUANTITY),
    *[
        ({**command, "order_id": order}, Reason.UNKNOWN_ORDER, Field.ORDER_ID)
        for command in (CANCEL, AMEND, REDUCE)
        for order in (0, 4, 2**64 - 1)
    ],
    *[
        ({**command, "account": 8}, Reason.NOT_OWNER, Field.ACCOUNT)
        for command in (CANCEL, AMEND, REDUCE)
    ],
]
DEFINITIONS = [
    (Kind.ADD_INSTRUMENT, {"symbol": b"ONE"}, Reason.DUPLICATE_SYMBOL, Field.SYMBOL),
    (Kind.ADD_INSTRUMENT, {"symbol": b""}, Reason.BAD_SYMBOL, Field.SYMBOL),
    (Kind.ADD_INSTRUMENT, {"symbol": b"A B"}, Reason.BAD_SYMBOL, Field.SYMBOL),
    (Kind.ADD_INSTRUMENT, {"symbol": b"\xff"}, Reason.BAD_SYMBOL, Field.SYMBOL),
    (Kind.ADD_INSTRUMENT, {"tick_mantissa": 0}, Reason.BAD_TICK, Field.TICK),
    (Kind.ADD_INSTRUMENT, {"tick_exponent": 1}, Reason.BAD_TICK, Field.TICK),
    (Kind.ADD_INSTRUMENT, {"tick_exponent": -19}, Reason.BAD_TICK, Field.TICK),
    (Kind.ADD_INSTRUMENT, {"lot": 0}, Reason.BAD_LOT, Field.LOT),
    (Kind.ADD_INSTRUMENT, {"max_quantity": 0}, Reason.BAD_LIMIT, Field.MAX_QUANTITY),
    (Kind.ADD_INSTRUMENT, {"max_orders": 0}, Reason.BAD_LIMIT, Field.MAX_ORDERS),
    (Kind.ADD_INSTRUMENT, {"max_orders": 2**32}, Reason.BAD_LIMIT, Field.MAX_ORDERS),
    (Kind.CHANGE_INSTRUMENT, {"instrument": 9}, Reason.UNKNOWN_INSTRUMENT, Field.INSTRUMENT),
    (Kind.CHANGE_INSTRUMENT, {"instrument": 1}, Reason.BAD_SYMBOL, Field.SYMBOL),
    (Kind.CHANGE_INSTRUMENT, {"instrument": 1, "symbol": b"ONE", "tick_mantissa": 2},
     Reason.BOOK_NOT_EMPTY, Field.TICK),
]  # fmt: skip
NEVER_HERE = {Reason.TOO_MANY_INSTRUMENTS}  # needs a million instruments


@pytest.fixture(params=list(MACHINES))
def desk(request: pytest.FixtureRequest) -> Desk:
    two = Instrument("TWO", "1", lot=5, max_quantity=1000, max_orders=1)
    desk = Desk(request.param, Instrument("ONE", "1"), two)
    desk.add(1, BUY, 50, 10, account=7, flags=1)
    desk.add(2, SELL, 60, 10)
    desk.add(3, SELL, 70, INT64_MAX - 5)
    desk.add(1, BUY, 50, 10, instrument=2)
    return desk


def unchanged(desk: Desk, before: bytes) -> bool:
    """True if the states differ in the last sequence only."""
    now = desk.machine.state().to_bytes()
    return now[:8] + now[16:] == before[:8] + before[16:]


@pytest.mark.parametrize(("fields", "reason", "field"), REFUSALS)
def test_a_refusal_says_why_and_changes_nothing(
    desk: Desk, fields: dict[str, int], reason: Reason, field: Field
) -> None:
    before = desk.machine.state().to_bytes()
    events = desk.send(**fields)
    assert len(events) == 1
    event = desk.row(events)
    assert (event["kind"], Reason(event["reason"]), Field(event["field"])) == (
        EventKind.REJECTED, reason, field,
    )  # fmt: skip
    assert unchanged(desk, before)


@pytest.mark.parametrize(("kind", "fields", "reason", "field"), DEFINITIONS)
def test_an_instrument_that_is_refused_changes_nothing(
    desk: Desk, kind: Kind, fields: dict[str, int | bytes], reason: Reason, field: Field
) -> None:
    before = desk.machine.state().to_bytes()
    row = definitions(Instrument("NEW", "0.5")).view(INSTRUMENT)
    row["kind"] = kind
    for name, value in fields.items():
        row[name] = value
    (event,) = desk.machine.apply(row.view(COMMAND))
    assert (Reason(int(event["reason"])), Field(int(event["field"]))) == (reason, field)
    assert unchanged(desk, before)


def test_every_reason_and_field_is_met() -> None:
    reasons = {row[1] for row in REFUSALS} | {row[2] for row in DEFINITIONS}
    assert reasons | NEVER_HERE == {reason for reason in Reason if 0 < reason < 32}
    fields = {row[2] for row in REFUSALS} | {row[3] for row in DEFINITIONS}
    assert fields == set(Field) - {Field.NONE}


def test_a_refusal_echoes_the_command(desk: Desk) -> None:
    event = desk.row(desk.send(**{**LIMIT, "side": 9, "client_order_id": 5, "account": 6}))
    echoed = ("order_id", "client_order_id", "account", "side", "price", "quantity")
    assert [event[name] for name in echoed] == [99, 5, 6, 9, 5, 10]


def test_a_machine_full_of_instruments_refuses_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    import matchcore._machine
    import matchcore.reference

    for room, machine in ((matchcore._machine, "cython"), (matchcore.reference, "reference")):
        monkeypatch.setattr(room, "INSTRUMENTS_MAX", 3)
        desk = Desk(machine, *(Instrument(f"N{n}", "1") for n in range(3)))
        (event,) = desk.machine.apply(definitions(Instrument("LAST", "1")))
        assert event["reason"] == Reason.TOO_MANY_INSTRUMENTS
        assert event["field"] == Field.INSTRUMENT


def test_commands_that_only_look_like_commands(desk: Desk) -> None:
    for wrong in (np.zeros(2, "u1"), np.zeros((2, 2), COMMAND), None, b"x" * 96):
        with pytest.raises((TypeError, ValueError)):
            desk.machine.apply(wrong)
