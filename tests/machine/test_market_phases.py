"""Phases of a market by hand, on both machines: what follows what, what is legal where, the day."""

from __future__ import annotations

from itertools import pairwise

import pytest
from rules_kit import Exchange, on_both_machines

import matchcore as mc
from matchcore.records.schema import NEXT_PHASES, Phase

#: A way from continuous trading, where a market begins, to each phase.
WAYS = {
    Phase.CONTINUOUS: (),
    Phase.QUIET: (Phase.QUIET,),
    Phase.BREAK: (Phase.BREAK,),
    Phase.CLOSING_CALL: (Phase.CLOSING_CALL,),
    Phase.AT_CLOSING_PRICE: (Phase.AT_CLOSING_PRICE,),
    Phase.VOLATILITY_CALL: (Phase.VOLATILITY_CALL,),
    Phase.CANCEL_ONLY: (Phase.CANCEL_ONLY,),
    Phase.HALTED: (Phase.HALTED,),
    Phase.CLOSED: (Phase.CLOSED,),
    Phase.PRE_OPEN: (Phase.CLOSED, Phase.PRE_OPEN),
    Phase.OPENING_CALL: (Phase.CLOSED, Phase.OPENING_CALL),
    Phase.OPENING_CALL_LOCKED: (Phase.CLOSED, Phase.OPENING_CALL, Phase.OPENING_CALL_LOCKED),
}


def brought(machine: str, phase: Phase) -> Exchange:
    """A market in a phase, with a previous close and no orders."""
    exchange = Exchange(machine)
    exchange.run("set trading\nset auction interval_ns=-1\nset day previous_close=100")
    for step in WAYS[phase]:
        exchange.run(f"phase {step.name.lower()}")
    return exchange


@on_both_machines
@pytest.mark.parametrize("before", Phase, ids=lambda phase: phase.name)
def test_what_may_follow_a_phase_is_a_table(machine: str, before: Phase) -> None:
    for after in Phase:
        exchange = brought(machine, before)
        if after == before or after in NEXT_PHASES[before]:
            assert (
                exchange.say(f"phase {after.name.lower()}")[0] == f"phase {after.name.lower()} 0@0"
            )
        else:
            state = exchange.engine.state().markets.tobytes()
            refused = exchange.say(f"phase {after.name.lower()}")
            assert refused == ["rejected PHASE_OUT_OF_ORDER PHASE"]
            assert exchange.engine.state().markets.tobytes() == state


def test_the_table_has_the_days_of_venues() -> None:
    """By hand: a day with two calls and a break, one without calls, and one that is interrupted."""
    days = [
        "PRE_OPEN OPENING_CALL OPENING_CALL_LOCKED QUIET CONTINUOUS BREAK CONTINUOUS CLOSING_CALL"
        " AT_CLOSING_PRICE CLOSED PRE_OPEN",
        "PRE_OPEN CONTINUOUS CLOSED PRE_OPEN",
        "OPENING_CALL CONTINUOUS VOLATILITY_CALL CONTINUOUS VOLATILITY_CALL CLOSING_CALL CLOSED",
        "CONTINUOUS HALTED OPENING_CALL CONTINUOUS CLOSING_CALL CLOSED AT_CLOSING_PRICE CLOSED",
        "CONTINUOUS CANCEL_ONLY CONTINUOUS",
    ]
    for day in days:
        steps = [Phase[name] for name in day.split()]
        for before, after in pairwise(steps):
            assert after in NEXT_PHASES[before], (before, after)
    assert Phase.CLOSING_CALL not in NEXT_PHASES[Phase.PRE_OPEN]
    assert Phase.AT_CLOSING_PRICE not in NEXT_PHASES[Phase.BREAK]
    assert Phase.OPENING_CALL not in NEXT_PHASES[Phase.CONTINUOUS]
    assert all(
        Phase.HALTED in after or before == Phase.HALTED for before, after in NEXT_PHASES.items()
    )


ENTRY = {Phase.PRE_OPEN, Phase.OPENING_CALL, Phase.OPENING_CALL_LOCKED, Phase.CONTINUOUS,
         Phase.CLOSING_CALL, Phase.AT_CLOSING_PRICE, Phase.VOLATILITY_CALL}  # fmt: skip
