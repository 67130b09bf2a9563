# The price of a call, from its tally: largest volume, then smallest imbalance, then the market's rule.
#
# The limits of orders count, and all prices on a tick from the lowest of them, or the reference, to
# the highest.  Below the cross more is bid than offered, above it less.  Three spans matter: the last
# prices with more, the first with less, and those in between where nothing is left over.
from .market cimport AUCTION_RULE, Market, greatest, least
from .prices cimport ceil_tick, floor_tick
from .records cimport A_SSE, A_SZSE, M_AUCTION, i64, u32, u64
from .tally cimport (Call, Cross, Open, tally_after, tally_key, tally_last, tally_next, tally_price,
                     tally_seek, tally_under, widen)

cdef struct Span:           # prices with one volume and imbalance
    bint there
    i64 low
    i64 high
    i64 imbalance
    i64 sells               # bid or not

cdef struct Search:         # for the price of a call
    Market* market
    Call* call
    const i64* reference    # NULL: there is none
    bint bounded            # least and most are known
    i64 least
    i64 most
    Span more               # more bid than offered: `high` is known, `low` when it matters
    Span even
    Span less               # `low` is known, `high` when it matters

cdef inline i64 volume_of(const Span* span) noexcept nogil:
    return span.sells if span.imbalance >= 0 else span.sells + span.imbalance

cdef inline i64 tick_above(const Market* market, i64 price) noexcept nogil:
    return ceil_tick(market, price + 1)

cdef inline i64 tick_below(const Market* market, i64 price) noexcept nogil:
    return floor_tick(market, price - 1)


# ---------------------------------------------------------------------- the bounds

cdef inline void search_bound(Search* search) noexcept nogil:
    """The least and the most that the price may be; none when the least is more."""
    cdef Open first = tally_next(search.call, 0)
    cdef i64 low = tally_price(~<u64>0), high = tally_price(0)
    search.bounded = True
    widen(search.call, 0, ~<u64>0)      # any change may move them
    if first.open != NULL:
        low = tally_price(first.key)
        high = tally_price(tally_last(search.call, ~<u64>0).key)
    if search.reference != NULL:        # which itself may be on no tick
        low = least(low, ceil_tick(search.market, search.reference[0]))
        high = greatest(high, floor_tick(search.market, search.reference[0]))
    search.least = low
    search.most = high

cdef inline i64 least_of(Search* search) noexcept nogil:
    if not search.bounded:
        search_bound(search)
    return search.least

cdef inline i64 most_of(Search* search) noexcept nogil:
    if not search.bounded:
        search_bound(search)
    return search.most


# ---------------------------------------------------------------------- the spans

cdef inline void span_set(Span* span, i64 low, i64 high, i64 imbalance, i64 sells) noexcept nogil:
    span.there = True
    span.low = low
    span.high = high
    span.imbalance = imbalance
    span.sells = sells

cdef inline void find_more(Search* search, const Open* above) noexcept nogil:
    """The highest price with more bid than offered; the gap of the cursor is one."""
    cdef Call* call = search.call
    cdef i64 sells = call.any[1] + call.below
    cdef i64 price, left
    cdef const Open* under
    if above.open != NULL and call.gap - above.open[1] > 0:
        price = tally_price(above.key)
        span_set(&search.more, price, price, call.gap - above.open[1], sells + above.open[1])
        return
    price = tick_below(search.market, tally_price(above.key)) if above.open != NULL else most_of(search)
    left = call.gap
    under = tally_under(call)
    if under.open != NULL and tally_price(under.key) >= price:      # nothing lies between them
        price = tally_price(under.key)
        left += under.open[0]
    elif under.open == NULL and price < least_of(search):
        return
    span_set(&search.more, price, price, left, sells)

cdef inline void find_rest(Search* search, i64 gap, i64 sells, i64 low, const Open* above) noexcept nogil:
    """The prices with as much bid as offered, or else the lowest one with less.

    `gap`, not above zero, is of the prices from `low` to the next one `above`, if there are any.
    """
    cdef i64 price = tally_price(above.key) if above.open != NULL else 0
    cdef i64 high
    if gap == 0:
        if above.open == NULL:
            high = most_of(search)
        else:
            high = tick_below(search.market, price) if above.open[1] else price
        if low <= high:
            span_set(&search.even, low, high, 0, sells)
            return
    elif low < price if above.open != NULL else low <= most_of(search):
        span_set(&search.less, low, low, gap, sells)
        return
    if above.open != NULL:
        span_set(&search.less, price, price, gap - above.open[1], sells + above.open[1])

