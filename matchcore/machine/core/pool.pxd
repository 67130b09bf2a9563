# Memory of a machine: orders, ladder leaves and ladder nodes in fixed-size slots.
#
# Slots come from slabs that are never moved nor given back while the machine lives, and go to
# free lists, last in first out, so that the live ones stay in cache.  A slab is touched page by
# page as it is used: growing costs no command more than one system call.
from .pages cimport CACHE_LINE, Arena, arena_give, arena_take
from .records cimport i64, u8, u16, u32, u64

cdef struct Order:          # one cache line
    u64 order_id
    u64 client_order_id
    u64 account
    i64 price
    i64 left
    Order* next
    Order* prev
    u8 side
    u8 time_in_force
    u8 flags                # POST_ONLY or nothing, and COUNTED, see limits.pxd
    u8 place                # in the bucket of the id table, see _ids.pxd
    u32 instrument          # whose book it rests in; 0 in a slot that is free

cdef struct Level:
    Order* head
    Order* tail
    i64 quantity
    i64 orders

cdef struct Stem:           # what leaves and nodes begin with
    u64 occupied            # a bit for each level, or for each child with a level somewhere below
    Node* parent            # NULL at the root

cdef struct Leaf:           # 64 neighbouring prices
    Stem stem
    u64 block               # key >> 6 of all of them
    void* ladder
    Leaf* idle_next         # links of the idle ones: see _ladder.pxd
    Leaf* idle_prev
    u64 apart[2]            # no level lies across two cache lines
    Level level[64]

cdef struct Node:           # 64 leaves or nodes
    Stem stem
    u64 present             # a bit for each child
    void* child[64]

cdef struct Slab:           # a cache line, then the slots
    Slab* next
    size_t size

cdef struct Slots:          # one kind of slot
    size_t size             # bytes of a slot
    size_t count            # slots of the next slab
    char* bump              # never used yet: from here ...
    char* end               # ... to here
    void* free              # list of used ones, linked through their first word
    Slab* slabs
    u64 spare               # free + never used
    u64 made                # in all slabs
    Arena* arena            # where they come from

cdef struct Pool:
    Slots orders
    Slots leaves
    Slots nodes
    Leaf* idle_first        # idle for longest
    Leaf* idle_last
    u64 idle

cdef enum:
    SLAB_SLOTS_MAX = 16384
    NODES_PER_COMMAND = 24  # a ladder may grow by ten at the root and build a path of nine

cdef inline void slots_init(Slots* slots, Arena* arena, size_t size, size_t count) noexcept nogil:
    slots.arena = arena
    slots.size = size
    slots.count = count
    slots.bump = slots.end = NULL
    slots.free = NULL
    slots.slabs = NULL
    slots.spare = slots.made = 0

cdef inline bint slots_grow(Slots* slots) noexcept nogil:
    """One more slab; false when there is no memory.  Slabs double, so a small book stays small."""
    cdef Slab* slab
    cdef char* at = slots.bump
    cdef size_t size = CACHE_LINE + (slots.size * slots.count + CACHE_LINE - 1) // CACHE_LINE * CACHE_LINE
    while at < slots.end:       # what is left of the last slab goes to the free list
        (<void**>at)[0] = slots.free
        slots.free = at
        at += slots.size
    slots.bump = slots.end = NULL
    slab = <Slab*>arena_take(slots.arena, size)
    if slab == NULL:
        return False
    slab.next = slots.slabs
    slab.size = size
    slots.slabs = slab
    slots.bump = <char*>slab + CACHE_LINE
    slots.end = slots.bump + slots.size * slots.count
    slots.spare += slots.count
    slots.made += slots.count
    if slots.count < SLAB_SLOTS_MAX:
        slots.count *= 2
    return True

cdef inline void* slots_take(Slots* slots) noexcept nogil:
    """A slot; the caller has made sure that one is spare."""
    cdef void* slot = slots.free
    slots.spare -= 1
    if slot != NULL:
        slots.free = (<void**>slot)[0]
    else:
        slot = slots.bump
        slots.bump += slots.size
    return slot

cdef inline void slots_give(Slots* slots, void* slot) noexcept nogil:
    (<void**>slot)[0] = slots.free
    slots.free = slot
    slots.spare += 1

cdef inline void slots_drop(Slots* slots) noexcept nogil:
    cdef Slab* slab
    while slots.slabs != NULL:
        slab = slots.slabs
        slots.slabs = slab.next
        arena_give(slots.arena, slab, slab.size)

cdef inline void pool_init(Pool* pool, Arena* arena) noexcept nogil:
    slots_init(&pool.orders, arena, sizeof(Order), 32)
    slots_init(&pool.leaves, arena, sizeof(Leaf), 4)
    slots_init(&pool.nodes, arena, sizeof(Node), NODES_PER_COMMAND)
    pool.idle_first = pool.idle_last = NULL
    pool.idle = 0

cdef inline void pool_drop(Pool* pool) noexcept nogil:
    slots_drop(&pool.orders)
    slots_drop(&pool.leaves)
    slots_drop(&pool.nodes)

cdef inline bint pool_has(const Pool* pool, u64 commands) noexcept nogil:
    """True when so many commands find all slots they may need."""
    return (pool.orders.spare >= commands and pool.leaves.spare >= commands
            and pool.nodes.spare >= commands * NODES_PER_COMMAND)

cdef inline bint pool_ready(Pool* pool, u64 commands) noexcept nogil:
    """`pool_has` after making it so: memory is asked for before, not inside; false without it."""
    while pool.orders.spare < commands:
        if not slots_grow(&pool.orders):
            return False
    while pool.leaves.spare < commands:
        if not slots_grow(&pool.leaves):
            return False
    while pool.nodes.spare < commands * NODES_PER_COMMAND:
        if not slots_grow(&pool.nodes):
            return False
    return True
