"""One command at work in one market: what it says, what it moves.

The orders of a market lie in ladders and lines (core/market.pxd); here is all that puts them there
and takes them out.
"""
from libc.stdlib cimport realloc

from ._auction cimport call_moved
from ._phases cimport note_trade
from ._quotes cimport protection_hit
from ._saying cimport executed, tell_of
from ._stops cimport cage_joined
from .core.ids cimport ids_hash_of
from .core.ladder cimport Ladder, ladder_find, ladder_key, ladder_level_off
from .core.market cimport *
from .core.moves cimport (begin_turn, cancel_here, enliven, forget_here, fresh_here, has_leaf, into_book,
                          ladder_of, leave_pegs, out_of_book, rest_here, show_here)
from .core.pool cimport Leaf, Level, Order, slots_grow
from .core.records cimport *
from .core.resting cimport level_at, level_join, level_leave
from .core.saying cimport said_of


cdef void turn_begin(Turn* turn, Markets* all, Core* core, u32 instrument, i64 time,
                     Events* events) noexcept nogil:
    """A command begins; time 0: that of the call."""
    begin_turn(turn, all, core, all.markets[instrument - 1], time, events)


# ---------------------------------------------------------------------- where orders are


cdef Wide* fresh(Turn* turn) noexcept nogil:
    """An order that is nowhere yet; the command has made sure of a slot, or the machine is lost."""
    if mc_unlikely(turn.all.wides.spare == 0) and not slots_grow(&turn.all.wides):
        turn.all.lost = True
        return NULL
    return fresh_here(turn)


cdef void show(Wide* wide) noexcept nogil:
    """Shows what may be shown of what is open."""
    show_here(wide)


cdef void rest(Turn* turn, Wide* wide, u16 flags) noexcept nogil:
    """Puts an order last in its level, live from now on; the flags are of the change."""
    rest_here(turn, wide, flags, ids_hash_of(&turn.core.ids, &wide.order))


cdef inline Line* line_of(Market* market, u8 place) noexcept nogil:
    if place == PLACE_TRAILING:
        return &market.trailing
    return &market.waiting if place == PLACE_WAITING else &market.caged


cdef inline void into_place(Turn* turn, Wide* wide, u8 place) noexcept nogil:
    """Last in its place outside the book; there is a leaf."""
    cdef Market* market = turn.market
    cdef Ladder* ladder
    cdef Line* line
    if place == PLACE_STOPS:
        ladder = &market.stops[wide.order.side - 1]
        level_join(turn.core, ladder, ladder_key(ladder, wide.stop_price), &wide.order, 0, False)
    else:
        line = line_of(market, place)
        wide.order.next = NULL
        wide.order.prev = <Order*>line.tail
        if line.tail != NULL:
            line.tail.order.next = &wide.order
        else:
            line.head = wide
        line.tail = wide
        line.count += 1
        if place == PLACE_CAGED:
            cage_joined(market, wide)
        elif place == PLACE_TRAILING:
            market.has_followed = False
    wide.place = place


cdef void park(Turn* turn, Wide* wide, u8 place) noexcept nogil:
    """Keeps an order outside the book, live from now on."""
    if not wide.live:
        enliven(turn, wide, ids_hash_of(&turn.core.ids, &wide.order))
    turn.market.entries += 1
    wide.entry = turn.market.entries
    if mc_likely(has_leaf(turn)):
        into_place(turn, wide, place)


cdef void put_back(Turn* turn, Wide* wide) noexcept nogil:
    """An order of a state, last in the place that it says; there is room for its id, and a leaf."""
    cdef u8 place = wide.place
    enliven(turn, wide, ids_hash_of(&turn.core.ids, &wide.order))
    if place == PLACE_BOOK:
        into_book(turn, wide)
    else:
        into_place(turn, wide, place)


cdef inline void line_leave(Line* line, Wide* wide) noexcept nogil:
    if wide.order.prev != NULL:
        wide.order.prev.next = wide.order.next
    else:
        line.head = <Wide*>wide.order.next
    if wide.order.next != NULL:
        wide.order.next.prev = wide.order.prev
    else:
        line.tail = <Wide*>wide.order.prev
    line.count -= 1


