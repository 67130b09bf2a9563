# Account and client order id -> the first answer: what a machine remembers of commands that
# their clients may send again.
#
# Answers and accounts have numbers, from 1, in two arrays that are reserved at the first client
# order id and touched as they fill; nothing is ever moved.  A new answer takes the place of the one
# that is forgotten for it, so a full window goes through its memory in order, again and again.  An
# answer is one cache line, and that is all of it when it is a plain one: an order accepted, and
# perhaps cancelled at once as a whole.
#
# A table finds an answer by its hash.  A small window needs a small table, which the cache holds:
# at eight entries a bucket one of four times the size takes over, and a command moves a few
# entries while both are asked.
from libc.string cimport memset

from .buckets cimport (NUMBER, Bucket, Table, entry_of, places_taken, places_with, table_drop,
                        table_init, table_put, table_take)
from .pages cimport Arena, pages_give, pages_take, pages_touch
from .pool cimport Slots, slots_drop, slots_grow, slots_init, slots_give
from .records cimport (i64, mc_event, mc_first_bit, mc_fold, mc_likely, mc_prefetch, mc_unlikely,
                        u32, u64)

cdef struct Told:           # an event of an answer, beyond its first
    u64 order_id
    u64 client_order_id
    u64 account
    i64 price
    i64 quantity
    i64 left
    u64 taker_order_id      # of a trade, like the next three; else mostly 0
    u64 taker_account
    i64 taker_left
    u64 trade_id
    u64 word                # instrument, kind, side, reason, field
    Told* next

cdef struct Rest:           # of an answer that is not plain
    u64 count               # events of the answer, told and not
    u64 client_order_id     # of the first event, which is no trade: its taker's fields are zero
    u64 account
    i64 quantity
    i64 left
    u64 word
    Told* more              # the second event and so on

cdef union Body:
    i64 quantity            # of a plain one, whose account and id are the command's
    Rest* rest

cdef struct Answer:         # one cache line
    u64 client_order_id     # of the command
    u64 sequence            # the first event
    u64 order_id
    i64 price
    Body body
    u32 instrument          # of a plain one
    u32 hash
    u32 owner               # number of its account, REASON, IS_SELL, HAS_REST
    u32 older               # of all answers: their numbers; a ring through number 0
    u32 newer
    u32 after               # the next newer of the same account, if there is one

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
    HEADS = 1 << 16         # of the chains of accounts
    BUCKETS_MIN = 1 << 7    # of a table
    BUCKET_FULL = 8         # entries per bucket, of 12, from which a table grows
    ROOM_SPARE = 8          # room is made for so many at a time; without it a table may grow early
    MOVES = 2               # entries of the old table that a command moves, or buckets it passes
    TOUCHED = 1 << 10       # answers whose memory the system is asked for together
    SOON = 8                # of a full window: how far before their turn answers are asked for
    REASON = 20             # of Answer.owner: eight bits, of the cancel of a plain one, or 0
    IS_SELL = 1 << 28
    HAS_REST = 1 << 29

cdef struct Again:          # of a command with a client order id, known before its turn
    u32 hash                # of account and id
    u32 head                # of the account

cdef struct Memory:         # one piece, asked for at the first client order id
    Answer answers[ANSWERS_MAX + 1]     # [0] has links only: to the newest as older, to the oldest as newer
    u32 heads[HEADS]        # numbers of accounts
    Account accounts[ANSWERS_MAX + 1]

cdef struct Repeats:
    Memory* memory          # NULL before the first client order id
    Table table
    Table old               # being moved to the other
    Slots rests
    Slots told
    u64 secret
    u64 full                # at this count the table is to grow: 0 before the first client order id
    u64 count               # answers, which have the numbers up to it
    u32 free_account        # last in, first out
    u32 made_accounts       # numbers ever taken
    u32 account             # the account used last: the next is often the same
    Answer* open            # of the command in work, or NULL
    u64 heard               # its events so far
    Told killed             # the cancel of the plain answer that is read
    Told* last              # the last one of them, if they are two or more
    const mc_event* start   # what the command in work says into this buffer, from here
    const Answer* telling   # the answer that is told again when the buffer is full
    const Told* next        # and the event to go on with; NULL: the first

