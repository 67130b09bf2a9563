# A new order of a market: what forbids it, and what it becomes when it is entered.
from .core.market cimport Turn
from .core.records cimport Field, Reason, i64, mc_command, u8, u32

cdef Reason enter(Turn* turn, const mc_command* command, u32 hash, Field* field) noexcept nogil
cdef Reason wrong_size(Turn* turn, i64 quantity, u8 side, u8 order_type) noexcept nogil
cdef Reason wrong_price(Turn* turn, i64 price, i64 quantity) noexcept nogil
cdef bint wrong_display(Turn* turn, i64 display, i64 quantity) noexcept nogil
cdef bint has_room(Turn* turn, u8 side, i64 quantity, i64 leaving) noexcept nogil
cdef bint wrong_value(const Turn* turn, i64 price, i64 quantity) noexcept nogil
cdef bint wrong_cage(Turn* turn, u8 side, i64 price) noexcept nogil
