# What is known of orders: by instrument and id, by account and client order id, open ones by account.
#
# An order that is done stays known until `remembered` more orders are done or renamed.  A name is
# the client order id of an order, or one that it had before; the newest order with a name has it.
from ...machine.core.pages cimport pages_give, pages_take
from ...machine.core.records cimport mc_fold, mc_unlikely, i64, u8, u32, u64
from .pool cimport Pool, pool_at, pool_drop, pool_give, pool_init, pool_take
from .table cimport TABLE_MIN, Table, table_drop, table_hash, table_init, table_put, table_remove

cdef struct Order:          # two cache lines
    u64 order_id
    u64 account
    u64 client_order_id
    u64 client_order_tail
    i64 price
    i64 left                # of one that is done: what was taken off it
    i64 filled
    u64 turnover
    i64 turnover_high
    u64 sequence            # of the last report
    i64 time
    u64 entered             # the how-many-th order this is; 0: forgotten
    u32 instrument
    u32 session
    u32 name                # its present one; 0: none
    u32 next, before        # of the open orders of its account, newest first
    u8 side, order_type, time_in_force
    u8 status, flags, reason, field
    u8 is_open

cdef struct Name:
    u64 account
    u64 client_order_id
    u64 client_order_tail
    u32 order
    u32 hash

cdef struct Pending:        # a command under way
    Name name               # order 1: to be found; 0: not any more
    u64 order_id
    u32 instrument

cdef struct Trade:          # that may still be busted; its orders by number, and how-many-th they are
    u64 trade_id            # 0: none
    i64 price
    i64 quantity
    u64 maker_entered
    u64 taker_entered
    u32 maker
    u32 taker
    u32 instrument
    u8 flags                # of its reports
    u8 busted

cdef struct Counter:
    u32 session
    u32 is_used
    u64 last

cdef struct Orders:
    Pool orders
    Pool names
    Table by_id
    Table by_name
    Table by_pending
    u32* ring               # what is done, oldest first: twice its number, plus 1 for a name
    u64 ring_first, ring_count
    u64 remembered
    Trade* trades           # the newest, by their id
    u64 trades_kept, trades_used
    u64 entered             # orders so far
    u32* open               # hash of an account -> its newest open order
    Pending* pending
    u64 pended              # so many so far
    Counter* counters       # of the sessions of the day
    u32 counters_mask, counters_used
    u64 sequence
    u32 day
    u64 secret

cdef enum:
    ACCOUNTS = 1 << 16      # lists of open orders
    PENDING = 1 << 16
    TRADES_MAX = 1 << 20
    COUNTERS_MIN = 64
    IS_NAME = 1

cdef inline Order* order_at(const Orders* orders, u32 number) noexcept nogil:
    return <Order*>pool_at(&orders.orders, number)

cdef inline Name* name_at(const Orders* orders, u32 number) noexcept nogil:
    return <Name*>pool_at(&orders.names, number)

cdef inline void orders_drop(Orders* orders) noexcept nogil:
    pool_drop(&orders.orders)
    pool_drop(&orders.names)
    table_drop(&orders.by_id)
    table_drop(&orders.by_name)
    table_drop(&orders.by_pending)
    pages_give(orders.ring, ring_size(orders))
    pages_give(orders.trades, trades_size(orders))
    pages_give(orders.open, ACCOUNTS * sizeof(u32))
    pages_give(orders.pending, PENDING * sizeof(Pending))
    pages_give(orders.counters, counters_size(orders))

cdef inline size_t ring_size(const Orders* orders) noexcept nogil:
    return (orders.remembered * sizeof(u32) + 63) & ~<size_t>63

cdef inline size_t trades_size(const Orders* orders) noexcept nogil:
    return (orders.trades_kept * sizeof(Trade) + 63) & ~<size_t>63

cdef inline size_t counters_size(const Orders* orders) noexcept nogil:
    return (<size_t>orders.counters_mask + 1) * sizeof(Counter)

cdef inline bint orders_init(Orders* orders, u64 remembered, u64 secret) noexcept nogil:
    """Of zeroed memory; false when there is no memory, and `orders_drop` gives back what there is."""
    orders.remembered = remembered
    orders.trades_kept = remembered if remembered < TRADES_MAX else TRADES_MAX
    orders.secret = secret
    orders.counters_mask = COUNTERS_MIN - 1
    pool_init(&orders.orders, sizeof(Order))
    pool_init(&orders.names, sizeof(Name))
    orders.ring = <u32*>pages_take(ring_size(orders))
    orders.trades = <Trade*>pages_take(trades_size(orders))
    orders.open = <u32*>pages_take(ACCOUNTS * sizeof(u32))
    orders.pending = <Pending*>pages_take(PENDING * sizeof(Pending))
    orders.counters = <Counter*>pages_take(counters_size(orders))
    return (orders.ring != NULL and orders.trades != NULL and orders.open != NULL and orders.pending != NULL
            and orders.counters != NULL and table_init(&orders.by_id, TABLE_MIN)
            and table_init(&orders.by_name, TABLE_MIN) and table_init(&orders.by_pending, TABLE_MIN))

