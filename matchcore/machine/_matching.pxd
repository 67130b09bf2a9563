# An order of a market against its book.
from .core.market cimport Turn, Wide
from .core.records cimport i64, u32, u64

cdef enum:
    LEVELS_ALL = -1         # of `levels`: as many as there are

cdef void take(Turn* turn, Wide* taker, bint limited, i64 limit, i64 levels) noexcept nogil
cdef i64 tradeable(Turn* turn, Wide* taker, bint limited, i64 limit, i64 most, i64 levels) noexcept nogil
cdef bint same_owner(Turn* turn, const Wide* one, const Wide* another) noexcept nogil
