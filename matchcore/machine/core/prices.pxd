# What a market's parameters say of prices: ticks, the limits of the day, parts of a price.
from .market cimport PART, PRICE_MAX, Market, greatest, least
from .records cimport i64, mc_likely, u64

cdef inline u64 size_of(i64 price) noexcept nogil:
    """How far a price is from zero."""
    return <u64>price if price >= 0 else -<u64>price

cdef inline bint is_priced(i64 price) noexcept nogil:
    """True for what may be a price, a stop price or an offset of a market."""
    return -PRICE_MAX <= price <= PRICE_MAX

cdef inline i64 step_at(const Market* market, i64 price) noexcept nogil:
    """The tick of the table at a price, in ticks of the instrument."""
    cdef u64 row = market.ticks
    while row:
        row -= 1
        if size_of(price) >= <u64>market.tick_from[row]:
            return market.tick_step[row]
    return 1

cdef inline i64 floor_tick(const Market* market, i64 price) noexcept nogil:
    """The next price in the table from here down; `price` is near those of a market."""
    cdef i64 step, over
    if mc_likely(market.ticks == 0):
        return price
    step = step_at(market, price)
    over = price % step
    return price - over if over >= 0 else price - over - step

cdef inline i64 ceil_tick(const Market* market, i64 price) noexcept nogil:
    """The next price in the table from here up."""
    cdef i64 step, over
    if mc_likely(market.ticks == 0):
        return price
    step = step_at(market, price)
    over = price % step
    return price - over if over <= 0 else price - over + step

cdef inline bint within_limits(const Market* market, i64 price) noexcept nogil:
    return ((not market.has_lowest or price >= market.lowest)
            and (not market.has_highest or price <= market.highest))

cdef inline i64 part_of(i64 base, i64 part) noexcept nogil:
    """`part` hundredths of a percent of a price that is positive, rounded half up."""
    cdef i64 over = 2 * base * part + PART      # below 2^62: no part is above 2^20
    return over // (2 * PART) if over >= 0 else -((2 * PART - 1 - over) // (2 * PART))