# ---------------------------------------------------------------------- by instrument and id

cdef inline u32 id_hash(const Orders* orders, u32 instrument, u64 order_id) noexcept nogil:
    return table_hash(orders.secret, order_id, instrument)

cdef inline u32 order_find(const Orders* orders, u32 instrument, u64 order_id) noexcept nogil:
    """Number of the newest order with this id; 0: none."""
    cdef u32 hash = id_hash(orders, instrument, order_id)
    cdef u64 at = hash & orders.by_id.mask
    cdef u32 number
    cdef Order* order
    while True:
        number = orders.by_id.entries[at].index
        if number == 0:
            return 0
        if orders.by_id.entries[at].hash == hash:
            order = order_at(orders, number)
            if order.order_id == order_id and order.instrument == instrument:
                return number
        at = (at + 1) & orders.by_id.mask

cdef inline bint order_enter(Orders* orders, u32 number) noexcept nogil:
    """Makes it the newest order with its id; false when there is no memory."""
    cdef Order* order = order_at(orders, number)
    cdef u32 hash = id_hash(orders, order.instrument, order.order_id)
    cdef u32 former = order_find(orders, order.instrument, order.order_id)
    if mc_unlikely(former != 0):
        table_remove(&orders.by_id, hash, former)
    return table_put(&orders.by_id, hash, number)

# ---------------------------------------------------------------------- by account and client id

cdef inline u32 name_hash(const Orders* orders, u64 account, u64 client_order_id) noexcept nogil:
    return table_hash(orders.secret, client_order_id, account)

cdef inline bint is_named(const Name* name, u64 account, u64 client_order_id, u64 tail) noexcept nogil:
    return (name.client_order_id == client_order_id and name.client_order_tail == tail
            and name.account == account)

cdef inline u32 name_find(const Orders* orders, u64 account, u64 client_order_id,
                          u64 tail) noexcept nogil:
    """Number of a name; 0: no order has it."""
    cdef u32 hash = name_hash(orders, account, client_order_id)
    cdef u64 at = hash & orders.by_name.mask
    cdef u32 number
    while True:
        number = orders.by_name.entries[at].index
        if number == 0:
            return 0
        if orders.by_name.entries[at].hash == hash:
            if is_named(name_at(orders, number), account, client_order_id, tail):
                return number
        at = (at + 1) & orders.by_name.mask

cdef inline u32 name_give(Orders* orders, u32 number, u64 client_order_id, u64 tail) noexcept nogil:
    """One more name for an order, which another order with it loses; 0 when there is no memory."""
    cdef u64 account = order_at(orders, number).account
    cdef u32 former = name_find(orders, account, client_order_id, tail)
    cdef u32 given = pool_take(&orders.names)
    cdef Name* name
    if given == 0:
        return 0
    name = name_at(orders, given)
    name.account, name.client_order_id, name.client_order_tail = account, client_order_id, tail
    name.order = number
    name.hash = name_hash(orders, account, client_order_id)
    if former:
        table_remove(&orders.by_name, name.hash, former)
    return given if table_put(&orders.by_name, name.hash, given) else 0

# ---------------------------------------------------------------------- open ones, by account

cdef inline u32* open_of(const Orders* orders, u64 account) noexcept nogil:
    return &orders.open[mc_fold(account ^ orders.secret, 0x9e3779b97f4a7c15u) & (ACCOUNTS - 1)]

cdef inline void order_open(Orders* orders, u32 number) noexcept nogil:
    cdef Order* order = order_at(orders, number)
    cdef u32* first = open_of(orders, order.account)
    order.next = first[0]
    order.is_open = True
    if first[0]:
        order_at(orders, first[0]).before = number
    first[0] = number

cdef inline void order_done(Orders* orders, u32 number) noexcept nogil:
    """Takes it from the open ones; it stays known for a while."""
    cdef Order* order = order_at(orders, number)
    if order.is_open:
        order.is_open = False
        if order.next:
            order_at(orders, order.next).before = order.before
        if order.before:
            order_at(orders, order.before).next = order.next
        else:
            open_of(orders, order.account)[0] = order.next
    remember(orders, number * 2)

