"""One command at work in one market: what it says, what it moves.

The orders of a market lie in ladders and lines (core/market.pxd); here is all that puts them there
and takes them out.
"""
from libc.stdlib cimport realloc
from libc.string cimport memset

from ._auction cimport call_moved
from ._phases cimport note_trade
from ._quotes cimport protection_hit, quote_joined, quote_left
from ._stops cimport cage_joined
from .core.ids cimport ids_hash_of, ids_put, ids_remove
from .core.ladder cimport (Ladder, ladder_find, ladder_from, ladder_key, ladder_level_off, ladder_make,
                           ladder_price, leaf_wake)
from .core.limits cimport COUNTED, limits_count
from .core.market cimport *
from .core.pool cimport (Leaf, Level, Order, pool_has, pool_ready, slots_give, slots_grow, slots_take)
from .core.records cimport *
from .core.resting cimport level_at, level_join, level_leave
from .core.spill cimport change_spilled, event_spilled

from libc.stdint cimport INT64_MAX


cdef void turn_begin(Turn* turn, Markets* all, Core* core, u32 instrument, i64 time,
                     Events* events) noexcept nogil:
    """A command begins; time 0: that of the call."""
    turn.all = all
    turn.core = core
    turn.market = all.markets[instrument - 1]
    turn.book = turn.market.book
    turn.events = events
    turn.time = time if time != 0 else core.now
    turn.traded = False
    turn.stop = R_NONE
    turn.pause = 0
    all.touched_count = all.pulled_count = 0


# ---------------------------------------------------------------------- what it says

cdef mc_event* say(Turn* turn, u8 kind) noexcept nogil:
    """A new event with nothing but its kind: in the caller's buffer, or spilled."""
    cdef mc_event* event = turn.events.at
    if mc_likely(event < turn.events.end and turn.all.spill.count == 0):
        turn.events.at += 1
    else:
        event = event_spilled(turn.all)
    memset(event, 0, sizeof(mc_event))
    event.sequence = turn.core.sequence
    event.instrument = turn.book.instrument
    event.kind = kind
    return event


cdef mc_event* say_of(Turn* turn, u8 kind, u8 reason, const Wide* wide, i64 quantity,
                      i64 left) noexcept nogil:
    """A new event about an order."""
    cdef mc_event* event = say(turn, kind)
    event.order_id = wide.order.order_id
    event.client_order_id = wide.order.client_order_id
    event.account = wide.order.account
    event.price = wide.order.price
    event.quantity = quantity
    event.left = left
    event.side = wide.order.side
    event.reason = reason
    return event


cdef mc_change* tell(Turn* turn, u8 kind) noexcept nogil:
    """A new public change with nothing but its kind; NULL: nobody wants it."""
    cdef Core* core = turn.core
    cdef mc_change* change = core.changes
    if mc_likely(change == NULL):
        return NULL
    if change < core.changes_end and turn.all.spill.changes_count == 0:
        core.changes += 1
    else:
        change = change_spilled(turn.all)
    memset(change, 0, sizeof(mc_change))
    change.sequence = core.sequence
    change.instrument = turn.book.instrument
    change.kind = kind
    return change


cdef mc_change* tell_of(Turn* turn, u8 kind, u16 flags, const Wide* wide, i64 price, i64 quantity,
                        i64 left) noexcept nogil:
    """A new change of an order, whose level holds already what it does afterwards."""
    cdef mc_change* change = tell(turn, kind)
    cdef Ladder* ladder
    cdef Level* level
    if change == NULL:
        return NULL
    change.order_id = wide.order.order_id
    change.price = price
    change.quantity = quantity
    change.left = left
    change.side = wide.order.side
    change.flags = flags
    if not is_hidden(wide):
        ladder = &turn.book.sides[wide.order.side - 1]
        level = level_at(ladder, ladder_key(ladder, wide.order.price))
        if level != NULL and level.head != NULL:
            change.level_quantity = level.quantity
            change.level_orders = <u32>level.orders
    return change


cdef void cancelled(Turn* turn, Wide* wide, u8 reason) noexcept nogil:
    """Says that an order that is nowhere is cancelled."""
    say_of(turn, CANCELLED, reason, wide, wide.total, 0)


cdef void shrunk(Turn* turn, Wide* wide, i64 before) noexcept nogil:
    """The change of an order that shows less than it did."""
    cdef i64 shown = shown_of(wide)
    if shown < before:
        tell_of(turn, C_REDUCED if shown else C_DELETED, 0, wide, wide.order.price, before - shown,
                shown)


cdef void executed(Turn* turn, Wide* maker, Wide* taker, i64 price, i64 quantity, i64 shown, i64 seen,
                   bint crossed) noexcept nogil:
    """The changes of the trade told last; `shown` and `seen`: of maker and taker before it."""
    cdef mc_change* change
    if mc_likely(turn.core.changes == NULL):
        return
    if mc_likely(not crossed and price == maker.order.price and quantity <= shown):
        change = tell_of(turn, C_EXECUTED, 0, maker, price, quantity, shown_of(maker))
    else:       # what it takes from the public book is told apart from the trade
        shrunk(turn, maker, shown)
        if crossed:
            shrunk(turn, taker, seen)
        change = tell(turn, C_EXECUTED)
        change.order_id = maker.order.order_id
        change.side = maker.order.side
        change.price = price
        change.quantity = quantity
        change.flags = C_UNSEEN | C_CROSS if crossed else C_UNSEEN
    change.taker_order_id = taker.order.order_id
    change.trade_id = turn.core.next_trade_id - 1


