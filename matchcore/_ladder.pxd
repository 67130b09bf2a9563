# The price ladder of one side: a 64-ary radix tree over keys, best price first.
#
# A key is the price with its sign bit flipped, all bits flipped again for buys: on both sides
# the best price has the smallest key, so one code serves both.  The root covers the keys that
# share its prefix and grows upwards when a key lies outside.  Nodes and leaves that become empty
# go back to the pool at once, so memory follows the prices in use.
from ._pool cimport Leaf, Level, Node, Order, Pool, slots_give, slots_take
from ._records cimport BUY, i64, mc_first_bit, u32, u64

cdef enum:
    HEIGHT_MAX = 11         # 11 x 6 bits hold a 64-bit key

cdef struct Ladder:
    u64 best                # key of the best level; all ones when there is none
    u64 levels
    u64 hot_block           # key >> 6 of the leaf used last
    Leaf* hot
    void* root              # a Leaf when height is 1
    u64 prefix              # key >> (6 x height), of every key below root
    u32 height              # 0: no tree
    u32 spare
    u64 flip                # price ^ flip = key

cdef inline void ladder_init(Ladder* ladder, int side) noexcept nogil:
    ladder.best = ~<u64>0
    ladder.levels = 0
    ladder.hot = NULL
    ladder.hot_block = ~<u64>0
    ladder.root = NULL
    ladder.height = 0
    ladder.prefix = 0
    ladder.flip = ((<u64>1 << 63) - 1) if side == BUY else (<u64>1 << 63)

cdef inline u64 ladder_key(const Ladder* ladder, i64 price) noexcept nogil:
    return <u64>price ^ ladder.flip

cdef inline u64 prefix_of(u64 key, u32 height) noexcept nogil:
    return key >> (6 * height) if height < HEIGHT_MAX else 0

cdef inline u32 place_of(u64 key, u32 height) noexcept nogil:
    """Index in a node of this height, whose children have height - 1."""
    return <u32>(key >> (6 * (height - 1))) & 63

cdef inline Leaf* ladder_find(Ladder* ladder, u64 key) noexcept nogil:
    """The leaf that covers a key, or NULL.  O(height); O(1) for the leaf used last."""
    cdef void* at = ladder.root
    cdef u32 height = ladder.height
    if key >> 6 == ladder.hot_block:
        return ladder.hot
    if height == 0 or prefix_of(key, height) != ladder.prefix:
        return NULL
    while height > 1:
        at = (<Node*>at).child[place_of(key, height)]
        if at == NULL:
            return NULL
        height -= 1
    ladder.hot = <Leaf*>at
    ladder.hot_block = key >> 6
    return <Leaf*>at

cdef inline Node* node_above(Pool* pool, void* child, u32 place) noexcept nogil:
    cdef Node* node = <Node*>slots_take(&pool.nodes)
    node.occupied = <u64>1 << place         # a slot's first word is its free-list link
    node.child[place] = child
    return node

cdef inline Leaf* fresh_leaf(Pool* pool) noexcept nogil:
    cdef Leaf* leaf = <Leaf*>slots_take(&pool.leaves)
    leaf.occupied = 0
    return leaf

cdef inline Leaf* ladder_make(Ladder* ladder, Pool* pool, u64 key) noexcept nogil:
    """The leaf that covers a key, with the path to it built; the pool is ready."""
    cdef Leaf* leaf = ladder_find(ladder, key)
    cdef Node* node
    cdef void* child
    cdef u32 height, place, below
    if leaf != NULL:
        return leaf
    leaf = fresh_leaf(pool)
    if ladder.height == 0:
        ladder.root = leaf
        ladder.height = 1
        ladder.prefix = key >> 6
    else:
        while prefix_of(key, ladder.height) != ladder.prefix:
            ladder.root = node_above(pool, ladder.root, <u32>ladder.prefix & 63)
            ladder.height += 1
            ladder.prefix = ladder.prefix >> 6 if ladder.height < HEIGHT_MAX else 0
        node = <Node*>ladder.root
        height = ladder.height
        while True:
            place = place_of(key, height)
            child = node.child[place]
            if child == NULL:
                break
            node = <Node*>child
            height -= 1
        child = leaf
        for below in range(2, height):      # the part of the path that is missing, leaf upwards
            child = node_above(pool, child, place_of(key, below))
        node.child[place] = child
        node.occupied |= <u64>1 << place
    ladder.hot = leaf
    ladder.hot_block = key >> 6
    return leaf

