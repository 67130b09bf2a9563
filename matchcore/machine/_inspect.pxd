# Looking into a book, filling one from a state, checking that it is sound; arrays of records.
from .._book cimport Book, Core
from .core.ids cimport Ids
from .core.ladder cimport Ladder
from .core.pool cimport Pool
from .core.records cimport i64, mc_order, u8, u64

cdef object in_one_row(commands)
cdef object one_after_the_other(list parts)
cdef object orders_array(const Book* book)
cdef object level_array(const Book* book, u8 side, i64 price)
cdef object levels_array(const Book* book, side, depth)
cdef object order_row(const Core* core, const Book* book, u64 order_id)
cdef const char* book_restore(Core* core, Book* book, const mc_order* orders,
                              size_t count) noexcept nogil
cdef int book_check(Core* core, Book* book) except -1
cdef int ladder_check(Ladder* ladder, where) except -1
cdef int ids_check(const Ids* ids, u64 orders) except -1
cdef int pool_check(const Pool* pool) except -1
cdef u64 fresh_secret() except? 0
