"""Stops, trailing stops, pegs and the price cage.

The rules are those of `reference/market/{stops,pegs,checks}.py`.
"""
from libc.stdint cimport INT64_MAX, INT64_MIN

from ._execution cimport execute
from ._places cimport has_reference, last_of
from ._saying cimport say_of, tell_of
from ._turn cimport cancel, lift, park
from .core.ladder cimport Ladder, ladder_key, ladder_price
from .core.market cimport (CAGE_MODE, CAGE_PART, CAGE_TICKS, DAY_PREVIOUS_CLOSE, FOLLOWED, FOLLOWS_BID,
                           FOLLOWS_BOTH, FOLLOWS_OFFER, PART, Bests, Pegs, book_crosses, count_peg,
                           followed_by, greatest, is_expired, is_hidden, least)
from .core.moves cimport has_leaf, ladder_of
from .core.prices cimport is_priced, part_of
from .core.records cimport *
from .core.resting cimport level_at, level_join, level_leave
from .core.saying cimport said_of


# ---------------------------------------------------------------------- stops

cdef bint is_reached(const Wide* wide, i64 low, i64 high) noexcept nogil:
    """True if trades from `low` to `high` have reached the stop price of an order."""
    return wide.stop_price <= high if wide.order.side == BUY else wide.stop_price >= low


cdef Wide* next_stop(Turn* turn) noexcept nogil:
    """The stop that is triggered next by the trades of this command, or NULL.

    Buys first, from the lowest stop price up; then sells, from the highest down; the oldest first.
    """
    cdef Ladder* buys = &turn.market.stops[0]
    cdef Ladder* sells = &turn.market.stops[1]
    if not turn.traded:
        return NULL
    if buys.levels and ladder_price(buys, buys.best) <= turn.high:
        return <Wide*>level_at(buys, buys.best).head
    if sells.levels and ladder_price(sells, sells.best) >= turn.low:
        return <Wide*>level_at(sells, sells.best).head
    return NULL


