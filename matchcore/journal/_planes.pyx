"""Commands as byte planes: what a column adds from row to row, and of that only the bytes in use.

Most of a command is the same as in the command before.  So a frame holds its first record as it
is, and of each 8-byte column the differences, cut into planes of one byte each; a plane of
zeros is left out.  docs/journal.md has the layout.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

import numpy as np

cdef enum:
    WORDS = 12          # of a record
    FIRST_PACKED = 9    # columns from here hold several fields: differences by XOR keep them apart
    HEAD = WORDS + WORDS * 8  # plane masks, first record
    BLOCK = 256         # rows that stay in the first cache while their columns are put together


def pack(const uint64_t[:, ::1] words not None):
    """The planes of records given as an array of shape (n, 12), n at least 1.  Releases the GIL."""
    cdef size_t count = words.shape[0], used
    if count < 1 or words.shape[1] != WORDS:
        raise ValueError("records as an array of shape (1 or more, 12)")
    cdef const uint64_t* rows = &words[0, 0]
    cdef uint64_t* column = <uint64_t*>malloc(count * sizeof(uint64_t))
    cdef uint8_t* out = <uint8_t*>malloc(HEAD + WORDS * 8 * count)
    try:
        if column == NULL or out == NULL:
            raise MemoryError(f"no memory to pack {count} commands")
        with nogil:
            used = _pack(rows, count, column, out)
        return PyBytes_FromStringAndSize(<char*>out, used)
    finally:
        free(column)
        free(out)


def unpack(const uint8_t[::1] payload not None, size_t count):
    """The (count, 12) array that `pack` was given; ValueError if the payload can not hold it."""
    cdef size_t planes = 0, size = payload.shape[0]
    cdef int c
    if size < HEAD or count < 1:
        raise ValueError(f"{size} bytes of planes for {count} commands")
    for c in range(WORDS):
        planes += _bits(payload[c])
    if size != HEAD + planes * count:
        raise ValueError(f"{size} bytes of planes for {count} commands")
    made = np.empty((count, WORDS), "<u8")
    cdef uint64_t[:, ::1] words = made
    with nogil:
        _unpack(&payload[0], count, &words[0, 0])
    return made


cdef inline int _bits(uint8_t mask) noexcept nogil:
    cdef int n = 0
    while mask:
        mask &= mask - 1
        n += 1
    return n


cdef size_t _pack(const uint64_t* rows, size_t count, uint64_t* column, uint8_t* out) noexcept nogil:
    cdef uint64_t changed[WORDS]
    cdef const uint64_t* row = rows
    cdef uint8_t* at = out + HEAD
    cdef size_t i
    cdef int c, p
    cdef uint64_t seen
    for c in range(WORDS):
        changed[c] = 0
    for i in range(1, count):
        for c in range(WORDS):
            changed[c] |= row[c] ^ row[WORDS + c]
        row += WORDS
    memcpy(out + WORDS, rows, WORDS * 8)
    for c in range(WORDS):
        out[c] = 0
        if not changed[c]:
            continue
        seen = _differences(rows + c, count, c >= FIRST_PACKED, column)
        for p in range(8):
            if (seen >> (8 * p)) & 0xFF:
                out[c] |= 1 << p
                _cut(column, count, 8 * p, at)
                at += count
    return at - out


cdef uint64_t _differences(
    const uint64_t* source, size_t count, bint packed, uint64_t* column
) noexcept nogil:
    """Fills the column with differences, small ones of either sign as small numbers; their OR."""
    cdef uint64_t seen = 0, step, before = source[0]
    cdef size_t i
    if packed:
        for i in range(count):
            column[i] = source[i * WORDS] ^ before
            before = source[i * WORDS]
            seen |= column[i]
        return seen
    for i in range(count):
        step = source[i * WORDS] - before
        before = source[i * WORDS]
        column[i] = (step << 1) ^ (0 - (step >> 63))
        seen |= column[i]
    return seen


cdef void _cut(const uint64_t* column, size_t count, int shift, uint8_t* plane) noexcept nogil:
    cdef size_t i
    for i in range(count):
        plane[i] = <uint8_t>(column[i] >> shift)


cdef void _unpack(const uint8_t* payload, size_t count, uint64_t* rows) noexcept nogil:
    cdef uint64_t before[WORDS]
    cdef uint64_t column[BLOCK]
    cdef size_t start, n
    cdef const uint8_t* plane
    cdef int c, p
    memcpy(before, payload + WORDS, WORDS * 8)
    start = 0
    while start < count:
        n = min(<size_t>BLOCK, count - start)
        plane = payload + HEAD + start
        for c in range(WORDS):
            if not payload[c]:
                _fill(before[c], n, rows + start * WORDS + c)
                continue
            for p in range(BLOCK):
                column[p] = 0
            for p in range(8):
                if (payload[c] >> p) & 1:
                    _lay(plane, n, 8 * p, column)
                    plane += count
            before[c] = _sum(column, n, before[c], c >= FIRST_PACKED, rows + start * WORDS + c)
        start += BLOCK


cdef inline void _fill(uint64_t value, size_t count, uint64_t* target) noexcept nogil:
    cdef size_t i
    for i in range(count):
        target[i * WORDS] = value


cdef inline void _lay(const uint8_t* plane, size_t count, int shift, uint64_t* column) noexcept nogil:
    cdef size_t i
    for i in range(count):
        column[i] |= <uint64_t>plane[i] << shift


cdef inline uint64_t _sum(
    const uint64_t* column, size_t count, uint64_t before, bint packed, uint64_t* target
) noexcept nogil:
    """Undoes `_differences` for a block; returns its last value."""
    cdef size_t i
    for i in range(count):
        if packed:
            before ^= column[i]
        else:
            before += (column[i] >> 1) ^ (0 - (column[i] & 1))
        target[i * WORDS] = before
    return before
