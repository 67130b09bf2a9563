"""Orders of a market by hand, on both machines: types, times in force, flags, and their checks."""

from __future__ import annotations

import numpy as np
import pytest
from rules_kit import Exchange, on_both_machines

import matchcore as mc

#: Offers at 101 to 106 and bids at 99 and 98, ten each.
BOOK = """
    set trading
    sell 11 10@101
    sell 12 10@102
    sell 13 10@103
    sell 14 10@104
    sell 15 10@105
    sell 16 10@106
    buy 21 10@99
    buy 22 10@98
"""

TYPES = {
    "a market order takes any price and leaves nothing": """
        buy 1 25 market => accepted 1 25@0, trade 11 10@101 by 1 left 0/15,
            trade 12 10@102 by 1 left 0/5, trade 13 5@103 by 1 left 5/0
        sell 2 25 market => accepted 2 25@0, trade 21 10@99 by 2 left 0/15,
            trade 22 10@98 by 2 left 0/5, cancelled 2 5@0 MARKET_REMAINDER
        """,
    "its bound is the worst price that it takes": """
        buy 1 25@102 market protected => accepted 1 25@102, trade 11 10@101 by 1 left 0/15,
            trade 12 10@102 by 1 left 0/5, cancelled 1 5@102 MARKET_REMAINDER
        sell 2 15@99 market protected ioc => accepted 2 15@99, trade 21 10@99 by 2 left 0/5,
            cancelled 2 5@99 MARKET_REMAINDER
        """,
    "fill or kill at market": """
        buy 1 61 market fok => accepted 1 61@0, cancelled 1 61@0 FILL_OR_KILL
        buy 1 11@101 market protected fok => accepted 1 11@101, cancelled 1 11@101 FILL_OR_KILL
        buy 1 10@101 market protected fok => accepted 1 10@101, trade 11 10@101 by 1 left 0/0
        """,
    "a market-to-limit order takes the best price, and its rest stays there": """
        mass price=104 to=106 range
        sell 1 25 market_to_limit => accepted 1 25@0, trade 21 10@99 by 1 left 0/15,
            repriced 1 15@99
        book => 98: 22x10 / 99: 1x15; 101: 11x10; 102: 12x10; 103: 13x10
        cancel 22
        sell 2 5 market_to_limit => accepted 2 5@0, cancelled 2 5@0 NO_OPPOSITE
        buy 3 5@98 market_to_limit protected => accepted 3 5@98, cancelled 3 5@98 NO_OPPOSITE
        """,
    "best five, the rest cancelled": """
        buy 1 55 best_five => accepted 1 55@0, trade 11 10@101 by 1 left 0/45,
            trade 12 10@102 by 1 left 0/35, trade 13 10@103 by 1 left 0/25,
            trade 14 10@104 by 1 left 0/15, trade 15 10@105 by 1 left 0/5,
            cancelled 1 5@0 LEVELS_TAKEN
        sell 2 5@99 best_five protected ioc => accepted 2 5@99, trade 21 5@99 by 2 left 5/0
        """,
    "best five, the rest to a limit at the last price": """
        buy 1 55 best_five_limit => accepted 1 55@0, trade 11 10@101 by 1 left 0/45,
            trade 12 10@102 by 1 left 0/35, trade 13 10@103 by 1 left 0/25,
            trade 14 10@104 by 1 left 0/15, trade 15 10@105 by 1 left 0/5, repriced 1 5@105
        book => 105: 1x5; 99: 21x10; 98: 22x10 / 106: 16x10
        """,
    "without a trade it rests at the own best, else it goes": """
        mass side=sell
        buy 1 5 best_five_limit => accepted 1 5@0, repriced 1 5@99
        buy 2 5@98 best_five_limit protected => accepted 2 5@98, repriced 2 5@98
        book => 99: 21x10 1x5; 98: 22x10 2x5 / -
        mass
        sell 3 5 best_five_limit => accepted 3 5@0, cancelled 3 5@0 NO_OPPOSITE
        """,
    "its bound holds for what it becomes": """
        buy 1 25@102 best_five_limit protected => accepted 1 25@102,
            trade 11 10@101 by 1 left 0/15, trade 12 10@102 by 1 left 0/5, repriced 1 5@102
        book => 102: 1x5; 99: 21x10; 98: 22x10 / 103: 13x10; 104: 14x10; 105: 15x10; 106: 16x10
        """,
    "own best": """
        buy 1 5 own_best => accepted 1 5@99
        sell 2 5 own_best day => accepted 2 5@101
        mass side=buy
        buy 3 5 own_best => accepted 3 5@0, cancelled 3 5@0 NO_OPPOSITE
        """,
    "counterparty best, the rest stays there": """
        mass price=104 to=106 range
        buy 1 15 counterparty_best => accepted 1 15@101, trade 11 10@101 by 1 left 0/5
        book => 101: 1x5; 99: 21x10; 98: 22x10 / 102: 12x10; 103: 13x10
        """,
    "counterparty best with a bound, and without a best": """
        buy 1 15@100 counterparty_best protected => accepted 1 15@100
        mass side=buy
        sell 2 5 counterparty_best => accepted 2 5@0, cancelled 2 5@0 NO_OPPOSITE
        """,
    "hidden orders make no best price, but trade": """
        sell 17 5@100 hidden
        buy 1 8 counterparty_best => accepted 1 8@101, trade 17 5@100 by 1 left 0/3,
            trade 11 3@101 by 1 left 7/0
        sell 18 5@100 hidden
        sell 2 5 own_best => accepted 2 5@101
        """,
}

