"""A call: the single price, what it is by the rule of the venue, and the trades at it."""

from __future__ import annotations

from typing import NamedTuple

from ....records.schema import (
    AUCTION_TIFS,
    CALL_PHASES,
    AuctionRule,
    ChangeFlag,
    ChangeKind,
    EventKind,
    OrderType,
    Parameter,
    Place,
    Reason,
    Side,
)
from .book import ANY_BUY, ANY_SELL, Indicative, MarketBook, MarketOrder
from .turn import Turn


class Cross(NamedTuple):
    """A price with what would trade at it, and buys less sells that are left over."""

    price: int
    quantity: int
    imbalance: int


def cross_at(book: MarketBook, price: int) -> Cross:
    buys = sum(o.left for o in _in_book(book, Side.BUY) if o.price >= price)
    sells = sum(o.left for o in _in_book(book, Side.SELL) if o.price <= price)
    return Cross(price, min(buys, sells), buys - sells)


def _in_book(book: MarketBook, side: int) -> list[MarketOrder]:
    return [o for o in book.live.values() if o.place == Place.BOOK and o.side == side]


def find_cross(turn: Turn) -> Cross | None:
    """The price of the auction; None if nothing would trade.

    It is the limit of an order, or on a tick between the lowest and the highest limit or reference.
    Of the prices with the largest volume those with the smallest imbalance; among them the rule of
    the market decides.
    """
    book, reference = turn.book, auction_reference(turn)
    limits = {o.price for o in book.live.values()
              if o.place == Place.BOOK and o.price not in (ANY_BUY, ANY_SELL)}  # fmt: skip
    known = limits | ({reference} if reference is not None else set())
    if not known:
        return None
    near = {book.floor(price + away) for price in known for away in (-1, 0, 1)}
    near |= {book.ceil(price + away) for price in known for away in (-1, 0, 1)}
    limits |= {price for price in near if min(known) <= price <= max(known)}
    crosses = [cross_at(book, price) for price in sorted(limits)]
    volume = max((cross.quantity for cross in crosses), default=0)
    if volume == 0:
        return None
    crosses = [cross for cross in crosses if cross.quantity == volume]
    smallest = min(abs(cross.imbalance) for cross in crosses)
    tied = [cross for cross in crosses if abs(cross.imbalance) == smallest]
    return cross_at(book, _chosen(turn, tied, reference))


def _chosen(turn: Turn, tied: list[Cross], reference: int | None) -> int:
    """One price of a range in which nothing but the rule of the market tells them apart."""
    low, high = tied[0].price, tied[-1].price
    rule = turn.book.value(Parameter.AUCTION, "rule")
    if rule != AuctionRule.SZSE:
        if tied[-1].imbalance > 0:
            return high
        if tied[0].imbalance < 0:
            return low
    twice = low + high
    if rule != AuctionRule.SSE and reference is not None:
        twice = 2 * min(max(reference, low), high)
    # closest to the middle or to the reference, the higher one of two
    below = max(turn.book.floor(twice // 2), low)
    above = min(turn.book.ceil(-(-twice // 2)), high)
    return below if twice - 2 * below < 2 * above - twice else above


def auction_reference(turn: Turn) -> int | None:
    """Of an opening call the previous close, of others the last trade; else the other of them."""
    close = turn.book.value(Parameter.DAY, "previous_close") or None
    opening = turn.book.open_price is None
    return (close if close is not None else turn.last) if opening else turn.last


def publish(turn: Turn) -> None:
    """Tells the indicative price if it has changed, and not too soon after the last one."""
    book = turn.book
    interval = book.value(Parameter.AUCTION, "interval_ns")
    if book.phase not in CALL_PHASES or interval < 0:
        return
    told = book.indicative
    if told is not None and interval and turn.time - told.time < interval:
        return
    cross = find_cross(turn) or Cross(0, 0, 0)
    if told is not None and cross == (told.price, told.quantity, told.imbalance):
        return
    book.indicative = Indicative(*cross, turn.time)
    turn.say(EventKind.INDICATIVE, price=cross.price, quantity=cross.quantity, left=cross.imbalance)
    turn.machine.market_fact(
        ChangeKind.INDICATIVE, turn.instrument, price=cross.price, quantity=cross.quantity,
        imbalance=cross.imbalance, phase=book.phase,
    )  # fmt: skip


def uncross(turn: Turn) -> Cross | None:
    """Trades all that the auction allows at its price; ends the orders that were for it."""
    book, cross = turn.book, find_cross(turn)
    if cross is not None:
        left = cross.quantity
        while left:
            buy, sell = _first(book, Side.BUY), _first(book, Side.SELL)
            quantity = min(buy.left, sell.left, left)
            left -= quantity
            _trade(turn, buy, sell, quantity, cross.price)
        book.auction_price = cross.price
    for order in book.at(Place.BOOK):
        if order.time_in_force in AUCTION_TIFS:
            turn.cancel(order, Reason.AUCTION_OVER)
        elif order.order_type == OrderType.MARKET:
            turn.cancel(order, Reason.MARKET_REMAINDER)
        else:
            turn.refresh(order)
    book.indicative = None
    return cross


def _first(book: MarketBook, side: int) -> MarketOrder:
    best = book.best(side)
    assert best is not None
    return book.queue(side, best)[0]


def _trade(turn: Turn, buy: MarketOrder, sell: MarketOrder, quantity: int, price: int) -> None:
    """A trade of two orders in the book: the buy order is told as the maker."""
    shown = sell.shown
    turn.trade(buy, sell, quantity, price)
    sell.shown = max(0, shown - quantity) if not sell.hidden else 0
    if not sell.left:
        del turn.book.live[sell.order_id]
    flags = ChangeFlag.CROSS | (ChangeFlag.UNSEEN if quantity > shown else 0)
    turn.change(
        ChangeKind.EXECUTED, sell, price=price, quantity=quantity, left=sell.shown,
        taker_order_id=buy.order_id, trade_id=turn.machine.next_trade_id - 1, flags=flags,
    )  # fmt: skip
