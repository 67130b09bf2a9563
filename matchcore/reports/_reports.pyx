"""Reports derived from the log, compiled: the door to NumPy.

The rules are in `core/derive.pxd`, and in plain Python in `reference.py`.
"""
import os

import numpy as np

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memset

from ..machine.core.records cimport *
from .core.derive cimport FINE, NO_MEMORY, NOT_NEXT, Fault, set_name, set_order, tell
from .core.image cimport orders_carry, orders_load
from .core.orders cimport (Counter, Name, Order, Orders, Pending, counter_of, name_at, name_find,
                           open_of, order_at, order_find, orders_drop, orders_init, pending_begin,
                           pending_find)

from ..errors import ReportsError
from ..records.commands import COMMAND, checked, joined
from ..records.events import EVENT
from ..records.reports import REPORT
from .limits import REMEMBERED, remembered_limit


cdef class Derivation:
    """What sessions are told of their orders: a function of commands and events, in log order.

    Begins with the first command that it is given, which should be the log's first: of orders that
    were entered before it nothing is known.  ``remembered``: how many finished orders, and client
    order ids that an amend has replaced, stay known to `find` and `status`.  About 240 bytes each,
    and 56 for each of as many trades, 2^20 at most; memory is taken as they come.  `Reports` keeps
    what this one says.  ``sequence``: of the last command; ``day``: of trading, from 0.  Only one
    thread at a time may use it.
    """

    def __cinit__(self, *others, remembered=REMEMBERED, **more):  # others: of a subclass
        cdef u64 secret = int.from_bytes(os.urandom(8), "little")
        if not orders_init(&self.orders, remembered_limit(remembered), secret):
            raise MemoryError("reports: no memory for their tables")

    def __dealloc__(self):
        orders_drop(&self.orders)

    @property
    def sequence(self):
        """Sequence of the last command; 0 before the first."""
        return self.orders.sequence

    @property
    def day(self):
        """The trading day: how many END_DAY commands of all instruments came before."""
        return self.orders.day

    def apply(self, commands, events):
        """The reports of ``commands``, a 1-D `COMMAND` array, and of their ``events``.

        ``events``: all events of these commands, an `EVENT` array as `Machine.apply` returns it.
        Returns a `REPORT` array in the order of the events.  Releases the GIL.  `ReportsError`
        unless they follow the last command; then, and after MemoryError, this object must not be
        used any more.  O(1) per event.
        """
        cdef Py_buffer said, sent, made
        cdef mc_report* at
        cdef mc_report* start
        cdef Fault fault
        commands = gapless(checked(commands))
        if getattr(events, "dtype", None) != EVENT or events.ndim != 1:
            raise TypeError("events: a 1-D NumPy array of dtype matchcore.EVENT")
        events = gapless(events)
        out = np.empty(2 * len(events), REPORT)
        if self.busy:
            raise RuntimeError("reports: another thread is using them")
        self.busy = True
        PyObject_GetBuffer(commands, &sent, PyBUF_SIMPLE)
        PyObject_GetBuffer(events, &said, PyBUF_SIMPLE)
        PyObject_GetBuffer(out, &made, PyBUF_WRITABLE)
        try:
            start = at = <mc_report*>made.buf
            with nogil:
                fault = tell(&self.orders, <const mc_command*>sent.buf,
                             sent.len // sizeof(mc_command), <const mc_event*>said.buf,
                             said.len // sizeof(mc_event), &at)
        finally:
            self.busy = False
            PyBuffer_Release(&made)
            PyBuffer_Release(&said)
            PyBuffer_Release(&sent)
        if fault != FINE:
            raise refusal(fault, self.orders.sequence)
        return out[:at - start]

    # ------------------------------------------------------------------ looking

    def pend(self, commands):
        """Lets `find` find the orders of ``commands``, a `COMMAND` array, that are under way.

        For NEW, AMEND and REDUCE with order id and client order id; until `apply` gets them, or
        65,536 more are under way.
        """
        cdef Py_buffer sent
        cdef const mc_command* command
        cdef bint fine = True
        commands = gapless(checked(commands))
        PyObject_GetBuffer(commands, &sent, PyBUF_SIMPLE)
        command = <const mc_command*>sent.buf
        for _ in range(sent.len // sizeof(mc_command)):
            if (in_set(NAMING_KINDS, command.kind) and command.client_order_id
                    and command.order_id):
                fine &= pending_begin(&self.orders, command.account, command.client_order_id,
                                      command.client_order_tail, command.order_id,
                                      command.instrument)
            command += 1
        PyBuffer_Release(&sent)
        if not fine:
            raise MemoryError("reports: no memory for commands under way")

    cdef bint find_order(self, u64 account, u64 client_order_id, u64 tail, u32* instrument,
                         u64* order_id) noexcept nogil:
        """As `find`, into the two; false if there is none."""
        cdef const Pending* pending = pending_find(&self.orders, account, client_order_id, tail)
        cdef const Order* order
        cdef u32 name
        if pending != NULL:
            instrument[0], order_id[0] = pending.instrument, pending.order_id
            return True
        name = name_find(&self.orders, account, client_order_id, tail)
        if name == 0:
            return False
        order = order_at(&self.orders, name_at(&self.orders, name).order)
        instrument[0], order_id[0] = order.instrument, order.order_id
        return True

    def find(self, account, client_order_id, tail=0):
        """(instrument, order id) of the newest order with this name, also under way; or None.

        The name: account, client order id and ``tail``.

        An order has the client order ids of its NEW and of each amend and cancel of it.  O(1).
        """
        cdef u64 order_id
        cdef u32 instrument
        if not self.find_order(account, client_order_id, tail, &instrument, &order_id):
            return None
        return instrument, order_id

    def status(self, account, client_order_id, tail=0):
        """The present state of the newest order with this name, or None; ``tail``: as for `find`.

        A `REPORT` array of length 1.  Kind and number are 0; sequence, time and reason are those of
        its last report.  Orders under way have no state.  O(1).
        """
        cdef u32 name = name_find(&self.orders, account, client_order_id, tail)
        return None if name == 0 else state(&self.orders, name_at(&self.orders, name).order)

    def order(self, instrument, order_id):
        """As `status`, of the newest order of ``instrument``, a number, with ``order_id``.  O(1)."""
        cdef u32 number = order_find(&self.orders, instrument, order_id)
        return None if number == 0 else state(&self.orders, number)

    def open_orders(self, account):
        """The open orders of an account as `REPORT` rows like those of `status`, oldest first.

        O(number of open orders of the account).
        """
        cdef u64 owner = account
        cdef u32 first = open_of(&self.orders, owner)[0]
        cdef u32 number = first
        cdef size_t count = 0
        cdef Py_buffer made
        cdef mc_report* at
        while number:
            count += order_at(&self.orders, number).account == owner
            number = order_at(&self.orders, number).next
        rows = np.empty(count, REPORT)
        if count == 0:
            return rows
        PyObject_GetBuffer(rows, &made, PyBUF_WRITABLE)
        at = <mc_report*>made.buf + count
        number = first
        while number:
            if order_at(&self.orders, number).account == owner:
                at -= 1
                set_state(at, order_at(&self.orders, number), self.orders.day)
            number = order_at(&self.orders, number).next
        PyBuffer_Release(&made)
        return rows

    def _image(self):
        """Everything that is known, but commands under way, as bytes for `_load` of the same build."""
        cdef size_t size = orders_carry(&self.orders, NULL)
        cdef bytes data = PyBytes_FromStringAndSize(NULL, size)
        orders_carry(&self.orders, PyBytes_AS_STRING(data))
        return data

    def _load(self, bytes data not None):
        """Goes on from what `_image` gave.  `ReportsError` if it has another size or layout."""
        cdef Orders loaded
        memset(&loaded, 0, sizeof(Orders))
        if not orders_load(&loaded, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)):
            orders_drop(&loaded)
            raise ReportsError("an image of reports of another layout")
        orders_drop(&self.orders)
        self.orders = loaded

    def last(self, session):
        """Number of the last report of a session on this day; 0: there is none.  O(1)."""
        cdef const Counter* counter = counter_of(&self.orders, session)
        return counter.last if counter.is_used else 0


cdef object gapless(array):
    return array if array.flags.c_contiguous else joined([array])


cdef void set_state(mc_report* report, const Order* order, u32 day) noexcept nogil:
    memset(report, 0, sizeof(mc_report))
    set_order(report, order)
    set_name(report, order)
    report.session, report.day = order.session, day
    report.sequence, report.time = order.sequence, order.time
    report.reason, report.field = order.reason, order.field


cdef object state(const Orders* orders, u32 number):
    row = np.empty(1, REPORT)
    cdef Py_buffer made
    PyObject_GetBuffer(row, &made, PyBUF_WRITABLE)
    set_state(<mc_report*>made.buf, order_at(orders, number), orders.day)
    PyBuffer_Release(&made)
    return row


cdef object refusal(Fault fault, u64 sequence):
    if fault == NO_MEMORY:
        return MemoryError(f"reports: no memory at sequence {sequence}")
    if fault == NOT_NEXT:
        return ReportsError(f"the events of the command after sequence {sequence} do not follow")
    return ReportsError(f"sequence {sequence}: an event of an order that is not known;"
                        " reports need the log from its beginning")
