# An order of a market at its turn, and what forbids one.
from .core.market cimport Market, Turn, Wide
from .core.records cimport Field, Reason, i64, mc_command, u8, u16

cdef Reason enter(Turn* turn, const mc_command* command, Field* field) noexcept nogil
cdef void start(Turn* turn, Wide* wide) noexcept nogil
cdef void execute(Turn* turn, Wide* wide, u16 flags) noexcept nogil
cdef void trigger(Turn* turn, Wide* wide) noexcept nogil
cdef Reason slid(Turn* turn, u8 side, i64* price, Field* field) noexcept nogil
cdef bint book_crosses(const Market* market, u8 side, bint limited, i64 limit) noexcept nogil
cdef Reason wrong_size(Turn* turn, i64 quantity, u8 side, u8 order_type) noexcept nogil
cdef Reason wrong_price(Turn* turn, i64 price, i64 quantity) noexcept nogil
cdef bint wrong_display(Turn* turn, i64 display, i64 quantity) noexcept nogil
cdef bint has_room(Turn* turn, u8 side, i64 quantity, i64 leaving) noexcept nogil
