# Changes of a market's order: CANCEL, REDUCE, AMEND.
from .core.market cimport Turn
from .core.records cimport Field, Reason, mc_command, u32

cdef Reason do_cancel(Turn* turn, const mc_command* command, u32 hash, Field* field) noexcept nogil
cdef Reason do_reduce(Turn* turn, const mc_command* command, u32 hash, Field* field) noexcept nogil
cdef Reason do_amend(Turn* turn, const mc_command* command, u32 hash, Field* field) noexcept nogil
