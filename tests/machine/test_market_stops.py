"""Stops, trailing stops and pairs of a market, by hand, on both machines."""

from __future__ import annotations

import pytest
from rules_kit import Exchange, on_both_machines

#: Offers at 100 to 105, bids at 99 to 95, ten each, and a last trade at 100.
BOOK = """
    set trading
    sell 100 11@100
    sell 101 10@101
    sell 102 10@102
    sell 103 10@103
    buy 99 10@99
    buy 98 10@98
    buy 97 10@97
    buy 1 1@100 => accepted 1 1@100, trade 100 1@100 by 1 left 10/0
"""


def traded(machine: str) -> Exchange:
    exchange = Exchange(machine)
    exchange.run(BOOK)
    return exchange


@on_both_machines
def test_a_stop_waits_until_a_trade_reaches_its_price(machine: str) -> None:
    exchange = traded(machine)
    exchange.run(
        """
        buy 2 5 stop stop=102 => accepted 2 5@0
        sell 3 5 stop stop=98 => accepted 3 5@0
        waiting => stops 2x5@102 3x5@98
        buy 4 20@101 => accepted 4 20@101, trade 100 10@100 by 4 left 0/10,
            trade 101 10@101 by 4 left 0/0
        waiting => stops 2x5@102 3x5@98
        buy 5 1@102 => accepted 5 1@102, trade 102 1@102 by 5 left 9/0, triggered 2 5@0,
            trade 102 5@102 by 2 left 4/0
        waiting => stops 3x5@98
        sell 6 11@98 => accepted 6 11@98, trade 99 10@99 by 6 left 0/1,
            trade 98 1@98 by 6 left 9/0, triggered 3 5@0, trade 98 5@98 by 3 left 4/0
        waiting => -
        """
    )


@on_both_machines
def test_a_market_order_from_a_stop_leaves_nothing(machine: str) -> None:
    exchange = traded(machine)
    exchange.run(
        """
        buy 2 50 stop stop=103
        buy 3 31@103 => accepted 3 31@103, trade 100 10@100 by 3 left 0/21,
            trade 101 10@101 by 3 left 0/11, trade 102 10@102 by 3 left 0/1,
            trade 103 1@103 by 3 left 9/0, triggered 2 50@0, trade 103 9@103 by 2 left 0/41,
            cancelled 2 41@0 MARKET_REMAINDER
        """
    )


@on_both_machines
def test_the_bound_of_a_stop_is_the_worst_price_that_it_takes(machine: str) -> None:
    exchange = traded(machine)
    exchange.run(
        """
        buy 2 25@101 stop protected stop=100 => accepted 2 25@101, triggered 2 25@101,
            trade 100 10@100 by 2 left 0/15, trade 101 10@101 by 2 left 0/5,
            cancelled 2 5@101 MARKET_REMAINDER
        """
    )


@on_both_machines
def test_a_stop_limit_order_becomes_a_limit_order_at_its_price(machine: str) -> None:
    exchange = traded(machine)
    exchange.run(
        """
        buy 2 15@100 stop_limit stop=101
        buy 3 11@101 => accepted 3 11@101, trade 100 10@100 by 3 left 0/1,
            trade 101 1@101 by 3 left 9/0, triggered 2 15@100
        book => 100: 2x15; 99: 99x10; 98: 98x10; 97: 97x10 / 101: 101x9; 102: 102x10; 103: 103x10
        """
    )


@on_both_machines
def test_a_stop_that_the_last_trade_has_reached_is_triggered_at_once(machine: str) -> None:
    exchange = traded(machine)
    exchange.run(
        """
        buy 2 1 stop stop=100 => accepted 2 1@0, triggered 2 1@0, trade 100 1@100 by 2 left 9/0
        sell 3 1 stop stop=100 => accepted 3 1@0, triggered 3 1@0, trade 99 1@99 by 3 left 9/0
        sell 4 1 stop stop=98 => accepted 4 1@0
        """
    )


@on_both_machines
def test_stops_come_by_their_prices_and_then_by_age_buys_first(machine: str) -> None:
    """The lowest buy, then the highest sell; each goes to its end before the next one begins."""
    exchange = Exchange(machine)
    exchange.run(
        """
        set trading
        sell 1 1@100
        buy 2 3@100 => accepted 2 3@100, trade 1 1@100 by 2 left 0/2
        buy 11 1 stop stop=102
        buy 12 1 stop stop=101
        buy 13 1 stop stop=101
        sell 21 1 stop stop=98
        sell 22 1 stop stop=99
        waiting => stops 12x1@101 13x1@101 11x1@102 22x1@99 21x1@98
        cancel 2
        buy 3 9@90
        sell 4 9@110
        sell 5 1@102
        buy 6 1@102 => accepted 6 1@102, trade 5 1@102 by 6 left 0/0, triggered 12 1@0,
            trade 4 1@110 by 12 left 8/0, triggered 13 1@0, trade 4 1@110 by 13 left 7/0,
            triggered 11 1@0, trade 4 1@110 by 11 left 6/0
        sell 7 1@90 => accepted 7 1@90, trade 3 1@90 by 7 left 8/0, triggered 22 1@0,
            trade 3 1@90 by 22 left 7/0, triggered 21 1@0, trade 3 1@90 by 21 left 6/0
        """
    )


