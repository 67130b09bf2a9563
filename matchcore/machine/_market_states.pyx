"""The markets of a state: as they are written and read."""
import numpy as np

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memcpy, memset

from .._book cimport Core
from ._counted cimport counted_push
from ._inspect cimport orders_array
from ._market cimport market_make
from ._market_checks cimport market_check
from ._parameters cimport parameters_restore, parameters_rows
from ._places cimport orders_of
from ._quotes cimport protections_restore, protections_rows
from ._turn cimport put_back, turn_begin
from .core.ids cimport ids_look_up, ids_ready
from .core.makers cimport Maker, maker_find, makers_ready
from .core.market cimport *
from .core.pool cimport pool_ready, slots_grow, slots_take
from .core.records cimport *

from ..errors import SnapshotDamaged
from ..records.commands import ORDER
from ..records.markets import MARKET_ORDER, MARKET_STATE, MARKET_TRADES

cdef enum:
    LIVE_FLAGS = (POST_ONLY | PROTECTED | HIDDEN | SLIDE | MINIMUM | PERCENT | LINKED | QUOTED)


# ---------------------------------------------------------------------- looking

cdef void show_wide(const Wide* wide, mc_order* into) noexcept nogil:
    into.order_id = wide.order.order_id
    into.client_order_id = wide.order.client_order_id
    into.account = wide.order.account
    into.price = wide.order.price
    into.quantity = wide.total
    into.side = wide.order.side
    into.time_in_force = wide.order.time_in_force
    into.flags = wide.flags
    into.reserved = 0


cdef size_t found(Machine machine, u32 number) except? 0:
    """All orders of a market, in `found`."""
    cdef Markets* all = &machine.exchange.markets
    cdef size_t count = orders_of(all, all.markets[number - 1])
    if count == 0 and all.markets[number - 1].book.orders:
        raise MemoryError("no memory to look at the orders of a market")
    return count


cdef object machine_orders(Machine machine, u32 number):
    """The orders of an instrument as an `ORDER` array, in the order of a state."""
    cdef Py_buffer target
    cdef size_t count, i
    if machine.exchange.markets.markets[number - 1] == NULL:
        return orders_array(machine.exchange.books[number - 1])
    count = found(machine, number)
    array = np.empty(count, ORDER)
    PyObject_GetBuffer(array, &target, PyBUF_WRITABLE)
    for i in range(count):
        show_wide(machine.exchange.markets.found[i], <mc_order*>target.buf + i)
    PyBuffer_Release(&target)
    return array


cdef object market_order_row(Machine machine, u32 number, u64 order_id):
    """The live order of this id of a market as an `ORDER` row, or None."""
    cdef Py_buffer target
    cdef const Wide* wide = <const Wide*>ids_look_up(&machine.exchange.core.ids, number, order_id)
    if wide == NULL:
        return None
    array = np.empty(1, ORDER)
    PyObject_GetBuffer(array, &target, PyBUF_WRITABLE)
    show_wide(wide, <mc_order*>target.buf)
    PyBuffer_Release(&target)
    return array[0]


cdef object market_seen(Machine machine, u32 number):
    """The parameters and the `MARKET_STATE` of an instrument, or None."""
    cdef Py_buffer target
    cdef const Market* market = machine.exchange.markets.markets[number - 1]
    if market == NULL:
        return None
    array = np.empty(1, MARKET_STATE)
    PyObject_GetBuffer(array, &target, PyBUF_WRITABLE)
    write_market(market, <mc_market_state*>target.buf)
    PyBuffer_Release(&target)
    return parameters_rows(machine, number, number), array[0]


cdef object market_order_seen(Machine machine, u32 number, u64 order_id):
    """The live order of this id of a market as a `MARKET_ORDER` row, or None."""
    cdef Py_buffer target
    cdef const Wide* wide
    if machine.exchange.markets.markets[number - 1] == NULL:
        return None
    wide = <const Wide*>ids_look_up(&machine.exchange.core.ids, number, order_id)
    if wide == NULL:
        return None
    array = np.empty(1, MARKET_ORDER)
    PyObject_GetBuffer(array, &target, PyBUF_WRITABLE)
    write_wide(wide, <mc_market_order*>target.buf)
    PyBuffer_Release(&target)
    return array[0]


# ---------------------------------------------------------------------- writing

