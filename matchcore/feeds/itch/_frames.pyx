"""Blocks cut, and framed for the two transports: MoldUDP64 datagrams and SoupBinTCP packets."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcpy

from ...machine.core.records cimport u8, u16, u64

cdef extern from * nogil:
    u16 swap16 "__builtin_bswap16"(u16 word)
    u64 swap64 "__builtin_bswap64"(u64 word)

cdef enum:
    MOLD_HEAD = 20      # bytes
    SESSION = 10
    COUNT_MAX = 0xfffe  # of the messages of a datagram; one more means the end of the session


cdef inline size_t block_size(const u8* at) noexcept nogil:
    """Of the block there, with its length."""
    return 2 + (<size_t>at[0] << 8 | at[1])


cdef inline u8* put16(u8* at, u16 word) noexcept nogil:
    word = swap16(word)
    memcpy(at, &word, 2)
    return at + 2


def cut(const u8[::1] blocks not None, size_t start, size_t skip, size_t count, size_t size_max):
    """(start, end, count) of whole blocks from byte `start` on, behind `skip` of them.

    At most `count` of them, with at most `size_max` bytes, but one if there is one.
    """
    cdef size_t size = blocks.shape[0], end, taken = 0, one
    while skip and start + 2 <= size:
        start += block_size(&blocks[start])
        skip -= 1
    end = start
    while taken < count and end + 2 <= size:
        one = block_size(&blocks[end])
        if end + one > size or (taken and end + one - start > size_max):
            break
        end += one
        taken += 1
    return start, end, taken


def packets(const u8[::1] blocks not None):
    """Blocks as SoupBinTCP packets of sequenced data.  ValueError for a part of a block."""
    cdef size_t size = blocks.shape[0], count = 0, at = 0, one
    cdef u8* out
    while at + 2 <= size:
        at += block_size(&blocks[at])
        count += 1
    if at != size:
        raise ValueError("the last block is not whole")
    told = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>(size + count))
    out = <u8*>PyBytes_AS_STRING(told)
    at = 0
    with nogil:
        while at + 2 <= size:
            one = block_size(&blocks[at])
            out = put16(out, <u16>(one - 1))
            out[0] = b'S'
            memcpy(out + 1, &blocks[at + 2], one - 2)
            out += one - 1
            at += one
    return told


def datagrams(bytes session not None, u64 first, const u8[::1] blocks not None, size_t size_max):
    """Blocks as MoldUDP64 datagrams of at most `size_max` bytes, a list of bytes.

    `session`: 10 bytes.  `first`: the number of the first message.  ValueError for a part of a
    block.
    """
    cdef size_t size = blocks.shape[0], start = 0, end, one
    cdef u16 count
    cdef u64 number
    cdef u8* out
    cdef list made = []
    if len(session) != SESSION:
        raise ValueError("session: 10 bytes")
    while start < size:
        end, count = start, 0
        while end < size and count < COUNT_MAX:
            one = block_size(&blocks[end]) if end + 2 <= size else 2
            if end + one > size:
                raise ValueError("the last block is not whole")
            if count and MOLD_HEAD + end + one - start > size_max:
                break
            end += one
            count += 1
        told = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>(MOLD_HEAD + end - start))
        out = <u8*>PyBytes_AS_STRING(told)
        memcpy(out, PyBytes_AS_STRING(session), SESSION)
        number = swap64(first)
        memcpy(out + SESSION, &number, 8)
        put16(out + SESSION + 8, count)
        memcpy(out + MOLD_HEAD, &blocks[start], end - start)
        made.append(told)
        first += count
        start = end
    return made