CANCEL = ENTRY - {Phase.OPENING_CALL_LOCKED} | {Phase.HALTED, Phase.CANCEL_ONLY}
CALLS = ENTRY - {Phase.CONTINUOUS, Phase.AT_CLOSING_PRICE}
OPENING = {Phase.PRE_OPEN, Phase.OPENING_CALL, Phase.OPENING_CALL_LOCKED}

#: A line -> the phases that take it, and the field at fault in the others that take orders.
LEGAL: list[tuple[str, set[Phase], str]] = [
    ("buy 9 1@100", ENTRY, ""),
    ("buy 9 1@100 day", ENTRY, ""),
    ("buy 9 1@100 gtd time=1 expiry=2", ENTRY, ""),
    ("buy 9 1@100 ioc", {Phase.CONTINUOUS, Phase.AT_CLOSING_PRICE}, "TIME_IN_FORCE"),
    ("buy 9 1@100 fok", {Phase.CONTINUOUS}, "TIME_IN_FORCE"),
    ("buy 9 1@100 at_open", OPENING, "TIME_IN_FORCE"),
    ("buy 9 1@100 at_close", ENTRY - {Phase.AT_CLOSING_PRICE}, "TIME_IN_FORCE"),
    ("buy 9 1@100 auction", ENTRY - {Phase.AT_CLOSING_PRICE}, "TIME_IN_FORCE"),
    ("buy 9 1 market", CALLS | {Phase.CONTINUOUS}, "ORDER_TYPE"),
    *((f"buy 9 1 {kind}", {Phase.CONTINUOUS}, "ORDER_TYPE")
      for kind in ("market_to_limit", "stop stop=120", "peg_primary", "best_five",
                   "best_five_limit", "own_best", "counterparty_best", "trailing_stop away=5")),
    ("buy 9 1@100 stop_limit stop=120", {Phase.CONTINUOUS}, "ORDER_TYPE"),
    ("buy 9 2@100 post", {Phase.CONTINUOUS}, "FLAGS"),
    ("buy 9 2@100 slide", {Phase.CONTINUOUS}, "FLAGS"),
    ("buy 9 2@100 least=1", {Phase.CONTINUOUS}, "FLAGS"),
    ("buy 9 2@100 hidden", ENTRY - {Phase.AT_CLOSING_PRICE}, "FLAGS"),
    ("buy 9 2@100 show=1", ENTRY - {Phase.AT_CLOSING_PRICE}, "FLAGS"),
]  # fmt: skip


@on_both_machines
@pytest.mark.parametrize(("line", "taken", "field"), LEGAL)
def test_what_is_legal_where_is_a_table(
    machine: str, line: str, taken: set[Phase], field: str
) -> None:
    for phase in Phase:
        said = brought(machine, phase).say(line)
        if phase not in ENTRY:
            assert said == ["rejected BAD_PHASE KIND"], phase
        elif phase not in taken:
            assert said == [f"rejected BAD_PHASE {field}"], phase
        elif said[0].startswith("rejected"):  # a peg without a best price, a distance from nothing
            assert said == ["rejected NO_REFERENCE ORDER_TYPE"], phase


@on_both_machines
@pytest.mark.parametrize("line", ["cancel 1", "reduce 1 1", "amend 1 1", "mass acc=7"])
def test_where_cancels_are_taken(machine: str, line: str) -> None:
    for phase in set(Phase) - {Phase.AT_CLOSING_PRICE}:
        exchange = Exchange(machine)
        exchange.run("set trading\nset auction interval_ns=-1\nbuy 1 2@100 acc=7")
        for step in WAYS[phase]:
            exchange.run(f"phase {step.name.lower()}")
        said = exchange.say(line)
        fine = phase in CANCEL and (not line.startswith("amend") or phase in ENTRY)
        assert (said == ["rejected BAD_PHASE KIND"]) != fine, (phase, said)


