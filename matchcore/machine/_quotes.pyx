"""Quotes of market makers, their protection, groups of accounts; BUST.

The rules are those of `reference/market/{quotes,commands}.py`.
"""
import numpy as np

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport INT64_MAX
from libc.string cimport memset

from ._entry cimport has_room, wrong_cage, wrong_price, wrong_size
from ._execution cimport start
from ._limits cimport limits_admit, limits_allow_more
from ._saying cimport say, say_of
from ._settling cimport settle
from ._turn cimport cancel, fresh, show
from .core.emit cimport emit_taker
from .core.makers cimport (PROTECTIONS_MAX, Maker, MakerTable, is_said, maker_find, maker_made,
                           maker_removed, makers_drop, makers_ready)
from .core.market cimport T_CANCEL_PHASES, T_ENTRY_PHASES, allows
from .core.records cimport *
from .core.resting cimport next_id

from ..records.markets import PROTECTION_STATE


# ---------------------------------------------------------------------- QUOTE

cdef struct Half:           # one side of a QUOTE
    u8 side
    i64 price
    i64 quantity
    Field price_field
    Field quantity_field


cdef void halves(const mc_command* command, Half* half) noexcept nogil:
    half[0].side = BUY
    half[0].price = command.price
    half[0].quantity = command.quantity
    half[0].price_field = F_PRICE
    half[0].quantity_field = F_QUANTITY
    half[1].side = SELL
    half[1].price = command.stop_price
    half[1].quantity = command.display_quantity
    half[1].price_field = F_STOP_PRICE
    half[1].quantity_field = F_DISPLAY_QUANTITY


cdef Reason wrong_quote(Turn* turn, const mc_command* command, Field* field) noexcept nogil:
    """What forbids a QUOTE whatever its sides are, or R_NONE."""
    cdef Reason reason
    if turn.core.limits != NULL:
        reason = limits_admit(turn.core, command.account, command.instrument, turn.time, field)
        if reason != R_NONE:
            return reason
    if command.account == 0:
        field[0] = F_ACCOUNT
        return R_BAD_VALUE
    if command.flags:
        field[0] = F_FLAGS
        return R_BAD_FLAGS
    if command.reserved or command.expiry:
        field[0] = F_RESERVED if command.reserved else F_EXPIRY
        return R_UNSUPPORTED
    if command.self_trade > SELF_DECREMENT:
        field[0] = F_SELF_TRADE
        return R_BAD_SELF_TRADE
    field[0] = F_KIND
    if (not allows(turn.market, T_ENTRY_PHASES, turn.market.phase)
            or turn.market.phase == PHASE_AT_CLOSING_PRICE
            or not allows(turn.market, T_CANCEL_PHASES, turn.market.phase)):
        return R_BAD_PHASE
    return R_NONE


cdef Reason wrong_halves(Turn* turn, const Half* half, Field* field) noexcept nogil:
    """What forbids the sides of a QUOTE each by itself, or both together, or R_NONE."""
    cdef Reason reason
    cdef int at
    for at in range(2):
        if half[at].quantity == 0:
            continue
        field[0] = half[at].quantity_field
        reason = wrong_size(turn, half[at].quantity, half[at].side, LIMIT)
        if reason != R_NONE:
            return reason
        field[0] = half[at].price_field
        reason = wrong_price(turn, half[at].price, half[at].quantity)
        if reason != R_NONE:
            return reason
    if half[0].quantity and half[1].quantity and half[0].price >= half[1].price:
        field[0] = F_STOP_PRICE
        return R_QUOTE_CROSSED
    for at in range(2):
        if half[at].quantity == 0 and half[at].price:
            field[0] = half[at].price_field
            return R_PRICE_NOT_ALLOWED
    return R_NONE


