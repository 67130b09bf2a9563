"""Commands as byte planes: what a column adds from row to row, and of that only the bytes in use.

Most of a command is the same as in the command before.  So a frame holds its first record as it
is, and of each 8-byte column the differences, cut into planes of one byte each; a plane of
zeros is left out.  docs/journal.md has the layout.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memset

cdef extern from "journal/_columns.h" nogil:
    enum:
        PL_WORDS
        PL_ROW_BYTES
        PL_HEAD
    ctypedef struct pl_sheet:
        size_t count, planes_used
        uint8_t* planes[12][8]
    int pl_lanes_max()
    int pl_pack_2(pl_sheet*, const uint64_t* rows, uint64_t now)
    int pl_pack_4(pl_sheet*, const uint64_t* rows, uint64_t now)
    void pl_unpack_2(const uint8_t* payload, size_t count, uint64_t* rows)
    void pl_unpack_4(const uint8_t* payload, size_t count, uint64_t* rows)
    void pl_free(pl_sheet*)

cdef enum:
    LOOK = 128          # bytes

cdef int _lanes_max = pl_lanes_max()
#: How many words this processor can take at once: the last is what is done unless one is asked for.
LANES = (2, 4)[:_lanes_max // 2]


def pack(const uint64_t[:, ::1] words not None, uint64_t now=0, int lanes=_lanes_max):
    """The planes of records given as an array of shape (n, 12), n at least 1.  Releases the GIL.

    Where the first word, the time, is 0, `now` is packed.
    """
    cdef size_t count = words.shape[0]
    if count < 1 or words.shape[1] != PL_WORDS:
        raise ValueError("records as an array of shape (1 or more, 12)")
    _check_lanes(lanes)
    cdef const uint64_t* rows = &words[0, 0]
    cdef pl_sheet sheet
    cdef int failed
    memset(&sheet, 0, sizeof(sheet))
    sheet.count = count
    try:
        with nogil:
            failed = (pl_pack_4 if lanes == 4 else pl_pack_2)(&sheet, rows, now)
        if failed:
            raise MemoryError(f"no memory to pack {count} commands")
        return _written(&sheet, rows, now)
    finally:
        pl_free(&sheet)


def timed(bytes rows not None, int64_t now):
    """The bytes of records, each with a time: `now` where it was 0.  ValueError for half a record."""
    cdef size_t size = PyBytes_GET_SIZE(rows), at
    cdef bytes made = rows
    cdef uint64_t time
    if size % PL_ROW_BYTES:
        raise ValueError(f"{size} bytes of records of {PL_ROW_BYTES}")
    for at in range(0, size, PL_ROW_BYTES):
        memcpy(&time, PyBytes_AS_STRING(rows) + at, sizeof(time))
        if time != 0:
            continue
        if made is rows:
            made = PyBytes_FromStringAndSize(PyBytes_AS_STRING(rows), size)
        memcpy(PyBytes_AS_STRING(made) + at, &now, sizeof(now))
    return made


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


def check(const uint8_t[::1] payload not None, size_t count):
    """ValueError if these cannot be the planes of so many records."""
    cdef size_t planes = 0, size = payload.shape[0]
    cdef int c
    if size >= PL_HEAD:
        for c in range(PL_WORDS):
            planes += _bits(payload[c])
    if size < PL_HEAD or count < 1 or size != PL_HEAD + planes * count:
        raise ValueError(f"{size} bytes of planes for {count} commands")


def unpack(const uint8_t[::1] payload not None, uint64_t[:, ::1] words not None,
           int lanes=_lanes_max):
    """Writes the records that `pack` was given into an array of their shape.  Releases the GIL.

    ValueError if the payload cannot hold so many.
    """
    cdef size_t count = words.shape[0]
    if words.shape[1] != PL_WORDS:
        raise ValueError("room for records as an array of shape (n, 12)")
    check(payload, count)
    _check_lanes(lanes)
    with nogil:
        (pl_unpack_4 if lanes == 4 else pl_unpack_2)(&payload[0], count, &words[0, 0])


cdef int _check_lanes(int lanes) except -1:
    if lanes not in LANES:
        raise ValueError(f"{lanes} lanes: must be one of {LANES}")
    return 0


cdef bytes _written(const pl_sheet* sheet, const uint64_t* rows, uint64_t now):
    """Masks, first record, and the planes that are there, by column."""
    cdef bytes made = PyBytes_FromStringAndSize(NULL, PL_HEAD + sheet.planes_used * sheet.count)
    cdef uint8_t* out = <uint8_t*>PyBytes_AS_STRING(made)
    cdef uint8_t* at = out + PL_HEAD
    cdef int c, p
    memset(out, 0, PL_WORDS)
    memcpy(out + PL_WORDS, rows, PL_ROW_BYTES)
    if rows[0] == 0:
        memcpy(out + PL_WORDS, &now, sizeof(now))
    for c in range(PL_WORDS):
        for p in range(8):
            if sheet.planes[c][p] != NULL:
                out[c] |= 1 << p
                memcpy(at, sheet.planes[c][p], sheet.count)
                at += sheet.count
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
