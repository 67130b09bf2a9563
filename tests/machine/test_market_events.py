"""Every event of markets, field by field, as docs/markets/index.md says it; on both machines.

A line of the little language (rules_kit.py), then its events.  A field that is not named is zero,
but for the sequence of the command and ``on``, which is 1.
"""

from __future__ import annotations

from typing import Any

import pytest
from rules_kit import OPERATIONS, Exchange, on_both_machines, parsed, record_of

from matchcore import COMMAND, EVENT, EventKind, Field, Reason, Side
from matchcore.records.markets import ANY_BUY, ANY_SELL
from matchcore.records.schema import MARKET_EVENTS, ORDER_EVENTS, Parameter, Phase

NAMES = {"id": "order_id", "name": "client_order_id", "acc": "account", "at": "price",
         "by": "taker_order_id", "by_acc": "taker_account", "by_left": "taker_left",
         "trade": "trade_id", "on": "instrument"}  # fmt: skip
CODES = {"buy": int(Side.BUY), "sell": int(Side.SELL), "any_buy": ANY_BUY, "any_sell": ANY_SELL}

CASES = {
    "a market begins, and has another value": """
        set day reference=100 previous_close=99
            market_set id=9 left=1
        set ticks 1 from_price=50 step=5
            rejected reason=BAD_PARAMETER field=INDEX
        set ticks 0 from_price=0 step=5
            market_set id=10
        set ticks 1 from_price=50 step=10
            market_set id=10 quantity=1
        """,
    "phases": """
        set trading group=3
            market_set id=1 left=1
        phase closed
            phase_changed left=9 by_left=5
        phase opening_call
            phase_changed left=2 by_left=9
            indicative
        phase opening_call
            phase_changed left=2 by_left=2
        phase opening_call_locked on=0 group=3
            phase_changed left=3 by_left=2
        phase break
            rejected reason=PHASE_OUT_OF_ORDER field=PHASE
        phase halted on=0 until=50
            phase_changed left=12 by_left=3
        clock on=0 time=49
            clocked on=0
        clock on=0 time=50
            phase_changed left=5 by_left=12
            clocked on=0 left=1
        """,
    "a phase cancels all orders": """
        set trading
            market_set id=1 left=1
        buy 1 5@100 acc=7 client_order_id=70
            accepted id=1 name=70 acc=7 side=buy at=100 quantity=5 left=5
        phase cancel_only flags=1
            cancelled id=1 name=70 acc=7 side=buy at=100 quantity=5 reason=PHASE
            phase_changed left=11 by_left=5
        """,
    "a call: indicative prices, the auction, and what ends with it": """
        set trading
            market_set id=1 left=1
        phase closing_call
            phase_changed left=7 by_left=5
            indicative
        buy 1 10@102 acc=7 client_order_id=71
            accepted id=1 name=71 acc=7 side=buy at=102 quantity=10 left=10
        sell 2 4@101 acc=8 client_order_id=72
            accepted id=2 name=72 acc=8 side=sell at=101 quantity=4 left=4
            indicative at=102 quantity=4 left=6
        sell 3 3@market gtc acc=9 client_order_id=73
            accepted id=3 name=73 acc=9 side=sell at=any_sell quantity=3 left=3
            indicative at=102 quantity=7 left=3
        sell 4 5@103 auction acc=9 client_order_id=74
            accepted id=4 name=74 acc=9 side=sell at=103 quantity=5 left=5
        buy 5 2@market gtc acc=6
            accepted id=5 acc=6 side=buy at=any_buy quantity=2 left=2
            indicative at=102 quantity=7 left=5
        phase closed
            traded id=5 acc=6 side=buy at=102 quantity=2 by=3 by_acc=9 by_left=1 trade=1
            traded id=1 name=71 acc=7 side=buy at=102 quantity=1 left=9 by=3 by_acc=9 trade=2
            traded id=1 name=71 acc=7 side=buy at=102 quantity=4 left=5 by=2 by_acc=8 trade=3
            cancelled id=4 name=74 acc=9 side=sell at=103 quantity=5 reason=AUCTION_OVER
            phase_changed at=102 quantity=7 left=9 by_left=7
        """,
    "orders that wait for a call, and a market order that nothing takes": """
        set trading
            market_set id=1 left=1
        buy 1 3@100 at_close acc=7 client_order_id=70
            accepted id=1 name=70 acc=7 side=buy at=100 quantity=3 left=3
        phase closing_call
            phase_changed left=7 by_left=5
            triggered id=1 name=70 acc=7 side=buy at=100 quantity=3 left=3
            indicative
        sell 2 5@market gtc acc=8
            accepted id=2 acc=8 side=sell at=any_sell quantity=5 left=5
            indicative at=100 quantity=3 left=-2
        phase closed
            traded id=1 name=70 acc=7 side=buy at=100 quantity=3 by=2 by_acc=8 by_left=2 trade=1
            cancelled id=2 acc=8 side=sell at=any_sell quantity=2 reason=MARKET_REMAINDER
            phase_changed at=100 quantity=3 left=9 by_left=7
        """,
    "a volatility interruption begins and ends": """
        set volatility dynamic=500 duration_ns=30
            market_set id=7 left=1
        sell 1 1@100 acc=7
            accepted id=1 acc=7 side=sell at=100 quantity=1 left=1
        buy 2 1@100 acc=8
            accepted id=2 acc=8 side=buy at=100 quantity=1 left=1
            traded id=1 acc=7 side=sell at=100 quantity=1 by=2 by_acc=8 trade=1
        sell 3 4@106 acc=7 time=5
            accepted id=3 acc=7 side=sell at=106 quantity=4 left=4
        buy 4 3@107 acc=8 client_order_id=80 time=10
            accepted id=4 name=80 acc=8 side=buy at=107 quantity=3 left=3
            phase_changed left=10 by_left=5 reason=VOLATILITY
            indicative at=106 quantity=3 left=-1
        clock on=0 time=40
            traded id=4 name=80 acc=8 side=buy at=106 quantity=3 by=3 by_acc=7 by_left=1 trade=2
            phase_changed at=106 quantity=3 left=5 by_left=10
            clocked on=0 left=1
        """,
    "a halt": """
        set halts first=1000 duration_ns=30
            market_set id=8 left=1
        sell 1 1@100 acc=7
            accepted id=1 acc=7 side=sell at=100 quantity=1 left=1
        buy 2 1@100 acc=8
            accepted id=2 acc=8 side=buy at=100 quantity=1 left=1
            traded id=1 acc=7 side=sell at=100 quantity=1 by=2 by_acc=8 trade=1
        sell 3 2@110 acc=7
            accepted id=3 acc=7 side=sell at=110 quantity=2 left=2
        buy 4 5@112 ioc acc=8
            accepted id=4 acc=8 side=buy at=112 quantity=5 left=5
            traded id=3 acc=7 side=sell at=110 quantity=2 by=4 by_acc=8 by_left=3 trade=2
            cancelled id=4 acc=8 side=buy at=112 quantity=3 reason=VOLATILITY
            phase_changed left=10 by_left=5 reason=VOLATILITY
            indicative
        """,
    "an order outside the cage is kept, and enters": """
        set cage mode=2 part=200
            market_set id=6 left=1
        sell 1 5@100 acc=7
            accepted id=1 acc=7 side=sell at=100 quantity=5 left=5
        buy 2 5@90 acc=6
            accepted id=2 acc=6 side=buy at=90 quantity=5 left=5
        buy 3 2@103 acc=8 client_order_id=80
            accepted id=3 name=80 acc=8 side=buy at=103 quantity=2 left=2
        cancel 1 acc=7
            cancelled id=1 acc=7 side=sell at=100 quantity=5 reason=REQUESTED
        sell 4 1@101 acc=7
            accepted id=4 acc=7 side=sell at=101 quantity=1 left=1
            triggered id=3 name=80 acc=8 side=buy at=103 quantity=2 left=2
            traded id=4 acc=7 side=sell at=101 quantity=1 by=3 by_acc=8 by_left=1 trade=1
        """,
    "a stop is reached, and a pair": """
        set trading
            market_set id=1 left=1
        sell 1 5@100 acc=7
            accepted id=1 acc=7 side=sell at=100 quantity=5 left=5
        buy 2 2 stop stop=100 acc=8 client_order_id=80
            accepted id=2 name=80 acc=8 side=buy quantity=2 left=2
        buy 3 2@90 link=2 acc=8 client_order_id=81
            accepted id=3 name=81 acc=8 side=buy at=90 quantity=2 left=2
        buy 4 1@100 acc=9
            accepted id=4 acc=9 side=buy at=100 quantity=1 left=1
            traded id=1 acc=7 side=sell at=100 quantity=1 left=4 by=4 by_acc=9 trade=1
            triggered id=2 name=80 acc=8 side=buy quantity=2 left=2
            traded id=1 acc=7 side=sell at=100 quantity=2 left=2 by=2 by_acc=8 trade=2
            cancelled id=3 name=81 acc=8 side=buy at=90 quantity=2 reason=ONE_CANCELS_OTHER
        """,
    "a peg follows, and loses what it follows": """
        set trading
            market_set id=1 left=1
        buy 1 5@98 acc=7
            accepted id=1 acc=7 side=buy at=98 quantity=5 left=5
        buy 2 3 peg_primary offset=-1 acc=8 client_order_id=80
            accepted id=2 name=80 acc=8 side=buy at=97 quantity=3 left=3
        buy 3 1@99 acc=9
            accepted id=3 acc=9 side=buy at=99 quantity=1 left=1
            repriced id=2 name=80 acc=8 side=buy at=98 quantity=3 left=3
        mass acc=9 on=1
            cancelled id=3 acc=9 side=buy at=99 quantity=1 reason=MASS_CANCEL
            repriced id=2 name=80 acc=8 side=buy at=97 quantity=3 left=3
            mass_cancelled acc=9 quantity=1
        cancel 1 acc=7
            cancelled id=1 acc=7 side=buy at=98 quantity=5 reason=REQUESTED
            cancelled id=2 name=80 acc=8 side=buy at=97 quantity=3 reason=REFERENCE_GONE
        """,
    "orders whose price their fills make": """
        set trading
            market_set id=1 left=1
        sell 1 1@100 acc=7
            accepted id=1 acc=7 side=sell at=100 quantity=1 left=1
        buy 2 3 market_to_limit acc=8
            accepted id=2 acc=8 side=buy quantity=3 left=3
            traded id=1 acc=7 side=sell at=100 quantity=1 by=2 by_acc=8 by_left=2 trade=1
            repriced id=2 acc=8 side=buy at=100 quantity=2 left=2
        buy 3 1 own_best acc=9
            accepted id=3 acc=9 side=buy at=100 quantity=1 left=1
        buy 4 1 counterparty_best acc=9
            accepted id=4 acc=9 side=buy quantity=1 left=1
            cancelled id=4 acc=9 side=buy quantity=1 reason=NO_OPPOSITE
        sell 5 9 best_five ioc acc=7
            accepted id=5 acc=7 side=sell quantity=9 left=9
            traded id=2 acc=8 side=buy at=100 quantity=2 by=5 by_acc=7 by_left=7 trade=2
            traded id=3 acc=9 side=buy at=100 quantity=1 by=5 by_acc=7 by_left=6 trade=3
            cancelled id=5 acc=7 side=sell quantity=6 reason=LEVELS_TAKEN
        """,
    "an iceberg shows its next part": """
        set trading
            market_set id=1 left=1
        sell 1 5@100 show=2 acc=7
            accepted id=1 acc=7 side=sell at=100 quantity=5 left=5
        buy 2 3@100 acc=8
            accepted id=2 acc=8 side=buy at=100 quantity=3 left=3
            traded id=1 acc=7 side=sell at=100 quantity=2 left=3 by=2 by_acc=8 by_left=1 trade=1
            traded id=1 acc=7 side=sell at=100 quantity=1 left=2 by=2 by_acc=8 trade=2
        """,
    "self-trades": """
        set trading
            market_set id=1 left=1
        sell 1 2@100 acc=7
            accepted id=1 acc=7 side=sell at=100 quantity=2 left=2
        buy 2 5@100 self_trade=4 acc=7
            accepted id=2 acc=7 side=buy at=100 quantity=5 left=5
            cancelled id=1 acc=7 side=sell at=100 quantity=2 reason=SELF_TRADE
            decremented id=2 acc=7 side=buy at=100 quantity=2 left=3
        sell 3 1@100 self_trade=1 acc=7
            accepted id=3 acc=7 side=sell at=100 quantity=1 left=1
            cancelled id=3 acc=7 side=sell at=100 quantity=1 reason=SELF_TRADE
        """,
    "quotes, and the protection of their market maker": """
        set trading
            market_set id=1 left=1
        protect acc=7 max_fills=1 window_ns=5
            protection_set acc=7 left=1
        protect acc=7 on=0 group=4
            protection_set on=0 acc=7 trade=4
        quote 10@99 12@101 acc=7 client_order_id=70
            accepted id=1 name=70 acc=7 side=buy at=99 quantity=10 left=10
            accepted id=2 name=70 acc=7 side=sell at=101 quantity=12 left=12
            quote_set name=70 acc=7 left=2
        quote 3@98 - acc=7 client_order_id=71
            cancelled id=1 name=70 acc=7 side=buy at=99 quantity=10 reason=QUOTE_REPLACED
            cancelled id=2 name=70 acc=7 side=sell at=101 quantity=12 reason=QUOTE_REPLACED
            accepted id=3 name=71 acc=7 side=buy at=98 quantity=3 left=3
            quote_set name=71 acc=7 quantity=2 left=1
        sell 9 1@98 acc=8
            accepted id=9 acc=8 side=sell at=98 quantity=1 left=1
            traded id=3 name=71 acc=7 side=buy at=98 quantity=1 left=2 by=9 by_acc=8 trade=1
            cancelled id=3 name=71 acc=7 side=buy at=98 quantity=2 reason=PROTECTION
        quote - - acc=7 client_order_id=72
            quote_set name=72 acc=7
        quote 1@100 1@100 acc=7 client_order_id=73
            rejected name=73 acc=7 at=100 quantity=1 reason=QUOTE_CROSSED field=STOP_PRICE
        """,
    "orders expire": """
        set trading
            market_set id=1 left=1
        buy 1 5@100 gtd expiry=20 acc=7 client_order_id=70 time=1
            accepted id=1 name=70 acc=7 side=buy at=100 quantity=5 left=5
        buy 2 5@99 gtd expiry=30 acc=7 time=1
            accepted id=2 acc=7 side=buy at=99 quantity=5 left=5
        clock on=1 time=20
            cancelled id=1 name=70 acc=7 side=buy at=100 quantity=5 reason=EXPIRED
            clocked quantity=1
        sell 3 1@99 time=30 acc=8
            accepted id=3 acc=8 side=sell at=99 quantity=1 left=1
            cancelled id=2 acc=7 side=buy at=99 quantity=5 reason=EXPIRED
        """,
    "amends": """
        set trading
            market_set id=1 left=1
        sell 1 2@100 acc=8
            accepted id=1 acc=8 side=sell at=100 quantity=2 left=2
        buy 2 6@99 acc=7
            accepted id=2 acc=7 side=buy at=99 quantity=6 left=6
        amend 2 4@100 acc=7 client_order_id=71
            amended id=2 acc=7 side=buy at=100 quantity=4 left=4
            traded id=1 acc=8 side=sell at=100 quantity=2 by=2 by_acc=7 by_left=2 trade=1
        amend 2 2 total acc=7 client_order_id=72
            cancelled id=2 acc=7 side=buy at=100 quantity=2 reason=AMENDED_TO_FILLED
        """,
    "a trade is busted": """
        set trading
            market_set id=1 left=1
        sell 1 2@100 acc=8
            accepted id=1 acc=8 side=sell at=100 quantity=2 left=2
        buy 2 1@100 acc=7
            accepted id=2 acc=7 side=buy at=100 quantity=1 left=1
            traded id=1 acc=8 side=sell at=100 quantity=1 left=1 by=2 by_acc=7 trade=1
        bust 2 quantity=1 price=100
            rejected id=2 at=100 quantity=1 reason=UNKNOWN_TRADE field=ORDER_ID
        bust 1 quantity=1 price=100
            busted trade=1 at=100 quantity=1
        """,
    "the day ends": """
        set trading
            market_set id=1 left=1
        buy 1 5@100 day acc=7
            accepted id=1 acc=7 side=buy at=100 quantity=5 left=5
        buy 2 5@99 acc=7
            accepted id=2 acc=7 side=buy at=99 quantity=5 left=5
        endday on=1
            cancelled id=1 acc=7 side=buy at=100 quantity=5 reason=END_OF_DAY
            day_ended quantity=1
        """,
}


