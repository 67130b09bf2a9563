# The phases of markets: SET_PHASE and CLOCK, and what happens between two phases.
from .._book cimport Core, Events
from .core.market cimport Markets, Turn, Wide
from .core.records cimport Field, Reason, i64, mc_command, u8, u32

cdef void change_phase(Turn* turn, u8 phase, i64 until, u8 reason) noexcept nogil
cdef Reason set_phase(Markets* all, Core* core, u32 instruments, const mc_command* command,
                      Events* events, Field* field) noexcept nogil
cdef Reason clock(Markets* all, Core* core, u32 instruments, const mc_command* command,
                  Events* events, Field* field) noexcept nogil
cdef bint ends_with_day(const Wide* wide, i64 time) noexcept nogil
cdef void end_day(Turn* turn) noexcept nogil
cdef void note_trade(Turn* turn, i64 price, i64 quantity) noexcept nogil
