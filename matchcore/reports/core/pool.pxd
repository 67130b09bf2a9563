# Items of one size by number, from 1; those given back are taken first.
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from ...machine.core.records cimport u32

cdef struct Pool:
    char* items
    u32 used                # numbers given out so far; number 0 is nobody's
    u32 size                # numbers that there is room for
    u32 spare               # given back: the first, linked through the first four bytes; 0: none
    u32 item

cdef enum:
    POOL_MIN = 256
    POOL_MAX = 1 << 31      # so that a number and one more bit fit into 32

cdef inline void* pool_at(const Pool* pool, u32 number) noexcept nogil:
    return pool.items + <size_t>number * pool.item

cdef inline void pool_init(Pool* pool, u32 item) noexcept nogil:
    memset(pool, 0, sizeof(Pool))
    pool.item = item
    pool.used = 1

cdef inline void pool_drop(Pool* pool) noexcept nogil:
    free(pool.items)
    pool.items = NULL

cdef inline u32 pool_take(Pool* pool) noexcept nogil:
    """The number of a zeroed item, which may move the others; 0 when there is no memory."""
    cdef u32 number = pool.spare
    cdef u32 size
    cdef char* grown
    if number:
        pool.spare = (<u32*>pool_at(pool, number))[0]
    else:
        if pool.used >= pool.size:
            size = pool.size * 2 if pool.size else POOL_MIN
            if size > POOL_MAX:
                return 0
            grown = <char*>realloc(pool.items, <size_t>size * pool.item)
            if grown == NULL:
                return 0
            pool.items, pool.size = grown, size
        number = pool.used
        pool.used += 1
    memset(pool_at(pool, number), 0, pool.item)
    return number

cdef inline void pool_give(Pool* pool, u32 number) noexcept nogil:
    (<u32*>pool_at(pool, number))[0] = pool.spare
    pool.spare = number
