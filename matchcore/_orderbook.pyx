"""One book without an engine, for simulators: the machine's matching behind plain integers."""
import numpy as np

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport INT64_MAX
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset

from ._book cimport (FULL, NO_MEMORY, Book, Core, Events, Halt, book_drop, book_init,
                     core_drop, core_init, orders_run)
from ._ids cimport ids_look_up
from ._inspect cimport (book_check, fresh_secret, levels_array, order_row, orders_array,
                        pool_check)
from ._ladder cimport Ladder, ladder_key
from ._pool cimport Level
from ._records cimport *
from ._resting cimport level_at

from .errors import OrderRejected
from .events import EVENT
from .events import Field as FieldCode
from .events import Reason as ReasonCode


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

    ``lot``, ``max_quantity`` and ``max_orders`` are as for an `Instrument`.  Not for two
    threads at once.
    """

    cdef Core core
    cdef Book book
    cdef mc_event* buffer
    cdef size_t capacity
    cdef size_t written     # events of the last call

    def __cinit__(self, *, i64 lot=1, i64 max_quantity=INT64_MAX, u64 max_orders=0xffffffff):
        core_init(&self.core)
        book_init(&self.book, 1, fresh_secret())
        self.capacity = 64
        self.buffer = <mc_event*>malloc(self.capacity * sizeof(mc_event))
        if self.buffer == NULL:
            raise MemoryError("no memory for a book's events")
        if lot < 1 or max_quantity < lot or not 1 <= max_orders <= 0xffffffff:
            raise ValueError("lot at least 1, max_quantity at least the lot, max_orders 1 to 2^32 - 1")
        self.book.lot = lot
        self.book.quantity_max = max_quantity
        self.book.orders_max = max_orders

    def __dealloc__(self):
        free(self.buffer)
        book_drop(&self.book)
        core_drop(&self.core)

    cdef int run(self, const mc_command* command) except -1:
        """Applies one command; its events are then in buffer.  OrderRejected when refused."""
        cdef Events events
        cdef size_t taken = 0, step
        cdef Halt halt = FULL
        cdef Book* book = &self.book
        cdef void* grown
        events.at = self.buffer
        self.written = 0
        while True:
            events.end = self.buffer + self.capacity - 2
            halt = orders_run(&self.core, &book, 1, command + taken, 1 - taken, &step,
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
        if self.buffer.kind == REJECTED:
            raise OrderRejected(ReasonCode(self.buffer.reason), FieldCode(self.buffer.field))
        return 0

    cdef i64 traded(self) noexcept:
        cdef i64 total = 0
        cdef size_t i
        for i in range(self.written):
            if self.buffer[i].kind == TRADED:
                total += self.buffer[i].quantity
        return total

    def add(self, u64 order_id, u8 side, price, i64 quantity, u8 time_in_force=GTC, *,
            bint post_only=False, u64 account=0, u64 client_order_id=0):
        """Enters an order; returns the quantity that traded at once.

        `price` None makes it a market order, whose rest is cancelled.  `order_id` 0 lets the
        book assign one: see `last_order_id`.  Raises `OrderRejected`.  O(1) and O(1) per fill.
        """
        cdef mc_command command
        memset(&command, 0, sizeof(command))
        command.order_id = order_id
        command.client_order_id = client_order_id
        command.account = account
        command.quantity = quantity
        command.instrument = 1
        command.kind = NEW
        command.side = side
        command.time_in_force = time_in_force
        if price is None:
            command.order_type = MARKET
        else:
            command.order_type = LIMIT
            command.price = price
        command.flags = POST_ONLY if post_only else 0
        self.run(&command)
        return self.traded()

    def cancel(self, u64 order_id):
        """Takes an order off; returns the quantity it still had, 0 if it is not live.  O(1)."""
        cdef mc_command command
        if ids_look_up(&self.book.ids, order_id) == NULL:
            self.written = 0
            return 0
        memset(&command, 0, sizeof(command))
        command.order_id = order_id
        command.instrument = 1
        command.kind = CANCEL
        self.run(&command)
        return self.buffer.quantity

    def amend(self, u64 order_id, quantity=None, price=None):
        """A new open quantity and/or price; returns the quantity that traded at once.

        The same price and no more quantity keep the place in the queue; anything else goes to
        the back and may trade.  Raises `OrderRejected`.
        """
        cdef mc_command command
        memset(&command, 0, sizeof(command))
        command.order_id = order_id
        command.instrument = 1
        command.kind = AMEND
        if quantity is None:
            command.flags |= KEEP_QUANTITY
        else:
            command.quantity = quantity
        if price is None:
            command.flags |= KEEP_PRICE
        else:
            command.price = price
        self.run(&command)
        return self.traded()

    def reduce(self, u64 order_id, i64 quantity):
        """Takes a quantity off an order, which keeps its place; returns what is left of it."""
        cdef mc_command command
        memset(&command, 0, sizeof(command))
        command.order_id = order_id
        command.quantity = quantity
        command.instrument = 1
        command.kind = REDUCE
        self.run(&command)
        return self.buffer.left

    @property
    def last_order_id(self):
        """The order that the last call was about; 0 if it did nothing."""
        return self.buffer.order_id if self.written else 0

    @property
    def events(self):
        """What the last call caused, an `EVENT` array."""
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
        return <i64>(self.book.sides[side].best ^ self.book.sides[side].flip)

    def quantity_at(self, u8 side, i64 price):
        """Open quantity at one price; 0 when nobody is there.  O(1) near the last price used."""
        cdef Ladder* ladder
        cdef Level* level
        if side not in (BUY, SELL):
            raise ValueError(f"side {side}: 1 (buy) or 2 (sell)")
        ladder = &self.book.sides[side - 1]
        level = level_at(ladder, ladder_key(ladder, price))
        return level.quantity if level != NULL else 0

    def levels(self, side, depth=None):
        """Up to `depth` levels (None: all) as a `LEVEL` array, best first."""
        return levels_array(&self.book, side, depth)

    def orders(self):
        """All resting orders as an `ORDER` array: buys, then sells, best to worst, oldest first."""
        return orders_array(&self.book)

    def order(self, order_id):
        """The live order of this id as an `ORDER` row, or None.  O(1)."""
        return order_row(&self.book, order_id)

    def __len__(self):
        return self.book.orders

    def __contains__(self, u64 order_id):
        return ids_look_up(&self.book.ids, order_id) != NULL

    def __repr__(self):
        return f"<OrderBook {self.best_bid} / {self.best_ask}, {len(self)} orders>"

    def _check(self):
        """Asserts every invariant."""
        book_check(&self.book)
        pool_check(&self.core.pool)
