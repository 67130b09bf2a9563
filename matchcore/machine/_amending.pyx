"""Changes of a market's order: what is allowed, and what keeps its place."""
from .core.records cimport *


cdef Reason do_cancel(Turn* turn, const mc_command* command, Field* field) noexcept nogil:
    return R_NONE


cdef Reason do_reduce(Turn* turn, const mc_command* command, Field* field) noexcept nogil:
    return R_NONE


cdef Reason do_amend(Turn* turn, const mc_command* command, Field* field) noexcept nogil:
    return R_NONE
