"""Books of orders that were matched elsewhere, kept by their public changes alone.

Each change says what its level holds afterwards.  It is compared, so a change that is missing,
comes twice or is damaged is found at the first change of that level.
"""
import numpy as np

from cpython.buffer cimport (PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release,
                             PyObject_GetBuffer)
from libc.stdint cimport INT64_MAX
from libc.string cimport memset

from .._book cimport Book, Core
from ._inspect cimport fresh_secret, levels_array, order_row, orders_array
from ._exchange cimport Exchange, exchange_add_book, exchange_drop, exchange_init
from .core.ids cimport ids_find, ids_hash, ids_look_up, ids_ready
from .core.ladder cimport Ladder, ladder_from, ladder_key
from .core.pool cimport Level, Order, pool_ready
from .core.records cimport *
from .core.resting cimport book_remove, book_rest, level_at, overflows, shrink, side_of

from ..errors import FeedError, UnknownInstrument
from ..records.arguments import integer, shown
from ..records.changes import CHANGE

cdef u64 UINT32_TOP = 0xffffffff

cdef enum Wrong:
    W_NOTHING
    W_MEMORY
    W_KIND
    W_INSTRUMENT
    W_SIDE
    W_QUANTITY
    W_TWICE
    W_UNKNOWN
    W_ORDER
    W_LEVEL

WHAT = {
    W_KIND: "no such kind of change",
    W_INSTRUMENT: "an instrument that was not defined",
    W_SIDE: "no such side",
    W_QUANTITY: "a quantity that cannot be",
    W_TWICE: "an order that is there is added again",
    W_UNKNOWN: "an order that is not there",
    W_ORDER: "the order has another side, price or quantity",
    W_LEVEL: "the level holds something else",
}


cdef inline bint is_of_order(const mc_change* change) noexcept nogil:
    return C_ADDED <= change.kind <= C_DELETED


cdef void show_level(Exchange* exchange, mc_change* change) noexcept nogil:
    """Writes what the level of a change of an order holds now into the change."""
    cdef Ladder* ladder = side_of(exchange.books[change.instrument - 1], change.side)
    cdef const Level* level = level_at(ladder, ladder_key(ladder, change.price))
    cdef bint empty = level == NULL or level.orders == 0
    change.level_quantity = 0 if empty else level.quantity
    change.level_orders = 0 if empty else <u32>level.orders


cdef Wrong level_is(Exchange* exchange, const mc_change* change) noexcept nogil:
    """Whether its level holds what a change says."""
    cdef mc_change held = change[0]
    show_level(exchange, &held)
    if held.level_quantity != change.level_quantity or held.level_orders != change.level_orders:
        return W_LEVEL
    return W_NOTHING


cdef Wrong fill(Exchange* exchange, mc_change* change) noexcept nogil:
    """Writes what the order that rests says of itself into a change that only names it."""
    cdef Order* order
    cdef u32 hash = ids_hash(&exchange.core.ids, change.instrument, change.order_id)
    if change.kind == C_ADDED or not is_of_order(change):
        return W_NOTHING
    order = ids_find(&exchange.core.ids, hash, change.instrument, change.order_id)
    if order == NULL:
        return W_UNKNOWN
    if change.kind == C_DELETED and change.quantity == 0:
        change.quantity = order.left
    if not 0 < change.quantity <= order.left:
        return W_ORDER
    change.side, change.price = order.side, order.price
    change.left = order.left - change.quantity
    return W_NOTHING


cdef Wrong add(Core* core, Book* book, const mc_change* change) noexcept nogil:
    cdef Ladder* ladder = side_of(book, change.side)
    cdef u64 key = ladder_key(ladder, change.price)
    cdef u32 hash = ids_hash(&core.ids, book.instrument, change.order_id)
    cdef mc_command command
    if change.order_id == 0 or change.quantity <= 0 or change.left != change.quantity:
        return W_QUANTITY
    if not ids_ready(&core.ids, 1) or not pool_ready(&core.pool, 1):
        return W_MEMORY
    if ids_find(&core.ids, hash, book.instrument, change.order_id) != NULL:
        return W_TWICE
    if overflows(ladder, key, change.quantity, 0):
        return W_QUANTITY
    memset(&command, 0, sizeof(mc_command))
    command.kind = NEW
    command.order_id = change.order_id
    command.price = change.price
    command.side = change.side
    # Private fields, which no change has: their slots keep what a snapshot tells of the adding.
    command.client_order_id = change.sequence
    command.account = C_LARGE if change.quantity > UINT32_TOP else change.flags & C_LARGE
    book_rest(core, book, &command, key, hash, 0, change.quantity, False)
    return W_NOTHING


