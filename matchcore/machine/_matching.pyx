"""An order against the book of a market: who trades how much, in which order."""
from libc.stdlib cimport realloc

from ._auction cimport halt_steps, is_volatile, reaches_halt
from ._places cimport first_of
from ._quotes cimport group_of
from ._saying cimport cancelled, say_of
from ._turn cimport cancel, deplete, lessen, refresh, touch, trade
from .core.ladder cimport Ladder, ladder_from, ladder_key, ladder_price
from .core.market cimport *
from .core.pool cimport Level, Order
from .core.records cimport *
from .core.resting cimport level_at


cdef enum:
    STOPPING_MODES = 1 << SELF_CANCEL_NEWEST | 1 << SELF_CANCEL_BOTH | 1 << SELF_DECREMENT


cdef inline void interrupt(Turn* turn, u32 parameter, u32 duration) noexcept nogil:
    turn.stop = R_VOLATILITY
    turn.pause = turn.market.value[parameter][duration]


cdef void take(Turn* turn, Wide* taker, bint limited, i64 limit, i64 levels) noexcept nogil:
    """Trades up to a limit (not limited: any), and through so many levels.

    Behind it `turn.stop` says whether trading in the market is interrupted.
    """
    cdef const mc_last* last = &turn.core.lasts[turn.book.instrument - 1]
    cdef u64 trades
    cdef i64 best = 0
    while (taker.total != 0 and levels != 0 and turn.stop == R_NONE
           and book_crosses(turn.market, taker.order.side, limited, limit)):
        has_best(turn.market, 3 - taker.order.side, &best)
        if mc_unlikely(turn.market.force & FORCE_VOLATILITY) and is_volatile(
                turn, best, last.traded != 0, last.price):
            interrupt(turn, M_VOLATILITY, VOLATILITY_DURATION)
            return
        trades = turn.core.next_trade_id
        take_level(turn, taker, best)
        if turn.core.next_trade_id != trades:
            levels -= levels > 0
            if mc_unlikely(turn.market.force & FORCE_HALTS) and reaches_halt(turn, last.price):
                interrupt(turn, M_HALTS, HALTS_DURATION)


cdef inline i64 traded_price(const Turn* turn, i64 price) noexcept nogil:
    return turn.market.closing_price if turn.market.phase == PHASE_AT_CLOSING_PRICE else price


cdef void take_level(Turn* turn, Wide* taker, i64 price) noexcept nogil:
    """Trades with the orders at a price, as long as there are any."""
    cdef u8 side = 3 - taker.order.side
    cdef bint pro_rata = turn.market.force & FORCE_PRO_RATA
    cdef Wide* maker
    cdef i64 quantity
    cdef bint stays
    while taker.total != 0:
        maker = first_of(turn.market, side, price)
        if maker == NULL:
            return
        if mc_unlikely(pro_rata) and not is_hidden(maker):
            if meet_own(turn, taker, side, price):
                share(turn, taker, side, price)
        elif mc_unlikely(is_expired(turn, maker)):
            cancel(turn, maker, R_EXPIRED)
        elif mc_unlikely(taker.self_trade != 0) and same_owner(turn, taker, maker):
            meet(turn, taker, maker)
        else:
            quantity = least(taker.total, maker.order.left)
            stays = quantity != maker.total
            trade(turn, maker, taker, quantity, traded_price(turn, price))
            if stays and maker.order.left == 0:
                refresh(turn, maker)


# ---------------------------------------------------------------------- self-trades

cdef bint same_owner(Turn* turn, const Wide* one, const Wide* another) noexcept nogil:
    """Of the same account, or of accounts in the same group."""
    cdef u64 group
    if one.order.account == 0 or another.order.account == 0:
        return False
    if one.order.account == another.order.account:
        return True
    group = group_of(turn.all, one.order.account)
    return group != 0 and group == group_of(turn.all, another.order.account)


cdef void end_taker(Turn* turn, Wide* taker) noexcept nogil:
    """An order that comes in ends; what is left of it is cancelled."""
    cancelled(turn, taker, R_SELF_TRADE)
    touch(turn, taker)
    deplete(turn, taker, taker.total)


