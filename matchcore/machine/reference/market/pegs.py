"""Pegged orders of a market: the prices that follow the best prices."""

from __future__ import annotations

from ....records.schema import ChangeFlag, EventKind, Flag, OrderType, Place, Reason, Side
from ..book import other
from .book import PRICE_MAX, MarketOrder
from .execution import execute
from .turn import Turn


def peg_price(turn: Turn, order: MarketOrder) -> int | None:
    """What a pegged order costs now; None without a reference.

    A positive offset makes a price better for the other side, on both sides.
    """
    own, opposite = turn.book.reference(order.side), turn.book.reference(other(order.side))
    buys = order.side == Side.BUY
    if order.order_type == OrderType.PEG_MIDPOINT:
        if own is None or opposite is None:
            return None
        twice = own + opposite
        price = twice // 2 if buys else -(-twice // 2)
    else:
        found = own if order.order_type == OrderType.PEG_PRIMARY else opposite
        if found is None:
            return None
        price = found
    price += order.stop_price if buys else -order.stop_price
    price = turn.book.floor(price) if buys else turn.book.ceil(price)
    if order.flags & Flag.PROTECTED:
        price = min(price, order.limit) if buys else max(price, order.limit)
    lowest, highest = turn.book.price_limits()
    if lowest is not None:
        price = max(price, lowest)
    if highest is not None:
        price = min(price, highest)
    return price if abs(price) <= PRICE_MAX else None


def reprice(turn: Turn) -> bool:
    """Gives pegs the prices that they should have, oldest first.

    True as soon as one has met an order of the other side: what it did may have moved the best
    prices, and taken pegs away.
    """
    pegs = [
        order for order in turn.book.live.values() if order.pegged and order.place == Place.BOOK
    ]
    wanted = [(order, peg_price(turn, order)) for order in sorted(pegs, key=lambda one: one.entry)]
    for order, price in wanted:
        if price == order.price:
            continue
        if price is None:
            turn.cancel(order, Reason.REFERENCE_GONE)
            continue
        turn.take_out(order, ChangeFlag.REPLACING)
        order.price = price
        turn.say(EventKind.REPRICED, order, quantity=order.left, left=order.left)
        meets = turn.book.crosses(order.side, price)
        execute(turn, order, ChangeFlag.REPLACING)
        if meets:
            return True
    return False
