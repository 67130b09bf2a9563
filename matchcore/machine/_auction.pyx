"""A call: the single price, what it is by the rule of the venue, and the trades at it.

While orders are collected `Market.call` has the sums that the price follows from (core/tally.pxd);
it is made when it is first asked for, and follows every order that comes into the book or goes.
"""
from libc.stdlib cimport calloc, free

from ._cross cimport search_cross
from ._places cimport first_of
from ._saying cimport say, tell
from ._turn cimport cancel, refresh, trade
from .core.ids cimport ids_hash_of, ids_prefetch
from .core.ladder cimport Ladder, ladder_from, ladder_price
from .core.market cimport *
from .core.pages cimport Arena
from .core.pool cimport Order, slots_drop, slots_init
from .core.records cimport *
from .core.resting cimport level_at
from .core.tally cimport (Call, Cross, Open, Question, Stalk, Sums, is_answered, tally_add, tally_key,
                          tally_next, tally_price)

cdef Arena NO_ARENA     # what a call takes it gives back at the end of it: not to an arena


# ---------------------------------------------------------------------- the sums of a call

cdef inline bint call_add(Call* call, u32 side, i64 price, i64 change) noexcept nogil:
    """So much more is open on a side, 0 or 1, at a price; false without memory."""
    if mc_unlikely(at_any(price)):
        call.any[side] += change
        call.gap += -change if side else change
        call.same = False
        return True
    return tally_add(call, side, tally_key(price), change)


cdef inline i64 open_at(const Market* market, const Ladder* ladder, u64 key) noexcept nogil:
    """All that is open in a level, with what icebergs do not show."""
    cdef const Order* order
    cdef i64 total = 0
    if mc_likely(market.icebergs == 0):
        return level_at(<Ladder*>ladder, key).quantity
    order = level_at(<Ladder*>ladder, key).head
    while order != NULL:
        total += (<const Wide*>order).total
        order = order.next
    return total


cdef inline bint call_fill(Market* market, Call* call, u32 side, Ladder* ladder) noexcept nogil:
    """Counts the orders of a ladder; false without memory."""
    cdef u64 key = 0
    while ladder_from(ladder, key, &key):
        if not call_add(call, side, ladder_price(ladder, key), open_at(market, ladder, key)):
            return False
        if key == ~<u64>0:
            break
        key += 1
    return True


cdef bint call_make(Turn* turn) noexcept nogil:
    """Makes `Market.call` of the orders in the book; false without memory: the machine is lost."""
    cdef Market* market = turn.market
    cdef Call* call = <Call*>calloc(1, sizeof(Call))
    cdef u32 side
    if call == NULL:
        turn.all.lost = True
        return False
    market.call = call
    slots_init(&call.leaves, &NO_ARENA, sizeof(Sums), 2)
    slots_init(&call.stalks, &NO_ARENA, sizeof(Stalk), 1)
    for side in range(2):
        if (not call_fill(market, call, side, &market.book.sides[side])
                or not call_fill(market, call, side, &market.dark[side])):
            call_lose(turn)
            return False
    return True


cdef void call_lose(Turn* turn) noexcept nogil:
    turn.all.lost = True
    call_drop(turn.market)


cdef void call_moved(Turn* turn, const Wide* wide, i64 change) noexcept nogil:
    """So much more is open in the book at the price of an order; only while market.call is not NULL."""
    if not call_add(<Call*>turn.market.call, wide.order.side - 1, wide.order.price, change):
        call_lose(turn)


cdef void call_drop(Market* market) noexcept nogil:
    """Gives the memory of market.call back; it is made anew when it is asked for."""
    cdef Call* call = <Call*>market.call
    if call == NULL:
        return
    slots_drop(&call.leaves)
    slots_drop(&call.stalks)
    free(call)
    market.call = NULL


cdef int call_check(Market* market) except -1:
    """Asserts that the sums of a call are those of the orders in the book."""
    cdef Call* call = <Call*>market.call
    cdef Open found
    cdef i64 gap
    if call == NULL:
        return 0
    at_any_price, at_limits = [0, 0], {}
    for side in range(2):
        count_open(&market.book.sides[<int>side], side, at_any_price, at_limits)
        count_open(&market.dark[<int>side], side, at_any_price, at_limits)
    kept, found = {}, tally_next(call, 0)
    while found.open != NULL:
        kept[tally_price(found.key)] = [found.open[0], found.open[1]]
        found = tally_next(call, found.key)
    assert kept == at_limits, f"a call of {kept} over a book of {at_limits}"
    assert [call.any[0], call.any[1]] == at_any_price, f"at any price {at_any_price}"
    assert [call.limit[0], call.limit[1]] == [sum(one[side] for one in kept.values()) for side in range(2)]
    under = {price: one for price, one in kept.items() if tally_key(price) <= call.at}
    assert call.below == sum(one[1] for one in under.values()), f"sells below: {call.below}"
    gap = call.any[0] - call.any[1] + call.limit[0] - sum(one[0] for one in under.values()) - call.below
    assert call.gap == gap, f"a gap of {call.gap} that is {gap}"
    return 0


