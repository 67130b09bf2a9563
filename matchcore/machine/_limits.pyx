"""Limits that decide whether an order trades: what they forbid, and how they are set.

The rules are those of docs/limits.md.  A machine without limits comes here for SET_LIMITS only.
"""
import numpy as np

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from .._book cimport Book
from .core.emit cimport emit_refusal
from .core.ladder cimport Ladder, ladder_from
from .core.limits cimport (LIMITS_MAX, Limits, limits_count, limits_find, limits_home,
                          limits_place)
from .core.market cimport Market
from .core.pool cimport Order
from .core.records cimport *
from .core.resting cimport level_at

from ..records.limits import ACCOUNT_LIMITS, LAST


cdef void count_queue(const LimitTable* table, Order* order) noexcept nogil:
    while order != NULL:
        order.flags &= POST_ONLY
        limits_count(table, order, 1)
        order = order.next


cdef void count_ladder(const LimitTable* table, Ladder* ladder) noexcept nogil:
    cdef u64 key = 0
    while ladder_from(ladder, key, &key):
        count_queue(table, level_at(ladder, key).head)
        if key == ~<u64>0:
            return
        key += 1


cdef void count_market(const LimitTable* table, Market* market) noexcept nogil:
    """Those that are not shown."""
    cdef int side
    for side in range(2):
        count_ladder(table, &market.dark[side])
        count_ladder(table, &market.stops[side])
    count_queue(table, <Order*>market.trailing.head)
    count_queue(table, <Order*>market.waiting.head)
    count_queue(table, <Order*>market.caged.head)


cdef void count_anew(LimitTable* table) noexcept nogil:
    """The open orders of every account with limits.  O(orders): once behind new entries."""
    cdef u32 i
    for i in range(table.count):
        table.entries[i].open = 0
    for i in range(table.books_count):
        count_ladder(table, &(<Book*>table.books[i]).sides[0])
        count_ladder(table, &(<Book*>table.books[i]).sides[1])
        if table.markets[i] != NULL:
            count_market(table, <Market*>table.markets[i])
    table.stale = False


cdef inline bint has_room(const mc_account_limits* said, i64 time) noexcept nogil:
    """True if one more message is within the rate."""
    return (said.max_messages == 0 or said.messages < said.max_messages
            or is_over(said, time))


cdef inline bint is_over(const mc_account_limits* said, i64 time) noexcept nogil:
    """True if the window has ended, or never begun.  One of an earlier time is in it."""
    return said.messages == 0 or (
        time > said.window_start
        and <u64>time - <u64>said.window_start >= <u64>said.window_ns)


cdef inline void count_message(mc_account_limits* said, i64 time) noexcept nogil:
    if said.max_messages == 0:
        return
    if is_over(said, time):
        said.window_start = time
        said.messages = 0
    said.messages += 1


cdef Reason limits_admit(Core* core, u64 account, u32 instrument, i64 time, Field* field) noexcept nogil:
    """What forbids an account to send a NEW or AMEND now, or R_NONE; then it is counted."""
    cdef Limits* every = limits_find(core.limits, account, 0)
    cdef Limits* one = NULL
    if every == NULL:
        return R_NONE
    if time == 0:
        time = core.now
    if every.others:
        one = limits_find(core.limits, account, instrument)
    if every.said.flags or (one != NULL and one.said.flags):
        field[0] = F_ACCOUNT
        return R_ACCOUNT_BLOCKED
    if not has_room(&every.said, time) or (one != NULL and not has_room(&one.said, time)):
        field[0] = F_MAX_MESSAGES
        return R_LIMIT_EXCEEDED
    count_message(&every.said, time)
    if one != NULL:
        count_message(&one.said, time)
    return R_NONE


cdef inline u64 distance(i64 a, i64 b) noexcept nogil:
    return <u64>a - <u64>b if a > b else <u64>b - <u64>a


