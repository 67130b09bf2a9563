"""The book that one writes in an afternoon: plain Python over sortedcontainers."""

from __future__ import annotations

from sortedcontainers import SortedDict

BUY, SELL = 1, 2
Fill = tuple[int, int, int]  # id of the resting order, price, quantity


class PlainBook:
    """Price levels in a `SortedDict` for each side, orders of a level in a dict, oldest first."""

    def __init__(self) -> None:
        # Buys are kept under the negative price, so that the best is the first on either side.
        self.sides = {BUY: SortedDict(), SELL: SortedDict()}
        self.orders: dict[int, tuple[int, int]] = {}  # id -> side, key

    def add(self, order_id: int, side: int, price: int, quantity: int) -> list[Fill]:
        """Matches, then rests what is left; the fills."""
        fills: list[Fill] = []
        facing = self.sides[BUY + SELL - side]
        limit = price if side == BUY else -price  # the worst key on the other side
        while quantity and facing:
            key, level = facing.peekitem(0)
            if key > limit:
                break
            quantity = self._take(level, key if side == BUY else -key, quantity, fills)
            if not level:
                del facing[key]
        if quantity:
            key = -price if side == BUY else price
            level = self.sides[side].get(key)
            if level is None:
                level = self.sides[side][key] = {}
            level[order_id] = quantity
            self.orders[order_id] = side, key
        return fills

    def _take(self, level: dict[int, int], price: int, quantity: int, fills: list[Fill]) -> int:
        while quantity and level:
            maker, left = next(iter(level.items()))
            fill = min(left, quantity)
            quantity -= fill
            fills.append((maker, price, fill))
            if fill == left:
                del level[maker], self.orders[maker]
            else:
                level[maker] = left - fill
        return quantity

    def cancel(self, order_id: int) -> int:
        """The quantity it still had; 0 if it is not live."""
        where = self.orders.pop(order_id, None)
        if where is None:
            return 0
        side, key = where
        level = self.sides[side][key]
        quantity = int(level.pop(order_id))
        if not level:
            del self.sides[side][key]
        return quantity
