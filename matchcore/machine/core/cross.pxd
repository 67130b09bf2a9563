# The price of a call, from its tally: largest volume, then smallest imbalance, then the market's rule.
#
# Prices on a tick count, from the lowest limit of an order, or the reference, to the highest.  Below
# the cross more is bid than offered, above it less.  Three spans matter: the last prices with more,
# the first with less, and those in between where nothing is left over.
from .ladder cimport Ladder, ladder_from, ladder_price, ladder_worst
from .market cimport AUCTION_RULE, Market, greatest, least
from .prices cimport ceil_tick, floor_tick
from .records cimport A_SSE, A_SZSE, M_AUCTION, i64, mc_likely, mc_unlikely, u32, u64
from .tally cimport (Call, Open, tally_key, tally_last, tally_next, tally_price, tally_seek,
                     tally_up_to)

cdef struct Cross:          # a price with what would trade at it, and buys less sells that are left over
    i64 price
    i64 quantity
    i64 imbalance

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

cdef inline void widen(Ladder* ladder, i64* low, i64* high) noexcept nogil:
    """Makes a range hold the limits of a ladder's orders."""
    cdef u64 best
    cdef i64 price
    if ladder.levels == 0 or not ladder_from(ladder, 1, &best):     # at 0 are those at any price
        return
    price = ladder_price(ladder, best)
    low[0] = least(low[0], price)
    high[0] = greatest(high[0], price)
    price = ladder_price(ladder, ladder_worst(ladder))
    low[0] = least(low[0], price)
    high[0] = greatest(high[0], price)

cdef inline void search_bound(Search* search) noexcept nogil:
    """The least and the most that the price may be; none when the least is more."""
    cdef Market* market = search.market
    cdef Open first = tally_next(search.call, 0)
    cdef i64 low = tally_price(~<u64>0), high = tally_price(0)
    cdef u32 side
    search.bounded = True
    if first.open != NULL and mc_likely(search.call.off_tick == 0):
        low = tally_price(first.key)
        high = tally_price(tally_last(search.call, ~<u64>0).key)
    elif first.open != NULL:        # what is off a tick is tallied at another price than its own
        for side in range(2):
            widen(&market.book.sides[side], &low, &high)
            widen(&market.dark[side], &low, &high)
    if search.reference != NULL:
        low = least(low, search.reference[0])
        high = greatest(high, search.reference[0])
    if low <= high:
        low = ceil_tick(market, low)
        high = floor_tick(market, high)
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
    cdef Open here
    if above.open != NULL and call.gap - above.open[1] > 0:
        price = tally_price(above.key)
        span_set(&search.more, price, price, call.gap - above.open[1], sells + above.open[1])
        return
    price = tick_below(search.market, tally_price(above.key)) if above.open != NULL else most_of(search)
    left = call.gap
    here = tally_last(call, call.at)
    if here.open != NULL and tally_price(here.key) >= price:        # nothing lies between them
        left += here.open[0]
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
    elif above.open == NULL or low < price:
        span_set(&search.less, low, low, gap, sells)
        return
    if above.open != NULL:
        span_set(&search.less, price, price, gap - above.open[1], sells + above.open[1])

cdef inline void find_spans(Search* search) noexcept nogil:
    cdef Call* call = search.call
    cdef Open above = tally_seek(call), next
    cdef i64 sells = call.any[1] + call.below
    cdef i64 price, left
    if call.gap <= 0:           # at all prices, as none lies below the cursor
        find_rest(search, call.gap, sells, least_of(search), &above)
        return
    find_more(search, &above)
    if above.open == NULL:
        return
    price = tally_price(above.key)
    sells += above.open[1]
    left = call.gap - above.open[1]
    if left < 0:
        span_set(&search.less, price, price, left, sells)
        return
    next = tally_next(call, above.key)
    if left > 0 or above.open[0] == 0:
        price = tick_above(search.market, price) if left > 0 else price
        find_rest(search, left - above.open[0], sells, price, &next)
    else:
        span_set(&search.even, price, price, 0, sells)