@on_both_machines
def test_a_cascade_runs_until_nothing_is_reached(machine: str) -> None:
    """A trade at 102 triggers a stop whose trade triggers the next one, in both directions."""
    exchange = traded(machine)
    exchange.run(
        """
        buy 2 10 stop stop=101
        buy 3 9 stop stop=102
        sell 4 2 stop stop=99
        buy 5 11@101 => accepted 5 11@101, trade 100 10@100 by 5 left 0/1,
            trade 101 1@101 by 5 left 9/0, triggered 2 10@0, trade 101 9@101 by 2 left 0/1,
            trade 102 1@102 by 2 left 9/0, triggered 3 9@0, trade 102 9@102 by 3 left 0/0
        waiting => stops 4x2@99
        """
    )


@on_both_machines
def test_the_prices_of_the_whole_command_count(machine: str) -> None:
    """A stop that any trade of the command has reached comes, though the last one is away."""
    exchange = traded(machine)
    exchange.run(
        """
        sell 2 1 stop stop=99
        buy 3 1 stop stop=103
        sell 4 1@99 => accepted 4 1@99, trade 99 1@99 by 4 left 9/0, triggered 2 1@0,
            trade 99 1@99 by 2 left 8/0
        waiting => stops 3x1@103
        """
    )


@on_both_machines
def test_the_price_of_an_auction_triggers_stops(machine: str) -> None:
    exchange = traded(machine)
    exchange.run(
        """
        buy 2 1 stop stop=101
        sell 3 1 stop stop=97
        phase closing_call
        buy 4 30@101
        phase quiet
        waiting => stops 2x1@101 3x1@97
        phase continuous => phase continuous 0@0, triggered 2 1@0, trade 102 1@102 by 2 left 9/0
        """
    )


@on_both_machines
def test_stops_wait_while_the_market_does_not_trade(machine: str) -> None:
    exchange = traded(machine)
    exchange.run(
        """
        buy 2 1 stop stop=101
        phase break
        waiting => stops 2x1@101
        cancel 2 => rejected BAD_PHASE KIND
        phase continuous
        cancel 2 => cancelled 2 1@0 REQUESTED
        """
    )


@on_both_machines
def test_a_stop_whose_time_is_over_does_not_trade(machine: str) -> None:
    """Before a CLOCK comes it still waits; what reaches it ends it."""
    exchange = traded(machine)
    exchange.run(
        """
        buy 2 1 stop stop=101 gtd expiry=50 time=10
        buy 3 11@101 time=50 => accepted 3 11@101, trade 100 10@100 by 3 left 0/1,
            trade 101 1@101 by 3 left 9/0, triggered 2 1@0, cancelled 2 1@0 EXPIRED
        buy 4 1 stop stop=103 gtd expiry=50 time=50 => rejected BAD_EXPIRY EXPIRY
        buy 4 1 stop stop=103 gtd expiry=60 time=50
        clock time=59 => clocked 0 0
        clock time=60 => cancelled 4 1@0 EXPIRED, clocked 1 0
        """
    )


# ---------------------------------------------------------------------- trailing stops


@on_both_machines
def test_a_trailing_stop_follows_the_last_trade_and_never_goes_back(machine: str) -> None:
    exchange = traded(machine)
    exchange.run(
        """
        sell 2 4 trailing_stop away=3 => accepted 2 4@0
        buy 3 4 trailing_stop away=2 => accepted 3 4@0
        waiting => trailing 2x4@97 3x4@102
        buy 4 11@101
        waiting => trailing 2x4@98 3x4@102
        sell 5 1@99
        waiting => trailing 2x4@98 3x4@101
        sell 6 10@98 => accepted 6 10@98, trade 99 9@99 by 6 left 0/1,
            trade 98 1@98 by 6 left 9/0, triggered 2 4@0, trade 98 4@98 by 2 left 5/0
        waiting => trailing 3x4@100
        """
    )


