"""Looking into a book, filling one from a state, checking that it is sound; arrays of records."""
import os

import numpy as np

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memcpy, memset

from .core.ids cimport (PASSERS_BY_MAX, PLACE_ELSEWHERE, Ids, Table, ids_hash, ids_hash_of, ids_look_up, ids_ready,
                   passers_by)
from .core.ladder cimport IDLE_MAX, Ladder, ladder_find, ladder_from, ladder_key, ladder_price
from .core.pool cimport Leaf, Level, Node, Order, Pool, Stem, pool_ready
from .core.records cimport *
from .core.resting cimport book_rest, crosses, level_at, overflows

from ..records.arguments import depth_limit, side_code
from ..records.commands import COMMAND, LEVEL, ORDER, checked, joined


cdef u64 fresh_secret() except? 0:
    """A factor for an id table; it never shows in any result."""
    return int.from_bytes(os.urandom(8), "little")


cdef object in_one_row(commands):
    """The commands, checked and without gaps; runs no bytecode for those that are as they should be."""
    if type(commands) is not np.ndarray or commands.dtype is not COMMAND or commands.ndim != 1:
        checked(commands)
    return commands if commands.flags.c_contiguous else joined([commands])


cdef object one_after_the_other(list parts):
    """Arrays of one dtype as one; as `joined`, but runs no bytecode."""
    cdef Py_buffer source, target
    cdef size_t at = 0
    whole = np.empty(sum([len(part) for part in parts]), parts[0].dtype)
    PyObject_GetBuffer(whole, &target, PyBUF_WRITABLE)
    for part in parts:
        PyObject_GetBuffer(part, &source, PyBUF_SIMPLE)
        memcpy(<char*>target.buf + at, source.buf, source.len)
        at += source.len
        PyBuffer_Release(&source)
    PyBuffer_Release(&target)
    return whole


cdef void show_order(const Order* order, mc_order* into) noexcept nogil:
    into.order_id = order.order_id
    into.client_order_id = order.client_order_id
    into.account = order.account
    into.price = order.price
    into.quantity = order.left
    into.side = order.side
    into.time_in_force = order.time_in_force
    into.flags = order.flags & POST_ONLY
    into.reserved = 0


cdef object orders_array(const Book* book):
    """All orders as an `ORDER` array: buys, then sells, best to worst, oldest first."""
    cdef Py_buffer target
    cdef mc_order* into
    cdef u64 key
    cdef Order* order
    cdef Ladder* ladder
    array = np.empty(book.orders, ORDER)
    PyObject_GetBuffer(array, &target, PyBUF_WRITABLE)
    into = <mc_order*>target.buf
    for side in range(2):
        ladder = <Ladder*>&book.sides[side]
        key = 0
        while ladder_from(ladder, key, &key):
            order = level_at(ladder, key).head
            while order != NULL:
                show_order(order, into)
                into += 1
                order = order.next
            if key == ~<u64>0:
                break
            key += 1
    PyBuffer_Release(&target)
    return array


cdef object level_array(const Book* book, u8 side, i64 price):
    """The orders of one level as an `ORDER` array, oldest first."""
    cdef Py_buffer target
    cdef mc_order* into
    cdef Ladder* ladder = <Ladder*>&book.sides[side - 1]
    cdef Level* level = level_at(ladder, ladder_key(ladder, price))
    cdef Order* order = level.head if level != NULL else NULL
    array = np.empty(level.orders if order != NULL else 0, ORDER)
    PyObject_GetBuffer(array, &target, PyBUF_WRITABLE)
    into = <mc_order*>target.buf
    while order != NULL:
        show_order(order, into)
        into += 1
        order = order.next
    PyBuffer_Release(&target)
    return array


cdef object levels_array(const Book* book, side, depth):
    """Up to depth levels (None: all) as a `LEVEL` array, best first."""
    cdef Py_buffer target
    cdef mc_level* into
    cdef Ladder* ladder
    cdef Level* level
    cdef u64 key = 0
    cdef size_t count
    ladder = <Ladder*>&book.sides[<u32>side_code(side) - 1]
    most = depth_limit(depth)
    count = ladder.levels if most is None else min(most, ladder.levels)
    array = np.empty(count, LEVEL)
    PyObject_GetBuffer(array, &target, PyBUF_WRITABLE)
    into = <mc_level*>target.buf
    while count and ladder_from(ladder, key, &key):
        level = level_at(ladder, key)
        into.price = ladder_price(ladder, key)
        into.quantity = level.quantity
        into.orders = <u32>level.orders     # the upper half counts pegs of a market
        into += 1
        count -= 1
        key += 1            # the last key has no level behind it that count would let in
    PyBuffer_Release(&target)
    return array


