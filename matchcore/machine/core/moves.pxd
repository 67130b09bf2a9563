# The moves of a market's orders, inline for where they are made often: into the book, out of it, gone.
# `_turn.pyx` has the same out of line, and the other places.
from ..._book cimport Core, Events
from .._auction cimport call_moved
from .._quotes cimport quote_joined, quote_left
from .._saying cimport tell_of
from .._turn cimport lift, touch
from .ids cimport ids_hash_of, ids_put, ids_remove
from .ladder cimport Ladder, ladder_key
from .limits cimport COUNTED, limits_count
from .market cimport *
from .pool cimport Level, pool_has, pool_ready, slots_give, slots_take
from .records cimport *
from .resting cimport level_at, level_join, level_leave
from .saying cimport said_of

cdef inline void begin_turn(Turn* turn, Markets* all, Core* core, Market* market, i64 time,
                            Events* events) noexcept nogil:
    """A command begins; time 0: that of the call."""
    turn.all = all
    turn.core = core
    turn.market = market
    turn.book = market.book
    turn.events = events
    turn.time = time if time != 0 else core.now
    turn.traded = False
    turn.stop = R_NONE
    turn.pause = 0
    all.touched_count = all.pulled_count = 0


cdef inline Wide* fresh_here(Turn* turn) noexcept nogil:
    """An order that is nowhere yet; there is a slot."""
    cdef Wide* wide = <Wide*>slots_take(&turn.all.wides)
    # field by field: what is written anew behind it is written once
    wide.order.order_id = wide.order.client_order_id = wide.order.account = 0
    wide.order.price = wide.order.left = 0
    wide.order.side = wide.order.time_in_force = wide.order.flags = wide.order.place = 0
    wide.total = wide.filled = wide.display = wide.stop_price = wide.limit = wide.expiry = 0
    wide.entry = wide.link = 0
    wide.session = 0
    wide.flags = 0
    wide.order_type = wide.self_trade = wide.live = wide.touched = 0
    wide.place = PLACE_NOWHERE
    wide.order.instrument = turn.book.instrument
    return wide


cdef inline void show_here(Wide* wide) noexcept nogil:
    """Shows what may be shown of what is open."""
    wide.order.left = wide.total
    if mc_unlikely(wide.display != 0) and wide.display < wide.total and not is_hidden(wide):
        wide.order.left = wide.display


cdef inline void enliven(Turn* turn, Wide* wide, u32 hash) noexcept nogil:
    """The order is live from now on: the command has made room in the id table."""
    cdef Core* core = turn.core
    wide.live = 1
    if mc_unlikely(core.limits != NULL):
        limits_count(core.limits, &wide.order, 1)
    ids_put(&core.ids, &wide.order, hash)
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


cdef inline void lit_join(Market* market, const Wide* wide, u64 key) noexcept nogil:
    """A shown order that is no peg has come; at key 0 are the orders at any price."""
    cdef Lit* lit = &market.lit[wide.order.side - 1]
    if key != 0 and key <= lit.key:
        lit.key = key
        lit.exact = True


cdef inline void lit_leave(Market* market, const Wide* wide, const Level* level, u64 key,
                           i64 counted) noexcept nogil:
    """A shown order that is no peg goes from its level, which still counts it: 1, or does not: 0."""
    cdef Lit* lit = &market.lit[wide.order.side - 1]
    if key == lit.key and orders_of_level(level) - pegs_of(level) <= counted:
        lit.exact = False


cdef inline void peg_join(Market* market, Wide* wide) noexcept nogil:
    cdef Pegs* pegs = &market.pegs[followed_by(wide)]
    wide.after = NULL
    wide.before = pegs.tail
    if pegs.tail != NULL:
        pegs.tail.after = wide
    else:
        pegs.head = wide
    pegs.tail = wide
    if market.pegs_count == 0:
        market.pegs_stale = True    # the best prices have moved unseen while there were none
        market.lit[0].key = market.lit[1].key = 1
        market.lit[0].exact = market.lit[1].exact = False
    market.pegs_count += 1


cdef inline void peg_leave(Market* market, Wide* wide) noexcept nogil:
    cdef Pegs* pegs = &market.pegs[followed_by(wide)]
    if wide.before != NULL:
        wide.before.after = wide.after
    else:
        pegs.head = wide.after
    if wide.after != NULL:
        wide.after.before = wide.before
    else:
        pegs.tail = wide.before
    market.pegs_count -= 1


