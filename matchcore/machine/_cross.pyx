"""The price of a call, from its tally: largest volume, then smallest imbalance, then the market's rule.

The limits of orders count, and all prices on a tick from the lowest of them, or the reference, to
the highest.  Below the cross more is bid than offered, above it less.  Three spans matter: the last
prices with more, the first with less, and those in between where nothing is left over.
"""
from .core.market cimport Market, greatest, least
from .core.prices cimport ceil_tick, floor_tick
from .core.records cimport A_SSE, i64, u64
from .core.tally cimport (SHAPE, Call, Flank, Open, Question, Shape, tally_after, tally_key, tally_last,
                          tally_next, tally_price, tally_seek, tally_under, widen)


cdef struct Span:           # prices with one volume and imbalance
    bint there
    i64 low
    i64 high
    i64 imbalance
    i64 sells               # bid or not

cdef struct Search:         # for the price of a call
    Market* market
    Call* call
    const Question* asked
    bint bounded            # least and most are known
    i64 least
    i64 most
    Span more               # more bid than offered: of the highest such price
    Span even
    Span less               # of the lowest such price
    i64 base                # while the gap is above this, and by less than the width, these are
    i64 width               # the prices; 0: the next gap may have others

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
    if search.asked.has_reference:      # which itself may be on no tick
        low = least(low, ceil_tick(search.market, search.asked.reference))
        high = greatest(high, floor_tick(search.market, search.asked.reference))
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
    search.base = above.open[1] if left > 0 else 0
    search.width = above.open[0] if left > 0 else above.open[1]
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


# ---------------------------------------------------------------------- the price

cdef inline i64 closest_to(const Market* market, i64 low, i64 high, i64 twice) noexcept nogil:
    """The price of a range that is closest to the half of a number, the higher one of two."""
    cdef i64 half = twice >> 1
    cdef i64 below = greatest(floor_tick(market, half), low)
    cdef i64 above = least(ceil_tick(market, half + (twice & 1)), high)
    return below if twice - 2 * below < 2 * above - twice else above

cdef inline i64 chosen(Search* search, bint is_more, bint is_less) noexcept nogil:
    """One of the prices that nothing but the rule of the market tells apart."""
    cdef const Question* asked = search.asked
    cdef i64 low = search.even.low, high = search.even.high
    if is_more and is_less:     # at other prices orders with better ones would be left over
        low = search.more.high
        high = search.less.low
    elif is_more or is_less:
        return search.more.high if is_more else search.less.low
    if asked.rule == A_SSE or not asked.has_reference:
        return closest_to(search.market, low, high, low + high)
    return closest_to(search.market, low, high, 2 * least(greatest(asked.reference, low), high))


cdef inline void flank_set(const Call* call, Flank* flank, const Span* span, i64 price) noexcept nogil:
    flank.left = span.imbalance - call.gap
    flank.sells = span.sells - call.below - call.any[1]
    flank.price = price


cdef inline void shape_set(const Search* search) noexcept nogil:
    """Keeps what the next answer follows from, if only the gap is another one then."""
    cdef Call* call = search.call
    cdef Shape* shape = &call.shape
    call.known &= ~SHAPE
    if search.width == 0 or search.even.there or not search.more.there or not search.less.there:
        return
    call.known |= SHAPE
    shape.base = search.base
    shape.width = search.width
    flank_set(call, &shape.more, &search.more, search.more.high)
    flank_set(call, &shape.less, &search.less, search.less.low)


cdef void search_cross(Market* market, Call* call, const Question* question) noexcept nogil:
    """Finds the price of a call anew, into `call.cross`; `call.found`: whether something would trade."""
    cdef Search search
    cdef const Span* span = &search.even
    cdef i64 more = -1, less = -1       # the volumes
    cdef bint is_more = False, is_less = False
    search.market = market
    search.call = call
    search.asked = question
    search.bounded = search.more.there = search.even.there = search.less.there = False
    search.width = 0
    find_spans(&search)
    call.asked = question[0]
    call.same = True
    shape_set(&search)
    if not search.even.there:
        if search.more.there:
            more = volume_of(&search.more)
        if search.less.there:
            less = volume_of(&search.less)
        call.found = more > 0 or less > 0
        if not call.found:
            return
        is_more = more > less or (more == less and search.more.imbalance <= -search.less.imbalance)
        is_less = less > more or (more == less and search.more.imbalance >= -search.less.imbalance)
        span = &search.more if is_more else &search.less
    call.cross.quantity = volume_of(span)
    call.found = call.cross.quantity > 0
    if not call.found:
        return
    call.cross.price = chosen(&search, is_more, is_less)
    if is_more and is_less and call.cross.price > search.more.high:
        span = &search.less
    call.cross.imbalance = span.imbalance
