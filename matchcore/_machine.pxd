# All instruments: commands in, events out.
from ._book cimport Book, Core, Events, Halt
from ._records cimport mc_command, u32, u64

cdef struct Exchange:
    Core core
    Book** books            # by number - 1
    u32 count
    u32 capacity

cdef Halt exchange_run(Exchange* exchange, const mc_command* commands, size_t count,
                       size_t* taken, Events* events) noexcept nogil

cdef class Machine:
    cdef Exchange exchange
    cdef u64 secret
    cdef readonly object instruments
    cdef bint busy
    cdef Book* book(self, number) except NULL
    cdef int define(self, const mc_command* command, Events* events) except -1
    cdef int add_book(self) except -1