cdef inline void remember(Orders* orders, u32 what) noexcept nogil:
    """Keeps an order that is done, or a former name, and forgets the oldest if there are too many."""
    cdef u64 at = orders.ring_first + orders.ring_count
    if at >= orders.remembered:
        at -= orders.remembered
    if orders.ring_count == orders.remembered:
        forget(orders, orders.ring[at])
        orders.ring_first += 1
        if orders.ring_first == orders.remembered:
            orders.ring_first = 0
    else:
        orders.ring_count += 1
    orders.ring[at] = what

cdef inline void forget(Orders* orders, u32 what) noexcept nogil:
    cdef u32 number = what // 2
    cdef Order* order
    if what & IS_NAME:
        name_forget(orders, number)
        return
    order = order_at(orders, number)
    if order.name:
        name_forget(orders, order.name)
    table_remove(&orders.by_id, id_hash(orders, order.instrument, order.order_id), number)
    order.entered = 0
    pool_give(&orders.orders, number)

cdef inline void name_forget(Orders* orders, u32 number) noexcept nogil:
    table_remove(&orders.by_name, name_at(orders, number).hash, number)
    pool_give(&orders.names, number)

# ---------------------------------------------------------------------- trades

cdef inline Trade* trade_at(Orders* orders, u64 trade_id) noexcept nogil:
    """The place of a trade, which may be another's."""
    cdef u64 at = trade_id % orders.trades_kept
    if at >= orders.trades_used:
        orders.trades_used = at + 1
    return &orders.trades[at]

cdef inline bint is_known(const Orders* orders, u32 number, u64 entered) noexcept nogil:
    """False for an order that has been forgotten since."""
    return order_at(orders, number).entered == entered

# ---------------------------------------------------------------------- under way

cdef inline Pending* pending_find(const Orders* orders, u64 account, u64 client_order_id,
                                  u64 tail) noexcept nogil:
    cdef u32 hash = name_hash(orders, account, client_order_id)
    cdef u64 at = hash & orders.by_pending.mask
    cdef Pending* found
    while orders.by_pending.entries[at].index:
        if orders.by_pending.entries[at].hash == hash:
            found = &orders.pending[orders.by_pending.entries[at].index - 1]
            if is_named(&found.name, account, client_order_id, tail):
                return found
        at = (at + 1) & orders.by_pending.mask
    return NULL

cdef inline void pending_end(Orders* orders, Pending* pending) noexcept nogil:
    if pending != NULL and pending.name.order:
        pending.name.order = 0
        table_remove(&orders.by_pending, pending.name.hash, <u32>(pending - orders.pending) + 1)

cdef inline bint pending_begin(Orders* orders, u64 account, u64 client_order_id, u64 tail,
                               u64 order_id, u32 instrument) noexcept nogil:
    """The newest `PENDING` are kept; false when there is no memory."""
    cdef u32 at = orders.pended & (PENDING - 1)
    cdef Pending* pending = &orders.pending[at]
    pending_end(orders, pending_find(orders, account, client_order_id, tail))
    pending_end(orders, pending)
    orders.pended += 1
    pending.name.account, pending.name.client_order_id = account, client_order_id
    pending.name.client_order_tail, pending.name.order = tail, 1
    pending.name.hash = name_hash(orders, account, client_order_id)
    pending.order_id, pending.instrument = order_id, instrument
    return table_put(&orders.by_pending, pending.name.hash, at + 1)

# ---------------------------------------------------------------------- numbers of sessions

cdef inline Counter* counter_of(Orders* orders, u32 session) noexcept nogil:
    """That of a session, or the free one where it belongs."""
    cdef u32 at = (session * <u32>0x9e3779b1) >> 7 & orders.counters_mask
    while orders.counters[at].is_used and orders.counters[at].session != session:
        at = (at + 1) & orders.counters_mask
    return &orders.counters[at]

cdef inline u64 next_number(Orders* orders, u32 session) noexcept nogil:
    """The number of the next report of a session; 0 when there is no memory."""
    cdef Counter* counter = counter_of(orders, session)
    if mc_unlikely(not counter.is_used):
        if orders.counters_used * 2 > orders.counters_mask:
            if not counters_grow(orders):
                return 0
            counter = counter_of(orders, session)
        counter.is_used = True
        counter.session = session
        orders.counters_used += 1
    counter.last += 1
    return counter.last

cdef inline bint counters_grow(Orders* orders) noexcept nogil:
    cdef Counter* former = orders.counters
    cdef size_t size = counters_size(orders)
    cdef u32 count = orders.counters_mask + 1
    cdef u32 at
    cdef Counter* grown = <Counter*>pages_take(size * 2)
    if grown == NULL:
        return False
    orders.counters = grown
    orders.counters_mask = count * 2 - 1
    for at in range(count):
        if former[at].is_used:
            counter_of(orders, former[at].session)[0] = former[at]
    pages_give(former, size)
    return True