cdef Wrong take(Core* core, Book* book, const mc_change* change) noexcept nogil:
    """Executed, reduced or deleted."""
    cdef u32 hash = ids_hash(&core.ids, book.instrument, change.order_id)
    cdef Order* order = ids_look_up(&core.ids, book.instrument, change.order_id)
    if order == NULL:
        return W_UNKNOWN
    if order.side != change.side or order.price != change.price:
        return W_ORDER
    if change.quantity <= 0 or change.left < 0 or change.quantity != order.left - change.left:
        return W_ORDER
    if change.left == 0:
        book_remove(core, book, order, hash, 0, False)
    elif change.kind == C_DELETED:
        return W_QUANTITY
    else:
        shrink(core, book, order, change.left, False)
    return W_NOTHING


cdef Wrong follow(Exchange* exchange, const mc_change* change, u32 known) noexcept nogil:
    """Applies one change, whatever it says of its level; `known`: how many instruments there are."""
    if change.kind in (C_DAY_ENDED, C_NOTICE):
        return W_NOTHING if change.instrument <= exchange.count else W_INSTRUMENT
    if change.kind == C_DEFINED and change.instrument == exchange.count + 1 <= known:
        return W_NOTHING if exchange_add_book(exchange) != NULL else W_MEMORY
    if not 1 <= change.instrument <= exchange.count:
        return W_INSTRUMENT
    if change.kind == C_DEFINED or C_PHASE <= change.kind <= C_INDICATIVE:
        return W_NOTHING
    if change.side != BUY and change.side != SELL:
        return W_SIDE
    if change.kind == C_ADDED:
        return add(&exchange.core, exchange.books[change.instrument - 1], change)
    if change.kind in (C_EXECUTED, C_REDUCED, C_DELETED):
        return take(&exchange.core, exchange.books[change.instrument - 1], change)
    return W_KIND