TIMES = {
    "GTD lasts until its time": """
        buy 1 5@99 gtd expiry=10 time=5
        buy 2 5@99 gtd expiry=5 time=5 => rejected BAD_EXPIRY EXPIRY
        buy 2 5@99 expiry=30 time=5 => rejected UNSUPPORTED EXPIRY
        clock time=9 => clocked 0 0
        clock time=10 => cancelled 1 5@99 EXPIRED, clocked 1 0
        """,
    "an order whose time has come never trades": """
        buy 1 5@100 gtd expiry=10 time=5
        sell 2 5@100 time=10 => accepted 2 5@100, cancelled 1 5@100 EXPIRED
        sell 3 5@99 fok time=11 => accepted 3 5@99, trade 21 5@99 by 3 left 5/0
        buy 4 5@100 gtd expiry=12 time=11 => accepted 4 5@100, trade 2 5@100 by 4 left 0/0
        """,
    "IOC never rests": """
        buy 1 15@101 ioc => accepted 1 15@101, trade 11 10@101 by 1 left 0/5,
            cancelled 1 5@101 IMMEDIATE_OR_CANCEL
        """,
    "FOK trades whole or not at all": """
        buy 1 21@102 fok => accepted 1 21@102, cancelled 1 21@102 FILL_OR_KILL
        buy 1 20@102 fok => accepted 1 20@102, trade 11 10@101 by 1 left 0/10,
            trade 12 10@102 by 1 left 0/0
        """,
    "orders for calls wait in continuous trading": """
        set auction interval_ns=-1
        buy 1 5@99 at_open => rejected BAD_PHASE TIME_IN_FORCE
        buy 2 5@110 at_close => accepted 2 5@110
        buy 3 5@110 auction => accepted 3 5@110
        buy 4 5 market auction => accepted 4 5@9223372036854775807
        waiting => waiting 2x5@110 3x5@110 4x5@9223372036854775807
        phase volatility_call => phase volatility_call 0@0, triggered 3 5@110,
            triggered 4 5@9223372036854775807
        waiting => waiting 2x5@110
        """,
}

