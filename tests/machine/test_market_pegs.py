"""Pegged orders, the price cage, price limits and tick tables of a market, on both machines."""

from __future__ import annotations

import pytest
from rules_kit import Exchange, on_both_machines

#: Bids 99 and 98, offers 103 and 104, ten each.
BOOK = """
    set trading
    buy 98 10@98
    buy 99 10@99
    sell 103 10@103
    sell 104 10@104
"""


def quoted(machine: str) -> Exchange:
    exchange = Exchange(machine)
    exchange.run(BOOK)
    return exchange


@on_both_machines
def test_the_price_of_each_peg(machine: str) -> None:
    """Offsets are towards the other side; the middle is rounded away from it."""
    exchange = quoted(machine)
    exchange.run(
        """
        buy 1 1 peg_primary => accepted 1 1@99
        buy 2 1 peg_primary offset=1 => accepted 2 1@100
        sell 3 1 peg_primary offset=-2 => accepted 3 1@105
        buy 4 1 peg_market offset=-4 => accepted 4 1@99
        sell 5 1 peg_market offset=-3 => accepted 5 1@102
        buy 6 1 peg_midpoint => accepted 6 1@101
        cancel 103
        buy 7 1 peg_midpoint => accepted 7 1@101
        sell 8 1 peg_midpoint => accepted 8 1@102
        """
    )


@on_both_machines
def test_pegs_follow_the_best_prices_oldest_first(machine: str) -> None:
    exchange = quoted(machine)
    exchange.run(
        """
        buy 1 1 peg_primary => accepted 1 1@99
        buy 2 1 peg_primary offset=-1 => accepted 2 1@98
        buy 3 9@100 => accepted 3 9@100, repriced 1 1@100, repriced 2 1@99
        book => 100: 3x9 1x1; 99: 99x10 2x1; 98: 98x10 / 103: 103x10; 104: 104x10
        cancel 3 => cancelled 3 9@100 REQUESTED, repriced 1 1@99, repriced 2 1@98
        book => 99: 99x10 1x1; 98: 98x10 2x1 / 103: 103x10; 104: 104x10
        """
    )


@on_both_machines
def test_the_age_of_pegs_counts_whatever_they_follow(machine: str) -> None:
    """Both best prices move, then only the best bid: who follows the offer stands."""
    exchange = quoted(machine)
    exchange.run(
        """
        sell 1 1 peg_primary offset=-2 => accepted 1 1@105
        buy 2 1 peg_primary => accepted 2 1@99
        buy 3 1 peg_midpoint offset=-3 => accepted 3 1@98
        sell 4 1 peg_market offset=-9 => accepted 4 1@108
        buy 9 12@103 => accepted 9 12@103, trade 103 10@103 by 9 left 0/2, repriced 1 1@106,
            repriced 2 1@103, repriced 3 1@100, repriced 4 1@112
        cancel 9 => cancelled 9 2@103 REQUESTED, repriced 2 1@99, repriced 3 1@98,
            repriced 4 1@108
        amend 2 5 => amended 2 5@99
        cancel 99 => cancelled 99 10@99 REQUESTED, repriced 4 1@107, repriced 2 5@98
        """
    )


@on_both_machines
def test_no_peg_follows_a_peg_or_a_hidden_order(machine: str) -> None:
    exchange = quoted(machine)
    exchange.run(
        """
        buy 1 1 peg_primary offset=2 => accepted 1 1@101
        buy 2 1 peg_primary => accepted 2 1@99
        buy 3 1@102 hidden => accepted 3 1@102
        buy 4 1 peg_primary => accepted 4 1@99
        cancel 99 => cancelled 99 10@99 REQUESTED, repriced 1 1@100, repriced 2 1@98,
            repriced 4 1@98
        """
    )