cdef object order_row(const Core* core, const Book* book, u64 order_id):
    """The live order of this id as an `ORDER` row, or None."""
    cdef Py_buffer target
    cdef Order* order = ids_look_up(&core.ids, book.instrument, order_id)
    if order == NULL:
        return None
    array = np.empty(1, ORDER)
    PyObject_GetBuffer(array, &target, PyBUF_WRITABLE)
    show_order(order, <mc_order*>target.buf)
    PyBuffer_Release(&target)
    return array[0]


cdef const char* book_restore(Core* core, Book* book, const mc_order* orders,
                              size_t count) noexcept nogil:
    """Fills an empty book with orders in queue order; returns what is wrong with them, or NULL."""
    cdef mc_command command
    cdef const mc_order* order
    cdef size_t i
    cdef u64 key, key_before = 0
    cdef u8 side_before = BUY
    memset(&command, 0, sizeof(command))
    for i in range(count):
        order = &orders[i]
        if order.order_id == 0 or order.quantity <= 0:
            return b"an order without id or quantity"
        if (order.side not in (BUY, SELL) or not in_set(RESTING_TIFS, order.time_in_force)
                or order.flags & ~POST_ONLY or order.reserved):
            return b"an order with unknown side, time in force or flags"
        if ids_look_up(&core.ids, book.instrument, order.order_id) != NULL:
            return b"the same order twice"
        key = ladder_key(&book.sides[order.side - 1], order.price)
        if order.side < side_before or (order.side == side_before and key < key_before):
            return b"orders that are not sorted by side and price"
        side_before = order.side
        key_before = key
        if crosses(&book.sides[2 - order.side], ~key):
            return b"a crossed book"
        if overflows(&book.sides[order.side - 1], key, order.quantity, 0):
            return b"more in one level than 63 bits hold"
        if not (pool_ready(&core.pool, 1) and ids_ready(&core.ids, 1)):
            return b"more orders than there is memory for"
        command.order_id = order.order_id
        command.client_order_id = order.client_order_id
        command.account = order.account
        command.price = order.price
        command.side = order.side
        command.time_in_force = order.time_in_force
        book_rest(core, book, &command, key, ids_hash(&core.ids, book.instrument, order.order_id),
                  order.flags, order.quantity, False)
    return NULL


cdef u64 check_tree(void* at, u32 height, u64 prefix, Node* parent) except? 0:
    """Counts the levels below a leaf or node; every bit must have something below it."""
    cdef u64 levels = 0, place
    cdef Stem* stem = <Stem*>at
    cdef void* child
    where = f"at height {height} under prefix {prefix:#x}"
    assert stem.parent == parent, f"wrong parent {where}"
    if height == 1:
        assert (<Leaf*>at).block == prefix, f"wrong block {where}"
        for place in range(64):
            assert ((<Leaf*>at).level[place].head != NULL) == (stem.occupied >> place & 1), (
                f"leaf bits {where}")
            levels += stem.occupied >> place & 1
        return levels
    assert (<Node*>at).present != 0, f"a node without children {where}"
    for place in range(64):
        child = (<Node*>at).child[place]
        assert (child != NULL) == ((<Node*>at).present >> place & 1), f"node bits {where}"
        if child != NULL:
            assert ((<Stem*>child).occupied != 0) == (stem.occupied >> place & 1), (
                f"node bits {where}")
            levels += check_tree(child, height - 1, prefix << 6 | place, <Node*>at)
    return levels


cdef u64 check_level(Core* core, Book* book, Ladder* ladder, int side, u64 key) except? 0:
    """Checks one level's queue and totals; returns its number of orders."""
    cdef Level* level = level_at(ladder, key)
    cdef Order* order = level.head
    cdef Order* before = NULL
    cdef u64 count = 0
    cdef object total = 0
    cdef i64 price = ladder_price(ladder, key)
    while order != NULL:
        where = f"order {order.order_id} at {price}"
        assert order.price == price and order.side == side, f"{where}: in the wrong level"
        assert order.left > 0, f"{where}: open quantity {order.left}"
        assert in_set(RESTING_TIFS, order.time_in_force), f"{where}: rests with {order.time_in_force}"
        assert order.prev == before, f"{where}: wrong link back"
        assert ids_look_up(&core.ids, book.instrument, order.order_id) == order, (
            f"{where}: not in the id table")
        total += order.left
        count += 1
        before = order
        order = order.next
    assert level.tail == before, f"level {price}: tail is not the last order"
    assert level.quantity == total, f"level {price}: total {level.quantity}, orders hold {total}"
    assert level.orders == count, f"level {price}: counts {level.orders} of {count} orders"
    assert ladder.weighty or level.quantity >> 62 == 0, f"level {price}: a weight not known"
    assert level.head.instrument == book.instrument, f"level {price}: of another book"
    return count


