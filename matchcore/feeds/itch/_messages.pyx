"""Public changes as NASDAQ TotalView-ITCH 5.0 messages, and back; docs/feeds/itch.md has the tables.

A block is a message behind its length, two bytes, big-endian: what a MoldUDP64 datagram holds, and
a saved stream.  Whether an order is told in the standard's messages or in ours is decided when it is
added, and stays so.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from ...machine.core.records cimport (BUY, C_ADDED, C_DAY_ENDED, C_DEFINED, C_DELETED, C_EXECUTED,
                                      C_HALT, C_INDICATIVE, C_LARGE, C_NOTICE, C_PHASE, C_REDUCED, C_UNSEEN,
                                      SELL, i64, mc_change, mc_likely, mc_unlikely, u8, u16, u32,
                                      u64)
from ._references cimport (Slot, Table, reference_of, table_find, table_grow, table_init, table_prefetch,
                          table_remove)
from ...serving._words cimport put32, word_of
from ._reading cimport get_trade
from ._writing cimport (MARKET_BYTES, Listed, is_standard, put_day_ended, put_head, put_market,
                       put_standard, put_trade, put_wide)

from os import urandom

import numpy as np

from ...errors import FeedError
from ...records.changes import CHANGE
from ...records.instruments import Directory
from .directory import defined, definition, price_scale

cdef enum:
    HEAD = 11               # bytes of type, stock locate, tracking number and time
    AHEAD = 8               # changes: so far before its turn a slot is fetched
    BLOCK_MAX = 52          # of a change that defines and notices nothing, with its length
    TEXT_BYTES = 56

#: A resting order as the messages name it: by the sequence of the command that added it.
REFERENCE = np.dtype([("order_id", "<u8"), ("reference", "<u8"), ("instrument", "<u4"),
                      ("wide", "<u4")])

cdef u64 UINT32_TOP = 0xffffffff
cdef u64 SEQUENCE_BITS = (<u64>1 << 48) - 1     # of a reference number


# ---------------------------------------------------------------------- changes to messages

cdef size_t address(array) except? 0:
    """Where the elements of a contiguous array lie."""
    return array.ctypes.data


cdef inline Slot* slot_of(Table* table, const mc_change* change, const Listed* listed) noexcept nogil:
    """The slot of the change's order, which it may add; NULL without memory."""
    cdef Slot* slot
    if change.kind != C_ADDED:
        return table_find(table, change.order_id, change.instrument)
    if not table_grow(table):
        return NULL
    slot = table_find(table, change.order_id, change.instrument)
    if slot.reference == 0:
        table.count += 1
    slot.order_id, slot.instrument = change.order_id, change.instrument
    if slot.reference & SEQUENCE_BITS != change.sequence:  # else it is told once more
        slot.reference = reference_of(table, change.sequence)
    slot.wide = not is_standard(change, listed) or change.flags & C_LARGE
    return slot


cdef bytes notice(const mc_change* change):
    """A part of a notice, with its length."""
    cdef u8 told[2 + HEAD + 10 + TEXT_BYTES]
    cdef u8* at = put_head(told, HEAD + 10 + TEXT_BYTES, b'n', change.instrument, 0, change.time)
    at = put32(at, change.instrument)
    at = put32(at, change.level_orders)
    at[0] = change.side
    at[1] = <u8>change.flags
    memcpy(at + 2, &change.order_id, TEXT_BYTES)
    return (<const char*>told)[:sizeof(told)]