DAYS = {
    "the closing price is that of the auction": """
        set closing rule=0
        buy 1 1@100
        sell 2 1@100
        phase closing_call
        buy 3 5@104
        sell 4 5@104
        phase at_closing_price => trade 3 5@104 by 4 left 0/0, phase at_closing_price 5@104
        buy 5 1@104 => accepted 5 1@104
        """,
    "without a cross it is the last trade": """
        set closing rule=0
        buy 1 1@100
        sell 2 1@100
        phase closing_call
        phase at_closing_price
        buy 5 1@99 => rejected OUTSIDE_LIMITS PRICE
        buy 5 1@100 => accepted 5 1@100
        """,
    "the last trade, whatever the auction": """
        set closing rule=2
        buy 1 1@100
        sell 2 1@100
        phase at_closing_price
        sell 5 1@100 => accepted 5 1@100
        """,
    "the average of the last minute, rounded half up": """
        set closing rule=1 from_ns=100
        buy 1 9@100 time=10
        sell 2 1@100 time=99
        sell 3 1@100 time=100
        buy 4 1@103 time=110
        sell 5 1@103 time=120
        phase at_closing_price
        sell 6 1@102 => accepted 6 1@102
        sell 7 1@103 => rejected OUTSIDE_LIMITS PRICE
        """,
    "an average may be of what is near the last trade, this one included": """
        set closing rule=1 window_ns=60000000000
        buy 1 99@100 time=1000000000
        sell 2 10@100 time=19999999999
        sell 3 1@100 time=20000000000
        buy 4 9@103 time=70000000000
        sell 5 3@101 time=80000000000
        phase at_closing_price time=999000000000
        sell 6 1@103 => rejected OUTSIDE_LIMITS PRICE
        sell 7 1@102 => accepted 7 1@102, trade 4 1@102 by 7 left 5/0
        """,
    "so is that of a closing auction in which nothing trades": """
        set closing rule=0 window_ns=60000000000
        buy 1 3@100 time=1000000000
        sell 2 1@100 time=2000000000
        sell 3 1@100 time=70000000000
        buy 4 3@105
        sell 5 1@105 time=71000000000
        phase closing_call time=80000000000
        phase at_closing_price time=90000000000
        sell 6 1@104 => rejected OUTSIDE_LIMITS PRICE
        sell 7 1@103 => accepted 7 1@103, trade 4 1@103 by 7 left 1/0
        """,
    "setting the rule forgets what was counted": """
        set closing rule=1 window_ns=60000000000
        buy 1 3@100
        sell 2 1@100
        buy 3 1@105
        sell 4 1@105
        set closing rule=1 window_ns=60000000000
        phase at_closing_price
        sell 5 1@106 => rejected OUTSIDE_LIMITS PRICE
        sell 6 1@105 => accepted 6 1@105
        """,
    "without any trade it is the previous close": """
        set day previous_close=97
        phase at_closing_price
        sell 1 1@96 => accepted 1 1@97
        """,
    "without that there is none": """
        phase at_closing_price => rejected NO_REFERENCE PHASE
        """,
    "orders at the closing price have that price, and trade by time": """
        buy 1 1@100
        sell 2 1@100
        phase at_closing_price
        sell 3 5@90 => accepted 3 5@100
        sell 4 5@100 => accepted 4 5@100
        buy 5 7@110 => accepted 5 7@100, trade 3 5@100 by 5 left 0/2, trade 4 2@100 by 5 left 3/0
        buy 6 9@100 ioc => accepted 6 9@100, trade 4 3@100 by 6 left 0/6,
            cancelled 6 6@100 IMMEDIATE_OR_CANCEL
        """,
    "what rested before keeps its limit, and trades at the closing price": """
        sell 1 5@105
        buy 2 1@100
        sell 3 1@100
        phase at_closing_price
        buy 4 1@110 => accepted 4 1@100
        sell 5 1@100 => accepted 5 1@100, trade 4 1@100 by 5 left 0/0
        """,
    "a market that opens again has another close": """
        buy 1 1@100
        sell 2 1@100
        phase closed
        phase continuous
        buy 3 1@105
        sell 4 1@105
        phase at_closing_price
        buy 5 1@104 => rejected OUTSIDE_LIMITS PRICE
        buy 5 1@105 => accepted 5 1@105
        """,
    "a timed phase ends with the clock": """
        phase volatility_call until=1000 time=100
        buy 1 5@100 time=200
        sell 2 5@100 time=300
        clock time=999 => clocked 0 0
        clock time=1000 => trade 1 5@100 by 2 left 0/0, phase continuous 5@100, clocked 0 1
        clock time=1001 => clocked 0 0
        """,
    "other phases have no end": """
        phase break until=5 => rejected BAD_VALUE UNTIL
        phase continuous phase=0 => rejected BAD_VALUE PHASE
        phase continuous phase=13 => rejected BAD_VALUE PHASE
        phase halted flags=2 => rejected BAD_FLAGS FLAGS
        phase halted reserved1=1 => rejected UNSUPPORTED RESERVED
        phase halted group=1 => rejected BAD_VALUE GROUP
        phase halted on=2 => rejected UNKNOWN_INSTRUMENT INSTRUMENT
        """,
    "the kill switch of an instrument": """
        buy 1 5@100
        sell 2 5 stop stop=90
        sell 3 5@110 at_close
        phase cancel_only flags=1 => cancelled 1 5@100 PHASE, cancelled 2 5@0 PHASE,
            cancelled 3 5@110 PHASE, phase cancel_only 0@0
        """,
    "a halt keeps the orders, and the market opens again": """
        buy 1 5@100
        phase halted until=50 time=1
        buy 2 5@100 => rejected BAD_PHASE KIND
        cancel 1 => cancelled 1 5@100 REQUESTED
        clock time=50 => phase continuous 0@0, clocked 0 1
        """,
    "a break keeps everything": """
        buy 1 5@100
        phase break
        cancel 1 => rejected BAD_PHASE KIND
        phase continuous
        sell 2 5@100 => accepted 2 5@100, trade 1 5@100 by 2 left 0/0
        """,
    "an order for the close waits all day": """
        buy 1 5@100 at_close
        phase break
        phase continuous
        sell 2 5@100 => accepted 2 5@100
        phase closing_call => phase closing_call 0@0, triggered 1 5@100
        phase closed => trade 1 5@100 by 2 left 0/0, phase closed 5@100
        """,
    "trading outside the static range is interrupted by a call": """
        set volatility static=500 duration_ns=100
        set day reference=100
        sell 1 5@105
        sell 2 5@106
        buy 3 12@106 time=7 => accepted 3 12@106, trade 1 5@105 by 3 left 0/7,
            phase volatility_call 0@0 VOLATILITY
        clock time=106 => clocked 0 0
        clock time=107 => trade 3 5@106 by 2 left 2/0, phase continuous 5@106, clocked 0 1
        """,
    "what cannot wait in the call goes": """
        set volatility static=500 duration_ns=100
        set day reference=100
        sell 1 5@105
        sell 2 5@106
        buy 3 12 market => accepted 3 12@0, trade 1 5@105 by 3 left 0/7, cancelled 3 7@0 VOLATILITY,
            phase volatility_call 0@0 VOLATILITY
        """,
    "the dynamic range is from the last trade": """
        set volatility dynamic=200 duration_ns=100
        buy 1 1@100
        sell 2 1@100
        sell 3 5@102
        sell 4 5@105
        buy 5 10@105 => accepted 5 10@105, trade 3 5@102 by 5 left 0/5,
            phase volatility_call 0@0 VOLATILITY
        """,
    "steps from the open halt once a day, each": """
        set halts first=300 second=600 duration_ns=100
        buy 1 1@100
        sell 2 1@100
        sell 3 5@103
        sell 4 5@106
        buy 5 10@106 time=10 => accepted 5 10@106, trade 3 5@103 by 5 left 0/5,
            phase volatility_call 0@0 VOLATILITY
        clock time=110 => trade 5 5@106 by 4 left 0/0, phase continuous 5@106, clocked 0 1
        sell 6 5@106
        buy 7 1@106 time=120 => accepted 7 1@106, trade 6 1@106 by 7 left 4/0,
            phase volatility_call 0@0 VOLATILITY
        clock time=220 => phase continuous 0@0, clocked 0 1
        buy 8 1@106 time=230 => accepted 8 1@106, trade 6 1@106 by 8 left 3/0
        """,
}