cdef void lift(Turn* turn, Wide* wide, u16 flags) noexcept nogil:
    """Takes a live order from where it is; the flags are of the change."""
    cdef Market* market = turn.market
    cdef u8 place = wide.place
    cdef Ladder* ladder
    if place == PLACE_BOOK:
        out_of_book(turn, wide, flags)
        return
    wide.place = PLACE_NOWHERE
    if place == PLACE_STOPS:
        ladder = &market.stops[wide.order.side - 1]
        level_leave(turn.core, ladder, ladder_key(ladder, wide.stop_price), &wide.order, 0, False)
    elif place != PLACE_NOWHERE:
        line_leave(line_of(market, place), wide)


cdef void forget(Turn* turn, Wide* wide) noexcept nogil:
    """An order that is nowhere is gone: its slot is free."""
    forget_here(turn, wide, ids_hash_of(&turn.core.ids, &wide.order))


cdef void resize(Turn* turn, Wide* wide, i64 total) noexcept nogil:
    """Another open quantity for an order that is nowhere, or outside the book; nothing is told."""
    cdef Level* level
    cdef Ladder* ladder
    cdef i64 before = wide.order.left
    if wide.live:
        turn.market.open_quantity[wide.order.side - 1] += total - wide.total
    wide.total = total
    show_here(wide)
    if wide.place == PLACE_STOPS:
        ladder = &turn.market.stops[wide.order.side - 1]
        level = level_at(ladder, ladder_key(ladder, wide.stop_price))
        level.quantity += wide.order.left - before


cdef void cancel(Turn* turn, Wide* wide, u8 reason) noexcept nogil:
    """Cancels a live order, wherever it is."""
    cancel_here(turn, wide, reason, ids_hash_of(&turn.core.ids, &wide.order))


cdef void deplete(Turn* turn, Wide* wide, i64 quantity) noexcept nogil:
    """So much less of an order that is nowhere, without a trade."""
    wide.total -= quantity
    if wide.live:
        turn.market.open_quantity[wide.order.side - 1] -= quantity


cdef void touch(Turn* turn, Wide* wide) noexcept nogil:
    """The other order of its pair, if it has one, is to go."""
    cdef Markets* all = turn.all
    cdef void* grown
    if mc_likely(wide.link == 0) or wide.touched:
        return
    if all.touched_count == all.touched_room:
        grown = realloc(all.touched, (2 * all.touched_room + 8) * sizeof(Touched))
        if grown == NULL:
            all.lost = True
            return
        all.touched = <Touched*>grown
        all.touched_room = 2 * all.touched_room + 8
    all.touched[all.touched_count].order_id = wide.order.order_id
    all.touched[all.touched_count].link = wide.link
    all.touched_count += 1
    wide.touched = 1


# ---------------------------------------------------------------------- trades

cdef inline void fill(Turn* turn, Wide* wide, i64 quantity) noexcept nogil:
    """What a trade does to the quantities of an order, wherever it is."""
    wide.total -= quantity
    wide.filled += quantity
    if wide.live:
        turn.market.open_quantity[wide.order.side - 1] -= quantity


cdef inline void fill_in_book(Turn* turn, Wide* wide, i64 quantity) noexcept nogil:
    """The same of an order in the book, and to its level; without any left it leaves."""
    cdef Ladder* ladder = ladder_of(turn, wide)
    cdef u64 key = ladder_key(ladder, wide.order.price)
    cdef Leaf* leaf = ladder_find(ladder, key)
    cdef Level* level = &leaf.level[key & 63]
    cdef i64 seen = least(quantity, wide.order.left)
    fill(turn, wide, quantity)
    level.quantity -= seen
    if wide.order.left != 0 and wide.order.left == seen:
        level.orders -= 1
    wide.order.left -= seen
    if mc_unlikely(turn.market.call != NULL):
        call_moved(turn, wide, -quantity)
    if wide.total != 0:
        return
    if mc_unlikely(turn.market.pegs_count):
        leave_pegs(turn.market, wide, level, key, 0)
    if wide.order.prev != NULL:
        wide.order.prev.next = wide.order.next
    else:
        level.head = wide.order.next
    if wide.order.next != NULL:
        wide.order.next.prev = wide.order.prev
    else:
        level.tail = wide.order.prev
    if level.head == NULL:
        ladder_level_off(ladder, &turn.core.pool, leaf, key)
    wide.place = PLACE_NOWHERE
    count_in_book(turn.market, wide, -1)