# ---------------------------------------------------------------------- where orders are

cdef Wide* fresh(Turn* turn) noexcept nogil:
    """An order that is nowhere yet; the command has made sure of a slot, or the machine is lost."""
    cdef Wide* wide
    if mc_unlikely(turn.all.wides.spare == 0) and not slots_grow(&turn.all.wides):
        turn.all.lost = True
        return NULL
    wide = <Wide*>slots_take(&turn.all.wides)
    memset(wide, 0, sizeof(Wide))
    wide.place = PLACE_NOWHERE
    wide.order.instrument = turn.book.instrument
    return wide


cdef void show(Wide* wide) noexcept nogil:
    """Shows what may be shown of what is open."""
    wide.order.left = wide.total
    if wide.display != 0 and wide.display < wide.total and not is_hidden(wide):
        wide.order.left = wide.display


cdef inline void enliven(Turn* turn, Wide* wide) noexcept nogil:
    """The order is live from now on: the command has made room in the id table."""
    cdef Core* core = turn.core
    wide.live = 1
    if mc_unlikely(core.limits != NULL):
        limits_count(core.limits, &wide.order, 1)
    ids_put(&core.ids, &wide.order, ids_hash_of(&core.ids, &wide.order))
    turn.book.orders += 1
    turn.market.open_quantity[wide.order.side - 1] += wide.total
    if mc_unlikely(wide.expiry != 0) and wide.expiry < turn.market.expiry:
        turn.market.expiry = wide.expiry
    if mc_unlikely(wide.flags & QUOTED):
        quote_joined(turn, wide)


cdef inline Ladder* ladder_of(Turn* turn, const Wide* wide) noexcept nogil:
    """The ladder that an order in the book is in."""
    cdef u32 side = wide.order.side - 1
    return &turn.market.dark[side] if is_hidden(wide) else &turn.book.sides[side]


cdef inline bint has_leaf(Turn* turn) noexcept nogil:
    """So that an order finds a level; false when the machine is lost."""
    if mc_unlikely(not pool_has(&turn.core.pool, 1)) and not pool_ready(&turn.core.pool, 1):
        turn.all.lost = True
        return False
    return True


cdef inline void peg_join(Market* market, Wide* wide) noexcept nogil:
    wide.after = NULL
    wide.before = market.pegs_last
    if market.pegs_last != NULL:
        market.pegs_last.after = wide
    else:
        market.pegs = wide
        market.pegs_stale = True    # the best prices have moved unseen while there were none
    market.pegs_last = wide
    market.pegs_count += 1
    market.pegs_stale = True        # its price is of before it traded


cdef inline void peg_leave(Market* market, Wide* wide) noexcept nogil:
    if wide.before != NULL:
        wide.before.after = wide.after
    else:
        market.pegs = wide.after
    if wide.after != NULL:
        wide.after.before = wide.before
    else:
        market.pegs_last = wide.before
    market.pegs_count -= 1


cdef inline void into_book(Turn* turn, Wide* wide) noexcept nogil:
    """Last in its level; there is a leaf."""
    cdef Market* market = turn.market
    cdef Ladder* ladder = ladder_of(turn, wide)
    wide.place = PLACE_BOOK
    level_join(turn.core, ladder, ladder_key(ladder, wide.order.price), &wide.order, 0, False)
    count_in_book(market, wide, 1)
    if mc_unlikely(is_pegged(wide)):
        peg_join(market, wide)


cdef void rest(Turn* turn, Wide* wide, u16 flags) noexcept nogil:
    """Puts an order last in its level, live from now on; the flags are of the change."""
    cdef Market* market = turn.market
    if not wide.live:
        enliven(turn, wide)
    market.entries += 1
    wide.entry = market.entries
    if mc_unlikely(not has_leaf(turn)):
        return
    into_book(turn, wide)
    if mc_unlikely(market.call != NULL):
        call_moved(turn, wide, wide.total)
    if mc_unlikely(turn.core.changes != NULL) and not is_hidden(wide):
        tell_of(turn, C_ADDED, flags, wide, wide.order.price, wide.order.left, wide.order.left)


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
        enliven(turn, wide)
    turn.market.entries += 1
    wide.entry = turn.market.entries
    if mc_likely(has_leaf(turn)):
        into_place(turn, wide, place)


