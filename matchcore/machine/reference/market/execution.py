"""An order at its turn: it trades, and what is left of it rests or is cancelled."""

from __future__ import annotations

from ....records.schema import (
    LASTING_TIFS,
    EventKind,
    Field,
    Flag,
    OrderType,
    Reason,
    Side,
    TimeInForce,
)
from ..book import other
from ..refusals import require
from . import checks
from .book import PRICE_MAX, MarketOrder
from .matching import take, tradeable
from .turn import Turn

#: How many levels a type takes; all others: any number.
LEVELS = {OrderType.BEST_FIVE: 5, OrderType.BEST_FIVE_LIMIT: 5}


def slid(turn: Turn, side: int, price: int) -> int:
    """The price, or the next one that does not trade."""
    if not turn.book.crosses(side, price):
        return price
    best = turn.book.best(other(side))
    assert best is not None
    price = turn.book.floor(best - 1) if side == Side.BUY else turn.book.ceil(best + 1)
    lowest, highest = turn.book.price_limits()
    inside = (lowest is None or price >= lowest) and abs(price) <= PRICE_MAX
    inside = inside and (highest is None or price <= highest)
    require(inside, Reason.WOULD_TRADE, Field.PRICE)
    return price


def trigger(turn: Turn, order: MarketOrder) -> None:
    """A stop has been reached: it is a market or a limit order from now on."""
    turn.take_out(order)
    order.order_type = (
        OrderType.LIMIT if order.order_type == OrderType.STOP_LIMIT else OrderType.MARKET
    )
    turn.touch(order)
    turn.say(EventKind.TRIGGERED, order, quantity=order.left, left=order.left)
    execute(turn, order)


def execute(turn: Turn, order: MarketOrder, flags: int = 0) -> None:
    """An order that is nowhere trades, and rests or is cancelled.  ``flags``: of the change."""
    kind = order.order_type
    if turn.expired(order):
        turn.cancelled(order, Reason.EXPIRED)
        turn.touch(order)
        return
    limit = _limit_of(turn, order)
    levels = LEVELS.get(OrderType(kind))
    if kind in (OrderType.OWN_BEST, OrderType.COUNTERPARTY_BEST) and not _has_best(turn, order):
        turn.cancelled(order, Reason.NO_OPPOSITE)
        turn.touch(order)
        return
    least = order.left if order.time_in_force == TimeInForce.FOK else 0
    if order.flags & Flag.MINIMUM:
        least, order.stop_price = order.stop_price, 0
        order.flags &= ~Flag.MINIMUM
    if least and tradeable(turn, order, limit, least, levels) < least:
        whole = order.time_in_force == TimeInForce.FOK
        turn.cancelled(order, Reason.FILL_OR_KILL if whole else Reason.MINIMUM_NOT_MET)
        turn.touch(order)
        return
    trades = turn.machine.next_trade_id
    take(turn, order, limit, levels)
    if not order.left:
        return
    _leave(turn, order, turn.last if turn.machine.next_trade_id > trades else None, flags)


def _limit_of(turn: Turn, order: MarketOrder) -> int | None:
    """The worst price that an order may trade at; None: any."""
    if order.order_type == OrderType.LIMIT or order.pegged:
        return order.price
    if order.order_type in (OrderType.OWN_BEST, OrderType.COUNTERPARTY_BEST):
        return order.price
    return order.price if order.flags & Flag.PROTECTED else None


def bounded(order: MarketOrder, price: int) -> int:
    """A price, or the bound of an order that has one and lets it go no further."""
    if not order.flags & Flag.PROTECTED:
        return price
    return min(price, order.limit) if order.side == Side.BUY else max(price, order.limit)


def _has_best(turn: Turn, order: MarketOrder) -> bool:
    side = order.side if order.order_type == OrderType.OWN_BEST else other(order.side)
    return turn.book.reference(side) is not None


def _leave(turn: Turn, order: MarketOrder, last: int | None, flags: int) -> None:
    """What becomes of the rest of an order that has traded all it can."""
    kind, tif = order.order_type, order.time_in_force
    reason = Reason.NONE
    if turn.stop and not (kind == OrderType.LIMIT and tif in LASTING_TIFS) and not order.pegged:
        reason = Reason.VOLATILITY
    elif kind == OrderType.MARKET:
        reason = Reason.MARKET_REMAINDER
    elif kind == OrderType.BEST_FIVE:
        reason = Reason.LEVELS_TAKEN
    elif tif == TimeInForce.IOC:
        reason = Reason.IMMEDIATE_OR_CANCEL
    elif kind in (OrderType.MARKET_TO_LIMIT, OrderType.BEST_FIVE_LIMIT):
        price = last
        if price is None and kind == OrderType.BEST_FIVE_LIMIT:
            price = turn.book.reference(order.side)
        if price is None:
            reason = Reason.NO_OPPOSITE
        else:
            order.price = bounded(order, price)
    if reason:
        turn.cancelled(order, reason)
        turn.touch(order)
        return
    if kind in checks.BECOMING_LIMIT:
        repriced = kind in (OrderType.MARKET_TO_LIMIT, OrderType.BEST_FIVE_LIMIT)
        order.order_type = OrderType.LIMIT
        if repriced:
            turn.say(EventKind.REPRICED, order, quantity=order.left, left=order.left)
    order.show()
    turn.rest(order, flags)