cdef inline void repeats_init(Repeats* repeats, Arena* arena, u64 secret) noexcept nogil:
    memset(repeats, 0, sizeof(Repeats))
    slots_init(&repeats.rests, arena, sizeof(Rest), 32)
    slots_init(&repeats.told, arena, sizeof(Told), 32)
    repeats.secret = secret | 1

cdef inline void repeats_drop(Repeats* repeats) noexcept nogil:
    slots_drop(&repeats.rests)
    slots_drop(&repeats.told)
    pages_give(repeats.memory, sizeof(Memory))
    repeats.memory = NULL
    table_drop(&repeats.table)
    table_drop(&repeats.old)

cdef inline bint table_grow(Repeats* repeats) noexcept nogil:
    """A table, or a larger one in its place; false when there is no memory."""
    cdef Table fresh
    cdef u32 buckets = BUCKETS_MIN
    if repeats.table.buckets != NULL:
        buckets = 4 * (repeats.table.mask + 1)
    if not table_init(&fresh, buckets):
        return False
    repeats.old = repeats.table
    repeats.table = fresh
    repeats.full = BUCKET_FULL * buckets + ROOM_SPARE
    if repeats.full >= ANSWERS_MAX:
        repeats.full = ~<u64>0
    return True

cdef inline bint repeats_grow(Repeats* repeats, u32 answers) noexcept nogil:
    if repeats.memory == NULL:
        repeats.memory = <Memory*>pages_take(sizeof(Memory))
        if repeats.memory == NULL:
            return False
    if repeats.count + answers > repeats.full and not table_grow(repeats):
        return False
    while repeats.rests.spare < answers:
        if not slots_grow(&repeats.rests):
            return False
    while repeats.told.spare < EVENTS_KEPT * answers:
        if not slots_grow(&repeats.told):
            return False
    return True

cdef inline bint repeats_ready(Repeats* repeats, u32 answers) noexcept nogil:
    """Room for so many more of any length and their accounts; false when there is no memory."""
    return (mc_likely(repeats.count + answers <= repeats.full and repeats.rests.spare >= answers
                      and repeats.told.spare >= EVENTS_KEPT * answers)
            or repeats_grow(repeats, answers))

cdef inline u64 account_mix(const Repeats* repeats, u64 account) noexcept nogil:
    return mc_fold(account ^ <u64>0xD1B54A32D192ED03, repeats.secret ^ <u64>0x8EBC6AF09C88C6E2)

cdef inline u32 head_of(const Repeats* repeats, u64 mix) noexcept nogil:
    return <u32>((mix ^ mix >> 32) * repeats.secret >> 32) & (HEADS - 1)

cdef inline Again repeats_hash(const Repeats* repeats, u64 account, u64 client) noexcept nogil:
    """As even as chance for any accounts and ids: a round with the secret for each."""
    cdef Again again
    cdef u64 mix = account_mix(repeats, account)
    cdef u64 h = mc_fold(client ^ mix ^ <u64>0x9E3779B97F4A7C15, repeats.secret)
    again.hash = <u32>((h ^ h >> 32) * repeats.secret >> 32)
    again.head = head_of(repeats, mix)
    return again

cdef inline u32 account_find(Repeats* repeats, u64 account, u32 head) noexcept nogil:
    """The number of an account with answers, or 0."""
    cdef const Account* accounts = repeats.memory.accounts
    cdef u32 number = repeats.account
    if mc_likely(accounts[number].account == account and accounts[number].count != 0):
        return number
    number = repeats.memory.heads[head]
    while number != 0 and mc_unlikely(accounts[number].account != account):
        number = accounts[number].chain
    repeats.account = number
    return number

