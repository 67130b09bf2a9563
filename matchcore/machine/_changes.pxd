# What the last call to a book has changed, as plain tuples.
from .._book cimport Book
from .core.records cimport i64, mc_event, u8

cdef struct Before:         # the order of the call, as it was
    i64 price
    i64 left                # 0: it is new, or only leaves or shrinks

cdef list fills_of(const mc_event* events, size_t count)
cdef list changes_of(Book* book, const mc_event* events, size_t count, Before before)
cdef tuple level_now(Book* book, u8 side, i64 price)