@on_both_machines
def test_a_peg_without_a_reference_goes(machine: str) -> None:
    exchange = Exchange(machine)
    exchange.run(
        """
        set trading
        buy 1 1 peg_primary => rejected NO_REFERENCE ORDER_TYPE
        buy 1 1 peg_market => rejected NO_REFERENCE ORDER_TYPE
        buy 9 5@99
        buy 1 1 peg_midpoint => rejected NO_REFERENCE ORDER_TYPE
        buy 1 1 peg_primary => accepted 1 1@99
        sell 8 5@103
        buy 2 1 peg_midpoint hidden => accepted 2 1@101
        cancel 9 => cancelled 9 5@99 REQUESTED, cancelled 1 1@99 REFERENCE_GONE,
            cancelled 2 1@101 REFERENCE_GONE
        """
    )


@on_both_machines
def test_a_peg_trades_when_its_price_crosses_and_then_all_begins_again(machine: str) -> None:
    """The first peg takes the offer; with the best offer gone the others have other prices."""
    exchange = quoted(machine)
    exchange.run(
        """
        buy 1 10 peg_market offset=-1 => accepted 1 10@102
        buy 2 5 peg_market offset=-2 => accepted 2 5@101
        sell 3 1 peg_primary offset=2 => accepted 3 1@101, trade 1 1@102 by 3 left 9/0
        sell 4 5 peg_primary => accepted 4 5@103
        buy 5 3@102
        sell 6 20@101 => accepted 6 20@101, trade 1 9@102 by 6 left 0/11,
            trade 5 3@102 by 6 left 0/8, trade 2 5@101 by 6 left 0/3, repriced 4 5@101
        """
    )


@on_both_machines
def test_a_peg_that_meets_its_owner_takes_nothing_twice(machine: str) -> None:
    """The buy peg ends the sell peg that it meets, which had a new price to come, too."""
    exchange = Exchange(machine)
    exchange.run(
        """
        set trading
        buy 1 5@100
        sell 2 5@110
        buy 3 5 peg_primary offset=5 acc=7 self_trade=cancel_oldest => accepted 3 5@105
        sell 4 5 peg_primary acc=7 => accepted 4 5@110
        buy 5 5@106 => accepted 5 5@106, repriced 3 5@111, trade 2 5@110 by 3 left 0/0,
            cancelled 4 5@110 REFERENCE_GONE
        """
    )
    exchange = Exchange(machine)
    exchange.run(
        """
        set trading
        buy 1 5@100
        sell 2 5@110
        buy 3 5 peg_primary offset=5 acc=7 self_trade=cancel_oldest => accepted 3 5@105
        sell 4 5 peg_primary offset=3 acc=7 => accepted 4 5@107
        buy 5 5@102 => accepted 5 5@102, repriced 3 5@107, cancelled 4 5@107 SELF_TRADE
        book => 107: 3x5; 102: 5x5; 100: 1x5 / 110: 2x5
        """
    )


@on_both_machines
def test_pegs_wait_while_the_market_does_not_trade(machine: str) -> None:
    exchange = quoted(machine)
    exchange.run(
        """
        buy 1 1 peg_primary => accepted 1 1@99
        phase closing_call
        buy 2 1 peg_primary => rejected BAD_PHASE ORDER_TYPE
        buy 3 1@102
        phase quiet
        phase continuous => phase continuous 0@0, repriced 1 1@102
        """
    )


@on_both_machines
def test_a_peg_keeps_within_its_bound_the_limits_and_the_ticks(machine: str) -> None:
    exchange = quoted(machine)
    exchange.run(
        """
        buy 1 1@100 peg_primary offset=3 protected => accepted 1 1@100
        amend 1 @101 => amended 1 1@100, repriced 1 1@101
        amend 1 @102 => amended 1 1@101, repriced 1 1@102
        amend 1 @98 => amended 1 1@102, repriced 1 1@98
        cancel 1
        set day reference=100
        set limits up=200 down=200
        sell 2 1 peg_primary offset=-4 => accepted 2 1@102
        buy 3 1 peg_primary offset=-5 => accepted 3 1@98
        set limits up=400 down=0
        buy 4 1@50 => accepted 4 1@50, repriced 2 1@104, repriced 3 1@94
        set ticks 0 from_price=0 step=5
        cancel 4 => cancelled 4 1@50 REQUESTED, repriced 3 1@90
        """
    )