cdef int count_open(Ladder* ladder, int side, list at_any_price, dict at_limits) except -1:
    """Adds what is open in a ladder."""
    cdef const Order* order
    cdef u64 key = 0
    while ladder_from(ladder, key, &key):
        order = level_at(ladder, key).head
        while order != NULL:
            sums = at_any_price if at_any(order.price) else at_limits.setdefault(order.price, [0, 0])
            sums[side] += (<const Wide*>order).total
            order = order.next
        if key == ~<u64>0:
            break
        key += 1
    return 0


# ---------------------------------------------------------------------- the price

cdef inline Question question_of(Turn* turn) noexcept nogil:
    """What the price depends on beside the orders.

    The reference: of an opening call the previous close, of others the last trade; else the other.
    """
    cdef const mc_last* last = &turn.core.lasts[turn.book.instrument - 1]
    cdef Question question
    question.rule = turn.market.value[<u32>M_AUCTION][<u32>AUCTION_RULE]
    question.reference = turn.market.value[<u32>M_DAY][<u32>DAY_PREVIOUS_CLOSE]
    question.has_reference = question.reference != 0 and not turn.market.known & KNOWN_OPEN
    if not question.has_reference:
        question.has_reference = last.traded != 0
        question.reference = last.price
    return question


cdef inline bint cross_now(Turn* turn, Cross* cross) noexcept nogil:
    """The price of the call as it is now; false if nothing would trade."""
    cdef Question question = question_of(turn)
    cdef Call* call = <Call*>turn.market.call
    if mc_unlikely(call == NULL):
        if not call_make(turn):
            return False
        call = <Call*>turn.market.call
    if not is_answered(call, &question):
        search_cross(turn.market, call, &question)
    cross[0] = call.cross
    return call.found


cdef void publish(Turn* turn) noexcept nogil:
    """Tells the indicative price if it has changed, and not too soon after the last one."""
    cdef Market* market = turn.market
    cdef i64 interval = market.value[<u32>M_AUCTION][<u32>AUCTION_INTERVAL]
    cdef bint told = market.known & KNOWN_INDICATIVE
    cdef Cross cross
    cdef mc_event* event
    cdef mc_change* change
    if not has(CALL_PHASES, market.phase) or interval < 0:
        return
    if told and interval and (turn.time < market.indicative_time
                              or <u64>turn.time - <u64>market.indicative_time < <u64>interval):
        return
    if not cross_now(turn, &cross):
        cross.price = cross.quantity = cross.imbalance = 0
    if (told and cross.price == market.indicative_price
            and cross.quantity == market.indicative_quantity
            and cross.imbalance == market.indicative_imbalance):
        return
    market.known |= KNOWN_INDICATIVE
    market.indicative_price = cross.price
    market.indicative_quantity = cross.quantity
    market.indicative_imbalance = cross.imbalance
    market.indicative_time = turn.time
    event = say(turn, INDICATIVE)
    event.price = cross.price
    event.quantity = cross.quantity
    event.left = cross.imbalance
    change = tell(turn, C_INDICATIVE)
    if change != NULL:
        change.price = cross.price
        change.quantity = cross.quantity
        change.left = cross.imbalance if cross.imbalance >= 0 else -cross.imbalance
        change.side = 0 if cross.imbalance == 0 else BUY if cross.imbalance > 0 else SELL
        change.level_orders = market.phase


# ---------------------------------------------------------------------- the trades

cdef inline bint is_crossed(const Market* market) noexcept nogil:
    """True if the best prices meet: else nothing can trade."""
    cdef i64 bid = 0, ask = 0
    return has_best(market, BUY, &bid) and has_best(market, SELL, &ask) and bid >= ask


cdef inline Wide* first_in_turn(Market* market, u8 side) noexcept nogil:
    cdef i64 price = 0
    return first_of(market, side, price) if has_best(market, side, &price) else NULL


cdef inline void look_ahead(Turn* turn, const Wide* wide) noexcept nogil:
    """Asks for the next orders of a level: they lie anywhere in memory, as do their ids."""
    cdef const Order* after = wide.order.next
    if after == NULL:
        return
    ids_prefetch(&turn.core.ids, ids_hash_of(&turn.core.ids, after))
    after = after.next
    if after != NULL:
        mc_prefetch(after)
        mc_prefetch(<const char*>after + 64)
        mc_prefetch(<const char*>after + 128)