cdef inline void span_move(Search* search, Span* span, i64 price) noexcept nogil:
    """Sets a span at a price, by the sums up to it."""
    cdef Call* call = search.call
    cdef i64 sums[2]
    cdef i64 sells
    tally_up_to(call, tally_key(price), sums)
    sells = call.any[1] + sums[1]
    span_set(span, price, price, call.any[0] + call.limit[0] - sums[0] - sells, sells)

cdef inline void clip(Search* search) noexcept nogil:
    """Leaves of the spans what lies within the bounds."""
    cdef i64 low = least_of(search), high = most_of(search)
    if low > high:
        search.more.there = search.even.there = search.less.there = False
        return
    if search.more.there and search.more.high < low:
        search.more.there = False
    elif search.more.there and search.more.high > high:
        span_move(search, &search.more, high)
    if search.less.there and search.less.low > high:
        search.less.there = False
    elif search.less.there and search.less.low < low:
        span_move(search, &search.less, low)
    if search.even.there and search.even.high < low:
        span_move(search, &search.less, low)
    if search.even.there:
        search.even.low = greatest(search.even.low, low)
        search.even.high = least(search.even.high, high)
        search.even.there = search.even.low <= search.even.high

cdef inline void find_low(Search* search) noexcept nogil:
    """How far down the prices with more reach."""
    cdef Span* span = &search.more
    cdef u64 key = tally_key(span.high)
    cdef Open here = tally_last(search.call, key)
    if here.open != NULL and here.key == key:
        if here.open[1] != 0:
            return
        here = tally_last(search.call, key - 1)
    if here.open == NULL:
        span.low = least_of(search)
        return
    span.low = tally_price(here.key)
    if here.open[0] != 0:
        span.low = tick_above(search.market, span.low)
    if mc_unlikely(search.bounded):
        span.low = greatest(span.low, search.least)

cdef inline void find_high(Search* search) noexcept nogil:
    """How far up the prices with less reach."""
    cdef Span* span = &search.less
    cdef u64 key = tally_key(span.low)
    cdef Open here = tally_next(search.call, key - 1)
    if here.open != NULL and here.key == key:
        if here.open[0] != 0:
            return
        here = tally_next(search.call, key)
    if here.open == NULL:
        span.high = most_of(search)
        return
    span.high = tally_price(here.key)
    if here.open[1] != 0:
        span.high = tick_below(search.market, span.high)
    if mc_unlikely(search.bounded):
        span.high = least(span.high, search.most)


# ---------------------------------------------------------------------- the price

cdef inline i64 middle_of(const Market* market, i64 low, i64 high) noexcept nogil:
    """Half of a sum, rounded half up to a tick."""
    cdef i64 twice = low + high
    cdef i64 half = (twice >> 1) + (twice & 1)
    cdef i64 below = floor_tick(market, half), above = ceil_tick(market, half)
    return greatest(below if twice - 2 * below < 2 * above - twice else above, low)

cdef inline i64 nearest_of(const Market* market, i64 low, i64 high, i64 reference) noexcept nogil:
    """The price closest to the reference, the higher one of two."""
    cdef i64 near = least(greatest(reference, low), high)
    cdef i64 below = floor_tick(market, near), above = ceil_tick(market, near)
    if above > high or (below >= low and near - below < above - near):
        return below
    return above

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
        return middle_of(search.market, low, high)
    return nearest_of(search.market, low, high, search.reference[0])

cdef inline bint find_cross(Market* market, Call* call, const i64* reference, Cross* cross) noexcept nogil:
    """The price of the call; false if nothing would trade."""
    cdef Search search
    cdef const Span* span = &search.even
    cdef i64 more = -1, less = -1
    cdef bint is_more = False, is_less = False
    search.market = market
    search.call = call
    search.reference = reference
    search.bounded = search.more.there = search.even.there = search.less.there = False
    find_spans(&search)
    if mc_unlikely(search.bounded or call.off_tick != 0):
        clip(&search)
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
    cross.price = chosen(&search, is_more, is_less)
    if is_more and is_less and cross.price > search.more.high:
        span = &search.less
    cross.imbalance = span.imbalance
    return True
