# What must hold in every market.
from .._book cimport Core
from .core.market cimport Market, Markets

cdef int market_check(Core* core, Markets* all, Market* market) except -1