cdef void meet(Turn* turn, Wide* taker, Wide* maker) noexcept nogil:
    """An order meets one of its own owner; the mode of the one that comes in decides."""
    cdef i64 quantity
    if taker.self_trade != SELF_DECREMENT:
        if taker.self_trade != SELF_CANCEL_NEWEST:
            cancel(turn, maker, R_SELF_TRADE)
        if taker.self_trade != SELF_CANCEL_OLDEST:
            end_taker(turn, taker)
        return
    quantity = least(taker.total, maker.total)
    if maker.total == quantity:
        cancel(turn, maker, R_SELF_TRADE)
    else:
        lessen(turn, maker, maker.total - quantity)
        say_of(turn, DECREMENTED, R_NONE, maker, quantity, maker.total)
    if taker.total == quantity:
        end_taker(turn, taker)
    else:
        deplete(turn, taker, quantity)
        say_of(turn, DECREMENTED, R_NONE, taker, quantity, taker.total)


cdef bint meet_own(Turn* turn, Wide* taker, u8 side, i64 price) noexcept nogil:
    """Before a level is shared out its expired and own orders are met; false if nothing is left to share."""
    cdef Ladder* ladder = &turn.book.sides[side - 1]
    cdef u64 key = ladder_key(ladder, price)
    cdef Order* at = level_at(ladder, key).head
    cdef Wide* maker
    cdef Level* level
    while at != NULL:
        maker = <Wide*>at
        at = at.next
        if is_expired(turn, maker):
            cancel(turn, maker, R_EXPIRED)
        elif taker.self_trade != 0 and same_owner(turn, taker, maker):
            meet(turn, taker, maker)
            if taker.total == 0:
                return False
    level = level_at(ladder, key)
    return level != NULL and level.head != NULL


# ---------------------------------------------------------------------- pro rata

cdef void share(Turn* turn, Wide* taker, u8 side, i64 price) noexcept nogil:
    """Shares out what is left of an order among the shown orders of a level."""
    cdef Ladder* ladder = &turn.book.sides[side - 1]
    cdef u64 key = ladder_key(ladder, price)
    cdef Level* level = level_at(ladder, key)
    cdef size_t count = <size_t>orders_of_level(level), stay = count, i
    cdef Order* at = level.head
    cdef Wide* maker
    cdef i64 quantity
    if not has_shares(turn, level, taker.total):
        return
    for i in range(count):
        maker = <Wide*>at
        at = at.next
        quantity = turn.all.shares[i]
        if quantity != 0:
            stay -= quantity == maker.total
            trade(turn, maker, taker, quantity, traded_price(turn, price))
    level = level_at(ladder, key)
    at = level.head if level != NULL else NULL
    for i in range(stay):       # those that are shown anew go behind them
        maker = <Wide*>at
        at = at.next
        refresh(turn, maker)


