"""Changes of a market's orders: what keeps its place, and what is refused, on both machines."""

from __future__ import annotations

import pytest
from rules_kit import Exchange, on_both_machines

#: Two orders at 100, an iceberg at 99, a stop, and offers at 103.
BOOK = """
    set trading
    buy 1 10@100
    buy 2 10@100
    buy 3 10@99 show=2
    sell 4 9@103
    buy 5 1@103 => accepted 5 1@103, trade 4 1@103 by 5 left 8/0
    buy 6 5 stop stop=110
    buy 7 5@111 stop_limit stop=110
"""


def market(machine: str) -> Exchange:
    exchange = Exchange(machine)
    exchange.run(BOOK)
    exchange.run(
        """
        book => 100: 1x10 2x10; 99: 3x10(2) / 103: 4x8
        waiting => stops 6x5@110 7x5@110
        """
    )
    return exchange


@on_both_machines
def test_less_keeps_its_place_and_more_or_another_price_does_not(machine: str) -> None:
    exchange = market(machine)
    exchange.run(
        """
        amend 1 7 => amended 1 7@100
        amend 1 7@100 => amended 1 7@100
        reduce 1 2 => amended 1 5@100
        book => 100: 1x5 2x10; 99: 3x10(2) / 103: 4x8
        amend 1 6 => amended 1 6@100
        book => 100: 2x10 1x6; 99: 3x10(2) / 103: 4x8
        amend 2 @101 => amended 2 10@101
        book => 101: 2x10; 100: 1x6; 99: 3x10(2) / 103: 4x8
        amend 2 12@103 => amended 2 12@103, trade 4 8@103 by 2 left 0/4
        book => 103: 2x4; 100: 1x6; 99: 3x10(2) / -
        """
    )


@on_both_machines
def test_a_total_counts_what_is_filled(machine: str) -> None:
    """FIX's meaning: an amend that crosses a fill adds nothing to what was wanted."""
    exchange = market(machine)
    exchange.run(
        """
        sell 8 4@100 => accepted 8 4@100, trade 1 4@100 by 8 left 6/0
        amend 1 12 total => amended 1 8@100
        amend 1 9@99 total => amended 1 5@99
        amend 1 4 total => cancelled 1 5@99 AMENDED_TO_FILLED
        amend 1 4 total => rejected UNKNOWN_ORDER ORDER_ID
        amend 2 3 total => amended 2 3@100
        """
    )


@on_both_machines
def test_an_iceberg_shows_what_it_is_told_to(machine: str) -> None:
    """What it shows now stays; the next part has the new size.  First what is not shown goes."""
    exchange = market(machine)
    exchange.run(
        """
        cancel 1
        cancel 2
        buy 8 1@99
        amend 3 show=4 => amended 3 10@99
        book => 99: 3x10(2) 8x1 / 103: 4x8
        amend 3 7 show=3 => amended 3 7@99
        sell 9 3@99 => accepted 9 3@99, trade 3 2@99 by 9 left 5/1, trade 8 1@99 by 9 left 0/0
        book => 99: 3x5(3) / 103: 4x8
        reduce 3 3 => amended 3 2@99
        book => 99: 3x2 / 103: 4x8
        amend 3 9 => amended 3 9@99
        book => 99: 3x9(3) / 103: 4x8
        amend 3 1 show=1 => amended 3 1@99
        """
    )


@on_both_machines
def test_a_stop_gets_another_stop_price(machine: str) -> None:
    """It goes behind those at its new price; at one that is reached it comes at once."""
    exchange = market(machine)
    exchange.run(
        """
        buy 8 5 stop stop=109
        amend 6 stop=109 => amended 6 5@0
        waiting => stops 8x5@109 6x5@109 7x5@110
        amend 8 3 => amended 8 3@0
        waiting => stops 8x3@109 6x5@109 7x5@110
        amend 8 4 => amended 8 4@0
        waiting => stops 6x5@109 8x4@109 7x5@110
        amend 7 @112 => amended 7 5@112
        amend 7 4@112 stop=103 => amended 7 4@112, triggered 7 4@112, trade 4 4@103 by 7 left 4/0
        amend 6 stop=103 => amended 6 5@0, triggered 6 5@0, trade 4 4@103 by 6 left 0/1,
            cancelled 6 1@0 MARKET_REMAINDER
        """
    )


@on_both_machines
def test_a_bound_is_the_price_of_an_order_that_has_one(machine: str) -> None:
    exchange = market(machine)
    exchange.run(
        """
        buy 8 5@105 stop protected stop=110
        amend 8 @104 => amended 8 5@104
        buy 9 9@103 stop protected stop=103 => accepted 9 9@103, triggered 9 9@103,
            trade 4 8@103 by 9 left 0/1, cancelled 9 1@103 MARKET_REMAINDER
        sell 10 20@104
        amend 8 stop=103 => amended 8 5@104, triggered 8 5@104, trade 10 5@104 by 8 left 15/0
        """
    )


