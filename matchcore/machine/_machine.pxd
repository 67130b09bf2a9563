# All instruments: commands in, events out, as Python sees it.
from .._book cimport Book
from ._exchange cimport Exchange

cdef class Machine:
    cdef Exchange exchange
    cdef readonly object instruments
    cdef readonly object register
    cdef object entries         # the Register that it is a view of
    cdef bint busy
    cdef int enter(self) except -1
    cdef Book* book(self, number) except NULL
    cdef Book* add_book(self) except NULL
