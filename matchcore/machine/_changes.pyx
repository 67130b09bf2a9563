"""What the last call to a book has changed, as plain tuples."""
from .core.ladder cimport Ladder, ladder_key
from .core.pool cimport Level
from .core.records cimport *
from .core.resting cimport level_at, side_of


cdef list fills_of(const mc_event* events, size_t count):
    """(order id, price, quantity) of each trade."""
    cdef list found = []
    cdef object price = None            # one object for all fills at a price
    cdef i64 price_last = 0
    cdef size_t i
    for i in range(count):
        if events[i].kind == TRADED:
            if price is None or events[i].price != price_last:
                price_last = events[i].price
                price = price_last
            found.append((events[i].order_id, price, events[i].quantity))
    return found


cdef list changes_of(Book* book, const mc_event* events, size_t count, Before before):
    """`level_now` of each level that one command's events have changed: those it traded with, then
    that which its order has left, then that which it has joined."""
    cdef const mc_event* first = events
    cdef const mc_event* last = events + count - 1
    cdef const mc_event* event = events
    cdef list found = []
    if count == 0 or first.kind == REJECTED:
        return found
    if first.kind == TRADED:            # executed, maybe not at its own price
        return [level_now(book, first.side, before.price)]
    if first.kind == CANCELLED:
        return [level_now(book, first.side, first.price)]
    while event < last:
        event += 1
        if event.kind == TRADED and (event - 1 == first or event.price != (event - 1).price):
            found.append(level_now(book, event.side, event.price))
    if first.kind == AMENDED and before.left != 0:
        if before.price != first.price:
            found.append(level_now(book, first.side, before.price))
        elif before.left == first.quantity:
            return found                # to what it was
    if (last.taker_left if last.kind == TRADED else last.left) > 0:
        found.append(level_now(book, first.side, first.price))
    return found


cdef tuple level_now(Book* book, u8 side, i64 price):
    """(side, price, quantity, orders), the last two 0 where no order rests."""
    cdef Ladder* ladder = side_of(book, side)
    cdef Level* level = level_at(ladder, ladder_key(ladder, price))
    if level == NULL:
        return side, price, 0, 0
    return side, price, level.quantity, level.orders