@on_both_machines
@pytest.mark.parametrize("what", DAYS)
def test_a_day_goes_as_the_rule_book_says(machine: str, what: str) -> None:
    exchange = Exchange(machine)
    exchange.run("set trading\nset auction interval_ns=-1")
    exchange.run(DAYS[what])


@on_both_machines
def test_a_group_changes_together_where_it_may(machine: str) -> None:
    worlds = [mc.Instrument(name, tick=1) for name in ("ONE", "TWO", "THREE", "PLAIN")]
    exchange = Exchange(machine, *worlds)
    exchange.run(
        """
        set trading group=5
        set trading group=5 on=2
        set trading group=6 on=3
        phase break group=5 on=0 => phase break 0@0, phase break 0@0
        phase closing_call on=2 => phase closing_call 0@0, indicative 0@0 over 0
        phase continuous on=0 => phase continuous 0@0, phase continuous 0@0
        phase closed group=7 on=0 => rejected NO_MARKET GROUP
        phase opening_call group=5 on=0 => rejected PHASE_OUT_OF_ORDER PHASE
        """
    )
    assert exchange.engine.state().markets["phase"].tolist() == [5, 7, 5]


@on_both_machines
def test_the_clock_goes_through_all_markets(machine: str) -> None:
    worlds = [mc.Instrument(name, tick=1) for name in ("ONE", "TWO", "PLAIN")]
    exchange = Exchange(machine, *worlds)
    exchange.run(
        """
        set trading
        set trading on=2
        set auction interval_ns=-1
        set auction interval_ns=-1 on=2
        buy 1 5@100 gtd expiry=50 time=1
        buy 2 5@100 gtd expiry=60 time=1 on=2
        phase halted until=60 time=2 on=2
        clock on=0 time=60 => cancelled 1 5@100 EXPIRED, cancelled 2 5@100 EXPIRED,
            phase continuous 0@0, clocked 2 1
        clock on=3 => rejected NO_MARKET INSTRUMENT
        """
    )


