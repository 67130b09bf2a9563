"""A new order of a market: what it becomes when it is entered."""

from __future__ import annotations

from ....records.schema import (
    AUCTION_TIFS,
    CALL_PHASES,
    LASTING_TIFS,
    MATCHING_PHASES,
    PEG_TYPES,
    STOP_TYPES,
    UNPRICED_TYPES,
    EventKind,
    Field,
    Flag,
    OrderType,
    Phase,
    Place,
    Reason,
    Side,
    TimeInForce,
)
from ..book import other
from ..refusals import require
from . import checks
from .book import ANY_BUY, ANY_SELL, MarketOrder
from .execution import bounded, execute, slid, trigger
from .pegs import peg_price
from .settling import settle
from .stops import reached, set_trailing
from .turn import Turn

Row = dict[str, int]
_NEVER_RESTING = frozenset({OrderType.MARKET, OrderType.BEST_FIVE})


def enter(turn: Turn, row: Row) -> None:
    """NEW."""
    order = _checked(turn, row)
    if not order.order_id:
        order.order_id = turn.machine.assign_id(turn.instrument)
    if order.link:
        turn.book.live[order.link].link = order.order_id
    turn.say(EventKind.ACCEPTED, order, quantity=order.left, left=order.left)
    start(turn, order)
    settle(turn)


def _checked(turn: Turn, row: Row) -> MarketOrder:
    """The order, when nothing forbids it."""
    kind, tif, flags = row["order_type"], row["time_in_force"], row["flags"]
    side, quantity = row["side"], row["quantity"]
    admitted = turn.machine.admit_account(row["account"], turn.instrument, turn.time)
    checks.check_codes(turn, row)
    checks.check_phase(turn, row)
    checks.check_fields(turn, row)
    checks.check_quantity(turn, quantity, side, kind)
    priced = kind not in UNPRICED_TYPES
    if priced or flags & Flag.PROTECTED:
        checks.check_price(turn, row["price"], quantity)
    require(row["order_id"] not in turn.book.live, Reason.DUPLICATE_ORDER, Field.ORDER_ID)
    order = _made(turn, row)
    lasting = tif in LASTING_TIFS or tif >= TimeInForce.AT_OPEN
    resting = lasting and not (kind in _NEVER_RESTING and turn.book.phase in MATCHING_PHASES
                               and tif in LASTING_TIFS)  # fmt: skip
    if resting:
        most = turn.machine.max_orders_of(turn.instrument)
        require(len(turn.book.live) < most, Reason.TOO_MANY_ORDERS, Field.MAX_ORDERS)
        checks.check_room(turn, side, quantity)
    if kind == OrderType.LIMIT and turn.book.phase == Phase.CONTINUOUS:
        checks.check_cage(turn, side, order.price)
    if turn.book.phase == Phase.AT_CLOSING_PRICE:
        close = turn.book.closing_price
        require(close is not None, Reason.NO_REFERENCE, Field.PRICE)  # the day has ended since
        assert close is not None
        fine = order.price >= close if side == Side.BUY else order.price <= close
        require(fine, Reason.OUTSIDE_LIMITS, Field.PRICE)
        order.price = close
    if flags & Flag.POST_ONLY:
        crossing = turn.book.crosses(side, order.price)
        require(not crossing, Reason.WOULD_TRADE, Field.PRICE)
    turn.machine.allow_account(
        admitted, turn.instrument, order.price if priced else None, quantity, resting
    )
    return order


def _made(turn: Turn, row: Row) -> MarketOrder:
    """The order of a command, with the price that it has at first."""
    kind, flags, side = row["order_type"], row["flags"], row["side"]
    at_once = turn.book.phase in MATCHING_PHASES and row["time_in_force"] not in AUCTION_TIFS
    order = MarketOrder(
        row["order_id"], row["client_order_id"], row["account"], side, row["price"],
        row["quantity"], row["time_in_force"], flags, kind,
        display=0 if flags & Flag.LINKED else row["display_quantity"],
        stop_price=row["stop_price"],
        limit=row["price"] if flags & Flag.PROTECTED else 0, expiry=row["expiry"],
        link=row["display_quantity"] % 2**64 if flags & Flag.LINKED else 0,
        session=row["session"], self_trade=row["self_trade"],
    )  # fmt: skip
    order.show()
    if kind in PEG_TYPES:
        price = peg_price(turn, order)
        require(price is not None, Reason.NO_REFERENCE, Field.ORDER_TYPE)
        assert price is not None
        order.price = price
    elif kind == OrderType.OWN_BEST:
        order.price = turn.book.reference(side) or 0
    elif kind == OrderType.COUNTERPARTY_BEST:
        best = turn.book.reference(other(side))
        order.price = order.price if best is None else bounded(order, best)
    elif kind == OrderType.MARKET and not at_once and not flags & Flag.PROTECTED:
        order.price = ANY_BUY if side == Side.BUY else ANY_SELL
    elif flags & Flag.SLIDE:
        order.price = slid(turn, side, order.price)
    if kind == OrderType.TRAILING_STOP:
        order.limit = row["stop_price"]  # the distance
        assert turn.last is not None
        set_trailing(order, turn.last)
    return order


def start(turn: Turn, order: MarketOrder) -> None:
    """The turn of an accepted order."""
    book, kind, tif = turn.book, order.order_type, order.time_in_force
    waits = (tif == TimeInForce.AT_CLOSE and book.phase != Phase.CLOSING_CALL) or (
        tif == TimeInForce.AUCTION and book.phase not in CALL_PHASES
    )
    if waits:
        turn.park(order, Place.WAITING)
    elif book.phase not in MATCHING_PHASES:
        turn.rest(order)
    elif kind == OrderType.TRAILING_STOP:
        turn.park(order, Place.TRAILING)
    elif kind in STOP_TYPES:
        turn.park(order, Place.STOPS)
        if reached(order, turn.last, turn.last):
            trigger(turn, order)
    elif checks.is_caged(turn, kind, order.side, order.price):
        turn.park(order, Place.CAGED)
    else:
        execute(turn, order)
