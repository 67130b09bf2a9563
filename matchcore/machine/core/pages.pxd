# Zeroed memory in bulk, on cache-line bounds.
#
# Large pieces come straight from the system: they cost nothing until they are touched, page by
# page, and can be given back from the front while the rest is still in use.  Or they come from an
# arena, which a machine may take beforehand: touched, and in pages of 2 MiB if the system has them.
from libc.stdint cimport uintptr_t
from libc.stdlib cimport free
from libc.string cimport memset
from .records cimport mc_first_bit

cdef extern from "<stdlib.h>" nogil:
    void* aligned_alloc(size_t alignment, size_t size)

cdef extern from "<sys/mman.h>" nogil:
    int PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS
    void* MAP_FAILED
    void* mmap(void* address, size_t length, int protection, int flags, int file, long offset)
    int munmap(void* address, size_t length)
    int madvise(void* address, size_t length, int advice)
    int MADV_HUGEPAGE

cdef extern from *:         # a system that is older than its name refuses it
    """
    #ifndef MADV_POPULATE_WRITE
    #define MADV_POPULATE_WRITE 23
    #endif
    """
    int MADV_POPULATE_WRITE

cdef enum:
    PAGES_FROM = 1 << 16    # bytes from which memory is mapped; also the step of giving back
    CACHE_LINE = 64
    PAGE = 1 << 12
    LARGE_PAGE = 1 << 21

cdef struct Arena:          # all zero: there is none
    char* start
    char* bump              # never used yet: from here ...
    char* end               # ... to here
    void* given[64]         # given back: by the logarithm of the size, linked through the first word

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

cdef inline void pages_touch(void* at, size_t size) noexcept nogil:
    """Has the system touch what will be used next: one call for many pages, where it can."""
    madvise(<void*>(<uintptr_t>at & ~<uintptr_t>(PAGE - 1)), size, MADV_POPULATE_WRITE)

cdef inline bint arena_init(Arena* arena, size_t size) noexcept nogil:
    """Takes so many bytes, in whole large pages, and touches them all; false without memory.

    The system may promise more than it has: then it ends the process while it touches.
    """
    cdef char* at
    cdef size_t before, touched = 0
    if size > (<size_t>1 << 62):
        return False
    if size == 0:
        return True
    size = (size + LARGE_PAGE - 1) & ~<size_t>(LARGE_PAGE - 1)
    at = <char*>mmap(NULL, size + LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    if at == MAP_FAILED:
        return False
    before = -<uintptr_t>at & (LARGE_PAGE - 1)
    if before:
        munmap(at, before)
    if before < LARGE_PAGE:
        munmap(at + before + size, LARGE_PAGE - before)
    arena.start = arena.bump = at + before
    arena.end = arena.start + size
    madvise(arena.start, size, MADV_HUGEPAGE)   # where it is refused, small pages do
    while touched < size:
        arena.start[touched] = 0
        touched += PAGE
    return True

cdef inline void arena_drop(Arena* arena) noexcept nogil:
    """Gives everything back to the system, whoever has it."""
    if arena.start != NULL:
        munmap(arena.start, arena.end - arena.start)

cdef inline bint arena_has(const Arena* arena, const void* at) noexcept nogil:
    """NULL is in no arena, also where there is none: what was never set up has nothing to give."""
    return at != NULL and arena.start <= <const char*>at < arena.end

cdef inline void* arena_take(Arena* arena, size_t size) noexcept nogil:
    """As pages_take, from the arena while it lasts."""
    cdef void** first
    cdef void* at
    if size & (size - 1) == 0:
        first = &arena.given[mc_first_bit(size)]
        if first[0] != NULL:
            at = first[0]
            first[0] = (<void**>at)[0]
            (<void**>at)[0] = NULL
            return at
    if size <= <size_t>(arena.end - arena.bump):
        at = arena.bump
        arena.bump += size
        return at
    return pages_take(size)

cdef inline void arena_give(Arena* arena, void* at, size_t size) noexcept nogil:
    """Gives back what arena_take(arena, size) gave; it must read as fresh if size is a power of two."""
    if not arena_has(arena, at):
        pages_give(at, size)
    elif size & (size - 1) == 0:
        (<void**>at)[0] = arena.given[mc_first_bit(size)]
        arena.given[mc_first_bit(size)] = at

cdef inline void arena_give_step(Arena* arena, void* at, size_t size, size_t done) noexcept nogil:
    """Gives the system back the step that ends `done` bytes after the start, when one ends there."""
    if size >= PAGES_FROM and done & (PAGES_FROM - 1) == 0 and not arena_has(arena, at):
        munmap(<char*>at + done - PAGES_FROM, PAGES_FROM)

cdef inline void arena_give_rest(Arena* arena, void* at, size_t size, size_t done) noexcept nogil:
    """Gives back what is left when everything before `done` has gone step by step."""
    cdef size_t given = done & ~<size_t>(PAGES_FROM - 1)
    if size < PAGES_FROM or arena_has(arena, at):
        arena_give(arena, at, size)
    elif at != NULL and given < size:
        munmap(<char*>at + given, size - given)
