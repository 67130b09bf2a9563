"""What a command says in a market: events and public changes, in the caller's buffers or spilled."""
from .core.ladder cimport Ladder, ladder_key
from .core.market cimport *
from .core.pool cimport Level
from .core.records cimport *
from .core.resting cimport level_at
from .core.saying cimport event_place, said_of, write_rest
from .core.spill cimport change_spilled

from libc.string cimport memset


cdef mc_event* say(Turn* turn, u8 kind) noexcept nogil:
    """A new event with nothing but its kind."""
    cdef mc_event* event = event_place(turn)
    event.order_id = event.client_order_id = event.account = 0
    event.price = event.quantity = event.left = 0
    write_rest(turn, event, <u64>kind << 32)
    return event


cdef mc_event* say_of(Turn* turn, u8 kind, u8 reason, const Wide* wide, i64 quantity,
                      i64 left) noexcept nogil:
    """A new event about an order."""
    return said_of(turn, kind, reason, wide, quantity, left)


cdef mc_change* tell(Turn* turn, u8 kind) noexcept nogil:
    """A new public change with nothing but its kind; NULL: nobody wants it."""
    cdef Core* core = turn.core
    cdef mc_change* change = core.changes
    if mc_likely(change == NULL):
        return NULL
    if change < core.changes_end and turn.all.spill.changes_count == 0:
        core.changes += 1
    else:
        change = change_spilled(turn.all)
    memset(change, 0, sizeof(mc_change))
    change.sequence = core.sequence
    change.instrument = turn.book.instrument
    change.kind = kind
    return change


cdef mc_change* tell_of(Turn* turn, u8 kind, u16 flags, const Wide* wide, i64 price, i64 quantity,
                        i64 left) noexcept nogil:
    """A new change of an order, whose level holds already what it does afterwards."""
    cdef mc_change* change = tell(turn, kind)
    cdef Ladder* ladder
    cdef Level* level
    if change == NULL:
        return NULL
    change.order_id = wide.order.order_id
    change.price = price
    change.quantity = quantity
    change.left = left
    change.side = wide.order.side
    change.flags = flags
    if not is_hidden(wide):
        ladder = &turn.book.sides[wide.order.side - 1]
        level = level_at(ladder, ladder_key(ladder, wide.order.price))
        if level != NULL and level.head != NULL:
            change.level_quantity = level.quantity
            change.level_orders = <u32>level.orders
    return change


cdef void cancelled(Turn* turn, Wide* wide, u8 reason) noexcept nogil:
    """Says that an order that is nowhere is cancelled."""
    said_of(turn, CANCELLED, reason, wide, wide.total, 0)


cdef void shrunk(Turn* turn, Wide* wide, i64 before) noexcept nogil:
    """The change of an order that shows less than it did."""
    cdef i64 shown = shown_of(wide)
    if shown < before:
        tell_of(turn, C_REDUCED if shown else C_DELETED, 0, wide, wide.order.price, before - shown,
                shown)


cdef void executed(Turn* turn, Wide* maker, Wide* taker, i64 price, i64 quantity, i64 shown, i64 seen,
                   bint crossed) noexcept nogil:
    """The changes of the trade told last; `shown` and `seen`: of maker and taker before it."""
    cdef mc_change* change
    if mc_likely(turn.core.changes == NULL):
        return
    if mc_likely(not crossed and price == maker.order.price and quantity <= shown):
        change = tell_of(turn, C_EXECUTED, 0, maker, price, quantity, shown_of(maker))
    else:       # what it takes from the public book is told apart from the trade
        shrunk(turn, maker, shown)
        if crossed:
            shrunk(turn, taker, seen)
        change = tell(turn, C_EXECUTED)
        change.order_id = maker.order.order_id
        change.side = maker.order.side
        change.price = price
        change.quantity = quantity
        change.flags = C_UNSEEN | C_CROSS if crossed else C_UNSEEN
    change.taker_order_id = taker.order.order_id
    change.trade_id = turn.core.next_trade_id - 1
