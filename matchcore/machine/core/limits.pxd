# Account and instrument -> limits: a table of a few, for machines that have any.
#
# Entries lie side by side; a table of their places finds one by linear probing.  Every account with
# an entry has one for instrument 0, so that one look tells an account without limits.
from .pool cimport Order
from .records cimport i64, mc_account_limits, mc_fold, mc_likely, u32, u64

cdef struct Limits:
    mc_account_limits said  # as a state has it; nothing set: only there for those of instruments
    i64 open                # orders at rest, but for a table that is to be counted anew
    u32 others              # of instrument 0: entries of the account for one instrument

cdef struct LimitTable:
    Limits* entries
    u32* places             # number of an entry, from 1; 0: free
    u32 count
    u32 capacity            # of entries; there are twice as many places, a power of two
    u32 set                 # entries that a state has
    bint stale              # the open orders are to be counted
    u64 secret
    void** books            # of the machine, for that
    void** markets          # and the markets of those that have one
    u32 books_count

cdef enum:
    LIMITS_MAX = 65536      # that a state has; a test holds it against matchcore.records.limits
    COUNTED = 0x80          # of Order.flags: in `open` of its account

cdef inline u32 limits_home(const LimitTable* table, u64 account, u32 instrument) noexcept nogil:
    """Where a look for an entry begins."""
    return <u32>(mc_fold(account ^ <u64>0x9E3779B97F4A7C15, table.secret | 1)
                 + instrument * <u64>0x9E3779B1) & (2 * table.capacity - 1)

cdef inline u32 limits_place(const LimitTable* table, u64 account, u32 instrument) noexcept nogil:
    """Where the number of this entry is, or would be."""
    cdef u32 mask = 2 * table.capacity - 1
    cdef u32 at = limits_home(table, account, instrument)
    cdef const mc_account_limits* said
    while table.places[at] != 0:
        said = &table.entries[table.places[at] - 1].said
        if said.account == account and said.instrument == instrument:
            break
        at = (at + 1) & mask
    return at

cdef inline Limits* limits_find(const LimitTable* table, u64 account, u32 instrument) noexcept nogil:
    """The entry, or NULL; of a table that is not empty."""
    cdef u32 number = table.places[limits_place(table, account, instrument)]
    return &table.entries[number - 1] if number != 0 else NULL

cdef inline void limits_count(const LimitTable* table, Order* order, i64 step) noexcept nogil:
    """One open order more, or less, of an account; marks the order when it is counted."""
    cdef Limits* entry = limits_find(table, order.account, 0)
    if mc_likely(entry == NULL):
        return
    order.flags |= COUNTED
    entry.open += step
    if entry.others:
        entry = limits_find(table, order.account, order.instrument)
        if entry != NULL:
            entry.open += step
