# cython: binding=False, embedsignature=True, embedsignature.format=clinic
"""One book without an engine, for simulators: the machine's matching behind plain integers.

Methods are plain C methods (binding=False), a tenth faster to call than Cython's functions.
"""
import hashlib
from copy import copy as copied

import numpy as np

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bool cimport PyBool_Check
from cpython.long cimport PyLong_Check, PyLong_CheckExact
from libc.stdint cimport INT64_MAX, INT64_MIN
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset

from .._book cimport (FULL, IDLE, NO_MEMORY, Book, Core, Events, Halt, book_init, core_drop,
                     core_init, order_run, orders_run)
from .core.emit cimport emit_refusal, emit_trade
from .core.ids cimport ids_hash_of, ids_look_up
from ._changes cimport Before, changes_of, fills_of, level_now
from ._inspect cimport (book_check, book_restore, fresh_secret, ids_check, level_array,
                        levels_array, order_row, orders_array, pool_check)
from .core.ladder cimport Ladder, ladder_key, ladder_price
from .core.pool cimport Level, Order
from .core.records cimport *
from .core.resting cimport book_remove, level_at, shrink

from ..records.arguments import UINT64_MAX, flag, integer, side_code
from ..errors import OrderRejected, SnapshotDamaged
from ..records.events import EVENT
from ..records.schema import Field as FieldCode
from ..records.schema import Reason as ReasonCode
from .book_state import BookState


#: argument -> what its field holds
RANGES = {
    **dict.fromkeys(("order_id", "client_order_id", "account"), (0, UINT64_MAX)),
    **dict.fromkeys(("price", "quantity"), (INT64_MIN, INT64_MAX)),
    **dict.fromkeys(("side", "time_in_force"), (0, 255)),
}


cdef inline bint quick(object value) noexcept:
    """Whether Cython's own conversion takes it as we do: it cuts floats, and takes bools.

    It raises OverflowError, which is named by `beyond`: to catch it for each argument would take
    as long as all of the conversions.
    """
    return PyLong_CheckExact(value) or (PyLong_Check(value) and not PyBool_Check(value))


cdef object ranged(object value, str name):
    """Seldom called, so not inlined: the argument of any other type."""
    return integer(value, name, *RANGES[name])


cdef inline i64 signed(object value, str name) except? -1:
    return <i64>(value if quick(value) else ranged(value, name))


cdef inline u64 unsigned(object value, str name) except? 0xffffffffffffffff:
    return <u64>(value if quick(value) else ranged(value, name))


cdef inline u8 code(object value, str name) except? 0xff:
    return <u8>(value if quick(value) else ranged(value, name))


def beyond(**arguments):
    """Raises `InvalidArgument` for the first one that its field cannot hold."""
    for name, value in arguments.items():
        if value is not None:
            integer(value, name, *RANGES[name])


def restored(cls, data):
    """The book that these bytes describe, for copies and processes."""
    return cls.from_bytes(data)


