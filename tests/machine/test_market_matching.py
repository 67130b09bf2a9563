"""Matching in a market by hand, on both machines: who trades how much, and in which order."""

from __future__ import annotations

import numpy as np
import pytest
from rules_kit import Exchange, on_both_machines

import matchcore as mc

QUEUES = {
    "price, then time": """
        sell 1 5@101
        sell 2 5@100
        sell 3 5@100
        buy 4 12@101 => accepted 4 12@101, trade 2 5@100 by 4 left 0/7,
            trade 3 5@100 by 4 left 0/2, trade 1 2@101 by 4 left 3/0
        """,
    "the next part of an iceberg comes last in its level": """
        sell 1 9@100 show=3
        sell 2 5@100
        buy 3 6@100 => accepted 3 6@100, trade 1 3@100 by 3 left 6/3, trade 2 3@100 by 3 left 2/0
        book => - / 100: 2x2 1x6(3)
        buy 4 7@100 => accepted 4 7@100, trade 2 2@100 by 4 left 0/5, trade 1 3@100 by 4 left 3/2,
            trade 1 2@100 by 4 left 1/0
        book => - / 100: 1x1
        """,
    "a part that is not used up keeps its place": """
        sell 1 9@100 show=3
        sell 2 5@100
        buy 3 2@100
        book => - / 100: 1x7(1) 2x5
        """,
    "hidden orders come after those that are shown, at each price": """
        sell 1 5@100 hidden
        sell 2 5@100
        sell 3 5@100 hidden
        sell 4 5@101
        buy 5 18@101 => accepted 5 18@101, trade 2 5@100 by 5 left 0/13,
            trade 1 5@100 by 5 left 0/8, trade 3 5@100 by 5 left 0/3, trade 4 3@101 by 5 left 2/0
        """,
    "all parts of an iceberg come before a hidden order": """
        sell 1 5@100 hidden
        sell 2 9@100 show=3
        buy 3 10@100 => accepted 3 10@100, trade 2 3@100 by 3 left 6/7, trade 2 3@100 by 3 left 3/4,
            trade 2 3@100 by 3 left 0/1, trade 1 1@100 by 3 left 4/0
        """,
}

OWN = {
    "without a mode they trade": """
        sell 1 5@100 acc=7
        buy 2 5@100 acc=7 => accepted 2 5@100, trade 1 5@100 by 2 left 0/0
        """,
    "cancel newest": """
        sell 1 3@100 acc=8
        sell 2 5@100 acc=7 self_trade=cancel_oldest
        buy 3 9@100 acc=7 self_trade=cancel_newest => accepted 3 9@100, trade 1 3@100 by 3 left 0/6,
            cancelled 3 6@100 SELF_TRADE
        book => - / 100: 2x5
        """,
    "cancel oldest, when it is met and not before": """
        sell 1 3@100 acc=8
        sell 2 5@100 acc=7
        sell 3 5@101 acc=7
        buy 4 3@101 acc=7 self_trade=cancel_oldest => accepted 4 3@101, trade 1 3@100 by 4 left 0/0
        buy 5 4@100 acc=7 self_trade=cancel_oldest => accepted 5 4@100, cancelled 2 5@100 SELF_TRADE
        book => 100: 5x4 / 101: 3x5
        """,
    "cancel both": """
        sell 1 5@100 acc=7
        sell 2 5@100 acc=8
        buy 3 9@100 acc=7 self_trade=cancel_both => accepted 3 9@100, cancelled 1 5@100 SELF_TRADE,
            cancelled 3 9@100 SELF_TRADE
        book => - / 100: 2x5
        """,
    "decrement: the smaller one goes, the other one is less": """
        sell 1 5@100 acc=7
        sell 2 5@100 acc=8
        buy 3 9@100 acc=7 self_trade=decrement => accepted 3 9@100, cancelled 1 5@100 SELF_TRADE,
            decremented 3 5@100 left 4, trade 2 4@100 by 3 left 1/0
        sell 4 9@101 acc=7
        buy 5 4@101 acc=7 self_trade=decrement => accepted 5 4@101, trade 2 1@100 by 5 left 0/3,
            decremented 4 3@101 left 6, cancelled 5 3@101 SELF_TRADE
        book => - / 101: 4x6
        """,
    "two of a size go both": """
        sell 1 5@100 acc=7
        buy 2 5@100 acc=7 self_trade=decrement => accepted 2 5@100, cancelled 1 5@100 SELF_TRADE,
            cancelled 2 5@100 SELF_TRADE
        """,
    "what an iceberg does not show is decremented first": """
        sell 1 9@100 acc=7 show=4
        buy 2 6@100 acc=7 self_trade=decrement => accepted 2 6@100, decremented 1 6@100 left 3,
            cancelled 2 6@100 SELF_TRADE
        book => - / 100: 1x3
        """,
    "nobody is the owner of account 0": """
        sell 1 5@100
        buy 2 5@100 self_trade=cancel_both => accepted 2 5@100, trade 1 5@100 by 2 left 0/0
        """,
    "accounts of one group are one owner": """
        protect acc=7 group=3 on=0
        protect acc=8 group=3 on=0
        sell 1 5@100 acc=7
        buy 2 4@100 acc=8 self_trade=cancel_newest => accepted 2 4@100, cancelled 2 4@100 SELF_TRADE
        protect acc=8 group=4 on=0
        buy 2 4@100 acc=8 self_trade=cancel_newest => accepted 2 4@100, trade 1 4@100 by 2 left 1/0
        """,
}

