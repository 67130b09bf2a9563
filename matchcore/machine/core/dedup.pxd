# Account and client order id -> the first answer: what a machine remembers of commands that
# their clients may send again.
#
# Answers and accounts have numbers, from 1, in two arrays that are reserved at the first client
# order id and touched as they fill; nothing is ever moved.  The number given back last is taken
# next, so a full window goes through its memory in order, again and again.  A table of open
# places finds an answer: an entry holds the whole hash, so no answer is read but the right one.
# A small window needs a small table, which the cache holds: at half full one of twice the size
# takes over, and a command moves a few places while both are asked.
from libc.string cimport memset

from .pages cimport Arena, pages_give, pages_take
from .pool cimport Slots, slots_drop, slots_grow, slots_init, slots_give, slots_take
from .records cimport (TRADED, i64, mc_event, mc_fold, mc_first_bit, mc_likely, mc_prefetch,
                        mc_put_word64, mc_unlikely, mc_word64, u32, u64)

cdef struct Told:           # an event of an answer, beyond its first
    u64 order_id
    u64 client_order_id
    u64 account
    i64 price
    i64 quantity
    i64 left
    i64 taker_left          # of a trade, whose taker is the first event's order; else 0
    u64 trade_id
    u64 word                # instrument, kind, side, reason, field
    Told* next

cdef struct Answer:
    u64 client_order_id     # of the command
    u64 count               # events of the answer, told and not
    Told* more              # the second event and so on
    u32 hash
    u32 account             # number of its account
    u32 older               # of all answers: their numbers, or 0
    u32 newer               # likewise; of a free place: the next free one
    u32 after               # the next newer of the same account
    u32 unused
    u64 sequence            # the first event, which is no trade: its taker's fields are zero
    u64 order_id
    u64 client_order_id_told
    u64 account_told
    i64 price
    i64 quantity
    i64 left
    u64 word

cdef struct Account:
    u64 account
    u32 count               # answers; 0 in a place that is free
    u32 oldest
    u32 newest
    u32 chain               # the next with this head; of a free place: the next free one

cdef enum:                  # a test holds the first three against matchcore.machine.dedup
    ANSWERS_PER_ACCOUNT = 1024
    ANSWERS_MAX = 1 << 18
    EVENTS_KEPT = 16        # of an answer: the first fifteen, and its last
    PLACES_MIN = 1 << 11    # of a table
    MOVES = 8               # places of the old table that a command looks at
    HEADS = 1 << 16         # of the chains of accounts

cdef struct Table:
    u64* places             # hash << 32 | number of an answer; 0: empty
    u32 count               # of places
    u32 shift               # the place of a hash is its first bits: hash >> shift

cdef struct Memory:         # one piece, asked for at the first client order id
    u32 heads[HEADS]        # numbers of accounts
    Account accounts[ANSWERS_MAX + 1]
    Answer answers[ANSWERS_MAX + 1]

cdef struct Repeats:
    Memory* memory          # NULL before the first client order id
    Table table
    Table old               # being moved to the other; or without places
    u32 moved               # places of the old one before this are empty
    Slots told
    u64 secret
    u64 count               # answers
    u64 events              # told, of all answers
    u32 oldest
    u32 newest
    u32 free_answer         # last in, first out
    u32 free_account
    u32 made_answers        # numbers ever taken
    u32 made_accounts
    u32 account             # the account used last: the next is often the same
    Answer* open            # of the command in work, or NULL
    Told* last              # its last event but the first, or NULL
    const mc_event* start   # what the command in work says into this buffer, from here
    const Answer* telling   # the answer that is told again when the buffer is full
    const Told* next        # and the event to go on with; NULL: the first

cdef inline void repeats_init(Repeats* repeats, Arena* arena, u64 secret) noexcept nogil:
    memset(repeats, 0, sizeof(Repeats))
    slots_init(&repeats.told, arena, sizeof(Told), 32)
    repeats.secret = secret | 1