cdef bint uncross(Turn* turn, Cross* cross) noexcept nogil:
    """Trades all that the auction allows at its price; ends the orders that were for it."""
    cdef Market* market = turn.market
    cdef Wide* buy = NULL
    cdef Wide* sell = NULL
    cdef i64 left, quantity
    cdef bint buy_goes = True, sell_goes = True
    cdef bint crossed = is_crossed(market) and cross_now(turn, cross)
    call_drop(market)
    if crossed:
        left = cross.quantity
        while left and not turn.all.lost:
            if buy_goes:
                buy = first_in_turn(market, BUY)
                look_ahead(turn, buy)
            if sell_goes:
                sell = first_in_turn(market, SELL)
                look_ahead(turn, sell)
            quantity = least(left, least(buy.total, sell.total))
            left -= quantity
            buy_goes = quantity == buy.total
            sell_goes = quantity == sell.total
            trade(turn, buy, sell, quantity, cross.price)
        market.auction_price = cross.price
        market.known |= KNOWN_AUCTION
    # nobody but the last two may have sold all it shows
    end_call_orders(turn, NULL if buy_goes else buy, NULL if sell_goes else sell)
    forget_indicative(market)
    return crossed


cdef inline void end_at(Turn* turn, Ladder* ladder, u64 key, Wide** partial) noexcept nogil:
    """`end_call_orders` of a level."""
    cdef const Order* order = level_at(ladder, key).head
    cdef Wide* wide
    while order != NULL:
        wide = <Wide*>order
        order = order.next
        if has(AUCTION_TIFS, wide.order.time_in_force):
            cancel(turn, wide, R_AUCTION_OVER)
        elif wide.order_type == MARKET:
            cancel(turn, wide, R_MARKET_REMAINDER)
        elif wide == partial[0]:
            refresh(turn, wide)
        else:
            continue
        if wide == partial[0]:
            partial[0] = NULL


cdef void end_call_orders(Turn* turn, Wide* buy, Wide* sell) noexcept nogil:
    """The orders that were for the auction end; the next parts of those two, if any, are shown.

    In the order of the book, as far as there are such orders.
    """
    cdef Market* market = turn.market
    cdef Wide* partial[2]
    cdef u64 key, key_lit = 0, key_dark = 0
    cdef bint is_lit, is_dark
    cdef u32 side
    partial[0] = buy
    partial[1] = sell
    for side in range(2):
        key = 0
        while market.for_call[side]:
            is_lit = ladder_from(&market.book.sides[side], key, &key_lit)
            is_dark = ladder_from(&market.dark[side], key, &key_dark)
            if not is_lit and not is_dark:
                break
            key = key_lit if is_lit and (not is_dark or key_lit < key_dark) else key_dark
            if is_lit and key_lit == key:
                end_at(turn, &market.book.sides[side], key, &partial[side])
            if is_dark and key_dark == key:
                end_at(turn, &market.dark[side], key, &partial[side])
            if key == ~<u64>0:
                break
            key += 1
        if partial[side] != NULL:
            refresh(turn, partial[side])


cdef void forget_indicative(Market* market) noexcept nogil:
    """Nothing has been told of a call, or of this one not yet."""
    market.known &= <u8>~KNOWN_INDICATIVE
    market.indicative_price = market.indicative_quantity = 0
    market.indicative_imbalance = market.indicative_time = 0


# ---------------------------------------------------------------------- interruptions

cdef inline bint is_beyond(i64 price, i64 reference, i64 part) noexcept nogil:
    if part == 0 or reference <= 0:
        return False
    return (price - reference if price > reference else reference - price) * PART > part * reference


cdef bint is_volatile(Turn* turn, i64 price, bint traded, i64 last) noexcept nogil:
    """True if a trade at this price, behind one at `last`, would be outside a range."""
    cdef const Market* market = turn.market
    cdef const i64* value = market.value[<u32>M_VOLATILITY]
    cdef i64 reference
    if market.phase != PHASE_CONTINUOUS or value[<u32>VOLATILITY_STATIC] | value[<u32>VOLATILITY_DYNAMIC] == 0:
        return False
    reference = market.value[<u32>M_DAY][<u32>DAY_REFERENCE]
    if market.known & KNOWN_AUCTION:
        reference = market.auction_price
    return (is_beyond(price, reference, value[<u32>VOLATILITY_STATIC])
            or (traded and is_beyond(price, last, value[<u32>VOLATILITY_DYNAMIC])))


cdef u8 halt_steps(const Turn* turn, i64 price, bint started, i64 start) noexcept nogil:
    """The bits of `Market.halts` of the steps that a price is at or beyond; not started: none."""
    cdef const i64* value = turn.market.value[<u32>M_HALTS]
    cdef i64 away
    cdef u8 reached = 0
    if value[<u32>HALTS_FIRST] == 0 or turn.market.phase != PHASE_CONTINUOUS or not started or start <= 0:
        return 0
    away = (price - start if price > start else start - price) * PART
    if away >= value[<u32>HALTS_FIRST] * start:
        reached = 1
    if value[<u32>HALTS_SECOND] and away >= value[<u32>HALTS_SECOND] * start:
        reached |= 2
    return reached if price > start else reached << 2


cdef bint reaches_halt(Turn* turn, i64 price) noexcept nogil:
    """True if a trade at this price is the first of the day at a step from its open."""
    cdef Market* market = turn.market
    cdef u8 reached = halt_steps(turn, price, market.known & KNOWN_OPEN, market.open_price)
    cdef bint new = reached & ~market.halts
    market.halts |= reached
    return new