FLAGS = {
    "post-only": """
        buy 1 5@101 post => rejected WOULD_TRADE PRICE
        buy 1 5@100 post => accepted 1 5@100
        """,
    "a post-only order that slides": """
        mass price=104 to=106 range
        buy 1 5@103 slide => accepted 1 5@100
        sell 2 5@90 slide => accepted 2 5@101
        buy 3 5@98 slide => accepted 3 5@98
        book => 100: 1x5; 99: 21x10; 98: 22x10 3x5 / 101: 11x10 2x5; 102: 12x10; 103: 13x10
        """,
    "it slides by the steps of the tick table": """
        mass
        set ticks 0 from_price=0 step=5
        sell 2 5@100
        buy 1 5@110 slide => accepted 1 5@95
        """,
    "it does not slide beyond the limits of the day": """
        set day reference=100
        set limits up=100 down=100
        sell 1 5@99 slide => accepted 1 5@100
        mass side=buy
        mass side=sell
        sell 2 5@99
        buy 3 5@101 slide => rejected WOULD_TRADE PRICE
        """,
    "a least quantity trades at once, or nothing does": """
        buy 1 30@102 least=21 => accepted 1 30@102, cancelled 1 30@102 MINIMUM_NOT_MET
        buy 1 30@102 least=20 => accepted 1 30@102, trade 11 10@101 by 1 left 0/20,
            trade 12 10@102 by 1 left 0/10
        buy 2 10@103 ioc least=10 => accepted 2 10@103, trade 13 10@103 by 2 left 0/0
        buy 3 20 market least=11 => accepted 3 20@0, trade 14 10@104 by 3 left 0/10,
            trade 15 10@105 by 3 left 0/0
        """,
    "one level may not be enough for it, or five": """
        buy 1 20 market_to_limit least=11 => accepted 1 20@0, cancelled 1 20@0 MINIMUM_NOT_MET
        buy 1 60 best_five least=51 => accepted 1 60@0, cancelled 1 60@0 MINIMUM_NOT_MET
        buy 1 50 best_five least=50 => accepted 1 50@0, trade 11 10@101 by 1 left 0/40,
            trade 12 10@102 by 1 left 0/30, trade 13 10@103 by 1 left 0/20,
            trade 14 10@104 by 1 left 0/10, trade 15 10@105 by 1 left 0/0
        """,
    "an iceberg shows a part": """
        mass price=104 to=106 range
        buy 1 9@100 show=4
        book => 100: 1x9(4); 99: 21x10; 98: 22x10 / 101: 11x10; 102: 12x10; 103: 13x10
        buy 2 9@100 show=9
        buy 3 9@100 show=10 => rejected BAD_DISPLAY DISPLAY_QUANTITY
        """,
    "an iceberg trades whole before it rests": """
        mass price=104 to=106 range
        buy 1 15@101 show=4 => accepted 1 15@101, trade 11 10@101 by 1 left 0/5
        book => 101: 1x5(4); 99: 21x10; 98: 22x10 / 102: 12x10; 103: 13x10
        """,
}

DAY_ENDS = """
    set trading
    set auction interval_ns=-1
    phase closed
    phase opening_call
    buy 1 1@90
    buy 2 1@90 day
    buy 3 1@90 gtd expiry=100 time=1
    buy 4 1@90 gtd expiry=50 time=1
    buy 5 1@90 at_open
    buy 6 1@90 at_close
    buy 7 1@90 auction
    buy 8 1 market
    endday time=50 => cancelled 8 1@9223372036854775807 END_OF_DAY, cancelled 2 1@90 END_OF_DAY,
        cancelled 4 1@90 END_OF_DAY, cancelled 5 1@90 END_OF_DAY, cancelled 7 1@90 END_OF_DAY,
        cancelled 6 1@90 END_OF_DAY, day_ended 6
    book => 90: 1x1 3x1 / -
    waiting => -
"""


@on_both_machines
@pytest.mark.parametrize("what", [*TYPES, *TIMES, *FLAGS])
def test_an_order_does_what_the_rule_book_says(machine: str, what: str) -> None:
    exchange = Exchange(machine)
    exchange.run(BOOK)
    exchange.run((TYPES | TIMES | FLAGS)[what])


@on_both_machines
def test_the_end_of_the_day_is_a_table(machine: str) -> None:
    exchange = Exchange(machine)
    exchange.run(DAY_ENDS)