cdef bint has_shares(Turn* turn, const Level* level, i64 left) noexcept nogil:
    """In `shares` what each order of a level gets: the oldest its share beforehand, all by size,
    rounded down to whole lots and to nothing below the least; what remains goes by time."""
    cdef Markets* all = turn.all
    cdef size_t count = <size_t>orders_of_level(level), i = 0
    cdef const i64* said = turn.market.value[<u32>M_ALLOCATION]
    cdef i64 lot = turn.book.lot, first = 0, rest, over, size, part
    cdef u64 total
    cdef const Order* order = level.head
    cdef void* grown
    if count > all.shares_room:
        grown = realloc(all.shares, 2 * count * sizeof(i64))
        if grown == NULL:
            all.lost = True
            return False
        all.shares = <i64*>grown
        all.shares_room = 2 * count
    if left < level.quantity:
        first = least(order.left, <i64>mc_part(<u64>left, <u64>said[ALLOCATION_TOP_SHARE], 100) // lot * lot)
    rest = over = left - first
    total = <u64>(level.quantity - first)
    while order != NULL:
        size = order.left - (first if i == 0 else 0)
        if left >= level.quantity:
            all.shares[i] = size
        else:
            part = <i64>mc_part(<u64>rest, <u64>size, total) // lot * lot
            part = part if part >= said[ALLOCATION_LEAST] else 0
            all.shares[i] = part + (first if i == 0 else 0)
            over -= part
        order = order.next
        i += 1
    if left >= level.quantity:
        return True
    order = level.head
    for i in range(count):
        part = least(over, order.left - all.shares[i])
        all.shares[i] += part
        over -= part
        order = order.next
    return True


# ---------------------------------------------------------------------- what could trade

cdef struct Counted:        # what an order would trade, as far as it was looked at
    i64 total
    i64 here                # at the level in work
    bint ends               # the order would end there


cdef void count_level(Turn* turn, const Wide* taker, const Level* level, Counted* counted) noexcept nogil:
    """Counts the orders of a level, up to an own one that would end the order."""
    cdef const Order* order = level.head if level != NULL else NULL
    cdef const Wide* maker
    cdef bint stops = in_set(STOPPING_MODES, taker.self_trade)
    while order != NULL:
        maker = <const Wide*>order
        order = order.next
        if is_expired(turn, maker):
            continue
        if taker.self_trade == 0 or not same_owner(turn, taker, maker):
            counted.here += maker.total
        elif stops:
            counted.ends = True
            return


cdef i64 count_shown(Turn* turn, const Wide* taker, const Level* level) noexcept nogil:
    """What is shown of the orders before the first own one."""
    cdef const Order* order = level.head
    cdef i64 total = 0
    while not same_owner(turn, taker, <const Wide*>order) or is_expired(turn, <const Wide*>order):
        if not is_expired(turn, <const Wide*>order):
            total += order.left
        order = order.next
    return total


cdef bint count_price(Turn* turn, const Wide* taker, i64 price, Counted* counted) noexcept nogil:
    """Counts what would trade at a price; false if the order would end there."""
    cdef Ladder* lit = &turn.book.sides[2 - taker.order.side]
    cdef Ladder* dark = &turn.market.dark[2 - taker.order.side]
    cdef u64 key = ladder_key(lit, price)
    cdef const Level* shown = level_at(lit, key)
    cdef const Level* hidden = level_at(dark, key)
    counted.here = 0
    if taker.self_trade == 0 and turn.market.expiry > turn.time and turn.market.icebergs == 0:
        counted.here += shown.quantity if shown != NULL and shown.head != NULL else 0
        counted.here += hidden.quantity if hidden != NULL and hidden.head != NULL else 0
        return True
    count_level(turn, taker, shown, counted)
    if counted.ends:        # what is not shown comes behind it; a share of the level is not given
        counted.here = 0
        if turn.market.value[<u32>M_ALLOCATION][ALLOCATION_PRO_RATA] == 0:
            counted.here = count_shown(turn, taker, shown)
        return False
    count_level(turn, taker, hidden, counted)
    return not counted.ends


cdef i64 tradeable(Turn* turn, Wide* taker, bint limited, i64 limit, i64 most, i64 levels) noexcept nogil:
    """How much of an order would trade at once, counted up to `most`.

    Counts up to the first own order that would end the order or make it smaller, and up to a price
    that would interrupt trading.
    """
    cdef Ladder* lit = &turn.book.sides[2 - taker.order.side]
    cdef Ladder* dark = &turn.market.dark[2 - taker.order.side]
    cdef bint started = turn.market.known & KNOWN_OPEN != 0
    cdef bint traded = turn.core.lasts[turn.book.instrument - 1].traded != 0
    cdef i64 start = turn.market.open_price, price
    cdef i64 last = turn.core.lasts[turn.book.instrument - 1].price
    cdef u64 key = 0, found, worst = ladder_key(lit, limit) if limited else ~<u64>0
    cdef bint goes_on = True
    cdef Counted counted
    counted.total = 0
    counted.ends = False
    while goes_on and levels != 0 and counted.total < most:
        found = ~<u64>0
        if not (ladder_from(lit, key, &found) | has_before(dark, key, &found)) or found > worst:
            break
        price = ladder_price(lit, found)
        if is_volatile(turn, price, traded, last):
            break
        goes_on = count_price(turn, taker, price, &counted)
        counted.total += counted.here
        if goes_on and counted.here != 0:
            levels -= levels > 0
            if not started:
                start = price
            started = traded = True
            last = price
            if halt_steps(turn, price, started, start) & ~turn.market.halts:
                break
        if found == ~<u64>0:
            break
        key = found + 1
    return counted.total


cdef inline bint has_before(const Ladder* ladder, u64 key, u64* found) noexcept nogil:
    """True if there is a level at or after a key; in found, if it is nearer than what is there."""
    cdef u64 mine
    if not ladder_from(ladder, key, &mine):
        return False
    if mine < found[0]:
        found[0] = mine
    return True
