"""The commands of markets, one after the other.

What a command says goes to the caller's buffer and, beyond it, to the spill of the machine, which
is told before anything else happens: so no command of a market is ever interrupted.  Without memory
in the middle of one the machine is lost, and says so at every later call: its log has everything.
"""
from libc.stdint cimport INT64_MAX
from libc.stdlib cimport calloc, free

from .._book cimport DONE, FULL, HEARING, IDLE, LOST, NO_MEMORY, SPILLING, Book
from ._amending cimport do_amend, do_cancel, do_reduce
from ._auction cimport call_drop, publish
from ._counted cimport counted_drop
from ._dedup cimport once_heard, once_is_new_here, once_keep
from ._entry cimport enter
from ._parameters cimport market_defaults
from ._phases cimport clock, end_day, ends_with_day, set_phase
from ._places cimport orders_found
from ._quotes cimport do_bust, do_quote, quotes_drop, quotes_ready, set_protection
from ._settling cimport settle
from ._turn cimport cancel, turn_begin
from .core.moves cimport begin_turn
from .core.emit cimport emit_refusal
from .core.ids cimport ids_guess, ids_has, ids_hash, ids_prefetch, ids_ready
from .core.ladder cimport Ladder, ladder_init, ladder_key
from .core.market cimport *
from .core.pool cimport Order, pool_has, pool_ready, slots_drop, slots_grow
from .core.prefetch cimport LARGE, ladder_ask
from .core.records cimport *
from .core.tally cimport Call, tally_ask, tally_key
from .core.spill cimport drain, is_spilled, spill_drop

from libc.string cimport memset


cdef enum:
    OWN_KINDS = KINDS_OF_3 & ~ASIDE_KINDS       # those that there are for markets only
    TOLD_BY_NAME = 1 << SET_PHASE | 1 << SET_PROTECTION    # a refusal names the instrument only
    MAKING = 1 << QUOTE | 1 << SET_PROTECTION   # those that may make an entry of a market maker
    AHEAD = 4                                   # commands from here the places of ids are asked for
    AHEAD_ORDERS = 2                            # and the orders that they name
    NEW_IDS = 2                                 # a command makes at most: those of a quote


cdef Market* market_make(Exchange* exchange, u32 instrument) noexcept nogil:
    """An empty market for an instrument with an empty book; NULL without memory."""
    cdef Market* market = <Market*>calloc(1, sizeof(Market))
    cdef int side
    if market == NULL:
        return NULL
    market.book = exchange.books[instrument - 1]
    for side in range(2):
        ladder_init(&market.dark[side], BUY if side == 0 else SELL)
        ladder_init(&market.stops[side], SELL if side == 0 else BUY)
    market.phase = PHASE_CONTINUOUS
    market.expiry = INT64_MAX
    market_defaults(market)
    exchange.markets.markets[instrument - 1] = market
    exchange.markets.count += 1
    exchange.plain[instrument - 1] = NULL
    return market


cdef void markets_drop(Exchange* exchange) noexcept nogil:
    """Gives the memory of all markets back."""
    cdef Markets* all = &exchange.markets
    cdef u32 i
    for i in range(exchange.count):
        if all.markets[i] != NULL:
            call_drop(all.markets[i])
            counted_drop(all.markets[i])
            free(all.markets[i])
    quotes_drop(all)
    slots_drop(&all.wides)
    spill_drop(&all.spill)
    free(all.markets)
    free(all.touched)
    free(all.pulled)
    free(all.shares)
    free(all.found)


# ---------------------------------------------------------------------- commands

cdef bint is_for_markets(const Exchange* exchange, const mc_command* command) noexcept nogil:
    """True for a command of an order of a market, and for the kinds that there are for markets only."""
    if in_set(ORDER_KINDS, command.kind):
        return (command.instrument - 1 < exchange.count
                and exchange.markets.markets[command.instrument - 1] != NULL)
    return in_set(OWN_KINDS, command.kind) and exchange.rules > 2


cdef bint make_ready(Exchange* exchange) noexcept nogil:
    """What a command asks for beforehand; false without memory.  Out of line: it is rare."""
    cdef Core* core = &exchange.core
    while exchange.markets.wides.spare < NEW_IDS:
        if not slots_grow(&exchange.markets.wides):
            return False
    return pool_ready(&core.pool, 1) and ids_ready(&core.ids, NEW_IDS)


