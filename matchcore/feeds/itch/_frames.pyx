"""Blocks cut, and framed for the two transports: MoldUDP64 datagrams and SoupBinTCP packets."""

from cpython.buffer cimport (PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release,
                             PyObject_GetBuffer)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcpy

from ...machine.core.records cimport u8, u16, u64
from ...serving._words cimport put16, put64

import numpy as np

cdef enum:
    MOLD_HEAD = 20      # bytes
    SESSION = 10
    COUNT_MAX = 0xfffe  # of the messages of a datagram; one more means the end of the session
    ROW = 80            # bytes of the longest block, and one to spare

#: A block, with zeros behind it: so blocks are records that have a number each.
BLOCK = np.dtype((np.void, ROW))


cdef inline size_t block_size(const u8* at) noexcept nogil:
    """Of the block there, with its length."""
    return 2 + (<size_t>at[0] << 8 | at[1])


def cut(blocks, size_t start, size_t skip, size_t count, size_t size_max):
    """(start, end, count) of whole blocks from byte `start` on, behind `skip` of them.

    At most `count` of them, with at most `size_max` bytes, but one if there is one.
    """
    cdef Py_buffer source
    PyObject_GetBuffer(blocks, &source, PyBUF_SIMPLE)
    cdef const u8* at = <const u8*>source.buf
    cdef size_t size = <size_t>source.len, end, taken = 0, one
    while skip and start + 2 <= size:
        start += block_size(at + start)
        skip -= 1
    end = start
    while taken < count and end + 2 <= size:
        one = block_size(at + end)
        if end + one > size or (taken and end + one - start > size_max):
            break
        end += one
        taken += 1
    PyBuffer_Release(&source)
    return start, end, taken


cdef size_t blocks_in(bytes blocks) except? 0:
    """How many there are; ValueError for a part of one."""
    cdef const u8* at = <const u8*>PyBytes_AS_STRING(blocks)
    cdef size_t size = len(blocks), end = 0, count = 0
    while end + 2 <= size:
        end += block_size(at + end)
        count += 1
    if end != size:
        raise ValueError("the last block is not whole")
    return count


def packets(bytes blocks not None):
    """Blocks as SoupBinTCP packets of sequenced data.  ValueError for a part of a block."""
    cdef size_t count = blocks_in(blocks), size = len(blocks), one
    cdef const u8* at = <const u8*>PyBytes_AS_STRING(blocks)
    told = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>(size + count))
    cdef u8* out = <u8*>PyBytes_AS_STRING(told)
    with nogil:
        while count:
            one = block_size(at)
            out = put16(out, <u16>(one - 1))
            out[0] = b'S'
            memcpy(out + 1, at + 2, one - 2)
            out += one - 1
            at += one
            count -= 1
    return told


def datagrams(bytes session not None, u64 first, bytes blocks not None, size_t size_max):
    """Blocks as MoldUDP64 datagrams of at most `size_max` bytes, a list of bytes.

    `session`: 10 bytes.  `first`: the number of the first message.  ValueError for a part of a
    block.
    """
    cdef size_t left = blocks_in(blocks), end, one
    cdef const u8* start = <const u8*>PyBytes_AS_STRING(blocks)
    cdef u16 count
    cdef u8* out
    cdef list made = []
    if len(session) != SESSION:
        raise ValueError("session: 10 bytes")
    while left:
        end, count = 0, 0
        while left and count < COUNT_MAX:
            one = block_size(start + end)
            if count and MOLD_HEAD + end + one > size_max:
                break
            end += one
            count += 1
            left -= 1
        told = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>(MOLD_HEAD + end))
        out = <u8*>PyBytes_AS_STRING(told)
        memcpy(out, PyBytes_AS_STRING(session), SESSION)
        put16(put64(out + SESSION, first), count)
        memcpy(out + MOLD_HEAD, start, end)
        made.append(told)
        first += count
        start += end
    return made


def rows_of(bytes blocks not None):
    """Blocks as a `BLOCK` array.  ValueError for a part of a block, or one of over 80 bytes."""
    cdef size_t count = blocks_in(blocks), one
    cdef const u8* at = <const u8*>PyBytes_AS_STRING(blocks)
    cdef Py_buffer target
    cdef u8* out
    made = np.zeros(count, BLOCK)
    PyObject_GetBuffer(made.view(np.uint8), &target, PyBUF_WRITABLE)
    out = <u8*>target.buf
    while count:
        one = block_size(at)
        if one > ROW:
            break
        memcpy(out, at, one)
        at += one
        out += ROW
        count -= 1
    PyBuffer_Release(&target)
    if count:
        raise ValueError(f"a message of {one - 2} bytes, at most {ROW - 2}")
    return made


def blocks_of(rows):
    """The blocks of a `BLOCK` array as bytes: of what `rows_of` has made."""
    cdef Py_buffer source
    cdef size_t count = len(rows), size = 0, i
    cdef const u8* at
    rows = np.ascontiguousarray(rows, BLOCK)
    told = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>(count * ROW))
    cdef u8* out = <u8*>PyBytes_AS_STRING(told)
    PyObject_GetBuffer(rows.view(np.uint8), &source, PyBUF_SIMPLE)
    at = <const u8*>source.buf
    for i in range(count):
        memcpy(out + size, at + i * ROW, min(block_size(at + i * ROW), <size_t>ROW))
        size += min(block_size(at + i * ROW), <size_t>ROW)
    PyBuffer_Release(&source)
    return told[:size]