cdef Reason wrong_place(Turn* turn, const mc_command* command, const Half* half, Wide** former,
                        Field* field) noexcept nogil:
    """What of the book and of the account forbids a QUOTE in place of its former one, or R_NONE."""
    cdef Reason reason
    cdef i64 leaving = (former[0] != NULL) + (former[1] != NULL)
    cdef i64 count = turn.book.orders - leaving + (half[0].quantity != 0) + (half[1].quantity != 0)
    cdef int at
    if count > turn.book.orders_max:
        field[0] = F_MAX_ORDERS
        return R_TOO_MANY_ORDERS
    for at in range(2):
        if half[at].quantity == 0:
            continue
        if wrong_cage(turn, half[at].side, half[at].price):
            field[0] = half[at].price_field
            return R_OUTSIDE_CAGE
        if not has_room(turn, half[at].side, half[at].quantity,
                        former[at].total if former[at] != NULL else 0):
            field[0] = F_QUANTITY
            return R_LEVEL_OVERFLOW
        if turn.core.limits != NULL:
            reason = limits_allow_more(turn.core, command.account, command.instrument, False,
                                       half[at].price, half[at].quantity, True, leaving, field)
            if reason != R_NONE:
                return reason
        leaving -= 1
    return R_NONE


cdef Wide* quoted(Turn* turn, const mc_command* command, const Half* half) noexcept nogil:
    """The order of one side; NULL without memory."""
    cdef Wide* wide = fresh(turn)
    if wide == NULL:
        return NULL
    wide.order.order_id = next_id(turn.core, turn.book)
    wide.order.client_order_id = command.client_order_id
    wide.order.account = command.account
    wide.order.side = half.side
    wide.order.price = half.price
    wide.order.time_in_force = DAY
    wide.total = half.quantity
    wide.flags = QUOTED
    wide.order_type = LIMIT
    wide.session = command.session
    wide.self_trade = command.self_trade
    show(wide)
    return wide


cdef void find_quotes(Turn* turn, u64 account, Wide** found) noexcept nogil:
    """The live quotes of an account: the buy order, then the sell order, NULL: none."""
    cdef Maker* entry = maker_find(&turn.all.makers, account, turn.book.instrument)
    found[0] = <Wide*>entry.quotes[0] if entry != NULL else NULL
    found[1] = <Wide*>entry.quotes[1] if entry != NULL else NULL


cdef Reason do_quote(Turn* turn, const mc_command* command, Field* field) noexcept nogil:
    """QUOTE; `quotes_ready` has made room for its entry."""
    cdef Reason reason = wrong_quote(turn, command, field)
    cdef Half half[2]
    cdef Wide* former[2]
    cdef Wide* wide
    cdef mc_event* event
    cdef i64 replaced = 0, entered = 0
    cdef int at
    if reason != R_NONE:
        return reason
    halves(command, half)
    find_quotes(turn, command.account, former)
    reason = wrong_halves(turn, half, field)
    if reason == R_NONE:
        reason = wrong_place(turn, command, half, former, field)
    if reason != R_NONE:
        return reason
    for at in range(2):
        if former[at] != NULL:
            cancel(turn, former[at], R_QUOTE_REPLACED)
            replaced += 1
    for at in range(2):
        if half[at].quantity == 0:
            continue
        wide = quoted(turn, command, &half[at])
        if wide == NULL:
            return R_NONE
        entered += 1
        say_of(turn, ACCEPTED, R_NONE, wide, wide.total, wide.total)
        start(turn, wide)
        settle(turn)
    if entered == 0:
        settle(turn)
    event = say(turn, QUOTE_SET)
    if event != NULL:
        event.client_order_id = command.client_order_id
        event.account = command.account
        event.quantity = replaced
        event.left = entered
    return R_NONE


cdef bint quotes_ready(Markets* all) noexcept nogil:
    """Room for the entry of one account more; false without memory."""
    return makers_ready(&all.makers)


cdef void quote_joined(Turn* turn, Wide* wide) noexcept nogil:
    """An order with the flag QUOTED is live; there is room for an entry."""
    cdef Maker* entry = maker_made(&turn.all.makers, wide.order.account, turn.book.instrument)
    entry.quotes[wide.order.side - 1] = &wide.order


cdef void quote_left(Turn* turn, Wide* wide) noexcept nogil:
    """It is live no more."""
    cdef MakerTable* table = &turn.all.makers
    cdef Maker* entry = maker_find(table, wide.order.account, turn.book.instrument)
    entry.quotes[wide.order.side - 1] = NULL
    if entry.quotes[0] == NULL and entry.quotes[1] == NULL and not is_said(&entry.said):
        maker_removed(table, wide.order.account, turn.book.instrument)


cdef void pull_quotes(Turn* turn) noexcept nogil:
    """Cancels the quotes of the accounts in `pulled`, and empties it."""
    cdef size_t at, count = turn.all.pulled_count
    cdef Wide* found[2]
    turn.all.pulled_count = 0
    for at in range(count):
        find_quotes(turn, turn.all.pulled[at], found)
        if found[0] != NULL:
            cancel(turn, found[0], R_PROTECTION)
        if found[1] != NULL:
            cancel(turn, found[1], R_PROTECTION)