cdef void trade(Turn* turn, Wide* maker, Wide* taker, i64 quantity, i64 price) noexcept nogil:
    """One fill at a price; the maker is in the book, and gone when nothing of it is left.

    So is the taker in an auction.
    """
    cdef Core* core = turn.core
    cdef mc_event* event
    cdef mc_last* last = &core.lasts[turn.book.instrument - 1]
    cdef i64 shown = shown_of(maker), seen = shown_of(taker)
    cdef bint crossed = taker.place == PLACE_BOOK
    if mc_unlikely(maker.link | taker.link):
        touch(turn, maker)
        touch(turn, taker)
    fill_in_book(turn, maker, quantity)
    if crossed:
        fill_in_book(turn, taker, quantity)
    else:
        fill(turn, taker, quantity)
    event = said_of(turn, TRADED, R_NONE, maker, quantity, maker.total)
    event.price = price
    event.taker_order_id = taker.order.order_id
    event.taker_account = taker.order.account
    event.taker_left = taker.total
    event.trade_id = core.next_trade_id
    core.next_trade_id += 1
    if mc_unlikely(core.changes != NULL):
        executed(turn, maker, taker, price, quantity, shown, seen, crossed)
    last.price = price
    last.traded = 1
    turn.low = least(turn.low, price) if turn.traded else price
    turn.high = greatest(turn.high, price) if turn.traded else price
    turn.traded = True
    note_trade(turn, price, quantity)
    if mc_unlikely(maker.flags & QUOTED) and protection_hit(turn, maker, quantity):
        pull(turn, maker.order.account)
    if crossed and taker.total == 0:
        forget(turn, taker)
    if maker.total == 0:
        forget_here(turn, maker, ids_hash_of(&core.ids, &maker.order))


cdef void pull(Turn* turn, u64 account) noexcept nogil:
    """The quotes of an account are to go."""
    cdef Markets* all = turn.all
    cdef void* grown
    if all.pulled_count == all.pulled_room:
        grown = realloc(all.pulled, (2 * all.pulled_room + 8) * sizeof(u64))
        if grown == NULL:
            all.lost = True
            return
        all.pulled = <u64*>grown
        all.pulled_room = 2 * all.pulled_room + 8
    all.pulled[all.pulled_count] = account
    all.pulled_count += 1


cdef void refresh(Turn* turn, Wide* wide) noexcept nogil:
    """The next part of an iceberg comes last in its level."""
    cdef Ladder* ladder
    cdef Leaf* leaf
    cdef Level* level
    cdef u64 key
    if wide.total == 0 or wide.order.left != 0:
        return
    show_here(wide)
    turn.market.entries += 1
    wide.entry = turn.market.entries
    ladder = ladder_of(turn, wide)
    key = ladder_key(ladder, wide.order.price)
    level = &ladder_find(ladder, key).level[key & 63]
    if wide.order.next != NULL:             # to the end, without the level going and coming
        wide.order.next.prev = wide.order.prev
        if wide.order.prev != NULL:
            wide.order.prev.next = wide.order.next
        else:
            level.head = wide.order.next
        wide.order.prev = level.tail
        level.tail.next = &wide.order
        wide.order.next = NULL
        level.tail = &wide.order
    level.quantity += wide.order.left
    level.orders += 1
    tell_of(turn, C_ADDED, 0, wide, wide.order.price, wide.order.left, wide.order.left)


cdef void lessen(Turn* turn, Wide* wide, i64 total) noexcept nogil:
    """A smaller open quantity for an order that keeps its place: first what is not shown goes."""
    cdef i64 before = wide.order.left, less = wide.total - total
    cdef Ladder* ladder
    turn.market.open_quantity[wide.order.side - 1] -= less
    wide.total = total
    wide.order.left = least(before, total)
    if wide.place == PLACE_BOOK:
        ladder = ladder_of(turn, wide)
        level_at(ladder, ladder_key(ladder, wide.order.price)).quantity -= before - wide.order.left
        if mc_unlikely(turn.market.call != NULL):
            call_moved(turn, wide, -less)
        if wide.order.left < before and not is_hidden(wide):
            tell_of(turn, C_REDUCED, 0, wide, wide.order.price, before - wide.order.left,
                    wide.order.left)
    elif wide.place == PLACE_STOPS:
        ladder = &turn.market.stops[wide.order.side - 1]
        level_at(ladder, ladder_key(ladder, wide.stop_price)).quantity -= before - wide.order.left
