# The price ladder of one side: a 64-ary radix tree over keys, best price first.
#
# A key is the price with its sign bit flipped, all bits flipped again for buys: on both sides
# the best price has the smallest key, so one code serves both.  The root covers the keys that
# share its prefix, grows upwards when a key lies outside and comes down again when it is gone.
#
# A leaf without levels is idle: it stays in the tree, as prices are left and taken again all the
# time, until IDLE_MAX others have become idle after it.  So memory follows the prices in use.
from .pool cimport Leaf, Level, Node, Order, Pool, Stem, slots_give, slots_take
from .records cimport BUY, i64, mc_first_bit, mc_likely, mc_unlikely, u8, u32, u64

cdef enum:
    HEIGHT_MAX = 11         # 11 x 6 bits hold a 64-bit key
    IDLE_MAX = 32           # leaves of a whole machine; more only spreads the prices in use over the cache

cdef struct Ladder:         # two of them, and a book's limits, are two cache lines
    u64 best                # key of the best level; all ones when there is none
    u64 hot_block           # key >> 6 of the leaf used last
    Leaf* hot
    void* root              # a Leaf when height is 1
    u64 prefix              # key >> (6 x height), of every key below root
    u32 levels
    u8 height               # 0: no tree
    u8 apart                # not 0: no order of the other side trades with this one
    u8 weighty              # 1: a level has once held 2^62 units or more
    u8 buys                 # 1 or 0

cdef inline void ladder_init(Ladder* ladder, int side) noexcept nogil:
    ladder.best = ~<u64>0
    ladder.levels = 0
    ladder.hot = NULL
    ladder.hot_block = ~<u64>0
    ladder.root = NULL
    ladder.height = 0
    ladder.apart = 0
    ladder.prefix = 0
    ladder.weighty = 0
    ladder.buys = side == BUY

cdef inline u64 ladder_flip(const Ladder* ladder) noexcept nogil:
    """price ^ flip = key, and key ^ flip = price: all bits but the sign are flipped for buys."""
    return (<u64>1 << 63) - ladder.buys

cdef inline u64 ladder_key(const Ladder* ladder, i64 price) noexcept nogil:
    """The same price's key on the other side is ~key."""
    return <u64>price ^ ladder_flip(ladder)

cdef inline i64 ladder_price(const Ladder* ladder, u64 key) noexcept nogil:
    return <i64>(key ^ ladder_flip(ladder))

cdef inline u64 prefix_of(u64 key, u32 height) noexcept nogil:
    return key >> (6 * height) if height < HEIGHT_MAX else 0

cdef inline u32 place_of(u64 key, u32 height) noexcept nogil:
    """Index in a node of this height, whose children have height - 1."""
    return <u32>(key >> (6 * (height - 1))) & 63

cdef inline Leaf* ladder_find(Ladder* ladder, u64 key) noexcept nogil:
    """The leaf that covers a key, or NULL.  O(height); O(1) for the leaf used last."""
    cdef void* at
    cdef u32 height
    if key >> 6 == ladder.hot_block:
        return ladder.hot
    at = ladder.root
    height = ladder.height
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

cdef inline Leaf* ladder_peek(const Ladder* ladder, u64 key) noexcept nogil:
    """As `ladder_find`, for looking ahead: reads only nodes and remembers nothing."""
    cdef const void* at = ladder.root
    cdef u32 height = ladder.height
    if key >> 6 == ladder.hot_block:    # its nodes stay where they are: each may cost a walk of pages
        return ladder.hot
    if height == 0 or prefix_of(key, height) != ladder.prefix:
        return NULL
    while height > 1:
        at = (<const Node*>at).child[place_of(key, height)]
        if at == NULL:
            return NULL
        height -= 1
    return <Leaf*>at

cdef inline void idle_join(Pool* pool, Leaf* leaf) noexcept nogil:
    leaf.idle_next = NULL
    leaf.idle_prev = pool.idle_last
    if pool.idle_last != NULL:
        pool.idle_last.idle_next = leaf
    else:
        pool.idle_first = leaf
    pool.idle_last = leaf
    pool.idle += 1

cdef inline void idle_leave(Pool* pool, Leaf* leaf) noexcept nogil:
    if leaf.idle_prev != NULL:
        leaf.idle_prev.idle_next = leaf.idle_next
    else:
        pool.idle_first = leaf.idle_next
    if leaf.idle_next != NULL:
        leaf.idle_next.idle_prev = leaf.idle_prev
    else:
        pool.idle_last = leaf.idle_prev
    pool.idle -= 1

cdef inline Node* node_above(Pool* pool, void* child, u32 place) noexcept nogil:
    cdef Node* node = <Node*>slots_take(&pool.nodes)
    node.stem.occupied = <u64>((<Stem*>child).occupied != 0) << place
    node.stem.parent = NULL
    node.present = <u64>1 << place
    node.child[place] = child
    (<Stem*>child).parent = node
    return node

cdef inline Leaf* fresh_leaf(Ladder* ladder, Pool* pool, u64 key) noexcept nogil:
    """A leaf without a place in the tree; idle, as it has no levels."""
    cdef Leaf* leaf = <Leaf*>slots_take(&pool.leaves)
    leaf.stem.occupied = 0
    leaf.stem.parent = NULL
    leaf.block = key >> 6
    leaf.ladder = ladder
    idle_join(pool, leaf)
    return leaf

cdef inline Leaf* ladder_grow(Ladder* ladder, Pool* pool, u64 key) noexcept nogil:
    """A leaf for a key that has none, with the path to it; the pool is ready."""
    cdef Leaf* leaf = fresh_leaf(ladder, pool, key)
    cdef Node* node
    cdef void* child
    cdef u32 height, place, below
    if ladder.height == 0:
        ladder.root = leaf
        ladder.height = 1
        ladder.prefix = key >> 6
        return leaf
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
    (<Stem*>child).parent = node
    node.child[place] = child
    node.present |= <u64>1 << place
    return leaf