cdef inline void find_spans(Search* search) noexcept nogil:
    cdef Call* call = search.call
    cdef const Open* above = tally_seek(call)
    cdef const Open* after
    cdef i64 sells = call.any[1] + call.below
    cdef i64 price, left
    if call.gap <= 0:           # at all prices, as none lies below the cursor
        find_rest(search, call.gap, sells, least_of(search), above)
        return
    find_more(search, above)
    if above.open == NULL:
        return
    price = tally_price(above.key)
    sells += above.open[1]
    left = call.gap - above.open[1]
    if left < 0:
        span_set(&search.less, price, price, left, sells)
        return
    after = tally_after(call)
    if left > 0:
        find_rest(search, left - above.open[0], sells, tick_above(search.market, price), after)
        return
    if above.open[0] == 0:
        find_rest(search, 0, sells, price, after)
    if not search.even.there:       # as far as that price, at least
        span_set(&search.even, price, price, 0, sells)

cdef inline void find_low(Search* search) noexcept nogil:
    """How far down the prices with more reach."""
    cdef Span* span = &search.more
    cdef u64 key = tally_key(span.high)
    cdef Open here = tally_last(search.call, key)
    if here.open != NULL and here.key == key:
        if here.open[1] != 0:
            return
        here = tally_last(search.call, key - 1)
    widen(search.call, here.key if here.open != NULL else 0, key)
    if here.open == NULL:
        span.low = least_of(search)
        return
    span.low = tally_price(here.key)
    if here.open[0] != 0:
        span.low = least(tick_above(search.market, span.low), span.high)

cdef inline void find_high(Search* search) noexcept nogil:
    """How far up the prices with less reach."""
    cdef Span* span = &search.less
    cdef u64 key = tally_key(span.low)
    cdef Open here = tally_next(search.call, key - 1)
    if here.open != NULL and here.key == key:
        if here.open[0] != 0:
            return
        here = tally_next(search.call, key)
    widen(search.call, key, here.key if here.open != NULL else ~<u64>0)
    if here.open == NULL:
        span.high = most_of(search)
        return
    span.high = tally_price(here.key)
    if here.open[1] != 0:
        span.high = greatest(tick_below(search.market, span.high), span.low)


# ---------------------------------------------------------------------- the price

cdef inline i64 closest_to(const Market* market, i64 low, i64 high, i64 twice) noexcept nogil:
    """The price of a range that is closest to the half of a number, the higher one of two."""
    cdef i64 half = twice >> 1
    cdef i64 below = greatest(floor_tick(market, half), low)
    cdef i64 above = least(ceil_tick(market, half + (twice & 1)), high)
    return below if twice - 2 * below < 2 * above - twice else above

cdef inline i64 chosen(Search* search, bint is_more, bint is_less) noexcept nogil:
    """One of the prices that nothing but the rule of the market tells apart."""
    cdef i64 rule = search.market.value[<u32>M_AUCTION][<u32>AUCTION_RULE]
    cdef i64 low, high
    if rule != A_SZSE and is_more != is_less:
        return search.more.high if is_more else search.less.low
    if is_more or is_less:
        if is_more:
            find_low(search)
        if is_less:
            find_high(search)
        low = search.more.low if is_more else search.less.low
        high = search.less.high if is_less else search.more.high
    else:
        low = search.even.low
        high = search.even.high
    if rule == A_SSE or search.reference == NULL:
        return closest_to(search.market, low, high, low + high)
    return closest_to(search.market, low, high, 2 * least(greatest(search.reference[0], low), high))

cdef inline bint find_anew(Search* search, Cross* cross) noexcept nogil:
    """The price of the call; false if nothing would trade."""
    cdef const Span* span = &search.even
    cdef i64 more = -1, less = -1
    cdef bint is_more = False, is_less = False
    find_spans(search)
    if not search.even.there:
        if search.more.there:
            more = volume_of(&search.more)
        if search.less.there:
            less = volume_of(&search.less)
        if more <= 0 and less <= 0:
            return False
        is_more = more > less or (more == less and search.more.imbalance <= -search.less.imbalance)
        is_less = less > more or (more == less and search.more.imbalance >= -search.less.imbalance)
        span = &search.more if is_more else &search.less
    cross.quantity = volume_of(span)
    if cross.quantity == 0:
        return False
    cross.price = chosen(search, is_more, is_less)
    if is_more and is_less and cross.price > search.more.high:
        span = &search.less
    cross.imbalance = span.imbalance
    return True

cdef inline bint find_cross(Market* market, Call* call, const i64* reference, Cross* cross) noexcept nogil:
    """The price of the call; false if nothing would trade.

    The same as before when nothing that it depends on has changed: most orders of a call are far
    from it.
    """
    cdef Search search
    cdef i64 rule = market.value[<u32>M_AUCTION][<u32>AUCTION_RULE]
    if not (call.same and call.rule == rule and call.has_reference == (reference != NULL)
            and (reference == NULL or call.reference == reference[0])):
        search.market = market
        search.call = call
        search.reference = reference
        search.bounded = search.more.there = search.even.there = search.less.there = False
        call.found = find_anew(&search, &call.cross)
        call.rule = rule
        call.has_reference = reference != NULL
        if reference != NULL:
            call.reference = reference[0]
        call.same = True
    cross[0] = call.cross
    return call.found