cdef u8* put_changes(u8* at, const mc_change** place, const mc_change* end, const Listed* listed,
                     size_t count, Table* table, bint known) noexcept nogil:
    """Blocks of changes, up to one that defines an instrument or that makes no sense.

    `known`: the orders that are added have their slots already.
    """
    cdef const mc_change* change = place[0]
    cdef const Listed* one
    cdef Slot* slot
    while change < end:
        if change + AHEAD < end:
            table_prefetch(table, change[AHEAD].order_id, change[AHEAD].instrument)
        if mc_unlikely(change.kind == C_EXECUTED and change.flags & C_UNSEEN):
            if not 1 <= change.instrument <= count:
                break
            at = put_trade(at, change, listed + (change.instrument - 1))
        elif mc_likely(C_ADDED <= change.kind <= C_DELETED):
            if not 1 <= change.instrument <= count:
                break
            one = listed + (change.instrument - 1)
            if known:
                slot = table_find(table, change.order_id, change.instrument)
            else:
                slot = slot_of(table, change, one)
            if slot == NULL or slot.reference == 0:
                break
            if mc_likely(not slot.wide):
                at = put_standard(at, change, slot.reference, one)
            else:
                at = put_wide(at, change, slot.reference)
            if change.left == 0 and not known:
                table_remove(table, slot)
        elif change.kind == C_DAY_ENDED:
            at = put_day_ended(at, change)
        elif C_PHASE <= change.kind <= C_INDICATIVE and 1 <= change.instrument <= count:
            at = put_market(at, change, listed + (change.instrument - 1))
        else:
            break
        change += 1
    place[0] = change
    return at


cdef class Encoder:
    """Changes in their order as blocks, from the log's first on or from those of another encoder.

    `instruments`: the Directory behind the changes that it is given.  It knows those of the moment
    at which it is made; another is looked up when a change defines it.  `references`: what the
    other has given as its `Encoder.references`.
    """

    cdef Listed* listed
    cdef size_t count
    cdef Table table
    cdef readonly object instruments

    def __cinit__(self, instruments, references=None):
        cdef const Slot* given
        cdef Slot* slot
        cdef size_t i
        self.listed = NULL
        self.count = 0
        self.instruments = instruments
        if not table_init(&self.table, int.from_bytes(urandom(8), "little")):
            raise MemoryError("no memory for the reference numbers")
        if references is not None:
            references = np.ascontiguousarray(references, REFERENCE)
            given = <const Slot*>address(references)
            for i in range(<size_t>len(references)):
                if not table_grow(&self.table):
                    raise MemoryError("no memory for the reference numbers")
                slot = table_find(&self.table, given[i].order_id, given[i].instrument)
                if slot.reference or not given[i].reference:
                    raise FeedError(f"reference number {i + 1} is 0, or of an order named before")
                slot[0] = given[i]
                self.table.count += 1
        for number in range(1, len(instruments) + 1):
            self.list(number)

    def __dealloc__(self):
        PyMem_Free(self.listed)
        free(self.table.slots)

    cdef int list(self, size_t number) except -1:
        cdef Listed* one
        cdef u64 stock
        instrument = self.instruments[number]
        if number > self.count:
            one = <Listed*>PyMem_Realloc(self.listed, number * sizeof(Listed))
            if one == NULL:
                raise MemoryError("no memory for another instrument")
            memset(one + self.count, 0, (number - self.count) * sizeof(Listed))
            self.listed, self.count = one, number
        symbol = instrument.symbol.encode().ljust(8)[:8]
        memcpy(&stock, PyBytes_AS_STRING(symbol), 8)
        one = self.listed + (number - 1)
        one.scale = price_scale(number, instrument)
        one.price_max = UINT32_TOP // <u64>one.scale if one.scale else 0
        one.stock = stock
        return 0

    def blocks(self, rows):
        """The blocks of `rows`, a 1-D `CHANGE` array; one for each, as bytes.  Releases the GIL.

        `FeedError` for a row that no machine says, or of an order that was added before the first
        row that the encoder was given.  The rows of a snapshot that has sequences may come first.
        """
        return self.encoded(rows, False)

    def snapshot(self, rows):
        """The same for rows that add all orders that rest now, once more."""
        return self.encoded(rows, True)

    def references(self):
        """The numbers of the orders that rest now, a `REFERENCE` array."""
        cdef size_t i
        made = np.empty(self.table.count, REFERENCE)
        cdef Slot* out = <Slot*>address(made)
        for i in range(self.table.mask + 1):
            if self.table.slots[i].reference:
                out[0] = self.table.slots[i]
                out += 1
        return made

    cdef bytes encoded(self, rows, bint known):
        cdef const mc_change *change, *first, *end
        cdef list parts = []
        if not isinstance(rows, np.ndarray) or rows.dtype != CHANGE or rows.ndim != 1:
            raise FeedError("rows: a 1-D array of CHANGE")
        if not len(rows):
            return b""
        rows = np.ascontiguousarray(rows)
        change = <const mc_change*>address(rows)
        end = change + len(rows)
        while change < end:
            if change.kind == C_DEFINED and 1 <= change.instrument <= len(self.instruments):
                self.list(change.instrument)
                told = definition(change.instrument, self.instruments[change.instrument], change.time)
                parts.append(len(told).to_bytes(2, "big") + told)
                change += 1
                continue
            if change.kind == C_NOTICE:
                parts.append(notice(change))
                change += 1
                continue
            first = change
            parts.append(self.some(&change, end, known))
            if change == first:
                raise FeedError(
                    f"change of sequence {change.sequence}, kind {change.kind}: order"
                    f" {change.order_id} of instrument {change.instrument} is not known among"
                    f" {self.table.count} orders of {self.count} instruments")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    cdef bytes some(self, const mc_change** place, const mc_change* end, bint known):
        cdef size_t room = <size_t>(end - place[0]) * BLOCK_MAX
        cdef object told = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>room)
        cdef u8* start = <u8*>PyBytes_AS_STRING(told)
        cdef u8* at
        with nogil:
            at = put_changes(start, place, end, self.listed, self.count, &self.table, known)
        return told[:at - start]