def steps(script: str) -> list[tuple[str, list[str]]]:
    """Commands with the texts of their events, which stand further in."""
    found: list[tuple[str, list[str]]] = []
    for line in script.strip("\n").splitlines():
        if line.startswith(" " * 12):
            found[-1][1].append(line.strip())
        elif line.strip():
            found.append((line.strip(), []))
    return found


def event_of(text: str, sequence: int) -> dict[str, int]:
    """All fields of an event."""
    kind, *words = text.split()
    fields = dict.fromkeys(EVENT.names or (), 0)
    fields |= {"kind": EventKind[kind.upper()], "sequence": sequence, "instrument": 1}
    for name, value in (word.split("=") for word in words):
        if name in ("reason", "field"):
            fields[name] = int(Reason[value] if name == "reason" else Field[value])
        else:
            fields[NAMES.get(name, name)] = int(CODES.get(value, value))
    return fields


def told(exchange: Exchange, line: str) -> list[dict[str, int]]:
    layout: Any = OPERATIONS[line.split()[0]][1] if line.split()[0] in OPERATIONS else COMMAND
    events = exchange.submit(record_of({"instrument": 1, **parsed(line)}, layout))
    return [dict(zip(EVENT.names or (), map(int, event.item()), strict=True)) for event in events]


@on_both_machines
@pytest.mark.parametrize("what", CASES)
def test_each_field_of_each_event(what: str, machine: str) -> None:
    exchange = Exchange(machine)
    for line, texts in steps(CASES[what]):
        found = told(exchange, line)
        expected = [event_of(text, exchange.engine.sequence) for text in texts]
        assert [_short(event) for event in found] == [_short(event) for event in expected], line
        assert found == expected, line


def _short(event: dict[str, int]) -> dict[str, Any]:
    """What is not zero, with the names of codes: for a difference that can be read."""
    codes = {"kind": EventKind, "reason": Reason, "field": Field}
    return {name: codes[name](value).name if name in codes else value
            for name, value in event.items() if value}  # fmt: skip


def test_every_kind_is_among_them() -> None:
    kinds = {EventKind[text.split()[0].upper()] for script in CASES.values()
             for _, texts in steps(script) for text in texts}  # fmt: skip
    assert kinds >= MARKET_EVENTS | ORDER_EVENTS
    assert len(Phase) == 12 and len(Parameter) == 11  # numbers above stand for these
