# The instruments as OUCH names and prices them.
from ...machine.core.records cimport u8, u32, u64

cdef struct Listed:
    u64 multiplier      # from a price of the wire to ticks
    u64 divisor
    u64 symbol          # the first 8 characters, as they lie in memory
    bint named          # the symbol means this instrument

cdef struct Symbol:
    u64 word
    u32 number          # 0: nobody is here

cdef class Listing:
    cdef Listed* listed     # by number - 1
    cdef size_t count
    cdef Symbol* symbols
    cdef size_t mask
    cdef readonly object instruments
    cdef size_t home(self, u64 word) noexcept nogil
    cdef u32 number_of(self, u64 word) noexcept nogil
