"""The flow of single orders that the book benchmarks and the peers share."""

from __future__ import annotations

import random
from collections.abc import Callable

import matchcore as mc

Operation = tuple[int, ...]  # an add (order id, side, price, quantity), or a cancel (order id,)


def book_flow(count: int = 300_000, seed: int = 1) -> list[Operation]:
    """2/3 adds near a random-walk mid, 1/3 cancels of a random order that is live by then.

    About 500 orders rest on 40 prices, and every third operation trades.  Only what rests is
    cancelled: half of the peers fail in a way of their own on the id of a filled order.
    """
    draw = random.Random(seed).random
    book = mc.OrderBook()
    live: list[int] = []
    mid, made = 100_000, 0
    operations: list[Operation] = []
    while len(operations) < count:
        if draw() < 1 / 3 and len(book):
            operations.append((_cancelled(book, live, draw),))
            continue
        made += 1
        mid += (draw() < 0.05) - (draw() < 0.05)
        side, away, quantity = 1 + int(draw() * 2), int(draw() * 12) - 2, 1 + int(draw() * 99)
        price = mid - away if side == mc.Side.BUY else mid + away
        book.add(made, side, price, quantity)
        live.append(made)
        operations.append((made, side, price, quantity))
    return operations


def _cancelled(book: mc.OrderBook, live: list[int], draw: Callable[[], float]) -> int:
    """Cancels one live order, any as likely as the others; drops the filled ones it meets."""
    while True:
        at = int(draw() * len(live))
        live[at], live[-1] = live[-1], live[at]
        order_id = live.pop()
        if book.cancel(order_id):
            return order_id


#: Price-time priority by hand: `+` buy, `-` sell, price*quantity, `x` cancel the order with
#: that number.
KNOWN_CASE = (
    "-101*5 -100*3 -100*4 -100*2 +99*6 +99*2 +98*9 +100*1 +97*7 x3 +102*5 x5 -98*5 -103*8 +110*9"
)
#: The fills that it must give.
KNOWN_FILLS = "100*1 100*2 100*2 101*1 99*2 98*3 101*4 103*5"


def parsed(text: str) -> list[Operation]:
    """Operations written as in `KNOWN_CASE`."""
    operations: list[Operation] = []
    made = 0
    for word in text.split():
        if word[0] == "x":
            operations.append((int(word[1:]),))
            continue
        made += 1
        price, _, quantity = word[1:].partition("*")
        side = mc.Side.BUY if word[0] == "+" else mc.Side.SELL
        operations.append((made, int(side), int(price), int(quantity)))
    return operations
