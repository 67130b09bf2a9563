"""Plain orders, straight from bytes into `COMMAND` records: D, F and G without a surprise.

A message that is in any way not plain is left to `plain.Plain`, which knows every rule: it decides,
and what is read here it reads in the same way.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_GetItem
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memset

from ...machine.core.records cimport (
    AMEND, BUY, CANCEL, DAY, FOK, GTC, IOC, LIMIT, MARKET, NEW, POST_ONLY, SELL, mc_command,
)
from ...records._ids cimport MC_TEXT_MAX, mc_id_of_text
from ._scan cimport F_MESSAGE, scan
from ._text cimport SOH, is_digit, mc_wide, moment, whole

from ...records.commands import COMMAND
from .layout import ORIGINAL, REFUSED_TAGS

cdef enum:
    TAG_MAX = 9999  # the largest that is looked up; a larger one is of no meaning here
    QUANTITY_DIGITS = 18
    PRICE_DIGITS = 18
    PASS = 0  # of `meaning`: a tag without meaning here
    LEAVE = 255  # a tag that only the general reader understands

cdef struct original:  # `layout.ORIGINAL`
    uint64_t id
    uint64_t tail

cdef struct piece:
    const unsigned char* at
    Py_ssize_t size

# Tags of plain orders; each has its place in `Orders.parts`.
cdef int[18] KNOWN = [0, 49, 56, 34, 52, 11, 41, 1, 21, 55, 54, 38, 40, 44, 59, 60, 18, 35]
cdef enum:
    SENDER = 1
    TARGET = 2
    NUMBER = 3
    SENT = 4
    CL_ORD_ID = 5
    ORIGINAL_ID = 6
    ACCOUNT = 7
    HANDLING = 8
    SYMBOL = 9
    SIDE = 10
    QUANTITY = 11
    TYPE = 12
    PRICE = 13
    TIF = 14
    TRANSACT = 15
    INSTRUCTION = 16
    KIND = 17
    PARTS = 18

cdef uint8_t[TAG_MAX + 1] meaning
memset(meaning, PASS, sizeof(meaning))
for _tag in REFUSED_TAGS:
    meaning[_tag] = LEAVE
for _place in range(1, PARTS):
    meaning[KNOWN[_place]] = _place


cdef inline int64_t ticks_of(const unsigned char* at, Py_ssize_t size, int64_t mantissa,
                             int decimals, bint* exact) noexcept nogil:
    """A price in ticks; ``exact`` is False for what is none, or not on a tick."""
    cdef bint minus = size > 0 and at[0] == c"-"
    cdef int64_t value = 0
    cdef int behind = 0, count = 0
    cdef bint point = False
    cdef mc_wide scaled
    cdef Py_ssize_t place
    exact[0] = False
    for place in range(minus, size):
        if at[place] == c"." and not point:
            point = True
            continue
        if not is_digit(at[place]) or count == PRICE_DIGITS:
            return 0
        value = value * 10 + (at[place] - 48)
        count += 1
        behind += point
    if not count:
        return 0
    while behind > decimals:
        if value % 10:
            return 0
        value //= 10
        behind -= 1
    scaled = value
    while behind < decimals:
        scaled *= 10
        behind += 1
    if scaled % mantissa or scaled // mantissa > <int64_t>0x7FFFFFFFFFFFFFFF:
        return 0
    exact[0] = True
    value = <int64_t>(scaled // mantissa)
    return -value if minus else value


cdef class Orders:
    """The reader of one session.  ``symbols``: symbol -> (number, tick mantissa, decimals).

    ``account``: of an order that names none; -1 if it has to.
    """

    cdef bytes begin, sender, target
    cdef public dict symbols
    cdef public int64_t account
    cdef piece[PARTS] parts

    def __init__(self, bytes begin, bytes sender, bytes target, dict symbols, int64_t account):
        self.begin, self.sender, self.target = b"8=" + begin + b"\x019=", sender, target
        self.symbols, self.account = symbols, account

    def read(self, data, Py_ssize_t at, uint64_t expected, int64_t now, int64_t tolerance,
             commands, originals):
        """Fills rows of zeroed ``commands`` from ``at`` on, and ``originals`` for F and G.

        Reads while messages are plain, in sequence from ``expected`` on, and sent within
        ``tolerance`` nanoseconds of ``now``.  Returns (rows filled, where the next byte is).
        An AMEND has as quantity the OrderQty of its message.
        """
        cdef Py_buffer view, rows, first
        if commands.dtype != COMMAND or originals.dtype != ORIGINAL:
            raise TypeError("commands: dtype COMMAND; originals: dtype ORIGINAL")
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            PyObject_GetBuffer(commands, &rows, PyBUF_SIMPLE | PyBUF_WRITABLE)
            try:
                PyObject_GetBuffer(originals, &first, PyBUF_SIMPLE | PyBUF_WRITABLE)
                try:
                    return self.fill(
                        <const unsigned char*>view.buf, view.len, at, expected, now, tolerance,
                        <mc_command*>rows.buf, <original*>first.buf,
                        min(rows.len // <Py_ssize_t>sizeof(mc_command),
                            first.len // <Py_ssize_t>sizeof(original)),
                    )
                finally:
                    PyBuffer_Release(&first)
            finally:
                PyBuffer_Release(&rows)
        finally:
            PyBuffer_Release(&view)

    cdef tuple fill(self, const unsigned char* data, Py_ssize_t size, Py_ssize_t at,
                    uint64_t expected, int64_t now, int64_t tolerance, mc_command* commands,
                    original* originals, Py_ssize_t most):
        cdef Py_ssize_t count = 0, begin = 0, end = 0
        if at < 0:
            raise ValueError("at: not negative")
        while count < most and at < size:
            if scan(data, size, at, &begin, &end) != F_MESSAGE or begin != at:
                break
            if not self.split(data + begin, end - begin):
                break
            if not self.in_order(expected + <uint64_t>count, now, tolerance):
                break
            if not self.order(&commands[count], &originals[count]):
                memset(&commands[count], 0, sizeof(mc_command))
                break
            count += 1
            at = end
        return count, at

    cdef bint split(self, const unsigned char* data, Py_ssize_t size) noexcept:
        """Finds the fields; False if the message is not plain."""
        cdef Py_ssize_t at = len(self.begin), end = size - 7
        cdef const unsigned char* stop
        cdef int tag, place
        memset(self.parts, 0, sizeof(self.parts))
        if size < at or memcmp(data, <const char*>self.begin, at) != 0:
            return False
        while data[at] != SOH:
            at += 1
        at += 1
        while at < end:
            stop = <const unsigned char*>memchr(data + at, SOH, end - at)
            if stop == NULL:
                return False
            tag = 0
            if data[at] == c"0":
                return False
            while is_digit(data[at]) and tag <= TAG_MAX:
                tag = tag * 10 + (data[at] - 48)
                at += 1
            if not 0 < tag <= TAG_MAX or data[at] != c"=" or data + at + 1 == stop:
                return False
            at += 1
            place = meaning[tag]
            if place == LEAVE or place != PASS and self.parts[place].size:
                return False
            if place != PASS:
                self.parts[place].at = data + at
                self.parts[place].size = stop - (data + at)
            at = stop - data + 1
        return True

    cdef bint in_order(self, uint64_t expected, int64_t now, int64_t tolerance) noexcept:
        cdef piece* parts = self.parts
        cdef int64_t sent = moment(parts[SENT].at, parts[SENT].size)
        return (
            parts[SENDER].size == len(self.sender) and parts[TARGET].size == len(self.target)
            and memcmp(parts[SENDER].at, <const char*>self.sender, parts[SENDER].size) == 0
            and memcmp(parts[TARGET].at, <const char*>self.target, parts[TARGET].size) == 0
            and whole(parts[NUMBER].at, parts[NUMBER].size, 18) == <int64_t>expected
            and sent >= 0 and now - tolerance <= sent <= now + tolerance
        )

    cdef bint order(self, mc_command* command, original* first) except -1:
        """Fills a row; False if the message is not a plain order."""
        cdef piece* parts = self.parts
        cdef unsigned char kind
        cdef int64_t account = self.account
        cdef PyObject* known
        if parts[KIND].size != 1:
            return False
        kind = parts[KIND].at[0]
        command.kind = NEW if kind == c"D" else CANCEL if kind == c"F" else AMEND
        if kind != c"D" and kind != c"F" and kind != c"G":
            return False
        if parts[ACCOUNT].size:
            account = whole(parts[ACCOUNT].at, parts[ACCOUNT].size, 18)
        if account < 0 or not self.side(command):
            return False
        if moment(parts[TRANSACT].at, parts[TRANSACT].size) < 0:
            return False
        command.account = <uint64_t>account
        if not self.put_id(CL_ORD_ID, &command.client_order_id, &command.client_order_tail):
            return False
        first.id = first.tail = 0
        if (kind == c"D") != (parts[ORIGINAL_ID].size == 0):
            return False
        if kind != c"D" and not self.put_id(ORIGINAL_ID, &first.id, &first.tail):
            return False
        symbol = PyBytes_FromStringAndSize(<const char*>parts[SYMBOL].at, parts[SYMBOL].size)
        known = PyDict_GetItem(self.symbols, symbol)
        if known == NULL:
            return False
        return self.terms(command, <tuple>known, kind)

    cdef bint side(self, mc_command* command) noexcept:
        cdef piece* part = &self.parts[SIDE]
        if part.size != 1 or part.at[0] != c"1" and part.at[0] != c"2":
            return False
        command.side = BUY if part.at[0] == c"1" else SELL
        return True

    cdef bint terms(self, mc_command* command, tuple instrument, unsigned char kind) except -1:
        """Quantity, type, price, time in force."""
        cdef piece* parts = self.parts
        cdef int64_t number, mantissa
        cdef int decimals
        cdef bint exact
        number, mantissa, decimals = instrument
        command.instrument = <uint32_t>number
        if kind == c"F":
            return True
        command.quantity = whole(parts[QUANTITY].at, parts[QUANTITY].size, QUANTITY_DIGITS)
        if command.quantity < 1 or parts[TYPE].size != 1:
            return False
        if parts[TYPE].at[0] == c"2":
            command.order_type = LIMIT
            command.price = ticks_of(parts[PRICE].at, parts[PRICE].size, mantissa, decimals, &exact)
            if not exact:
                return False
        elif parts[TYPE].at[0] == c"1" and kind == c"D" and not parts[PRICE].size:
            command.order_type = MARKET
        else:
            return False
        command.time_in_force = DAY
        if parts[TIF].size:
            command.time_in_force = self.time_in_force()
            if not command.time_in_force:
                return False
        if parts[INSTRUCTION].size:
            if parts[INSTRUCTION].size != 1 or parts[INSTRUCTION].at[0] != c"6":
                return False
            command.flags = POST_ONLY
        return True

    cdef int time_in_force(self) noexcept:
        cdef unsigned char code = self.parts[TIF].at[0]
        if self.parts[TIF].size != 1:
            return 0
        return (DAY if code == c"0" else GTC if code == c"1" else IOC if code == c"3"
                else FOK if code == c"4" else 0)

    cdef bint put_id(self, int place, uint64_t* id, uint64_t* tail) noexcept:
        """A client order id; False if it has no form in the log."""
        cdef piece* part = &self.parts[place]
        return (0 < part.size <= MC_TEXT_MAX
                and mc_id_of_text(<const char*>part.at, part.size, id, tail))
