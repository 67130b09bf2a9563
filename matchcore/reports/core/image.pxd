# All that is known of orders as bytes of this build: the struct, then each array in turn.
from libc.stdlib cimport malloc
from libc.string cimport memcpy, memset

from ...machine.core.pages cimport pages_take
from ...machine.core.records cimport u32
from .orders cimport (ACCOUNTS, Counter, Name, Order, Orders, Pending, PENDING, Trade, counters_size,
                      ring_size, trades_size)
from .pool cimport Pool
from .table cimport TABLE_MIN, Entry, Table, table_init, table_size

cdef enum:
    PARTS = 8

cdef struct Part:
    void* at
    size_t size             # bytes

cdef inline void parts_of(Orders* orders, Part* parts) noexcept nogil:
    parts[0].at, parts[0].size = orders.orders.items, pool_bytes(&orders.orders)
    parts[1].at, parts[1].size = orders.names.items, pool_bytes(&orders.names)
    parts[2].at, parts[2].size = orders.by_id.entries, table_size(&orders.by_id)
    parts[3].at, parts[3].size = orders.by_name.entries, table_size(&orders.by_name)
    parts[4].at, parts[4].size = orders.ring, orders.ring_count * sizeof(u32)
    parts[5].at, parts[5].size = orders.open, ACCOUNTS * sizeof(u32)
    parts[6].at, parts[6].size = orders.counters, counters_size(orders)
    parts[7].at, parts[7].size = orders.trades, orders.trades_used * sizeof(Trade)

cdef inline size_t pool_bytes(const Pool* pool) noexcept nogil:
    """Of the items given out; nothing of one that was never used."""
    return <size_t>pool.used * pool.item if pool.size else 0

cdef inline size_t orders_carry(Orders* orders, char* out) noexcept nogil:
    """Copies everything to `out`, unless it is NULL; the number of bytes."""
    cdef Part parts[PARTS]
    cdef size_t size = sizeof(Orders)
    cdef int i
    parts_of(orders, parts)
    if out != NULL:
        memcpy(out, orders, sizeof(Orders))
    for i in range(PARTS):
        if out != NULL and parts[i].size:
            memcpy(out + size, parts[i].at, parts[i].size)
        size += parts[i].size
    return size

cdef inline bint orders_load(Orders* orders, const char* data, size_t size) noexcept nogil:
    """Into zeroed memory, which `orders_drop` gives back; false for other sizes, or without memory."""
    cdef Orders source
    cdef Part parts[PARTS]
    cdef size_t at = sizeof(Orders)
    cdef int i
    if size < sizeof(Orders):
        return False
    memcpy(&source, data, sizeof(Orders))
    if (source.orders.item != sizeof(Order) or source.names.item != sizeof(Name)
            or source.ring_count > source.remembered or source.trades_used > source.trades_kept
            or orders_carry(&source, NULL) != size):
        return False
    orders[0] = source
    orders.orders.size = orders.names.size = 0
    orders.orders.items = orders.names.items = NULL
    if source.orders.size:
        orders.orders.size = source.orders.used
        orders.orders.items = <char*>malloc(pool_bytes(&source.orders))
    if source.names.size:
        orders.names.size = source.names.used
        orders.names.items = <char*>malloc(pool_bytes(&source.names))
    orders.by_id.entries = <Entry*>pages_take(table_size(&source.by_id))
    orders.by_name.entries = <Entry*>pages_take(table_size(&source.by_name))
    memset(&orders.by_pending, 0, sizeof(Table))
    table_init(&orders.by_pending, TABLE_MIN)
    orders.pended = 0
    orders.ring = <u32*>pages_take(ring_size(&source))
    orders.trades = <Trade*>pages_take(trades_size(&source))
    orders.open = <u32*>pages_take(ACCOUNTS * sizeof(u32))
    orders.pending = <Pending*>pages_take(PENDING * sizeof(Pending))
    orders.counters = <Counter*>pages_take(counters_size(&source))
    if orders.by_pending.entries == NULL or orders.pending == NULL:
        return False
    parts_of(orders, parts)
    for i in range(PARTS):
        if parts[i].size and parts[i].at == NULL:
            return False
        if parts[i].size:
            memcpy(parts[i].at, data + at, parts[i].size)
        at += parts[i].size
    return True