cdef void write_market(const Market* market, mc_market_state* row) noexcept nogil:
    memset(row, 0, sizeof(mc_market_state))
    row.until = market.until
    row.entries = market.entries
    if market.known & KNOWN_OPEN:
        row.open_price = market.open_price
    if market.known & KNOWN_AUCTION:
        row.auction_price = market.auction_price
    if market.known & KNOWN_CLOSING:
        row.closing_price = market.closing_price
    row.close_turnover = market.close_turnover
    row.close_turnover_high = market.close_turnover_high
    row.close_volume = market.close_volume
    if market.known & KNOWN_INDICATIVE:
        row.indicative_price = market.indicative_price
        row.indicative_quantity = market.indicative_quantity
        row.indicative_imbalance = market.indicative_imbalance
        row.indicative_time = market.indicative_time
    row.instrument = market.book.instrument
    row.phase = market.phase
    row.known = market.known
    row.halts = market.halts


cdef void write_wide(const Wide* wide, mc_market_order* row) noexcept nogil:
    memset(row, 0, sizeof(mc_market_order))
    row.entry = wide.entry
    row.filled = wide.filled
    row.shown = shown_of(wide)
    row.display = wide.display
    row.stop_price = wide.stop_price
    row.limit = wide.limit
    row.expiry = wide.expiry
    row.link = wide.link
    row.session = wide.session
    row.instrument = wide.order.instrument
    row.flags = wide.flags
    row.order_type = wide.order_type
    row.self_trade = wide.self_trade
    row.place = wide.place


cdef tuple market_parts(Machine machine):
    """Parameters, states, orders, protections and counted trades: those parts of a `State`."""
    cdef Markets* all = &machine.exchange.markets
    cdef Py_buffer target
    cdef size_t count, i, orders = 0, row = 0
    cdef u32 number
    for number in range(1, machine.exchange.count + 1):
        if all.markets[number - 1] != NULL:
            orders += all.markets[number - 1].book.orders
    states, more = np.empty(all.count, MARKET_STATE), np.empty(orders, MARKET_ORDER)
    PyObject_GetBuffer(states, &target, PyBUF_WRITABLE)
    for number in range(1, machine.exchange.count + 1):
        if all.markets[number - 1] != NULL:
            write_market(all.markets[number - 1], <mc_market_state*>target.buf + row)
            row += 1
    PyBuffer_Release(&target)
    PyObject_GetBuffer(more, &target, PyBUF_WRITABLE)
    row = 0
    try:
        for number in range(1, machine.exchange.count + 1):
            if all.markets[number - 1] != NULL:
                count = found(machine, number)
                for i in range(count):
                    write_wide(all.found[i], <mc_market_order*>target.buf + row)
                    row += 1
    finally:
        PyBuffer_Release(&target)
    return (parameters_rows(machine, 1, machine.exchange.count), states, more, protections_rows(all),
            trades_rows(machine))


cdef object trades_rows(Machine machine):
    """What closing averages have counted, a `MARKET_TRADES` array."""
    cdef Markets* all = &machine.exchange.markets
    cdef Py_buffer target
    cdef const CountedTrades* counted
    cdef size_t count = 0, at = 0
    cdef u32 i
    for i in range(machine.exchange.count):
        if all.markets[i] != NULL:
            count += all.markets[i].counted.count
    rows = np.empty(count, MARKET_TRADES)
    PyObject_GetBuffer(rows, &target, PyBUF_WRITABLE)
    for i in range(machine.exchange.count):
        if all.markets[i] != NULL and all.markets[i].counted.count:
            counted = &all.markets[i].counted
            memcpy(<mc_market_trades*>target.buf + at, &counted.rows[counted.first],
                   counted.count * sizeof(mc_market_trades))
            at += counted.count
    PyBuffer_Release(&target)
    return rows


cdef int trades_restore(Machine machine, rows) except -1:
    """Keeps the counted trades of a state that is checked."""
    cdef Markets* all = &machine.exchange.markets
    cdef Py_buffer source
    cdef const mc_market_trades* row
    cdef mc_market_trades* into
    cdef size_t i
    PyObject_GetBuffer(np.ascontiguousarray(rows, MARKET_TRADES), &source, PyBUF_SIMPLE)
    try:
        for i in range(len(rows)):
            row = <const mc_market_trades*>source.buf + i
            into = counted_push(all.markets[row.instrument - 1])
            if into == NULL:
                raise MemoryError("no memory for the counted trades of a state")
            into[0] = row[0]
    finally:
        PyBuffer_Release(&source)
    return 0


