"""The rules of new orders and of matching, as a table."""

from __future__ import annotations

import pytest
from rules_kit import Exchange, on_both_machines

RULES = {
    "a trade is at the resting price, not the aggressor's": """
        sell 1 10@100
        buy 2 4@105   => accepted 2 4@105, trade 1 4@100 by 2 left 6/0
        book          => - / 100: 1x6
        """,
    "a sell below the bid trades at the bid": """
        buy 1 10@100
        sell 2 3@95   => accepted 2 3@95, trade 1 3@100 by 2 left 7/0
        """,
    "best price first, at one price oldest first": """
        sell 1 5@101
        sell 2 5@100
        sell 3 5@100
        buy 4 12@101  => accepted 4 12@101, trade 2 5@100 by 4 left 0/7,
                         trade 3 5@100 by 4 left 0/2, trade 1 2@101 by 4 left 3/0
        book          => - / 101: 1x3
        """,
    "a partly filled order keeps its place": """
        sell 1 10@100
        sell 2 10@100
        buy 3 4@100   => accepted 3 4@100, trade 1 4@100 by 3 left 6/0
        book          => - / 100: 1x6 2x10
        buy 4 7@100   => accepted 4 7@100, trade 1 6@100 by 4 left 0/1,
                         trade 2 1@100 by 4 left 9/0
        """,
    "a cancel in the middle of a level keeps the queue": """
        sell 1 5@100
        sell 2 5@100
        sell 3 5@100
        cancel 2      => cancelled 2 5@100 REQUESTED
        sell 4 5@100
        buy 5 11@100  => accepted 5 11@100, trade 1 5@100 by 5 left 0/6,
                         trade 3 5@100 by 5 left 0/1, trade 4 1@100 by 5 left 4/0
        """,
    "cancels at the head and the tail keep the queue": """
        buy 1 1@100
        buy 2 2@100
        buy 3 3@100
        cancel 1
        cancel 3
        buy 4 4@100
        book          => 100: 2x2 4x4 / -
        """,
    "an amend that crosses trades first and leaves no crossed book": """
        sell 1 5@105
        sell 2 5@106
        buy 3 20@100
        amend 3 @105  => amended 3 20@105, trade 1 5@105 by 3 left 0/15
        book          => 105: 3x15 / 106: 2x5
        """,
    "an amend that crosses and fills whole is gone": """
        sell 1 5@105
        buy 2 5@100
        amend 2 5@110 => amended 2 5@110, trade 1 5@105 by 2 left 0/0
        book          => - / -
        cancel 2      => rejected UNKNOWN_ORDER ORDER_ID
        """,
    "fill-or-kill counts all makers of all levels within its limit": """
        sell 1 4@100
        sell 2 3@100
        sell 3 3@102
        buy 4 11@102 fok => accepted 4 11@102, cancelled 4 11@102 FILL_OR_KILL
        buy 5 10@101 fok => accepted 5 10@101, cancelled 5 10@101 FILL_OR_KILL
        book             => - / 100: 1x4 2x3; 102: 3x3
        buy 6 10@102 fok => accepted 6 10@102, trade 1 4@100 by 6 left 0/6,
                            trade 2 3@100 by 6 left 0/3, trade 3 3@102 by 6 left 0/0
        book             => - / -
        """,
    "a market fill-or-kill looks through the whole book": """
        buy 1 4@100
        buy 2 4@-500
        sell 3 9@market fok => accepted 3 9@0, cancelled 3 9@0 FILL_OR_KILL
        sell 4 8@market fok => accepted 4 8@0, trade 1 4@100 by 4 left 0/4,
                               trade 2 4@-500 by 4 left 0/0
        """,
    "fill-or-kill in an empty book is cancelled": """
        buy 1 1@100 fok     => accepted 1 1@100, cancelled 1 1@100 FILL_OR_KILL
        buy 2 1@market fok  => accepted 2 1@0, cancelled 2 1@0 FILL_OR_KILL
        """,
    "the rest of an immediate-or-cancel order does not rest": """
        sell 1 5@100
        buy 2 8@100 ioc => accepted 2 8@100, trade 1 5@100 by 2 left 0/3,
                           cancelled 2 3@100 IMMEDIATE_OR_CANCEL
        buy 3 8@100 ioc => accepted 3 8@100, cancelled 3 8@100 IMMEDIATE_OR_CANCEL
        book            => - / -
        """,
    "a filled immediate-or-cancel order has nothing to cancel": """
        sell 1 5@100
        buy 2 5@100 ioc => accepted 2 5@100, trade 1 5@100 by 2 left 0/0
        """,
    "a market order never rests, whatever its time in force": """
        sell 1 2@100
        buy 2 5@market gtc => accepted 2 5@0, trade 1 2@100 by 2 left 0/3,
                              cancelled 2 3@0 MARKET_REMAINDER
        buy 3 5@market day => accepted 3 5@0, cancelled 3 5@0 MARKET_REMAINDER
        buy 4 5@market ioc => accepted 4 5@0, cancelled 4 5@0 MARKET_REMAINDER
        book               => - / -
        """,
    "a market order pays any price": """
        sell 1 1@-9000000000000000000
        sell 2 1@9000000000000000000
        buy 3 2@market ioc => accepted 3 2@0, trade 1 1@-9000000000000000000 by 3 left 0/1,
                              trade 2 1@9000000000000000000 by 3 left 0/0
        """,
    "a limit order never pays through its limit": """
        sell 1 5@100
        sell 2 5@103
        buy 3 9@102     => accepted 3 9@102, trade 1 5@100 by 3 left 0/4
        book            => 102: 3x4 / 103: 2x5
        sell 4 9@101    => accepted 4 9@101, trade 3 4@102 by 4 left 0/5
        book            => - / 101: 4x5; 103: 2x5
        """,
    "a live id is refused on either side, and free once its order is gone": """
        buy 1 5@100
        buy 1 5@99      => rejected DUPLICATE_ORDER ORDER_ID
        sell 1 5@200    => rejected DUPLICATE_ORDER ORDER_ID
        buy 1 5@1 ioc   => rejected DUPLICATE_ORDER ORDER_ID
        cancel 1
        sell 1 5@200    => accepted 1 5@200
        buy 2 5@200
        buy 1 7@100     => accepted 1 7@100
        reduce 1 7
        buy 1 3@98 ioc
        buy 1 3@97      => accepted 1 3@97
        book            => 97: 1x3 / -
        """,
    "assigned ids count up, skip live ones, and a refusal uses up none": """
        buy 2 1@100
        buy 0 1@100     => accepted 1 1@100
        buy 0 0@100     => rejected QUANTITY_NOT_POSITIVE QUANTITY
        buy 0 1@100     => accepted 3 1@100
        cancel 3
        buy 0 1@90 ioc  => accepted 4 1@90, cancelled 4 1@90 IMMEDIATE_OR_CANCEL
        buy 0 1@100     => accepted 5 1@100
        """,
    "an emptied level is no longer the best": """
        buy 1 5@100
        buy 2 5@99
        buy 3 5@35
        cancel 1
        sell 4 1@99     => accepted 4 1@99, trade 2 1@99 by 4 left 4/0
        sell 5 4@99
        sell 6 1@99     => accepted 6 1@99
        book            => 35: 3x5 / 99: 6x1
        buy 7 1@99
        sell 8 1@35     => accepted 8 1@35, trade 3 1@35 by 8 left 4/0
        """,
    "negative prices are ordered like numbers": """
        buy 1 5@-10
        buy 2 5@-9
        sell 3 5@-1
        sell 4 5@-2
        book          => -9: 2x5; -10: 1x5 / -2: 4x5; -1: 3x5
        sell 5 7@-10  => accepted 5 7@-10, trade 2 5@-9 by 5 left 0/2,
                         trade 1 2@-10 by 5 left 3/0
        buy 6 6@0     => accepted 6 6@0, trade 4 5@-2 by 6 left 0/1,
                         trade 3 1@-1 by 6 left 4/0
        """,
}


@on_both_machines
@pytest.mark.parametrize("rule", RULES)
def test_rule(machine: str, rule: str) -> None:
    Exchange(machine).run(RULES[rule])
