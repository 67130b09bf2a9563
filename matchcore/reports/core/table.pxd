# Hash -> index: open addressing with linear probing, eight entries a cache line.
#
# An entry keeps its hash, so that growing and removing read nothing but the table.  Removing moves
# the entries behind it back; there are no tombstones.

from ...machine.core.pages cimport LARGE_PAGE, MADV_HUGEPAGE, madvise, pages_give, pages_take
from ...machine.core.records cimport mc_fold, mc_prefetch, mc_unlikely, u32, u64

cdef struct Entry:
    u32 hash
    u32 index               # 0: free

cdef struct Table:
    Entry* entries
    u64 mask                # entries - 1
    u64 count

cdef enum:
    TABLE_MIN = 1 << 10     # entries

cdef inline size_t table_size(const Table* table) noexcept nogil:
    return (table.mask + 1) * sizeof(Entry)

cdef inline bint table_init(Table* table, u64 entries) noexcept nogil:
    """An empty one of so many entries, a power of two; false when there is no memory."""
    table.mask = entries - 1
    table.count = 0
    table.entries = <Entry*>pages_take(table_size(table))
    if table.entries != NULL and table_size(table) >= LARGE_PAGE:
        madvise(table.entries, table_size(table), MADV_HUGEPAGE)    # where it is refused, small ones do
    return table.entries != NULL

cdef inline void table_drop(Table* table) noexcept nogil:
    pages_give(table.entries, table_size(table))
    table.entries = NULL

cdef inline u32 table_hash(u64 secret, u64 word, u64 more) noexcept nogil:
    """Of a number and something more: eight neighbours stay together, pages of them are spread."""
    cdef u64 mixed = mc_fold((word >> 3) ^ secret, more ^ 0x9e3779b97f4a7c15u)
    mixed = mc_fold(mixed ^ secret, 0xd6e8feb86659fd93u)
    return (<u32>mixed & ~<u32>7) | <u32>(word & 7)

cdef inline void table_enter(Table* table, u32 hash, u32 index) noexcept nogil:
    """There is a free entry somewhere."""
    cdef u64 at = hash & table.mask
    while table.entries[at].index:
        at = (at + 1) & table.mask
    table.entries[at].hash = hash
    table.entries[at].index = index
    table.count += 1

cdef inline bint table_put(Table* table, u32 hash, u32 index) noexcept nogil:
    """Enters an index that is not there; false when there is no memory for more."""
    cdef Table grown
    cdef u64 at
    if mc_unlikely(table.count * 2 > table.mask):
        if not table_init(&grown, (table.mask + 1) * 2):
            return False
        for at in range(table.mask + 1):
            if table.entries[at].index:
                table_enter(&grown, table.entries[at].hash, table.entries[at].index)
        table_drop(table)
        table[0] = grown
    table_enter(table, hash, index)
    return True

cdef inline void table_remove(Table* table, u32 hash, u32 index) noexcept nogil:
    """Removes an index, if it is there with this hash."""
    cdef u64 hole = hash & table.mask
    cdef u64 at
    while table.entries[hole].index != index:
        if table.entries[hole].index == 0:
            return
        hole = (hole + 1) & table.mask
    table.count -= 1
    at = hole
    while True:
        at = (at + 1) & table.mask
        if table.entries[at].index == 0:
            break
        # one whose own place does not lie behind the hole may move into it
        if ((at - table.entries[at].hash) & table.mask) >= ((at - hole) & table.mask):
            table.entries[hole] = table.entries[at]
            hole = at
    table.entries[hole].index = 0

cdef inline void table_ahead(const Table* table, u32 hash) noexcept nogil:
    mc_prefetch(&table.entries[hash & table.mask])

cdef inline u32 table_guess(const Table* table, u32 hash) noexcept nogil:
    """The index in the place of a hash, which may be another's; 0: none."""
    return table.entries[hash & table.mask].index