# ---------------------------------------------------------------------- groups and protections

cdef u64 group_of(Markets* all, u64 account) noexcept nogil:
    """The group of an account; 0: none."""
    cdef Maker* entry
    if all.makers.groups == 0:
        return 0
    entry = maker_find(&all.makers, account, 0)
    return entry.said.group if entry != NULL else 0


cdef bint protection_hit(Turn* turn, const Wide* maker, i64 quantity) noexcept nogil:
    """Counts a fill of a quote; true if the maker's quotes go."""
    cdef Maker* entry = maker_find(&turn.all.makers, maker.order.account, turn.book.instrument)
    cdef mc_protection_state* said
    cdef bint hit
    if entry == NULL or not is_said(&entry.said):
        return False
    said = &entry.said
    if said.fills == 0 or (turn.time > said.window_start and
                           <u64>turn.time - <u64>said.window_start >= <u64>said.window_ns):
        said.window_start = turn.time
        said.fills = said.quantity = 0
    said.fills += 1
    said.quantity = INT64_MAX if quantity > INT64_MAX - said.quantity else said.quantity + quantity
    hit = (0 < said.max_fills <= said.fills) or (0 < said.max_quantity <= said.quantity)
    if hit:
        said.window_start = said.fills = said.quantity = 0
    return hit


cdef Reason wrong_protection(const Markets* all, u32 instruments, const mc_protection* command,
                             Field* field) noexcept nogil:
    """What forbids a SET_PROTECTION, in the order of the rule book, or R_NONE."""
    cdef bint bounded = command.max_quantity > 0 or command.max_fills > 0
    cdef bint whole = command.instrument == 0
    if (command.reserved1 or command.reserved2 or command.reserved3 or command.reserved
            or command.reserved_short or command.reserved_long or command.reserved_last):
        field[0] = F_RESERVED
        return R_UNSUPPORTED
    field[0] = F_INSTRUMENT
    if command.instrument > instruments:
        return R_UNKNOWN_INSTRUMENT
    if command.account == 0:
        field[0] = F_ACCOUNT
        return R_BAD_VALUE
    if not whole and all.markets[command.instrument - 1] == NULL:
        return R_NO_MARKET
    if not whole and command.group:
        field[0] = F_GROUP
        return R_BAD_VALUE
    field[0] = F_NONE
    if command.max_quantity < 0 or (whole and command.max_quantity):
        field[0] = F_MAX_QUANTITY
    elif command.max_fills < 0 or (whole and command.max_fills):
        field[0] = F_MAX_FILLS
    elif command.window_ns < 0 or (whole and command.window_ns):
        field[0] = F_WINDOW
    elif (command.window_ns > 0) != bounded:
        field[0] = F_WINDOW
    return R_NONE if field[0] == F_NONE else R_BAD_LIMIT


cdef void put(MakerTable* table, const mc_protection_state* said) noexcept nogil:
    """An entry as a state has it; one with nothing set is removed.  There is room."""
    cdef Maker* entry = maker_find(table, said.account, said.instrument)
    if not is_said(said) and entry == NULL:
        return
    entry = maker_made(table, said.account, said.instrument)
    table.set += is_said(said)
    table.set -= is_said(&entry.said)
    table.groups += said.group != 0
    table.groups -= entry.said.group != 0
    entry.said = said[0]
    if not is_said(said) and entry.quotes[0] == NULL and entry.quotes[1] == NULL:
        maker_removed(table, said.account, said.instrument)


