"""Messages in a stream of bytes: where they begin and end, and whether they are whole.

`plain.find` has the same rules in plain Python.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memchr, memcmp

from ._scan cimport BODY_MAX, F_GARBLED, F_MESSAGE, F_PARTIAL, scan

MESSAGE, GARBLED, PARTIAL = F_MESSAGE, F_GARBLED, F_PARTIAL
BODY_BYTES_MAX = BODY_MAX


def find(data, Py_ssize_t at):
    """What comes next in ``data`` from ``at`` on: (what it is, where it begins, where it ends).

    What lies between ``at`` and the beginning belongs to no message.  MESSAGE: whole, its length
    and checksum are right, and the type is its third field.  GARBLED: not a message; go on at the
    end.  PARTIAL: the rest, which may become a message.
    """
    cdef Py_buffer view
    cdef Py_ssize_t begin = 0, end = 0
    cdef int kind
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= at <= view.len:
            raise ValueError(f"at {at}: must be 0 to {view.len}")
        kind = scan(<const unsigned char*>view.buf, view.len, at, &begin, &end)
    finally:
        PyBuffer_Release(&view)
    return kind, begin, end