cdef void put_back(Turn* turn, Wide* wide) noexcept nogil:
    """An order of a state, last in the place that it says; there is room for its id, and a leaf."""
    cdef u8 place = wide.place
    enliven(turn, wide)
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
    cdef u64 key
    if place == PLACE_NOWHERE:
        return
    wide.place = PLACE_NOWHERE
    if place == PLACE_BOOK:
        ladder = ladder_of(turn, wide)
        key = ladder_key(ladder, wide.order.price)
        if mc_unlikely(wide.order.left == 0):       # it was not counted any more
            level_at(ladder, key).orders += 1
        level_leave(turn.core, ladder, key, &wide.order, 0, False)
        count_in_book(market, wide, -1)
        if mc_unlikely(is_pegged(wide)):
            peg_leave(market, wide)
        if mc_unlikely(market.call != NULL):
            call_moved(turn, wide, -wide.total)
        if mc_unlikely(turn.core.changes != NULL) and shown_of(wide) != 0:
            tell_of(turn, C_DELETED, flags, wide, wide.order.price, wide.order.left, 0)
    elif place == PLACE_STOPS:
        ladder = &market.stops[wide.order.side - 1]
        level_leave(turn.core, ladder, ladder_key(ladder, wide.stop_price), &wide.order, 0, False)
    else:
        line_leave(line_of(market, place), wide)


cdef void forget(Turn* turn, Wide* wide) noexcept nogil:
    """An order that is nowhere is gone: its slot is free."""
    cdef Core* core = turn.core
    if wide.live:
        if mc_unlikely(wide.flags & QUOTED):
            quote_left(turn, wide)
        ids_remove(&core.ids, &wide.order, ids_hash_of(&core.ids, &wide.order))
        if mc_unlikely(wide.order.flags & COUNTED) and core.limits != NULL:
            limits_count(core.limits, &wide.order, -1)
        turn.book.orders -= 1
        turn.market.open_quantity[wide.order.side - 1] -= wide.total
    wide.order.instrument = 0
    slots_give(&turn.all.wides, wide)


cdef void resize(Turn* turn, Wide* wide, i64 total) noexcept nogil:
    """Another open quantity for an order that is nowhere, or outside the book; nothing is told."""
    cdef Level* level
    cdef Ladder* ladder
    cdef i64 before = wide.order.left
    if wide.live:
        turn.market.open_quantity[wide.order.side - 1] += total - wide.total
    wide.total = total
    show(wide)
    if wide.place == PLACE_STOPS:
        ladder = &turn.market.stops[wide.order.side - 1]
        level = level_at(ladder, ladder_key(ladder, wide.stop_price))
        level.quantity += wide.order.left - before


cdef void cancel(Turn* turn, Wide* wide, u8 reason) noexcept nogil:
    """Cancels a live order, wherever it is."""
    lift(turn, wide, 0)
    cancelled(turn, wide, reason)
    touch(turn, wide)
    forget(turn, wide)


cdef void deplete(Turn* turn, Wide* wide, i64 quantity) noexcept nogil:
    """So much less of an order that is nowhere, without a trade."""
    wide.total -= quantity
    if wide.live:
        turn.market.open_quantity[wide.order.side - 1] -= quantity


cdef void touch(Turn* turn, const Wide* wide) noexcept nogil:
    """The other order of its pair, if it has one, is to go."""
    cdef Markets* all = turn.all
    cdef size_t i
    cdef void* grown
    if mc_likely(wide.link == 0):
        return
    for i in range(all.touched_count):
        if all.touched[i].order_id == wide.order.order_id:
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
    if mc_unlikely(is_pegged(wide)):
        peg_leave(turn.market, wide)


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
    event = say_of(turn, TRADED, R_NONE, maker, quantity, maker.total)
    event.price = price
    event.taker_order_id = taker.order.order_id
    event.taker_account = taker.order.account
    event.taker_left = taker.total
    event.trade_id = core.next_trade_id
    core.next_trade_id += 1
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
        forget(turn, maker)


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
    show(wide)
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


# ---------------------------------------------------------------------- looking at the book

cdef Wide* first_of(Market* market, u8 side, i64 price) noexcept nogil:
    """The order at a price whose turn it is: shown ones come first; NULL: nobody is there."""
    cdef Ladder* ladder = &market.book.sides[side - 1]
    cdef u64 key = ladder_key(ladder, price)
    cdef Level* level = level_at(ladder, key)
    if level != NULL and level.head != NULL:
        return <Wide*>level.head
    level = level_at(&market.dark[side - 1], key)
    return <Wide*>level.head if level != NULL else NULL


cdef bint has_reference(Turn* turn, u8 side, i64* price) noexcept nogil:
    """The best price of a side that pegs and the cage go by: shown, and no peg itself."""
    cdef Ladder* ladder = &turn.book.sides[side - 1]
    cdef const Order* order
    cdef u64 key
    if ladder.levels == 0:
        return False
    key = ladder.best
    if mc_likely(key != 0 and turn.market.pegs_count == 0):
        price[0] = ladder_price(ladder, key)
        return True
    key = 1 if key == 0 else key        # at 0 are the orders at any price
    while ladder_from(ladder, key, &key):
        order = level_at(ladder, key).head
        while order != NULL:
            if not is_pegged(<const Wide*>order):
                price[0] = ladder_price(ladder, key)
                return True
            order = order.next
        if key == ~<u64>0:
            break
        key += 1
    return False


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
