"""An order against the book: who trades how much, in which order."""

from __future__ import annotations

from ....records.schema import (
    ChangeKind,
    EventKind,
    Parameter,
    Phase,
    Place,
    Reason,
    SelfTrade,
    Side,
)
from ..book import other
from .book import PART, MarketOrder
from .turn import Turn

_STOPPING = frozenset({SelfTrade.CANCEL_NEWEST, SelfTrade.CANCEL_BOTH, SelfTrade.DECREMENT})


def take(turn: Turn, taker: MarketOrder, limit: int | None, levels: int | None = None) -> None:
    """Trades up to a limit (None: any), and through so many levels.

    Behind it `turn.stop` says whether trading in the market is interrupted.
    """
    book = turn.book
    while taker.left and levels != 0 and not turn.stop and book.crosses(taker.side, limit):
        best = book.best(other(taker.side))
        assert best is not None
        if is_volatile(turn, best, turn.last):
            _interrupt(turn, Parameter.VOLATILITY)
            break
        trades = turn.machine.next_trade_id
        _take_level(turn, taker, best)
        if turn.machine.next_trade_id > trades:
            levels = None if levels is None else levels - 1
            if halts(turn, turn.last):
                _interrupt(turn, Parameter.HALTS)


def _take_level(turn: Turn, taker: MarketOrder, price: int) -> None:
    side = other(taker.side)
    pro_rata = turn.book.value(Parameter.ALLOCATION, "pro_rata")
    while taker.left and (queue := turn.book.queue(side, price)):
        if pro_rata and not queue[0].hidden:
            if _meet_own(turn, taker, [order for order in queue if not order.hidden]):
                _share(turn, taker, side, price)
            continue
        maker = queue[0]
        if turn.expired(maker):
            turn.cancel(maker, Reason.EXPIRED)
        elif taker.self_trade and same_owner(turn, taker, maker):
            _meet(turn, taker, maker)
        else:
            turn.trade(maker, taker, min(taker.left, maker.available), traded_price(turn, maker))
            turn.refresh(maker)


def traded_price(turn: Turn, maker: MarketOrder) -> int:
    if turn.book.phase == Phase.AT_CLOSING_PRICE:
        assert turn.book.closing_price is not None
        return turn.book.closing_price
    return maker.price


# ---------------------------------------------------------------------- self-trades


def same_owner(turn: Turn, one: MarketOrder, another: MarketOrder) -> bool:
    """Of the same account, or of accounts in the same group."""
    if one.account == 0 or another.account == 0:
        return False
    group = turn.machine.group_of(one.account)
    return one.account == another.account or (
        group > 0 and group == turn.machine.group_of(another.account)
    )


def _meet(turn: Turn, taker: MarketOrder, maker: MarketOrder) -> None:
    """An order meets one of its own owner; the mode of the one that comes in decides."""
    if taker.self_trade == SelfTrade.DECREMENT:
        quantity = min(taker.left, maker.left)
        _decrement(turn, maker, quantity, live=True)
        _decrement(turn, taker, quantity, live=False)
        return
    if taker.self_trade != SelfTrade.CANCEL_NEWEST:
        turn.cancel(maker, Reason.SELF_TRADE)
    if taker.self_trade != SelfTrade.CANCEL_OLDEST:
        turn.cancelled(taker, Reason.SELF_TRADE)
        taker.left = taker.shown = 0
        turn.touch(taker)


def _decrement(turn: Turn, order: MarketOrder, quantity: int, live: bool) -> None:
    if order.left == quantity:
        if live:
            turn.cancel(order, Reason.SELF_TRADE)
        else:
            turn.cancelled(order, Reason.SELF_TRADE)
            turn.touch(order)
            order.left = order.shown = 0
        return
    if live:
        lessen(turn, order, order.left - quantity)
    else:
        order.left -= quantity
    turn.say(EventKind.DECREMENTED, order, quantity=quantity, left=order.left)


def lessen(turn: Turn, order: MarketOrder, left: int) -> None:
    """A smaller open quantity for an order that keeps its place: first what is not shown goes."""
    before = order.shown
    order.left, order.shown = left, min(order.shown, left)
    if order.place == Place.BOOK and order.shown < before:
        less = before - order.shown
        turn.change(ChangeKind.REDUCED, order, quantity=less, left=order.shown)


def _meet_own(turn: Turn, taker: MarketOrder, queue: list[MarketOrder]) -> bool:
    """Before a level is shared out its expired and own orders are met; false if it has changed."""
    for maker in queue:
        if turn.expired(maker):
            turn.cancel(maker, Reason.EXPIRED)
            return False
        if taker.self_trade and same_owner(turn, taker, maker):
            _meet(turn, taker, maker)
            return False
    return True


