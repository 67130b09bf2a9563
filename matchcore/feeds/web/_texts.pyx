"""Changes of one book as JSON: what nearly all messages consist of."""
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, strlen

from ...machine.core.records cimport (BUY, C_ADDED, C_CROSS, C_EXECUTED, C_REDUCED, C_UNSEEN,
                                      mc_change)
from ...serving._digits cimport digits

from ...records.changes import CHANGE

cdef extern from *:
    """
    #include <string.h>
    static char *mc_put_scaled(char *at, int64_t ticks, int64_t mantissa, int decimals)
    {
        uint64_t size = ticks < 0 ? 0 - (uint64_t)ticks : (uint64_t)ticks;
        *at++ = '"';
        if (ticks < 0)
            *at++ = '-';
        at = mc_put_digits(at, (unsigned __int128)size * (uint64_t)mantissa, decimals);
        *at++ = '"';
        return at;
    }
    static char *mc_put_number(char *at, int64_t value)
    {
        return mc_put_scaled(at, value, 1, 0);
    }
    /* of an order: null for one that trades at any price */
    static char *mc_put_limit(char *at, int buys, int64_t ticks, int64_t mantissa, int decimals)
    {
        if (ticks == (buys ? INT64_MAX : INT64_MIN)) {
            memcpy(at, "null", 4);
            return at + 4;
        }
        return mc_put_scaled(at, ticks, mantissa, decimals);
    }
    """
    char* mc_put_scaled(char* at, int64_t ticks, int64_t mantissa, int decimals) noexcept nogil
    char* mc_put_limit(char* at, bint buys, int64_t ticks, int64_t mantissa,
                       int decimals) noexcept nogil
    char* mc_put_number(char* at, int64_t value) noexcept nogil

cdef enum:
    SAFE_BITS = 53  # of a number that every reader of JSON takes as exact
    LEVEL_BYTES = 128  # at most, of one
    TRADE_BYTES = 256
    CHANGE_BYTES = 288
    HEAD_BYTES = 160  # of a frame and numbers


cdef inline char* put(char* at, const char* text) noexcept nogil:
    cdef size_t size = strlen(text)
    memcpy(at, text, size)
    return at + size


cdef inline char* put_whole(char* at, uint64_t value) noexcept nogil:
    """A string where a reader might round."""
    if value <= <uint64_t>1 << SAFE_BITS:
        return digits(at, value, 0)
    at[0] = c'"'
    at = digits(at + 1, value, 0)
    at[0] = c'"'
    return at + 1


cdef class Rows:
    """A window's rows, held while they are written."""

    cdef Py_buffer source
    cdef const mc_change* rows
    cdef Py_ssize_t count

    def __cinit__(self, changes):
        kind = getattr(changes, "dtype", None)  # the very same as a rule: comparing takes its time
        if (kind is not CHANGE and kind != CHANGE) or changes.ndim != 1:
            raise TypeError("changes: a 1-D NumPy array of dtype matchcore.CHANGE")
        PyObject_GetBuffer(changes, &self.source, PyBUF_SIMPLE)
        self.rows = <const mc_change*>self.source.buf
        self.count = self.source.len // <Py_ssize_t>sizeof(mc_change)

    def __dealloc__(self):
        PyBuffer_Release(&self.source)


cdef bytes taken(char* text, char* end):
    try:
        return PyBytes_FromStringAndSize(text, end - text)
    finally:
        free(text)


cdef char* room(size_t size) except NULL:
    cdef char* found = <char*>malloc(size)
    if found == NULL:
        raise MemoryError("no memory for a message")
    return found


cdef inline bint is_unseen(const mc_change* change) noexcept nogil:
    """True for a trade that changes no level."""
    return change.kind == C_EXECUTED and change.flags & C_UNSEEN


cdef void mark_last(const mc_change* rows, Py_ssize_t count, uint32_t* table, size_t mask,
                    char* last) noexcept nogil:
    """Marks the last change of each level."""
    cdef Py_ssize_t at = count
    cdef uint64_t hash
    cdef const mc_change* other
    while at > 0:
        at -= 1
        if is_unseen(&rows[at]):
            last[at] = 0
            continue
        hash = (<uint64_t>rows[at].price * 2 + rows[at].side) * <uint64_t>0x9E3779B97F4A7C15
        hash = (hash >> 32) & mask
        last[at] = 1
        while table[hash]:
            other = &rows[table[hash] - 1]
            if other.price == rows[at].price and other.side == rows[at].side:
                last[at] = 0
                break
            hash = (hash + 1) & mask
        if last[at]:
            table[hash] = <uint32_t>at + 1


cdef char* put_levels(char* at, const mc_change* rows, Py_ssize_t count, const char* last,
                      int64_t mantissa, int decimals, bint buys) noexcept nogil:
    cdef bint first = True
    cdef Py_ssize_t row
    for row in range(count):
        if not last[row] or (rows[row].side == BUY) != buys:
            continue
        if not first:
            at = put(at, b",")
        first = False
        at = put(at, b"[")
        at = mc_put_limit(at, buys, rows[row].price, mantissa, decimals)
        at = put(at, b",")
        at = put_whole(at, <uint64_t>rows[row].level_quantity)
        at = put(at, b",")
        at = digits(at, rows[row].level_orders, 0)
        at = put(at, b"]")
    return at


