# The trades that a closing price is the average of.
from .core.market cimport Market, Turn
from .core.records cimport i64, mc_market_trades

cdef void count_trade(Turn* turn, i64 price, i64 quantity) noexcept nogil
cdef i64 average_price(const Market* market) noexcept nogil
cdef void forget_counted(Market* market) noexcept nogil
cdef void counted_drop(Market* market) noexcept nogil
cdef mc_market_trades* counted_push(Market* market) noexcept nogil
cdef int counted_check(const Market* market) except -1