cdef i64 distance(const Wide* wide, i64 last) noexcept nogil:
    """Of a trailing stop from the last trade, in ticks."""
    if not wide.flags & PERCENT:
        return wide.limit
    return greatest(1, last * wide.limit // PART) if last > 0 else 1


cdef void set_trailing(Wide* wide, i64 last) noexcept nogil:
    """The stop price of a new trailing stop, whose distance is in `limit`."""
    cdef i64 away = distance(wide, last)
    wide.stop_price = last + away if wide.order.side == BUY else last - away


cdef void follow(Turn* turn) noexcept nogil:
    """Trailing stops follow the last trade; one that it has reached is a stop like others.

    O(trailing stops) when the last price has moved, else O(1).
    """
    cdef Market* market = turn.market
    cdef bint known
    cdef i64 last = last_of(turn, &known), away
    cdef Wide* wide = market.trailing.head
    cdef Wide* after
    if not known or (market.has_followed and market.followed == last):
        return
    market.has_followed = True
    market.followed = last
    while wide != NULL:
        after = <Wide*>wide.order.next
        if is_reached(wide, last, last):
            lift(turn, wide, 0)
            wide.order_type = STOP
            park(turn, wide, PLACE_STOPS)
        else:
            away = distance(wide, last)
            if wide.order.side == BUY:
                wide.stop_price = least(wide.stop_price, last + away)
            else:
                wide.stop_price = greatest(wide.stop_price, last - away)
        wide = after


# ---------------------------------------------------------------------- pegs

cdef void look_at_bests(Turn* turn, Bests* bests) noexcept nogil:
    """The prices that pegs go by."""
    bests.price[0] = bests.price[1] = 0
    bests.known[0] = has_reference(turn, BUY, &bests.price[0])
    bests.known[1] = has_reference(turn, SELL, &bests.price[1])


cdef bint peg_price(const Market* market, const Bests* bests, const Wide* wide,
                    i64* price) noexcept nogil:
    cdef u32 own = wide.order.side - 1
    cdef bint buys = wide.order.side == BUY
    cdef i64 found
    if wide.order_type == PEG_MIDPOINT:
        if not (bests.known[0] and bests.known[1]):
            return False
        found = bests.price[0] + bests.price[1]
        found = found >> 1 if buys else (found + 1) >> 1
    else:
        if wide.order_type == PEG_MARKET:
            own ^= 1
        if not bests.known[own]:
            return False
        found = bests.price[own]
    found = (floor_tick(market, found + wide.stop_price) if buys
             else ceil_tick(market, found - wide.stop_price))
    if wide.flags & PROTECTED:
        found = least(found, wide.limit) if buys else greatest(found, wide.limit)
    if market.has_lowest:
        found = greatest(found, market.lowest)
    if market.has_highest:
        found = least(found, market.highest)
    price[0] = found
    return is_priced(found)


cdef bint has_peg_price(Turn* turn, const Wide* wide, i64* price) noexcept nogil:
    """What a pegged order costs now; false without a reference.

    A positive offset makes a price better for the other side, on both sides.
    """
    cdef Bests bests
    look_at_bests(turn, &bests)
    return peg_price(turn.market, &bests, wide, price)


cdef inline bint differs(const Bests* one, const Bests* another, int side) noexcept nogil:
    return one.known[side] != another.known[side] or one.price[side] != another.price[side]


cdef inline void move_back(Pegs* pegs, Wide* wide) noexcept nogil:
    """A peg becomes the newest of those that follow the same."""
    cdef Wide* after = wide.after
    if after == NULL:
        return
    after.before = wide.before
    if wide.before != NULL:
        wide.before.after = after
    else:
        pegs.head = after
    pegs.tail.after = wide
    wide.before = pegs.tail
    wide.after = NULL
    pegs.tail = wide


cdef inline void move_peg(Turn* turn, Wide* wide, i64 price) noexcept nogil:
    """A peg that meets nobody at its price is last there: what `execute` does, without its questions.

    It is live, in no call, and has nothing that is counted or shown in parts.
    """
    cdef Ladder* ladder = ladder_of(turn, wide)
    cdef u64 key = ladder_key(ladder, wide.order.price)
    cdef bint shown = not is_hidden(wide)
    cdef bint told = mc_unlikely(turn.core.changes != NULL) and shown
    if shown:
        count_peg(level_at(ladder, key), -1)
    level_leave(turn.core, ladder, key, &wide.order, 0, False)
    if told:
        tell_of(turn, C_DELETED, C_REPLACING, wide, wide.order.price, wide.order.left, 0)
    wide.order.price = price
    said_of(turn, REPRICED, R_NONE, wide, wide.total, wide.total)
    turn.market.entries += 1
    wide.entry = turn.market.entries
    move_back(&turn.market.pegs[followed_by(wide)], wide)
    if mc_unlikely(not has_leaf(turn)):
        return
    key = ladder_key(ladder, price)
    level_join(turn.core, ladder, key, &wide.order, 0, False)
    if shown:
        count_peg(level_at(ladder, key), 1)
    if told:
        tell_of(turn, C_ADDED, C_REPLACING, wide, price, wide.order.left, wide.order.left)


cdef struct Ahead:          # the oldest peg of each line that is to be looked at
    Wide* peg[FOLLOWED]
    u64 entry[FOLLOWED]     # all ones: no peg


cdef inline void look_ahead(Ahead* ahead, u32 line, Wide* wide) noexcept nogil:
    ahead.peg[line] = wide
    ahead.entry[line] = wide.entry if wide != NULL else ~<u64>0


cdef inline Wide* next_peg(Ahead* ahead, u64 newest) noexcept nogil:
    """The oldest peg that is ahead, which is so no more; NULL: all that are have come later."""
    cdef Wide* wide
    cdef u32 line = FOLLOWS_BID
    if ahead.entry[<u32>FOLLOWS_OFFER] < ahead.entry[line]:
        line = FOLLOWS_OFFER
    if ahead.entry[<u32>FOLLOWS_BOTH] < ahead.entry[line]:
        line = FOLLOWS_BOTH
    if ahead.entry[line] > newest:
        return NULL
    wide = ahead.peg[line]
    look_ahead(ahead, line, wide.after)
    return wide


cdef bint reprice(Turn* turn) noexcept nogil:
    """Gives pegs the prices that they should have, oldest first.

    True as soon as one has met an order of the other side: what it did may have moved the best
    prices, and taken pegs away.  O(pegs that follow a best price which has moved); O(pegs) behind what
    may give any of them another price, as a new bound.
    """
    cdef Market* market = turn.market
    cdef Bests bests
    cdef Ahead ahead
    cdef Wide* wide
    cdef u64 newest = market.entries
    cdef i64 price
    cdef bint bid, offer, meets
    look_at_bests(turn, &bests)
    bid = market.pegs_stale or differs(&bests, &market.bests, 0)
    offer = market.pegs_stale or differs(&bests, &market.bests, 1)
    if not (bid or offer):
        return False
    look_ahead(&ahead, FOLLOWS_BID, market.pegs[<u32>FOLLOWS_BID].head if bid else NULL)
    look_ahead(&ahead, FOLLOWS_OFFER, market.pegs[<u32>FOLLOWS_OFFER].head if offer else NULL)
    look_ahead(&ahead, FOLLOWS_BOTH, market.pegs[<u32>FOLLOWS_BOTH].head)
    market.pegs_stale = True
    while True:
        wide = next_peg(&ahead, newest)     # those that have moved come last again
        if wide == NULL:
            break
        if not peg_price(market, &bests, wide, &price):
            cancel(turn, wide, R_REFERENCE_GONE)
        elif price != wide.order.price:
            meets = book_crosses(market, wide.order.side, True, price)
            if mc_likely(not meets and not is_expired(turn, wide)):
                move_peg(turn, wide, price)
                continue
            lift(turn, wide, C_REPLACING)
            wide.order.price = price
            say_of(turn, REPRICED, R_NONE, wide, wide.total, wide.total)
            execute(turn, wide, C_REPLACING)
            if meets:
                return True
    market.bests = bests
    market.pegs_stale = False
    return False


# ---------------------------------------------------------------------- the price cage

cdef bint has_cage(Turn* turn, u8 side, i64* bound) noexcept nogil:
    """The worst price that the cage lets a side have, or false: any."""
    cdef Market* market = turn.market
    cdef const i64* value = market.value[<u32>M_CAGE]
    cdef i64 base, ticks = greatest(value[CAGE_TICKS], 1)
    cdef bint known = True
    if value[CAGE_MODE] == CAGE_OFF or market.phase != PHASE_CONTINUOUS:
        return False
    if not has_reference(turn, 3 - side, &base) and not has_reference(turn, side, &base):
        base = last_of(turn, &known)
        if not known:
            base = market.value[<u32>M_DAY][DAY_PREVIOUS_CLOSE]
    if base <= 0:
        return False
    if side == BUY:
        bound[0] = greatest(part_of(base, PART + value[CAGE_PART]), base + ticks)
    else:
        bound[0] = least(part_of(base, PART - value[CAGE_PART]), base - ticks)
    return True


cdef bint outside_cage(Turn* turn, u8 side, i64 price) noexcept nogil:
    """True if a limit order is further from the base than the price cage lets it be."""
    cdef i64 bound
    return has_cage(turn, side, &bound) and (price > bound if side == BUY else price < bound)


cdef void cage_joined(Market* market, const Wide* wide) noexcept nogil:
    """An order that waits has this price from now on."""
    if wide.order.side == BUY:
        market.caged_buy = least(market.caged_buy, wide.order.price)
    else:
        market.caged_sell = greatest(market.caged_sell, wide.order.price)


cdef Wide* next_uncaged(Turn* turn) noexcept nogil:
    """The oldest of the orders outside the cage that are so no more, or NULL.

    O(orders outside) when one has come in, or the nearest of them has gone; else O(1).
    """
    cdef Market* market = turn.market
    cdef Wide* wide = market.caged.head
    cdef i64 highest = INT64_MAX, lowest = INT64_MIN
    if wide == NULL:
        return NULL
    has_cage(turn, BUY, &highest)
    has_cage(turn, SELL, &lowest)
    if market.caged_buy > highest and market.caged_sell < lowest:
        return NULL
    market.caged_buy = INT64_MAX
    market.caged_sell = INT64_MIN
    while wide != NULL:
        if wide.order.price <= highest if wide.order.side == BUY else wide.order.price >= lowest:
            market.caged_buy = INT64_MIN        # those behind it are not known
            market.caged_sell = INT64_MAX
            return wide
        cage_joined(market, wide)
        wide = <Wide*>wide.order.next
    return NULL
