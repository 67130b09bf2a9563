# The orders that rest, by instrument and order id, with the number that names each in the messages.
from libc.stdlib cimport calloc, free

from ...machine.core.records cimport mc_fold, mc_prefetch, u32, u64

cdef extern from *:
    """
    #define ITCH_SALT 0x9e3779b97f4a7c15ull
    """
    const u64 SALT "ITCH_SALT"

cdef enum:
    TABLE_MIN = 1024    # slots; a power of two, as all sizes

cdef struct Slot:
    u64 order_id
    u64 reference       # 0: nobody is here
    u32 instrument
    u32 wide            # 1: everything about it is said in our own messages

cdef struct Table:
    Slot* slots
    size_t mask
    size_t count
    u64 secret          # without which nobody can choose ids that meet in one place
    u64 sequence        # of the command that added an order last
    u64 added           # how many it had added before that


cdef inline u64 reference_of(Table* table, u64 sequence) noexcept nogil:
    """Of an order that is added now: the sequence, and above it how many its command added before."""
    if sequence != table.sequence:
        table.sequence, table.added = sequence, 0
    else:
        table.added += 1
    return sequence | table.added << 48


cdef inline size_t home(const Table* table, u64 order_id, u32 instrument) noexcept nogil:
    return <size_t>mc_fold(order_id ^ table.secret, instrument ^ SALT) & table.mask


cdef inline void table_prefetch(const Table* table, u64 order_id, u32 instrument) noexcept nogil:
    mc_prefetch(table.slots + home(table, order_id, instrument))


cdef inline bint table_init(Table* table, u64 secret) noexcept nogil:
    """False without memory."""
    table.slots = <Slot*>calloc(TABLE_MIN, sizeof(Slot))
    table.mask, table.count, table.secret = TABLE_MIN - 1, 0, secret
    table.sequence = table.added = 0
    return table.slots != NULL


cdef inline Slot* table_find(const Table* table, u64 order_id, u32 instrument) noexcept nogil:
    """The slot of an order, or the free one where it would be."""
    cdef size_t at = home(table, order_id, instrument)
    cdef Slot* slot = table.slots + at
    while slot.reference and (slot.order_id != order_id or slot.instrument != instrument):
        at = (at + 1) & table.mask
        slot = table.slots + at
    return slot


cdef inline bint table_grow(Table* table) noexcept nogil:
    """Room for one more; false without memory."""
    cdef Table grown = table[0]
    cdef size_t i
    cdef Slot* slot
    if 2 * table.count < table.mask:
        return True
    grown.mask = 2 * table.mask + 1
    grown.slots = <Slot*>calloc(grown.mask + 1, sizeof(Slot))
    if grown.slots == NULL:
        return False
    for i in range(table.mask + 1):
        slot = table.slots + i
        if slot.reference:
            table_find(&grown, slot.order_id, slot.instrument)[0] = slot[0]
    free(table.slots)
    table[0] = grown
    return True


cdef inline void table_remove(Table* table, Slot* slot) noexcept nogil:
    """Moves those behind it that would not be found otherwise."""
    cdef size_t gap = <size_t>(slot - table.slots), at = gap
    cdef Slot* other
    table.count -= 1
    while True:
        at = (at + 1) & table.mask
        other = table.slots + at
        if other.reference == 0:
            break
        if ((at - home(table, other.order_id, other.instrument)) & table.mask) >= (
                (at - gap) & table.mask):
            table.slots[gap] = other[0]
            gap = at
    table.slots[gap].reference = 0
