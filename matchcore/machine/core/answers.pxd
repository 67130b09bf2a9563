# The events of an answer: kept in as little as they need, and read as they were said.
from libc.string cimport memcpy

from .dedup cimport EVENTS_KEPT, HAS_REST, IS_SELL, REASON, Answer, Repeats, Rest, Told, owner_of
from .pool cimport slots_take
from .records cimport (ACCEPTED, BUY, CANCELLED, SELL, mc_event, mc_likely, mc_put_word64,
                        mc_word64, u8, u32, u64)

cdef inline u64 plain_word(const Answer* answer, u8 kind) noexcept nogil:
    """Instrument, kind and side of an event of a plain answer."""
    return answer.instrument | <u64>kind << 32 | <u64>(BUY + (answer.owner & IS_SELL != 0)) << 40

cdef inline bint is_accepted(const Repeats* repeats, const Answer* answer,
                             const mc_event* event) noexcept nogil:
    """True when an event says of the command's order that it is accepted, and nothing unusual."""
    return (event.kind == ACCEPTED and <u8>(event.side - BUY) <= SELL - BUY
            and event.reason == 0 and event.field == 0
            and event.client_order_id == answer.client_order_id
            and event.account == owner_of(repeats, answer).account and event.left == event.quantity)

cdef inline bint repeats_kill(Repeats* repeats, Answer* answer,
                              const mc_event* event) noexcept nogil:
    """Keeps the second and last event in a plain answer; false when it does not fit there."""
    if (answer.owner & HAS_REST or event.kind != CANCELLED or event.reason == 0
            or event.quantity != answer.body.quantity or event.left != 0
            or mc_word64(&event.instrument) & ~(<u64>0xff << 48) != plain_word(answer, CANCELLED)
            or event.order_id != answer.order_id or event.price != answer.price
            or event.client_order_id != answer.client_order_id
            or event.account != owner_of(repeats, answer).account):
        return False
    answer.owner |= <u32>event.reason << REASON
    repeats.heard = 2
    return True

cdef inline void rest_add(Repeats* repeats, Answer* answer, const mc_event* first) noexcept nogil:
    """Room for an answer that is more than its first event, or an unusual one."""
    cdef Rest* rest = <Rest*>slots_take(&repeats.rests)
    rest.client_order_id = first.client_order_id
    rest.account = first.account
    rest.quantity = first.quantity
    rest.left = first.left
    rest.word = mc_word64(&first.instrument)
    rest.more = NULL
    answer.body.rest = rest
    answer.owner |= HAS_REST

cdef inline void told_write(Told* told, const mc_event* event) noexcept nogil:
    told.order_id = event.order_id
    told.client_order_id = event.client_order_id
    told.account = event.account
    told.price = event.price
    told.quantity = event.quantity
    told.left = event.left
    memcpy(&told.taker_order_id, &event.taker_order_id, 4 * sizeof(u64))    # and account, left, trade
    told.word = mc_word64(&event.instrument)

cdef inline void repeats_first(Repeats* repeats, Answer* answer, const mc_event* event,
                               bint accepted) noexcept nogil:
    """The first event of an answer; accepted: it says that of the command's order, as usual."""
    repeats.heard = 1
    answer.sequence = event.sequence
    answer.order_id = event.order_id
    answer.price = event.price
    if mc_likely(accepted):
        answer.body.quantity = event.quantity
        answer.instrument = event.instrument
        answer.owner |= <u32>(event.side - BUY) * IS_SELL
    else:
        rest_add(repeats, answer, event)
        answer.body.rest.count = 1

cdef inline const Told* told_after(Repeats* repeats, const Answer* answer,
                                   const Told* told) noexcept nogil:
    """The event behind this one, or behind the first if it is NULL; NULL at the end."""
    cdef u32 reason = answer.owner >> REASON & 0xff
    if told != NULL:
        return told.next
    if answer.owner & HAS_REST:
        return answer.body.rest.more
    if reason == 0:
        return NULL
    repeats.killed.order_id = answer.order_id
    repeats.killed.client_order_id = answer.client_order_id
    repeats.killed.account = owner_of(repeats, answer).account
    repeats.killed.price = answer.price
    repeats.killed.quantity = answer.body.quantity
    repeats.killed.word = plain_word(answer, CANCELLED) | <u64>reason << 48
    return &repeats.killed

cdef inline void repeats_read(const Repeats* repeats, const Answer* answer, const Told* told,
                              mc_event* event) noexcept nogil:
    """The event as it was said: the first one of the answer, or one of the others."""
    cdef const Rest* rest
    event.sequence = answer.sequence
    event.taker_order_id = event.taker_account = event.trade_id = 0
    event.taker_left = 0
    if told == NULL:
        event.order_id = answer.order_id
        event.price = answer.price
        if answer.owner & HAS_REST:
            rest = answer.body.rest
            event.client_order_id = rest.client_order_id
            event.account = rest.account
            event.quantity = rest.quantity
            event.left = rest.left
            mc_put_word64(&event.instrument, rest.word)
            return
        event.client_order_id = answer.client_order_id
        event.account = owner_of(repeats, answer).account
        event.quantity = event.left = answer.body.quantity
        mc_put_word64(&event.instrument, plain_word(answer, ACCEPTED))
        return
    event.order_id = told.order_id
    event.client_order_id = told.client_order_id
    event.account = told.account
    event.price = told.price
    event.quantity = told.quantity
    event.left = told.left
    memcpy(&event.taker_order_id, &told.taker_order_id, 4 * sizeof(u64))
    mc_put_word64(&event.instrument, told.word)

cdef inline void repeats_next(Repeats* repeats, Answer* answer, const mc_event* event) noexcept nogil:
    """One more event of an answer: in the place of the last one when there are enough."""
    cdef mc_event first
    cdef Told* told
    if not answer.owner & HAS_REST:
        repeats_read(repeats, answer, NULL, &first)
        rest_add(repeats, answer, &first)
    repeats.heard += 1
    answer.body.rest.count = repeats.heard
    if repeats.heard > EVENTS_KEPT:
        told_write(repeats.last, event)
        return
    told = <Told*>slots_take(&repeats.told)
    told_write(told, event)
    told.next = NULL
    if repeats.heard > 2:
        repeats.last.next = told
    else:
        answer.body.rest.more = told
    repeats.last = told
