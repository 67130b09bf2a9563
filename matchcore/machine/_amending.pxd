# Changes of a market's order: CANCEL, REDUCE, AMEND.
from .core.market cimport Turn
from .core.records cimport Field, Reason, mc_command

cdef Reason do_cancel(Turn* turn, const mc_command* command, Field* field) noexcept nogil
cdef Reason do_reduce(Turn* turn, const mc_command* command, Field* field) noexcept nogil
cdef Reason do_amend(Turn* turn, const mc_command* command, Field* field) noexcept nogil