# ---------------------------------------------------------------------- reading

cdef void read_market(Market* market, const mc_market_state* row) noexcept nogil:
    market.until = row.until
    market.entries = row.entries
    market.open_price = row.open_price
    market.auction_price = row.auction_price
    market.closing_price = row.closing_price
    market.close_turnover = row.close_turnover
    market.close_turnover_high = row.close_turnover_high
    market.close_volume = row.close_volume
    market.indicative_price = row.indicative_price
    market.indicative_quantity = row.indicative_quantity
    market.indicative_imbalance = row.indicative_imbalance
    market.indicative_time = row.indicative_time
    market.phase = row.phase
    market.known = row.known
    market.halts = row.halts


cdef void read_wide(Wide* wide, const mc_order* plain, const mc_market_order* more) noexcept nogil:
    memset(wide, 0, sizeof(Wide))
    wide.order.order_id = plain.order_id
    wide.order.client_order_id = plain.client_order_id
    wide.order.account = plain.account
    wide.order.price = plain.price
    wide.order.side = plain.side
    wide.order.time_in_force = plain.time_in_force
    wide.order.instrument = more.instrument
    wide.order.left = plain.quantity if more.flags & HIDDEN else more.shown
    wide.total = plain.quantity
    wide.filled = more.filled
    wide.display = more.display
    wide.stop_price = more.stop_price
    wide.limit = more.limit
    wide.expiry = more.expiry
    wide.entry = more.entry
    wide.link = more.link
    wide.session = more.session
    wide.flags = more.flags
    wide.order_type = more.order_type
    wide.self_trade = more.self_trade
    wide.place = more.place


cdef const char* wrong_row(const Market* market, const mc_order* plain,
                           const mc_market_order* more) noexcept nogil:
    """What no order of a market can be, whatever else is there, or NULL."""
    cdef bint hidden = more.flags & HIDDEN != 0
    if plain.order_id == 0 or plain.quantity <= 0 or more.filled < 0:
        return b"an order without id or quantity"
    if (not in_set(EVERY_SIDE, plain.side) or not in_set(EVERY_TIMEINFORCE, plain.time_in_force)
            or not in_set(EVERY_ORDERTYPE, more.order_type) or more.self_trade > SELF_DECREMENT
            or more.place > PLACE_CAGED or plain.reserved or plain.flags != more.flags
            or more.flags & ~LIVE_FLAGS or more.reserved or more.reserved_short):
        return b"an order with unknown codes"
    if not (-PRICE_MAX <= plain.price <= PRICE_MAX or plain.price == (
            ANY_BUY if plain.side == BUY else ANY_SELL)):
        return b"an order at a price that no market has"
    if not -PRICE_MAX <= more.limit <= PRICE_MAX or more.display < 0:
        return b"an order with a bound or a display quantity that no market has"
    if has(STOP_TYPES | PEG_TYPES, more.order_type) and not (
            -2 * PRICE_MAX <= more.stop_price <= 2 * PRICE_MAX):
        return b"an order with a stop price that no market has"
    if more.shown < 0 or more.shown > plain.quantity or (more.shown == 0) != hidden:
        return b"an order that shows more than it has, or nothing"
    if more.entry == 0 or more.entry > market.entries:
        return b"an order that was never entered"
    if market.open_quantity[plain.side - 1] > <i64>0x7fffffffffffffff - plain.quantity:
        return b"more on one side than 63 bits hold"
    return NULL


cdef bint is_at_home(const Wide* wide) noexcept nogil:
    """True if an order's type may be where it is."""
    if wide.place == PLACE_STOPS:
        return wide.order_type == STOP or wide.order_type == STOP_LIMIT
    if wide.place == PLACE_TRAILING:
        return wide.order_type == TRAILING_STOP
    return not has(STOP_TYPES, wide.order_type) and (
        wide.place != PLACE_CAGED or wide.order_type == LIMIT)