@on_both_machines
def test_post_only_and_sliding_orders_stay_so(machine: str) -> None:
    exchange = market(machine)
    exchange.run(
        """
        buy 8 1@98 post
        amend 8 @103 => rejected WOULD_TRADE PRICE
        amend 8 @102 => amended 8 1@102
        buy 9 1@98 slide
        amend 9 @105 => amended 9 1@102
        book => 102: 8x1 9x1; 100: 1x10 2x10; 99: 3x10(2) / 103: 4x8
        amend 9 @105 => amended 9 1@102
        amend 9 2 => amended 9 2@102
        """
    )


@on_both_machines
def test_orders_that_wait_for_a_call_are_changed_where_they_are(machine: str) -> None:
    exchange = market(machine)
    exchange.run(
        """
        buy 8 5@101 at_close
        buy 9 5@102 at_close
        amend 8 3 => amended 8 3@101
        waiting => stops 6x5@110 7x5@110 / waiting 8x3@101 9x5@102
        amend 8 @103 => amended 8 3@103
        waiting => stops 6x5@110 7x5@110 / waiting 9x5@102 8x3@103
        cancel 9 => cancelled 9 5@102 REQUESTED
        """
    )


@on_both_machines
def test_a_change_in_a_call_trades_nothing(machine: str) -> None:
    exchange = market(machine)
    exchange.run(
        """
        phase closing_call => phase closing_call 0@0, indicative 0@0 over 0
        amend 1 @104 => amended 1 10@104, indicative 8@104 over 2
        book => 104: 1x10; 100: 2x10; 99: 3x10(2) / 103: 4x8
        reduce 1 1 => amended 1 9@104, indicative 8@104 over 1
        """
    )


@on_both_machines
def test_a_change_follows_the_rules_of_a_new_order(machine: str) -> None:
    exchange = market(machine)
    exchange.run(
        """
        set quantities buy_least=3 buy_step=2 limit_most=20 value_most=2000
        amend 1 2 => rejected QUANTITY_TOO_SMALL QUANTITY
        amend 1 9 => rejected OFF_LOT QUANTITY
        amend 1 22 => rejected QUANTITY_TOO_LARGE QUANTITY
        amend 1 20@101 => rejected VALUE_TOO_LARGE PRICE
        amend 1 20 => amended 1 20@100
        amend 1 18@111 => amended 1 18@111, trade 4 8@103 by 1 left 0/10
        amend 1 20 => rejected VALUE_TOO_LARGE QUANTITY
        amend 1 18 => amended 1 18@111
        set ticks 0 from_price=0 step=5
        amend 2 @101 => rejected OFF_TICK PRICE
        amend 6 stop=112 => rejected OFF_TICK STOP_PRICE
        set day reference=100
        set limits up=1000 down=1000
        amend 2 @115 => rejected OUTSIDE_LIMITS PRICE
        amend 2 @90 => amended 2 10@90
        """
    )


@on_both_machines
def test_the_account_of_the_order_is_under_its_limits(machine: str) -> None:
    exchange = Exchange(machine)
    exchange.run(
        """
        set trading
        buy 1 5@100 acc=7
        limit acc=7 max_quantity=6
        amend 1 7 => rejected LIMIT_EXCEEDED MAX_QUANTITY
        amend 1 6 => amended 1 6@100
        amend 1 6 acc=8 => rejected NOT_OWNER ACCOUNT
        limit acc=7 flags=1
        amend 1 5 => rejected ACCOUNT_BLOCKED ACCOUNT
        reduce 1 1 acc=7 => amended 1 5@100
        """
    )


@on_both_machines
def test_what_was_filled_and_what_is_open_have_63_bits_together(machine: str) -> None:
    most = 2**63 - 1
    exchange = Exchange(machine)
    exchange.run(
        f"""
        set trading
        buy 1 {most}@1
        sell 2 9@1
        amend 1 {most} => rejected LEVEL_OVERFLOW QUANTITY
        amend 1 {most} total => amended 1 {most - 9}@1
        amend 1 {most - 8} => rejected LEVEL_OVERFLOW QUANTITY
        buy 3 9@1
        buy 4 1@1 => rejected LEVEL_OVERFLOW QUANTITY
        amend 3 10@2 => rejected LEVEL_OVERFLOW QUANTITY
        """
    )


