"""The codec of OUCH 5.0: requests straight into commands, reports straight into packets.

The rules and tables are those of `reference` and `layout`.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdlib cimport free
from libc.string cimport memset

from ...machine.core.records cimport (AMEND, CANCEL, FOK, GTD, IOC, KEEP_PRICE, KEEP_QUANTITY,
                                      LIMIT, MARKET, MASS_CANCEL, NEW, POST_ONLY, REDUCE,
                                      REPORT_CANCELLED, REPORT_DECREMENTED, REPORT_NEW,
                                      REPORT_REJECTED, REPORT_REPLACED, REPORT_REPLACE_REJECTED,
                                      REPORT_TRADE, REPORT_UNSOLICITED, i64, mc_command, mc_report, u8, u32, u64)
from ...serving._words cimport word_of
from ._answers cimport Answers, is_swept, named_of, put_answer
from ._items cimport Items, appended, is_shown, is_sweep, put_terms, side_of, symbol_word, time_of
from ._listing cimport Listed, Listing
from ._slots cimport Slot, Slots, slot_add, slot_find, slot_remove, slots_init
from ._tables cimport fill_answers
from ._texts cimport code_of

from os import urandom

import numpy as np

from ...records.commands import COMMAND
from ...records.reports import REPORT
from . import layout, names
from .reference import BATCH_MAX, Taken

cdef extern from "gateways/ouch/_wire.h" nogil:  # the include path of the build is the package
    bint mc_wire_ticks(u64 price, u64 multiplier, u64 divisor, i64* ticks)

cdef enum:
    NAMED, CANCEL_ALL, PART, MODIFY, FOREIGN    # operations, as `names` has them
    PACKET_MAX = 160        # bytes of an answer, with all that can be appended
    REQUEST_MIN = 12        # bytes of a packet that makes a command

cdef u64 MARKET_PRICE = layout.MARKET_PRICE
cdef u64 ORDER_BIT = names.ORDER_BIT
cdef u64 MIX = names.MIX
cdef u64 SCOPE_MASK = names.SCOPE_MASK
cdef u64 INT64_TOP = 0x7fffffffffffffff
cdef int BATCH = BATCH_MAX
cdef u8 REFUSED_TYPE = layout.REFUSED_TYPE
cdef u32 NO_INSTRUMENT = layout.NO_INSTRUMENT
cdef u64 BLANK = symbol_word(b" " * 8)

#: Reasons of J, as `layout` has them.
cdef u8 BAD_SYMBOL = layout.BAD_SYMBOL, BAD_SIDE = layout.BAD_SIDE, OTHER = layout.OTHER
cdef u8 BAD_DISPLAY = layout.BAD_DISPLAY, BAD_CROSS = layout.BAD_CROSS
cdef u8 BAD_PRICE = layout.BAD_PRICE, BAD_MIN_QUANTITY = layout.BAD_MIN_QUANTITY

cdef Answers ANSWERS
fill_answers(&ANSWERS, layout, names)

cdef enum Read:
    READ_FINE
    READ_TYPE       # no request has this type
    READ_SIZE       # a request of another size
    READ_MEMORY


cdef class Codec:
    """One session of one day: requests to commands, reports to packets.

    `session`: its number, up to `names.SESSION_MAX`.  `day`: of trading.  `account`: of the
    commands.  `listing`: the instruments; another may take its place.
    """

    cdef Slots slots
    cdef readonly u64 scope
    cdef readonly u64 account
    cdef readonly u32 last_ref
    cdef public Listing listing
    cdef u64 passed

    def __cinit__(self, session, day, account, Listing listing not None):
        self.slots.at = NULL
        self.scope = names.scope_of(session, day)
        self.account, self.listing = account, listing
        self.last_ref = 0
        if not slots_init(&self.slots, int.from_bytes(urandom(8), "little")):
            raise MemoryError("no memory for the orders of a session")

    def __dealloc__(self):
        free(self.slots.at)

    def __len__(self):
        return self.slots.count

    # ------------------------------------------------------------------ requests

    def take(self, data):
        """Requests from the beginning of `data`, as far as they are whole: a `Taken`.

        Stops in front of a packet that is neither data nor a heartbeat, and after `BATCH_MAX`.
        """
        cdef Py_buffer view
        cdef size_t at = 0, size, made = 0, count
        cdef const u8* start
        cdef mc_command* out
        cdef Read read = READ_FINE
        cdef u64 queries = 0
        fault = ""
        self.passed = 0
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            start, count = <const u8*>view.buf, <size_t>view.len
            commands = np.empty(min(BATCH, count // REQUEST_MIN + 1), COMMAND)
            out = <mc_command*><size_t>commands.ctypes.data
            while count - at >= 2 and made < <size_t>BATCH:
                size = 2 + word_of(start + at, 2)
                if size < 3:
                    fault = "a packet without a type"
                    break
                if count - at < size or (start[at + 2] != b'U' and start[at + 2] != b'R'):
                    break
                if start[at + 2] == b'R':
                    at += size
                    continue
                read = self.request(start + at + 3, size - 3, out, &made, &queries)
                if read != READ_FINE:
                    fault = self.fault(read, (<bytes>start[at + 3:at + size])[:1], size - 3)
                    break
                at += size
        finally:
            PyBuffer_Release(&view)
        return Taken(at, commands[:made], queries, self.passed, fault)

    cdef str fault(self, Read read, bytes letter, size_t size):
        if read == READ_MEMORY:
            raise MemoryError("no memory for the orders of a session")
        if read == READ_TYPE:
            return f"no request has the type {letter!r}"
        return f"a request of type {letter!r} with {size} bytes"

    cdef Read request(self, const u8* message, size_t size, mc_command* out, size_t* made,
                      u64* queries) noexcept nogil:
        """One message, as a command behind those that are made."""
        cdef Items items
        cdef u8 letter = message[0] if size else 0
        cdef mc_command* command = out + made[0]
        cdef bint fine
        if letter == b'O':
            fine = appended(message, size, 45, True, &items)
        elif letter == b'U':
            fine = appended(message, size, 38, True, &items)
        elif letter == b'X':
            fine = appended(message, size, 9, False, &items)
        elif letter == b'M':
            fine = appended(message, size, 10, False, &items)
        elif letter == b'C':
            fine = appended(message, size, 17, True, &items)
        elif letter == b'Q':
            fine = appended(message, size, 1, False, &items)
        else:
            return READ_TYPE
        if not fine:
            return READ_SIZE
        if letter == b'Q':
            queries[0] += 1
            return READ_FINE
        memset(command, 0, sizeof(mc_command))
        command.account = self.account
        if letter == b'O':
            fine = self.enter(message, &items, command)
        elif letter == b'U':
            fine = self.replace(message, &items, command)
        elif letter == b'X':
            fine = self.cancel(message, command)
        elif letter == b'C':
            fine = self.sweep(message, &items, command)
        else:
            fine = self.modify(message, command)
        if command.kind:
            made[0] += 1
        else:
            self.passed += 1
        return READ_FINE if fine else READ_MEMORY

    cdef bint enter(self, const u8* message, const Items* items, mc_command* command) noexcept nogil:
        """False without memory."""
        cdef u32 ref = <u32>word_of(message + 1, 4), number
        cdef u64 quantity = word_of(message + 6, 4), said = word_of(message + 18, 8)
        cdef u64 smallest = items.smallest
        cdef u8 refused = 0
        cdef bint is_coded, is_priced = True
        cdef Slot* slot
        if ref <= self.last_ref:
            return True
        self.last_ref = ref
        if items.has_instrument:
            number = <u32>items.instrument if items.instrument <= self.listing.count else 0
        else:
            number = self.listing.number_of(symbol_word(message + 10))
        if items.has_quantity:
            quantity = items.quantity if items.quantity <= INT64_TOP else INT64_TOP
        command.kind, command.instrument, command.quantity = NEW, number, <i64>quantity
        command.order_id = ORDER_BIT | self.scope << 32 | ref
        command.client_order_id = self.scope << 32 | ref
        command.side = side_of(message[5])
        command.order_type = LIMIT
        if items.has_price:
            command.price = <i64>items.price
        elif said == MARKET_PRICE:
            command.order_type = MARKET
        elif number:
            is_priced = self.ticks(number, said, &command.price)
        command.time_in_force = time_of(message[26], items.has_expiry)
        if command.time_in_force == IOC and smallest and smallest == quantity:
            command.time_in_force, smallest = FOK, 0
        command.flags = POST_ONLY if items.post_only == b'P' else 0
        is_coded = code_of(ANSWERS.forms, message + 31, &command.client_order_tail)
        if number == 0:
            refused = BAD_SYMBOL
        elif command.side == 0:
            refused = BAD_SIDE
        elif not is_shown(message[27]):
            refused = BAD_DISPLAY
        elif command.time_in_force == 0:
            refused = OTHER
        elif message[30] != b'N':
            refused = BAD_CROSS
        elif not is_priced:
            refused = BAD_PRICE
        elif smallest > 1:
            refused = BAD_MIN_QUANTITY
        elif not is_coded or items.wrong or items.has_side:
            refused = OTHER
        if refused:
            command.order_type = REFUSED_TYPE + refused
        else:
            put_terms(items, command)
        slot = slot_add(&self.slots, ref, command.order_id)
        if slot == NULL:
            return False
        slot.instrument, slot.side = number, command.side
        slot.time_in_force = command.time_in_force
        slot.total, slot.current = command.quantity, ref
        return True

    cdef inline bint ticks(self, u32 number, u64 said, i64* price) noexcept nogil:
        """A price of the wire; false if it is not on a tick."""
        cdef Listed* listed = self.listing.listed + (number - 1)
        return mc_wire_ticks(said, listed.multiplier, listed.divisor, price)

    cdef bint replace(self, const u8* message, const Items* items,
                      mc_command* command) noexcept nogil:
        """False without memory."""
        cdef u32 original = <u32>word_of(message + 1, 4), ref = <u32>word_of(message + 5, 4)
        cdef u64 total = word_of(message + 9, 4), said = word_of(message + 13, 8), order_id
        cdef u8 time
        cdef Slot* order
        cdef Slot* slot
        cdef bint fine, is_coded
        cdef i64 change
        if ref <= self.last_ref:
            return True
        self.last_ref = ref
        order = self.order(original)
        if items.has_quantity:
            total = items.quantity if items.quantity <= INT64_TOP else INT64_TOP
        command.kind = AMEND
        command.order_id = ORDER_BIT | self.scope << 32 | original
        command.client_order_id = self.scope << 32 | ref
        is_coded = code_of(ANSWERS.forms, message + 24, &command.client_order_tail)
        if order == NULL:
            return True
        if items.has_price:
            command.price = <i64>items.price
            fine = True
        else:
            fine = said != MARKET_PRICE and self.priced(order, said, &command.price)
        time = time_of(message[21], order.time_in_force == GTD)
        fine = (fine and is_coded and time and time == order.time_in_force
                and is_shown(message[22])
                and not (items.wrong or items.has_instrument or items.has_smallest
                         or items.has_post_only or items.has_side or items.has_terms))
        order_id = command.order_id = order.order_id
        command.instrument = order.instrument
        command.quantity = <i64>total - order.filled
        command.flags = 0 if fine else KEEP_PRICE | KEEP_QUANTITY
        change = <i64>total - order.total
        order.total = <i64>total
        slot = slot_add(&self.slots, ref, order_id)
        if slot == NULL:
            return False
        slot.change = change
        return True

    cdef inline bint priced(self, const Slot* order, u64 said, i64* price) noexcept nogil:
        if order.instrument == 0:
            return True
        return self.ticks(order.instrument, said, price)

    cdef bint cancel(self, const u8* message, mc_command* command) noexcept nogil:
        cdef u32 ref = <u32>word_of(message + 1, 4)
        cdef i64 total = <i64>word_of(message + 5, 4), less
        cdef Slot* order = self.order(ref)
        command.order_id = ORDER_BIT | self.scope << 32 | ref
        if order != NULL:
            command.order_id, command.instrument = order.order_id, order.instrument
        if order == NULL or total == 0:
            command.kind = CANCEL
            command.client_order_id = self.request_id(PART if order == NULL else CANCEL_ALL, ref, 0)
            return True
        less = order.total - total
        if less <= 0:
            return True
        order.total = total
        command.kind = REDUCE
        command.quantity, command.client_order_tail = less, <u64>less
        command.client_order_id = self.request_id(PART, ref, <u64>total)
        return True

    cdef bint modify(self, const u8* message, mc_command* command) noexcept nogil:
        cdef u32 ref = <u32>word_of(message + 1, 4)
        cdef i64 total = <i64>word_of(message + 6, 4), less = 0
        cdef u8 side = side_of(message[5])
        cdef Slot* order = self.order(ref)
        command.order_id = ORDER_BIT | self.scope << 32 | ref
        if order != NULL:
            command.order_id, command.instrument = order.order_id, order.instrument
            if side and side == order.side and order.total > total:
                less = order.total - total
                order.total = total
        command.kind = REDUCE
        command.quantity, command.client_order_tail = less, <u64>less
        if less:
            command.client_order_id = self.request_id(MODIFY, ref, <u64>total)
        else:
            command.client_order_id = self.request_id(PART, ref, 0)
        return True

    cdef bint sweep(self, const u8* message, const Items* items,
                    mc_command* command) noexcept nogil:
        cdef u32 ref = <u32>word_of(message + 1, 4)
        cdef u64 symbol = symbol_word(message + 9)
        if ref <= self.last_ref:
            return True
        self.last_ref = ref
        command.kind = MASS_CANCEL
        command.client_order_id = self.scope << 32 | ref
        command.client_order_tail = ORDER_BIT | command.client_order_id
        if not items.has_instrument:
            command.instrument = self.listing.number_of(symbol)
        elif items.instrument <= self.listing.count:
            command.instrument = <u32>items.instrument
        if command.instrument == 0 and (items.has_instrument or symbol != BLANK):
            command.instrument = NO_INSTRUMENT
        command.side = side_of(<u8>items.side)
        if items.has_side and command.side == 0:
            command.side = REFUSED_TYPE + BAD_SIDE
        elif not is_sweep(items):
            command.side = REFUSED_TYPE + OTHER
        return True

    cdef inline u64 request_id(self, u64 operation, u32 ref, u64 quantity) noexcept nogil:
        return operation << 61 | ((self.scope + quantity * MIX) & SCOPE_MASK) << 32 | ref

    cdef inline Slot* order(self, u32 ref) noexcept nogil:
        """The order that a UserRefNum means now; NULL: none."""
        cdef Slot* slot = slot_find(&self.slots, ref)
        if slot == NULL:
            return NULL
        if <u32>slot.order_id != ref:
            return slot_find(&self.slots, <u32>slot.order_id)
        return slot if slot.current == ref else NULL

    # ------------------------------------------------------------------ reports

    def packets(self, reports):
        """The packets of `REPORT` rows of this session; those without a number tell nothing."""
        cdef const mc_report* report
        cdef const mc_report* end
        rows = np.ascontiguousarray(reports, REPORT)
        report = <const mc_report*><size_t>rows.ctypes.data
        end = report + len(rows)
        told = PyBytes_FromStringAndSize(NULL, len(rows) * PACKET_MAX)
        cdef u8* start = <u8*>PyBytes_AS_STRING(told)
        cdef u8* at = start
        cdef Listing listing = self.listing
        with nogil:
            while report < end:
                if report.number:
                    at = put_answer(at, &ANSWERS, report, self.scope, listing.listed, listing.count)
                report += 1
        return told[:at - start]

    def note(self, reports):
        """Follows the orders of `REPORT` rows, each once, in their order."""
        cdef const mc_report* report
        rows = np.ascontiguousarray(reports, REPORT)
        report = <const mc_report*><size_t>rows.ctypes.data
        for _ in range(len(rows)):
            if report.number and is_swept(report, self.scope):
                self.last_ref = max(self.last_ref, <u32>report.client_order_id)
            elif report.number and self.mine(report) and not self.noted(report):
                raise MemoryError("no memory for the orders of a session")
            report += 1

    def open(self, reports):
        """Knows the open orders that `REPORT` rows tell of, which were entered elsewhere."""
        cdef const mc_report* report
        rows = np.ascontiguousarray(reports, REPORT)
        report = <const mc_report*><size_t>rows.ctypes.data
        for _ in range(len(rows)):
            if self.mine(report) and not self.known(report):
                raise MemoryError("no memory for the orders of a session")
            report += 1

    def used(self, u32 ref):
        """This UserRefNum was used elsewhere."""
        self.last_ref = max(self.last_ref, ref)

    cdef inline bint mine(self, const mc_report* report) noexcept nogil:
        """Whether the order was entered by this session today."""
        return report.order_id >> 32 == (ORDER_BIT >> 32 | self.scope)

    cdef bint noted(self, const mc_report* report) noexcept nogil:
        """False without memory."""
        cdef u32 ref, first = <u32>report.order_id
        cdef int operation = named_of(report, self.scope, &ref)
        cdef Slot* order
        if operation == NAMED and ref > self.last_ref:
            self.last_ref = ref
        if report.kind == REPORT_REJECTED:
            slot_remove(&self.slots, ref)
        elif report.kind == REPORT_REPLACE_REJECTED:
            self.take_back(first, ref, operation, <i64>report.client_order_tail)
        elif report.kind == REPORT_CANCELLED or (report.kind == REPORT_TRADE and report.left == 0):
            order = slot_find(&self.slots, first)
            if order != NULL:
                ref = order.current
                slot_remove(&self.slots, first)
                if ref != first:
                    slot_remove(&self.slots, ref)
        elif report.kind == REPORT_DECREMENTED:
            order = slot_find(&self.slots, first)
            if order != NULL:
                order.total -= report.last_quantity
        elif report.kind == REPORT_NEW or report.kind == REPORT_TRADE or (
                report.kind == REPORT_REPLACED):
            order = slot_find(&self.slots, first)
            if order == NULL:
                return self.known(report)
            order.filled = report.filled
            if report.kind != REPORT_REPLACED:
                return True
            if report.flags & REPORT_UNSOLICITED or operation == FOREIGN:
                order.total = report.quantity
            elif operation == NAMED:
                return self.is_now(order, ref)
        return True

    cdef bint known(self, const mc_report* report) noexcept nogil:
        """False without memory."""
        cdef u32 ref, first = <u32>report.order_id
        cdef Slot* order
        named_of(report, self.scope, &ref)
        if ref > self.last_ref:
            self.last_ref = ref
        order = slot_add(&self.slots, first, report.order_id)
        if order == NULL:
            return False
        order.instrument, order.side = report.instrument, report.side
        order.time_in_force = report.time_in_force
        order.total, order.filled, order.current = report.quantity, report.filled, first
        return self.is_now(order, ref)

    cdef bint is_now(self, Slot* order, u32 ref) noexcept nogil:
        """The order has another UserRefNum; false without memory."""
        cdef u32 first = order.ref, before = order.current
        cdef u64 order_id = order.order_id
        order.current = ref
        if before != first and before != ref:
            slot_remove(&self.slots, before)
        return ref == first or slot_add(&self.slots, ref, order_id) != NULL

    cdef void take_back(self, u32 first, u32 ref, int operation, i64 tail) noexcept nogil:
        """A request to change the order's total was refused."""
        cdef Slot* order = slot_find(&self.slots, first)
        cdef Slot* replaced
        if operation == FOREIGN:
            return
        if operation == NAMED:
            replaced = slot_find(&self.slots, ref)
            if replaced == NULL or <u32>replaced.order_id == ref or (
                    order != NULL and order.current == ref):
                return
            tail = -replaced.change
            slot_remove(&self.slots, ref)
            order = slot_find(&self.slots, first)
        if order != NULL:
            order.total += tail
