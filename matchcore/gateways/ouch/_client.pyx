"""What a client hears, as arrays: for programs that count many answers."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer

from ...machine.core.records cimport u8, u32
from ...serving._words cimport word_of

import numpy as np

cdef enum:
    ANSWER_MIN = 3      # bytes of a packet

#: Letters that stand for packets which are no messages: the end of the session, a refused login.
ENDED, REFUSED = ord("Z"), ord("L")


def heard(data):
    """The sequenced messages in `data`, as far as packets are whole: bytes read, their types, and
    their UserRefNums, of U the new one; 0 for a message without one.

    The end of a session is `ENDED`, and a refused login `REFUSED`.
    """
    cdef Py_buffer view
    cdef size_t at = 0, size, count = 0, length
    cdef const u8* start
    cdef u8* letter
    cdef u32* ref
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        start, length = <const u8*>view.buf, <size_t>view.len
        letters = np.empty(length // ANSWER_MIN + 1, np.uint8)
        refs = np.empty(len(letters), np.uint32)
        letter, ref = <u8*><size_t>letters.ctypes.data, <u32*><size_t>refs.ctypes.data
        while length - at >= ANSWER_MIN:
            size = 2 + word_of(start + at, 2)
            if length - at < size or size < ANSWER_MIN:
                break
            if start[at + 2] == b'S' and size >= 13:
                letter[count], ref[count] = start[at + 3], 0
                if start[at + 3] == b'U' and size >= 20:
                    ref[count] = <u32>word_of(start + at + 16, 4)
                elif start[at + 3] != b'S' and size >= 16:
                    ref[count] = <u32>word_of(start + at + 12, 4)
                count += 1
            elif start[at + 2] == b'Z':
                letter[count], ref[count] = b'Z', 0
                count += 1
            elif start[at + 2] == b'J':
                letter[count], ref[count] = b'L', 0
                count += 1
            at += size
    finally:
        PyBuffer_Release(&view)
    return at, letters[:count], refs[:count]
