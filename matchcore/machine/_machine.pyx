"""The machine: every instrument of an exchange, commands in, events out, compiled.

`_exchange.pyx` applies the commands; here is the door to NumPy, and what Python takes part in.
"""
import numpy as np

from cpython.buffer cimport (PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release,
                             PyObject_GetBuffer)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport INT64_MAX, UINT64_MAX

from .._book cimport EVENTS_MIN, FULL, IDLE, LOST, NO_MEMORY, STOPPED, Book, Core, Events, Halt
from ._exchange cimport (exchange_add_book, exchange_drop, exchange_init, exchange_reserve, exchange_run,
                         exchange_set_rules)
from ._inspect cimport (book_check, book_restore, fresh_secret, ids_check, in_one_row, levels_array,
                       one_after_the_other, order_row, pool_check)
from ._market_checks cimport market_check
from ._market_states cimport (machine_orders, market_order_row, market_order_seen,
                              market_parts, market_seen, markets_restore)
from ._aside cimport take_aside
from ._limits cimport last_restore, last_rows, limits_check, limits_restore, limits_rows
from ._dedup cimport answers_arrays, answers_restore, repeats_check
from .core.changes cimport CHANGES_EVENTS, CHANGES_ROOM, changes_run, set_times
from .core.records cimport *

from ..records.arguments import integer, shown
from ..records.commands import COMMAND, ORDER
from ..errors import SnapshotDamaged, UnknownInstrument
from ..records.changes import CHANGE
from ..records.events import EVENT
from ..records.instruments import Directory
from ..records.register import Register
from ..records.rules import checked_rules, first_rules
from .state import State, reserved

cdef enum:
    ONE_EVENTS = 32         # of one command; more is a rare sweep, and goes through an array
    REPLAY_EVENTS = 512     # written over and over, so that they stay in the cache
    ROOM_MAX = 1 << 14      # events beyond those that the commands of a batch make room for

STOPPED_FOR_GOOD = ("the machine has stopped: memory ended in the middle of a command; make another one"
                    " from the log, which has every command")