cdef const char* restore_orders(Machine machine, Market* market, const mc_order* plain,
                                const mc_market_order* more, size_t count) noexcept nogil:
    """Fills an empty market with orders in the order of a state; what is wrong with them, or NULL."""
    cdef Markets* all = &machine.exchange.markets
    cdef Core* core = &machine.exchange.core
    cdef const char* wrong
    cdef const Maker* maker
    cdef Wide* wide
    cdef Turn turn
    cdef size_t i
    turn_begin(&turn, all, core, market.book.instrument, 0, NULL)
    for i in range(count):
        wrong = wrong_row(market, &plain[i], &more[i])
        if wrong != NULL:
            return wrong
        if ids_look_up(&core.ids, market.book.instrument, plain[i].order_id) != NULL:
            return b"the same order twice"
        if more[i].flags & QUOTED:
            maker = maker_find(&all.makers, plain[i].account, market.book.instrument)
            if maker != NULL and maker.quotes[plain[i].side - 1] != NULL:
                return b"two quotes of one account"
            if not makers_ready(&all.makers):
                return b"more orders than there is memory for"
        if not (pool_ready(&core.pool, 1) and ids_ready(&core.ids, 1)) or (
                all.wides.spare == 0 and not slots_grow(&all.wides)):
            return b"more orders than there is memory for"
        wide = <Wide*>slots_take(&all.wides)
        read_wide(wide, &plain[i], &more[i])
        put_back(&turn, wide)
        if not is_at_home(wide):
            return b"an order where its type cannot be"
    return NULL


cdef int markets_restore(Machine machine, state) except -1:
    """Makes the markets of a state that is checked but for their orders."""
    cdef Py_buffer rows, plain, more
    cdef const char* wrong = NULL
    cdef Market* market
    cdef size_t i, at = 0, count
    for number in state.markets["instrument"].tolist():
        if market_make(&machine.exchange, number) == NULL:
            raise MemoryError("no memory for the markets of a state")
    parameters_restore(machine, state.market_values)
    protections_restore(&machine.exchange.markets, state.protections)
    trades_restore(machine, state.market_trades)
    PyObject_GetBuffer(np.ascontiguousarray(state.markets, MARKET_STATE), &rows, PyBUF_SIMPLE)
    PyObject_GetBuffer(np.ascontiguousarray(state.market_orders, MARKET_ORDER), &more, PyBUF_SIMPLE)
    for i in range(len(state.markets)):
        number = (<const mc_market_state*>rows.buf)[i].instrument
        market = machine.exchange.markets.markets[<u32>number - 1]
        read_market(market, <const mc_market_state*>rows.buf + i)
        orders = np.ascontiguousarray(state.orders[number - 1], ORDER)
        count = len(orders)
        PyObject_GetBuffer(orders, &plain, PyBUF_SIMPLE)
        wrong = restore_orders(machine, market, <const mc_order*>plain.buf,
                               <const mc_market_order*>more.buf + at, count)
        PyBuffer_Release(&plain)
        if wrong != NULL:
            break
        at += count
    PyBuffer_Release(&rows)
    PyBuffer_Release(&more)
    if wrong != NULL:
        raise SnapshotDamaged(f"market {number}: {wrong.decode('ascii')}")
    for number in state.markets["instrument"].tolist():
        sort_pegs(&machine.exchange.markets, machine.exchange.markets.markets[<u32>number - 1])
    _, _, orders, _, _ = market_parts(machine)
    if orders.tobytes() != state.market_orders.tobytes():
        raise SnapshotDamaged("orders of markets that are not sorted")
    try:
        for number in state.markets["instrument"].tolist():
            market = machine.exchange.markets.markets[<u32>number - 1]
            market_check(&machine.exchange.core, &machine.exchange.markets, market)
    except AssertionError as error:
        raise SnapshotDamaged(str(error)) from None
    return 0


cdef int sort_pegs(Markets* all, Market* market) except -1:
    """The pegs of a state in the order of their entries."""
    cdef Wide* wide
    cdef Pegs* line
    cdef size_t i, count
    if orders_of(all, market) == 0 and market.book.orders:      # room for as many
        raise MemoryError("no memory to sort the pegs of a market")
    for which in range(FOLLOWED):
        line = &market.pegs[<u32>which]
        pegs = []
        count = 0
        wide = line.head
        while wide != NULL:
            all.found[count] = wide
            pegs.append((wide.entry, count))
            count += 1
            wide = wide.after
        line.head = line.tail = NULL
        for _, i in sorted(pegs):
            wide = all.found[i]
            wide.after = NULL
            wide.before = line.tail
            if line.tail != NULL:
                line.tail.after = wide
            else:
                line.head = wide
            line.tail = wide
    return 0
