"""Commands as byte planes: what a column adds from row to row, and of that only the bytes in use.

Most of a command is the same as in the command before.  So a frame holds its first record as it
is, and of each 8-byte column the differences, cut into planes of one byte each; a plane of
zeros is left out.  docs/journal.md has the layout.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

import numpy as np

cdef enum:
    WORDS = 12          # of a record
    FIRST_PACKED = 9    # columns from here hold several fields: differences by XOR keep them apart
    HEAD = WORDS + WORDS * 8  # plane masks, first record
    BLOCK = 256         # rows that stay in the first cache while their columns are put together
    LOOK = 128          # bytes


def pack(const uint64_t[:, ::1] words not None, uint64_t now=0):
    """The planes of records given as an array of shape (n, 12), n at least 1.  Releases the GIL.

    Where the first word, the time, is 0, `now` is packed.
    """
    cdef size_t count = words.shape[0], used
    if count < 1 or words.shape[1] != WORDS:
        raise ValueError("records as an array of shape (1 or more, 12)")
    cdef const uint64_t* rows = &words[0, 0]
    cdef uint8_t* out = <uint8_t*>malloc(HEAD + WORDS * 8 * count)
    if out == NULL:
        raise MemoryError(f"no memory to pack {count} commands")
    try:
        with nogil:
            used = _pack(rows, count, now, out)
        return PyBytes_FromStringAndSize(<char*>out, used)
    finally:
        free(out)


def has_zeros(const uint8_t[::1] data not None, size_t length):
    """True if so many zeros, at least 255, stand side by side."""
    cdef size_t at, size = data.shape[0], begin, end
    if length < 2 * LOOK - 1:
        raise ValueError(f"{length} zeros: at least {2 * LOOK - 1}")
    for at in range(0, size - size % LOOK, LOOK):   # one of these lies inside every such run
        if data[at] or data[at + LOOK - 1] or not _is_zero(&data[at]):
            continue
        begin, end = at, at + LOOK
        while begin > 0 and data[begin - 1] == 0:
            begin -= 1
        while end < size and data[end] == 0:
            end += 1
        if end - begin >= length:
            return True
    return False


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


cdef bint _is_zero(const uint8_t* data) noexcept nogil:
    cdef uint64_t seen = 0, word
    cdef size_t i
    for i in range(LOOK // 8):
        memcpy(&word, data + 8 * i, 8)
        seen |= word
    return seen == 0


cdef inline uint64_t _time(const uint64_t* row, uint64_t now) noexcept nogil:
    return row[0] if row[0] else now


cdef inline uint64_t _small(uint64_t step) noexcept nogil:
    """Small steps of either sign as small numbers."""
    return (step << 1) ^ (0 - (step >> 63))


cdef size_t _pack(const uint64_t* rows, size_t count, uint64_t now, uint8_t* out) noexcept nogil:
    cdef uint64_t seen[WORDS]
    cdef uint64_t column[BLOCK]
    cdef uint8_t* at
    cdef uint8_t* plane
    cdef size_t start, n
    cdef int c, p
    _see(rows, count, now, seen)
    memcpy(out + WORDS, rows, WORDS * 8)
    (<uint64_t*>(out + WORDS))[0] = _time(rows, now)
    at = out + HEAD
    for c in range(WORDS):
        out[c] = 0
        for p in range(8):
            if (seen[c] >> (8 * p)) & 0xFF:
                out[c] |= 1 << p
                at += count
    start = 0
    while start < count:
        n = min(<size_t>BLOCK, count - start)
        plane = out + HEAD + start
        for c in range(WORDS):
            if out[c]:
                _differences(rows, start, n, c, now, column)
            for p in range(8):
                if (out[c] >> p) & 1:
                    _cut(column, n, 8 * p, plane)
                    plane += count
        start += BLOCK
    return at - out


cdef void _see(const uint64_t* rows, size_t count, uint64_t now, uint64_t* seen) noexcept nogil:
    """The OR of all differences of each column."""
    cdef uint64_t all_seen[WORDS]       # a local, so that the compiler keeps it in registers
    cdef const uint64_t* row = rows
    cdef size_t i
    cdef int c
    memset(all_seen, 0, sizeof(all_seen))
    for i in range(1, count):
        all_seen[0] |= _small(_time(row + WORDS, now) - _time(row, now))
        for c in range(1, FIRST_PACKED):
            all_seen[c] |= _small(row[WORDS + c] - row[c])
        for c in range(FIRST_PACKED, WORDS):
            all_seen[c] |= row[WORDS + c] ^ row[c]
        row += WORDS
    memcpy(seen, all_seen, sizeof(all_seen))


cdef void _differences(const uint64_t* rows, size_t start, size_t count, int c, uint64_t now,
                       uint64_t* column) noexcept nogil:
    """A block of a column, each value as what it adds to the one before; the first row's are 0."""
    cdef const uint64_t* at = rows + start * WORDS + c
    cdef const uint64_t* before = at - WORDS if start else at
    cdef size_t i
    if c == 0:
        for i in range(count):
            column[i] = _small(_time(at, now) - _time(before, now))
            before = at
            at += WORDS
    elif c < FIRST_PACKED:
        for i in range(count):
            column[i] = _small(at[0] - before[0])
            before = at
            at += WORDS
    else:
        for i in range(count):
            column[i] = at[0] ^ before[0]
            before = at
            at += WORDS


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
