# Order id -> order: open addressing with linear probing, at most half full, deletion by back-shift.
#
# Four neighbouring ids share a cache line; a mix with two secret odd factors spreads the groups,
# so that nobody can choose ids that pile up.  The secrets never show in any result.
# When the table is too full, or far too empty, a new one is filled a few entries per operation
# while both are looked at: no command pays for a whole copy.
from libc.stdlib cimport calloc, free
from libc.string cimport memset
from ._pool cimport Order
from ._records cimport u32, u64

cdef struct Entry:
    u64 order_id
    Order* order            # NULL: never used

cdef struct Ids:
    Entry* entries
    u64 mask                # size - 1
    u64 count               # entries in use, in both tables together
    Entry* old              # the table being moved out of, or NULL
    u64 old_mask
    u64 old_at              # entries before this one have moved
    u64 secret              # odd

cdef enum:
    IDS_SIZE_MIN = 16
    IDS_MOVES = 16          # old slots looked at per operation while moving

cdef inline u64 ids_home(const Ids* ids, u64 order_id) noexcept nogil:
    cdef u64 h = (order_id >> 2) * ids.secret
    h = (h ^ h >> 32) * (ids.secret ^ <u64>0x9E3779B97F4A7C14)
    return ((h ^ h >> 29) << 2 | (order_id & 3)) & ids.mask

cdef inline Order* ids_gone() noexcept nogil:
    """Marks an entry of the old table that has moved or left."""
    return <Order*>1

cdef inline void ids_init(Ids* ids, u64 secret) noexcept nogil:
    memset(ids, 0, sizeof(Ids))
    ids.secret = secret | 1

cdef inline void ids_drop(Ids* ids) noexcept nogil:
    free(ids.entries)
    free(ids.old)
    ids.entries = ids.old = NULL

cdef inline Entry* ids_seek(const Ids* ids, u64 order_id) noexcept nogil:
    """The entry of an id in the new table, or the free entry where it would go."""
    cdef u64 at = ids_home(ids, order_id)
    while ids.entries[at].order != NULL and ids.entries[at].order_id != order_id:
        at = (at + 1) & ids.mask
    return &ids.entries[at]

cdef inline Entry* ids_seek_old(const Ids* ids, u64 order_id) noexcept nogil:
    """The live entry of an id in the old table, or NULL."""
    cdef Ids view = ids[0]
    cdef u64 at
    view.mask = ids.old_mask
    at = ids_home(&view, order_id)
    while ids.old[at].order != NULL:
        if ids.old[at].order_id == order_id and ids.old[at].order != ids_gone():
            return &ids.old[at]
        at = (at + 1) & ids.old_mask
    return NULL

cdef inline Order* ids_find(const Ids* ids, u64 order_id) noexcept nogil:
    """The live order of an id, or NULL.  O(1)."""
    cdef Entry* entry
    if ids.count == 0:
        return NULL
    entry = ids_seek(ids, order_id)
    if entry.order == NULL and ids.old != NULL:
        entry = ids_seek_old(ids, order_id)
        if entry == NULL:
            return NULL
    return entry.order

cdef inline void ids_move_some(Ids* ids) noexcept nogil:
    cdef u64 end = ids.old_at + IDS_MOVES
    cdef Entry* entry
    cdef Entry* target
    if end > ids.old_mask + 1:
        end = ids.old_mask + 1
    while ids.old_at < end:
        entry = &ids.old[ids.old_at]
        if entry.order != NULL and entry.order != ids_gone():
            target = ids_seek(ids, entry.order_id)
            target[0] = entry[0]
            entry.order = ids_gone()
        ids.old_at += 1
    if ids.old_at > ids.old_mask:
        free(ids.old)
        ids.old = NULL

cdef inline bint ids_resize(Ids* ids, u64 size) noexcept nogil:
    cdef Entry* entries = <Entry*>calloc(size, sizeof(Entry))
    if entries == NULL:
        return False
    ids.old = ids.entries
    ids.old_mask = ids.mask
    ids.old_at = 0
    ids.entries = entries
    ids.mask = size - 1
    return True

cdef inline bint ids_ready(Ids* ids) noexcept nogil:
    """Room for one more id; false when there is no memory for it."""
    if ids.old != NULL:
        ids_move_some(ids)
    elif ids.entries == NULL:
        return ids_resize(ids, IDS_SIZE_MIN)
    elif (ids.count + 1) * 2 > ids.mask:
        return ids_resize(ids, (ids.mask + 1) * 2) or ids.count < ids.mask - 1
    return True

cdef inline void ids_put(Ids* ids, u64 order_id, Order* order) noexcept nogil:
    """Enters an id that is not there; ids_ready has made room."""
    cdef Entry* entry = ids_seek(ids, order_id)
    entry.order_id = order_id
    entry.order = order
    ids.count += 1

cdef inline void ids_remove(Ids* ids, u64 order_id) noexcept nogil:
    """Takes out an id that is there, and lets the table shrink when it is almost empty."""
    cdef Entry* entry = ids_seek(ids, order_id)
    cdef Entry* entries = ids.entries
    cdef u64 hole, at, home
    ids.count -= 1
    if entry.order == NULL:
        ids_seek_old(ids, order_id).order = ids_gone()
        return
    hole = at = entry - entries
    while True:                     # later entries of the run move up, unless that is before their home
        at = (at + 1) & ids.mask
        if entries[at].order == NULL:
            break
        home = ids_home(ids, entries[at].order_id)
        if ((at - home) & ids.mask) >= ((at - hole) & ids.mask):
            entries[hole] = entries[at]
            hole = at
    entries[hole].order = NULL
    if ids.old != NULL:
        ids_move_some(ids)
    elif ids.mask >= 4 * IDS_SIZE_MIN and ids.count * 16 < ids.mask:
        ids_resize(ids, (ids.mask + 1) >> 2)
