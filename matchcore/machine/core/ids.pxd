# Instrument and order id -> order: a hash table of cache-line buckets, one for all books, so that
# the place of an id is known before its book is read.
#
# A bucket holds seven orders, a tag of each and a count of the ids that found it full and went
# on to the next; a look-up reads one line and, but for one wrong tag in forty, the order itself.
# The hash has a secret, so that nobody can choose ids that pile up; it never shows in any result.
# When the table is too full, or far too empty, a new one is filled a few buckets per command
# while both are looked at, and the old one goes back to the system step by step: no command pays
# for a whole copy.
from libc.string cimport memset
from .pages cimport Arena, arena_give, arena_give_rest, arena_give_step, arena_take
from .pool cimport Order
from .records cimport (mc_bytes_equal, mc_bytes_set, mc_first_bit, mc_fold, mc_likely, mc_prefetch,
                        mc_unlikely, u8, u32, u64)

cdef struct Bucket:
    u64 tags                # bytes 0 to 6: of the seven places, 0 when free; byte 7: passers-by
    Order* order[7]

cdef struct Table:
    Bucket* buckets
    u64 mask                # buckets - 1
    u64 gone                # of a table being moved out of: buckets before this one are empty

cdef struct Ids:            # what most commands read comes first
    u64 secret              # odd
    u64 secret_of_books     # odd
    u64 count               # in both tables together
    u64 high                # at this count there is work to do before another id comes; 0 while moving
    Table now
    Table old               # without buckets when nothing is moving
    u64 low                 # below this count the table should shrink
    Arena* arena            # where the tables come from

cdef enum:
    IDS_BUCKETS_MIN = 4
    IDS_FULL = 5            # ids per bucket, of 7, from which the table doubles
    IDS_MOVES = 2           # orders taken over per command while moving: done before the table is full
    IDS_PASSES = 4          # or old buckets passed
    PASSERS_BY_MAX = 255    # from here on the count is not kept any more: never less
    PLACE_ELSEWHERE = 255   # Order.place of an order that is not in its own bucket

cdef inline u32 ids_hash(const Ids* ids, u32 instrument, u64 order_id) noexcept nogil:
    """As even as chance for any pattern of ids: one fold alone is not, nor two plain products.

    Both parts have a secret: who knew how one makes up for the other could send an id for every
    instrument to the same bucket.
    """
    cdef u64 h = mc_fold(order_id ^ <u64>0x9E3779B97F4A7C15, ids.secret) + instrument * ids.secret_of_books
    return <u32>((h ^ h >> 32) * ids.secret >> 32)

cdef inline u32 ids_hash_of(const Ids* ids, const Order* order) noexcept nogil:
    return ids_hash(ids, order.instrument, order.order_id)

cdef inline u8 tag_of(u32 hash) noexcept nogil:
    """Of the bits that choose no bucket in any but giant tables; never 0."""
    return <u8>(hash >> 24 | 0x80)

cdef inline u32 places_with(u64 tags, u32 hash) noexcept nogil:
    """A bit for each place, 0 to 6, that holds the hash's tag."""
    return mc_bytes_equal(tags, tag_of(hash))

cdef inline u32 places_free(u64 tags) noexcept nogil:
    """A bit for each place, 0 to 6, that holds no order."""
    return mc_bytes_set(tags) ^ 0x7f

cdef inline u64 passers_by(const Bucket* bucket) noexcept nogil:
    return bucket.tags >> 56

cdef inline u64 table_first(const Table* table, u32 hash) noexcept nogil:
    """Where a search begins; what stood in buckets that are gone can only be behind them."""
    cdef u64 at = hash & table.mask
    return at if at >= table.gone else table.gone

cdef inline u64 table_next(const Table* table, u64 at) noexcept nogil:
    at = (at + 1) & table.mask
    return at if at >= table.gone else table.gone

cdef inline Order* table_find(const Table* table, u64 first, u32 hash, u32 instrument,
                              u64 order_id) noexcept nogil:
    cdef u64 at = first
    cdef u32 found
    cdef const Bucket* bucket
    cdef Order* order
    while True:
        bucket = &table.buckets[at]
        found = places_with(bucket.tags, hash)
        while found:
            order = bucket.order[mc_first_bit(found)]
            if mc_likely(order.order_id == order_id and order.instrument == instrument):
                return order
            found &= found - 1
        if mc_likely(passers_by(bucket) == 0):
            return NULL
        at = table_next(table, at)
        if at == first:
            return NULL