@on_both_machines
def test_the_end_of_the_day_forgets_its_prices(machine: str) -> None:
    exchange = Exchange(machine)
    exchange.run(BOOK)
    exchange.run("buy 1 1@101")
    exchange.run("phase closed")
    row = exchange.engine.state().markets[0]
    assert (row["known"], row["open_price"], row["closing_price"]) == (5, 101, 101)
    exchange.run("endday")
    row = exchange.engine.state().markets[0]
    assert (row["known"], row["open_price"], row["closing_price"]) == (0, 0, 0)


#: (reason and field, line): what forbids an order in continuous trading, the book as above.
REFUSED = [
    ("BAD_SIDE SIDE", "buy 1 5@99 side=3"),
    ("BAD_ORDER_TYPE ORDER_TYPE", "buy 1 5@99 order_type=0"),
    ("BAD_ORDER_TYPE ORDER_TYPE", "buy 1 5@99 order_type=14"),
    ("BAD_TIME_IN_FORCE TIME_IN_FORCE", "buy 1 5@99 time_in_force=0"),
    ("BAD_TIME_IN_FORCE TIME_IN_FORCE", "buy 1 5@99 time_in_force=9"),
    *(("BAD_TIME_IN_FORCE TIME_IN_FORCE", f"buy 1 5 {kind} {tif}")
      for kind in ("stop stop=120", "trailing_stop away=5", "peg_primary", "own_best",
                   "counterparty_best", "market_to_limit", "best_five_limit")
      for tif in ("ioc", "fok", "at_open", "at_close", "auction")),
    *(("BAD_TIME_IN_FORCE TIME_IN_FORCE", f"buy 1 5 best_five {tif}")
      for tif in ("fok", "gtd", "at_open", "at_close", "auction")),
    ("BAD_TIME_IN_FORCE TIME_IN_FORCE", "buy 1 5 market gtd"),
    *(("BAD_FLAGS FLAGS", f"buy 1 5@99 {flag}")
      for flag in ("keep_price", "total", "new_stop", "range", "quoted", "protected", "percent",
                   "post slide", "post ioc", "slide fok", "hidden ioc", "hidden at_close",
                   "least=1 post", "least=1 fok", "least=1 auction", "link=21 ioc")),
    *(("BAD_FLAGS FLAGS", f"buy 1 5 {kind}")
      for kind in ("market post", "market hidden", "own_best protected", "own_best least=1",
                   "stop stop=120 hidden", "peg_primary post", "peg_primary least=1",
                   "best_five hidden", "peg_primary link=21", "trailing_stop slide")),
    ("UNSUPPORTED RESERVED", "buy 1 5@99 reserved=1"),
    ("BAD_SELF_TRADE SELF_TRADE", "buy 1 5@99 self_trade=5"),
    *(("PRICE_NOT_ALLOWED PRICE", f"buy 1 5@99 {kind}")
      for kind in ("market_to_limit", "stop stop=120", "own_best", "best_five", "peg_market")),
    ("BAD_STOP STOP_PRICE", f"buy 1 5@99 stop_limit stop={2**40 + 1}"),
    ("BAD_STOP STOP_PRICE", f"buy 1 5 peg_market offset={-(2**40) - 1}"),
    ("BAD_MINIMUM STOP_PRICE", "buy 1 5@99 least=0"),
    ("BAD_MINIMUM STOP_PRICE", "buy 1 5@99 least=6"),
    ("UNSUPPORTED STOP_PRICE", "buy 1 5@99 stop=1"),
    ("BAD_LINK DISPLAY_QUANTITY", "buy 1 5@99 link=99"),
    ("BAD_LINK DISPLAY_QUANTITY", "buy 1 5@99 link=21 acc=7"),
    ("UNSUPPORTED DISPLAY_QUANTITY", "buy 1 5@99 ioc show=1"),
    ("UNSUPPORTED DISPLAY_QUANTITY", "buy 1 5@99 hidden show=1"),
    ("UNSUPPORTED DISPLAY_QUANTITY", "buy 1 5 market show=1"),
    ("BAD_DISPLAY DISPLAY_QUANTITY", "buy 1 5@99 show=-1"),
    ("QUANTITY_NOT_POSITIVE QUANTITY", "buy 1 0@99"),
    ("OUTSIDE_LIMITS PRICE", f"buy 1 5@{2**40 + 1}"),
    ("OUTSIDE_LIMITS PRICE", f"buy 1 5@{-(2**63)} market protected"),
    ("DUPLICATE_ORDER ORDER_ID", "buy 21 5@99"),
    ("NO_REFERENCE ORDER_TYPE", "buy 1 5 trailing_stop away=5"),
    ("LEVEL_OVERFLOW QUANTITY", f"buy 1 {2**63 - 1}@50"),
    ("WOULD_TRADE PRICE", "buy 1 5@101 post"),
]  # fmt: skip