# ---------------------------------------------------------------------- messages to changes

cdef enum Read:
    READ_ALL
    READ_DEFINITION     # which Python reads
    READ_WRONG


cdef u16 length_of(u8 letter) noexcept nogil:
    """Of a message of a type that the encoder writes; 0 for another."""
    if letter == b'A': return 36
    if letter == b'E': return 31
    if letter == b'X': return 23
    if letter == b'D': return 19
    if letter == b'S': return 12
    if letter == b'R': return 39
    if letter == b'a': return 40
    if letter == b'e': return 39
    if letter == b'x' or letter == b'd': return 31
    if letter == b's': return 15
    if letter == b'r': return 64
    if letter == b'n': return HEAD + 10 + TEXT_BYTES
    if letter == b'P': return 44
    if letter == b'Q': return 40
    if letter == b'p': return 40
    if letter == b'H': return 25
    if letter == b'I': return 50
    if letter == b'm': return MARKET_BYTES
    return 0


cdef bint get_order(const u8* message, mc_change* change, u32 locate, const Listed* listed,
                    size_t count) noexcept nogil:
    """What one of A, E, X, D says of its order; false if it makes no sense."""
    cdef u64 price
    cdef i64 scale
    change.order_id = word_of(message + HEAD, 8)
    change.instrument = locate
    if not 1 <= locate <= count:
        return False
    if message[0] == b'A':
        scale = listed[locate - 1].scale
        price = word_of(message + 32, 4)
        if scale <= 0 or price % <u64>scale:
            return False
        change.kind = C_ADDED
        change.side = BUY if message[19] == b'B' else SELL
        change.quantity = change.left = <i64>word_of(message + 20, 4)
        change.price = <i64>(price // <u64>scale)
        return message[19] == b'B' or message[19] == b'S'
    if message[0] == b'D':
        change.kind = C_DELETED
        return True
    change.quantity = <i64>word_of(message + 19, 4)
    change.kind = C_REDUCED
    if message[0] == b'E':
        change.kind = C_EXECUTED
        change.trade_id = word_of(message + 23, 8)
    return True


cdef bint get_wide(const u8* message, mc_change* change) noexcept nogil:
    """What one of a, e, x, d says of its order; false if it makes no sense."""
    change.order_id = word_of(message + HEAD, 8)
    change.instrument = <u32>word_of(message + 19, 4)
    change.quantity = <i64>word_of(message + 23, 8)
    if message[0] == b'a':
        change.kind = C_ADDED
        change.left = change.quantity
        change.price = <i64>word_of(message + 31, 8)
        change.side = BUY if message[39] == b'B' else SELL
        return message[39] == b'B' or message[39] == b'S'
    change.kind = C_REDUCED
    if message[0] == b'e':
        change.kind = C_EXECUTED
        change.trade_id = word_of(message + 31, 8)
    elif message[0] == b'd':
        change.kind = C_DELETED
    return True


cdef void get_notice(const u8* message, mc_change* change) noexcept nogil:
    change.kind = C_NOTICE
    change.instrument = <u32>word_of(message + HEAD, 4)
    change.level_orders = <u32>word_of(message + HEAD + 4, 4)
    change.side, change.flags = message[HEAD + 8], message[HEAD + 9]
    memcpy(&change.order_id, message + HEAD + 10, TEXT_BYTES)


cdef bint get_market(const u8* message, mc_change* change, u32 locate, const Listed* listed,
                     size_t count) noexcept nogil:
    """What one of H, I, Q, m says; false if it makes no sense."""
    cdef u64 price
    cdef u16 tracking = change.flags
    change.instrument, change.flags = locate, 0
    if message[0] == b'm':
        change.instrument = <u32>word_of(message + HEAD, 4)
        change.kind, change.level_orders = message[HEAD + 4], message[HEAD + 5]
        change.side, change.flags = message[HEAD + 6], message[HEAD + 7]
        change.price = <i64>word_of(message + HEAD + 8, 8)
        change.quantity = <i64>word_of(message + HEAD + 16, 8)
        change.left = <i64>word_of(message + HEAD + 24, 8)
        return C_PHASE <= change.kind <= C_INDICATIVE and 1 <= change.instrument <= count
    if not 1 <= locate <= count or not listed[locate - 1].price_max:
        return False
    if message[0] == b'Q':
        change.kind, change.level_orders = C_PHASE, tracking
        price = word_of(message + 27, 4)
        change.price = <i64>(price // <u64>listed[locate - 1].scale)
        change.quantity = <i64>word_of(message + HEAD, 8)
        return price % <u64>listed[locate - 1].scale == 0
    if message[0] == b'H':
        change.kind, change.flags = C_HALT, message[19] == b'H'
        return message[19] == b'H' or message[19] == b'T'
    price = word_of(message + 36, 4)
    change.kind, change.level_orders = C_INDICATIVE, tracking & 0xff
    change.price = <i64>(price // <u64>listed[locate - 1].scale)
    change.quantity = <i64>word_of(message + HEAD, 8)
    change.left = <i64>word_of(message + 19, 8)
    change.side = BUY if message[27] == b'B' else SELL if message[27] == b'S' else 0
    return price % <u64>listed[locate - 1].scale == 0


cdef Read get_changes(const u8* blocks, size_t size, size_t* at, mc_change* change, size_t* done,
                      i64 day, const Listed* listed, size_t count) noexcept nogil:
    """Changes of blocks from `at` on; moves `at` and `done` past those that it has read."""
    cdef const u8* message
    cdef size_t length
    cdef u8 letter
    cdef bint good
    while at[0] < size:
        length = <size_t>word_of(blocks + at[0], 2)
        message = blocks + at[0] + 2
        memset(change + done[0], 0, sizeof(mc_change))
        if length > 0:
            letter = message[0]
            if length_of(letter):
                if length != length_of(letter):
                    return READ_WRONG
                change[done[0]].flags = <u16>word_of(message + 3, 2)
                change[done[0]].time = day + <i64>word_of(message + 5, 6)
                if letter == b'R' or letter == b'r':
                    return READ_DEFINITION
                if letter == b'S' or letter == b's':
                    change[done[0]].kind = C_DAY_ENDED
                    if letter == b's':
                        change[done[0]].instrument = <u32>word_of(message + HEAD, 4)
                    good = letter == b's' or message[HEAD] == b'M'
                elif letter == b'n':
                    get_notice(message, change + done[0])
                    good = True
                elif letter == b'H' or letter == b'I' or letter == b'Q' or letter == b'm':
                    good = get_market(message, change + done[0], <u32>word_of(message + 1, 2),
                                      listed, count)
                elif letter == b'P' or letter == b'p':
                    good = get_trade(message, change + done[0], <u32>word_of(message + 1, 2),
                                     listed, count)
                elif letter >= b'a':
                    good = get_wide(message, change + done[0])
                else:
                    good = get_order(message, change + done[0], <u32>word_of(message + 1, 2),
                                     listed, count)
                if not good:
                    return READ_WRONG
        at[0] += 2 + length
        done[0] += 1
    return READ_ALL


cdef class Decoder:
    """Blocks as changes.

    `instruments`: a Directory that grows with the instruments that messages define, in the order
    of their numbers.  `day`: nanoseconds since 1970 of the midnight that the times are from.
    """

    cdef readonly object instruments
    cdef public i64 day
    cdef Encoder known

    def __init__(self, instruments=None, i64 day=0):
        self.instruments = Directory() if instruments is None else instruments
        self.day = day
        self.known = Encoder(self.instruments)

    def changes(self, blocks):
        """A `CHANGE` array with one row for each block of `blocks`.

        A message does not say all of a change: fields that it lacks are 0, and so is the kind for
        a message of another type.  ``order_id`` is the reference number, of which there is one in
        the whole exchange.  `FeedError` for a part of a block, or a message that no feed of
        matchcore sends.
        """
        cdef Py_buffer source
        PyObject_GetBuffer(blocks, &source, PyBUF_SIMPLE)
        try:
            return self.read(<const u8*>source.buf, <size_t>source.len)
        finally:
            PyBuffer_Release(&source)

    cdef object read(self, const u8* blocks, size_t size):
        cdef size_t at = 0, done = 0, count = 0, length
        cdef mc_change* start
        cdef Read read = READ_DEFINITION
        while at + 2 <= size:
            at += 2 + <size_t>word_of(blocks + at, 2)
            count += 1
        if at != size:
            raise FeedError(f"message {count + 1} of {size} bytes is not whole")
        rows = np.empty(count, CHANGE)
        if not count:
            return rows
        start = <mc_change*>address(rows)
        at = 0
        while read == READ_DEFINITION:
            with nogil:
                read = get_changes(blocks, size, &at, start, &done, self.day, self.known.listed,
                                   self.known.count)
            if read == READ_DEFINITION:
                length = <size_t>word_of(blocks + at, 2)
                self.define((<const char*>blocks)[at + 2:at + 2 + length], start + done)
                at += 2 + length
                done += 1
        if read == READ_WRONG:
            raise FeedError(f"message {done + 1} of {count}, of type {chr(blocks[at + 2])!r}, says"
                            " nothing that a feed of matchcore says")
        return rows

    cdef int define(self, bytes message, mc_change* change) except -1:
        number, instrument = defined(message)
        if not 1 <= number <= len(self.instruments) + 1:
            raise FeedError(f"instrument {number} is defined before {len(self.instruments) + 1}")
        if number > len(self.instruments):
            self.instruments.add(instrument)
        else:
            self.instruments.replace(number, instrument)
        self.known.list(number)
        change.kind, change.instrument, change.flags = C_DEFINED, number, 0
        change.price, change.quantity = instrument.tick_parts[0], instrument.lot
        change.left = instrument.max_quantity
        return 0
