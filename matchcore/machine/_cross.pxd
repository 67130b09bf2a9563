# The price of a call.
from .core.market cimport Market
from .core.tally cimport Call, Question

cdef void search_cross(Market* market, Call* call, const Question* question) noexcept nogil
