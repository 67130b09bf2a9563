# What a command says in a market.
from .core.market cimport Turn, Wide
from .core.records cimport i64, mc_change, mc_event, u8, u16, u64

cdef mc_event* say(Turn* turn, u8 kind) noexcept nogil
cdef mc_event* say_of(Turn* turn, u8 kind, u8 reason, const Wide* wide, i64 quantity,
                      i64 left) noexcept nogil
cdef mc_change* tell(Turn* turn, u8 kind) noexcept nogil
cdef void cancelled(Turn* turn, Wide* wide, u8 reason) noexcept nogil
cdef void executed(Turn* turn, Wide* wide, i64 price, i64 quantity, i64 shown, u64 other_id,
                   u16 flags) noexcept nogil
cdef mc_change* tell_of(Turn* turn, u8 kind, u16 flags, const Wide* wide, i64 price, i64 quantity,
                        i64 left) noexcept nogil
