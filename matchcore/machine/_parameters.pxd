# The parameters of markets: SET_MARKET, and the tables that follow from them.
from .._book cimport Events
from ._machine cimport Machine
from .core.market cimport Market
from .core.records cimport mc_command, u32

cdef void market_defaults(Market* market) noexcept nogil
cdef void market_derive(Market* market) noexcept nogil
cdef int set_market(Machine machine, const mc_command* command, Events* events) except -1
cdef object parameters_rows(Machine machine, u32 first, u32 last)
cdef int parameters_restore(Machine machine, rows) except -1