@on_both_machines
@pytest.mark.parametrize(("why", "line"), REFUSED)
def test_what_no_market_takes_is_refused_and_changes_nothing(
    machine: str, why: str, line: str
) -> None:
    exchange = Exchange(machine)
    exchange.run(BOOK)
    before = [part.tobytes() for part in _parts(exchange)]
    assert exchange.say(line) == [f"rejected {why}"]
    assert [part.tobytes() for part in _parts(exchange)] == before


def _parts(exchange: Exchange) -> tuple[np.ndarray, ...]:
    state = exchange.engine.state()
    return (*state.orders, state.last, state.market_values, state.markets, state.market_orders,
            state.protections, state.market_trades)  # fmt: skip


#: Values of TRADING, each of which forbids the order behind it.
FORBIDDEN = [
    ("order_types=2", "BAD_ORDER_TYPE ORDER_TYPE", "buy 1 5 market"),
    ("times_in_force=2", "BAD_TIME_IN_FORCE TIME_IN_FORCE", "buy 1 5@99 day"),
    ("order_flags=1", "BAD_FLAGS FLAGS", "buy 1 5@99 hidden"),
    ("entry_phases=2", "BAD_PHASE KIND", "buy 1 5@99"),
    ("cancel_phases=2", "BAD_PHASE KIND", "cancel 21"),
    ("cancel_phases=2", "BAD_PHASE KIND", "reduce 21 1"),
    ("cancel_phases=2", "BAD_PHASE KIND", "amend 21 1"),
    ("entry_phases=2", "BAD_PHASE KIND", "amend 21 1"),
    ("amends=0", "UNSUPPORTED KIND", "amend 21 1"),
    ("cancel_phases=2", "BAD_PHASE KIND", "quote 1@99 1@101 acc=7"),
    ("cancel_phases=2", "BAD_PHASE KIND", "mass acc=7"),
]


@on_both_machines
@pytest.mark.parametrize(("values", "why", "line"), FORBIDDEN)
def test_a_market_says_what_it_takes(machine: str, values: str, why: str, line: str) -> None:
    exchange = Exchange(machine)
    exchange.run(BOOK)
    exchange.run(f"set trading {values}")
    assert exchange.say(line) == [f"rejected {why}"]


QUANTITIES = [
    ("buy_least=6", "buy 1 5@99", "QUANTITY_TOO_SMALL"),
    ("sell_least=6", "sell 1 5@120", "QUANTITY_TOO_SMALL"),
    ("buy_step=2", "buy 1 5@99", "OFF_LOT"),
    ("sell_step=2", "sell 1 5@120", "OFF_LOT"),
    ("limit_most=4", "buy 1 5@99", "QUANTITY_TOO_LARGE"),
    ("market_most=4", "buy 1 5 market", "QUANTITY_TOO_LARGE"),
    ("market_most=4", "buy 1 5 own_best", "QUANTITY_TOO_LARGE"),
]