@on_both_machines
@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("buy 1 5@99 peg_primary", "PRICE_NOT_ALLOWED PRICE"),
        (f"buy 1 5 peg_primary offset={2**40 + 1}", "BAD_STOP STOP_PRICE"),
        (f"buy 1 5 peg_market offset={-(2**63)}", "BAD_STOP STOP_PRICE"),
        (f"buy 1 5 peg_primary offset={2**40}", "NO_REFERENCE ORDER_TYPE"),  # no such price
        ("buy 1 5 peg_primary ioc", "BAD_TIME_IN_FORCE TIME_IN_FORCE"),
        ("buy 1 5 peg_primary at_close", "BAD_TIME_IN_FORCE TIME_IN_FORCE"),
        ("buy 1 5 peg_primary post", "BAD_FLAGS FLAGS"),
        ("buy 1 5 peg_primary slide", "BAD_FLAGS FLAGS"),
        ("buy 1 5 peg_primary minimum", "BAD_FLAGS FLAGS"),
        ("buy 1 5 peg_primary percent", "BAD_FLAGS FLAGS"),
        ("buy 1 5 peg_primary show=2", "UNSUPPORTED DISPLAY_QUANTITY"),
        ("buy 1 5 peg_primary expiry=9", "UNSUPPORTED EXPIRY"),
        (f"buy 1 5@{2**40 + 1} peg_primary protected", "OUTSIDE_LIMITS PRICE"),
    ],
)
def test_a_peg_that_cannot_be(machine: str, line: str, refusal: str) -> None:
    exchange = quoted(machine)
    before = exchange.engine.state()
    assert exchange.say(line) == [f"rejected {refusal}"]
    assert exchange.engine.state().market_orders.tobytes() == before.market_orders.tobytes()


# ---------------------------------------------------------------------- the price cage


@on_both_machines
def test_a_limit_order_outside_the_cage_is_refused(machine: str) -> None:
    """Of the best offer for buys, of the best bid for sells; ten ticks at least with `ticks`."""
    exchange = Exchange(machine)
    exchange.run(
        """
        set trading
        set cage mode=1 part=200
        buy 1 1@5000 => accepted 1 1@5000
        sell 2 1@1000 => rejected OUTSIDE_CAGE PRICE
        sell 2 1@4900 => accepted 2 1@4900, trade 1 1@5000 by 2 left 0/0
        buy 1 1@900
        sell 2 1@1000 => accepted 2 1@1000
        buy 3 1@1021 => rejected OUTSIDE_CAGE PRICE
        buy 3 1@1021 ioc => rejected OUTSIDE_CAGE PRICE
        sell 4 1@881 => rejected OUTSIDE_CAGE PRICE
        sell 4 1@882 => accepted 4 1@882, trade 1 1@900 by 4 left 0/0
        set cage mode=1 part=200 ticks=30
        buy 3 1@1031 => rejected OUTSIDE_CAGE PRICE
        buy 3 1@1030 => accepted 3 1@1030, trade 2 1@1000 by 3 left 0/0
        buy 5 1@1 => accepted 5 1@1
        sell 6 1@1 => accepted 6 1@1, trade 5 1@1 by 6 left 0/0
        """
    )


@on_both_machines
def test_the_base_of_the_cage(machine: str) -> None:
    """The best offer, else the best bid, the last trade, the previous close; else there is none."""
    exchange = Exchange(machine)
    exchange.run(
        """
        set trading
        set cage mode=1 part=1000
        buy 1 1@500
        cancel 1
        set day previous_close=100
        buy 1 1@111 => rejected OUTSIDE_CAGE PRICE
        buy 1 1@110
        buy 2 1@122 => rejected OUTSIDE_CAGE PRICE
        buy 2 1@121
        sell 3 2@110 => accepted 3 2@110, trade 2 1@121 by 3 left 0/1, trade 1 1@110 by 3 left 0/0
        buy 4 1@122 => rejected OUTSIDE_CAGE PRICE
        sell 4 1@98 => rejected OUTSIDE_CAGE PRICE
        sell 4 1@99
        buy 5 1@110 => rejected OUTSIDE_CAGE PRICE
        """
    )


