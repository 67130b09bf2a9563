"""One instrument's book: per side price -> queue, and every live order by id."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from sortedcontainers import SortedDict

from ...records.schema import Side


@dataclass(slots=True)
class Order:
    order_id: int
    client_order_id: int
    account: int
    side: int
    price: int
    left: int
    time_in_force: int
    flags: int


class Book:
    """One instrument: per side price -> queue, and every live order by id."""

    def __init__(self, matching: bool = True) -> None:
        self.matching = matching
        self.sides: dict[int, SortedDict] = {Side.BUY: SortedDict(), Side.SELL: SortedDict()}
        self.live: dict[int, Order] = {}

    def prices(self, side: int) -> list[int]:
        """Best first."""
        return list(self.sides[side]) if side == Side.SELL else list(reversed(self.sides[side]))

    def best(self, side: int) -> int | None:
        levels = self.sides[side]
        return levels.peekitem(0 if side == Side.SELL else -1)[0] if levels else None

    def crosses(self, side: int, price: int | None) -> bool:
        """True if an order of this side and price (None: any) would trade at once."""
        best = self.best(other(side))
        if best is None or not self.matching:
            return False
        if price is None:
            return True
        return best <= price if side == Side.BUY else best >= price

    def can_fill(self, side: int, price: int | None, quantity: int) -> bool:
        """True if an order of this side and price would trade the whole quantity at once."""
        there = 0
        if self.crosses(side, price):
            for best in self.prices(other(side)):
                if price is not None and (best > price if side == Side.BUY else best < price):
                    break
                there += self.total(other(side), best)
        return there >= quantity

    def orders(self) -> Iterator[Order]:
        """Buys, then sells; best price to worst; oldest first."""
        for side in (Side.BUY, Side.SELL):
            for price in self.prices(side):
                yield from self.sides[side][price].values()

    def total(self, side: int, price: int) -> int:
        return sum(order.left for order in self.sides[side].get(price, {}).values())

    def put(self, order: Order) -> None:
        self.sides[order.side].setdefault(order.price, OrderedDict())[order.order_id] = order
        self.live[order.order_id] = order

    def remove(self, order: Order) -> None:
        level = self.sides[order.side][order.price]
        del level[order.order_id], self.live[order.order_id]
        if not level:
            del self.sides[order.side][order.price]


def other(side: int) -> int:
    return Side.SELL if side == Side.BUY else Side.BUY


def as_row(order: Order) -> tuple[int, ...]:
    return (
        order.order_id, order.client_order_id, order.account, order.price, order.left,
        order.side, order.time_in_force, order.flags, 0,
    )  # fmt: skip