cdef Field exceeded(const Limits* entry, const mc_last* last, bint market, i64 price, i64 quantity,
                    bint rests, i64 leaving) noexcept nogil:
    """The first limit of an entry that an order exceeds, or F_NONE."""
    cdef const mc_account_limits* said = &entry.said
    if said.max_quantity and quantity > said.max_quantity:
        return F_MAX_QUANTITY
    if said.max_value and not (market and not last.traded):
        if mc_product_above(distance(last.price if market else price, 0), <u64>quantity,
                            <u64>said.max_value):
            return F_MAX_VALUE
    if rests and said.max_open_orders and entry.open - leaving >= said.max_open_orders:
        return F_MAX_OPEN_ORDERS
    if said.collar and last.traded and not market and distance(price, last.price) > <u64>said.collar:
        return F_COLLAR
    return F_NONE


cdef Reason limits_allow(Core* core, u64 account, u32 instrument, bint market, i64 price, i64 quantity,
                         bint rests, Field* field) noexcept nogil:
    """What forbids an order that all other rules allow, or R_NONE."""
    return limits_allow_more(core, account, instrument, market, price, quantity, rests, 0, field)


cdef Reason limits_allow_more(Core* core, u64 account, u32 instrument, bint market, i64 price,
                              i64 quantity, bint rests, i64 leaving, Field* field) noexcept nogil:
    """`limits_allow` when so many open orders of the account make place for this one."""
    cdef const mc_last* last = &core.lasts[instrument - 1]
    cdef Limits* entry = limits_find(core.limits, account, 0)
    if entry == NULL:
        return R_NONE
    if rests and core.limits.stale and (entry.said.max_open_orders or entry.others):
        count_anew(core.limits)
    field[0] = exceeded(entry, last, market, price, quantity, rests, leaving)
    if field[0] == F_NONE and entry.others:
        entry = limits_find(core.limits, account, instrument)
        if entry != NULL:
            field[0] = exceeded(entry, last, market, price, quantity, rests, leaving)
    return R_NONE if field[0] == F_NONE else R_LIMIT_EXCEEDED


# ---------------------------------------------------------------------- setting them

cdef Reason wrong_limits(const mc_limits* command, u32 instruments, Field* field) noexcept nogil:
    """What forbids a SET_LIMITS, in the order of the rule book, or R_NONE."""
    if command.instrument > instruments:
        field[0] = F_INSTRUMENT
        return R_UNKNOWN_INSTRUMENT
    if command.account == 0:
        field[0] = F_ACCOUNT
        return R_BAD_VALUE
    if command.flags not in (0, L_BLOCKED, L_BLOCKED | L_CANCEL):
        field[0] = F_FLAGS
        return R_BAD_FLAGS
    if (command.reserved_long or command.reserved or command.reserved_short
            or command.reserved_next or command.reserved_last):
        field[0] = F_RESERVED
        return R_UNSUPPORTED
    field[0] = F_NONE
    if command.max_quantity < 0:
        field[0] = F_MAX_QUANTITY
    elif command.max_value < 0:
        field[0] = F_MAX_VALUE
    elif command.max_open_orders < 0:
        field[0] = F_MAX_OPEN_ORDERS
    elif command.collar < 0:
        field[0] = F_COLLAR
    elif command.max_messages < 0:
        field[0] = F_MAX_MESSAGES
    elif command.window_ns < 0 or (command.window_ns > 0) != (command.max_messages > 0):
        field[0] = F_WINDOW
    return R_NONE if field[0] == F_NONE else R_BAD_LIMIT


cdef bint is_set(const mc_account_limits* said) noexcept nogil:
    return (said.max_quantity | said.max_value | said.max_open_orders | said.collar
            | said.max_messages | said.flags) != 0


