"""Quotes of market makers, their protection, groups of accounts; BUST."""
import numpy as np

from .core.records cimport *

from ..records.markets import PROTECTION_STATE


cdef Reason do_quote(Turn* turn, const mc_command* command, Field* field) noexcept nogil:
    return R_NONE


cdef Reason set_protection(Markets* all, Core* core, u32 instruments, const mc_command* command,
                           Events* events, Field* field) noexcept nogil:
    return R_NONE


cdef Reason do_bust(Core* core, u32 instruments, const mc_command* command, Events* events,
                    Field* field) noexcept nogil:
    return R_NONE


cdef void quote_joined(Turn* turn, Wide* wide) noexcept nogil:
    """An order with the flag QUOTED is live."""


cdef void quote_left(Turn* turn, Wide* wide) noexcept nogil:
    """It is live no more."""


cdef bint protection_hit(Turn* turn, const Wide* maker, i64 quantity) noexcept nogil:
    """Counts a fill of a quote; true if the maker's quotes go."""
    return False


cdef u64 group_of(Markets* all, u64 account) noexcept nogil:
    """The group of an account; 0: none."""
    return 0


cdef void pull_quotes(Turn* turn) noexcept nogil:
    """Cancels the quotes of the accounts in `pulled`, and empties it."""
    turn.all.pulled_count = 0


cdef void quotes_drop(Markets* all) noexcept nogil:
    """Gives the memory of protections and quotes back."""


cdef object protections_rows(const Markets* all):
    """A `PROTECTION_STATE` array by account and instrument."""
    return np.empty(0, PROTECTION_STATE)


cdef int protections_restore(Markets* all, rows) except -1:
    """The entries of a state that is checked."""
    return 0


cdef int quotes_check(Markets* all) except -1:
    """Asserts every invariant of the tables here."""
    return 0