# ---------------------------------------------------------------------- pro rata


def _share(turn: Turn, taker: MarketOrder, side: int, price: int) -> None:
    """Shares out what is left of an order among the shown orders of a level."""
    makers = [order for order in turn.book.queue(side, price) if not order.hidden]
    for maker, quantity in zip(
        makers, shares(turn, [m.shown for m in makers], taker.left), strict=True
    ):
        if quantity:
            turn.trade(maker, taker, quantity, traded_price(turn, maker))
    for maker in makers:
        turn.refresh(maker)


def shares(turn: Turn, shown: list[int], left: int) -> list[int]:
    """What each order of a level gets of `left`: the oldest its share beforehand, all by size,
    rounded down to whole lots and to nothing below the least; what remains goes by time."""
    if left >= sum(shown):
        return shown
    top, least = turn.book.values[Parameter.ALLOCATION][1:3]
    lot = turn.machine.lot_of(turn.instrument)
    got = [0] * len(shown)
    got[0] = min(shown[0], left * top // 100 // lot * lot)
    rest = left - got[0]
    sizes = [size - had for size, had in zip(shown, got, strict=True)]
    total = sum(sizes)
    for at, size in enumerate(sizes):
        part = rest * size // total // lot * lot
        got[at] += part if part >= least else 0
    over = left - sum(got)
    for at, size in enumerate(shown):
        more = min(over, size - got[at])
        got[at] += more
        over -= more
    return got


# ---------------------------------------------------------------------- what could trade


def tradeable(
    turn: Turn, taker: MarketOrder, limit: int | None, most: int, levels: int | None = None
) -> int:
    """How much of an order would trade at once, counted up to ``most``.

    Counts up to the first own order that would end the order or make it smaller, and up to a price
    that would interrupt trading.
    """
    side, total, start, last = other(taker.side), 0, turn.book.open_price, turn.last
    pro_rata = turn.book.value(Parameter.ALLOCATION, "pro_rata")
    for price in turn.book.prices(side):
        beyond = limit is not None and (price > limit if taker.side == Side.BUY else price < limit)
        if beyond or levels == 0 or total >= most or is_volatile(turn, price, last):
            break
        queue = [order for order in turn.book.queue(side, price) if not turn.expired(order)]
        ends = [bool(taker.self_trade) and same_owner(turn, taker, order) for order in queue]
        if taker.self_trade in _STOPPING and any(ends):
            if pro_rata and any(
                end for end, order in zip(ends, queue, strict=True) if not order.hidden
            ):
                return total
            first = ends.index(True)
            lit = not queue[first].hidden
            for order in queue[:first]:
                total += order.shown if lit else order.left
            return total
        here = sum(order.left for order, end in zip(queue, ends, strict=True) if not end)
        total += here
        levels = None if levels is None or not here else levels - 1
        start = price if start is None and here else start
        last = price if here else last
        if here and steps(turn, price, start) & ~turn.book.halts:
            break
    return total


# ---------------------------------------------------------------------- interruptions


def _interrupt(turn: Turn, parameter: Parameter) -> None:
    turn.stop = Reason.VOLATILITY
    turn.pause = turn.book.value(parameter, "duration_ns")


def is_volatile(turn: Turn, price: int, last: int | None) -> bool:
    """True if a trade at this price, behind one at ``last``, would be outside a range."""
    if turn.book.phase != Phase.CONTINUOUS:
        return False
    static, dynamic = turn.book.values[Parameter.VOLATILITY][:2]
    reference = turn.book.auction_price
    if reference is None:
        reference = turn.book.value(Parameter.DAY, "reference")
    return _beyond(price, reference, static) or _beyond(price, last, dynamic)


def _beyond(price: int, reference: int | None, part: int) -> bool:
    if not part or reference is None or reference <= 0:
        return False
    return abs(price - reference) * PART > part * reference


def halts(turn: Turn, price: int | None) -> bool:
    """True if a trade at this price is the first of the day at a step from its open."""
    reached = steps(turn, price, turn.book.open_price)
    new = reached & ~turn.book.halts
    turn.book.halts |= reached
    return bool(new)


def steps(turn: Turn, price: int | None, start: int | None) -> int:
    """The bits of `MARKET_STATE.halts` of the steps that a price is at or beyond."""
    first, second = turn.book.values[Parameter.HALTS][:2]
    if not first or turn.book.phase != Phase.CONTINUOUS or price is None or not start or start < 0:
        return 0
    reached, up = 0, 1 if price > start else 4
    for part, bit in ((first, up), (second, 2 * up)):
        if part and abs(price - start) * PART >= part * start:
            reached |= bit
    return reached