cdef inline Leaf* ladder_make(Ladder* ladder, Pool* pool, u64 key) noexcept nogil:
    """The leaf that covers a key, which may have to be made."""
    cdef Leaf* leaf = ladder_find(ladder, key)
    if mc_unlikely(leaf == NULL):
        leaf = ladder.hot = ladder_grow(ladder, pool, key)
        ladder.hot_block = key >> 6
    return leaf

cdef inline void ladder_lower(Ladder* ladder, Pool* pool) noexcept nogil:
    """Takes off roots with one child: a far price that is left makes no way longer for good."""
    cdef Node* root = <Node*>ladder.root
    cdef u32 place
    while ladder.height > 1 and root.present & (root.present - 1) == 0:
        place = mc_first_bit(root.present)
        ladder.root = root.child[place]
        (<Stem*>ladder.root).parent = NULL
        ladder.prefix = ladder.prefix << 6 | place
        ladder.height -= 1
        root.child[place] = NULL        # the slots of nodes have no children
        slots_give(&pool.nodes, root)
        root = <Node*>ladder.root

cdef inline void leaf_drop(Pool* pool, Leaf* leaf) noexcept nogil:
    """Takes an idle leaf out of its tree, every node without a child, and a root with only one."""
    cdef Ladder* ladder = <Ladder*>leaf.ladder
    cdef Node* node = leaf.stem.parent
    cdef Node* above
    cdef u64 block = leaf.block
    if ladder.hot == leaf:
        ladder.hot = NULL
        ladder.hot_block = ~<u64>0
    idle_leave(pool, leaf)
    slots_give(&pool.leaves, leaf)
    while node != NULL:
        node.child[block & 63] = NULL
        node.present &= ~(<u64>1 << (block & 63))
        above = node.stem.parent
        if node.present:
            if above == NULL:
                ladder_lower(ladder, pool)
            return
        slots_give(&pool.nodes, node)
        node = above
        block >>= 6
    ladder.root = NULL
    ladder.height = 0

cdef inline void leaf_wake(Pool* pool, Leaf* leaf) noexcept nogil:
    """An idle leaf is about to get a level."""
    cdef Node* node = leaf.stem.parent
    cdef u64 block = leaf.block, before
    idle_leave(pool, leaf)
    while node != NULL:
        before = node.stem.occupied
        node.stem.occupied = before | <u64>1 << (block & 63)
        if before:
            return
        node = node.stem.parent
        block >>= 6

cdef inline u64 first_below(const void* at, u32 height) noexcept nogil:
    """The smallest key with a level below a leaf or node that is not idle."""
    while height > 1:
        at = (<const Node*>at).child[mc_first_bit((<const Stem*>at).occupied)]
        height -= 1
    return (<const Leaf*>at).block << 6 | mc_first_bit((<const Stem*>at).occupied)

cdef inline u64 leaf_rest(Pool* pool, Leaf* leaf) noexcept nogil:
    """A leaf has lost its last level; returns the best key of its nearest relatives, or all ones."""
    cdef Node* node
    cdef u64 block = leaf.block
    cdef u32 height = 2
    idle_join(pool, leaf)
    if mc_unlikely(pool.idle > IDLE_MAX):
        leaf_drop(pool, pool.idle_first)
    node = leaf.stem.parent     # only now: a drop may take the root off
    while node != NULL:
        node.stem.occupied &= ~(<u64>1 << (block & 63))
        if node.stem.occupied:
            break
        node = node.stem.parent
        block >>= 6
        height += 1
    return first_below(node, height) if node != NULL else ~<u64>0

cdef inline void ladder_level_off(Ladder* ladder, Pool* pool, Leaf* leaf, u64 key) noexcept nogil:
    """The level at key has no orders any more, and the best price moves on."""
    cdef Level* level = &leaf.level[key & 63]
    cdef u64 next
    level.head = NULL
    level.tail = NULL
    leaf.stem.occupied &= ~(<u64>1 << (key & 63))
    ladder.levels -= 1
    if leaf.stem.occupied == 0:
        next = leaf_rest(pool, leaf)
    else:
        next = (key & ~<u64>63) | mc_first_bit(leaf.stem.occupied)
    if key == ladder.best:      # nothing is better than the best, so what is next is the new best
        ladder.best = next

cdef inline bint ladder_from(const Ladder* ladder, u64 key, u64* found) noexcept nogil:
    """The first level at or after a key, in found; false when there is none.  O(height)."""
    cdef Node* path[HEIGHT_MAX + 1]
    cdef u64 masks, above
    cdef void* at = ladder.root
    cdef u32 height = ladder.height, place, bottom
    if ladder.levels == 0:
        return False
    above = prefix_of(key, height)
    if above > ladder.prefix:
        return False
    if above < ladder.prefix:
        found[0] = first_below(ladder.root, height)
        return True
    while height > 1:               # down along the key as far as there is a path
        path[height] = <Node*>at
        at = path[height].child[place_of(key, height)]
        if at == NULL:
            break
        height -= 1
    bottom = height
    if height == 1:
        masks = (<Stem*>at).occupied & (~<u64>0 << (key & 63))
        if masks:
            found[0] = (key & ~<u64>63) | mc_first_bit(masks)
            return True
        bottom = 2
    for height in range(bottom, ladder.height + 1):     # up to the first node with a later child
        place = place_of(key, height)
        masks = path[height].stem.occupied & (~<u64>1 << place)
        if masks:
            found[0] = first_below(path[height].child[mc_first_bit(masks)], height - 1)
            return True
    return False
