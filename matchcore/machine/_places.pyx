"""Looking at the places of a market's orders: whose turn it is, the best prices, all of them."""
from libc.stdlib cimport realloc

from .core.ladder cimport Ladder, ladder_from, ladder_key, ladder_price
from .core.market cimport *
from .core.pool cimport Level, Order
from .core.records cimport *
from .core.resting cimport level_at


cdef Wide* first_of(Market* market, u8 side, i64 price) noexcept nogil:
    """The order at a price whose turn it is: shown ones come first; NULL: nobody is there."""
    cdef Ladder* ladder = &market.book.sides[side - 1]
    cdef u64 key = ladder_key(ladder, price)
    cdef Level* level = level_at(ladder, key)
    if level != NULL and level.head != NULL:
        return <Wide*>level.head
    level = level_at(&market.dark[side - 1], key)
    return <Wide*>level.head if level != NULL else NULL


cdef bint has_lit(Ladder* ladder, Lit* lit) noexcept nogil:
    """Finds the first level with a shown order that is no peg; false without any.  There is a level.

    O(levels of pegs alone before it), which all have other prices then.
    """
    cdef const Level* level
    if lit.key <= ladder.best:      # no level is before it: the first look needs no search
        level = level_at(ladder, ladder.best)
        if orders_of_level(level) > pegs_of(level):
            lit.key = ladder.best
            lit.exact = True
            return True
    while ladder_from(ladder, lit.key, &lit.key):
        level = level_at(ladder, lit.key)
        if orders_of_level(level) > pegs_of(level):
            lit.exact = True
            return True
        if lit.key == ~<u64>0:
            return False
        lit.key += 1
    lit.key = ~<u64>0
    return False


cdef bint has_reference(Turn* turn, u8 side, i64* price) noexcept nogil:
    """The best price of a side that pegs and the cage go by: shown, and no peg itself."""
    cdef Ladder* ladder = &turn.book.sides[side - 1]
    cdef Lit* lit = &turn.market.lit[side - 1]
    cdef u64 key = ladder.best
    if ladder.levels == 0:
        return False
    if mc_likely(turn.market.pegs_count == 0):
        if mc_unlikely(key == 0) and not ladder_from(ladder, 1, &key):
            return False        # at 0 are the orders at any price
    else:
        if not lit.exact and not has_lit(ladder, lit):
            return False
        key = lit.key
    price[0] = ladder_price(ladder, key)
    return True


cdef i64 last_of(const Turn* turn, bint* known) noexcept nogil:
    """The price of the last trade."""
    known[0] = turn.core.lasts[turn.book.instrument - 1].traded != 0
    return turn.core.lasts[turn.book.instrument - 1].price


# ---------------------------------------------------------------------- all orders

cdef inline void found_level(Wide** found, size_t* count, Ladder* ladder, u64 key) noexcept nogil:
    cdef Level* level = level_at(ladder, key)
    cdef Order* order = level.head if level != NULL else NULL
    while order != NULL:
        found[count[0]] = <Wide*>order
        count[0] += 1
        order = order.next


cdef void found_side(Market* market, int side, Wide** found, size_t* count) noexcept nogil:
    """Shown and hidden orders, by price; at a price first those that are shown."""
    cdef Ladder* lit = &market.book.sides[side]
    cdef Ladder* dark = &market.dark[side]
    cdef u64 key = 0, key_lit, key_dark
    cdef bint is_lit, is_dark
    while True:
        is_lit = ladder_from(lit, key, &key_lit)
        is_dark = ladder_from(dark, key, &key_dark)
        if not is_lit and not is_dark:
            return
        key = key_lit if is_lit and (not is_dark or key_lit < key_dark) else key_dark
        if is_lit and key_lit == key:
            found_level(found, count, lit, key)
        if is_dark and key_dark == key:
            found_level(found, count, dark, key)
        if key == ~<u64>0:
            return
        key += 1


cdef void found_line(const Line* line, Wide** found, size_t* count) noexcept nogil:
    cdef Wide* wide = line.head
    while wide != NULL:
        found[count[0]] = wide
        count[0] += 1
        wide = <Wide*>wide.order.next


cdef size_t orders_of(Markets* all, Market* market) noexcept nogil:
    """All orders of a market, in the order of a state, into `found`; says how many."""
    cdef size_t count = 0
    cdef void* grown
    cdef Ladder* ladder
    cdef u64 key
    cdef int side
    if market.book.orders > all.found_room:
        grown = realloc(all.found, 2 * <size_t>market.book.orders * sizeof(Wide*))
        if grown == NULL:
            all.lost = True
            return 0
        all.found = <Wide**>grown
        all.found_room = 2 * <size_t>market.book.orders
    for side in range(2):
        found_side(market, side, all.found, &count)
    for side in range(2):
        ladder = &market.stops[side]
        key = 0
        while ladder_from(ladder, key, &key):
            found_level(all.found, &count, ladder, key)
            if key == ~<u64>0:
                break
            key += 1
    found_line(&market.trailing, all.found, &count)
    found_line(&market.waiting, all.found, &count)
    found_line(&market.caged, all.found, &count)
    return count


cdef size_t orders_found(Turn* turn) noexcept nogil:
    """`orders_of` the market at work."""
    return orders_of(turn.all, turn.market)