cdef inline void repeats_drop(Repeats* repeats) noexcept nogil:
    slots_drop(&repeats.told)
    pages_give(repeats.memory, sizeof(Memory))
    pages_give(repeats.table.places, repeats.table.count * sizeof(u64))
    pages_give(repeats.old.places, repeats.old.count * sizeof(u64))
    repeats.memory = NULL
    repeats.table.places = repeats.old.places = NULL

cdef inline bint table_grow(Repeats* repeats) noexcept nogil:
    """A table, or one of twice the size in its place; false when there is no memory."""
    cdef u32 count = 2 * repeats.table.count if repeats.table.count else PLACES_MIN
    cdef u64* places = <u64*>pages_take(count * sizeof(u64))
    if places == NULL:
        return False
    repeats.old = repeats.table
    repeats.moved = 0
    repeats.table.places = places
    repeats.table.count = count
    repeats.table.shift = 32 - mc_first_bit(count)
    return True

cdef inline bint repeats_ready(Repeats* repeats) noexcept nogil:
    """Room for one more answer of any length and its account; false when there is no memory."""
    if mc_unlikely(repeats.memory == NULL):
        repeats.memory = <Memory*>pages_take(sizeof(Memory))
        if repeats.memory == NULL:
            return False
    if mc_unlikely(repeats.table.count == 0 or 2 * repeats.count > repeats.table.count):
        if not table_grow(repeats):
            return False
    return mc_likely(repeats.told.spare >= EVENTS_KEPT) or slots_grow(&repeats.told)

cdef inline u32 repeats_hash(const Repeats* repeats, u64 account, u64 client) noexcept nogil:
    """As even as chance for any accounts and ids: two rounds with the secret, as for order ids."""
    cdef u64 h = mc_fold(client ^ <u64>0x9E3779B97F4A7C15, repeats.secret)
    h = mc_fold(h ^ account ^ <u64>0xD1B54A32D192ED03, repeats.secret ^ <u64>0x8EBC6AF09C88C6E2)
    return <u32>((h ^ h >> 32) * repeats.secret >> 32)

cdef inline u32* account_head(Repeats* repeats, u64 account) noexcept nogil:
    return &repeats.memory.heads[repeats_hash(repeats, account, 0) & (HEADS - 1)]

cdef inline u32 account_find(Repeats* repeats, u64 account) noexcept nogil:
    """The number of an account with answers, or 0."""
    cdef const Account* accounts = repeats.memory.accounts
    cdef u32 number = repeats.account
    if mc_likely(accounts[number].account == account and accounts[number].count != 0):
        return number
    number = account_head(repeats, account)[0]
    while number != 0 and accounts[number].account != account:
        number = accounts[number].chain
    repeats.account = number
    return number

cdef inline u32 account_put(Repeats* repeats, u64 account) noexcept nogil:
    """An account that was not there."""
    cdef u32* head = account_head(repeats, account)
    cdef u32 number = repeats.free_account
    cdef Account* record
    if number == 0:
        repeats.made_accounts += 1
        number = repeats.made_accounts
    record = &repeats.memory.accounts[number]
    if number == repeats.free_account:
        repeats.free_account = record.chain
    record.account = account
    record.count = record.oldest = record.newest = 0
    record.chain = head[0]
    head[0] = number
    repeats.account = number
    return number

cdef inline void account_take(Repeats* repeats, u32 number) noexcept nogil:
    """An account has no answer left, and gives its place back."""
    cdef Account* accounts = repeats.memory.accounts
    cdef u32* link = account_head(repeats, accounts[number].account)
    while link[0] != number:
        link = &accounts[link[0]].chain
    link[0] = accounts[number].chain
    accounts[number].chain = repeats.free_account
    repeats.free_account = number

cdef inline Answer* table_find(Repeats* repeats, const Table* table, u64 account, u64 client,
                               u32 hash) noexcept nogil:
    cdef u32 place = hash >> table.shift
    cdef Answer* answer
    while table.places[place] != 0:
        if table.places[place] >> 32 == hash:
            answer = &repeats.memory.answers[<u32>table.places[place]]
            if (answer.client_order_id == client
                    and repeats.memory.accounts[answer.account].account == account):
                return answer
        place = (place + 1) & (table.count - 1)
    return NULL