def levels(changes, int64_t mantissa, int decimals):
    """The fields of an update of book.l2: each level that changes, as it is after them."""
    cdef Rows held = Rows(changes)
    cdef size_t size = 16
    while size < 2 * <size_t>held.count:
        size *= 2
    cdef uint32_t* table = <uint32_t*>calloc(size, sizeof(uint32_t))
    cdef char* last = <char*>malloc(<size_t>held.count + 1)
    cdef char* text = <char*>malloc(<size_t>held.count * LEVEL_BYTES + 64)
    cdef char* at
    try:
        if table == NULL or last == NULL or text == NULL:
            free(text)
            raise MemoryError("no memory for a message")
        mark_last(held.rows, held.count, table, size - 1, last)
        at = put(text, b'"bids":[')
        at = put_levels(at, held.rows, held.count, last, mantissa, decimals, True)
        at = put(at, b'],"asks":[')
        at = put_levels(at, held.rows, held.count, last, mantissa, decimals, False)
        return taken(text, put(at, b"]"))
    finally:
        free(table)
        free(last)


def last_executed(changes):
    """The place of the last execution among the changes; -1 without one."""
    cdef Rows held = Rows(changes)
    cdef Py_ssize_t at = held.count - 1
    while at >= 0 and held.rows[at].kind != C_EXECUTED:
        at -= 1
    return at


def touched(changes):
    """Prices of the levels that change, of bids and asks: whether one was empty, before the
    changes, behind one or between two."""
    cdef Rows held = Rows(changes)
    cdef dict bids = {}, asks = {}, side
    cdef const mc_change* change
    cdef Py_ssize_t row
    cdef bint empty
    for row in range(held.count):
        change = &held.rows[row]
        if is_unseen(change):
            continue
        side = bids if change.side == BUY else asks
        empty = change.level_orders == 0 or change.kind == C_ADDED and change.level_orders == 1
        price = change.price
        if empty or price not in side:
            side[price] = empty
    return bids, asks


def executions(changes, int64_t mantissa, int decimals):
    """The fields of an update of trades: each execution among the changes."""
    cdef Rows held = Rows(changes)
    cdef char* text = room(<size_t>held.count * TRADE_BYTES + 64)
    cdef char* at = put(text, b'"trades":[')
    cdef const mc_change* change
    cdef Py_ssize_t row
    cdef bint first = True
    for row in range(held.count):
        change = &held.rows[row]
        if change.kind != C_EXECUTED:
            continue
        at = put(at, b'{"id":' if first else b',{"id":')
        first = False
        at = put_whole(at, change.trade_id)
        at = put(at, b',"price":')
        at = mc_put_scaled(at, change.price, mantissa, decimals)
        at = put(at, b',"quantity":')
        at = put_whole(at, <uint64_t>change.quantity)
        if change.flags & C_CROSS:
            at = put(at, b',"side":null,"time":')
        elif change.side == BUY:
            at = put(at, b',"side":"sell","time":')
        else:
            at = put(at, b',"side":"buy","time":')
        at = mc_put_number(at, change.time)
        at = put(at, b"}")
    return taken(text, put(at, b"]"))


def orders(changes, int64_t mantissa, int decimals):
    """The fields of an update of book.l3: each change."""
    cdef Rows held = Rows(changes)
    cdef char* text = room(<size_t>held.count * CHANGE_BYTES + 64)
    cdef char* at = put(text, b'"changes":[')
    cdef const mc_change* change
    cdef Py_ssize_t row
    for row in range(held.count):
        change = &held.rows[row]
        at = put(at, b'{"op":"' if row == 0 else b',{"op":"')
        at = put(at, b"add" if change.kind == C_ADDED
                 else b"trade" if is_unseen(change)
                 else b"execute" if change.kind == C_EXECUTED
                 else b"reduce" if change.kind == C_REDUCED else b"delete")
        at = put(at, b'","order_id":')
        at = put_whole(at, change.order_id)
        at = put(at, b',"side":"buy","price":' if change.side == BUY else b',"side":"sell","price":')
        if is_unseen(change):
            at = mc_put_scaled(at, change.price, mantissa, decimals)
        else:
            at = mc_put_limit(at, change.side == BUY, change.price, mantissa, decimals)
        at = put(at, b',"quantity":')
        at = put_whole(at, <uint64_t>change.quantity)
        at = put(at, b',"left":')
        at = put_whole(at, <uint64_t>change.left)
        if change.kind == C_EXECUTED:
            at = put(at, b',"trade_id":')
            at = put_whole(at, change.trade_id)
        at = put(at, b"}")
    return taken(text, put(at, b"]"))


def framed(bytes begin, uint64_t number, uint64_t prev, bint update, int64_t time, bytes fields):
    """A WebSocket frame of a text: ``begin``, the numbers (``prev`` of an update) and ``fields``."""
    cdef size_t size = <size_t>len(begin) + <size_t>len(fields) + HEAD_BYTES
    cdef char* text = room(size)
    cdef char* start = text + 10  # the longest head of a frame
    cdef char* at = start
    memcpy(at, <const char*>begin, <size_t>len(begin))
    at = put(at + len(begin), b'"number":')
    at = digits(at, number, 0)
    if update:
        at = put(at, b',"prev":')
        at = digits(at, prev, 0)
    at = put(at, b',"time":')
    at = mc_put_number(at, time)
    at = put(at, b",")
    memcpy(at, <const char*>fields, <size_t>len(fields))
    at = put(at + len(fields), b"}")
    return closed_frame(text, start, at)


cdef bytes closed_frame(char* text, char* start, char* end):
    """Puts the head of a frame before ``start``; gives the memory back."""
    cdef size_t size = <size_t>(end - start)
    cdef int shift = -8 if size < 126 else 8 if size < 65536 else 56
    cdef char* at = start - (shift // 8 + 1) - 2
    start = at
    at[0] = <char>0x81
    at[1] = <char>size if shift < 0 else 126 if shift == 8 else 127
    at += 2
    while shift >= 0:
        at[0] = <char>((size >> shift) & 0xFF)
        at += 1
        shift -= 8
    try:
        return PyBytes_FromStringAndSize(start, end - start)
    finally:
        free(text)
