"""The price of a call against the texts of the rules, each said on its own, for limit orders.

All three begin with the same conditions; `docs/markets/auctions.md` has what follows from them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from rules_kit import Exchange, on_both_machines

from matchcore.records.schema import AuctionRule, Side

Orders = list[tuple[int, int, int]]  # side, limit, quantity
ORDERS = st.lists(
    st.tuples(st.integers(1, 2), st.integers(90, 110), st.integers(1, 4)), min_size=1, max_size=14
)
CLOSES = st.integers(85, 115)


class At(NamedTuple):
    """A price with the orders that reach it, and those with a better limit."""

    price: int
    buys: int
    sells: int
    better_buys: int
    better_sells: int

    @property
    def volume(self) -> int:
        return min(self.buys, self.sells)

    @property
    def left(self) -> int:
        return self.buys - self.sells


def at(price: int, orders: Orders) -> At:
    def reached(side: int, fits: Callable[[int], bool]) -> int:
        return sum(quantity for one, limit, quantity in orders if one == side and fits(limit))

    return At(
        price,
        reached(Side.BUY, lambda limit: limit >= price),
        reached(Side.SELL, lambda limit: limit <= price),
        reached(Side.BUY, lambda limit: limit > price),
        reached(Side.SELL, lambda limit: limit < price),
    )


def prices(orders: Orders, close: int) -> list[At]:
    """Every price from the lowest limit, or the reference, to the highest."""
    limits = [limit for _, limit, _ in orders] + [close]
    return [at(price, orders) for price in range(min(limits), max(limits) + 1)]


def largest(found: list[At]) -> list[At]:
    """The largest volume that can trade."""
    volume = max(one.volume for one in found)
    return [one for one in found if one.volume == volume and volume]


def no_better_left(found: list[At]) -> list[At]:
    """All orders with a better limit trade whole, and at the price one side does."""
    return [
        one
        for one in found
        if max(one.better_buys, one.better_sells) <= one.volume
        and one.volume in (one.buys, one.sells)
    ]


def smallest(found: list[At]) -> list[At]:
    """The least that is left over."""
    return [one for one in found if abs(one.left) == min(abs(each.left) for each in found)]


def closest(found: list[At], close: int) -> int:
    """The price closest to the reference; equally far: the higher one."""
    return min(found, key=lambda one: (abs(one.price - close), -one.price)).price


def by_szse(found: list[At], close: int) -> int:
    """Of the smallest surplus the closest to the reference."""
    return closest(smallest(found), close)


def by_sse(found: list[At], close: int) -> int:
    """Of the smallest surplus by the side that is left over, else the middle, rounded up."""
    found = smallest(found)
    if all(one.left > 0 for one in found):
        return found[-1].price
    if all(one.left < 0 for one in found):
        return found[0].price
    return -(-(found[0].price + found[-1].price) // 2)


def by_generic(found: list[At], close: int) -> int:
    """Of the smallest surplus by the pressure of the market, else the closest to the reference."""
    found = smallest(found)
    if all(one.left > 0 for one in found):
        return found[-1].price
    if all(one.left < 0 for one in found):
        return found[0].price
    return closest(found, close)


TEXTS = {AuctionRule.GENERIC: by_generic, AuctionRule.SSE: by_sse, AuctionRule.SZSE: by_szse}


@on_both_machines
@settings(max_examples=150, deadline=None)
@given(ORDERS, CLOSES, st.sampled_from(AuctionRule))
def test_the_price_is_that_of_the_text(
    machine: str, orders: Orders, close: int, rule: AuctionRule
) -> None:
    exchange = Exchange(machine)
    exchange.run(
        f"""
        set trading
        set auction rule={int(rule)}
        set day previous_close={close}
        phase closed
        phase opening_call
        """
    )
    for number, (side, limit, quantity) in enumerate(orders, 1):
        exchange.run(f"{'buy' if side == Side.BUY else 'sell'} {number} {quantity}@{limit}")
    found = no_better_left(largest(prices(orders, close)))
    state = exchange.engine.state().markets[0]
    assert bool(found) == bool(state["indicative_quantity"])
    if found:
        assert int(state["indicative_price"]) == TEXTS[rule](found, close)


@settings(max_examples=500, deadline=None)
@given(ORDERS, CLOSES)
def test_generic_and_szse_are_one_price(orders: Orders, close: int) -> None:
    """Where bids alone, or offers alone, are left over, one price leaves no better order behind."""
    most = largest(prices(orders, close))
    found = no_better_left(most)
    assert bool(found) == bool(most)
    if not found:
        return
    assert by_generic(found, close) == by_szse(found, close)
    tied = smallest(found)
    assert {one.price for one in tied} <= {one.price for one in smallest(most)}
    if tied[0].left or tied[-1].left:
        assert [one.left > 0 for one in tied] in ([True], [False], [True, False])
    # the pressure of the market decides the same before the better orders are asked for
    before = smallest(most)
    if all(one.left > 0 for one in before) or all(one.left < 0 for one in before):
        assert by_generic(before, close) == by_generic(found, close)