cdef inline u64 ladder_first(const Ladder* ladder) noexcept nogil:
    """The smallest key with a level; the tree is not empty."""
    cdef void* at = ladder.root
    cdef u64 key = ladder.prefix
    cdef u32 height = ladder.height, place
    while height > 1:
        place = mc_first_bit((<Node*>at).occupied)
        key = key << 6 | place
        at = (<Node*>at).child[place]
        height -= 1
    return key << 6 | mc_first_bit((<Leaf*>at).occupied)

cdef inline void ladder_unlink(Ladder* ladder, Pool* pool, Leaf* leaf, u64 key) noexcept nogil:
    """Takes an empty leaf out of the tree, and every node that becomes empty with it."""
    cdef Node* path[HEIGHT_MAX + 1]
    cdef void* at = ladder.root
    cdef u32 height = ladder.height, place
    ladder.hot = NULL
    ladder.hot_block = ~<u64>0
    while height > 1:
        path[height] = <Node*>at
        at = path[height].child[place_of(key, height)]
        height -= 1
    slots_give(&pool.leaves, leaf)
    for height in range(2, ladder.height + 1):
        place = place_of(key, height)
        path[height].child[place] = NULL
        path[height].occupied &= ~(<u64>1 << place)
        if path[height].occupied:
            return
        slots_give(&pool.nodes, path[height])
    ladder.root = NULL
    ladder.height = 0

cdef inline void ladder_level_off(Ladder* ladder, Pool* pool, Leaf* leaf, u64 key) noexcept nogil:
    """The level at key has no orders any more: out of the tree, and the best price moves on."""
    cdef Level* level = &leaf.level[key & 63]
    level.head = NULL
    level.tail = NULL
    leaf.occupied &= ~(<u64>1 << (key & 63))
    ladder.levels -= 1
    if leaf.occupied == 0:
        ladder_unlink(ladder, pool, leaf, key)
        if ladder.levels == 0:
            ladder.best = ~<u64>0
        elif key == ladder.best:
            ladder.best = ladder_first(ladder)
    elif key == ladder.best:        # nothing is better than the best: its leaf's first bit is next
        ladder.best = (key & ~<u64>63) | mc_first_bit(leaf.occupied)

cdef inline bint ladder_from(const Ladder* ladder, u64 key, u64* found) noexcept nogil:
    """The first level at or after a key, in found; false when there is none.  O(height)."""
    cdef Node* path[HEIGHT_MAX + 1]
    cdef u64 masks, above
    cdef void* at = ladder.root
    cdef u32 height = ladder.height, place, bottom
    if height == 0:
        return False
    above = prefix_of(key, height)
    if above > ladder.prefix:
        return False
    if above < ladder.prefix:
        found[0] = ladder_first(ladder)
        return True
    while height > 1:               # down along the key as far as there is a path
        path[height] = <Node*>at
        at = path[height].child[place_of(key, height)]
        if at == NULL:
            break
        height -= 1
    bottom = height
    if height == 1:
        masks = (<Leaf*>at).occupied & (~<u64>0 << (key & 63))
        if masks:
            found[0] = (key & ~<u64>63) | mc_first_bit(masks)
            return True
        bottom = 2
    for height in range(bottom, ladder.height + 1):     # up to the first node with a later child
        place = place_of(key, height)
        masks = path[height].occupied & (~<u64>1 << place)
        if masks:
            place = mc_first_bit(masks)
            above = prefix_of(key, height) << 6 | place
            at = path[height].child[place]
            while height > 2:
                height -= 1
                place = mc_first_bit((<Node*>at).occupied)
                above = above << 6 | place
                at = (<Node*>at).child[place]
            found[0] = above << 6 | mc_first_bit((<Leaf*>at).occupied)
            return True
    return False
