# The price of a call, from its tally: largest volume, then smallest imbalance, then the market's rule.
#
# Only prices on a tick count, from the lowest limit of an order or the reference to the highest.
# Below the cross buys exceed sells, above it sells exceed buys; each side's best prices, and those
# in between where nothing is left over, are a span without a change of volume and imbalance.
from .market cimport AUCTION_RULE, Cross, Market
from .records cimport A_GENERIC, A_SSE, A_SZSE, M_AUCTION, i64, mc_unlikely, u32, u64
from .tally cimport (Call, Open, tally_key, tally_last, tally_next, tally_price, tally_seek,
                     tally_up_to)
from .ticks cimport tick_above, tick_at_or_above, tick_at_or_below, tick_below

cdef struct Span:           # prices of one volume and imbalance
    i64 low
    i64 high
    i64 imbalance           # buys less sells
    i64 sells               # that would trade or be left over
    bint there

cdef struct Range:          # in which the price may lie
    const Market* market
    Call* call
    const i64* reference    # NULL: there is none
    i64 least
    i64 most
    bint known              # least and most are

cdef inline i64 volume_of(const Span* span) noexcept nogil:
    return span.sells if span.imbalance >= 0 else span.sells + span.imbalance

cdef inline void span_set(Span* span, i64 low, i64 high, i64 imbalance, i64 sells) noexcept nogil:
    span.low = low
    span.high = high
    span.imbalance = imbalance
    span.sells = sells
    span.there = low <= high

cdef inline void range_find(Range* bounds) noexcept nogil:
    """The bounds: of limits as they are, though what is off a tick is tallied on one."""
    cdef Open first = tally_next(bounds.call, 0), last = tally_last(bounds.call, ~<u64>0)
    cdef const Market* market = bounds.market
    cdef i64 low, high
    bounds.known = True
    bounds.least = 1
    bounds.most = 0
    if first.open != NULL:
        bounds.least = tally_price(first.key)
        bounds.most = tally_price(last.key)
        if mc_unlikely(bounds.call.off_tick != 0):
            # buys alone may all be above the tick they count at, sells alone below it
            if first.open[1] == 0 and bounds.call.low_off == first.open[0]:
                bounds.least = tick_above(market, bounds.least)
    if bounds.reference == NULL:
        return
    low = tick_at_or_above(market, bounds.reference[0])
    high = tick_at_or_below(market, bounds.reference[0])
    if first.open == NULL or low < bounds.least:
        bounds.least = low
    if first.open == NULL or high > bounds.most:
        bounds.most = high
