# Stops, trailing stops, pegs and the price cage.
from .core.market cimport Market, Turn, Wide
from .core.prices cimport ceil_tick, floor_tick, within_limits
from .core.records cimport i64, u8

cdef bint outside_cage(Turn* turn, u8 side, i64 price) noexcept nogil
cdef void cage_joined(Market* market, const Wide* wide) noexcept nogil
cdef bint is_reached(const Wide* wide, i64 low, i64 high) noexcept nogil
cdef Wide* next_stop(Turn* turn) noexcept nogil
cdef Wide* next_uncaged(Turn* turn) noexcept nogil
cdef void set_trailing(Wide* wide, i64 last) noexcept nogil
cdef void follow(Turn* turn) noexcept nogil
cdef bint has_peg_price(Turn* turn, const Wide* wide, i64* price) noexcept nogil
cdef bint reprice(Turn* turn) noexcept nogil