EXPIRIES = {
    "an expired order never trades in the auction": """
        phase opening_call
        buy 1 5@101 gtd expiry=50 time=1
        buy 2 3@101 gtd expiry=51 time=1
        sell 3 9@100 time=1 => accepted 3 9@100, indicative 8@100 over -1
        phase continuous time=50 => cancelled 1 5@101 EXPIRED,
            trade 2 3@100 by 3 left 0/6, phase continuous 3@100
        """,
    "nor at the start of continuous trading without a call": """
        buy 1 5@101 gtd expiry=50 time=1
        sell 2 5@101 time=1
        phase continuous time=50 => cancelled 1 5@101 EXPIRED, phase continuous 0@0
        """,
    "the other one of its pair goes with it": """
        buy 1 5@101 gtd expiry=50 time=1 acc=7
        buy 2 5@102 acc=7 link=1 time=1
        sell 3 5@100 time=1
        phase continuous time=50 => cancelled 1 5@101 EXPIRED,
            cancelled 2 5@102 ONE_CANCELS_OTHER, phase continuous 0@0
        """,
    "before all others are cancelled": """
        sell 1 5@101 time=1
        buy 2 5@99 gtd expiry=50 time=1
        phase cancel_only flags=1 time=49 => cancelled 2 5@99 PHASE, cancelled 1 5@101 PHASE,
            phase cancel_only 0@0
        phase pre_open
        sell 3 5@101 time=1
        buy 4 5@99 gtd expiry=50 time=1
        phase cancel_only flags=1 time=50 => cancelled 4 5@99 EXPIRED, cancelled 3 5@101 PHASE,
            phase cancel_only 0@0
        """,
    "a phase that is refused, or of another market, cancels nothing": """
        buy 1 5@99 gtd expiry=50 time=1
        phase closing_call time=50 => rejected PHASE_OUT_OF_ORDER PHASE
        phase closed on=2 time=50 => phase closed 0@0
        phase pre_open time=49 => phase pre_open 0@0
        phase pre_open time=50 => cancelled 1 5@99 EXPIRED, phase pre_open 0@0
        """,
}


@on_both_machines
@pytest.mark.parametrize("what", EXPIRIES)
def test_a_phase_begins_without_what_has_expired(machine: str, what: str) -> None:
    exchange = Exchange(machine, *(mc.Instrument(name, tick=1) for name in ("ONE", "TWO")))
    exchange.run("set trading\nset trading on=2\nphase closed\nphase pre_open")
    exchange.run(EXPIRIES[what])


@on_both_machines
def test_a_bust_names_a_trade_and_changes_nothing(machine: str) -> None:
    exchange = Exchange(machine)
    exchange.run(
        """
        bust 1 5@100 => rejected UNKNOWN_TRADE ORDER_ID
        buy 1 5@100
        sell 2 5@100
        bust 0 5@100 => rejected UNKNOWN_TRADE ORDER_ID
        bust 2 5@100 => rejected UNKNOWN_TRADE ORDER_ID
        bust 1 5@100 => busted 1 5@100
        bust 1 5@100 on=2 => rejected UNKNOWN_INSTRUMENT INSTRUMENT
        """
    )