@on_both_machines
def test_a_distance_in_percent_is_of_each_last_trade(machine: str) -> None:
    """2.5 % of 200 are 5 ticks; of 199 they are 4, rounded down; at least it is one."""
    exchange = Exchange(machine)
    exchange.run(
        """
        set trading
        buy 1 1@200
        sell 2 1@200
        sell 3 1 trailing_stop percent away=250
        sell 4 1 trailing_stop percent away=1
        waiting => trailing 3x1@195 4x1@199
        buy 5 1@199
        buy 6 9@150
        sell 7 1@199 => accepted 7 1@199, trade 5 1@199 by 7 left 0/0, triggered 4 1@0,
            trade 6 1@150 by 4 left 8/0, triggered 3 1@0, trade 6 1@150 by 3 left 7/0
        """
    )


@on_both_machines
def test_trailing_stops_that_are_reached_come_like_other_stops(machine: str) -> None:
    """At the same stop price the one that has been a stop for longer comes first."""
    exchange = traded(machine)
    exchange.run(
        """
        sell 2 1 trailing_stop away=1
        sell 3 1 stop stop=99
        sell 4 1@99 => accepted 4 1@99, trade 99 1@99 by 4 left 9/0, triggered 3 1@0,
            trade 99 1@99 by 3 left 8/0, triggered 2 1@0, trade 99 1@99 by 2 left 7/0
        """
    )


# ---------------------------------------------------------------------- pairs


@on_both_machines
def test_one_of_a_pair_cancels_the_other(machine: str) -> None:
    """When it trades, even a part of it; when it is triggered; when it is cancelled."""
    exchange = traded(machine)
    exchange.run(
        """
        sell 2 5@104 acc=7
        sell 3 5 stop stop=97 link=2 acc=7
        buy 4 40@104 => accepted 4 40@104, trade 100 10@100 by 4 left 0/30,
            trade 101 10@101 by 4 left 0/20, trade 102 10@102 by 4 left 0/10,
            trade 103 10@103 by 4 left 0/0
        buy 5 2@104 => accepted 5 2@104, trade 2 2@104 by 5 left 3/0,
            cancelled 3 5@0 ONE_CANCELS_OTHER
        book => 99: 99x10; 98: 98x10; 97: 97x10 / 104: 2x3
        sell 6 5 stop stop=97 link=2 acc=7
        sell 7 20@98 => accepted 7 20@98, trade 99 10@99 by 7 left 0/10,
            trade 98 10@98 by 7 left 0/0
        sell 8 1@97 => accepted 8 1@97, trade 97 1@97 by 8 left 9/0, triggered 6 5@0,
            trade 97 5@97 by 6 left 4/0, cancelled 2 3@104 ONE_CANCELS_OTHER
        buy 9 1@90 acc=7
        buy 10 1@91 acc=7 link=9
        cancel 9 => cancelled 9 1@90 REQUESTED, cancelled 10 1@91 ONE_CANCELS_OTHER
        """
    )


@on_both_machines
def test_both_of_a_pair_may_trade_in_one_command(machine: str) -> None:
    """What is left of the first goes, also when nothing is left of the second."""
    exchange = Exchange(machine)
    exchange.run(
        """
        set trading
        sell 1 9@100 show=2 acc=7
        sell 2 3@100 link=1 acc=7
        buy 3 5@100 => accepted 3 5@100, trade 1 2@100 by 3 left 7/3,
            trade 2 3@100 by 3 left 0/0, cancelled 1 7@100 ONE_CANCELS_OTHER
        book => - / -
        """
    )


@on_both_machines
def test_a_pair_ends_when_one_is_refused_at_its_turn(machine: str) -> None:
    exchange = traded(machine)
    exchange.run(
        """
        sell 2 5@104 acc=7
        buy 3 5@101 fok acc=7 link=2 => rejected BAD_FLAGS FLAGS
        buy 3 50@100 acc=7 link=2 => accepted 3 50@100, trade 100 10@100 by 3 left 0/40,
            cancelled 2 5@104 ONE_CANCELS_OTHER
        buy 4 1@95 acc=7 link=3
        sell 5 45@95 => accepted 5 45@95, trade 3 40@100 by 5 left 0/5,
            trade 99 5@99 by 5 left 5/0, cancelled 4 1@95 ONE_CANCELS_OTHER
        """
    )


@on_both_machines
def test_a_pair_is_of_two_live_orders_of_one_account(machine: str) -> None:
    exchange = traded(machine)
    exchange.run("buy 2 1@90 acc=7\nbuy 3 1@91 acc=7 link=2")
    refused = "rejected BAD_LINK DISPLAY_QUANTITY"
    for line in (
        "buy 4 1@92 acc=7 link=77",  # nobody's
        "buy 4 1@92 acc=7 link=0",
        "buy 4 1@92 acc=7 link=-1",
        "buy 4 1@92 acc=7 link=4",  # its own
        "buy 4 1@92 acc=7 link=99",  # of another account
        "buy 4 1@92 acc=7 link=2",  # in a pair already
        "buy 4 1@92 acc=7 link=3",
    ):
        assert exchange.say(line) == [refused], line


