# Looking ahead in a batch: what the next commands will touch is asked into the cache.
#
# Commands pass in strips through stages before their turn; each stage asks for what the next one
# reads.  Nothing here changes anything or decides anything.
from ..._book cimport Book
from .dedup cimport Again, Repeats, repeats_hash
from .ids cimport ids_guess, ids_hash, ids_prefetch
from .ladder cimport Ladder, ladder_key, ladder_ask, place_of
from .pool cimport Level, Node, Order
from .records cimport NEW, ORDER_KINDS, in_set, mc_command, mc_likely, mc_prefetch, mc_unlikely, u8, u32, u64

cdef enum:
    STRIP = 8               # commands that go through the stages of looking ahead together
    STRIPS = 4              # one in work and one in each stage of looking ahead
    LARGE = 32768           # orders from which the levels are looked at too: 2 MiB
    LARGE_ACCOUNTS = 64     # with answers, from which they are looked at

cdef struct Ahead:          # what is known of a command before its turn
    Book* book              # NULL: not an order's command, or for no book
    u32 hash                # of its order id
    Order* order            # which it seems to name, or NULL
    Level* level            # where a new order seems to go, or NULL
    Again again             # of its client order id, in a machine that remembers answers

cdef struct Strip:
    u32 length              # 0: there are no more commands
    u32 ids                 # how many have client order ids, in a machine that remembers answers
    Ahead ahead[STRIP]
    u8 with_id[STRIP]       # which

cdef inline Book* book_for(Book** books, u32 books_count, const mc_command* command) noexcept nogil:
    """The book of an order's command; NULL when it is none, or for none."""
    if mc_unlikely(command.instrument - 1 >= books_count
                   or not in_set(ORDER_KINDS, command.kind)):
        return NULL
    return books[command.instrument - 1]

cdef inline void look_at_books(Book** books, u32 books_count, const mc_command* commands,
                               size_t count) noexcept nogil:
    """Before the first stage, in a large machine: the books themselves."""
    cdef size_t i
    cdef const char* book
    for i in range(STRIP if count > STRIP else count):
        if commands[i].instrument - 1 < books_count:
            book = <const char*>books[commands[i].instrument - 1]
            mc_prefetch(book)
            mc_prefetch(book + 64)
            mc_prefetch(book + 128)
            mc_prefetch(book + 192)

cdef inline void look_at_roots(const Strip* strip, const mc_command* commands) noexcept nogil:
    """First stage of a large machine: where the way to a new order's level begins."""
    cdef size_t i
    cdef const Ladder* ladder
    cdef u64 key
    for i in range(strip.length):
        if strip.ahead[i].book != NULL and commands[i].kind == NEW:
            ladder = &strip.ahead[i].book.sides[(commands[i].side - 1) & 1]
            key = ladder_key(ladder, commands[i].price)
            if ladder.height > 1 and key >> 6 != ladder.hot_block:
                mc_prefetch(&(<Node*>ladder.root).child[place_of(key, ladder.height)])

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

cdef inline void look_at_ids(Book** books, u32 books_count, const mc_command* commands,
                             size_t count, const Repeats* repeats, Strip* strip) noexcept nogil:
    """First stage: a strip's books and hashes, asking for the places of its ids in their tables."""
    cdef size_t i
    cdef Book* book
    cdef const mc_command* command
    cdef u64 ids = 0
    strip.length = STRIP if count > STRIP else <u32>count
    strip.ids = 0
    for i in range(strip.length):
        command = &commands[i]
        mc_prefetch(command + 3 * STRIP)                    # beyond the end is harmless
        mc_prefetch(&(command + 3 * STRIP).instrument)
        book = book_for(books, books_count, command)
        strip.ahead[i].book = book
        ids |= command.client_order_id
        if mc_unlikely(book == NULL):
            strip.length = i + 1
            break
        strip.ahead[i].order = NULL
        strip.ahead[i].hash = ids_hash(&book.ids, command.order_id)
        ids_prefetch(&book.ids, strip.ahead[i].hash)
    if repeats != NULL and mc_unlikely(ids != 0):
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

cdef inline void look_at_orders(Strip* strip) noexcept nogil:
    """Second stage: the places are there, and the orders are asked for."""
    cdef size_t i
    cdef Ahead* ahead
    for i in range(strip.length):
        ahead = &strip.ahead[i]
        if ahead.book != NULL:
            ahead.order = ids_guess(&ahead.book.ids, ahead.hash)
            mc_prefetch(ahead.order)

cdef inline void look_at_new(Strip* strip, const mc_command* commands) noexcept nogil:
    """Second stage of a large machine: the levels that new orders go to."""
    cdef size_t i
    cdef Ladder* ladder
    cdef Ahead* ahead
    for i in range(strip.length):
        ahead = &strip.ahead[i]
        ahead.level = NULL
        if ahead.book != NULL and commands[i].kind == NEW:
            ladder = &ahead.book.sides[(commands[i].side - 1) & 1]
            ahead.level = ladder_ask(ladder, ladder_key(ladder, commands[i].price))

cdef inline void look_around(Strip* strip) noexcept nogil:
    """Third stage of a large machine: neighbours and level of an order, the last of a level.

    What is seen here may be out of date, but is memory of the machine whatever comes.
    """
    cdef size_t i
    cdef Ladder* ladder
    cdef Order* order
    cdef Ahead* ahead
    for i in range(strip.length):
        ahead = &strip.ahead[i]
        if ahead.book == NULL:
            return
        if ahead.level != NULL:
            mc_prefetch(ahead.level.tail)
        elif ahead.order != NULL:
            order = ahead.order
            mc_prefetch(order.prev)
            mc_prefetch(order.next)
            ladder = &ahead.book.sides[(order.side - 1) & 1]
            ladder_ask(ladder, ladder_key(ladder, order.price))