cdef inline bint is_ready(Exchange* exchange) noexcept nogil:
    return (mc_likely(exchange.markets.wides.spare >= NEW_IDS and pool_has(&exchange.core.pool, 1)
                      and ids_has(&exchange.core.ids, NEW_IDS))
            or make_ready(exchange))


cdef inline Reason run_order(Exchange* exchange, const mc_command* command, Events* events,
                             Field* field) noexcept nogil:
    """A command of one order or quote."""
    cdef Turn turn
    cdef Reason reason
    cdef Market* market
    cdef u32 hash
    if command.instrument - 1 >= exchange.count:
        field[0] = F_INSTRUMENT
        return R_UNKNOWN_INSTRUMENT
    market = exchange.markets.markets[command.instrument - 1]
    if market == NULL:
        field[0] = F_INSTRUMENT
        return R_NO_MARKET
    begin_turn(&turn, &exchange.markets, &exchange.core, market, command.time, events)
    hash = ids_hash(&exchange.core.ids, command.instrument, command.order_id)
    if command.kind == NEW:
        reason = enter(&turn, command, hash, field)
    elif command.kind == CANCEL:
        reason = do_cancel(&turn, command, hash, field)
    elif command.kind == AMEND:
        reason = do_amend(&turn, command, hash, field)
    elif command.kind == REDUCE:
        reason = do_reduce(&turn, command, hash, field)
    else:
        reason = do_quote(&turn, command, field)
    if reason == R_NONE and has(CALL_PHASES, turn.market.phase):
        publish(&turn)
    return reason


cdef inline Reason run_command(Exchange* exchange, const mc_command* command, Events* events,
                               Field* field) noexcept nogil:
    cdef Markets* all = &exchange.markets
    cdef Core* core = &exchange.core
    cdef u32 count = exchange.count
    if mc_likely(in_set(ORDER_KINDS, command.kind)):
        return run_order(exchange, command, events, field)
    if command.kind == SET_PHASE:
        return set_phase(all, core, count, command, events, field)
    if command.kind == CLOCK:
        return clock(all, core, count, command, events, field)
    if command.kind == SET_PROTECTION:
        return set_protection(all, core, count, command, events, field)
    if command.kind == BUST:
        return do_bust(core, count, command, events, field)
    return run_order(exchange, command, events, field)


cdef void refuse(Core* core, const mc_command* command, Reason reason, Field field,
                 Events* events) noexcept nogil:
    cdef mc_command named
    if not in_set(TOLD_BY_NAME, command.kind):
        emit_refusal(core, command, reason, field, events)
        return
    memset(&named, 0, sizeof(named))
    named.instrument = command.instrument
    emit_refusal(core, &named, reason, field, events)


cdef inline void look_at_prices(const Exchange* exchange, const mc_command* command) noexcept nogil:
    """Asks for what is kept of the price of a new order: its level, and in a call the sum there."""
    cdef const Market* market
    cdef const Ladder* ladder
    if command.instrument - 1 >= exchange.count:
        return
    market = exchange.markets.markets[command.instrument - 1]
    if market == NULL:
        return
    ladder = &market.book.sides[(command.side - 1) & 1]
    ladder_ask(ladder, ladder_key(ladder, command.price))
    if market.call != NULL:
        tally_ask(<const Call*>market.call, tally_key(command.price))


cdef inline void look_ahead(const Exchange* exchange, const mc_command* command,
                            const mc_command* end) noexcept nogil:
    """Asks for what the next commands will read; there is a table of ids."""
    cdef const mc_command* later = command + AHEAD
    cdef const Order* order
    if later < end:
        ids_prefetch(&exchange.core.ids, ids_hash(&exchange.core.ids, later.instrument, later.order_id))
    later = command + AHEAD_ORDERS
    if later < end and later.kind == NEW:
        look_at_prices(exchange, later)
    elif later < end:
        order = ids_guess(&exchange.core.ids, ids_hash(&exchange.core.ids, later.instrument,
                                                       later.order_id))
        mc_prefetch(order)
        mc_prefetch(<const char*>order + 64)