@on_both_machines
def test_the_whole_pair_goes_with_a_mass_cancel(machine: str) -> None:
    exchange = traded(machine)
    exchange.run(
        """
        buy 2 1@90 acc=7
        sell 3 1@110 acc=7 link=2
        mass acc=7 side=buy => cancelled 2 1@90 MASS_CANCEL, cancelled 3 1@110 ONE_CANCELS_OTHER,
            mass_cancelled 1
        """
    )


# ---------------------------------------------------------------------- what is refused


@on_both_machines
@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("buy 2 5@101 stop stop=102", "PRICE_NOT_ALLOWED PRICE"),
        (f"buy 2 5 stop stop={2**40 + 1}", "BAD_STOP STOP_PRICE"),
        (f"buy 2 5 stop stop={-(2**63)}", "BAD_STOP STOP_PRICE"),
        ("buy 2 5 stop stop=102 ioc", "BAD_TIME_IN_FORCE TIME_IN_FORCE"),
        ("buy 2 5 stop stop=102 fok", "BAD_TIME_IN_FORCE TIME_IN_FORCE"),
        ("buy 2 5 stop stop=102 auction", "BAD_TIME_IN_FORCE TIME_IN_FORCE"),
        ("buy 2 5 stop stop=102 hidden", "BAD_FLAGS FLAGS"),
        ("buy 2 5 stop stop=102 post", "BAD_FLAGS FLAGS"),
        ("buy 2 5 stop stop=102 percent", "BAD_FLAGS FLAGS"),
        ("buy 2 5 stop stop=102 minimum", "BAD_FLAGS FLAGS"),
        ("buy 2 5 stop stop=102 show=2", "UNSUPPORTED DISPLAY_QUANTITY"),
        ("buy 2 5@102 stop_limit stop=102 protected", "BAD_FLAGS FLAGS"),
        ("buy 2 5@102 stop_limit stop=102 show=2", "UNSUPPORTED DISPLAY_QUANTITY"),
        (f"buy 2 5@{2**40 + 1} stop_limit stop=102", "OUTSIDE_LIMITS PRICE"),
        ("buy 2 5 trailing_stop away=0", "BAD_STOP STOP_PRICE"),
        ("buy 2 5 trailing_stop away=-1", "BAD_STOP STOP_PRICE"),
        (f"buy 2 5 trailing_stop away={2**40 + 1}", "BAD_STOP STOP_PRICE"),
        ("buy 2 5 trailing_stop percent away=10000", "BAD_STOP STOP_PRICE"),
        ("buy 2 5@101 stop=102", "UNSUPPORTED STOP_PRICE"),
        ("buy 2 5@101 link=99 hidden ioc", "BAD_FLAGS FLAGS"),
        ("buy 2 5 market link=99", "BAD_FLAGS FLAGS"),
        ("buy 2 5 peg_primary link=99", "BAD_FLAGS FLAGS"),
    ],
)
def test_a_stop_that_cannot_be(machine: str, line: str, refusal: str) -> None:
    exchange = traded(machine)
    before = exchange.engine.state()
    assert exchange.say(line) == [f"rejected {refusal}"]
    after = exchange.engine.state()
    assert after.market_orders.tobytes() == before.market_orders.tobytes()
    assert after.next_order_id == before.next_order_id


@on_both_machines
def test_stops_and_the_phases_and_prices_of_their_market(machine: str) -> None:
    exchange = Exchange(machine)
    exchange.run(
        """
        set trading
        buy 1 5 trailing_stop away=3 => rejected NO_REFERENCE ORDER_TYPE
        set ticks 0 from_price=0 step=5
        buy 1 5 stop stop=102 => rejected OFF_TICK STOP_PRICE
        buy 1 5@101 stop_limit stop=100 => rejected OFF_TICK PRICE
        buy 1 5 stop stop=-105 => accepted 1 5@0
        phase closing_call
        buy 2 5 stop stop=105 => rejected BAD_PHASE ORDER_TYPE
        """
    )
    exchange = traded(machine)
    exchange.run(
        """
        phase closing_call
        buy 2 5 trailing_stop away=5 => rejected BAD_PHASE ORDER_TYPE
        phase quiet
        buy 2 5 stop stop=105 => rejected BAD_PHASE KIND
        """
    )
    exchange = Exchange(machine)
    assert exchange.say("buy 1 5 stop stop=100") == ["rejected BAD_ORDER_TYPE ORDER_TYPE"]
    exchange.run(
        "set trading order_types=6\nbuy 1 5 stop stop=100 => rejected BAD_ORDER_TYPE ORDER_TYPE"
    )
