"""Every field of every event: what the rule book names is there, everything else is zero."""

from __future__ import annotations

from typing import Any

from rules_kit import PLAIN, Exchange, on_both_machines, record_of

import matchcore as mc
from matchcore import COMMAND, INSTRUMENT, LIMITS, TEXT, EventKind, Field, Kind, Reason
from matchcore.records.schema import INSTRUMENT_KINDS, TEXT_KINDS

FINE = mc.Instrument("FINE", tick="0.05", lot=5, max_quantity=50)
LIMIT = {"kind": Kind.NEW, "instrument": 2, "order_type": 1, "time_in_force": 2}
SELL = {"order_id": 1, "client_order_id": 11, "account": 21, "side": 2}
BUY = {"order_id": 2, "client_order_id": 12, "account": 22, "side": 1}
#: What these commands do not read, and their events do not repeat.
NOISE = {"side": 2, "price": 77}
BY_BUY = {"taker_order_id": 2, "taker_account": 22}
ADD = {"kind": Kind.ADD_INSTRUMENT, "time": 5, "symbol": b"THIRD", "tick_mantissa": 250,
       "tick_exponent": -3, "lot": 3, "max_quantity": 30, "max_orders": 7,
       "instrument": 55}  # fmt: skip

LIMITS_OF_21 = {"kind": Kind.SET_LIMITS, "account": 21, "max_value": 9, "flags": 3, "session": 4}
#: Of both kinds in the layout TEXT.
WORDS = {"time": 5, "key": 9, "data": b"words".ljust(56, b"\0"), "part": 1, "session": 4}

