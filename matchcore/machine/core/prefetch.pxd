# Looking ahead in a batch: what the next commands will touch is asked into the cache.
#
# Commands pass in strips through stages before their turn; each stage asks for what the next one
# reads.  Nothing here changes anything or decides anything.
from ..._book cimport Book
from .dedup cimport Again, Repeats, repeats_hash
from .ids cimport Ids, ids_guess, ids_hash, ids_prefetch
from .ladder cimport Ladder, ladder_key, ladder_peek, place_of
from .pool cimport Leaf, Level, Node, Order
from .records cimport (AMEND, NEW, ORDER_KINDS, in_set, mc_command, mc_likely, mc_prefetch, mc_unlikely,
                        u8, u32, u64)

cdef enum:
    STRIP = 8               # commands that go through the stages of looking ahead together
    STAGES = 4              # of looking ahead
    STRIPS = 8              # places for a strip in each stage and one in work; a power of two
    LARGE = 32768           # orders from which more than ids is looked at: 2 MiB
    LARGE_ACCOUNTS = 64     # with answers, from which they are looked at

cdef struct Ahead:          # what is known of a command before its turn
    Book* book
    u32 hash                # of its order id
    Order* order            # which it seems to name, or NULL
    Level* level            # where a new order seems to go, or NULL
    Again again             # of its client order id, in a machine that remembers answers

cdef struct Strip:
    u32 length              # 0: there are no more commands of orders
    bint stopped            # by a command that is not an order's, or for no book
    u32 ids                 # how many have client order ids, in a machine that remembers answers
    const mc_command* commands
    Ahead ahead[STRIP]
    u8 with_id[STRIP]       # which

cdef inline Book* book_for(Book** books, u32 books_count, const mc_command* command) noexcept nogil:
    """The book of an order's command; NULL when it is none, or for none."""
    if mc_unlikely(command.instrument - 1 >= books_count
                   or not in_set(ORDER_KINDS, command.kind)):
        return NULL
    return books[command.instrument - 1]

cdef inline Level* ladder_ask(const Ladder* ladder, u64 key) noexcept nogil:
    """Asks for the level at a key, or where it would be, and its leaf; NULL: there is no leaf.

    Reads only nodes.
    """
    cdef Leaf* leaf = ladder_peek(ladder, key)
    if leaf == NULL:
        return NULL
    mc_prefetch(leaf)
    mc_prefetch(&leaf.level[key & 63])
    return &leaf.level[key & 63]

cdef inline void look_at_repeats(const Repeats* repeats, Strip* strip,
                                 const mc_command* commands) noexcept nogil:
    """First stage, for client order ids: their hashes, asking for buckets and heads."""
    cdef u32 i
    cdef Again* again
    for i in range(strip.length):   # which of them have one is hard to foresee
        strip.with_id[strip.ids] = <u8>i
        strip.ids += commands[i].client_order_id != 0
    for i in range(strip.ids):
        again = &strip.ahead[strip.with_id[i]].again
        again[0] = repeats_hash(repeats, commands[strip.with_id[i]].account,
                                commands[strip.with_id[i]].client_order_id)
        mc_prefetch(&repeats.table.buckets[again.hash & repeats.table.mask])
        mc_prefetch(&repeats.memory.heads[again.head])
        if mc_unlikely(repeats.old.buckets != NULL):
            mc_prefetch(&repeats.old.buckets[again.hash & repeats.old.mask])

