"""The instruments as OUCH names and prices them."""

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.string cimport memcpy

from ...machine.core.records cimport mc_fold, u8, u32, u64

from .layout import price_parts


cdef class Listing:
    """Instruments by number - 1: what `Directory.in_order` returns."""

    def __cinit__(self, instruments):
        cdef const u8* text
        cdef size_t at, place
        self.instruments = instruments
        self.count = len(instruments)
        self.mask = 15
        while self.mask < 2 * self.count:
            self.mask = 2 * self.mask + 1
        self.listed = <Listed*>PyMem_Calloc(self.count + 1, sizeof(Listed))
        self.symbols = <Symbol*>PyMem_Calloc(self.mask + 1, sizeof(Symbol))
        if self.listed == NULL or self.symbols == NULL:
            raise MemoryError("no memory for the instruments")
        for at in range(self.count):
            instrument = instruments[at]
            one = self.listed + at
            one.multiplier, one.divisor = price_parts(instrument.tick_parts)
            symbol = instrument.symbol.encode()
            padded = symbol.ljust(8)[:8]
            text = padded
            memcpy(&one.symbol, text, 8)
            if len(symbol) <= 8:
                one.named = True
                place = self.home(one.symbol)
                while self.symbols[place].number:
                    place = (place + 1) & self.mask
                self.symbols[place].word, self.symbols[place].number = one.symbol, <u32>(at + 1)

    def __dealloc__(self):
        PyMem_Free(self.listed)
        PyMem_Free(self.symbols)

    def __len__(self):
        return self.count

    cdef size_t home(self, u64 word) noexcept nogil:
        return <size_t>mc_fold(word, 0x9e3779b97f4a7c15ull) & self.mask

    cdef u32 number_of(self, u64 word) noexcept nogil:
        """The number of the instrument with these 8 characters; 0: none."""
        cdef size_t at = self.home(word)
        while self.symbols[at].number and self.symbols[at].word != word:
            at = (at + 1) & self.mask
        return self.symbols[at].number