cdef bint ready(LimitTable* table) noexcept nogil:
    """Room for two entries more; false when there is no memory."""
    cdef u32 capacity = table.capacity, i
    cdef void* grown
    cdef u32* places
    if table.count + 2 <= table.capacity:
        return True
    capacity = 16 if capacity == 0 else 2 * capacity
    places = <u32*>calloc(2 * <size_t>capacity, sizeof(u32))
    grown = realloc(table.entries, capacity * sizeof(Limits))
    if grown != NULL:
        table.entries = <Limits*>grown
    if grown == NULL or places == NULL:
        free(places)
        return False
    free(table.places)
    table.places = places
    table.capacity = capacity
    for i in range(table.count):
        table.places[limits_place(table, table.entries[i].said.account,
                                  table.entries[i].said.instrument)] = i + 1
    return True


cdef Limits* made(LimitTable* table, u64 account, u32 instrument) noexcept nogil:
    """The entry, which may be new; there is room."""
    cdef u32 at = limits_place(table, account, instrument)
    cdef Limits* entry
    if table.places[at] == 0:
        entry = &table.entries[table.count]
        memset(entry, 0, sizeof(Limits))
        entry.said.account = account
        entry.said.instrument = instrument
        table.count += 1
        table.places[at] = table.count
        table.stale = True
    return &table.entries[table.places[at] - 1]


cdef void removed(LimitTable* table, u64 account, u32 instrument) noexcept nogil:
    """Takes an entry out; the last one comes in its place."""
    cdef u32 mask = 2 * table.capacity - 1
    cdef u32 hole = limits_place(table, account, instrument), at, home, number
    cdef const mc_account_limits* said
    number = table.places[hole]
    at = hole
    while True:                 # those behind it move up, so that no look ends too early
        at = (at + 1) & mask
        if table.places[at] == 0:
            break
        said = &table.entries[table.places[at] - 1].said
        home = limits_home(table, said.account, said.instrument)
        if ((at - home) & mask) >= ((at - hole) & mask):
            table.places[hole] = table.places[at]
            hole = at
    table.places[hole] = 0
    if number != table.count:
        said = &table.entries[table.count - 1].said
        table.places[limits_place(table, said.account, said.instrument)] = number
        table.entries[number - 1] = table.entries[table.count - 1]
    table.count -= 1


cdef void put(Core* core, LimitTable* table, const mc_account_limits* said) noexcept nogil:
    """An entry as a state has it; one with nothing set is removed.  There is room."""
    cdef Limits* every
    cdef Limits* one
    cdef bint was, will = is_set(said)
    if not will and (table.capacity == 0 or limits_find(table, said.account, said.instrument) == NULL):
        return
    made(table, said.account, 0)
    one = made(table, said.account, said.instrument)
    every = limits_find(table, said.account, 0)
    was = is_set(&one.said)
    one.said = said[0]
    table.set += will
    table.set -= was
    if said.instrument:
        every.others += will
        every.others -= was
        if not will:
            removed(table, said.account, said.instrument)
            every = limits_find(table, said.account, 0)
    if every.others == 0 and not is_set(&every.said):
        removed(table, said.account, 0)
    core.limits = table if table.count else NULL


cdef SetLimits limits_set(Core* core, LimitTable* table, u32 instruments, const mc_limits* command,
                          Events* events) noexcept nogil:
    """The turn of a SET_LIMITS, but for its last event."""
    cdef Field field = F_NONE
    cdef Reason reason
    cdef mc_account_limits said
    cdef mc_command answer
    cdef Limits* before
    if not ready(table):
        return LIMITS_NO_MEMORY
    said.account = command.account
    said.max_quantity = command.max_quantity
    said.max_value = command.max_value
    said.max_open_orders = command.max_open_orders
    said.collar = command.collar
    said.max_messages = command.max_messages
    said.window_ns = command.window_ns
    said.instrument = command.instrument
    said.flags = command.flags & L_BLOCKED
    said.window_start = said.messages = 0
    core.sequence += 1
    reason = wrong_limits(command, instruments, &field)
    if reason == R_NONE and table.set >= LIMITS_MAX and is_set(&said):
        before = limits_find(table, command.account, command.instrument)
        if before == NULL or not is_set(&before.said):
            field = F_ACCOUNT
            reason = R_TOO_MANY_ENTRIES
    if reason != R_NONE:
        memset(&answer, 0, sizeof(answer))
        answer.instrument = command.instrument
        emit_refusal(core, &answer, reason, field, events)
        return LIMITS_REFUSED
    put(core, table, &said)
    return LIMITS_CANCEL if command.flags & L_CANCEL else LIMITS_ARE_SET