COUNTED = {
    "fill or kill stops counting at an own order that would end it": """
        sell 1 5@100 acc=8
        sell 2 5@100 acc=7
        sell 3 5@101 acc=8
        buy 4 6@101 acc=7 fok self_trade=cancel_newest => accepted 4 6@101,
            cancelled 4 6@101 FILL_OR_KILL
        buy 4 6@101 acc=7 fok self_trade=decrement => accepted 4 6@101,
            cancelled 4 6@101 FILL_OR_KILL
        buy 4 5@101 acc=7 fok self_trade=cancel_both => accepted 4 5@101,
            trade 1 5@100 by 4 left 0/0
        """,
    "it passes over own orders that would go": """
        sell 1 5@100 acc=8
        sell 2 5@100 acc=7
        sell 3 5@101 acc=8
        buy 4 11@101 acc=7 fok self_trade=cancel_oldest => accepted 4 11@101,
            cancelled 4 11@101 FILL_OR_KILL
        buy 4 10@101 acc=7 fok self_trade=cancel_oldest => accepted 4 10@101,
            trade 1 5@100 by 4 left 0/5, cancelled 2 5@100 SELF_TRADE, trade 3 5@101 by 4 left 0/0
        """,
    "it counts all of icebergs and hidden orders": """
        sell 1 9@100 show=3
        sell 2 5@100 hidden
        buy 3 15@100 fok => accepted 3 15@100, cancelled 3 15@100 FILL_OR_KILL
        buy 3 14@100 fok => accepted 3 14@100, trade 1 3@100 by 3 left 6/11,
            trade 1 3@100 by 3 left 3/8, trade 1 3@100 by 3 left 0/5, trade 2 5@100 by 3 left 0/0
        """,
    "before an own order only the parts count that come before it": """
        sell 1 9@100 show=3 acc=8
        sell 2 5@100 acc=7
        buy 3 5@100 acc=7 ioc least=4 self_trade=cancel_newest => accepted 3 5@100,
            cancelled 3 5@100 MINIMUM_NOT_MET
        buy 3 5@100 acc=7 ioc least=3 self_trade=cancel_newest => accepted 3 5@100,
            trade 1 3@100 by 3 left 6/2, cancelled 3 2@100 SELF_TRADE
        """,
    "an order whose time has come does not count": """
        sell 1 5@100 gtd expiry=10 time=5
        sell 2 5@100 time=5
        buy 3 6@100 fok time=10 => accepted 3 6@100, cancelled 3 6@100 FILL_OR_KILL
        """,
    "it stops at a price that interrupts trading": """
        set day reference=100
        set volatility static=100 duration_ns=5
        sell 1 5@101
        sell 2 5@102
        buy 3 6@102 fok => accepted 3 6@102, cancelled 3 6@102 FILL_OR_KILL
        buy 3 6@102 least=5 => accepted 3 6@102, trade 1 5@101 by 3 left 0/1,
            phase volatility_call 0@0 VOLATILITY, indicative 1@102 over -4
        """,
}