@on_both_machines
def test_an_order_outside_the_cage_waits_where_that_is_the_rule(machine: str) -> None:
    """It comes in, the oldest first, as soon as its price is inside."""
    exchange = Exchange(machine)
    exchange.run(
        """
        set trading
        set cage mode=2 part=200
        sell 1 1@1000
        sell 2 1@1010
        buy 3 1@1025 => accepted 3 1@1025
        buy 4 1@1022 => accepted 4 1@1022
        waiting => caged 3x1@1025 4x1@1022
        cancel 1 => cancelled 1 1@1000 REQUESTED, triggered 3 1@1025, trade 2 1@1010 by 3 left 0/0,
            triggered 4 1@1022
        waiting => -
        sell 5 1@800
        waiting => caged 5x1@800
        amend 5 @1003 => amended 5 1@1003, triggered 5 1@1003, trade 4 1@1022 by 5 left 0/0
        """
    )


@on_both_machines
def test_an_amend_gets_no_order_past_the_cage(machine: str) -> None:
    exchange = Exchange(machine)
    exchange.run(
        """
        set trading
        set cage mode=1 part=200
        sell 1 5@1000
        buy 2 1@990
        amend 2 @1021 => rejected OUTSIDE_CAGE PRICE
        set cage mode=2 part=200
        amend 2 @1021 => amended 2 1@1021
        waiting => caged 2x1@1021
        book => - / 1000: 1x5
        set cage
        reduce 1 1 => amended 1 4@1000, triggered 2 1@1021, trade 1 1@1000 by 2 left 3/0
        """
    )


@on_both_machines
def test_the_cage_is_open_in_a_call(machine: str) -> None:
    exchange = Exchange(machine)
    exchange.run(
        """
        set trading
        set cage mode=1 part=200
        sell 1 1@1000
        phase closing_call
        buy 2 1@900
        buy 3 1@5000
        """
    )


# ---------------------------------------------------------------------- limits and ticks


@on_both_machines
def test_price_limits_are_rounded_half_up_and_one_tick_at_least(machine: str) -> None:
    """10 % of 1,005 are 100.5: from 904.5, so 905, to 1,105.5, so 1,106."""
    exchange = Exchange(machine)
    exchange.run(
        """
        set trading
        set limits up=1000 down=1000 special_up=500 special_down=500 free_days=5
        buy 1 1@9999
        cancel 1
        set day reference=1005
        buy 1 1@1107 => rejected OUTSIDE_LIMITS PRICE
        buy 1 1@1106
        buy 2 1@904 => rejected OUTSIDE_LIMITS PRICE
        buy 2 1@905
        set day reference=1005 special=1
        buy 3 1@1056 => rejected OUTSIDE_LIMITS PRICE
        buy 3 1@1055
        set day reference=1005 listed_days=5
        buy 4 1@5000
        cancel 4
        set day reference=1005 listed_days=6
        buy 4 1@5000 => rejected OUTSIDE_LIMITS PRICE
        set day reference=3
        buy 4 1@5 => rejected OUTSIDE_LIMITS PRICE
        buy 4 1@4
        buy 5 1@1 => rejected OUTSIDE_LIMITS PRICE
        buy 5 1@2
        """
    )


