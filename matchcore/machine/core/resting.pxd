# Orders at rest in a book: put, taken out, made smaller, and what the levels say of them.
#
# `told`: whether somebody wants the public changes.  A constant where speed matters.
from libc.stdint cimport INT64_MAX
from libc.string cimport memcpy

from ..._book cimport Book, Core
from .emit cimport emit_change
from .ids cimport ids_look_up, ids_put, ids_remove
from .limits cimport COUNTED, limits_count
from .ladder cimport (Ladder, ladder_find, ladder_from, ladder_key, ladder_level_off,
                       ladder_make, leaf_wake)
from .pool cimport Leaf, Level, Order, slots_give, slots_take
from .records cimport (AMEND, C_ADDED, C_DELETED, C_REDUCED, C_REPLACING, i64, mc_command,
                       mc_likely, mc_unlikely, u8, u16, u32, u64)

cdef inline Ladder* side_of(Book* book, u8 side) noexcept nogil:
    return &book.sides[side - 1]


cdef inline u64 next_id(Core* core, Book* book) noexcept nogil:
    """The next id that is not live in this book."""
    cdef u64 order_id = core.next_order_id
    while ids_look_up(&core.ids, book.instrument, order_id) != NULL:
        order_id += 1
    core.next_order_id = order_id + 1
    return order_id


cdef inline void level_join(Core* core, Ladder* ladder, u64 key, Order* order, u16 flags,
                            bint told) noexcept nogil:
    """Puts an order last in its level; the flags are of the change, if one is to be told."""
    cdef Leaf* leaf = ladder_make(ladder, &core.pool, key)
    cdef Level* level = &leaf.level[key & 63]
    order.next = NULL
    order.prev = level.tail
    if level.tail != NULL:
        level.tail.next = order
    else:
        level.head = order
        if leaf.stem.occupied == 0:
            leaf_wake(&core.pool, leaf)
        leaf.stem.occupied |= <u64>1 << (key & 63)
        ladder.levels += 1
        if key < ladder.best:
            ladder.best = key
    level.tail = order
    level.quantity += order.left
    level.orders += 1
    ladder.weighty |= <u8>(<u64>level.quantity >> 62)
    if told:
        emit_change(core, C_ADDED, flags, order, order.left, order.left, level)


cdef inline void level_leave(Core* core, Ladder* ladder, u64 key, Order* order, u16 flags,
                             bint told) noexcept nogil:
    """Takes an order out of its level; the flags are of the change, if one is to be told."""
    cdef Leaf* leaf = ladder_find(ladder, key)
    cdef Level* level = &leaf.level[key & 63]
    level.quantity -= order.left
    level.orders -= 1
    if told:
        emit_change(core, C_DELETED, flags, order, order.left, 0, level)
    if order.prev != NULL:
        order.prev.next = order.next
    else:
        level.head = order.next
    if order.next != NULL:
        order.next.prev = order.prev
    else:
        level.tail = order.prev
    if level.head == NULL:
        ladder_level_off(ladder, &core.pool, leaf, key)


cdef inline void book_rest(Core* core, Book* book, const mc_command* command, u64 key, u32 hash,
                           u16 flags, i64 left, bint told) noexcept nogil:
    """Enters an order, last in its level."""
    cdef Order* order = <Order*>slots_take(&core.pool.orders)
    memcpy(&order.order_id, &command.order_id, 3 * sizeof(u64))     # client order id and account too
    order.price = command.price
    order.left = left
    order.side = command.side
    order.time_in_force = command.time_in_force
    order.flags = <u8>flags
    order.instrument = book.instrument
    if mc_unlikely(core.limits != NULL):
        limits_count(core.limits, order, 1)
    ids_put(&core.ids, order, hash)
    book.orders += 1
    level_join(core, side_of(book, command.side), key, order,
               C_REPLACING if command.kind == AMEND else 0, told)


cdef inline void book_forget(Core* core, Book* book, Order* order, u32 hash) noexcept nogil:
    """Takes an order that is in no level any more out of the id table and the pool."""
    ids_remove(&core.ids, order, hash)
    if mc_unlikely(order.flags & COUNTED) and core.limits != NULL:
        limits_count(core.limits, order, -1)
    book.orders -= 1
    order.instrument = 0
    slots_give(&core.pool.orders, order)


cdef inline void book_remove(Core* core, Book* book, Order* order, u32 hash, u16 flags,
                             bint told) noexcept nogil:
    cdef Ladder* ladder = side_of(book, order.side)
    level_leave(core, ladder, ladder_key(ladder, order.price), order, flags, told)
    book_forget(core, book, order, hash)


cdef inline Level* level_at(Ladder* ladder, u64 key) noexcept nogil:
    cdef Leaf* leaf = ladder_find(ladder, key)
    return &leaf.level[key & 63] if leaf != NULL else NULL


cdef inline bint crosses(const Ladder* other, u64 limit) noexcept nogil:
    """True if an order that takes from this side up to a limit would trade at once."""
    return other.best <= limit and other.levels > 0 and not other.apart


cdef inline bint overflows(Ladder* ladder, u64 key, i64 quantity, i64 leaving) noexcept nogil:
    """True if the level would hold more than 2^63 - 1 units with quantity in and leaving out."""
    cdef Level* level
    if mc_likely((<u64>quantity >> 62 | ladder.weighty) == 0):    # the sum of two has no 64th bit
        return False
    level = level_at(ladder, key)
    return level != NULL and level.quantity - leaving > INT64_MAX - quantity


cdef inline bint can_fill(Ladder* ladder, u64 limit, i64 quantity) noexcept nogil:
    """True if the whole quantity can trade at once.  O(levels it takes)."""
    cdef u64 key = ladder.best
    cdef i64 here
    if not crosses(ladder, limit):
        return False
    while key <= limit:
        here = level_at(ladder, key).quantity
        if here >= quantity:
            return True
        quantity -= here
        if key == ~<u64>0 or not ladder_from(ladder, key + 1, &key):
            return False
    return False


cdef inline void shrink(Core* core, Book* book, Order* order, i64 quantity,
                        bint told) noexcept nogil:
    """A smaller open quantity; the order keeps its place."""
    cdef Ladder* ladder = side_of(book, order.side)
    cdef Level* level = level_at(ladder, ladder_key(ladder, order.price))
    cdef i64 less = order.left - quantity
    level.quantity -= less
    order.left = quantity
    if told and less != 0:
        emit_change(core, C_REDUCED, 0, order, less, quantity, level)
