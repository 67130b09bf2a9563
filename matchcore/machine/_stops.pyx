"""Stops, trailing stops, pegs and the price cage."""
from .core.records cimport *


cdef i64 floor_tick(const Market* market, i64 price) noexcept nogil:
    return price


cdef i64 ceil_tick(const Market* market, i64 price) noexcept nogil:
    return price


cdef bint within_limits(const Market* market, i64 price) noexcept nogil:
    return True


cdef bint outside_cage(Turn* turn, u8 side, i64 price) noexcept nogil:
    return False


cdef bint is_reached(const Wide* wide, i64 low, i64 high) noexcept nogil:
    """True if trades from `low` to `high` have reached the stop price of an order."""
    return wide.stop_price <= high if wide.order.side == BUY else wide.stop_price >= low


cdef Wide* next_stop(Turn* turn) noexcept nogil:
    """The stop that is triggered next by the trades of this command, or NULL."""
    return NULL


cdef Wide* next_uncaged(Turn* turn) noexcept nogil:
    """The oldest of the orders outside the cage that are so no more, or NULL."""
    return NULL


cdef void set_trailing(Wide* wide, i64 last) noexcept nogil:
    pass


cdef void follow(Turn* turn) noexcept nogil:
    """Trailing stops follow the last trade."""


cdef bint has_peg_price(Turn* turn, const Wide* wide, i64* price) noexcept nogil:
    """False without a reference; what a pegged order costs now."""
    return False


cdef bint reprice(Turn* turn) noexcept nogil:
    """Gives pegs the prices that they should have; true as soon as one has traded."""
    return False
