"""Stops of a market: when they are reached."""

from __future__ import annotations

from ....records.schema import Flag, OrderType, Place, Side
from .book import PART, MarketOrder
from .turn import Turn


def reached(order: MarketOrder, low: int | None, high: int | None) -> bool:
    """True if trades from `low` to `high` have reached the stop price of an order."""
    if low is None or high is None:
        return False
    return order.stop_price <= high if order.side == Side.BUY else order.stop_price >= low


def next_stop(turn: Turn) -> MarketOrder | None:
    """The stop that is triggered next by the trades of this command: buys first, from the lowest
    stop price up; then sells, from the highest down; the oldest first."""
    for order in turn.book.at(Place.STOPS):
        if reached(order, turn.low, turn.high):
            return order
    return None


def distance(order: MarketOrder, last: int) -> int:
    """Of a trailing stop from the last trade, in ticks."""
    if not order.flags & Flag.PERCENT:
        return order.limit
    return max(1, last * order.limit // PART) if last > 0 else 1


def set_trailing(order: MarketOrder, last: int) -> None:
    """The stop price of a new trailing stop."""
    away = distance(order, last)
    order.stop_price = last + away if order.side == Side.BUY else last - away


def follow(turn: Turn) -> None:
    """Trailing stops follow the last trade; one that it has reached is a stop like others."""
    last = turn.last
    if last is None:
        return
    for order in turn.book.at(Place.TRAILING):
        if reached(order, last, last):
            order.order_type = OrderType.STOP
            turn.park(order, Place.STOPS)
            continue
        away = distance(order, last)
        if order.side == Side.BUY:
            order.stop_price = min(order.stop_price, last + away)
        else:
            order.stop_price = max(order.stop_price, last - away)