cdef int pool_check(const Pool* pool) except -1:
    """Asserts that the idle leaves are those without a level."""
    cdef Leaf* leaf = pool.idle_first
    cdef Leaf* before = NULL
    cdef u64 count = 0
    while leaf != NULL:
        assert leaf.stem.occupied == 0, f"a leaf of block {leaf.block:#x} is idle and has levels"
        assert leaf.idle_prev == before, "wrong link back among the idle leaves"
        count += 1
        before = leaf
        leaf = leaf.idle_next
    assert pool.idle_last == before and pool.idle == count <= IDLE_MAX + 1, (
        f"{pool.idle} leaves are said to be idle, {count} are")
    return 0


cdef u64 table_count(const Ids* ids, const Table* table, u64* elsewhere, i64* passed) noexcept nogil:
    """The orders in a table, adding those that are not in their own bucket to elsewhere; in passed
    the buckets that they went on from, less the passers-by that are counted there."""
    cdef u64 count = 0, at
    cdef u32 place
    cdef const Order* order
    passed[0] = 0
    if table.buckets != NULL:
        for at in range(table.gone, table.mask + 1):
            passed[0] -= passers_by(&table.buckets[at])
            if passers_by(&table.buckets[at]) == PASSERS_BY_MAX:
                passed[0] += <i64>1 << 40       # not counted any more
            for place in range(7):
                if table.buckets[at].tags >> (8 * place) & 0xff:
                    order = table.buckets[at].order[place]
                    count += 1
                    elsewhere[0] += order.place == PLACE_ELSEWHERE
                    passed[0] += (at - ids_hash_of(ids, order)) & table.mask
    return count


cdef int ids_check(const Ids* ids, u64 orders) except -1:
    """Asserts that the id table is sound and holds so many orders."""
    cdef u64 elsewhere = 0
    cdef i64 moved_out, passed
    cdef u64 live = table_count(ids, &ids.old, &elsewhere, &moved_out)
    live += table_count(ids, &ids.now, &elsewhere, &passed)
    assert passed >= 0, (
        f"{-passed} passers-by are counted where nobody passed")
    assert elsewhere <= live // 2 + 64, (
        f"ids pile up, {elsewhere} of {live} are not in their bucket")
    assert live == ids.count == orders, (
        f"the id table counts {ids.count} and holds {live} of {orders} orders")
    return 0


cdef int ladder_check(Ladder* ladder, where) except -1:
    """Asserts that a ladder is sound, whatever orders are in it."""
    cdef Leaf* hot
    cdef u64 key = 0, levels = 0, first = 0
    while ladder_from(ladder, key, &key):
        if levels == 0:
            first = key
        levels += 1
        if key == ~<u64>0:
            break
        key += 1
    assert levels == ladder.levels, f"{where}: counts {ladder.levels} of {levels} levels"
    assert ladder.best == (first if levels else ~<u64>0), f"{where}: best is not the best"
    if ladder.height > 1:
        assert (<Node*>ladder.root).present & ((<Node*>ladder.root).present - 1), (
            f"{where}: a root with one child")
    if ladder.height:
        assert check_tree(ladder.root, ladder.height, ladder.prefix, NULL) == levels, where
    if ladder.hot != NULL:
        hot = ladder.hot
        key = ladder.hot_block << 6
        ladder.hot_block = ~<u64>0      # the long way round
        assert ladder_find(ladder, key) == hot, f"{where}: hot leaf"
    return 0


cdef int book_check(Core* core, Book* book) except -1:
    """Asserts every invariant of a book."""
    cdef Ladder* ladder
    cdef u64 key, orders = 0
    for side in range(1, 3):
        ladder = &book.sides[side - 1]
        key = 0
        while ladder_from(ladder, key, &key):
            orders += check_level(core, book, ladder, side, key)
            if key == ~<u64>0:
                break
            key += 1
        ladder_check(ladder, f"instrument {book.instrument}, side {side}")
    assert orders == book.orders, f"instrument {book.instrument}: {book.orders} of {orders} orders"
    if book.sides[0].levels:
        assert not crosses(&book.sides[1], ~book.sides[0].best), (
            f"instrument {book.instrument}: the book is crossed")
    return 0
