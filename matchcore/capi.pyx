"""The matcher for Cython and C: plain functions on plain structs, in `__pyx_capi__`.

`capi.pxd` is for `cimport`, `matchcore_capi.h` for C; docs/c-api.md tells how.
"""
from libc.stdlib cimport free, malloc

from ._book cimport DONE, EVENTS_MIN, FULL, IDLE, NO_MEMORY, STOPPED, Book, Events, Halt
from .machine.core.ladder cimport Ladder, ladder_key, ladder_price
from .machine._exchange cimport exchange_add_book, exchange_drop, exchange_init, exchange_reserve, exchange_run
from .machine.core.pool cimport Level
from .machine.core.records cimport *
from .machine.core.resting cimport level_at

assert MC_ROOM_MIN == EVENTS_MIN
assert (MC_DONE, MC_INSTRUMENT, MC_FULL, MC_NO_MEMORY) == (DONE, STOPPED, FULL, NO_MEMORY)


cdef u32 mc_version() noexcept nogil:
    """MC_API_VERSION as it was when this module was built."""
    return MC_API_VERSION


cdef mc_machine* mc_create(u64 secret) noexcept nogil:
    """A machine without instruments, or NULL without memory.

    `secret`: a number that who sends orders does not know, against ids chosen to collide.
    """
    cdef mc_machine* machine = <mc_machine*>malloc(sizeof(mc_machine))
    if machine != NULL:
        exchange_init(machine, secret)
    return machine


cdef int mc_reserve(mc_machine* machine, size_t size) noexcept nogil:
    """Takes `size` bytes beforehand for books, orders and their tables, and touches them all.

    In pages of 2 MiB where the system has them; what is needed beyond comes page by page.
    1, or 0 if the system refuses so much or it is not the first call: then nothing has changed.
    """
    return exchange_reserve(machine, size)


cdef void mc_free(mc_machine* machine) noexcept nogil:
    """Gives a machine of mc_create back; NULL is harmless."""
    if machine != NULL:
        exchange_drop(machine)
        free(machine)


cdef mc_machine* mc_of(Machine machine):
    """The machine inside a Python `Machine`, which must outlive the pointer.  Needs the GIL."""
    return &machine.exchange


cdef u32 mc_add_instrument(mc_machine* machine, i64 lot, i64 max_quantity, u64 max_orders) noexcept nogil:
    """Adds an instrument, as a command with a sequence number; returns its number from 1.

    0 without memory, for limits that are none, and while a command is to go on after MC_FULL.
    Not for a machine of mc_of: Python has to know its instruments.
    """
    cdef Book* book
    if machine.core.pending.stage != IDLE:
        return 0                # the sequence is the command's until its last event
    if lot < 1 or max_quantity < lot or not 1 <= max_orders <= <u64>0xffffffff:
        return 0
    book = exchange_add_book(machine)
    if book == NULL:
        return 0
    book.lot = lot
    book.quantity_max = max_quantity
    book.orders_max = <u32>max_orders
    machine.core.sequence += 1
    return book.instrument


cdef mc_halt mc_apply(mc_machine* machine, const mc_command* commands, size_t count,
                      mc_event* events, size_t room, size_t* taken, size_t* written) noexcept nogil:
    """Applies commands in order; says how many it took and how many events it wrote.

    `room` of events, at least MC_ROOM_MIN (fewer: nothing happens, MC_FULL).  A full buffer is
    no error: the last command taken may go on in the next call, even when none is left to take.
    """
    cdef Events buffer
    cdef Halt halt
    taken[0] = written[0] = 0
    if room < EVENTS_MIN:
        return MC_FULL
    buffer.at = events
    buffer.end = events + room - 2
    halt = exchange_run(machine, commands, count, taken, &buffer)
    written[0] = buffer.at - events
    return <mc_halt>halt


cdef u64 mc_sequence(const mc_machine* machine) noexcept nogil:
    """Of the command applied last; 0 before the first."""
    return machine.core.sequence


cdef inline bint is_there(const mc_machine* machine, u32 instrument, u8 side) noexcept nogil:
    return instrument - 1 < machine.count and <u8>(side - 1) <= 1


cdef int mc_best(const mc_machine* machine, u32 instrument, u8 side, i64* price) noexcept nogil:
    """1 and the best price of a side in ticks; 0, and price untouched, when nobody is there."""
    cdef const Ladder* ladder
    if not is_there(machine, instrument, side):
        return 0
    ladder = &machine.books[instrument - 1].sides[side - 1]
    if ladder.levels == 0:
        return 0
    price[0] = ladder_price(ladder, ladder.best)
    return 1


cdef i64 mc_quantity_at(mc_machine* machine, u32 instrument, u8 side, i64 price) noexcept nogil:
    """Open quantity at a price; 0 when nobody is there."""
    cdef Ladder* ladder
    cdef Level* level
    if not is_there(machine, instrument, side):
        return 0
    ladder = &machine.books[instrument - 1].sides[side - 1]
    level = level_at(ladder, ladder_key(ladder, price))
    return level.quantity if level != NULL else 0