cdef class OrderBook:
    """A price-time-priority book of one instrument; prices in ticks, quantities in units.

    >>> from matchcore import OrderBook, Side
    >>> book = OrderBook()
    >>> book.add(1, Side.SELL, 1914, 74)
    0
    >>> book.add(2, Side.BUY, 1915, 30)
    30
    >>> book.trades["price"].tolist(), book.best_ask, book.quantity_at(Side.SELL, 1914)
    ([1914], 1914, 44)

    ``lot``, ``max_quantity`` and ``max_orders`` are those of an `Instrument`.  With ``matching``
    False nothing ever trades at once: the book of another exchange, kept from its feed, may be
    crossed.  An order that cannot rest is then cancelled; `execute` reports what traded there.

    Books can be copied with `copy` and sent to other processes; the copy has no last call.

    Arguments of the methods:

    - ``order_id``, ``account``, ``client_order_id``: unsigned 64-bit numbers.
    - ``side``: a `Side`.
    - ``price``: in ticks; ``quantity``: in units; both signed 64-bit numbers.
    - ``time_in_force``: a `TimeInForce`.

    Any integer type is accepted, also NumPy's.  `InvalidArgument` names an argument that is a float
    or a bool, or too large for its field; then nothing has changed.  Only one thread may use a book.
    """

    cdef Core core
    cdef Book book
    cdef mc_event* buffer
    cdef size_t capacity
    cdef size_t written     # events of the last call
    cdef Before before      # the last call, if it was to amend or to execute

    def __cinit__(self, *, matching=True, lot=1, max_quantity=INT64_MAX, max_orders=0xffffffff):
        cdef bint apart = not flag(matching, "matching")
        cdef i64 lot_units = integer(lot, "lot", 1)
        cdef i64 quantity_max = integer(max_quantity, "max_quantity", lot_units)
        cdef u32 orders_max = integer(max_orders, "max_orders", 1, 0xffffffff)
        core_init(&self.core, fresh_secret())
        book_init(&self.book, 1)
        self.capacity = 64
        self.buffer = <mc_event*>malloc(self.capacity * sizeof(mc_event))
        if self.buffer == NULL:
            raise MemoryError("no memory for a book's events")
        self.book.lot = lot_units
        self.book.quantity_max = quantity_max
        self.book.orders_max = orders_max
        self.book.sides[0].apart = self.book.sides[1].apart = apart

    def __dealloc__(self):          # also where __cinit__ was not reached, for its arguments
        free(self.buffer)
        core_drop(&self.core)

    cdef int run(self, const mc_command* command) except -1:
        """Applies one command; its events are then in buffer.  OrderRejected when refused."""
        self.apply(command)
        return self.accept()

    cdef int accept(self) except -1:
        """OrderRejected when the last call was refused."""
        if self.buffer.kind == REJECTED:
            raise OrderRejected(ReasonCode(self.buffer.reason), FieldCode(self.buffer.field))
        return 0

    cdef int apply(self, const mc_command* command, size_t count=1) except -1:
        """As run, but a refusal is an event like any other; of no command, ends the one before."""
        cdef Events events
        cdef size_t taken = 0, step
        cdef Halt halt = FULL
        cdef Book* book = &self.book
        cdef void* grown
        events.at = self.buffer
        self.written = 0
        self.before.left = 0
        while True:
            events.end = self.buffer + self.capacity - 2
            if taken < count and self.core.pending.stage == IDLE:   # without the frame of the large loop
                halt = order_run(&self.core, &book, 1, command, &step, &events)
            else:
                halt = orders_run(&self.core, &book, 1, command + taken, count - taken, &step,
                                  &events)
            taken += step
            self.written = events.at - self.buffer
            if halt == NO_MEMORY:
                raise MemoryError("no memory for another order")
            if halt != FULL:
                break
            grown = realloc(self.buffer, 2 * self.capacity * sizeof(mc_event))
            if grown == NULL:
                raise MemoryError("no memory for events: the next call finishes this command first")
            self.buffer = <mc_event*>grown
            self.capacity *= 2
            events.at = self.buffer + self.written
        return 0

    cdef i64 traded(self) noexcept:
        cdef i64 total = 0
        cdef size_t i
        for i in range(self.written):
            if self.buffer[i].kind == TRADED:
                total += self.buffer[i].quantity
        return total

    def add(self, order_id, side, price, quantity, time_in_force=1, *,
            post_only=False, account=0, client_order_id=0):
        """Enters an order; returns the quantity that traded at once.

        ``price`` None makes a market order; its remaining quantity is cancelled.  ``order_id`` 0
        lets the book assign an id, which `last_order_id` returns.  A ``post_only`` order is refused
        if it would trade.  Raises `OrderRejected`.  O(1), and O(1) per fill.
        """
        cdef mc_command command
        memset(&command, 0, sizeof(command))
        try:
            command.order_id = unsigned(order_id, "order_id")
            command.client_order_id = unsigned(client_order_id, "client_order_id")
            command.account = unsigned(account, "account")
            command.quantity = signed(quantity, "quantity")
            command.side = code(side, "side")
            command.time_in_force = code(time_in_force, "time_in_force")
            if price is not None:
                command.price = signed(price, "price")
        except OverflowError:
            beyond(order_id=order_id, client_order_id=client_order_id, account=account,
                   quantity=quantity, side=side, time_in_force=time_in_force, price=price)
        command.instrument = 1
        command.kind = NEW
        command.order_type = MARKET if price is None else LIMIT
        if post_only is not False and flag(post_only, "post_only"):
            command.flags = POST_ONLY
        self.run(&command)
        return self.traded()

    def cancel(self, order_id):
        """Cancels ``order_id``; returns its open quantity, 0 if it is not live.  O(1)."""
        cdef mc_command command
        memset(&command, 0, sizeof(command))
        try:
            command.order_id = unsigned(order_id, "order_id")
        except OverflowError:
            beyond(order_id=order_id)
        command.instrument = 1
        command.kind = CANCEL
        self.apply(&command)
        if self.buffer.kind == REJECTED:
            self.written = 0
            return 0
        return self.buffer.quantity

    def amend(self, order_id, quantity=None, price=None):
        """Changes the open quantity, the price, or both; returns the quantity that traded at once.

        None leaves a value unchanged.  With the same price and no larger quantity the order keeps
        its place in the queue.  Otherwise it becomes the last of its new level and may trade.
        Raises `OrderRejected`.
        """
        cdef mc_command command
        cdef Order* order
        cdef Before before = self.before
        memset(&command, 0, sizeof(command))
        try:
            command.order_id = unsigned(order_id, "order_id")
            if quantity is not None:
                command.quantity = signed(quantity, "quantity")
            if price is not None:
                command.price = signed(price, "price")
        except OverflowError:
            beyond(order_id=order_id, quantity=quantity, price=price)
        command.instrument = 1
        command.kind = AMEND
        if quantity is None:
            command.flags |= KEEP_QUANTITY
        if price is None:
            command.flags |= KEEP_PRICE
        order = ids_look_up(&self.core.ids, self.book.instrument, command.order_id)
        if order != NULL:
            before.price = order.price
            before.left = order.left
        self.run(&command)
        self.before = before
        return self.traded()

    def reduce(self, order_id, quantity):
        """Subtracts ``quantity`` from ``order_id``, which keeps its place; returns the rest.

        Raises `OrderRejected`.
        """
        cdef mc_command command
        memset(&command, 0, sizeof(command))
        try:
            command.order_id = unsigned(order_id, "order_id")
            command.quantity = signed(quantity, "quantity")
        except OverflowError:
            beyond(order_id=order_id, quantity=quantity)
        command.instrument = 1
        command.kind = REDUCE
        self.run(&command)
        return self.buffer.left

    def execute(self, order_id, quantity, price=None):
        """Trades ``quantity`` of ``order_id``, whatever its place; returns its open quantity.

        ``price`` is that of the trade, None for that of the order.  Nobody is the taker.  The
        order keeps its place, and is gone when nothing is left.  Raises `OrderRejected`, with
        QUANTITY_TOO_LARGE for more than its open quantity.  O(1).
        """
        cdef mc_command command
        memset(&command, 0, sizeof(command))
        try:
            command.order_id = unsigned(order_id, "order_id")
            command.quantity = signed(quantity, "quantity")
            if price is not None:
                command.price = signed(price, "price")
        except OverflowError:
            beyond(order_id=order_id, quantity=quantity, price=price)
        command.instrument = 1
        if self.core.pending.stage != IDLE:
            self.apply(NULL, 0)
        self.take(&command, price is None)
        self.accept()
        return self.buffer.left

    cdef void take(self, mc_command* command, bint at_its_price) noexcept:
        """A trade of one resting order with nobody, or a refusal; the event is then in buffer."""
        cdef Order* order = ids_look_up(&self.core.ids, self.book.instrument, command.order_id)
        cdef mc_event* event = self.buffer
        cdef mc_command nobody
        cdef Events events
        events.at = event
        self.core.sequence += 1
        self.written = 1
        if command.quantity <= 0:
            emit_refusal(&self.core, command, R_QUANTITY_NOT_POSITIVE, F_QUANTITY, &events)
        elif order == NULL:
            emit_refusal(&self.core, command, R_UNKNOWN_ORDER, F_ORDER_ID, &events)
        elif command.quantity > order.left:
            emit_refusal(&self.core, command, R_QUANTITY_TOO_LARGE, F_QUANTITY, &events)
        elif command.quantity != order.left and command.quantity % self.book.lot:
            emit_refusal(&self.core, command, R_OFF_LOT, F_QUANTITY, &events)
        else:
            self.before.price = order.price
            memset(&nobody, 0, sizeof(nobody))
            shrink(&self.core, &self.book, order, order.left - command.quantity, False)
            emit_trade(&self.core, &events, 1, order, &nobody, command.quantity, 0)
            if not at_its_price:
                event.price = command.price
            if order.left == 0:
                book_remove(&self.core, &self.book, order, ids_hash_of(&self.core.ids, order), 0,
                            False)

    @property
    def last_order_id(self):
        """Id of the order of the last call; 0 if the call changed nothing."""
        return self.buffer.order_id if self.written else 0

    @property
    def events(self):
        """The events of the last call, an `EVENT` array."""
        cdef Py_buffer target
        array = np.empty(self.written, EVENT)
        if self.written:
            PyObject_GetBuffer(array, &target, PyBUF_WRITABLE)
            memcpy(target.buf, self.buffer, self.written * sizeof(mc_event))
            PyBuffer_Release(&target)
        return array

    @property
    def trades(self):
        """The fills of the last call, an `EVENT` array."""
        events = self.events
        return events[events["kind"] == TRADED]

    @property
    def fills(self):
        """The fills of the last call as a list of ``(order_id, price, quantity)``: the resting
        order, the price in ticks, the units traded.  Cheaper than `trades`."""
        return fills_of(self.buffer, self.written)

    @property
    def changed_levels(self):
        """The levels that the last call changed, each once, as they are now: a list of
        ``(side, price, quantity, orders)``, the last two 0 for a level that is gone.

        First those that the order traded with, best first; then that which it left; last its own.
        """
        return changes_of(&self.book, self.buffer, self.written, self.before)

    @property
    def best_bid(self):
        """Highest buy price in ticks, or None.  O(1)."""
        return self._best(0)

    @property
    def best_ask(self):
        """Lowest sell price in ticks, or None.  O(1)."""
        return self._best(1)

    cdef object _best(self, int side):
        if self.book.sides[side].levels == 0:
            return None
        return ladder_price(&self.book.sides[side], self.book.sides[side].best)

    def quantity_at(self, side, price):
        """Open quantity of ``side`` at ``price``; 0 without orders.  O(1) near the last price used."""
        cdef u32 number = side_code(side)
        cdef i64 ticks = integer(price, "price")
        cdef Ladder* ladder
        cdef Level* level
        ladder = &self.book.sides[number - 1]
        level = level_at(ladder, ladder_key(ladder, ticks))
        return level.quantity if level != NULL else 0

    def levels(self, side, depth=None):
        """The best ``depth`` levels of ``side`` (None: all) as a `LEVEL` array, best first."""
        return levels_array(&self.book, side, depth)

    def orders(self):
        """All resting orders as an `ORDER` array: buys, then sells, best to worst, oldest first."""
        return orders_array(&self.book)

    def orders_at(self, side, price):
        """The orders of ``side`` at ``price`` as an `ORDER` array, oldest first.  O(orders there)."""
        return level_array(&self.book, side_code(side), integer(price, "price"))

    def ahead(self, order_id):
        """What is before ``order_id`` in its queue, as ``(orders, quantity)``; None if it is not
        live.  ``(0, 0)`` is the oldest order of its level.  O(orders before it)."""
        cdef const Order* order
        cdef i64 orders = 0, quantity = 0
        cdef u64 wanted = integer(order_id, "order_id", 0, UINT64_MAX)
        order = ids_look_up(&self.core.ids, self.book.instrument, wanted)
        if order == NULL:
            return None
        while order.prev != NULL:
            order = order.prev
            orders += 1
            quantity += order.left
        return orders, quantity

    def order(self, order_id):
        """The live order with the id ``order_id`` as an `ORDER` row, or None.  O(1)."""
        return order_row(&self.core, &self.book, integer(order_id, "order_id", 0, UINT64_MAX))

    @property
    def matching(self):
        """False for a book that never matches."""
        return self.book.sides[0].apart == 0

    def to_bytes(self):
        """The whole book as bytes: limits, counters and orders.  Equal for equal books."""
        return BookState(
            int(self.matching), self.book.lot, self.book.quantity_max, self.book.orders_max,
            self.core.sequence, self.core.next_order_id, self.core.next_trade_id, self.orders(),
        ).to_bytes()

    def digest(self):
        """SHA-256 of `to_bytes` in hexadecimal: the same calls give the same digest."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @classmethod
    def from_bytes(cls, data):
        """The book whose `to_bytes` are ``data``; `SnapshotDamaged` for what no book has written."""
        cdef OrderBook book
        cdef Py_buffer source
        cdef const char* wrong
        state = BookState.from_bytes(data)
        book = cls.__new__(cls, matching=state.matching, lot=state.lot,
                           max_quantity=state.max_quantity, max_orders=state.max_orders)
        book.core.sequence = state.sequence
        book.core.next_order_id = state.next_order_id
        book.core.next_trade_id = state.next_trade_id
        PyObject_GetBuffer(state.orders, &source, PyBUF_SIMPLE)
        with nogil:
            wrong = book_restore(&book.core, &book.book, <const mc_order*>source.buf,
                                 <size_t>source.len // sizeof(mc_order))
        PyBuffer_Release(&source)
        if wrong != NULL:
            raise SnapshotDamaged(f"OrderBook: {wrong.decode('ascii')}")
        return book

    def copy(self):
        """A book of its own in the same state.  O(orders)."""
        return copied(self)

    def __reduce__(self):
        return restored, (type(self), self.to_bytes()), getattr(self, "__dict__", None) or None

    def __len__(self):
        return self.book.orders

    def __contains__(self, order_id):
        cdef u64 wanted = 0
        try:
            wanted = unsigned(order_id, "order_id")
        except OverflowError:
            beyond(order_id=order_id)
        return ids_look_up(&self.core.ids, self.book.instrument, wanted) != NULL

    def __repr__(self):
        return f"<OrderBook {self.best_bid} / {self.best_ask}, {len(self)} orders>"

    def _check(self):
        """Asserts every invariant."""
        book_check(&self.core, &self.book)
        ids_check(&self.core.ids, self.book.orders)
        pool_check(&self.core.pool)