cdef inline void place_clear(Bucket* bucket, u32 place) noexcept nogil:
    bucket.tags &= ~(<u64>0xff << 8 * place)     # a whole word, as it is read: the cache forwards it

cdef inline bint table_remove(Table* table, const Order* order, u32 hash) noexcept nogil:
    """Takes an order out; false when it is not there."""
    cdef u64 first = table_first(table, hash), at = first
    cdef u32 found
    cdef Bucket* bucket
    while True:
        bucket = &table.buckets[at]
        found = places_with(bucket.tags, hash)
        while found:
            if bucket.order[mc_first_bit(found)] == order:
                place_clear(bucket, mc_first_bit(found))
                while mc_unlikely(first != at):
                    bucket = &table.buckets[first]
                    if passers_by(bucket) < PASSERS_BY_MAX:
                        bucket.tags -= <u64>1 << 56
                    first = table_next(table, first)
                return True
            found &= found - 1
        if mc_likely(passers_by(bucket) == 0):
            return False
        at = table_next(table, at)
        if at == first:
            return False

cdef inline void table_put(Table* table, Order* order, u32 hash) noexcept nogil:
    """Enters an order; there is a free place somewhere."""
    cdef u64 at = hash & table.mask
    cdef Bucket* bucket = &table.buckets[at]
    cdef u32 place
    while mc_unlikely(places_free(bucket.tags) == 0):
        if passers_by(bucket) < PASSERS_BY_MAX:
            bucket.tags += <u64>1 << 56
        at = (at + 1) & table.mask
        bucket = &table.buckets[at]
    place = mc_first_bit(places_free(bucket.tags))
    bucket.order[place] = order
    bucket.tags |= <u64>tag_of(hash) << 8 * place
    order.place = <u8>place if mc_likely(at == hash & table.mask) else PLACE_ELSEWHERE

cdef inline size_t table_size(const Table* table) noexcept nogil:
    return (table.mask + 1) * sizeof(Bucket)

cdef inline u64 spread(u64 secret) noexcept nogil:
    """A number like any other, also of a secret that is small."""
    secret = (secret ^ secret >> 30) * <u64>0xBF58476D1CE4E5B9 + <u64>0x9E3779B97F4A7C15
    secret = (secret ^ secret >> 27) * <u64>0x94D049BB133111EB
    return secret ^ secret >> 31

cdef inline void ids_init(Ids* ids, Arena* arena, u64 secret) noexcept nogil:
    memset(ids, 0, sizeof(Ids))
    ids.arena = arena
    ids.secret = spread(secret) | 1
    ids.secret_of_books = spread(ids.secret) | 1

cdef inline void ids_drop(Ids* ids) noexcept nogil:
    arena_give(ids.arena, ids.now.buckets, table_size(&ids.now))
    arena_give_rest(ids.arena, ids.old.buckets, table_size(&ids.old), ids.old.gone * sizeof(Bucket))
    ids.now.buckets = ids.old.buckets = NULL

cdef inline Order* ids_find(const Ids* ids, u32 hash, u32 instrument, u64 order_id) noexcept nogil:
    """The live order of an id in an instrument's book, or NULL, once `ids_ready` was true.  O(1)."""
    cdef Order* order = table_find(&ids.now, hash & ids.now.mask, hash, instrument, order_id)
    if mc_unlikely(order == NULL and ids.old.buckets != NULL):
        order = table_find(&ids.old, table_first(&ids.old, hash), hash, instrument, order_id)
    return order

cdef inline Order* ids_look_up(const Ids* ids, u32 instrument, u64 order_id) noexcept nogil:
    """`ids_find` at any time, of an id that has not been hashed."""
    if ids.count == 0:
        return NULL
    return ids_find(ids, ids_hash(ids, instrument, order_id), instrument, order_id)

cdef inline void ids_set_bounds(Ids* ids) noexcept nogil:
    cdef u64 buckets = ids.now.mask + 1
    ids.high = IDS_FULL * buckets
    ids.low = buckets >> 2 if buckets > 4 * IDS_BUCKETS_MIN else 0

