# The orders of a session by UserRefNum.  The slot of an order is under its first number; the slots of
# its other numbers lead there, by the order id.
from libc.stdlib cimport calloc, free

from ...machine.core.records cimport i64, mc_fold, u8, u32, u64

cdef enum:
    SLOTS_MIN = 64      # a power of two, as all sizes

cdef struct Slot:
    u64 order_id
    i64 total           # what is to be traded in all, after the requests under way
    i64 filled
    i64 change          # of a replace under way: of the total
    u32 ref             # 0: nobody is here
    u32 current         # the number that is valid
    u32 instrument
    u8 side
    u8 time_in_force

cdef struct Slots:
    Slot* at
    size_t mask
    size_t count
    u64 secret          # without which nobody can choose numbers that meet in one place


cdef inline size_t slot_home(const Slots* slots, u32 ref) noexcept nogil:
    return <size_t>mc_fold(ref ^ slots.secret, 0x9e3779b97f4a7c15ull) & slots.mask


cdef inline bint slots_init(Slots* slots, u64 secret) noexcept nogil:
    """False without memory."""
    slots.at = <Slot*>calloc(SLOTS_MIN, sizeof(Slot))
    slots.mask, slots.count, slots.secret = SLOTS_MIN - 1, 0, secret
    return slots.at != NULL


cdef inline Slot* slot_place(const Slots* slots, u32 ref) noexcept nogil:
    """The slot of a number, or the free one where it would be."""
    cdef size_t at = slot_home(slots, ref)
    while slots.at[at].ref and slots.at[at].ref != ref:
        at = (at + 1) & slots.mask
    return slots.at + at


cdef inline Slot* slot_find(const Slots* slots, u32 ref) noexcept nogil:
    """The slot of a number; NULL if there is none."""
    cdef Slot* slot = slot_place(slots, ref)
    return slot if ref and slot.ref == ref else NULL


cdef inline Slot* slot_add(Slots* slots, u32 ref, u64 order_id) noexcept nogil:
    """An empty slot for a number, in place of the one that it has; NULL without memory."""
    cdef Slots grown = slots[0]
    cdef Slot* slot
    cdef size_t i
    if 2 * slots.count >= slots.mask:
        grown.mask = 2 * slots.mask + 1
        grown.at = <Slot*>calloc(grown.mask + 1, sizeof(Slot))
        if grown.at == NULL:
            return NULL
        for i in range(slots.mask + 1):
            if slots.at[i].ref:
                slot_place(&grown, slots.at[i].ref)[0] = slots.at[i]
        free(slots.at)
        slots[0] = grown
    slot = slot_place(slots, ref)
    slots.count += slot.ref == 0
    slot.ref, slot.order_id = ref, order_id
    slot.total = slot.filled = slot.change = 0
    slot.current = slot.instrument = 0
    slot.side = slot.time_in_force = 0
    return slot


cdef inline void slot_remove(Slots* slots, u32 ref) noexcept nogil:
    """Moves those behind it that would not be found otherwise."""
    cdef Slot* slot = slot_find(slots, ref)
    cdef size_t gap, at
    if slot == NULL:
        return
    gap = at = <size_t>(slot - slots.at)
    slots.count -= 1
    while True:
        at = (at + 1) & slots.mask
        if slots.at[at].ref == 0:
            break
        if ((at - slot_home(slots, slots.at[at].ref)) & slots.mask) >= ((at - gap) & slots.mask):
            slots.at[gap] = slots.at[at]
            gap = at
    slots.at[gap].ref = 0
