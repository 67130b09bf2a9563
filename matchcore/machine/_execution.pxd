# An order of a market at its turn.
from .core.market cimport Market, Turn, Wide, book_crosses
from .core.records cimport Field, Reason, i64, mc_command, u8, u16

cdef void start(Turn* turn, Wide* wide) noexcept nogil
cdef void execute(Turn* turn, Wide* wide, u16 flags) noexcept nogil
cdef void trigger(Turn* turn, Wide* wide) noexcept nogil
cdef Reason slid(Turn* turn, u8 side, i64* price, Field* field) noexcept nogil
cdef i64 bounded(const Wide* wide, i64 price) noexcept nogil
cdef bint is_caged(Turn* turn, u8 order_type, u8 side, i64 price) noexcept nogil