cdef inline void leave_pegs(Market* market, Wide* wide, Level* level, u64 key,
                            i64 counted) noexcept nogil:
    """What an order that leaves its level, which counts it or not, means to pegs, itself or others."""
    if is_pegged(wide):
        if not is_hidden(wide):
            count_peg(level, -1)
        peg_leave(market, wide)
    elif not is_hidden(wide):
        lit_leave(market, wide, level, key, counted)


cdef inline void into_book(Turn* turn, Wide* wide) noexcept nogil:
    """Last in its level; there is a leaf."""
    cdef Market* market = turn.market
    cdef Ladder* ladder = ladder_of(turn, wide)
    cdef u64 key = ladder_key(ladder, wide.order.price)
    wide.place = PLACE_BOOK
    level_join(turn.core, ladder, key, &wide.order, 0, False)
    count_in_book(market, wide, 1)
    if mc_unlikely(is_pegged(wide)):
        peg_join(market, wide)
        if not is_hidden(wide):
            count_peg(level_at(ladder, key), 1)
    elif mc_unlikely(market.pegs_count) and not is_hidden(wide):
        lit_join(market, wide, key)


cdef inline void rest_here(Turn* turn, Wide* wide, u16 flags, u32 hash) noexcept nogil:
    """Puts an order last in its level, live from now on; the flags are of the change."""
    cdef Market* market = turn.market
    if not wide.live:
        enliven(turn, wide, hash)
    market.entries += 1
    wide.entry = market.entries
    if mc_unlikely(not has_leaf(turn)):
        return
    into_book(turn, wide)
    if mc_unlikely(market.call != NULL):
        call_moved(turn, wide, wide.total)
    if mc_unlikely(turn.core.changes != NULL) and not is_hidden(wide):
        tell_of(turn, C_ADDED, flags, wide, wide.order.price, wide.order.left, wide.order.left)


cdef inline void out_of_book(Turn* turn, Wide* wide, u16 flags) noexcept nogil:
    """Takes an order out of the book; the flags are of the change."""
    cdef Market* market = turn.market
    cdef Ladder* ladder = ladder_of(turn, wide)
    cdef u64 key = ladder_key(ladder, wide.order.price)
    wide.place = PLACE_NOWHERE
    if mc_unlikely(wide.order.left == 0):       # it was not counted any more
        level_at(ladder, key).orders += 1
    if mc_unlikely(market.pegs_count):
        leave_pegs(market, wide, level_at(ladder, key), key, 1)
    level_leave(turn.core, ladder, key, &wide.order, 0, False)
    count_in_book(market, wide, -1)
    if mc_unlikely(market.call != NULL):
        call_moved(turn, wide, -wide.total)
    if mc_unlikely(turn.core.changes != NULL) and shown_of(wide) != 0:
        tell_of(turn, C_DELETED, flags, wide, wide.order.price, wide.order.left, 0)


cdef inline void forget_here(Turn* turn, Wide* wide, u32 hash) noexcept nogil:
    """An order that is nowhere is gone: its slot is free."""
    cdef Core* core = turn.core
    if wide.live:
        if mc_unlikely(wide.flags & QUOTED):
            quote_left(turn, wide)
        ids_remove(&core.ids, &wide.order, hash)
        if mc_unlikely(wide.order.flags & COUNTED) and core.limits != NULL:
            limits_count(core.limits, &wide.order, -1)
        turn.book.orders -= 1
        turn.market.open_quantity[wide.order.side - 1] -= wide.total
    wide.order.instrument = 0
    slots_give(&turn.all.wides, wide)


cdef inline void cancel_here(Turn* turn, Wide* wide, u8 reason, u32 hash) noexcept nogil:
    """Cancels a live order, wherever it is."""
    if mc_likely(wide.place == PLACE_BOOK):
        out_of_book(turn, wide, 0)
    else:
        lift(turn, wide, 0)
    said_of(turn, CANCELLED, reason, wide, wide.total, 0)
    if mc_unlikely(wide.link != 0):
        touch(turn, wide)
    forget_here(turn, wide, hash)
