"""The trades that a closing price is the average of (docs/markets/phases.md).

Of all trades since a time the sums are enough.  With a window before the last trade, which nobody
knows before the day is over, the trades within it are kept by milliseconds: at most 600,001 rows.
"""
from libc.stdint cimport INT64_MAX
from libc.stdlib cimport free, realloc
from libc.string cimport memmove, memset

from .core.market cimport *
from .core.records cimport *

cdef extern from *:
    """
    typedef __int128 mc_i128;
    """
    ctypedef long long i128 "mc_i128"

cdef enum:
    MILLISECOND_NS = 1000000
    ROWS_MIN = 16           # of the first piece; it doubles


cdef inline i128 of_halves(u64 low, i64 high) noexcept nogil:
    return <i128>high * (<i128>1 << 64) + low


cdef i64 average_price(const Market* market) noexcept nogil:
    """Of the trades that count, by volume, rounded half up."""
    cdef i128 volume = market.close_volume
    cdef i128 twice = 2 * of_halves(market.close_turnover, market.close_turnover_high) + volume
    cdef i128 price = twice // (2 * volume)
    return <i64>(price - 1 if price * 2 * volume > twice else price)     # down, also below zero


cdef inline void add(Market* market, i128 turnover, i64 volume) noexcept nogil:
    """Counts, or no longer counts, trades."""
    cdef i128 sum = of_halves(market.close_turnover, market.close_turnover_high) + turnover
    market.close_turnover = <u64>sum
    market.close_turnover_high = <i64>(sum >> 64)
    market.close_volume += volume


cdef inline i64 milliseconds(i64 time) noexcept nogil:
    """Whole ones, rounded down."""
    return time // MILLISECOND_NS - (time % MILLISECOND_NS < 0)


cdef mc_market_trades* counted_push(Market* market) noexcept nogil:
    """A row of zeros behind the last one; NULL without memory."""
    cdef CountedTrades* counted = &market.counted
    cdef mc_market_trades* row
    cdef void* grown
    if counted.first + counted.count == counted.room:
        if counted.first > counted.room // 2:
            memmove(counted.rows, &counted.rows[counted.first],
                    counted.count * sizeof(mc_market_trades))
            counted.first = 0
        else:
            grown = realloc(counted.rows,
                            (2 * counted.room + ROWS_MIN) * sizeof(mc_market_trades))
            if grown == NULL:
                return NULL
            counted.rows = <mc_market_trades*>grown
            counted.room = 2 * counted.room + ROWS_MIN
    row = &counted.rows[counted.first + counted.count]
    counted.count += 1
    memset(row, 0, sizeof(mc_market_trades))
    return row


cdef void count_in_window(Turn* turn, i64 price, i64 quantity) noexcept nogil:
    """Counts a trade, and no longer what is further than the window before it."""
    cdef Market* market = turn.market
    cdef CountedTrades* counted = &market.counted
    cdef mc_market_trades* row = NULL
    cdef i64 now = milliseconds(turn.time)
    cdef i64 window = milliseconds(market.value[<u32>M_CLOSING][<u32>CLOSING_WINDOW])
    cdef i128 turnover
    if counted.count:
        row = &counted.rows[counted.first + counted.count - 1]
        now = greatest(now, row.time_ms)
    while counted.count and counted.rows[counted.first].time_ms < now - window:
        row = &counted.rows[counted.first]
        add(market, -of_halves(row.turnover, row.turnover_high), -row.volume)
        counted.first += 1
        counted.count -= 1
    if quantity > INT64_MAX - market.close_volume:
        return
    row = &counted.rows[counted.first + counted.count - 1] if counted.count else NULL
    if row == NULL or row.time_ms < now:
        row = counted_push(market)
        if row == NULL:
            turn.all.lost = True
            return
        row.time_ms = now
        row.instrument = market.book.instrument
    turnover = of_halves(row.turnover, row.turnover_high) + <i128>price * quantity
    row.turnover = <u64>turnover
    row.turnover_high = <i64>(turnover >> 64)
    row.volume += quantity
    add(market, <i128>price * quantity, quantity)


cdef void count_trade(Turn* turn, i64 price, i64 quantity) noexcept nogil:
    """What a trade adds to the average, if the market has one."""
    cdef Market* market = turn.market
    cdef const i64* value = market.value[<u32>M_CLOSING]
    if value[<u32>CLOSING_RULE] == CLOSE_LAST or turn.time < value[<u32>CLOSING_FROM]:
        return
    if value[<u32>CLOSING_WINDOW] > 0:
        count_in_window(turn, price, quantity)
    elif (value[<u32>CLOSING_RULE] == CLOSE_AVERAGE
            and quantity <= INT64_MAX - market.close_volume):
        add(market, <i128>price * quantity, quantity)


cdef void forget_counted(Market* market) noexcept nogil:
    """Nothing has been counted for the closing price."""
    market.close_turnover = 0
    market.close_turnover_high = market.close_volume = 0
    market.counted.first = market.counted.count = 0


cdef void counted_drop(Market* market) noexcept nogil:
    """Gives the memory back."""
    free(market.counted.rows)


cdef int counted_check(const Market* market) except -1:
    """Asserts that what is kept is what is summed."""
    cdef const CountedTrades* counted = &market.counted
    cdef const mc_market_trades* row
    cdef size_t i
    where = f"market {market.book.instrument}: counted trades"
    turnover, volume, before = 0, 0, None
    for i in range(counted.first, counted.first + counted.count):
        row = &counted.rows[i]
        assert row.volume > 0 and (before is None or before < row.time_ms), where
        before = row.time_ms
        volume += row.volume
        turnover += row.turnover + (int(row.turnover_high) << 64)
    assert counted.first + counted.count <= counted.room, where
    if counted.count:
        of_market = market.close_turnover + (int(market.close_turnover_high) << 64)
        assert (turnover, volume) == (of_market, market.close_volume), where
    return 0
