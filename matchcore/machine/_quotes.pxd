# Quotes of market makers, their protection, groups of accounts; BUST.
from .._book cimport Core, Events
from .core.market cimport Markets, Turn, Wide
from .core.records cimport Field, Reason, i64, mc_command, u32, u64

cdef Reason do_quote(Turn* turn, const mc_command* command, Field* field) noexcept nogil
cdef bint quotes_ready(Markets* all) noexcept nogil
cdef Reason set_protection(Markets* all, Core* core, u32 instruments, const mc_command* command,
                           Events* events, Field* field) noexcept nogil
cdef Reason do_bust(Core* core, u32 instruments, const mc_command* command, Events* events,
                    Field* field) noexcept nogil
cdef void quote_joined(Turn* turn, Wide* wide) noexcept nogil
cdef void quote_left(Turn* turn, Wide* wide) noexcept nogil
cdef bint protection_hit(Turn* turn, const Wide* maker, i64 quantity) noexcept nogil
cdef u64 group_of(Markets* all, u64 account) noexcept nogil
cdef void pull_quotes(Turn* turn) noexcept nogil
cdef void quotes_drop(Markets* all) noexcept nogil
cdef object protections_rows(const Markets* all)
cdef int protections_restore(Markets* all, rows) except -1
cdef int quotes_check(Markets* all) except -1
