# Limits that decide whether an order trades.
from .._book cimport Core, Events
from .core.limits cimport LimitTable
from .core.records cimport Field, Reason, i64, mc_command, mc_limits, u32, u64

cdef enum SetLimits:        # what came of a SET_LIMITS
    LIMITS_NO_MEMORY        # it was not begun
    LIMITS_REFUSED
    LIMITS_ARE_SET
    LIMITS_CANCEL           # and the account's orders are to be cancelled

cdef Reason limits_admit(Core* core, u64 account, u32 instrument, i64 time, Field* field) noexcept nogil
cdef Reason limits_allow(Core* core, u64 account, u32 instrument, bint market, i64 price, i64 quantity,
                         bint rests, Field* field) noexcept nogil
cdef Reason limits_allow_more(Core* core, u64 account, u32 instrument, bint market, i64 price,
                              i64 quantity, bint rests, i64 leaving, Field* field) noexcept nogil
cdef SetLimits limits_set(Core* core, LimitTable* table, u32 instruments, const mc_limits* command,
                          Events* events) noexcept nogil
cdef void limits_drop(LimitTable* table) noexcept nogil
cdef object limits_rows(const LimitTable* table)
cdef int limits_restore(Core* core, LimitTable* table, rows) except -1
cdef object last_rows(const Core* core, size_t count)
cdef int last_restore(Core* core, rows) except -1
cdef int limits_check(Core* core, const LimitTable* table) except -1
