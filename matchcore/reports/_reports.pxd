# Reports, as other compiled rooms see them.
from ..machine.core.records cimport u32, u64
from .core.orders cimport Orders

cdef class Derivation:
    cdef Orders orders
    cdef bint busy

    cdef bint find_order(self, u64 account, u64 client_order_id, u64 tail, u32* instrument,
                         u64* order_id) noexcept nogil