cdef inline bint ids_resize(Ids* ids, u64 buckets) noexcept nogil:
    cdef Bucket* fresh = <Bucket*>arena_take(ids.arena, buckets * sizeof(Bucket))
    if fresh == NULL:
        return False
    ids.old = ids.now
    ids.now.buckets = fresh
    ids.now.mask = buckets - 1
    if ids.old.buckets == NULL:
        ids_set_bounds(ids)
    else:
        ids.high = ids.low = 0
    return True

cdef inline void ids_shrink(Ids* ids) noexcept nogil:
    if mc_unlikely(ids.count < ids.low):
        ids_resize(ids, (ids.now.mask + 1) >> 2)

cdef inline void ids_move_some(Ids* ids) noexcept nogil:
    """Takes a few orders over, or passes a few empty buckets: never much for one command."""
    cdef Table* old = &ids.old
    cdef Bucket* bucket
    cdef Order* order
    cdef u32 live, place, moved = 0, passed = 0
    while moved < IDS_MOVES and passed < IDS_PASSES:
        bucket = &old.buckets[old.gone]
        live = mc_bytes_set(bucket.tags)
        if live:
            place = mc_first_bit(live)
            order = bucket.order[place]
            place_clear(bucket, place)
            table_put(&ids.now, order, ids_hash_of(ids, order))
            moved += 1
            continue
        bucket.tags = 0         # nobody passes by any more: so it reads as fresh
        passed += 1
        old.gone += 1
        arena_give_step(ids.arena, old.buckets, table_size(old), old.gone * sizeof(Bucket))
        if old.gone > old.mask:
            arena_give_rest(ids.arena, old.buckets, table_size(old), table_size(old))
            memset(old, 0, sizeof(Table))
            ids_set_bounds(ids)
            ids_shrink(ids)     # what has left while it moved may have been almost all
            return

cdef inline bint ids_work(Ids* ids, u32 commands) noexcept nogil:
    """What there is to do at ids.high: move on, or begin to.  False when there is no memory."""
    if ids.now.buckets == NULL:
        return ids_resize(ids, IDS_BUCKETS_MIN)
    if ids.old.buckets == NULL:
        return (ids_resize(ids, 2 * (ids.now.mask + 1))
                or ids.count + commands <= 6 * (ids.now.mask + 1))
    while commands != 0 and ids.old.buckets != NULL:
        ids_move_some(ids)
        commands -= 1
    return True

cdef inline bint ids_has(const Ids* ids, u32 commands) noexcept nogil:
    """True when there is room for an id of each of so many commands, and no work to do before."""
    return ids.count + commands <= ids.high

cdef inline bint ids_ready(Ids* ids, u32 commands) noexcept nogil:
    """`ids_has` after making it so, or doing some of the work; false when there is no memory."""
    return mc_likely(ids_has(ids, commands)) or ids_work(ids, commands)

cdef inline void ids_put(Ids* ids, Order* order, u32 hash) noexcept nogil:
    """Enters an order whose id is not there; ids_ready has made room."""
    table_put(&ids.now, order, hash)
    ids.count += 1

cdef inline void ids_remove(Ids* ids, const Order* order, u32 hash) noexcept nogil:
    """Takes out an order that is there, and lets the table shrink when it is almost empty."""
    if mc_likely(order.place != PLACE_ELSEWHERE and ids.old.buckets == NULL):
        place_clear(&ids.now.buckets[hash & ids.now.mask], order.place)
    elif not table_remove(&ids.now, order, hash):
        table_remove(&ids.old, order, hash)
    ids.count -= 1
    ids_shrink(ids)

cdef inline const Bucket* ids_bucket(const Ids* ids, u32 hash) noexcept nogil:
    return &ids.now.buckets[hash & ids.now.mask]

cdef inline void ids_prefetch(const Ids* ids, u32 hash) noexcept nogil:
    mc_prefetch(ids_bucket(ids, hash))

cdef inline Order* ids_guess(const Ids* ids, u32 hash) noexcept nogil:
    """The order that a hash belongs to, as a rule, or NULL; reads its bucket only.

    There is a table."""
    cdef const Bucket* bucket
    cdef u32 found
    bucket = ids_bucket(ids, hash)
    found = places_with(bucket.tags, hash)
    return bucket.order[mc_first_bit(found)] if found else NULL