cdef Halt after(Exchange* exchange, const Events* events) noexcept nogil:
    """Behind a command: keeps its answer; FULL when something of it was spilled."""
    cdef Core* core = &exchange.core
    cdef Spill* spill = &exchange.markets.spill
    if exchange.markets.lost:
        core.pending.stage = LOST
        return NO_MEMORY
    if core.pending.stage == HEARING:
        core.pending.stage = SPILLING       # so that the answer stays open
        once_heard(core, events)
        once_keep(core, spill.events, spill.events + spill.count)
        core.pending.stage = IDLE
        core.repeats.open = NULL
    if mc_unlikely(is_spilled(spill)):
        core.pending.stage = SPILLING
        return FULL
    return DONE


cdef Halt markets_run(Exchange* exchange, const mc_command* commands, size_t count, size_t* taken,
                      Events* events) noexcept nogil:
    """Applies commands as long as they are for markets; DONE too when the next one is not."""
    cdef Core* core = &exchange.core
    cdef const mc_command* command = commands
    cdef const mc_command* end = commands + count
    cdef Field field
    cdef Reason reason
    cdef Halt halt = DONE
    while command < end and is_for_markets(exchange, command):
        if mc_unlikely(events.at >= events.end):
            halt = FULL
            break
        if mc_unlikely(not is_ready(exchange)) or (in_set(MAKING, command.kind)
                                                   and not quotes_ready(&exchange.markets)):
            halt = NO_MEMORY
            break
        if command.client_order_id != 0 and in_set(REPEATABLE_KINDS, command.kind):
            if not once_is_new_here(core, command, events, &halt):
                command += halt != NO_MEMORY
                if halt != DONE:
                    break
                continue
        if core.ids.count > LARGE:
            look_ahead(exchange, command, end)
        core.sequence += 1
        field = F_NONE
        reason = run_command(exchange, command, events, &field)
        if mc_unlikely(reason != R_NONE):
            refuse(core, command, reason, field, events)
        command += 1
        if mc_unlikely(exchange.markets.lost or core.pending.stage != IDLE
                       or is_spilled(&exchange.markets.spill)):
            halt = after(exchange, events)
            if halt != DONE:
                break
    taken[0] = command - commands
    return halt


cdef bint markets_drain(Exchange* exchange, Events* events) noexcept nogil:
    """Tells what was spilled; false when the buffer is full first."""
    if is_spilled(&exchange.markets.spill) and not drain(&exchange.markets.spill, &exchange.core,
                                                         events):
        return False
    if exchange.core.pending.stage == SPILLING:
        exchange.core.pending.stage = IDLE
    return True


# ---------------------------------------------------------------------- sweeps

cdef bint may_cancel(const Exchange* exchange, u32 instrument, const mc_command* command) noexcept nogil:
    """Whether the phase lets a MASS_CANCEL's orders go; an operator's request always does."""
    cdef const Market* market = exchange.markets.markets[instrument - 1]
    return command.account == 0 or allows(market, T_CANCEL_PHASES, market.phase)


cdef inline bint is_hit(const Wide* wide, const mc_command* command, i64 time) noexcept nogil:
    """True if a MASS_CANCEL, an END_DAY or the kill switch is about an order."""
    if command.kind == END_DAY:
        return ends_with_day(wide, time)
    if command.account not in (0, wide.order.account):
        return False
    if command.kind != MASS_CANCEL:
        return True
    if command.side not in (0, wide.order.side):
        return False
    if command.flags & RANGE and not command.price <= wide.order.price <= command.stop_price:
        return False
    return not command.flags & OF_SESSION or (command.session != 0 and command.session == wide.session)


cdef u64 market_sweep(Exchange* exchange, u32 instrument, const mc_command* command,
                      Events* events) noexcept nogil:
    """Cancels the orders of a market that a command is about; says how many."""
    cdef u8 reason = R_KILL_SWITCH
    cdef u64 swept = 0
    cdef size_t count, i
    cdef Wide* wide
    cdef Turn turn
    if command.kind != SET_LIMITS:
        reason = R_END_OF_DAY if command.kind == END_DAY else R_MASS_CANCEL
    turn_begin(&turn, &exchange.markets, &exchange.core, instrument, command.time, events)
    count = orders_found(&turn)
    for i in range(count):
        wide = exchange.markets.found[i]
        if is_hit(wide, command, turn.time):
            cancel(&turn, wide, reason)
            swept += 1
    settle(&turn)
    if command.kind == END_DAY:
        end_day(&turn)
    if has(CALL_PHASES, turn.market.phase):
        publish(&turn)
    if exchange.markets.lost:
        exchange.core.pending.stage = LOST
    return swept
