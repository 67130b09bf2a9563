# Account and instrument -> group, protection and quotes: a table of the few that have any.
#
# Entries lie side by side; a table of their places finds one by linear probing, as in limits.pxd.
# An entry of instrument 0 has a group; one of a market has a protection, or quotes, or both.
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset
from .pool cimport Order
from .records cimport i64, mc_fold, mc_protection_state, u32, u64

cdef struct Maker:
    mc_protection_state said    # as a state has it; nothing set: only there for its quotes
    Order* quotes[2]            # the buy and the sell order of its quote, NULL: none

cdef struct MakerTable:
    Maker* entries
    u32* places             # number of an entry, from 1; 0: free
    u32 count
    u32 capacity            # of entries; there are twice as many places, a power of two
    u32 set                 # entries that a state has
    u32 groups              # of them, those of accounts in a group
    u64 secret

cdef enum:
    PROTECTIONS_MAX = 65536     # that a state has; a test holds it against matchcore.records.markets
    MAKERS_MIN = 16

cdef inline u32 maker_home(const MakerTable* table, u64 account, u32 instrument) noexcept nogil:
    """Where a look for an entry begins."""
    return <u32>(mc_fold(account ^ <u64>0x9E3779B97F4A7C15, table.secret | 1)
                 + instrument * <u64>0x9E3779B1) & (2 * table.capacity - 1)

cdef inline u32 maker_place(const MakerTable* table, u64 account, u32 instrument) noexcept nogil:
    """Where the number of this entry is, or would be; of a table that has had one."""
    cdef u32 mask = 2 * table.capacity - 1
    cdef u32 at = maker_home(table, account, instrument)
    cdef const mc_protection_state* said
    while table.places[at] != 0:
        said = &table.entries[table.places[at] - 1].said
        if said.account == account and said.instrument == instrument:
            break
        at = (at + 1) & mask
    return at

cdef inline Maker* maker_find(const MakerTable* table, u64 account, u32 instrument) noexcept nogil:
    """The entry, or NULL."""
    cdef u32 number
    if table.count == 0:
        return NULL
    number = table.places[maker_place(table, account, instrument)]
    return &table.entries[number - 1] if number != 0 else NULL

cdef inline bint makers_ready(MakerTable* table) noexcept nogil:
    """Room for one entry more; false when there is no memory."""
    cdef u32 capacity = MAKERS_MIN if table.capacity == 0 else 2 * table.capacity, i
    cdef void* grown
    cdef u32* places
    cdef const mc_protection_state* said
    if table.count < table.capacity:
        return True
    places = <u32*>calloc(2 * <size_t>capacity, sizeof(u32))
    grown = realloc(table.entries, capacity * sizeof(Maker))
    if grown != NULL:
        table.entries = <Maker*>grown
    if grown == NULL or places == NULL:
        free(places)
        return False
    free(table.places)
    table.places = places
    table.capacity = capacity
    for i in range(table.count):
        said = &table.entries[i].said
        table.places[maker_place(table, said.account, said.instrument)] = i + 1
    return True

cdef inline Maker* maker_made(MakerTable* table, u64 account, u32 instrument) noexcept nogil:
    """The entry, which may be new; there is room."""
    cdef u32 at = maker_place(table, account, instrument)
    cdef Maker* entry
    if table.places[at] == 0:
        entry = &table.entries[table.count]
        memset(entry, 0, sizeof(Maker))
        entry.said.account = account
        entry.said.instrument = instrument
        table.count += 1
        table.places[at] = table.count
    return &table.entries[table.places[at] - 1]

cdef inline void maker_removed(MakerTable* table, u64 account, u32 instrument) noexcept nogil:
    """Takes an entry out; the last one comes in its place."""
    cdef u32 mask = 2 * table.capacity - 1
    cdef u32 hole = maker_place(table, account, instrument), at, home, number
    cdef const mc_protection_state* said
    number = table.places[hole]
    at = hole
    while True:                 # those behind it move up, so that no look ends too early
        at = (at + 1) & mask
        if table.places[at] == 0:
            break
        said = &table.entries[table.places[at] - 1].said
        home = maker_home(table, said.account, said.instrument)
        if ((at - home) & mask) >= ((at - hole) & mask):
            table.places[hole] = table.places[at]
            hole = at
    table.places[hole] = 0
    if number != table.count:
        said = &table.entries[table.count - 1].said
        table.places[maker_place(table, said.account, said.instrument)] = number
        table.entries[number - 1] = table.entries[table.count - 1]
    table.count -= 1

cdef inline bint is_said(const mc_protection_state* said) noexcept nogil:
    """True if a state has it."""
    return said.group != 0 or said.max_quantity != 0 or said.max_fills != 0

cdef inline void makers_drop(MakerTable* table) noexcept nogil:
    free(table.entries)
    free(table.places)
