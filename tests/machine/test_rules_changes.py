"""The rules of post-only orders, and of the commands that change or end orders, as a table."""

from __future__ import annotations

import pytest
from rules_kit import Exchange, on_both_machines

RULES = {
    "post-only is refused at the opposite best price and rests behind it": """
        sell 1 5@100
        buy 2 5@100 post  => rejected WOULD_TRADE PRICE
        buy 2 5@101 post  => rejected WOULD_TRADE PRICE
        buy 2 5@99 post   => accepted 2 5@99
        sell 3 5@99 post  => rejected WOULD_TRADE PRICE
        sell 4 2@99       => accepted 4 2@99, trade 2 2@99 by 4 left 3/0
        book              => 99: 2x3 / 100: 1x5
        """,
    "a post-only order stays post-only when it is amended": """
        sell 1 5@100
        buy 2 5@90 post
        amend 2 @100      => rejected WOULD_TRADE PRICE
        amend 2 9@105     => rejected WOULD_TRADE PRICE
        amend 2 9         => amended 2 9@90
        amend 2 @99       => amended 2 9@99
        book              => 99: 2x9 / 100: 1x5
        """,
    "a smaller quantity at the same price keeps the place": """
        buy 1 10@100
        buy 2 10@100
        amend 1 4         => amended 1 4@100
        amend 1 3@100     => amended 1 3@100
        book              => 100: 1x3 2x10 / -
        """,
    "an amend that changes nothing keeps the place": """
        buy 1 10@100
        buy 2 10@100
        amend 1 10@100    => amended 1 10@100
        amend 1 10        => amended 1 10@100
        amend 1 @100      => amended 1 10@100
        book              => 100: 1x10 2x10 / -
        """,
    "a larger quantity goes to the back": """
        buy 1 10@100
        buy 2 10@100
        amend 1 11        => amended 1 11@100
        book              => 100: 2x10 1x11 / -
        """,
    "another price goes to the back, and there and back again is no way back": """
        buy 1 10@100
        buy 2 10@100
        buy 3 10@99
        amend 1 @99       => amended 1 10@99
        book              => 100: 2x10; 99: 3x10 1x10 / -
        amend 1 5@100     => amended 1 5@100
        book              => 100: 2x10 1x5; 99: 3x10 / -
        """,
    "an amend is to the open quantity, not to the first one": """
        buy 1 10@100
        sell 2 4@100
        amend 1 10        => amended 1 10@100
        sell 3 10@100     => accepted 3 10@100, trade 1 10@100 by 3 left 0/0
        """,
    "a reduce keeps the place, to nothing it is a cancel": """
        buy 1 10@100
        buy 2 10@100
        reduce 1 4        => amended 1 6@100
        book              => 100: 1x6 2x10 / -
        reduce 1 6        => cancelled 1 6@100 REDUCED_TO_NOTHING
        reduce 2 9000     => cancelled 2 10@100 REDUCED_TO_NOTHING
        book              => - / -
        """,
    "a mass cancel sweeps buys, then sells, from the best, oldest first": """
        sell 1 1@105
        sell 2 1@104
        buy 3 1@99
        buy 4 1@100
        buy 5 1@100
        mass              => cancelled 4 1@100 MASS_CANCEL, cancelled 5 1@100 MASS_CANCEL,
                cancelled 3 1@99 MASS_CANCEL, cancelled 2 1@104 MASS_CANCEL,
                cancelled 1 1@105 MASS_CANCEL, mass_cancelled 5
        mass              => mass_cancelled 0
        """,
    "a mass cancel by account, by side, and by both": """
        buy 1 1@100 acc=7
        buy 2 1@100 acc=8
        sell 3 1@101 acc=7
        sell 4 1@101 acc=8
        mass acc=7 side=sell => cancelled 3 1@101 MASS_CANCEL, mass_cancelled 1
        mass acc=8        => cancelled 2 1@100 MASS_CANCEL, cancelled 4 1@101 MASS_CANCEL,
                mass_cancelled 2
        sell 5 1@101 acc=7
        mass side=buy     => cancelled 1 1@100 MASS_CANCEL, mass_cancelled 1
        book              => - / 101: 5x1
        """,
    "a mass cancel of a range of prices, its ends included": """
        buy 1 1@97
        buy 2 1@98
        sell 3 1@101
        sell 4 1@102
        sell 5 1@102 acc=7
        mass 0 0@98 stop_price=101 flags=4096 => cancelled 2 1@98 MASS_CANCEL,
                cancelled 3 1@101 MASS_CANCEL, mass_cancelled 2
        mass 0 0@102 stop_price=102 flags=4096 acc=7 => cancelled 5 1@102 MASS_CANCEL,
                mass_cancelled 1
        mass 0 0@98 stop_price=101 flags=4096 => mass_cancelled 0
        mass 0 0@102 stop_price=101 flags=4096 => rejected BAD_VALUE PRICE
        book              => 97: 1x1 / 102: 4x1
        """,
    "the end of the day takes DAY orders and leaves the others": """
        buy 1 1@100 day
        buy 2 1@100
        sell 3 1@105 day
        sell 4 1@104 day
        endday            => cancelled 1 1@100 END_OF_DAY, cancelled 4 1@104 END_OF_DAY,
                cancelled 3 1@105 END_OF_DAY, day_ended 3
        endday            => day_ended 0
        book              => 100: 2x1 / -
        """,
    "an amended DAY order is still a DAY order": """
        buy 1 5@100 day
        amend 1 7@101
        endday            => cancelled 1 7@101 END_OF_DAY, day_ended 1
        """,
    "account 0 may cancel anything, another account only its own": """
        buy 1 5@100 acc=7
        cancel 1 acc=8    => rejected NOT_OWNER ACCOUNT
        amend 1 4 acc=8   => rejected NOT_OWNER ACCOUNT
        reduce 1 1 acc=8  => rejected NOT_OWNER ACCOUNT
        reduce 1 1 acc=7  => amended 1 4@100
        cancel 1          => cancelled 1 4@100 REQUESTED
        """,
    "the orders of one account do trade with each other": """
        buy 1 5@100 acc=7
        sell 2 5@100 acc=7 => accepted 2 5@100, trade 1 5@100 by 2 left 0/0
        """,
}


@on_both_machines
@pytest.mark.parametrize("rule", RULES)
def test_rule_of_change(machine: str, rule: str) -> None:
    Exchange(machine).run(RULES[rule])