@on_both_machines
@pytest.mark.parametrize(("values", "line", "why"), QUANTITIES)
def test_quantities_by_side_and_kind(machine: str, values: str, line: str, why: str) -> None:
    exchange = Exchange(machine)
    exchange.run(BOOK)
    exchange.run(f"set quantities {values}")
    assert exchange.say(line) == [f"rejected {why} QUANTITY"]
    other = "sell 2 5@120" if line.startswith("buy") else "buy 2 5@99"
    if "limit_most" in values:
        other = "buy 2 5 market"
    elif "market_most" in values:
        other = "buy 2 5@99"
    assert not exchange.say(other)[0].startswith("rejected")


@on_both_machines
def test_values_displays_and_limits_of_price(machine: str) -> None:
    exchange = Exchange(machine)
    exchange.run(
        """
        set quantities value_most=500 display_least=3
        buy 1 6@99 => rejected VALUE_TOO_LARGE PRICE
        buy 1 6@100 market protected => rejected VALUE_TOO_LARGE PRICE
        buy 1 6@-99 => rejected VALUE_TOO_LARGE PRICE
        buy 1 5@100 => accepted 1 5@100
        buy 2 5@99 show=2 => rejected BAD_DISPLAY DISPLAY_QUANTITY
        set day reference=100
        set limits up=1000 down=500
        buy 2 1@111 => rejected OUTSIDE_LIMITS PRICE
        buy 2 1@94 => rejected OUTSIDE_LIMITS PRICE
        buy 2 1@110 => accepted 2 1@110
        buy 3 1@95 => accepted 3 1@95
        set ticks 0 from_price=0 step=1
        set ticks 1 from_price=100 step=5
        buy 4 1@101 => rejected OFF_TICK PRICE
        buy 4 1@99 => accepted 4 1@99
        buy 5 1@105 => accepted 5 1@105
        """
    )


@on_both_machines
def test_a_market_needs_an_empty_book_and_knows_its_parameters(machine: str) -> None:
    exchange = Exchange(machine)
    exchange.run(
        """
        quote 1@99 1@101 acc=7 => rejected NO_MARKET INSTRUMENT
        phase continuous => rejected NO_MARKET INSTRUMENT
        clock => rejected NO_MARKET INSTRUMENT
        protect acc=7 max_fills=1 window_ns=1 => rejected NO_MARKET INSTRUMENT
        buy 1 5@99
        set trading => rejected BOOK_NOT_EMPTY INSTRUMENT
        set trading on=2 => rejected UNKNOWN_INSTRUMENT INSTRUMENT
        cancel 1
        set trading parameter=0 => rejected BAD_PARAMETER PARAMETER
        set trading parameter=12 => rejected BAD_PARAMETER PARAMETER
        set trading 1 => rejected BAD_PARAMETER INDEX
        set trading value1=1 => rejected BAD_PARAMETER VALUE
        set allocation pro_rata=2 => rejected BAD_PARAMETER VALUE
        set allocation value4=1 => rejected BAD_PARAMETER VALUE
        set allocation reserved=1 => rejected UNSUPPORTED RESERVED
        set halts first=500 second=400 => rejected BAD_PARAMETER VALUE
        set halts second=400 => rejected BAD_PARAMETER VALUE
        set ticks 16 => rejected BAD_PARAMETER INDEX
        set ticks 1 => rejected BAD_PARAMETER INDEX
        set ticks 0 from_price=5 => rejected BAD_PARAMETER VALUE
        set ticks 0 from_price=0 step=2 => market_set ticks
        set ticks 1 from_price=11 step=5 => rejected BAD_PARAMETER VALUE
        set ticks 1 from_price=20 step=5 => market_set ticks
        buy 1 5@21 => rejected OFF_TICK PRICE
        set ticks 0 from_price=0 step=1 => market_set ticks
        buy 1 5@21 => accepted 1 5@21
        """
    )