cdef inline void look_at_ids(const Ids* ids, Book** books, u32 books_count, const mc_command* commands,
                             size_t count, const Repeats* repeats, bint large, Strip* strip) noexcept nogil:
    """First stage: a strip's books and hashes, asking for the places of its ids in their table."""
    cdef const mc_command* command = commands
    cdef const mc_command* end
    cdef Ahead* ahead = strip.ahead
    cdef Book* book
    cdef u64 clients = 0
    strip.length = STRIP if count > STRIP else <u32>count
    strip.stopped = False
    strip.ids = 0
    strip.commands = commands
    end = commands + strip.length
    while command < end:
        mc_prefetch(command + 3 * STRIP)                    # beyond the end is harmless
        mc_prefetch(&(command + 3 * STRIP).instrument)
        book = book_for(books, books_count, command)
        if mc_unlikely(book == NULL):
            strip.length = <u32>(command - commands)
            strip.stopped = True
            break
        clients |= command.client_order_id
        ahead.book = book
        ahead.order = NULL
        ahead.hash = ids_hash(ids, command.instrument, command.order_id)
        ids_prefetch(ids, ahead.hash)
        if large:
            mc_prefetch(book)
            mc_prefetch(<const char*>book + 64)
        command += 1
        ahead += 1
    if repeats != NULL and mc_unlikely(clients != 0):
        look_at_repeats(repeats, strip, commands)

cdef inline void look_at_accounts(const Repeats* repeats, const Strip* strip) noexcept nogil:
    """Second stage with many accounts: the accounts."""
    cdef u32 i
    for i in range(strip.ids):
        mc_prefetch(&repeats.memory.accounts[
            repeats.memory.heads[strip.ahead[strip.with_id[i]].again.head]])

cdef inline void look_at_newest(const Repeats* repeats, const Strip* strip) noexcept nogil:
    """Third stage with many accounts: the last answer of an account, which will point to another."""
    cdef u32 i, account
    for i in range(strip.ids):
        account = repeats.memory.heads[strip.ahead[strip.with_id[i]].again.head]
        mc_prefetch(&repeats.memory.answers[repeats.memory.accounts[account].newest])

cdef inline void look_at_orders(const Ids* ids, Strip* strip) noexcept nogil:
    """Second stage of a large machine: the orders, and where the way to a new one's level begins."""
    cdef const mc_command* command = strip.commands
    cdef const mc_command* end = command + strip.length
    cdef Ahead* ahead = strip.ahead
    cdef const Ladder* ladder
    cdef u64 key
    while command < end:
        ahead.level = NULL
        if command.kind != NEW:
            ahead.order = ids_guess(ids, ahead.hash)
            mc_prefetch(ahead.order)
        else:
            ladder = &ahead.book.sides[(command.side - 1) & 1]
            key = ladder_key(ladder, command.price)
            if key >> 6 == ladder.hot_block:
                mc_prefetch(ladder.hot)
                ahead.level = &ladder.hot.level[key & 63]
                mc_prefetch(ahead.level)
            elif ladder.height > 1:
                mc_prefetch(&(<Node*>ladder.root).child[place_of(key, ladder.height)])
        command += 1
        ahead += 1

cdef inline void look_at_levels(Strip* strip) noexcept nogil:
    """Third stage of a large machine: levels, and the neighbours of an order.

    What is seen here may be out of date, but is memory of the machine whatever comes.
    """
    cdef const mc_command* command = strip.commands
    cdef const mc_command* end = command + strip.length
    cdef Ahead* ahead = strip.ahead
    cdef const Ladder* ladder
    cdef const Order* order
    while command < end:
        order = ahead.order
        if order != NULL:
            mc_prefetch(order.prev)
            mc_prefetch(order.next)
            ladder = &ahead.book.sides[(order.side - 1) & 1]
            ladder_ask(ladder, ladder_key(ladder, order.price))
            if command.kind == AMEND:
                ahead.level = ladder_ask(ladder, ladder_key(ladder, command.price))
        elif command.kind == NEW and ahead.level == NULL:
            ladder = &ahead.book.sides[(command.side - 1) & 1]
            ahead.level = ladder_ask(ladder, ladder_key(ladder, command.price))
        command += 1
        ahead += 1

cdef inline void look_at_last(const Strip* strip) noexcept nogil:
    """Fourth stage of a large machine: the last order of the level that another one goes to."""
    cdef const Ahead* ahead = strip.ahead
    cdef const Ahead* end = ahead + strip.length
    while ahead < end:
        if ahead.level != NULL:
            mc_prefetch(ahead.level.tail)
        ahead += 1