cdef class Machine:
    """All books of an exchange.  The same commands give the same events, byte for byte.

    Only one thread at a time may use it; a second call meanwhile raises RuntimeError.  ``reserve``
    bytes of memory are allocated and touched at the start, in pages of 2 MiB where the system has
    them; MemoryError if it refuses.  ``rules``: the version of the rules that the first command is
    applied under; None: the newest; `UnknownRules` for one that this matchcore does not know.
    ``instruments``: a `Directory`; ``register``: a mapping of the entries of the register by
    (topic, key, part).  Only commands change them.
    """

    def __cinit__(self, reserve=0, rules=None):
        exchange_init(&self.exchange, fresh_secret())
        exchange_set_rules(&self.exchange, first_rules(rules))
        self.instruments = Directory()
        self.entries = Register()
        self.register = self.entries.view
        cdef size_t size = min(reserved(reserve), INT64_MAX)
        cdef bint given
        with nogil:                 # touching takes a while
            given = exchange_reserve(&self.exchange, size)
        if not given:
            raise MemoryError(f"reserve: the system does not give {reserve} bytes of memory")

    def __dealloc__(self):
        exchange_drop(&self.exchange)

    @property
    def sequence(self):
        """Sequence of the last command; 0 before the first."""
        return self.exchange.core.sequence

    @property
    def next_order_id(self):
        """The lowest id that the next order without one can get."""
        return self.exchange.core.next_order_id

    @property
    def next_trade_id(self):
        """The id of the next trade."""
        return self.exchange.core.next_trade_id

    @property
    def rules(self):
        """The version of the rules that commands are applied under."""
        return self.exchange.rules

    def begin_under(self, version):
        """Takes ``version`` of the rules for the first command; ValueError behind it."""
        if self.exchange.core.sequence:
            raise ValueError(f"the rules of a machine at sequence {self.sequence} change with upgrade")
        exchange_set_rules(&self.exchange, first_rules(version))

    def upgrade(self, version):
        """Applies the command UPGRADE_RULES to ``version``; returns its event, an `EVENT` array.

        `UnknownRules` for a version that is unknown or not newer; then nothing has changed.
        """
        cdef u32 before = self.exchange.rules
        self.enter()
        try:
            exchange_set_rules(&self.exchange, checked_rules(version, before))
            self.exchange.core.sequence += 1
            said = np.zeros(1, EVENT)
            said["sequence"], said["kind"] = self.exchange.core.sequence, RULES_CHANGED
            said["quantity"], said["left"] = self.exchange.rules, before
            return said
        finally:
            self.busy = False

    def apply(self, commands, out=None, now=0):
        """Applies ``commands``, a 1-D `COMMAND` array; returns their events, an `EVENT` array.

        ``out``: a writable `EVENT` array of at least 4, for the events.  A slice of it is returned,
        or a new array if they do not fit.  ``now``: nanoseconds since 1970 UTC, of commands with
        time 0: what the log will have in them.  Releases the GIL; no other thread may write to the
        commands meanwhile.  TypeError or ValueError for another dtype or shape.  O(1) per command
        and fill, except price moves beyond 64 levels: O(log of the distance).
        """
        commands = in_one_row(commands)
        if out is not None and (getattr(out, "dtype", None) != EVENT or out.ndim != 1
                                or len(out) < EVENTS_MIN or not out.flags.c_contiguous):
            raise ValueError("out: a contiguous 1-D array of dtype matchcore.EVENT, 4 or longer")
        if out is not None and np.may_share_memory(commands, out):
            raise ValueError("out: not where the commands are: they are read while events are written")
        # `integer` runs bytecode, where Ctrl-C may strike, so the engine's calls do without it
        cdef i64 time = now if type(now) is int and 0 <= now <= INT64_MAX else integer(now, "now")
        self.enter()
        self.exchange.core.now = time
        try:
            return self._apply(commands, out)
        finally:
            self.exchange.core.now = 0
            self.busy = False

    def replay(self, commands):
        """Applies ``commands``, a 1-D `COMMAND` array; returns the number of events only."""
        cdef mc_event said[REPLAY_EVENTS]
        cdef size_t count, done = 0, step = 0, total = 0
        cdef Py_buffer source
        cdef Events events
        cdef Halt halt = FULL
        commands = in_one_row(commands)
        count = len(commands)
        self.enter()
        PyObject_GetBuffer(commands, &source, PyBUF_SIMPLE)
        try:
            while done < count or halt == FULL:
                with nogil:  # in one go: who waits for the GIL at each full buffer waits long
                    while True:
                        events.at = said
                        events.end = said + (REPLAY_EVENTS - 2)
                        halt = exchange_run(&self.exchange, <const mc_command*>source.buf + done,
                                            count - done, &step, &events)
                        done += step
                        if halt != FULL:
                            break
                        total += events.at - said
                if halt == STOPPED:
                    take_aside(self, <const mc_command*>source.buf + done, &events)
                    done += 1
                total += events.at - said
                if halt == NO_MEMORY:
                    raise MemoryError(f"no memory for command {done} of the {count} given")
        finally:
            PyBuffer_Release(&source)
            self.busy = False
        return total

    def changes(self, commands):
        """Applies ``commands``, a 1-D `COMMAND` array; returns the public changes, a `CHANGE` array.

        In the order in which they happened.  Releases the GIL.
        """
        cdef Core* core = &self.exchange.core
        cdef mc_event said[CHANGES_EVENTS]
        cdef size_t count, done = 0
        cdef mc_change *start, *end
        cdef Py_buffer source, target
        cdef Events events
        cdef Halt halt = FULL
        full, commands = [], in_one_row(commands)
        self.enter()
        PyObject_GetBuffer(commands, &source, PyBUF_SIMPLE)
        count = <size_t>source.len // sizeof(mc_command)
        try:
            while done < count or halt == FULL:
                array = np.empty(count - done + 2 * CHANGES_ROOM, CHANGE)
                PyObject_GetBuffer(array, &target, PyBUF_WRITABLE)
                start = core.changes = <mc_change*>target.buf
                end = start + (<size_t>target.len // sizeof(mc_change) - CHANGES_ROOM)
                core.changes_end = end + 1
                try:
                    while core.changes <= end and (done < count or halt == FULL):
                        with nogil:
                            halt = changes_run(&self.exchange, <const mc_command*>source.buf, count,
                                               &done, said, &events, end)
                        if halt == STOPPED:
                            take_aside(self, <const mc_command*>source.buf + done, &events)
                            done += 1
                        if halt == NO_MEMORY:
                            raise MemoryError(f"no memory for command {done} of the {count} given")
                    full.append(array[:core.changes - start])
                finally:
                    set_times(start, core.changes, <const mc_command*>source.buf + done, core.sequence)
                    core.changes = NULL
                    PyBuffer_Release(&target)
        finally:
            PyBuffer_Release(&source)
            self.busy = False
        return full[0] if len(full) == 1 else one_after_the_other(full)

    def apply_one(self, bytes record not None):
        """Applies ``record``, the bytes of one `COMMAND` row; returns the bytes of its `EVENT` rows.

        For one command this is faster than two NumPy arrays.  ValueError for another length.
        """
        cdef const mc_command* command = <const mc_command*>PyBytes_AS_STRING(record)
        cdef mc_event said[ONE_EVENTS]
        cdef Events events
        cdef size_t taken
        cdef Halt halt
        if PyBytes_GET_SIZE(record) != sizeof(mc_command):
            raise ValueError(f"record: {sizeof(mc_command)} bytes, not {len(record)}")
        self.enter()
        try:
            events.at = said
            events.end = said + (ONE_EVENTS - 2)
            halt = exchange_run(&self.exchange, command, 1, &taken, &events)
            if halt == NO_MEMORY:
                raise MemoryError("no memory for the command")
            if halt == STOPPED:
                take_aside(self, command, &events)
            told = (<const char*>said)[:<size_t>(<char*>events.at - <char*>said)]
            if halt == FULL:  # with no command more it goes on with this one
                told += self._apply(np.empty(0, COMMAND), None).tobytes()
            return told
        finally:
            self.busy = False

    cdef int enter(self) except -1:
        if self.busy:
            raise RuntimeError("another thread is inside this machine")
        if self.exchange.core.pending.stage == LOST:
            raise MemoryError(STOPPED_FOR_GOOD)
        self.busy = True
        return 0

    def _apply(self, commands, out):
        cdef size_t count, done = 0, step = 0, room = 64
        cdef Py_buffer source, target
        cdef Events events
        cdef mc_event* start
        cdef Halt halt = FULL
        full = []
        PyObject_GetBuffer(commands, &source, PyBUF_SIMPLE)
        count = <size_t>source.len // sizeof(mc_command)
        try:
            while done < count or halt == FULL:
                # twice: room that is not used costs nothing, room that is missing a copy of all;
                # and more each time, because one command may fill a million times
                array = np.empty(2 * (count - done) + room, EVENT) if out is None else out
                if out is None and room < ROOM_MAX:
                    room *= 2
                out = None
                PyObject_GetBuffer(array, &target, PyBUF_WRITABLE)
                try:
                    start = events.at = <mc_event*>target.buf
                    events.end = start + (<size_t>target.len // sizeof(mc_event) - 2)
                    while True:
                        with nogil:
                            halt = exchange_run(&self.exchange, <const mc_command*>source.buf + done,
                                                count - done, &step, &events)
                        done += step
                        if halt != STOPPED:
                            break
                        take_aside(self, <const mc_command*>source.buf + done, &events)
                        done += 1
                finally:
                    PyBuffer_Release(&target)
                full.append(array[:events.at - start])
                if halt == NO_MEMORY:
                    raise MemoryError(f"no memory for command {done} of the {count} given")
        finally:
            PyBuffer_Release(&source)
        return full[0] if len(full) == 1 else one_after_the_other(full)

    cdef Book* add_book(self) except NULL:
        cdef Book* book = exchange_add_book(&self.exchange)
        if book == NULL:
            raise MemoryError("no memory for another instrument")
        return book

    cdef Book* book(self, number) except NULL:
        at = integer(number, "instrument number", None, None)
        if not 1 <= at <= self.exchange.count:
            raise UnknownInstrument(f"unknown instrument number {shown(at)}")
        if self.busy:
            raise RuntimeError("another thread is inside this machine")
        return self.exchange.books[<u32>at - 1]

    def orders(self, number):
        """Resting orders of instrument ``number``: buys, then sells; best to worst; oldest first."""
        return machine_orders(self, self.book(number).instrument)

    def levels(self, number, side, depth=None):
        """The best ``depth`` levels (None: all) of ``number`` and ``side``, best first: `LEVEL`s."""
        return levels_array(self.book(number), side, depth)

    def order(self, number, order_id):
        """The live order ``order_id`` of instrument ``number`` as an `ORDER` row, or None.  O(1)."""
        cdef Book* book = self.book(number)
        order_id = integer(order_id, "order_id", None, None)
        if not 0 <= order_id <= UINT64_MAX:
            order_id = 0        # no order has id 0, or one beyond 64 bits
        if self.exchange.plain[book.instrument - 1] == NULL:
            return market_order_row(self, book.instrument, order_id)
        return order_row(&self.exchange.core, book, order_id)

    def market(self, number):
        """Parameters that are not as at first, a `MARKET_VALUE` array, and the `MARKET_STATE` of
        instrument ``number``; None if it has no market."""
        return market_seen(self, self.book(number).instrument)

    def market_order(self, number, order_id):
        """What the live order ``order_id`` of a market, of instrument ``number``, has beside an
        `ORDER`: a `MARKET_ORDER` row, or None.  O(1)."""
        cdef Book* book = self.book(number)
        order_id = integer(order_id, "order_id", None, None)
        return market_order_seen(self, book.instrument,
                                 order_id if 0 <= order_id <= UINT64_MAX else 0)

    def state(self):
        """The whole state, a `State` of new arrays.  MemoryError of a machine that has stopped."""
        if self.exchange.core.pending.stage == LOST:
            raise MemoryError(STOPPED_FOR_GOOD)
        answers, told = answers_arrays(&self.exchange.repeats)
        return State(
            self.sequence, self.next_order_id, self.next_trade_id, list(self.instruments),
            [machine_orders(self, number) for number in range(1, self.exchange.count + 1)],
            answers, told, self.instruments.former(told), self.exchange.rules, self.entries.rows(),
            last_rows(&self.exchange.core, self.exchange.count if self.exchange.rules > 1 else 0),
            limits_rows(&self.exchange.limits), *market_parts(self),
        )

    def limits(self):
        """The limits of accounts, an `ACCOUNT_LIMITS` array by account and instrument."""
        return limits_rows(&self.exchange.limits)

    @classmethod
    def from_state(cls, state, reserve=0):
        """A machine with ``state``; ``reserve`` as for a new one.

        `SnapshotDamaged` if the state breaks a rule.
        """
        cdef Machine machine
        cdef Py_buffer source
        cdef Book* book
        cdef const char* wrong = NULL
        state.check()
        machine = cls(reserve, state.rules)
        machine.exchange.core.sequence = state.sequence
        machine.exchange.core.next_order_id = state.next_order_id
        machine.exchange.core.next_trade_id = state.next_trade_id
        markets = set(state.markets["instrument"].tolist())
        for instrument, orders in zip(state.instruments, state.orders, strict=True):
            machine.add_book()
            number = machine.instruments.add(instrument)
            book = machine.exchange.books[<u32>number - 1]
            book.lot = instrument.lot
            book.quantity_max = instrument.max_quantity
            book.orders_max = instrument.max_orders
            if number in markets:
                continue
            PyObject_GetBuffer(np.ascontiguousarray(orders, ORDER), &source, PyBUF_SIMPLE)
            wrong = book_restore(&machine.exchange.core, book, <const mc_order*>source.buf,
                                 <size_t>source.len // sizeof(mc_order))
            PyBuffer_Release(&source)
            if wrong != NULL:
                raise SnapshotDamaged(f"{instrument.symbol}: {wrong.decode('ascii')}")
        machine.instruments.restore(state.former)
        machine.entries.restore(state.register)
        limits_restore(&machine.exchange.core, &machine.exchange.limits, state.limits)
        last_restore(&machine.exchange.core, state.last)
        markets_restore(machine, state)
        answers_restore(&machine.exchange.repeats, state.answers, state.answer_events)
        return machine

    def digest(self):
        """SHA-256 of the whole state in hexadecimal, equal for both implementations."""
        return self.state().digest()

    def _check(self):
        """Asserts every invariant of every book."""
        cdef u32 i
        cdef u64 orders = 0
        self.enter()
        try:
            for i in range(self.exchange.count):
                if self.exchange.markets.markets[i] != NULL:
                    market_check(&self.exchange.core, &self.exchange.markets,
                                 self.exchange.markets.markets[i])
                else:
                    book_check(&self.exchange.core, self.exchange.books[i])
                assert self.exchange.books[i].instrument == i + 1
                orders += self.exchange.books[i].orders
            ids_check(&self.exchange.core.ids, orders)
            assert self.exchange.count == len(self.instruments)
            pool_check(&self.exchange.core.pool)
            repeats_check(&self.exchange.repeats, self.exchange.core.sequence)
            limits_check(&self.exchange.core, &self.exchange.limits)
            assert self.exchange.core.pending.stage == IDLE
        finally:
            self.busy = False
