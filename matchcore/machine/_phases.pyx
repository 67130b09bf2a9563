"""The phases of markets: which follows which, and what happens in between."""
from .core.records cimport *


cdef void change_phase(Turn* turn, u8 phase, i64 until, u8 reason) noexcept nogil:
    turn.market.phase = phase
    turn.market.until = until


cdef Reason set_phase(Markets* all, Core* core, u32 instruments, const mc_command* command,
                      Events* events, Field* field) noexcept nogil:
    """SET_PHASE: R_NONE, or why it is refused."""
    return R_NONE


cdef Reason clock(Markets* all, Core* core, u32 instruments, const mc_command* command,
                  Events* events, Field* field) noexcept nogil:
    """CLOCK: R_NONE, or why it is refused."""
    return R_NONE


cdef bint ends_with_day(const Wide* wide, i64 time) noexcept nogil:
    return has(MARKET_DAY_TIFS, wide.order.time_in_force)


cdef void end_day(Turn* turn) noexcept nogil:
    """What the end of the day does to the prices of a market."""


cdef void note_trade(Turn* turn, i64 price, i64 quantity) noexcept nogil:
    """What a trade leaves for the open and the closing price."""
