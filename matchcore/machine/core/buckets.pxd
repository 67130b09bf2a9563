# Hash -> number: a table of cache-line buckets, for numbers of up to 19 bits.
#
# A bucket holds twelve numbers, a tag of each, as in ids.pxd, and a count of those that found it
# full and went on to the next.  Beside a number stand more bits of its hash: what the number
# stands for is read when it is the right one, and else once in thousands of times.
from .pages cimport pages_give, pages_take
from .records cimport mc_first_bit, mc_likely, mc_row_equal, mc_row_set, mc_unlikely, u8, u32

cdef struct Bucket:
    u8 tags[12]             # of the places, 0 when free
    u32 passers_by
    u32 entries[12]         # bits of the hash, and the number

cdef struct Table:
    Bucket* buckets         # NULL: no table
    u32 mask                # buckets - 1
    u32 passed              # of a table being moved out of: buckets before this one are empty

cdef enum:
    NUMBER = (1 << 19) - 1  # of an entry: its number
    HASH_BITS = 0x00fff800  # of a hash: what stands beside the number, eight bits higher
    PLACES_ALL = (1 << 12) - 1

cdef inline size_t table_size(const Table* table) noexcept nogil:
    return (<size_t>table.mask + 1) * sizeof(Bucket)

cdef inline bint table_init(Table* table, u32 buckets) noexcept nogil:
    """An empty one of so many buckets, a power of two; false when there is no memory."""
    table.mask = buckets - 1
    table.passed = 0
    table.buckets = <Bucket*>pages_take(table_size(table))
    return table.buckets != NULL

cdef inline void table_drop(Table* table) noexcept nogil:
    if table.buckets != NULL:
        pages_give(table.buckets, table_size(table))
        table.buckets = NULL

cdef inline u32 tag_of(u32 hash) noexcept nogil:
    """A byte of bits that choose no bucket and stand beside no number; never 0."""
    return hash >> 24 | 0x80

cdef inline u32 entry_of(u32 hash, u32 number) noexcept nogil:
    return (hash & HASH_BITS) << 8 | number

cdef inline u32 places_with(const Bucket* bucket, u32 hash) noexcept nogil:
    """A bit for each place that holds the hash's tag."""
    return mc_row_equal(bucket, tag_of(hash))

cdef inline u32 places_taken(const Bucket* bucket) noexcept nogil:
    return mc_row_set(bucket)

cdef inline void table_put(Table* table, u32 hash, u32 number) noexcept nogil:
    """Enters a number; there is a free place somewhere."""
    cdef u32 at = hash & table.mask
    cdef u32 place
    cdef Bucket* bucket = &table.buckets[at]
    while mc_unlikely(places_taken(bucket) == PLACES_ALL):
        bucket.passers_by += 1
        at = (at + 1) & table.mask
        bucket = &table.buckets[at]
    place = mc_first_bit(places_taken(bucket) ^ PLACES_ALL)
    bucket.entries[place] = entry_of(hash, number)
    bucket.tags[place] = <u8>tag_of(hash)

cdef inline bint table_take(Table* table, u32 hash, u32 number) noexcept nogil:
    """Takes a number out; false when it is not in this table."""
    cdef u32 first = hash & table.mask, at = first, found
    cdef Bucket* bucket
    while True:
        bucket = &table.buckets[at]
        found = places_with(bucket, hash)
        while mc_likely(found):
            if mc_likely(bucket.entries[mc_first_bit(found)] == entry_of(hash, number)):
                bucket.tags[mc_first_bit(found)] = 0
                while mc_unlikely(first != at):
                    table.buckets[first].passers_by -= 1
                    first = (first + 1) & table.mask
                return True
            found &= found - 1
        if mc_likely(bucket.passers_by == 0):
            return False
        at = (at + 1) & table.mask
        if at == first:
            return False