@on_both_machines
def test_a_table_of_ticks(machine: str) -> None:
    """Steps of 1 below 100, of 5 from there, of 50 from 1,000 up; the same below zero."""
    exchange = Exchange(machine)
    exchange.run(
        """
        set ticks 1 from_price=100 step=5 => rejected BAD_PARAMETER INDEX
        set ticks 0 from_price=1 step=5 => rejected BAD_PARAMETER VALUE
        set ticks 0 from_price=0 step=0 => rejected BAD_PARAMETER VALUE
        set ticks 0 from_price=0 step=1 => market_set ticks
        set ticks 1 from_price=0 step=5 => rejected BAD_PARAMETER VALUE
        set ticks 1 from_price=100 step=5
        set ticks 2 from_price=1000 step=50
        buy 1 1@99
        buy 2 1@101 => rejected OFF_TICK PRICE
        buy 2 1@105
        buy 3 1@1005 => rejected OFF_TICK PRICE
        buy 3 1@1050
        buy 4 1@-101 => rejected OFF_TICK PRICE
        buy 4 1@-105
        buy 5 1@-99
        set ticks 1 from_price=200 step=10
        buy 6 1@1010
        """
    )


@on_both_machines
def test_post_only_slides_to_the_next_tick(machine: str) -> None:
    exchange = Exchange(machine)
    exchange.run(
        """
        set trading
        set ticks 0 from_price=0 step=5
        sell 1 1@100
        buy 2 1@110 slide => accepted 2 1@95
        sell 3 1@95 slide => accepted 3 1@100
        set day reference=100
        set limits down=500
        sell 4 1@95 => accepted 4 1@95, trade 2 1@95 by 4 left 0/0
        sell 5 1@95
        buy 6 1@95 slide => rejected WOULD_TRADE PRICE
        """
    )


@on_both_machines
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_quantities_and_values(machine: str, side: str) -> None:
    exchange, worth = Exchange(machine), "value_most=50000"
    exchange.run(
        f"""
        set quantities {side}_least=100 {side}_step=100 limit_most=1000 market_most=500 {worth}
        {side} 1 50@10 => rejected QUANTITY_TOO_SMALL QUANTITY
        {side} 1 150@10 => rejected OFF_LOT QUANTITY
        {side} 1 1100@10 => rejected QUANTITY_TOO_LARGE QUANTITY
        {side} 1 600@market => rejected QUANTITY_TOO_LARGE QUANTITY
        {side} 1 500@101 => rejected VALUE_TOO_LARGE PRICE
        {side} 1 500@100
        """
    )


@on_both_machines
@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("set trading on=9", "UNKNOWN_INSTRUMENT INSTRUMENT"),
        ("set trading parameter=0", "BAD_PARAMETER PARAMETER"),
        ("set trading parameter=12", "BAD_PARAMETER PARAMETER"),
        ("set trading 1", "BAD_PARAMETER INDEX"),
        ("set ticks 16 from_price=1 step=1", "BAD_PARAMETER INDEX"),
        ("set trading reserved=1", "UNSUPPORTED RESERVED"),
        ("set trading reserved_last=1", "UNSUPPORTED RESERVED"),
        ("set trading order_types=1", "BAD_PARAMETER VALUE"),  # bit 0 is no type
        ("set trading amends=2", "BAD_PARAMETER VALUE"),
        ("set cage mode=3", "BAD_PARAMETER VALUE"),
        ("set limits down=10001", "BAD_PARAMETER VALUE"),
        ("set halts second=5", "BAD_PARAMETER VALUE"),
        ("set halts first=5 second=5", "BAD_PARAMETER VALUE"),
        ("set closing value4=1", "BAD_PARAMETER VALUE"),
        ("set auction interval_ns=-2", "BAD_PARAMETER VALUE"),
    ],
)
def test_a_parameter_that_cannot_be(machine: str, line: str, refusal: str) -> None:
    exchange = Exchange(machine)
    assert exchange.say(line) == [f"rejected {refusal}"]
    assert len(exchange.engine.state().markets) == 0
    exchange.run(
        "buy 1 5@100 => accepted 1 5@100\nset trading => rejected BOOK_NOT_EMPTY INSTRUMENT"
    )
