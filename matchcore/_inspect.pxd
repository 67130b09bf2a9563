# Looking into a book, filling one from a state, and checking that it is sound.
from ._book cimport Book, Core
from ._pool cimport Order
from ._records cimport mc_level, mc_order, u32, u64

cdef void show_order(const Order* order, mc_order* into) noexcept nogil
cdef size_t book_orders(const Book* book, mc_order* into) noexcept nogil
cdef size_t book_levels(const Book* book, u32 side, mc_level* into, size_t depth) noexcept nogil
cdef const char* book_restore(Core* core, Book* book, const mc_order* orders,
                              size_t count) noexcept nogil
cdef int book_check(Book* book) except -1
cdef u64 fresh_secret() except? 0