cdef Reason set_protection(Markets* all, Core* core, u32 instruments, const mc_command* command,
                           Events* events, Field* field) noexcept nogil:
    """SET_PROTECTION: R_NONE, or why it is refused; `quotes_ready` has made room."""
    cdef const mc_protection* given = <const mc_protection*>command
    cdef Reason reason = wrong_protection(all, instruments, given, field)
    cdef mc_protection_state said
    cdef mc_event* event = events.at
    cdef mc_command answer
    cdef Maker* before
    if reason != R_NONE:
        return reason
    memset(&said, 0, sizeof(said))
    said.account = given.account
    said.instrument = given.instrument
    said.group = given.group
    said.max_quantity = given.max_quantity
    said.max_fills = given.max_fills
    said.window_ns = given.window_ns
    if all.makers.set >= PROTECTIONS_MAX and is_said(&said):
        before = maker_find(&all.makers, said.account, said.instrument)
        if before == NULL or not is_said(&before.said):
            field[0] = F_ACCOUNT
            return R_TOO_MANY_ENTRIES
    put(&all.makers, &said)
    memset(&answer, 0, sizeof(answer))
    answer.instrument = said.instrument
    answer.account = said.account
    emit_taker(core, events, PROTECTION_SET, R_NONE, &answer, said.max_quantity, said.max_fills)
    event.trade_id = said.group
    return R_NONE


cdef Reason do_bust(Core* core, u32 instruments, const mc_command* command, Events* events,
                    Field* field) noexcept nogil:
    """BUST: R_NONE, or why it is refused."""
    cdef mc_event* event = events.at
    cdef mc_command answer
    if not 1 <= command.instrument <= instruments:
        field[0] = F_INSTRUMENT
        return R_UNKNOWN_INSTRUMENT
    if not 0 < command.order_id < core.next_trade_id:
        field[0] = F_ORDER_ID
        return R_UNKNOWN_TRADE
    memset(&answer, 0, sizeof(answer))
    answer.instrument = command.instrument
    answer.price = command.price
    emit_taker(core, events, BUSTED, R_NONE, &answer, command.quantity, 0)
    event.trade_id = command.order_id
    return R_NONE


# ---------------------------------------------------------------------- states

cdef void quotes_drop(Markets* all) noexcept nogil:
    """Gives the memory of protections and quotes back."""
    makers_drop(&all.makers)


cdef object protections_rows(const Markets* all):
    """A `PROTECTION_STATE` array by account and instrument."""
    cdef const MakerTable* table = &all.makers
    cdef Py_buffer target
    cdef mc_protection_state* into
    cdef u32 i
    rows = np.empty(table.set, PROTECTION_STATE)
    PyObject_GetBuffer(rows, &target, PyBUF_WRITABLE)
    into = <mc_protection_state*>target.buf
    for i in range(table.count):
        if is_said(&table.entries[i].said):
            into[0] = table.entries[i].said
            into += 1
    PyBuffer_Release(&target)
    return rows[np.lexsort((rows["instrument"], rows["account"]))]


cdef int protections_restore(Markets* all, rows) except -1:
    """The entries of a state that is checked."""
    cdef Py_buffer source
    cdef const mc_protection_state* said
    cdef Py_ssize_t i
    PyObject_GetBuffer(np.ascontiguousarray(rows, PROTECTION_STATE), &source, PyBUF_SIMPLE)
    said = <const mc_protection_state*>source.buf
    try:
        for i in range(source.len // <Py_ssize_t>sizeof(mc_protection_state)):
            if not makers_ready(&all.makers):
                raise MemoryError("no memory for the protections of market makers")
            put(&all.makers, &said[i])
    finally:
        PyBuffer_Release(&source)
    return 0


cdef int quotes_check(Markets* all) except -1:
    """Asserts that every entry is found, and that its quotes are those of the account."""
    cdef const MakerTable* table = &all.makers
    cdef const Maker* entry
    cdef const Wide* wide
    cdef u32 i, used = 0, set_ones = 0, groups = 0
    cdef int side
    for i in range(2 * table.capacity):
        used += table.places[i] != 0
    assert used == table.count <= table.capacity, "places of market makers that are lost"
    for i in range(table.count):
        entry = &table.entries[i]
        assert maker_find(table, entry.said.account, entry.said.instrument) == entry, "a lost maker"
        set_ones += is_said(&entry.said)
        groups += entry.said.group != 0
        assert is_said(&entry.said) or entry.quotes[0] != NULL or entry.quotes[1] != NULL, "nothing"
        for side in range(2):
            wide = <const Wide*>entry.quotes[side]
            if wide != NULL:
                assert wide.live and wide.flags & QUOTED, "a quote that is none"
                assert wide.order.account == entry.said.account, "a quote of another account"
                assert wide.order.instrument == entry.said.instrument, "a quote elsewhere"
                assert wide.order.side == side + 1, "a quote of the other side"
    assert set_ones == table.set and groups == table.groups, "makers that are counted wrong"
    return 0