#: A command, then its events without their zeros.  The instrument is 2 and the sequence counts up.
STORY: list[tuple[dict[str, Any], list[dict[str, int]]]] = [
    (LIMIT | SELL | {"price": 110, "quantity": 10},
     [{"kind": EventKind.ACCEPTED, "price": 110, "quantity": 10, "left": 10, **SELL}]),
    (LIMIT | BUY | {"price": 120, "quantity": 25},
     [{"kind": EventKind.ACCEPTED, "price": 120, "quantity": 25, "left": 25, **BUY},
      {"kind": EventKind.TRADED, "price": 110, "quantity": 10, "trade_id": 1, "taker_left": 15,
       **SELL, **BY_BUY}]),
    (LIMIT | SELL | {"price": 100, "quantity": 5, "order_id": 0, "client_order_id": 13},
     [{"kind": EventKind.ACCEPTED, "price": 100, "quantity": 5, "left": 5, **SELL,
       "client_order_id": 13},
      {"kind": EventKind.TRADED, "price": 120, "quantity": 5, "trade_id": 2, "left": 10,
       **BUY, "taker_order_id": 1, "taker_account": 21}]),
    (LIMIT | SELL | {"price": 130, "quantity": 10, "client_order_id": 14},
     [{"kind": EventKind.ACCEPTED, "price": 130, "quantity": 10, "left": 10, **SELL,
       "client_order_id": 14}]),
    ({"kind": Kind.AMEND, "order_id": 2, "price": 130, "quantity": 40, "side": 2,
      "client_order_id": 99},
     [{"kind": EventKind.AMENDED, "price": 130, "quantity": 40, "left": 40, **BUY},
      {"kind": EventKind.TRADED, "price": 130, "quantity": 10, "trade_id": 3, "taker_left": 30,
       **SELL, **BY_BUY, "client_order_id": 14}]),
    ({"kind": Kind.REDUCE, "order_id": 2, "quantity": 10, "client_order_id": 98, **NOISE},
     [{"kind": EventKind.AMENDED, "price": 130, "quantity": 20, "left": 20, **BUY}]),
    ({"kind": Kind.CANCEL, "order_id": 2, "quantity": 5, "client_order_id": 97, **NOISE},
     [{"kind": EventKind.CANCELLED, "price": 130, "quantity": 20, "reason": Reason.REQUESTED,
       **BUY}]),
    (LIMIT | BUY | {"order_type": 2, "quantity": 15, "client_order_id": 15},
     [{"kind": EventKind.ACCEPTED, "quantity": 15, "left": 15, **BUY, "client_order_id": 15},
      {"kind": EventKind.CANCELLED, "quantity": 15, "reason": Reason.MARKET_REMAINDER, **BUY,
       "client_order_id": 15}]),
    (LIMIT | BUY | {"quantity": 7, "price": -3, "client_order_id": 16},
     [{"kind": EventKind.REJECTED, "price": -3, "quantity": 7, "reason": Reason.OFF_LOT,
       "field": Field.QUANTITY, **BUY, "client_order_id": 16}]),
    (LIMIT | BUY | {"quantity": 5, "price": -3, "client_order_id": 17},
     [{"kind": EventKind.ACCEPTED, "price": -3, "quantity": 5, "left": 5, **BUY,
       "client_order_id": 17}]),
    ({"kind": Kind.END_DAY, "account": 4, "order_id": 5, "quantity": 8, **NOISE},
     [{"kind": EventKind.CANCELLED, "price": -3, "quantity": 5, "reason": Reason.END_OF_DAY, **BUY,
       "client_order_id": 17},
      {"kind": EventKind.DAY_ENDED, "quantity": 1}]),
    (LIMIT | SELL | {"quantity": 5, "price": 3, "client_order_id": 18},
     [{"kind": EventKind.ACCEPTED, "price": 3, "quantity": 5, "left": 5, **SELL,
       "client_order_id": 18}]),
    ({"kind": Kind.MASS_CANCEL, "account": 21, "order_id": 5, "quantity": 8, **NOISE,
      "client_order_id": 99},
     [{"kind": EventKind.CANCELLED, "price": 3, "quantity": 5, "reason": Reason.MASS_CANCEL,
       **SELL, "client_order_id": 18},
      {"kind": EventKind.MASS_CANCELLED, "account": 21, "side": 2, "quantity": 1}]),
    (LIMIT | SELL | {"instrument": 1, "quantity": 9, "price": 4, "client_order_id": 99},
     [{"kind": EventKind.REPEATED, "trade_id": 15, "quantity": 2, **SELL, "client_order_id": 99,
       "instrument": 1},
      {"kind": EventKind.CANCELLED, "price": 3, "quantity": 5, "reason": Reason.MASS_CANCEL,
       **SELL, "client_order_id": 18, "sequence": 15},
      {"kind": EventKind.MASS_CANCELLED, "account": 21, "side": 2, "quantity": 1,
       "sequence": 15}]),
    ({"kind": Kind.MASS_CANCEL, "instrument": 0, "account": 21},
     [{"kind": EventKind.MASS_CANCELLED, "account": 21, "instrument": 0}]),
    (ADD, [{"kind": EventKind.INSTRUMENT_ADDED, "price": 25, "quantity": 3, "left": 30,
            "instrument": 3}]),
    (ADD | {"kind": Kind.CHANGE_INSTRUMENT, "instrument": 3, "tick_mantissa": 1, "lot": 4},
     [{"kind": EventKind.INSTRUMENT_CHANGED, "price": 1, "quantity": 4, "left": 30,
       "instrument": 3}]),
    (WORDS | {"kind": Kind.REGISTER, "topic": 3},
     [{"kind": EventKind.REGISTERED, "order_id": 9, "price": 3, "quantity": 1, "left": 1,
       "instrument": 0}]),
    (WORDS | {"kind": Kind.NOTICE, "topic": 3, "parts": 2},
     [{"kind": EventKind.NOTICED, "order_id": 9, "quantity": 1, "left": 2}]),
    (LIMITS_OF_21, [{"kind": EventKind.LIMITS_SET, "account": 21, "left": 3}]),
    (LIMITS_OF_21 | {"collar": -1},
     [{"kind": EventKind.REJECTED, "reason": Reason.BAD_LIMIT, "field": Field.COLLAR}]),
    (WORDS | {"kind": Kind.NOTICE},
     [{"kind": EventKind.REJECTED, "reason": Reason.BAD_VALUE, "field": Field.PARTS}]),
    (ADD | {"lot": -4},
     [{"kind": EventKind.REJECTED, "reason": Reason.DUPLICATE_SYMBOL, "field": Field.SYMBOL,
       "instrument": 55}]),
]  # fmt: skip


@on_both_machines
def test_every_field_of_every_event(machine: str) -> None:
    exchange = Exchange(machine, PLAIN, FINE)
    for sequence, (command, expected) in enumerate(STORY, 3):
        layout = INSTRUMENT if command["kind"] in INSTRUMENT_KINDS else COMMAND
        layout = TEXT if command["kind"] in TEXT_KINDS else layout
        layout = LIMITS if command["kind"] == Kind.SET_LIMITS else layout
        events = exchange.submit(record_of({"instrument": 2, **command}, layout))
        shown = [
            {
                name: value
                for name, value in zip(events.dtype.names or (), row, strict=True)
                if value
            }
            for row in events.tolist()
        ]
        common = {"sequence": sequence, "instrument": 2}
        wanted = [{k: int(v) for k, v in (common | e).items() if v} for e in expected]
        assert shown == wanted, command


def test_the_story_has_every_event() -> None:
    told = {event["kind"] for _, events in STORY for event in events}
    plain = {kind for kind in EventKind if kind < EventKind.MARKET_SET}
    assert told == plain - {EventKind.RULES_CHANGED}  # test_rules_versions.py has that
