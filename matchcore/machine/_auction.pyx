"""A call: the single price, what it is by the rule of the venue, and the trades at it."""
from .core.records cimport *


cdef void publish(Turn* turn) noexcept nogil:
    pass


cdef bint uncross(Turn* turn, Cross* cross) noexcept nogil:
    return False


cdef void call_moved(Turn* turn, const Wide* wide, i64 change) noexcept nogil:
    """So much more is open in the book at the price of an order; only while market.call is not NULL."""


cdef void call_drop(Market* market) noexcept nogil:
    """Gives the memory of market.call back."""


cdef bint is_volatile(Turn* turn, i64 price, bint traded, i64 last) noexcept nogil:
    """True if a trade at this price behind one at `last`, would be outside a range."""
    return False


cdef bint reaches_halt(Turn* turn, i64 price) noexcept nogil:
    """True if a trade at this price is the first of the day at a step from its open."""
    return False


cdef u8 halt_steps(const Turn* turn, i64 price, bint started, i64 start) noexcept nogil:
    """The bits of `Market.halts` of the steps that a price is at or beyond; not started: none."""
    return 0