@on_both_machines
@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("amend 1", "NOTHING_TO_CHANGE FLAGS"),
        ("amend 1 5 flags=1", "BAD_FLAGS FLAGS"),
        ("amend 1 5 flags=4096", "BAD_FLAGS FLAGS"),
        ("amend 1 total @101", "BAD_FLAGS FLAGS"),  # of a quantity that is kept
        ("amend 1 0", "QUANTITY_NOT_POSITIVE QUANTITY"),
        ("amend 1 -5 total", "QUANTITY_NOT_POSITIVE QUANTITY"),
        ("amend 1 5 stop_price=1", "UNSUPPORTED STOP_PRICE"),
        ("amend 1 5 display_quantity=1", "UNSUPPORTED DISPLAY_QUANTITY"),
        ("amend 1 5 expiry=1", "UNSUPPORTED EXPIRY"),
        ("amend 1 5 self_trade=1", "UNSUPPORTED SELF_TRADE"),
        ("amend 1 5 reserved=1", "UNSUPPORTED RESERVED"),
        ("amend 77 5", "UNKNOWN_ORDER ORDER_ID"),
        ("amend 0 5", "UNKNOWN_ORDER ORDER_ID"),
        (f"amend 1 @{2**40 + 1}", "OUTSIDE_LIMITS PRICE"),
        ("amend 1 stop=101", "UNSUPPORTED STOP_PRICE"),
        ("amend 4 stop=101", "UNSUPPORTED STOP_PRICE"),
        (f"amend 6 stop={2**40 + 1}", "BAD_STOP STOP_PRICE"),
        ("amend 6 @101", "PRICE_NOT_ALLOWED PRICE"),
        ("amend 1 show=2", "BAD_DISPLAY DISPLAY_QUANTITY"),
        ("amend 3 show=0", "BAD_DISPLAY DISPLAY_QUANTITY"),
        ("amend 3 show=11", "BAD_DISPLAY DISPLAY_QUANTITY"),
        ("amend 3 1 show=2", "BAD_DISPLAY DISPLAY_QUANTITY"),
        ("reduce 1 0", "QUANTITY_NOT_POSITIVE QUANTITY"),
        ("reduce 77 1", "UNKNOWN_ORDER ORDER_ID"),
        ("cancel 77", "UNKNOWN_ORDER ORDER_ID"),
        ("cancel 1 acc=5", "NOT_OWNER ACCOUNT"),
    ],
)
def test_a_change_that_cannot_be(machine: str, line: str, refusal: str) -> None:
    exchange = market(machine)
    before = exchange.engine.state()
    assert exchange.say(line) == [f"rejected {refusal}"]
    after = exchange.engine.state()
    assert after.market_orders.tobytes() == before.market_orders.tobytes()
    assert after.orders[0].tobytes() == before.orders[0].tobytes()


@on_both_machines
def test_changes_and_the_phases(machine: str) -> None:
    """Less can go where orders can go; a change also has to be where orders come in."""
    exchange = market(machine)
    exchange.run(
        """
        phase halted
        amend 1 5 => rejected BAD_PHASE KIND
        reduce 1 1 => amended 1 9@100
        cancel 1
        phase break
        reduce 2 1 => rejected BAD_PHASE KIND
        cancel 2 => rejected BAD_PHASE KIND
        amend 2 5 => rejected BAD_PHASE KIND
        phase continuous
        phase at_closing_price
        amend 2 5 => rejected BAD_PHASE KIND
        reduce 2 1 => amended 2 9@100
        set trading amends=0
        amend 2 5 => rejected UNSUPPORTED KIND
        """
    )


@on_both_machines
def test_a_triggered_stop_has_no_stop_price_any_more(machine: str) -> None:
    exchange = market(machine)
    exchange.run(
        """
        buy 8 5@102 stop_limit stop=103 => accepted 8 5@102, triggered 8 5@102
        amend 8 stop=110 => rejected ALREADY_TRIGGERED STOP_PRICE
        amend 8 @101 => amended 8 5@101
        amend 8 stop=110 => rejected ALREADY_TRIGGERED STOP_PRICE
        """
    )


@on_both_machines
def test_what_is_no_stop_with_a_price_of_its_own_takes_no_stop_price(machine: str) -> None:
    exchange = market(machine)
    exchange.run(
        """
        sell 9 1 trailing_stop away=3
        amend 9 stop=90 => rejected UNSUPPORTED STOP_PRICE
        buy 10 1 peg_primary offset=-1
        amend 10 stop=90 => rejected UNSUPPORTED STOP_PRICE
        buy 11 9@103 least=8
        amend 11 stop=90 => rejected UNSUPPORTED STOP_PRICE
        """
    )
