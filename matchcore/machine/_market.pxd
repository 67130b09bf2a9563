# The commands of markets, one after the other.
from .._book cimport Core, Events, Halt
from ._exchange cimport Exchange
from .core.market cimport Market, Markets
from .core.records cimport mc_command, u8, u32, u64

cdef bint is_for_markets(const Exchange* exchange, const mc_command* command) noexcept nogil
cdef Halt markets_run(Exchange* exchange, const mc_command* commands, size_t count, size_t* taken,
                      Events* events) noexcept nogil
cdef bint markets_drain(Exchange* exchange, Events* events) noexcept nogil
cdef Market* market_make(Exchange* exchange, u32 instrument) noexcept nogil
cdef void markets_drop(Exchange* exchange) noexcept nogil
cdef u64 market_sweep(Exchange* exchange, u32 instrument, const mc_command* command,
                      Events* events) noexcept nogil
cdef bint may_cancel(const Exchange* exchange, u32 instrument, const mc_command* command) noexcept nogil