cdef inline u32 account_put(Repeats* repeats, u64 account, u32 head) noexcept nogil:
    """An account that was not there."""
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
    record.chain = repeats.memory.heads[head]
    repeats.memory.heads[head] = number
    repeats.account = number
    return number

cdef inline void account_take(Repeats* repeats, u32 number) noexcept nogil:
    """An account has no answer left, and gives its place back."""
    cdef Account* accounts = repeats.memory.accounts
    cdef u32* link = &repeats.memory.heads[
        head_of(repeats, account_mix(repeats, accounts[number].account))]
    while link[0] != number:
        link = &accounts[link[0]].chain
    link[0] = accounts[number].chain
    accounts[number].chain = repeats.free_account
    repeats.free_account = number

cdef inline Account* owner_of(const Repeats* repeats, const Answer* answer) noexcept nogil:
    return &repeats.memory.accounts[answer.owner & NUMBER]

cdef inline u64 count_of(const Answer* answer) noexcept nogil:
    """Events of an answer, told and not."""
    if answer.owner & HAS_REST:
        return answer.body.rest.count
    return 2 if answer.owner >> REASON & 0xff else 1

cdef inline u64 kept_of(const Answer* answer) noexcept nogil:
    return count_of(answer) if count_of(answer) < EVENTS_KEPT else EVENTS_KEPT

cdef inline Answer* answer_find(const Repeats* repeats, const Table* table, u64 account,
                                u64 client, u32 hash) noexcept nogil:
    cdef u32 at = hash & table.mask
    cdef u32 found, entry
    cdef const Bucket* bucket
    cdef Answer* answer
    while True:
        bucket = &table.buckets[at]
        found = places_with(bucket, hash)
        while mc_unlikely(found):
            entry = bucket.entries[mc_first_bit(found)]
            if mc_unlikely(entry == entry_of(hash, entry & NUMBER)):
                answer = &repeats.memory.answers[entry & NUMBER]
                if (answer.client_order_id == client
                        and owner_of(repeats, answer).account == account):
                    return answer
            found &= found - 1
        if mc_likely(bucket.passers_by == 0):
            return NULL
        at = (at + 1) & table.mask
        if at == hash & table.mask:
            return NULL

cdef inline Answer* repeats_find(const Repeats* repeats, u64 account, u64 client,
                                 u32 hash) noexcept nogil:
    """The answer remembered, or NULL.  O(1)."""
    cdef Answer* answer = answer_find(repeats, &repeats.table, account, client, hash)
    if mc_unlikely(answer == NULL and repeats.old.buckets != NULL):
        answer = answer_find(repeats, &repeats.old, account, client, hash)
    return answer

cdef inline void table_ask(const Repeats* repeats, const Table* table, u32 at) noexcept nogil:
    """Asks for the answers of a bucket: their hashes will be read."""
    cdef const Bucket* bucket = &table.buckets[at & table.mask]
    cdef u32 taken = places_taken(bucket)
    while taken:
        mc_prefetch(&repeats.memory.answers[bucket.entries[mc_first_bit(taken)] & NUMBER])
        taken &= taken - 1

cdef inline void table_move(Repeats* repeats) noexcept nogil:
    """A few entries of the old table go to the other; at its end the old one is given back."""
    cdef Table* old = &repeats.old
    cdef const Bucket* bucket
    cdef u32 number, taken, moved = 0, passed = 0
    while moved < MOVES and passed < MOVES:
        bucket = &old.buckets[old.passed]
        taken = places_taken(bucket)
        if taken:
            number = bucket.entries[mc_first_bit(taken)] & NUMBER
            table_take(old, repeats.memory.answers[number].hash, number)
            table_put(&repeats.table, repeats.memory.answers[number].hash, number)
            moved += 1
            continue
        passed += 1
        old.passed += 1
        if old.passed > old.mask:
            table_drop(old)
            return
        table_ask(repeats, old, old.passed + 1)

