# What a command of a market says of an order, inline for where it is said often.  `_saying.pyx` has
# the same out of line, and the rest.
from .market cimport Turn, Wide
from .records cimport i64, mc_event, mc_likely, mc_put_word64, u8, u64
from .spill cimport event_spilled

from libc.string cimport memcpy, memset

cdef inline mc_event* event_place(Turn* turn) noexcept nogil:
    """Where the next event goes: to the caller's buffer, or the spill."""
    cdef mc_event* event = turn.events.at
    if mc_likely(event < turn.events.end and turn.all.spill.count == 0):
        turn.events.at += 1
        return event
    return event_spilled(turn.all)

cdef inline void write_rest(Turn* turn, mc_event* event, u64 word) noexcept nogil:
    """The sequence, no trade, and instrument, kind, side and reason as one word."""
    event.sequence = turn.core.sequence
    memset(&event.taker_order_id, 0, 4 * sizeof(u64))
    mc_put_word64(&event.instrument, turn.book.instrument | word)

cdef inline mc_event* said_of(Turn* turn, u8 kind, u8 reason, const Wide* wide, i64 quantity,
                              i64 left) noexcept nogil:
    """A new event about an order."""
    cdef mc_event* event = event_place(turn)
    memcpy(&event.order_id, &wide.order.order_id, 3 * sizeof(u64))  # client order id and account too
    event.price = wide.order.price
    event.quantity = quantity
    event.left = left
    write_rest(turn, event, <u64>kind << 32 | <u64>wide.order.side << 40 | <u64>reason << 48)
    return event
