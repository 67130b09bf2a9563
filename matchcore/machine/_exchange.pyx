"""All instruments of an exchange: commands in, events out, without Python.

Orders are the business of `_book.pyx`, markets that of `_market.pyx`; here are the commands about
many books (mass cancel, end of day), and whose turn it is.
"""
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from .._book cimport (DONE, FULL, HEARING, IDLE, LOST, NO_MEMORY, STOPPED, SWEEPING, Book, Core, Events,
                     Halt, book_init, core_drop, core_init, orders_run)
from ._dedup cimport once_heard, once_is_new_here, once_keep, once_listen
from ._limits cimport limits_drop
from ._market cimport is_for_markets, markets_drain, markets_drop, markets_run
from .core.dedup cimport repeats_drop, repeats_init
from .core.emit cimport emit_refusal
from .core.market cimport Market, Wide
from .core.pages cimport arena_init
from .core.pool cimport slots_drop, slots_grow, slots_init, slots_take
from .core.records cimport *
from .core.sweep cimport begin_sweep, go_on_sweeping, take_limits

cdef enum:
    BOOKS_MIN = 8           # places of the first slab
    WIDES_MIN = 32          # orders of markets in the first slab


cdef void exchange_init(Exchange* exchange, u64 secret) noexcept nogil:
    memset(exchange, 0, sizeof(Exchange))
    core_init(&exchange.core, secret)
    slots_init(&exchange.slots, &exchange.core.arena, sizeof(Book), BOOKS_MIN)
    repeats_init(&exchange.repeats, &exchange.core.arena, secret)
    exchange.core.repeats = &exchange.repeats
    exchange.limits.secret = secret
    slots_init(&exchange.markets.wides, &exchange.core.arena, sizeof(Wide), WIDES_MIN)
    exchange.markets.makers.secret = secret
    exchange_set_rules(exchange, RULES_LATEST)


cdef void exchange_set_rules(Exchange* exchange, u32 rules) noexcept nogil:
    """Later commands are applied under this version."""
    cdef u32 before = exchange.rules
    exchange.rules = rules
    exchange.core.unused = ~<u64>0 if rules < 2 else 0
    if exchange.count and before < 2:   # a state of version 1 does not know what was before
        memset(exchange.core.lasts, 0, exchange.count * sizeof(mc_last))
    exchange.aside = ASIDE_KINDS
    if rules < 3:
        exchange.aside &= ~KINDS_OF_3
    if rules < 2:
        exchange.aside &= ~KINDS_OF_2


cdef void exchange_drop(Exchange* exchange) noexcept nogil:
    markets_drop(exchange)
    free(exchange.books)
    free(exchange.plain)
    slots_drop(&exchange.slots)
    repeats_drop(&exchange.repeats)
    limits_drop(&exchange.limits)
    free(exchange.core.lasts)
    core_drop(&exchange.core)


cdef bint exchange_reserve(Exchange* exchange, size_t size) noexcept nogil:
    """Takes and touches memory for books, orders and their tables; false without it, or twice."""
    return exchange.core.arena.start == NULL and arena_init(&exchange.core.arena, size)


cdef bint grow(void** array, size_t count, size_t size) noexcept nogil:
    """More room in an array that realloc made; false when there is no memory."""
    cdef void* grown = realloc(array[0], count * size)
    if grown != NULL:
        array[0] = grown
    return grown != NULL


cdef bint grow_books(Exchange* exchange) noexcept nogil:
    cdef size_t count = 2 * <size_t>exchange.capacity + 8
    if not (grow(<void**>&exchange.books, count, sizeof(Book*))
            and grow(<void**>&exchange.plain, count, sizeof(Book*))
            and grow(<void**>&exchange.markets.markets, count, sizeof(Market*))
            and grow(<void**>&exchange.core.lasts, count, sizeof(mc_last))):
        return False
    exchange.limits.books = <void**>exchange.books
    exchange.limits.markets = <void**>exchange.markets.markets
    exchange.capacity = <u32>count
    return True


cdef Book* exchange_add_book(Exchange* exchange) noexcept nogil:
    """The book of one more instrument, which takes any lot; NULL when there is no memory."""
    cdef Book* book
    if exchange.count == exchange.capacity and not grow_books(exchange):
        return NULL
    if exchange.slots.spare == 0 and not slots_grow(&exchange.slots):
        return NULL
    book = <Book*>slots_take(&exchange.slots)
    book_init(book, exchange.count + 1)
    exchange.books[exchange.count] = exchange.plain[exchange.count] = book
    exchange.markets.markets[exchange.count] = NULL
    memset(&exchange.core.lasts[exchange.count], 0, sizeof(mc_last))
    exchange.count += 1
    exchange.limits.books_count = exchange.count
    return book


cdef Halt go_on(Exchange* exchange, Events* events) noexcept nogil:
    """With what a full buffer has interrupted, but for orders of plain instruments: see `orders_run`."""
    cdef Core* core = &exchange.core
    if core.pending.stage == LOST:
        return NO_MEMORY
    if not markets_drain(exchange, events):
        return FULL
    if core.pending.stage != SWEEPING:
        return DONE
    once_listen(core, events)
    go_on_sweeping(exchange, events)
    if core.pending.stage == LOST:
        return NO_MEMORY
    if once_heard(core, events) == DONE:
        return DONE
    once_keep(core, exchange.markets.spill.events,
              exchange.markets.spill.events + exchange.markets.spill.count)
    return FULL


cdef Halt exchange_run_all(Exchange* exchange, const mc_command* commands, size_t count,
                           size_t* taken, Events* events) noexcept nogil:
    """`exchange_run` of anything."""
    cdef Core* core = &exchange.core
    cdef const mc_command* command
    cdef Halt halt
    cdef size_t step
    taken[0] = 0
    while True:
        if core.pending.stage != IDLE:
            halt = go_on(exchange, events)
            if halt != DONE:
                return halt
        if taken[0] < count and core.pending.stage == IDLE and is_for_markets(
                exchange, &commands[taken[0]]):
            halt = markets_run(exchange, &commands[taken[0]], count - taken[0], &step, events)
            taken[0] += step
            if halt != DONE or taken[0] == count:
                return halt
            continue
        halt = orders_run(core, exchange.plain, exchange.count, &commands[taken[0]],
                          count - taken[0], &step, events)
        taken[0] += step
        if halt != STOPPED:
            return halt
        command = &commands[taken[0]]
        if is_for_markets(exchange, command):
            continue
        if events.at >= events.end:
            return FULL
        if in_set(exchange.aside, command.kind):
            return STOPPED
        if command.client_order_id != 0 and in_set(REPEATABLE_KINDS, command.kind):
            halt = DONE
            if not once_is_new_here(core, command, events, &halt):
                taken[0] += halt != NO_MEMORY
                if halt != DONE:
                    return halt
                continue
        if command.kind == SET_LIMITS and exchange.rules > 1:
            if not take_limits(exchange, command, events):
                return NO_MEMORY
            taken[0] += 1
            continue
        taken[0] += 1
        core.sequence += 1
        if in_set(SWEEP_KINDS, command.kind):
            begin_sweep(exchange, command, events)
        elif in_set(ORDER_KINDS, command.kind):
            emit_refusal(core, command, R_UNKNOWN_INSTRUMENT, F_INSTRUMENT, events)
        else:
            emit_refusal(core, command, R_UNKNOWN_KIND, F_KIND, events)
        if core.pending.stage == HEARING:
            once_heard(core, events)
