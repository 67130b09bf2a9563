# One command at work in one market: what it says, what it moves.
from .._book cimport Core, Events
from .core.market cimport Market, Markets, Turn, Wide
from .core.records cimport Reason, i64, mc_change, mc_event, u8, u16, u32, u64

cdef void turn_begin(Turn* turn, Markets* all, Core* core, u32 instrument, i64 time,
                     Events* events) noexcept nogil
cdef Wide* fresh(Turn* turn) noexcept nogil
cdef void show(Wide* wide) noexcept nogil
cdef void rest(Turn* turn, Wide* wide, u16 flags) noexcept nogil
cdef void park(Turn* turn, Wide* wide, u8 place) noexcept nogil
cdef void put_back(Turn* turn, Wide* wide) noexcept nogil
cdef void lift(Turn* turn, Wide* wide, u16 flags) noexcept nogil
cdef void forget(Turn* turn, Wide* wide) noexcept nogil
cdef void resize(Turn* turn, Wide* wide, i64 total) noexcept nogil
cdef void cancel(Turn* turn, Wide* wide, u8 reason) noexcept nogil
cdef void deplete(Turn* turn, Wide* wide, i64 quantity) noexcept nogil
cdef void touch(Turn* turn, Wide* wide) noexcept nogil
cdef void pull(Turn* turn, u64 account) noexcept nogil
cdef void trade(Turn* turn, Wide* maker, Wide* taker, i64 quantity, i64 price) noexcept nogil
cdef void refresh(Turn* turn, Wide* wide) noexcept nogil
cdef void lessen(Turn* turn, Wide* wide, i64 total) noexcept nogil
