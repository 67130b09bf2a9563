# Looking at the places of a market's orders.
from .core.market cimport Market, Markets, Turn, Wide
from .core.records cimport i64, u8

cdef bint has_reference(Turn* turn, u8 side, i64* price) noexcept nogil
cdef Wide* first_of(Market* market, u8 side, i64 price) noexcept nogil
cdef size_t orders_found(Turn* turn) noexcept nogil
cdef i64 last_of(const Turn* turn, bint* known) noexcept nogil
cdef size_t orders_of(Markets* all, Market* market) noexcept nogil