cdef inline Answer* repeats_find(Repeats* repeats, u64 account, u64 client,
                                 u32 hash) noexcept nogil:
    """The answer remembered, or NULL.  O(1)."""
    cdef Answer* answer = table_find(repeats, &repeats.table, account, client, hash)
    if mc_unlikely(answer == NULL and repeats.old.places != NULL):
        answer = table_find(repeats, &repeats.old, account, client, hash)
    return answer

cdef inline void table_put(Table* table, u64 entry) noexcept nogil:
    cdef u32 place = <u32>(entry >> 32) >> table.shift
    while table.places[place] != 0:
        place = (place + 1) & (table.count - 1)
    table.places[place] = entry

cdef inline void table_empty(Table* table, u32 hole) noexcept nogil:
    """Empties a place; what stood behind it on its own way moves up, so no way has a gap."""
    cdef u32 mask = table.count - 1
    cdef u32 place = hole
    cdef u64 entry
    while True:
        place = (place + 1) & mask
        entry = table.places[place]
        if entry == 0:
            break
        if ((place - (<u32>(entry >> 32) >> table.shift)) & mask) >= ((place - hole) & mask):
            table.places[hole] = entry
            hole = place
    table.places[hole] = 0

cdef inline bint table_take(Table* table, u64 entry) noexcept nogil:
    """Takes an entry out; false when it is not in this table."""
    cdef u32 place = <u32>(entry >> 32) >> table.shift
    while table.places[place] != entry:
        if table.places[place] == 0:
            return False
        place = (place + 1) & (table.count - 1)
    table_empty(table, place)
    return True

cdef inline void table_move(Repeats* repeats) noexcept nogil:
    """A few places of the old table go to the other; at its end the old one is given back."""
    cdef u32 i
    cdef u64 entry
    for i in range(MOVES):
        entry = repeats.old.places[repeats.moved]
        if entry != 0:      # another one may move up into its place
            table_put(&repeats.table, entry)
            table_empty(&repeats.old, repeats.moved)
            continue
        repeats.moved += 1
        if repeats.moved == repeats.old.count:
            pages_give(repeats.old.places, repeats.old.count * sizeof(u64))
            repeats.old.places = NULL
            return

cdef inline void told_drop(Repeats* repeats, Told* told) noexcept nogil:
    cdef Told* next
    while told != NULL:
        next = told.next
        slots_give(&repeats.told, told)
        told = next

cdef inline void repeats_forget(Repeats* repeats, u32 account_number) noexcept nogil:
    """Forgets the oldest answer of an account; the account too, when that was all."""
    cdef Account* account = &repeats.memory.accounts[account_number]
    cdef Answer* answers = repeats.memory.answers
    cdef u32 number = account.oldest
    cdef Answer* answer = &answers[number]
    cdef u64 entry
    account.oldest = answer.after
    account.count -= 1
    if account.count == 0:
        account_take(repeats, account_number)
    if answer.older != 0:
        answers[answer.older].newer = answer.newer
    else:
        repeats.oldest = answer.newer
    if answer.newer != 0:
        answers[answer.newer].older = answer.older
    else:
        repeats.newest = answer.older
    repeats.count -= 1
    repeats.events -= answer.count if answer.count < EVENTS_KEPT else EVENTS_KEPT
    if answer.more != NULL:
        told_drop(repeats, answer.more)
    entry = <u64>answer.hash << 32 | number
    if mc_unlikely(not table_take(&repeats.table, entry)):
        table_take(&repeats.old, entry)
    # The next one to go is asked for: its place, and the answer behind it.
    mc_prefetch(&repeats.table.places[answers[answer.newer].hash >> repeats.table.shift])
    mc_prefetch(&answers[answers[answer.newer].newer])
    answer.newer = repeats.free_answer
    repeats.free_answer = number