cdef void limits_drop(LimitTable* table) noexcept nogil:
    free(table.entries)
    free(table.places)


# ---------------------------------------------------------------------- states

cdef object limits_rows(const LimitTable* table):
    """An `ACCOUNT_LIMITS` array by account and instrument."""
    cdef Py_buffer target
    cdef mc_account_limits* into
    cdef u32 i
    rows = np.empty(table.set, ACCOUNT_LIMITS)
    PyObject_GetBuffer(rows, &target, PyBUF_WRITABLE)
    into = <mc_account_limits*>target.buf
    for i in range(table.count):
        if is_set(&table.entries[i].said):
            into[0] = table.entries[i].said
            into += 1
    PyBuffer_Release(&target)
    return rows[np.lexsort((rows["instrument"], rows["account"]))]


cdef int limits_restore(Core* core, LimitTable* table, rows) except -1:
    """The entries of a state that is checked."""
    cdef Py_buffer source
    cdef const mc_account_limits* said
    cdef Py_ssize_t i
    PyObject_GetBuffer(np.ascontiguousarray(rows, ACCOUNT_LIMITS), &source, PyBUF_SIMPLE)
    said = <const mc_account_limits*>source.buf
    try:
        for i in range(source.len // <Py_ssize_t>sizeof(mc_account_limits)):
            if not ready(table):
                raise MemoryError("no memory for the limits of accounts")
            put(core, table, &said[i])
    finally:
        PyBuffer_Release(&source)
    return 0


cdef object last_rows(const Core* core, size_t count):
    """The last trades of the first instruments, a `LAST` array."""
    cdef Py_buffer target
    rows = np.empty(count, LAST)
    PyObject_GetBuffer(rows, &target, PyBUF_WRITABLE)
    if count:
        memcpy(target.buf, core.lasts, count * sizeof(mc_last))
    PyBuffer_Release(&target)
    return rows


cdef int last_restore(Core* core, rows) except -1:
    cdef Py_buffer source
    PyObject_GetBuffer(np.ascontiguousarray(rows, LAST), &source, PyBUF_SIMPLE)
    if source.len:
        memcpy(core.lasts, source.buf, source.len)
    PyBuffer_Release(&source)
    return 0


cdef int limits_check(Core* core, const LimitTable* table) except -1:
    """Asserts that every entry is found, and that open orders are counted right."""
    cdef u32 i, used = 0, set_ones = 0, others = 0
    cdef LimitTable again = table[0]
    cdef const mc_account_limits* said
    assert (core.limits == NULL) == (table.count == 0), "limits that are not looked at"
    if table.count == 0:
        return 0
    for i in range(2 * table.capacity):
        used += table.places[i] != 0
    assert used == table.count <= table.capacity, "places of limits that are lost"
    counted = []
    for i in range(table.count):
        said = &table.entries[i].said
        assert limits_find(table, said.account, said.instrument) == &table.entries[i], "lost limits"
        assert limits_find(table, said.account, 0) != NULL, "limits of an account that is not known"
        set_ones += is_set(&table.entries[i].said)
        others += table.entries[i].others
        others -= said.instrument != 0
        counted.append(table.entries[i].open)
    assert set_ones == table.set and others == 0, "limits that are counted wrong"
    if not table.stale:
        count_anew(&again)
        assert counted == [table.entries[i].open for i in range(table.count)], "open orders"
    return 0
