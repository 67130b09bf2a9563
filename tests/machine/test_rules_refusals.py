"""Every reason for a refusal, every field it can be about, and that a refusal changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flows import UNKNOWN_KIND
from numpy.typing import NDArray
from rules_kit import PLAIN, Exchange, on_both_machines, record_of

import matchcore as mc
from matchcore import INSTRUMENT, EventKind, Field, Kind, Reason, State

MOST = 2**63 - 1
LOTS = mc.Instrument("LOTS", tick="0.05", lot=5, max_quantity=50, max_orders=3)
NEW = {"kind": Kind.NEW, "side": 1, "order_type": 1, "time_in_force": 1, "order_id": 99,
       "price": 100, "quantity": 10}  # fmt: skip
MARKET = NEW | {"order_type": 2, "time_in_force": 3, "price": 0}
AMEND = {"kind": Kind.AMEND, "order_id": 1, "price": 100, "quantity": 10}
CANCEL = {"kind": Kind.CANCEL, "order_id": 1}
REDUCE = {"kind": Kind.REDUCE, "order_id": 1, "quantity": 5}
MASS = {"kind": Kind.MASS_CANCEL}
DAY = {"kind": Kind.END_DAY}

#: (reason, field, command, what is wrong with it).  The book of 1: PLAIN, of 2: LOTS.
ORDER_REFUSALS: list[tuple[str, str, dict[str, int], dict[str, int]]] = [
    ("UNKNOWN_KIND", "KIND", NEW, {"kind": 0}),
    ("UNKNOWN_KIND", "KIND", NEW, {"kind": UNKNOWN_KIND}),
    ("UNKNOWN_KIND", "KIND", NEW, {"kind": 255, "instrument": 77}),
    *(("UNKNOWN_INSTRUMENT", "INSTRUMENT", command, {"instrument": number})
      for command in (NEW, AMEND, CANCEL, REDUCE) for number in (0, 3, 2**32 - 1)),
    ("UNKNOWN_INSTRUMENT", "INSTRUMENT", MASS, {"instrument": 3}),
    ("UNKNOWN_INSTRUMENT", "INSTRUMENT", DAY, {"instrument": 3}),
    *(("BAD_SIDE", "SIDE", NEW, {"side": side}) for side in (0, 3, 255)),
    *(("BAD_SIDE", "SIDE", MASS, {"side": side}) for side in (3, 255)),
    *(("BAD_ORDER_TYPE", "ORDER_TYPE", NEW, {"order_type": kind})
      for kind in (0, *range(3, 15), 255)),
    *(("BAD_TIME_IN_FORCE", "TIME_IN_FORCE", NEW, {"time_in_force": t})
      for t in (0, *range(5, 10), 255)),
    *(("BAD_FLAGS", "FLAGS", NEW, {"flags": flags})
      for flags in (3, *(2**bit for bit in range(1, 16)))),
    ("BAD_FLAGS", "FLAGS", NEW, {"flags": 1, "time_in_force": 3}),
    ("BAD_FLAGS", "FLAGS", NEW, {"flags": 1, "time_in_force": 4}),
    ("BAD_FLAGS", "FLAGS", NEW, {"flags": 1, "order_type": 2, "price": 0}),
    *(("BAD_FLAGS", "FLAGS", AMEND, {"flags": flags})
      for flags in (1, 6, *(2**bit for bit in range(3, 16)))),
    *(("BAD_FLAGS", "FLAGS", MASS, {"flags": flags}) for flags in (1, 2048, 16384, 2**15 + 4096)),
    ("BAD_VALUE", "PRICE", MASS, {"flags": 4096, "price": 5, "stop_price": 4}),
    *(("UNSUPPORTED", name.upper(), command, {name: value})
      for command in (NEW, AMEND)
      for name, value in (("stop_price", -1), ("display_quantity", 5), ("expiry", 1),
                          ("self_trade", 1), ("reserved", 1))),
    ("PRICE_NOT_ALLOWED", "PRICE", NEW, {"order_type": 2}),
    ("PRICE_NOT_ALLOWED", "PRICE", NEW, {"order_type": 2, "price": -1, "time_in_force": 4}),
    *(("QUANTITY_NOT_POSITIVE", "QUANTITY", command, {"quantity": quantity})
      for command in (NEW, MARKET, AMEND, REDUCE) for quantity in (0, -1, -MOST - 1)),
    *(("QUANTITY_NOT_POSITIVE", "QUANTITY", AMEND, {"flags": 2, "quantity": quantity})
      for quantity in (0, -1)),
    *(("QUANTITY_TOO_LARGE", "QUANTITY", command, {"quantity": 55, "instrument": 2})
      for command in (NEW, AMEND | {"order_id": 11})),
    *(("OFF_LOT", "QUANTITY", command, {"quantity": 7, "instrument": 2})
      for command in (NEW, AMEND | {"order_id": 11}, REDUCE | {"order_id": 12})),
    ("DUPLICATE_ORDER", "ORDER_ID", NEW, {"order_id": 1}),
    ("DUPLICATE_ORDER", "ORDER_ID", MARKET, {"order_id": 1}),
    ("DUPLICATE_ORDER", "ORDER_ID", NEW, {"order_id": 2, "time_in_force": 4, "side": 2}),
    *(("UNKNOWN_ORDER", "ORDER_ID", command, {"order_id": order_id})
      for command in (AMEND, CANCEL, REDUCE) for order_id in (0, 11, 98, 2**64 - 1)),
    *(("NOT_OWNER", "ACCOUNT", command, {"account": 8}) for command in (AMEND, CANCEL, REDUCE)),
    ("TOO_MANY_ORDERS", "MAX_ORDERS", NEW, {"instrument": 2}),
    ("TOO_MANY_ORDERS", "MAX_ORDERS", NEW, {"instrument": 2, "time_in_force": 2}),
    ("TOO_MANY_ORDERS", "MAX_ORDERS", NEW, {"instrument": 2, "price": 900}),  # would fill whole
    ("WOULD_TRADE", "PRICE", NEW, {"flags": 1, "price": 110}),
    ("WOULD_TRADE", "PRICE", NEW, {"flags": 1, "price": 100, "side": 2}),
    ("WOULD_TRADE", "PRICE", AMEND, {"order_id": 3, "price": 111}),
    ("LEVEL_OVERFLOW", "QUANTITY", NEW, {"price": 200, "side": 2}),
    ("LEVEL_OVERFLOW", "QUANTITY", AMEND, {"order_id": 2, "price": 200}),
    ("LEVEL_OVERFLOW", "QUANTITY", AMEND, {"order_id": 5, "price": 200, "quantity": MOST}),
]  # fmt: skip

GOOD: dict[str, Any] = {"kind": Kind.ADD_INSTRUMENT, "symbol": b"NEW", "tick_mantissa": 5,
                        "tick_exponent": -2, "lot": 5, "max_quantity": 50,
                        "max_orders": 3}  # fmt: skip
CHANGE = GOOD | {"kind": Kind.CHANGE_INSTRUMENT, "symbol": b"LOTS", "instrument": 2}

INSTRUMENT_REFUSALS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    *(("UNKNOWN_INSTRUMENT", "INSTRUMENT", CHANGE, {"instrument": n}) for n in (0, 3, 2**32 - 1)),
    *(("BAD_SYMBOL", "SYMBOL", command, {"symbol": symbol}) for command in (GOOD, CHANGE)
      for symbol in (b"", b"A B", b"\xff", b"A\x00B", b"TAB\t", b"\x7f")),
    ("BAD_SYMBOL", "SYMBOL", CHANGE, {"symbol": b"PLAIN"}),
    ("DUPLICATE_SYMBOL", "SYMBOL", GOOD, {"symbol": b"PLAIN"}),
    *(("BAD_TICK", "TICK", command, {name: value}) for command in (GOOD, CHANGE)
      for name, value in (("tick_mantissa", 0), ("tick_mantissa", -5), ("tick_exponent", 1),
                          ("tick_exponent", -19), ("tick_exponent", -128))),
    *(("BAD_LOT", "LOT", command, {"lot": lot}) for command in (GOOD, CHANGE) for lot in (0, -5)),
    *(("BAD_LIMIT", "MAX_QUANTITY", command, {"max_quantity": most})
      for command in (GOOD, CHANGE) for most in (4, 0, -MOST - 1)),
    *(("BAD_LIMIT", "MAX_ORDERS", command, {"max_orders": most})
      for command in (GOOD, CHANGE) for most in (0, -1, 2**32, MOST)),
    ("BOOK_NOT_EMPTY", "TICK", CHANGE, {"tick_exponent": -3}),
]  # fmt: skip


def world(machine: str) -> Exchange:
    exchange = Exchange(machine, PLAIN, LOTS)
    exchange.run(
        f"""
        buy 1 10@100 acc=7
        sell 2 10@110 acc=8
        buy 3 10@90 post
        sell 4 {MOST}@200
        sell 5 1@201
        buy 11 5@100 on=2
        buy 12 50@90 on=2
        sell 13 5@110 on=2
        """
    )
    return exchange


def state_but_sequence(exchange: Exchange) -> str:
    """Digest of what a refusal leaves alone: all but the sequence and the answers remembered."""
    nothing = State()
    return replace(
        exchange.engine.state(),
        sequence=0,
        answers=nothing.answers,
        answer_events=nothing.answer_events,
    ).digest()


def refused(exchange: Exchange, record: NDArray, reason: str, field: str) -> Any:
    """Sends a COMMAND record that must be refused and change nothing; its one event."""
    before, sequence = state_but_sequence(exchange), exchange.engine.sequence
    (event,) = exchange.engine.submit_batch(record)
    assert EventKind(int(event["kind"])) == EventKind.REJECTED
    assert (Reason(int(event["reason"])).name, Field(int(event["field"])).name) == (reason, field)
    assert exchange.engine.sequence == sequence + 1 == event["sequence"]
    assert state_but_sequence(exchange) == before
    exchange.engine._check()
    return event


@on_both_machines
@pytest.mark.parametrize(("reason", "field", "command", "wrong"), ORDER_REFUSALS)
def test_an_order_command_is_refused(
    machine: str, reason: str, field: str, command: dict[str, int], wrong: dict[str, int]
) -> None:
    exchange = world(machine)
    fields = {"instrument": 1, "client_order_id": 5} | command | wrong
    event = refused(exchange, record_of(fields), reason, field)
    for name in ("instrument", "order_id", "client_order_id", "account", "side", "price"):
        assert event[name] == fields.get(name, 0), name
    assert event["quantity"] == fields.get("quantity", 0) and event["left"] == 0


@on_both_machines
@pytest.mark.parametrize(("reason", "field", "command", "wrong"), INSTRUMENT_REFUSALS)
def test_an_instrument_command_is_refused(
    machine: str, reason: str, field: str, command: dict[str, Any], wrong: dict[str, Any]
) -> None:
    exchange = world(machine)
    fields = command | wrong
    event = refused(exchange, record_of(fields, INSTRUMENT), reason, field)
    spoken = {"sequence", "instrument", "kind", "reason", "field"}
    assert event["instrument"] == fields.get("instrument", 0)
    assert not any(event[name] for name in event.dtype.names if name not in spoken)
    assert list(exchange.engine.instruments) == [PLAIN, LOTS]


@on_both_machines
def test_one_instrument_too_many_is_refused(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = world(machine)
    module = {"cython": "instruments", "reference": "reference.aside"}[machine]
    monkeypatch.setattr(f"matchcore.machine.{module}.INSTRUMENTS_MAX", 3)
    exchange.engine.add_instrument(mc.Instrument("THIRD", tick=1))
    record = record_of(GOOD, INSTRUMENT)
    refused(exchange, record, "TOO_MANY_INSTRUMENTS", "INSTRUMENT")


def test_the_tables_provoke_every_reason_and_every_field() -> None:
    rows = [(r, f) for r, f, _, _ in (*ORDER_REFUSALS, *INSTRUMENT_REFUSALS)]
    reasons = {Reason[reason] for reason, _ in rows} | {Reason.TOO_MANY_INSTRUMENTS}
    refusals = {reason for reason in Reason if 1 <= reason < 32}
    # those of other kinds are in test_register.py and test_limits.py
    assert reasons == {reason for reason in refusals if reason <= Reason.BAD_VALUE}
    of_orders = {field for field in Field if field < Field.KEY} - {Field.NONE}
    assert {Field[field] for _, field in rows} == of_orders


#: Breaks every rule of NEW at once; each repair uncovers the next rule of the rule book.
ALL_WRONG = {"kind": Kind.NEW, "instrument": 3, "order_id": 11, "flags": 2, "price": 5,
             "order_type": 9, "quantity": 0, "stop_price": 1, "display_quantity": 1, "expiry": 1,
             "self_trade": 1, "reserved": 1}  # fmt: skip
REPAIRS: list[tuple[str, str, dict[str, int]]] = [
    ("UNKNOWN_INSTRUMENT", "INSTRUMENT", {"instrument": 2}),
    ("BAD_SIDE", "SIDE", {"side": 1}),
    ("BAD_ORDER_TYPE", "ORDER_TYPE", {"order_type": 2}),
    ("BAD_TIME_IN_FORCE", "TIME_IN_FORCE", {"time_in_force": 1}),
    ("BAD_FLAGS", "FLAGS", {"flags": 0}),
    ("UNSUPPORTED", "STOP_PRICE", {"stop_price": 0}),
    ("UNSUPPORTED", "DISPLAY_QUANTITY", {"display_quantity": 0}),
    ("UNSUPPORTED", "EXPIRY", {"expiry": 0}),
    ("UNSUPPORTED", "SELF_TRADE", {"self_trade": 0}),
    ("UNSUPPORTED", "RESERVED", {"reserved": 0}),
    ("PRICE_NOT_ALLOWED", "PRICE", {"order_type": 1, "price": 500, "flags": 1}),
    ("QUANTITY_NOT_POSITIVE", "QUANTITY", {"quantity": 51}),
    ("QUANTITY_TOO_LARGE", "QUANTITY", {"quantity": 49}),
    ("OFF_LOT", "QUANTITY", {"quantity": 50}),
    ("DUPLICATE_ORDER", "ORDER_ID", {"order_id": 99}),
    ("TOO_MANY_ORDERS", "MAX_ORDERS", {"instrument": 1, "quantity": MOST, "price": 200}),
    ("WOULD_TRADE", "PRICE", {"flags": 0, "side": 2}),
    ("LEVEL_OVERFLOW", "QUANTITY", {"quantity": 10, "price": 202}),
]


@on_both_machines
def test_the_checks_of_new_run_in_the_order_of_the_rule_book(machine: str) -> None:
    exchange, fields = world(machine), dict(ALL_WRONG)
    for reason, field, repair in REPAIRS:
        refused(exchange, record_of(fields), reason, field)
        fields |= repair
    assert [event["kind"] for event in exchange.send(**fields)] == [EventKind.ACCEPTED]


#: The same for AMEND.
AMEND_REPAIRS: list[tuple[str, str, dict[str, int]]] = [
    ("UNKNOWN_INSTRUMENT", "INSTRUMENT", {"instrument": 1}),
    ("BAD_FLAGS", "FLAGS", {"flags": 0}),
    ("UNSUPPORTED", "EXPIRY", {"expiry": 0}),
    ("QUANTITY_NOT_POSITIVE", "QUANTITY", {"quantity": 10}),
    ("UNKNOWN_ORDER", "ORDER_ID", {"order_id": 2}),
    ("NOT_OWNER", "ACCOUNT", {"account": 8, "price": 200}),
    ("LEVEL_OVERFLOW", "QUANTITY", {"price": 202}),
]


@on_both_machines
def test_the_checks_of_amend_run_in_the_order_of_the_rule_book(machine: str) -> None:
    exchange = world(machine)
    fields = {"kind": Kind.AMEND, "instrument": 0, "order_id": 98, "flags": 6, "expiry": 1,
              "account": 9}  # fmt: skip
    for reason, field, repair in AMEND_REPAIRS:
        refused(exchange, record_of(fields), reason, field)
        fields |= repair
    assert exchange.send(**fields)[0]["kind"] == EventKind.AMENDED


@on_both_machines
def test_fields_that_a_kind_does_not_read_are_ignored(machine: str) -> None:
    noise = {"stop_price": 1, "expiry": 1, "self_trade": 1, "reserved": 1, "flags": 9,
             "time_in_force": 9, "order_type": 9, "side": 9, "price": 3}  # fmt: skip
    exchange = world(machine)
    assert exchange.send(**(CANCEL | noise))[0]["kind"] == EventKind.CANCELLED
    assert exchange.send(**(REDUCE | noise | {"order_id": 2}))[0]["kind"] == EventKind.AMENDED
    assert exchange.send(**(DAY | noise | {"instrument": 0}))[-1]["kind"] == EventKind.DAY_ENDED
    mass = MASS | noise | {"side": 0, "instrument": 0, "flags": 0}
    assert exchange.send(**mass)[-1]["quantity"] == 7


@on_both_machines
def test_the_same_tick_written_otherwise_is_no_other_tick(machine: str) -> None:
    exchange = world(machine)
    same = CHANGE | {"tick_mantissa": 500, "tick_exponent": -4, "max_orders": 4, "lot": 7}
    (event,) = exchange.engine.submit_batch(record_of(same, INSTRUMENT))
    assert (event["kind"], event["price"]) == (EventKind.INSTRUMENT_CHANGED, 5)
    assert exchange.book(2) == "100: 11x5; 90: 12x50 / 110: 13x5"
    exchange.run("buy 14 7@80 on=2")


@on_both_machines
def test_max_orders_does_not_count_orders_that_can_not_rest(machine: str) -> None:
    exchange = world(machine)
    exchange.run(
        """
        buy 14 5@100 ioc on=2     => accepted 14 5@100, cancelled 14 5@100 IMMEDIATE_OR_CANCEL
        buy 14 5@110 fok on=2     => accepted 14 5@110, trade 13 5@110 by 14 left 0/0
        buy 14 5@109 on=2         => accepted 14 5@109
        buy 15 5@109 on=2         => rejected TOO_MANY_ORDERS MAX_ORDERS
        """
    )