cdef class Books:
    """Every book of an exchange, kept by its public changes.

    ``instruments``: the `Directory` of the exchange, which whoever receives the changes keeps; a
    book is there for each of them at the start, and one more at each change that defines one.
    Not for two threads at once.
    """

    cdef Exchange exchange
    cdef readonly object instruments
    cdef bint broken

    def __cinit__(self, instruments):
        exchange_init(&self.exchange, fresh_secret())
        self.instruments = instruments
        for _ in range(len(instruments)):
            if exchange_add_book(&self.exchange) == NULL:
                raise MemoryError("no memory for a book")

    def __dealloc__(self):
        exchange_drop(&self.exchange)

    def apply(self, changes):
        """Applies ``changes``, a 1-D `CHANGE` array.  O(1) per change; releases the GIL.

        `FeedError` names the first change that does not fit to the books: one before it is missing
        or was wrong.  From then on the books are no more to be used, and every call says so.
        """
        cdef Py_buffer source
        cdef const mc_change* change
        cdef size_t count, at = 0
        cdef Wrong wrong = W_NOTHING
        cdef u32 known = <u32>len(self.instruments)
        if getattr(changes, "dtype", None) != CHANGE or changes.ndim != 1:
            raise TypeError("changes: a 1-D NumPy array of dtype matchcore.CHANGE")
        self.usable()
        PyObject_GetBuffer(np.ascontiguousarray(changes), &source, PyBUF_SIMPLE)
        change = <const mc_change*>source.buf
        count = <size_t>source.len // sizeof(mc_change)
        with nogil:
            while at < count:
                wrong = follow(&self.exchange, &change[at], known)
                if wrong == W_NOTHING and is_of_order(&change[at]):
                    wrong = level_is(&self.exchange, &change[at])
                if wrong != W_NOTHING:
                    break
                at += 1
        PyBuffer_Release(&source)
        self.went(wrong, changes, at)

    def complete(self, changes):
        """Applies ``changes`` that name orders and quantities only, as those of an ITCH `Decoder`.

        Returns them, a 1-D `CHANGE` array, with what they lack: side, price and what is left of
        each order and its level.  O(1) per change; releases the GIL.

        `FeedError` for an order that is not there or has less quantity, and as `apply`.
        """
        cdef Py_buffer target
        cdef mc_change* change
        cdef size_t count, at = 0
        cdef Wrong wrong = W_NOTHING
        cdef u32 known = <u32>len(self.instruments)
        if getattr(changes, "dtype", None) != CHANGE or changes.ndim != 1:
            raise TypeError("changes: a 1-D NumPy array of dtype matchcore.CHANGE")
        self.usable()
        changes = changes.copy()
        PyObject_GetBuffer(changes, &target, PyBUF_WRITABLE)
        change = <mc_change*>target.buf
        count = <size_t>target.len // sizeof(mc_change)
        with nogil:
            while at < count:
                wrong = fill(&self.exchange, &change[at])
                if wrong == W_NOTHING:
                    wrong = follow(&self.exchange, &change[at], known)
                if wrong != W_NOTHING:
                    break
                if is_of_order(&change[at]):
                    show_level(&self.exchange, &change[at])
                at += 1
        PyBuffer_Release(&target)
        self.went(wrong, changes, at)
        return changes

    cdef int went(self, Wrong wrong, changes, size_t at) except -1:
        """Raises what went wrong at a change, if anything did."""
        count = len(changes)
        if wrong == W_NOTHING:
            return 0
        self.broken = True
        if wrong == W_MEMORY:
            raise MemoryError(f"no memory for change {at} of the {count} given")
        raise FeedError(
            f"change {at} of the {count} given, of sequence {changes[at]['sequence']}:"
            f" {WHAT[wrong]}; take a snapshot")

    cdef int usable(self) except -1:
        if self.broken:
            raise FeedError("these books have missed a change: take a snapshot into new ones")
        return 0

    cdef Book* book(self, number) except NULL:
        self.usable()
        at = integer(number, "instrument number", None, None)
        if not 1 <= at <= self.exchange.count:
            raise UnknownInstrument(f"unknown instrument number {shown(at)}")
        return self.exchange.books[<u32>at - 1]

    def __len__(self):
        return self.exchange.count

    def orders(self, number):
        """Resting orders of instrument ``number`` as an `ORDER` array; fields nobody knows are 0.

        Buys, then sells; best price to worst; oldest first.
        """
        rows = orders_array(self.book(number))
        rows["client_order_id"] = rows["account"] = 0
        return rows

    def levels(self, number, side, depth=None):
        """The best ``depth`` levels (None: all) of instrument ``number`` and ``side``, best first.

        A `LEVEL` array.
        """
        return levels_array(self.book(number), side, depth)

    def order(self, number, order_id):
        """The order ``order_id`` of instrument ``number`` as an `ORDER` row, or None.  O(1)."""
        row = order_row(&self.exchange.core, self.book(number), integer(order_id, "order_id"))
        if row is not None:
            row["client_order_id"] = row["account"] = 0
        return row

    def snapshot(self, number=None):
        """The resting orders of instrument ``number`` (None: of all) as changes that add them.

        A `CHANGE` array without times; empty `Books` of the same instruments become equal to these
        by it.  The sequence is that of the change that added the order, 0 if nobody said it.
        """
        if number is None:
            parts = [self.snapshot(at + 1) for at in range(self.exchange.count)]
            return np.concatenate(parts) if parts else np.empty(0, CHANGE)
        cdef Py_buffer target
        cdef Book* book = self.book(number)
        array = np.zeros(book.orders, CHANGE)
        PyObject_GetBuffer(array, &target, PyBUF_WRITABLE)
        with nogil:
            show_orders(book, <mc_change*>target.buf)
        PyBuffer_Release(&target)
        return array


cdef void show_orders(Book* book, mc_change* change) noexcept nogil:
    """Every order as a change that adds it."""
    cdef Ladder* ladder
    cdef const Order* order
    cdef u64 key
    cdef i64 quantity
    cdef u32 side, orders
    for side in range(2):
        ladder = &book.sides[side]
        key = 0
        while ladder_from(ladder, key, &key):
            order = level_at(ladder, key).head
            quantity = orders = 0
            while order != NULL:
                quantity += order.left
                orders += 1
                change.kind = C_ADDED
                change.instrument = book.instrument
                change.order_id = order.order_id
                change.sequence = order.client_order_id
                change.flags = <u16>order.account
                change.side = order.side
                change.price = order.price
                change.quantity = change.left = order.left
                change.level_quantity = quantity
                change.level_orders = orders
                change += 1
                order = order.next
            if key == ~<u64>0:
                break
            key += 1
