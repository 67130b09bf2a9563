# Words as the messages have them, big-endian.
from libc.string cimport memcpy

from ..machine.core.records cimport u8, u16, u32, u64

cdef extern from * nogil:
    u16 swap16 "__builtin_bswap16"(u16 word)
    u32 swap32 "__builtin_bswap32"(u32 word)
    u64 swap64 "__builtin_bswap64"(u64 word)

cdef inline u8* put16(u8* at, u16 word) noexcept nogil:
    word = swap16(word)
    memcpy(at, &word, 2)
    return at + 2


cdef inline u8* put32(u8* at, u32 word) noexcept nogil:
    word = swap32(word)
    memcpy(at, &word, 4)
    return at + 4


cdef inline u8* put64(u8* at, u64 word) noexcept nogil:
    word = swap64(word)
    memcpy(at, &word, 8)
    return at + 8


cdef inline u64 word_of(const u8* at, int size) noexcept nogil:
    cdef u64 word = 0
    cdef int i
    for i in range(size):
        word = word << 8 | at[i]
    return word