cdef inline void rest_drop(Repeats* repeats, Answer* answer) noexcept nogil:
    cdef Rest* rest = answer.body.rest
    cdef Told* told = rest.more
    cdef Told* next
    cdef u64 left = kept_of(answer) - 1
    while left > 1:
        next = told.next        # the last one's is not read: often nothing of it is in the cache
        slots_give(&repeats.told, told)
        told = next
        left -= 1
    if left:
        slots_give(&repeats.told, told)
    slots_give(&repeats.rests, rest)

cdef inline void answer_ask(const Repeats* repeats, u32 number) noexcept nogil:
    """For an answer that is in the cache and to be forgotten: what forgetting it will touch."""
    cdef const Answer* answer = &repeats.memory.answers[number]
    mc_prefetch(&repeats.table.buckets[answer.hash & repeats.table.mask])
    if answer.owner & HAS_REST:
        mc_prefetch(answer.body.rest)

cdef inline void repeats_forget(Repeats* repeats, u32 account_number) noexcept nogil:
    """Forgets the oldest answer of an account; the account too, when that was all."""
    cdef Account* account = &repeats.memory.accounts[account_number]
    cdef Answer* answers = repeats.memory.answers
    cdef u32 number = account.oldest
    cdef Answer* answer = &answers[number]
    account.oldest = answer.after
    account.count -= 1
    if account.count == 0:
        account_take(repeats, account_number)
    answers[answer.older].newer = answer.newer
    answers[answer.newer].older = answer.older
    if answer.owner & HAS_REST:
        rest_drop(repeats, answer)
    if mc_unlikely(not table_take(&repeats.table, answer.hash, number)):
        table_take(&repeats.old, answer.hash, number)

cdef inline u32 repeats_place(Repeats* repeats, u32 owner) noexcept nogil:
    """A number for an answer of this account, or of a new one: an older one's if they are too many.

    Asks for what will have to make room next.
    """
    cdef Answer* answers = repeats.memory.answers
    cdef const Account* account = &repeats.memory.accounts[owner]
    cdef u32 number
    if account.count == ANSWERS_PER_ACCOUNT:
        number = account.oldest
        repeats_forget(repeats, owner)
        answer_ask(repeats, account.oldest)         # asked for itself when the one before went
        mc_prefetch(&answers[answers[account.oldest].older])
        mc_prefetch(&answers[answers[account.oldest].newer])
        mc_prefetch(&answers[answers[account.oldest].after])
    elif repeats.count == ANSWERS_MAX:
        number = answers[0].newer
        repeats_forget(repeats, answers[number].owner & NUMBER)
        answer_ask(repeats, (number + SOON) & (ANSWERS_MAX - 1))
        mc_prefetch(&answers[(number + 2 * SOON) & (ANSWERS_MAX - 1)])
    else:
        repeats.count += 1
        number = <u32>repeats.count
        if number % TOUCHED == 1:
            pages_touch(&answers[number], TOUCHED * sizeof(Answer))
    return number

cdef inline Answer* repeats_open(Repeats* repeats, u64 account_number, u64 client,
                                 Again again) noexcept nogil:
    """An answer without events yet, the newest; forgets an older one when there are too many."""
    cdef Answer* answers = repeats.memory.answers
    cdef u32 owner = account_find(repeats, account_number, again.head)
    cdef u32 number, newest
    cdef Account* account
    cdef Answer* answer
    if mc_unlikely(repeats.old.buckets != NULL):
        table_move(repeats)
    number = repeats_place(repeats, owner)
    table_put(&repeats.table, again.hash, number)
    account = &repeats.memory.accounts[owner]
    if mc_unlikely(account.count == 0):     # a new one, or its last answer has gone
        owner = account_put(repeats, account_number, again.head)
        account = &repeats.memory.accounts[owner]
        account.oldest = number
    answers[account.newest].after = number  # of a new account: nobody reads it
    account.newest = number
    account.count += 1
    newest = answers[0].older
    answers[newest].newer = answers[0].older = number
    answer = &answers[number]
    answer.client_order_id = client
    answer.hash = again.hash
    answer.owner = owner
    answer.older = newest
    answer.newer = 0
    repeats.heard = 0
    return answer