#: Breaks every rule of NEW at once; each repair uncovers the next one of the rule book.
REPAIRS: list[tuple[str, dict[str, int | str]]] = [
    ("UNKNOWN_INSTRUMENT INSTRUMENT", {"on": 1}),
    ("ACCOUNT_BLOCKED ACCOUNT", {"acc": 7}),
    ("BAD_SIDE SIDE", {"side": 1}),
    ("BAD_ORDER_TYPE ORDER_TYPE", {"order_type": 1}),
    ("BAD_TIME_IN_FORCE TIME_IN_FORCE", {"time_in_force": 5}),
    ("BAD_FLAGS FLAGS", {"flags": 64}),
    ("BAD_PHASE KIND", {"phase": "opening_call"}),
    ("BAD_PHASE FLAGS", {"phase": "continuous"}),
    ("UNSUPPORTED RESERVED", {"reserved": 0}),
    ("BAD_SELF_TRADE SELF_TRADE", {"self_trade": 0}),
    ("BAD_MINIMUM STOP_PRICE", {"stop_price": 0, "flags": 1}),
    ("BAD_DISPLAY DISPLAY_QUANTITY", {"display_quantity": 0}),
    ("BAD_EXPIRY EXPIRY", {"expiry": 2**62}),
    ("QUANTITY_NOT_POSITIVE QUANTITY", {"quantity": 7}),
    ("QUANTITY_TOO_SMALL QUANTITY", {"quantity": 11}),
    ("OFF_LOT QUANTITY", {"quantity": 2**40}),
    ("QUANTITY_TOO_LARGE QUANTITY", {"quantity": 10}),
    ("OUTSIDE_LIMITS PRICE", {"price": 21}),
    ("OFF_TICK PRICE", {"price": 48}),
    ("OUTSIDE_LIMITS PRICE", {"price": 110}),
    ("VALUE_TOO_LARGE PRICE", {"price": 106}),
    ("DUPLICATE_ORDER ORDER_ID", {"order_id": 9}),
    ("TOO_MANY_ORDERS MAX_ORDERS", {"mass": 23}),
    ("OUTSIDE_CAGE PRICE", {"price": 102}),
    ("WOULD_TRADE PRICE", {"price": 100}),
    ("LIMIT_EXCEEDED MAX_QUANTITY", {"limit": 0}),
]


@on_both_machines
def test_the_checks_of_new_run_in_the_order_of_the_rule_book(machine: str) -> None:
    exchange = Exchange(machine, mc.Instrument("ONE", tick=1, max_orders=3))
    exchange.run(
        """
        set trading
        set quantities buy_least=10 buy_step=2 limit_most=100 value_most=1060
        set limits up=2000 down=5000
        set day reference=100
        set ticks 0 from_price=0 step=2
        set cage mode=1 part=200
        set auction interval_ns=-1
        limit acc=7 flags=1 on=0
        phase closed
        buy 21 10@98 => rejected BAD_PHASE KIND
        phase continuous
        buy 21 10@98
        sell 22 10@102
        buy 23 10@98
        limit acc=7 max_quantity=5 on=0
        phase closed
        """
    )
    fields: dict[str, int] = {
        "on": 2, "acc": 8, "side": 3, "order_type": 14, "time_in_force": 9, "flags": 2**15,
        "reserved": 1, "self_trade": 5, "stop_price": 2**62, "display_quantity": -1,
        "expiry": 1, "quantity": 0, "price": 2**41, "order_id": 21,
    }  # fmt: skip
    exchange.run("limit acc=8 flags=1 on=0")
    for why, repair in REPAIRS:
        line = " ".join(f"{name}={value}" for name, value in fields.items())
        assert exchange.say(f"buy {line}") == [f"rejected {why}"], (why, line)
        for name, value in repair.items():
            if name == "phase":
                exchange.run(f"phase {value}")
            elif name == "mass":
                exchange.run(f"cancel {value}")
            elif name == "limit":
                exchange.run(f"limit acc=7 max_quantity={value} on=0")
            else:
                assert isinstance(value, int)
                fields[name] = value
    line = " ".join(f"{name}={value}" for name, value in fields.items())
    assert exchange.say(f"buy {line}") == ["accepted 9 10@100"]
