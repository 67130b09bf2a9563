"""What a client hears, as arrays: for programs that count many answers."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer

from ...machine.core.records cimport u8, u32, u64
from ...serving._words cimport word_of

import numpy as np

cdef enum:
    ANSWER_MIN = 3      # bytes of a packet

cdef packed struct Said:
    u8 letter
    u8 side
    u32 ref
    u32 quantity
    u64 price
    u64 symbol
    u64 match

#: A sequenced message: its type and UserRefNum (of U the new one), and of its fields those that it
#: has; the symbol as a number.  All are 0 where a message has none.
SAID = np.dtype([("letter", "u1"), ("side", "u1"), ("ref", "<u4"), ("quantity", "<u4"),
                 ("price", "<u8"), ("symbol", "<u8"), ("match", "<u8")])
assert SAID.itemsize == sizeof(Said)

#: Letters that stand for packets which are no messages: the end of the session, a refused login.
ENDED, REFUSED = ord("Z"), ord("L")


cdef void order_of(const u8* at, size_t size, Said* said) noexcept nogil:
    """Side, quantity, symbol and price of A and U, which begin at `at`."""
    if size >= 21:
        said.side = at[0]
        said.quantity = <u32>word_of(at + 1, 4)
        said.symbol = word_of(at + 5, 8)
        said.price = word_of(at + 13, 8)


cdef void read(const u8* at, size_t size, Said* said) noexcept nogil:
    """A message of `size` bytes."""
    said.letter = said.side = 0
    said.ref = said.quantity = 0
    said.price = said.symbol = said.match = 0
    if size == 0:
        return
    said.letter = at[0]
    if at[0] == b'S' or size < 13:
        return
    said.ref = <u32>word_of(at + 9, 4)
    if at[0] == b'A':
        order_of(at + 13, size - 13, said)
    elif at[0] == b'U' and size >= 17:
        said.ref = <u32>word_of(at + 13, 4)
        order_of(at + 17, size - 17, said)
    elif at[0] == b'E' and size >= 34:
        said.quantity = <u32>word_of(at + 13, 4)
        said.price = word_of(at + 17, 8)
        said.match = word_of(at + 26, 8)
    elif at[0] == b'C' and size >= 17:
        said.quantity = <u32>word_of(at + 13, 4)


def heard(data):
    """The sequenced messages in `data`, as far as packets are whole: bytes read, and a `SAID` row
    for each.

    The end of a session is a row of type `ENDED`, and a refused login one of type `REFUSED`.
    """
    cdef Py_buffer view
    cdef size_t at = 0, size, count = 0, length
    cdef const u8* start
    cdef Said* said
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        start, length = <const u8*>view.buf, <size_t>view.len
        rows = np.empty(length // ANSWER_MIN + 1, SAID)
        said = <Said*><size_t>rows.ctypes.data
        while length - at >= ANSWER_MIN:
            size = 2 + word_of(start + at, 2)
            if length - at < size or size < ANSWER_MIN:
                break
            if start[at + 2] == b'S':
                read(start + at + 3, size - 3, said + count)
                count += 1
            elif start[at + 2] == b'Z' or start[at + 2] == b'J':
                read(start, 0, said + count)
                said[count].letter = b'Z' if start[at + 2] == b'Z' else b'L'
                count += 1
            at += size
    finally:
        PyBuffer_Release(&view)
    return at, rows[:count]