SHARED = {
    "by size, rounded down, what remains by time": """
        set allocation pro_rata=1
        sell 1 6@100
        sell 2 3@100
        sell 3 1@100
        buy 4 5@100 => accepted 4 5@100, trade 1 4@100 by 4 left 2/1, trade 2 1@100 by 4 left 2/0
        """,
    "the oldest has its share beforehand": """
        set allocation pro_rata=1 top_share=40
        sell 1 10@100
        sell 2 40@100
        sell 3 50@100
        buy 4 50@100 => accepted 4 50@100, trade 1 10@100 by 4 left 0/40,
            trade 2 18@100 by 4 left 22/22, trade 3 22@100 by 4 left 28/0
        """,
    "nothing below the least": """
        set allocation pro_rata=1 least=3
        sell 1 2@100
        sell 2 10@100
        sell 3 28@100
        buy 4 10@100 => accepted 4 10@100, trade 1 2@100 by 4 left 0/8,
            trade 2 1@100 by 4 left 9/7, trade 3 7@100 by 4 left 21/0
        """,
    "a level that is too small is taken whole, and the next one shared": """
        set allocation pro_rata=1
        sell 1 4@100
        sell 2 2@100
        sell 3 4@101
        sell 4 4@101
        buy 5 10@101 => accepted 5 10@101, trade 1 4@100 by 5 left 0/6, trade 2 2@100 by 5 left 0/4,
            trade 3 2@101 by 5 left 2/2, trade 4 2@101 by 5 left 2/0
        """,
    "own orders are met before a level is shared out": """
        set allocation pro_rata=1
        sell 1 6@100 acc=8
        sell 2 6@100 acc=7
        sell 3 6@100 acc=9
        buy 4 6@100 acc=7 self_trade=cancel_oldest => accepted 4 6@100,
            cancelled 2 6@100 SELF_TRADE, trade 1 3@100 by 4 left 3/3, trade 3 3@100 by 4 left 3/0
        buy 5 3@100 acc=8 self_trade=cancel_newest => accepted 5 3@100, cancelled 5 3@100 SELF_TRADE
        """,
    "only what is shown is shared out, and hidden orders come after it": """
        set allocation pro_rata=1
        sell 1 9@100 show=2
        sell 2 6@100
        sell 3 9@100 hidden
        buy 4 4@100 => accepted 4 4@100, trade 1 1@100 by 4 left 8/3, trade 2 3@100 by 4 left 3/0
        buy 5 20@100 => accepted 5 20@100, trade 1 1@100 by 5 left 7/19,
            trade 2 3@100 by 5 left 0/16, trade 1 2@100 by 5 left 5/14,
            trade 1 2@100 by 5 left 3/12, trade 1 2@100 by 5 left 1/10,
            trade 1 1@100 by 5 left 0/9, trade 3 9@100 by 5 left 0/0
        """,
}

SCRIPTS = QUEUES | OWN | COUNTED | SHARED


@on_both_machines
@pytest.mark.parametrize("what", SCRIPTS)
def test_matching_is_what_the_rule_book_says(machine: str, what: str) -> None:
    exchange = Exchange(machine)
    exchange.run("set trading")
    exchange.run(SCRIPTS[what])


@on_both_machines
def test_parts_of_pro_rata_are_whole_lots(machine: str) -> None:
    exchange = Exchange(machine, mc.Instrument("LOTS", tick=1, lot=10))
    exchange.run(
        """
        set allocation pro_rata=1 top_share=50
        sell 1 50@100
        sell 2 60@100
        buy 3 50@100 => accepted 3 50@100, trade 1 30@100 by 3 left 20/20,
            trade 2 20@100 by 3 left 40/0
        """
    )


@on_both_machines
def test_levels_show_only_what_is_shown(machine: str) -> None:
    exchange = Exchange(machine)
    exchange.run(
        """
        set trading
        sell 1 9@100 show=3
        sell 2 5@100
        sell 3 7@100 hidden
        sell 4 7@99 hidden
        buy 5 7@98
        """
    )
    levels = exchange.engine._machine.levels(1, 2)
    assert levels[["price", "quantity", "orders"]].tolist() == [(100, 8, 2)]
    assert exchange.engine._machine.levels(1, 1)["quantity"].tolist() == [7]


@pytest.mark.parametrize("seed", range(4))
def test_shares_add_up_and_go_by_size(seed: int) -> None:
    """Of the reference, which the compiled machine is compared with: no unit is made or lost."""
    rng = np.random.default_rng(seed)
    exchange = Exchange("reference")
    for round_ in range(20):
        top, least = int(rng.integers(0, 101)), int(rng.integers(0, 4))
        exchange.run(f"set allocation pro_rata=1 top_share={top} least={least}")
        sizes = [int(size) for size in rng.integers(1, 50, int(rng.integers(1, 8)))]
        for at, size in enumerate(sizes, 1):
            exchange.run(f"sell {at} {size}@100")
        taken = int(rng.integers(1, sum(sizes) + 1))
        events = exchange.send(
            kind=1, side=1, order_type=1, time_in_force=3, order_id=99, price=100, quantity=taken
        )
        trades = events[events["kind"] == 2]
        got = dict(zip(trades["order_id"].tolist(), trades["quantity"].tolist(), strict=True))
        assert sum(got.values()) == taken, (round_, sizes, taken)
        assert all(quantity <= sizes[order - 1] for order, quantity in got.items())
        if taken < sum(sizes):
            first = min(sizes[0], taken * top // 100)
            wanted = [sizes[0] - first, *sizes[1:]]
            parts = [(taken - first) * size // sum(wanted) for size in wanted]
            assert all(
                got.get(at, 0) >= (part if part >= least else 0) for at, part in enumerate(parts, 1)
            )
            assert got.get(1, 0) >= first
        exchange.run("mass")
