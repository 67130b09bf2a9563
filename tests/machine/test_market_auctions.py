"""Calls by hand, on both machines: the price by each rule, indicative prices, trades, leftovers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rules_kit import Exchange, on_both_machines

ANY = 2**63 - 1
START = """
    set trading
    set auction rule={rule}
    set day previous_close={close}
    phase closed
    phase opening_call
"""

#: What is in the book -> what the rules GENERIC, SSE and SZSE make of it with a previous close:
#: price, volume, buys less sells that are left over.
PRICES: dict[str, tuple[int, list[str], list[tuple[int, int, int]]]] = {
    "one price has the largest volume": (
        100,
        ["buy 10@102", "buy 10@101", "sell 10@100", "sell 10@101"],
        [(101, 20, 0)] * 3,
    ),
    "of equal volumes the smallest imbalance": (
        100,
        ["buy 100@105", "buy 50@103", "sell 100@100", "sell 20@104"],
        # 100 to 103: 150 buys, 100 sells; 104 and 105: 100 buys, 120 sells
        [(104, 100, -20), (104, 100, -20), (104, 100, -20)],
    ),
    "buys are left over: the highest of the range": (
        100,
        ["buy 30@110", "sell 20@104"],
        [(110, 20, 10)] * 3,
    ),
    "sells are left over: the lowest of the range": (
        120,
        ["buy 20@110", "sell 30@104"],
        [(104, 20, -10)] * 3,
    ),
    "as much is left over on both sides: the two prices where it turns": (
        97,
        ["buy 10@110", "buy 20@100", "sell 10@95", "sell 20@101"],
        # up to 100 bids are left over, from 101 on offers; at 97 a bid at 100 would stay behind
        [(100, 10, 20), (101, 10, -20), (100, 10, 20)],
    ),
    "nothing is left over: closest to the reference, or the middle": (
        106,
        ["buy 20@110", "sell 20@104"],
        [(106, 20, 0), (107, 20, 0), (106, 20, 0)],
    ),
    "the middle is rounded half up": (
        90,
        ["buy 20@109", "sell 20@104"],
        [(104, 20, 0), (107, 20, 0), (104, 20, 0)],
    ),
    "the opening of 600519, as SSE had it: bids left over at 1808.00 to 1808.08": (
        180800,
        ["buy 300@180808", "buy 100@180808", "sell 200@180800"],
        [(180808, 200, 200)] * 3,
    ),
    "a market order makes no price": (
        103,
        ["buy 10 market", "sell 10 market"],
        [(103, 10, 0)] * 3,
    ),
    "it counts at every price": (
        100,
        ["buy 10 market", "buy 10@99", "sell 15@101"],
        # at 101 only the market order buys
        [(101, 10, -5)] * 3,
    ),
    "nothing crosses": (100, ["buy 10@99", "sell 10@101"], [(0, 0, 0)] * 3),
}


def opened(machine: str, rule: int, close: int, lines: Iterable[str]) -> Exchange:
    exchange = Exchange(machine)
    exchange.run(START.format(rule=rule, close=close))
    for number, line in enumerate(lines, 1):
        side, rest = line.split(" ", 1)
        exchange.run(f"{side} {number} {rest}")
    return exchange


@on_both_machines
@pytest.mark.parametrize("rule", [0, 1, 2], ids=["generic", "sse", "szse"])
@pytest.mark.parametrize("what", PRICES)
def test_the_price_of_a_call(machine: str, what: str, rule: int) -> None:
    close, lines, expected = PRICES[what]
    exchange = opened(machine, rule, close, lines)
    price, volume, over = expected[rule]
    state = exchange.engine.state().markets[0]
    told = [int(state[f"indicative_{name}"]) for name in ("price", "quantity", "imbalance")]
    assert told == [price, volume, over]
    *_, last = exchange.say("phase continuous")
    assert last == f"phase continuous {volume}@{price}"
    at = exchange.engine.state().markets[0]
    assert (int(at["auction_price"]), int(at["known"]) >> 1 & 1) == (price, int(volume > 0))


@on_both_machines
@pytest.mark.parametrize("rule", [0, 1, 2], ids=["generic", "sse", "szse"])
def test_without_a_reference_it_is_the_middle(machine: str, rule: int) -> None:
    exchange = opened(machine, rule, 0, ["buy 20@110", "sell 20@105"])
    assert exchange.say("phase continuous")[-1] == "phase continuous 20@108"


@on_both_machines
def test_the_reference_of_a_later_call_is_the_last_trade(machine: str) -> None:
    exchange = Exchange(machine)
    exchange.run(
        """
        set trading
        set day previous_close=100
        set auction rule=2 interval_ns=-1
        sell 1 1@108
        buy 2 1@108
        phase closing_call
        buy 3 5@110
        sell 4 5@104
        phase closed => trade 3 5@108 by 4 left 0/0, phase closed 5@108
        """
    )


@on_both_machines
def test_an_indicative_price_is_told_when_it_changes(machine: str) -> None:
    exchange = Exchange(machine)
    exchange.run(
        """
        set trading
        phase closed
        phase opening_call => phase opening_call 0@0, indicative 0@0 over 0
        buy 1 10@100 => accepted 1 10@100
        sell 2 6@99 => accepted 2 6@99, indicative 6@100 over 4
        sell 3 1@105 => accepted 3 1@105
        buy 4 9@98 => accepted 4 9@98
        sell 5 6@100 => accepted 5 6@100, indicative 10@100 over -2
        amend 5 4 => amended 5 4@100, indicative 10@100 over 0
        cancel 1 => cancelled 1 10@100 REQUESTED, indicative 0@0 over 0
        phase opening_call_locked => phase opening_call_locked 0@0
        """
    )


@on_both_machines
def test_indicative_prices_keep_their_distance(machine: str) -> None:
    exchange = Exchange(machine)
    exchange.run(
        """
        set trading
        set auction interval_ns=10
        phase closed
        phase opening_call time=100 => phase opening_call 0@0, indicative 0@0 over 0
        buy 1 10@100 time=101
        sell 2 6@100 time=102 => accepted 2 6@100
        clock time=109 => clocked 0 0
        clock time=110 => indicative 6@100 over 4, clocked 0 0
        sell 3 4@100 time=111 => accepted 3 4@100
        sell 4 4@101 time=120 => accepted 4 4@101, indicative 10@100 over 0
        set auction interval_ns=-1
        cancel 1 time=200 => cancelled 1 10@100 REQUESTED
        """
    )


TRADES = {
    "buys from the best down meet sells from the best up, oldest first": """
        buy 1 5@101
        buy 2 5@102
        buy 3 5@101
        sell 4 4@100
        sell 5 4@99
        sell 6 4@100
        phase continuous => trade 2 4@101 by 5 left 1/0, trade 2 1@101 by 4 left 0/3,
            trade 1 3@101 by 4 left 2/0, trade 1 2@101 by 6 left 0/2, trade 3 2@101 by 6 left 3/0,
            phase continuous 12@101
        book => 101: 3x3 / -
        """,
    "market orders come first, and what is left of them goes": """
        sell 1 5@100
        sell 2 3 market
        buy 3 4 market
        buy 4 2@100
        buy 5 1@99
        phase continuous => trade 3 3@100 by 2 left 1/0, trade 3 1@100 by 1 left 0/4,
            trade 4 2@100 by 1 left 0/2, phase continuous 6@100
        book => 99: 5x1 / 100: 1x2
        """,
    "a market order that finds nobody is cancelled": """
        buy 1 5 market
        phase continuous => cancelled 1 5@9223372036854775807 MARKET_REMAINDER,
            phase continuous 0@0
        """,
    "a market order with a bound is a limit order in a call": """
        buy 1 5@100 market protected
        sell 2 3@100
        phase continuous => trade 1 3@100 by 2 left 2/0, cancelled 1 2@100 MARKET_REMAINDER,
            phase continuous 3@100
        """,
    "orders for the call end with it": """
        buy 1 5@100 at_open
        buy 2 5@100 auction
        sell 3 7@100
        phase continuous => trade 1 5@100 by 3 left 0/2, trade 2 2@100 by 3 left 3/0,
            cancelled 2 3@100 AUCTION_OVER, phase continuous 7@100
        """,
    "an iceberg takes part with all of it, and shows its next part afterwards": """
        buy 1 9@100 show=2
        buy 2 5@100
        sell 3 7@100
        phase continuous => trade 1 7@100 by 3 left 2/0, phase continuous 7@100
        book => 100: 2x5 1x2 / -
        """,
    "hidden orders come after those that are shown": """
        buy 1 5@100 hidden
        buy 2 5@100
        sell 3 7@100
        phase continuous => trade 2 5@100 by 3 left 0/2, trade 1 2@100 by 3 left 3/0,
            phase continuous 7@100
        """,
    "what is left over goes on in its order": """
        buy 1 5@100
        buy 2 5@100
        sell 3 2@100
        phase quiet => trade 1 2@100 by 3 left 3/0, phase quiet 2@100
        phase continuous => phase continuous 0@0
        sell 4 4@100 => accepted 4 4@100, trade 1 3@100 by 4 left 0/1, trade 2 1@100 by 4 left 4/0
        """,
    "owners may meet": """
        buy 1 5@100 acc=7 self_trade=cancel_both
        sell 2 5@100 acc=7 self_trade=cancel_both
        phase continuous => trade 1 5@100 by 2 left 0/0, phase continuous 5@100
        """,
    "a locked call goes on with the orders of the open one": """
        buy 1 5@100
        phase opening_call_locked
        cancel 1 => rejected BAD_PHASE KIND
        sell 2 5@100
        phase continuous => trade 1 5@100 by 2 left 0/0, phase continuous 5@100
        """,
    "a call that is broken off does not uncross": """
        buy 1 5@101
        sell 2 5@100
        phase halted => phase halted 0@0
        book => 101: 1x5 / 100: 2x5
        phase continuous => trade 1 5@101 by 2 left 0/0, phase continuous 5@101
        """,
}


@on_both_machines
@pytest.mark.parametrize("what", TRADES)
def test_the_trades_of_a_call(machine: str, what: str) -> None:
    exchange = Exchange(machine)
    exchange.run("set trading\nset auction interval_ns=-1\nphase closed\nphase opening_call")
    exchange.run(TRADES[what])


@on_both_machines
def test_stops_are_reached_by_the_price_of_the_auction(machine: str) -> None:
    exchange = Exchange(machine)
    exchange.run(
        """
        set trading
        set auction interval_ns=-1
        sell 1 1@100
        buy 2 1@100
        buy 3 2 stop stop=105
        sell 4 2 stop stop=95
        phase closing_call
        buy 5 5@106
        sell 6 5@106
        sell 7 9@107
        phase closed => trade 5 5@106 by 6 left 0/0, phase closed 5@106
        waiting => stops 3x2@105 4x2@95
        phase continuous => phase continuous 0@0, triggered 3 2@0, trade 7 2@107 by 3 left 7/0
        """
    )


@on_both_machines
def test_the_price_lies_on_the_table_of_ticks(machine: str) -> None:
    exchange = Exchange(machine)
    exchange.run(
        """
        set trading
        set auction rule=1 interval_ns=-1
        set ticks 0 from_price=0 step=1
        set ticks 1 from_price=100 step=5
        phase closed
        phase opening_call
        buy 1 5@110
        sell 2 5@98
        phase continuous => trade 1 5@105 by 2 left 0/0, phase continuous 5@105
        """
    )


def best_price(orders: list[tuple[int, int, int]], rule: int, close: int) -> tuple[int, int, int]:
    """Price, volume and imbalance by trying every price: orders are (side, price, quantity)."""
    limits = [price for _, price, _ in orders if abs(price) < ANY // 2] + ([close] if close else [])
    if not limits:
        return 0, 0, 0
    found = []
    for price in range(min(limits), max(limits) + 1):
        buys = sum(q for side, at, q in orders if side == 1 and at >= price)
        sells = sum(q for side, at, q in orders if side == 2 and at <= price)
        found.append((min(buys, sells), abs(buys - sells), price, buys - sells))
    volume = max(one[0] for one in found)
    if not volume:
        return 0, 0, 0
    least = min(one[1] for one in found if one[0] == volume)
    tied = [one for one in found if one[:2] == (volume, least)]
    if tied[0][3] or tied[-1][3]:  # the highest with more bid, the lowest with more offered
        tied = [one for one in tied if one[3] > 0][-1:] + [one for one in tied if one[3] < 0][:1]
    low, high = tied[0][2], tied[-1][2]
    middle = -(-(low + high) // 2)
    chosen = middle if rule == 1 or not close else min(max(close, low), high)
    return chosen, volume, next(one[3] for one in found if one[2] == chosen)


ORDERS = st.lists(
    st.tuples(st.integers(1, 2), st.one_of(st.integers(95, 105), st.just(0)), st.integers(1, 9)),
    max_size=12,
)


@on_both_machines
@settings(max_examples=150, deadline=None)
@given(ORDERS, st.integers(0, 2), st.sampled_from([0, 90, 99, 100, 101, 110]))
def test_the_price_is_what_trying_every_price_gives(
    machine: str, orders: list[tuple[int, int, int]], rule: int, close: int
) -> None:
    """An order at price 0 is a market order."""
    exchange = Exchange(machine)
    exchange.run(START.format(rule=rule, close=close))
    counted = []
    for number, (side, price, quantity) in enumerate(orders, 1):
        word, at = ("buy", ANY) if side == 1 else ("sell", -ANY)
        exchange.run(f"{word} {number} {quantity}@{price or 'market'}")
        counted.append((side, price or at, quantity))
    expected = best_price(counted, rule, close)
    state = exchange.engine.state().markets[0]
    told = tuple(int(state[f"indicative_{name}"]) for name in ("price", "quantity", "imbalance"))
    assert told == expected
    events = exchange.send(kind=14, instrument=1)
    assert len(events) == 1
    before = {int(row["order_id"]): int(row["quantity"]) for row in _orders(exchange)}
    record = exchange.say("phase continuous")
    assert record[-1].startswith(f"phase continuous {expected[1]}@{expected[0]}")
    after = {int(row["order_id"]): int(row["quantity"]) for row in _orders(exchange)}
    _check_fills(counted, before, after, record, expected)


def _orders(exchange: Exchange) -> np.ndarray:
    orders: np.ndarray = exchange.engine.state().orders[0]
    return orders


def _check_fills(
    orders: list[tuple[int, int, int]],
    before: dict[int, int],
    after: dict[int, int],
    said: list[str],
    expected: tuple[int, int, int],
) -> None:
    """Every order better than the price is filled whole, and no other one beyond it trades."""
    price, volume, _ = expected
    cancelled = {int(text.split()[1]): int(text.split()[2].split("@")[0])
                 for text in said if text.startswith("cancelled")}  # fmt: skip
    sums = {1: 0, 2: 0}
    for number, (side, at, quantity) in enumerate(orders, 1):
        filled = before[number] - after.get(number, 0) - cancelled.get(number, 0)
        sums[side] += filled
        better = at > price if side == 1 else at < price
        beyond = at < price if side == 1 else at > price
        if volume and better and abs(at) < ANY // 2:  # a market order may find too little
            assert filled == quantity, (number, said)
        if beyond or not volume:
            assert not filled, (number, said)
    assert sums == {1: volume, 2: volume}
