# Zeroed memory in bulk, on cache-line bounds.
#
# Large pieces come straight from the system: they cost nothing until they are touched, page by
# page, and can be given back from the front while the rest is still in use.
from libc.stdlib cimport free
from libc.string cimport memset

cdef extern from "<stdlib.h>" nogil:
    void* aligned_alloc(size_t alignment, size_t size)

cdef extern from "<sys/mman.h>" nogil:
    int PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS
    void* MAP_FAILED
    void* mmap(void* address, size_t length, int protection, int flags, int file, long offset)
    int munmap(void* address, size_t length)

cdef enum:
    PAGES_FROM = 1 << 16    # bytes from which memory is mapped; also the step of giving back
    CACHE_LINE = 64

cdef inline void* pages_take(size_t size) noexcept nogil:
    """`size` zero bytes, a multiple of a cache line; NULL when there is no memory."""
    cdef void* at
    if size < PAGES_FROM:
        at = aligned_alloc(CACHE_LINE, size)
        if at != NULL:
            memset(at, 0, size)
        return at
    at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    return NULL if at == MAP_FAILED else at

cdef inline void pages_give(void* at, size_t size) noexcept nogil:
    """Gives back what pages_take(size) gave."""
    if at == NULL:
        return
    if size < PAGES_FROM:
        free(at)
    else:
        munmap(at, size)

cdef inline void pages_give_step(void* at, size_t size, size_t done) noexcept nogil:
    """Gives back the step that ends `done` bytes after the start, when one ends there."""
    if size >= PAGES_FROM and done & (PAGES_FROM - 1) == 0:
        munmap(<char*>at + done - PAGES_FROM, PAGES_FROM)

cdef inline void pages_give_rest(void* at, size_t size, size_t done) noexcept nogil:
    """Gives back what is left when everything before `done` has gone step by step."""
    cdef size_t given = done & ~<size_t>(PAGES_FROM - 1)
    if at == NULL:
        return
    if size < PAGES_FROM:
        free(at)
    elif given < size:
        munmap(<char*>at + given, size - given)
