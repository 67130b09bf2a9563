# MASS_CANCEL and END_DAY: every order that matches, in one book or in all.
from ..._book cimport IDLE, SWEEPING, Events, Pending, book_sweep
from .._machine cimport Exchange
from .emit cimport change_of, emit_refusal, emit_taker
from .records cimport *

cdef inline bint begin_sweep(Exchange* exchange, const mc_command* command, Events* events) noexcept nogil:
    """Sets up a mass cancel or end of day; false after a refusal."""
    if command.instrument > exchange.count:
        emit_refusal(&exchange.core, command, R_UNKNOWN_INSTRUMENT, F_INSTRUMENT, events)
        return False
    if command.kind == MASS_CANCEL and command.side and not in_set(EVERY_SIDE, command.side):
        emit_refusal(&exchange.core, command, R_BAD_SIDE, F_SIDE, events)
        return False
    begin(exchange, command)
    return True


cdef inline void begin(Exchange* exchange, const mc_command* command) noexcept nogil:
    cdef Pending* pending = &exchange.core.pending
    pending.command = command[0]
    pending.instrument = command.instrument if command.instrument else 1
    pending.side = 0
    pending.key = 0
    pending.order = NULL
    pending.swept = 0
    pending.stage = SWEEPING


cdef inline void begin_limits(Exchange* exchange, const mc_command* command, bint cancels) noexcept nogil:
    """Sets up the rest of a SET_LIMITS: the account's orders, if they are to go, and the last event."""
    begin(exchange, command)
    exchange.core.pending.command.side = 0
    if not cancels:
        exchange.core.pending.instrument = exchange.count + 1


cdef inline bint go_on_sweeping(Exchange* exchange, Events* events) noexcept nogil:
    """Does what begin_sweep has set up; false when the buffer is full before the end."""
    cdef Pending* pending = &exchange.core.pending
    cdef u32 last = pending.command.instrument if pending.command.instrument else exchange.count
    cdef mc_command summary
    while pending.instrument <= last:
        if not book_sweep(&exchange.core, exchange.books[pending.instrument - 1], events):
            return False
        pending.instrument += 1
        pending.side = 0
        pending.key = 0
    summary = pending.command
    summary.order_id = 0
    summary.client_order_id = 0
    summary.price = 0
    if summary.kind == SET_LIMITS:
        emit_taker(&exchange.core, events, LIMITS_SET, R_NONE, &summary, <i64>pending.swept,
                   summary.flags)
    else:
        if summary.kind == END_DAY:
            summary.account = 0
            summary.side = 0
        emit_taker(&exchange.core, events,
                   MASS_CANCELLED if summary.kind == MASS_CANCEL else DAY_ENDED, R_NONE,
                   &summary, <i64>pending.swept, 0)
    if exchange.core.changes != NULL and summary.kind == END_DAY:
        change_of(&exchange.core, C_DAY_ENDED, summary.instrument)
    pending.stage = IDLE
    return True