cdef inline Answer* repeats_open(Repeats* repeats, u64 account_number, u64 client,
                                 u32 hash) noexcept nogil:
    """An answer without events yet, the newest; forgets an older one when there are too many."""
    cdef Answer* answers = repeats.memory.answers
    cdef u32 owner = account_find(repeats, account_number)
    cdef Account* account
    cdef Answer* answer
    cdef u32 number
    if mc_unlikely(repeats.old.places != NULL):
        table_move(repeats)
    if owner != 0 and repeats.memory.accounts[owner].count == ANSWERS_PER_ACCOUNT:
        repeats_forget(repeats, owner)
    elif repeats.count == ANSWERS_MAX:
        repeats_forget(repeats, answers[repeats.oldest].account)
        owner = account_find(repeats, account_number)       # its own last one may have gone
    if owner == 0:
        owner = account_put(repeats, account_number)
    number = repeats.free_answer
    if number == 0:
        repeats.made_answers += 1
        number = repeats.made_answers
    answer = &answers[number]
    if number == repeats.free_answer:
        repeats.free_answer = answer.newer
    answer.client_order_id = client
    answer.count = 0
    answer.more = NULL
    answer.hash = hash
    answer.account = owner
    answer.older = repeats.newest
    answer.newer = answer.after = 0
    table_put(&repeats.table, <u64>hash << 32 | number)
    account = &repeats.memory.accounts[owner]
    if account.count == 0:
        account.oldest = number
    else:
        answers[account.newest].after = number
    account.newest = number
    account.count += 1
    if repeats.newest != 0:
        answers[repeats.newest].newer = number
    else:
        repeats.oldest = number
    repeats.newest = number
    repeats.count += 1
    repeats.last = NULL
    return answer

cdef inline void told_write(Told* told, const mc_event* event) noexcept nogil:
    told.order_id = event.order_id
    told.client_order_id = event.client_order_id
    told.account = event.account
    told.price = event.price
    told.quantity = event.quantity
    told.left = event.left
    told.taker_left = event.taker_left
    told.trade_id = event.trade_id
    told.word = mc_word64(&event.instrument)

cdef inline void repeats_add(Repeats* repeats, Answer* answer, const mc_event* event) noexcept nogil:
    """One more event of an answer: in the place of the last one when there are enough."""
    cdef Told* told
    answer.count += 1
    if mc_likely(answer.count == 1):
        repeats.events += 1
        answer.sequence = event.sequence
        answer.order_id = event.order_id
        answer.client_order_id_told = event.client_order_id
        answer.account_told = event.account
        answer.price = event.price
        answer.quantity = event.quantity
        answer.left = event.left
        answer.word = mc_word64(&event.instrument)
        return
    if answer.count > EVENTS_KEPT:
        told_write(repeats.last, event)
        return
    repeats.events += 1
    told = <Told*>slots_take(&repeats.told)
    told_write(told, event)
    told.next = NULL
    if repeats.last != NULL:
        repeats.last.next = told
    else:
        answer.more = told
    repeats.last = told

cdef inline void repeats_read(const Answer* answer, const Told* told, mc_event* event) noexcept nogil:
    """The event as it was said: the first one of the answer, or one of the others."""
    event.sequence = answer.sequence
    event.taker_order_id = event.taker_account = event.trade_id = 0
    event.taker_left = 0
    if told == NULL:
        event.order_id = answer.order_id
        event.client_order_id = answer.client_order_id_told
        event.account = answer.account_told
        event.price = answer.price
        event.quantity = answer.quantity
        event.left = answer.left
        mc_put_word64(&event.instrument, answer.word)
        return
    event.order_id = told.order_id
    event.client_order_id = told.client_order_id
    event.account = told.account
    event.price = told.price
    event.quantity = told.quantity
    event.left = told.left
    mc_put_word64(&event.instrument, told.word)
    if event.kind == TRADED:
        event.taker_order_id = answer.order_id
        event.taker_account = answer.account_told
        event.taker_left = told.taker_left
        event.trade_id = told.trade_id
