# The markets of a state.
from ._machine cimport Machine
from .core.market cimport Wide
from .core.records cimport u32, u64

cdef object machine_orders(Machine machine, u32 number)
cdef object market_order_row(Machine machine, u32 number, u64 order_id)
cdef object market_seen(Machine machine, u32 number)
cdef object market_order_seen(Machine machine, u32 number, u64 order_id)
cdef tuple market_parts(Machine machine)
cdef int markets_restore(Machine machine, state) except -1
cdef bint is_at_home(const Wide* wide) noexcept nogil
