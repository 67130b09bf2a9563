# MASS_CANCEL, END_DAY, the kill switch: every order that matches, in one book or in all.
from ..._book cimport IDLE, SWEEPING, Events, Pending, book_sweep
from .._limits cimport LIMITS_ARE_SET, LIMITS_CANCEL, LIMITS_NO_MEMORY, SetLimits, limits_set
from .._exchange cimport Exchange
from .._market cimport market_sweep, may_cancel
from .emit cimport change_of, emit_refusal, emit_taker
from .records cimport *
from .spill cimport is_spilled

cdef inline bint begin_sweep(Exchange* exchange, const mc_command* command, Events* events) noexcept nogil:
    """Sets up a mass cancel or end of day; false after a refusal."""
    if command.instrument > exchange.count:
        emit_refusal(&exchange.core, command, R_UNKNOWN_INSTRUMENT, F_INSTRUMENT, events)
        return False
    if command.kind == MASS_CANCEL and command.side and not in_set(EVERY_SIDE, command.side):
        emit_refusal(&exchange.core, command, R_BAD_SIDE, F_SIDE, events)
        return False
    if command.kind == MASS_CANCEL and exchange.rules > 2 and is_refused(exchange, command, events):
        return False
    begin(exchange, command)
    return True


cdef inline bint is_refused(Exchange* exchange, const mc_command* command, Events* events) noexcept nogil:
    """Says what forbids a mass cancel since version 3 of the rules, if something does."""
    cdef bint ranged = command.flags & RANGE != 0
    if command.flags & ~(RANGE | OF_SESSION):
        emit_refusal(&exchange.core, command, R_BAD_FLAGS, F_FLAGS, events)
    elif ranged and command.price > command.stop_price:
        emit_refusal(&exchange.core, command, R_BAD_VALUE, F_PRICE, events)
    elif (command.instrument != 0 and exchange.plain[command.instrument - 1] == NULL
            and not may_cancel(exchange, command.instrument, command)):
        emit_refusal(&exchange.core, command, R_BAD_PHASE, F_KIND, events)
    else:
        return False
    return True


cdef inline void begin(Exchange* exchange, const mc_command* command) noexcept nogil:
    cdef Pending* pending = &exchange.core.pending
    pending.command = command[0]
    if command.kind == MASS_CANCEL and exchange.rules < 3:
        pending.command.flags = 0       # nobody reads them
    pending.instrument = command.instrument if command.instrument else 1
    pending.side = 0
    pending.key = 0
    pending.order = NULL
    pending.swept = 0
    pending.stage = SWEEPING


cdef inline bint take_limits(Exchange* exchange, const mc_command* command, Events* events) noexcept nogil:
    """A SET_LIMITS; sets up the cancels that it may ask for, and its last event.  False without memory."""
    cdef SetLimits came = limits_set(&exchange.core, &exchange.limits, exchange.count,
                                     <const mc_limits*>command, events)
    if came == LIMITS_ARE_SET or came == LIMITS_CANCEL:
        begin(exchange, command)
        exchange.core.pending.command.side = 0
    if came == LIMITS_ARE_SET:
        exchange.core.pending.instrument = exchange.count + 1
    return came != LIMITS_NO_MEMORY


cdef inline bint go_on_sweeping(Exchange* exchange, Events* events) noexcept nogil:
    """Does what begin_sweep has set up; false when the buffer is full before the end."""
    cdef Pending* pending = &exchange.core.pending
    cdef u32 last = pending.command.instrument if pending.command.instrument else exchange.count
    cdef mc_command summary
    while pending.instrument <= last:
        if mc_unlikely(exchange.plain[pending.instrument - 1] == NULL):
            if (pending.command.kind != MASS_CANCEL
                    or may_cancel(exchange, pending.instrument, &pending.command)):
                pending.swept += market_sweep(exchange, pending.instrument, &pending.command, events)
            pending.instrument += 1
            if exchange.core.pending.stage != SWEEPING or is_spilled(&exchange.markets.spill):
                return False
            continue
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
