# Account and client order id -> the first answer: what a machine remembers of commands that
# their clients may send again.
#
# A hash table of fixed size with chains: nothing is ever moved, and what is looked at no more is
# forgotten from the front of a list.  An account's own record stands in the same table under
# client order id 0, which no command is remembered by.  Memory is asked for at the first command
# with a client order id, and comes in slabs as there is more to remember.
from libc.string cimport memset

from ._pages cimport pages_give, pages_take
from ._pool cimport Slots, slots_drop, slots_grow, slots_init, slots_give, slots_take
from ._records cimport mc_event, mc_fold, mc_likely, u64

cdef struct Told:           # an event of an answer, beyond its first
    mc_event event
    Told* next

cdef struct Answer:         # of a command, or, with client order id 0, what is known of an account
    u64 account
    u64 client_order_id
    Answer* chain           # the next with this place in the table
    u64 count               # events of the answer, told and not; of an account: its answers
    Answer* older           # of all answers; of an account: its oldest
    Answer* newer           # of all answers; of an account: its newest
    Answer* after           # the next newer of the same account
    Told* more              # the second event and so on
    Told* last
    mc_event first

cdef struct Repeats:
    Answer** table          # NULL before the first client order id
    Slots answers
    Slots told
    u64 secret
    u64 count               # answers
    u64 events              # told, of all answers
    Answer* oldest
    Answer* newest
    Answer* open            # of the command in work, or NULL
    const mc_event* start   # what the command in work says into this buffer, from here
    Answer* telling         # the answer that is told again when the buffer is full
    const Told* next        # and the event to go on with; NULL: the first

# A test holds these against matchcore.repeats.
cdef enum:
    ANSWERS_PER_ACCOUNT = 1024
    ANSWERS_MAX = 1 << 18
    EVENTS_KEPT = 16        # of an answer: the first fifteen, and its last
    PLACES = 1 << 18        # of the table

cdef inline void repeats_init(Repeats* repeats, u64 secret) noexcept nogil:
    memset(repeats, 0, sizeof(Repeats))
    slots_init(&repeats.answers, sizeof(Answer), 32)
    slots_init(&repeats.told, sizeof(Told), 32)
    repeats.secret = secret | 1

cdef inline void repeats_drop(Repeats* repeats) noexcept nogil:
    slots_drop(&repeats.answers)
    slots_drop(&repeats.told)
    pages_give(repeats.table, PLACES * sizeof(Answer*))
    repeats.table = NULL

cdef inline bint repeats_ready(Repeats* repeats) noexcept nogil:
    """Room for one more answer of any length and its account; false when there is no memory."""
    if repeats.table == NULL:
        repeats.table = <Answer**>pages_take(PLACES * sizeof(Answer*))
        if repeats.table == NULL:
            return False
    if repeats.answers.spare < 2 and not slots_grow(&repeats.answers):
        return False
    return repeats.told.spare >= EVENTS_KEPT or slots_grow(&repeats.told)

cdef inline u64 repeats_place(const Repeats* repeats, u64 account, u64 client) noexcept nogil:
    """As even as chance for any accounts and ids: two rounds with the secret, as for order ids."""
    cdef u64 h = mc_fold(client ^ <u64>0x9E3779B97F4A7C15, repeats.secret)
    h = mc_fold(h ^ account ^ <u64>0xD1B54A32D192ED03, repeats.secret ^ <u64>0x8EBC6AF09C88C6E2)
    return ((h ^ h >> 32) * repeats.secret >> 32) & (PLACES - 1)

cdef inline Answer* repeats_find(const Repeats* repeats, u64 account, u64 client) noexcept nogil:
    """The answer remembered, or an account's own record for client 0; NULL.  O(1)."""
    cdef Answer* answer = repeats.table[repeats_place(repeats, account, client)]
    while answer != NULL and (answer.client_order_id != client or answer.account != account):
        answer = answer.chain
    return answer

cdef inline Answer* repeats_put(Repeats* repeats, u64 account, u64 client) noexcept nogil:
    """A record that was not there; repeats_ready has made room."""
    cdef Answer** place = &repeats.table[repeats_place(repeats, account, client)]
    cdef Answer* answer = <Answer*>slots_take(&repeats.answers)
    memset(answer, 0, sizeof(Answer))
    answer.account = account
    answer.client_order_id = client
    answer.chain = place[0]
    place[0] = answer
    return answer

cdef inline void repeats_take(Repeats* repeats, Answer* answer) noexcept nogil:
    """Takes a record out of the table and gives its memory back."""
    cdef Answer** place = &repeats.table[
        repeats_place(repeats, answer.account, answer.client_order_id)]
    while place[0] != answer:
        place = &place[0].chain
    place[0] = answer.chain
    slots_give(&repeats.answers, answer)

cdef inline void repeats_forget(Repeats* repeats, Answer* account) noexcept nogil:
    """Forgets the oldest answer of an account; the account too, when that was all."""
    cdef Answer* answer = account.older
    cdef Told* told = answer.more
    cdef Told* next
    account.older = answer.after
    account.count -= 1
    if account.count == 0:
        repeats_take(repeats, account)
    if answer.older != NULL:
        answer.older.newer = answer.newer
    else:
        repeats.oldest = answer.newer
    if answer.newer != NULL:
        answer.newer.older = answer.older
    else:
        repeats.newest = answer.older
    repeats.count -= 1
    repeats.events -= answer.count if answer.count < EVENTS_KEPT else EVENTS_KEPT
    while told != NULL:
        next = told.next
        slots_give(&repeats.told, told)
        told = next
    repeats_take(repeats, answer)

cdef inline Answer* repeats_open(Repeats* repeats, u64 account_number, u64 client) noexcept nogil:
    """An answer without events yet, the newest; forgets an older one when there are too many."""
    cdef Answer* account = repeats_find(repeats, account_number, 0)
    cdef Answer* answer
    if account != NULL and account.count == ANSWERS_PER_ACCOUNT:
        repeats_forget(repeats, account)
    elif repeats.count == ANSWERS_MAX:
        repeats_forget(repeats, repeats_find(repeats, repeats.oldest.account, 0))
        account = repeats_find(repeats, account_number, 0)      # its own last one may have gone
    answer = repeats_put(repeats, account_number, client)
    if account == NULL:
        account = repeats_put(repeats, account_number, 0)
        account.older = answer
    else:
        account.newer.after = answer
    account.newer = answer
    account.count += 1
    answer.older = repeats.newest
    if repeats.newest != NULL:
        repeats.newest.newer = answer
    else:
        repeats.oldest = answer
    repeats.newest = answer
    repeats.count += 1
    return answer

cdef inline void repeats_add(Repeats* repeats, Answer* answer, const mc_event* event) noexcept nogil:
    """One more event of an answer: in the place of the last one when there are enough."""
    cdef Told* told
    answer.count += 1
    if answer.count > EVENTS_KEPT:
        answer.last.event = event[0]
        return
    repeats.events += 1
    if answer.count == 1:
        answer.first = event[0]
        return
    told = <Told*>slots_take(&repeats.told)
    told.event = event[0]
    told.next = NULL
    if answer.last != NULL:
        answer.last.next = told
    else:
        answer.more = told
    answer.last = told
