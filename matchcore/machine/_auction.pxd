# A call: the single price, the trades at it, and what is told of it meanwhile.
from .core.tally cimport Cross
from .core.market cimport Market, Turn, Wide
from .core.records cimport i64, u8

cdef void publish(Turn* turn) noexcept nogil
cdef bint uncross(Turn* turn, Cross* cross) noexcept nogil
cdef void call_moved(Turn* turn, const Wide* wide, i64 change) noexcept nogil
cdef int call_check(Market* market) except -1
cdef void call_drop(Market* market) noexcept nogil
cdef bint is_volatile(Turn* turn, i64 price, bint traded, i64 last) noexcept nogil
cdef bint reaches_halt(Turn* turn, i64 price) noexcept nogil
cdef void forget_indicative(Market* market) noexcept nogil
cdef u8 halt_steps(const Turn* turn, i64 price, bint started, i64 start) noexcept nogil
