# What follows from an order's execution, until nothing follows any more.
from .core.market cimport Turn

cdef void settle(Turn* turn) noexcept nogil
cdef void cancel_partners(Turn* turn) noexcept nogil
