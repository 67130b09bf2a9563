"""The matching of one instrument's book, compiled.

The rules are those of docs/commands-and-events.md.  `reference.py` says the same in plain
Python; tests drive both.  Here are the commands of orders; `_machine.pyx` has the rest.
"""
from .machine.core.prefetch cimport (LARGE, LARGE_ACCOUNTS, STAGES, STRIPS, Ahead, Strip, book_for,
                       look_at_accounts, look_at_ids, look_at_last, look_at_levels,
                      look_at_newest, look_at_orders)
from .machine.core.checks cimport (is_plain, is_resting, is_swept, unsupported, wrong_fields, wrong_quantity,
                       wrong_resting)
from .machine.core.emit cimport emit, emit_execution, emit_refusal, emit_taker, emit_trade
from .machine.core.ids cimport ids_drop, ids_find, ids_has, ids_hash, ids_hash_of, ids_init, ids_ready
from .machine.core.ladder cimport (Ladder, ladder_find, ladder_from, ladder_init, ladder_key,
                       ladder_level_off)
from .machine._dedup cimport once_heard, once_is_new, once_listen, once_tell
from .machine._limits cimport limits_admit, limits_allow
from .machine.core.dedup cimport repeats_hash, repeats_ready
from .machine.core.once cimport once_done
from .machine.core.pages cimport arena_drop
from .machine.core.pool cimport Leaf, Level, Order, pool_drop, pool_has, pool_init, pool_ready
from .machine.core.records cimport *
from .machine.core.resting cimport (book_forget, book_remove, book_rest, can_fill, crosses, level_at,
                        level_join, level_leave, next_id, overflows, shrink, side_of)

from libc.stdint cimport INT64_MAX
from libc.string cimport memset

cdef void core_init(Core* core, u64 secret) noexcept nogil:
    memset(core, 0, sizeof(Core))
    ids_init(&core.ids, &core.arena, secret)
    pool_init(&core.pool, &core.arena)
    core.next_order_id = 1
    core.next_trade_id = 1


cdef void core_drop(Core* core) noexcept nogil:
    """Frees the orders and ladders of all its books."""
    ids_drop(&core.ids)
    pool_drop(&core.pool)
    arena_drop(&core.arena)


cdef void book_init(Book* book, u32 instrument) noexcept nogil:
    """An empty book that takes any lot and quantity, and 2^32 - 1 orders."""
    memset(book, 0, sizeof(Book))
    ladder_init(&book.sides[0], BUY)
    ladder_init(&book.sides[1], SELL)
    book.instrument = instrument
    book.lot = 1
    book.quantity_max = INT64_MAX
    book.orders_max = <u32>0xffffffff


cdef inline i64 book_take(Core* core, Book* book, const mc_command* taker, u64 limit, i64 left,
                          Events* events, bint told) noexcept nogil:
    """Trades with the other side, best level first, oldest first; returns what is left.

    Returns early, with events.at == events.end, when the buffer is full.
    """
    cdef Ladder* ladder = &book.sides[2 - taker.side]
    cdef u64 key
    cdef i64 fill
    cdef Leaf* leaf
    cdef Level* level
    cdef Order* maker
    cdef Order* after
    while crosses(ladder, limit) and events.at < events.end:
        key = ladder.best
        leaf = ladder_find(ladder, key)
        level = &leaf.level[key & 63]
        maker = level.head
        while True:
            fill = maker.left if maker.left < left else left
            maker.left -= fill
            level.quantity -= fill
            left -= fill
            emit_trade(core, events, book.instrument, maker, taker, fill, left)
            if told:
                emit_execution(core, maker, taker, fill, level)
            if maker.left > 0:
                level.head = maker
                maker.prev = NULL
                return 0
            after = maker.next
            book_forget(core, book, maker, ids_hash_of(&core.ids, maker))
            level.orders -= 1
            maker = after
            if maker == NULL or left == 0 or events.at == events.end:
                break
        if maker == NULL:
            ladder_level_off(ladder, &core.pool, leaf, key)
        else:
            level.head = maker
            maker.prev = NULL
        if left == 0:
            return 0
    return left


cdef void take_and_rest(Core* core, Book* book, const mc_command* command, u32 hash, u16 flags,
                        i64 left, Events* events, bint told) noexcept nogil:
    """Trades all that an order can, and then rests it or cancels what is left."""
    cdef Pending* pending = &core.pending
    cdef Ladder* other = &book.sides[2 - command.side]
    cdef u64 key = ladder_key(side_of(book, command.side), command.price)
    cdef u64 limit = ~<u64>0 if command.kind == NEW and command.order_type == MARKET else ~key
    cdef const mc_event* before = events.at
    if crosses(other, limit):
        left = book_take(core, book, command, limit, left, events, told)
        if core.lasts != NULL and events.at != before:
            core.lasts[book.instrument - 1].price = (events.at - 1).price
            core.lasts[book.instrument - 1].traded = 1
        if left == 0:
            return
        if events.at == events.end and crosses(other, limit):
            pending.command = command[0]
            pending.command.flags = flags
            pending.book = book
            pending.left = left
            pending.stage = TAKING
            return
    if command.kind == AMEND or is_resting(command):
        book_rest(core, book, command, key, hash, flags, left, told)
    else:
        emit_taker(core, events, CANCELLED,
                   R_MARKET_REMAINDER if command.order_type == MARKET else R_IMMEDIATE_OR_CANCEL,
                   command, left, 0)


cdef inline void do_new(Core* core, Book* book, const mc_command* given, u32 hash,
                        Events* events, bint told) noexcept nogil:
    cdef Field field = F_NONE
    cdef Reason reason
    cdef mc_command named
    cdef const mc_command* command = given
    cdef Ladder* ladder
    cdef Ladder* other
    cdef u64 key, limit
    cdef bint resting, crossing
    if mc_unlikely(core.limits != NULL):
        reason = limits_admit(core, given.account, given.instrument, given.time, &field)
        if reason != R_NONE:
            emit_refusal(core, given, reason, field, events)
            return
    if mc_unlikely(not is_plain(core, given)):
        reason = wrong_fields(core, given, &field)
        if reason != R_NONE:
            emit_refusal(core, given, reason, field, events)
            return
    reason = wrong_quantity(book, given.quantity)
    if mc_unlikely(reason != R_NONE):
        emit_refusal(core, given, reason, F_QUANTITY, events)
        return
    if mc_unlikely(ids_find(&core.ids, hash, book.instrument, given.order_id) != NULL):     # 0 is nobody's
        emit_refusal(core, given, R_DUPLICATE_ORDER, F_ORDER_ID, events)
        return
    ladder = side_of(book, given.side)
    other = &book.sides[2 - given.side]
    key = ladder_key(ladder, given.price)
    limit = ~<u64>0 if given.order_type == MARKET else ~key     # the worst key it may trade with
    resting = is_resting(given)
    crossing = crosses(other, limit)
    if resting:
        reason = wrong_resting(book, ladder, given, key, crossing, &field)
        if mc_unlikely(reason != R_NONE):
            emit_refusal(core, given, reason, field, events)
            return
    if mc_unlikely(core.limits != NULL):
        reason = limits_allow(core, given.account, given.instrument, given.order_type == MARKET,
                              given.price, given.quantity, resting, &field)
        if reason != R_NONE:
            emit_refusal(core, given, reason, field, events)
            return
    if mc_unlikely(given.order_id == 0):
        named = given[0]
        named.order_id = next_id(core, book)
        hash = ids_hash(&core.ids, book.instrument, named.order_id)
        command = &named
    emit_taker(core, events, ACCEPTED, R_NONE, command, command.quantity, command.quantity)
    if resting and not crossing:
        book_rest(core, book, command, key, hash, command.flags, command.quantity, told)
    elif command.time_in_force == FOK and not can_fill(other, limit, command.quantity):
        emit_taker(core, events, CANCELLED, R_FILL_OR_KILL, command, command.quantity, 0)
    else:
        take_and_rest(core, book, command, hash, command.flags, command.quantity, events, told)


cdef inline Order* order_for(Core* core, Book* book, const mc_command* command, const Ahead* ahead,
                             Events* events) noexcept nogil:
    """The live order that a command names, or NULL after a refusal."""
    cdef Order* order = ahead.order
    # What was seen ahead may have gone since, and its slot be another's.
    if mc_unlikely(order == NULL or order.order_id != command.order_id
                   or order.instrument != book.instrument):
        order = ids_find(&core.ids, ahead.hash, book.instrument, command.order_id)
        if order == NULL:
            emit_refusal(core, command, R_UNKNOWN_ORDER, F_ORDER_ID, events)
            return NULL
    if mc_unlikely(command.account != 0) and command.account != order.account:
        emit_refusal(core, command, R_NOT_OWNER, F_ACCOUNT, events)
        return NULL
    return order


cdef inline void cancel_order(Core* core, Book* book, Order* order, u32 hash, u8 reason,
                              Events* events, bint told) noexcept nogil:
    emit(core, events, CANCELLED, reason, book.instrument, order, order.price, order.left, 0)
    book_remove(core, book, order, hash, 0, told)


cdef inline void do_cancel(Core* core, Book* book, const mc_command* command, const Ahead* ahead,
                           Events* events, bint told) noexcept nogil:
    cdef Order* order = order_for(core, book, command, ahead, events)
    if mc_likely(order != NULL):
        cancel_order(core, book, order, ahead.hash, R_REQUESTED, events, told)


cdef void do_reduce(Core* core, Book* book, const mc_command* command, const Ahead* ahead,
                    Events* events, bint told) noexcept nogil:
    cdef Order* order
    if command.quantity <= 0:
        emit_refusal(core, command, R_QUANTITY_NOT_POSITIVE, F_QUANTITY, events)
        return
    order = order_for(core, book, command, ahead, events)
    if order == NULL:
        return
    if command.quantity >= order.left:
        cancel_order(core, book, order, ahead.hash, R_REDUCED_TO_NOTHING, events, told)
    elif command.quantity % book.lot:
        emit_refusal(core, command, R_OFF_LOT, F_QUANTITY, events)
    else:
        shrink(core, book, order, order.left - command.quantity, told)
        emit(core, events, AMENDED, R_NONE, book.instrument, order, order.price, order.left, order.left)


cdef void do_amend(Core* core, Book* book, const mc_command* given, const Ahead* ahead,
                   Events* events, bint told) noexcept nogil:
    cdef mc_command command = given[0]
    cdef Reason reason
    cdef Field field
    cdef Order* order
    cdef Ladder* ladder
    cdef u64 key
    if given.flags & ~(KEEP_PRICE | KEEP_QUANTITY) or given.flags == (KEEP_PRICE | KEEP_QUANTITY):
        emit_refusal(core, given, R_BAD_FLAGS, F_FLAGS, events)
        return
    field = unsupported(core, given)
    if field != F_NONE:
        emit_refusal(core, given, R_UNSUPPORTED, field, events)
        return
    if not given.flags & KEEP_QUANTITY:
        reason = wrong_quantity(book, given.quantity)
        if reason != R_NONE:
            emit_refusal(core, given, reason, F_QUANTITY, events)
            return
    order = order_for(core, book, given, ahead, events)
    if order == NULL:
        return
    if mc_unlikely(core.limits != NULL):
        reason = limits_admit(core, order.account, order.instrument, given.time, &field)
        if reason != R_NONE:
            emit_refusal(core, given, reason, field, events)
            return
    if given.flags & KEEP_PRICE:
        command.price = order.price
    if given.flags & KEEP_QUANTITY:
        command.quantity = order.left
    command.side = order.side
    command.client_order_id = order.client_order_id
    command.account = order.account
    command.time_in_force = order.time_in_force
    ladder = side_of(book, order.side)
    key = ladder_key(ladder, command.price)
    if order.flags & POST_ONLY and command.price != order.price and crosses(
            &book.sides[2 - order.side], ~key):
        emit_refusal(core, given, R_WOULD_TRADE, F_PRICE, events)
        return
    if overflows(ladder, key, command.quantity,
                 order.left if command.price == order.price else 0):
        emit_refusal(core, given, R_LEVEL_OVERFLOW, F_QUANTITY, events)
        return
    if mc_unlikely(core.limits != NULL) and (command.price != order.price
                                             or command.quantity > order.left):
        reason = limits_allow(core, order.account, order.instrument, False, command.price,
                              command.quantity, False, &field)
        if reason != R_NONE:
            emit_refusal(core, given, reason, field, events)
            return
    emit(core, events, AMENDED, R_NONE, book.instrument, order, command.price, command.quantity,
         command.quantity)
    if command.price == order.price and command.quantity <= order.left:
        shrink(core, book, order, command.quantity, told)
    elif crosses(&book.sides[2 - order.side], ~key):
        command.flags = order.flags & POST_ONLY
        book_remove(core, book, order, ahead.hash, C_REPLACING, told)
        take_and_rest(core, book, &command, ahead.hash, command.flags, command.quantity, events, told)
    else:
        level_leave(core, ladder, ladder_key(ladder, order.price), order, C_REPLACING, told)
        order.price = command.price
        order.left = command.quantity
        level_join(core, ladder, key, order, C_REPLACING, told)


cdef bint book_sweep(Core* core, Book* book, Events* events) noexcept nogil:
    """Cancels what core.pending asks for in this book; false when the buffer is full first."""
    cdef Pending* pending = &core.pending
    cdef bint mass = pending.command.kind != END_DAY
    cdef Reason reason = R_END_OF_DAY
    cdef Ladder* ladder
    cdef Order* order
    cdef Order* after
    if mass:
        reason = R_MASS_CANCEL if pending.command.kind == MASS_CANCEL else R_KILL_SWITCH
    while pending.side < 2:
        ladder = &book.sides[pending.side]
        if not mass or pending.command.side == 0 or pending.command.side == pending.side + 1:
            while ladder_from(ladder, pending.key, &pending.key):
                # Not from the head again: what a full buffer would pass over once more may be a million.
                order = pending.order if pending.order != NULL else level_at(ladder, pending.key).head
                pending.order = NULL
                while order != NULL:
                    if (is_swept(pending, order) if mass else has(DAY_TIFS, order.time_in_force)):
                        if events.at >= events.end:
                            pending.order = order
                            return False
                        after = order.next
                        cancel_order(core, book, order, ids_hash_of(&core.ids, order), reason, events,
                                     core.changes != NULL)
                        order = after
                        pending.swept += 1
                    else:
                        order = order.next
                if pending.key == ~<u64>0:
                    break
                pending.key += 1
        pending.side += 1
        pending.key = 0
    return True


cdef bint make_room(Core* core, u32 commands) noexcept nogil:
    """So that so many commands find all they may need; false without memory.  Out of line: it is rare."""
    return pool_ready(&core.pool, commands) and ids_ready(&core.ids, commands)


cdef inline bint is_ready(Core* core, u32 commands) noexcept nogil:
    return (mc_likely(pool_has(&core.pool, commands) and ids_has(&core.ids, commands))
            or make_room(core, commands))


cdef inline Halt apply_new(Core* core, const mc_command* command, const Ahead* ahead,
                           Events* events, bint told) noexcept nogil:
    """The turn of a command that was not sent before; FULL: it goes on in another buffer."""
    cdef Book* book = ahead.book
    core.sequence += 1
    if command.kind == NEW:
        do_new(core, book, command, ahead.hash, events, told)
    elif command.kind == CANCEL:
        do_cancel(core, book, command, ahead, events, told)
    elif command.kind == AMEND:
        do_amend(core, book, command, ahead, events, told)
    else:
        do_reduce(core, book, command, ahead, events, told)
    return once_done(core, events) if mc_unlikely(core.pending.stage != IDLE) else DONE


cdef inline Halt apply_to(Core* core, const mc_command* command, const Ahead* ahead,
                          Events* events, bint told) noexcept nogil:
    """The turn of a command of an order; FULL: it goes on in another buffer."""
    cdef Halt halt = DONE
    if mc_unlikely(command.client_order_id != 0):
        if not once_is_new(core, command, ahead.again, events, &halt):
            return halt
    return apply_new(core, command, ahead, events, told)


cdef inline Halt apply_strip(Core* core, const Strip* strip, size_t* taken, Events* events,
                             bint told) noexcept nogil:
    """The turn of a strip; counts in taken those that were begun."""
    cdef const Ahead* ahead = strip.ahead
    cdef const mc_command* command = strip.commands
    cdef const mc_command* end = command + strip.length
    cdef Halt halt = STOPPED if strip.stopped else DONE
    if not is_ready(core, strip.length):
        return NO_MEMORY
    if strip.ids and mc_unlikely(not repeats_ready(core.repeats, strip.ids)):
        return NO_MEMORY
    while command < end:
        if mc_unlikely(events.at >= events.end):
            halt = FULL
            break
        if mc_unlikely(apply_to(core, command, ahead, events, told) != DONE):
            command += 1
            halt = FULL
            break
        command += 1
        ahead += 1
    taken[0] += command - strip.commands
    return halt


ctypedef Halt (*Apply)(Core*, const Strip*, size_t*, Events*) noexcept nogil


cdef Halt apply_quietly(Core* core, const Strip* strip, size_t* taken, Events* events) noexcept nogil:
    return apply_strip(core, strip, taken, events, False)


cdef Halt apply_and_tell(Core* core, const Strip* strip, size_t* taken, Events* events) noexcept nogil:
    return apply_strip(core, strip, taken, events, True)


cdef Halt run_aside(Core* core, const mc_command* command, const Ahead* ahead, size_t* taken,
                    Events* events) noexcept nogil:
    """`order_run` with a client order id, or while somebody wants the public changes."""
    cdef Strip strip
    cdef Apply apply = apply_quietly if core.changes == NULL else apply_and_tell
    strip.commands = command
    strip.length = 1
    strip.ids = 0
    strip.stopped = False
    strip.ahead[0] = ahead[0]
    if command.client_order_id != 0 and core.repeats != NULL:
        strip.ids = 1
        strip.ahead[0].again = repeats_hash(core.repeats, command.account, command.client_order_id)
    return apply(core, &strip, taken, events)


cdef Halt order_run(Core* core, Book** books, u32 books_count, const mc_command* command,
                    size_t* taken, Events* events) noexcept nogil:
    """`orders_run` of a single command while none is pending: nothing is behind it to look at."""
    cdef Ahead ahead
    taken[0] = 0
    ahead.order = NULL
    ahead.book = book_for(books, books_count, command)
    if mc_unlikely(ahead.book == NULL):
        return STOPPED
    if mc_unlikely(events.at >= events.end):
        return FULL
    ahead.hash = ids_hash(&core.ids, command.instrument, command.order_id)
    if mc_unlikely(command.client_order_id != 0 or core.changes != NULL):
        return run_aside(core, command, &ahead, taken, events)
    if not is_ready(core, 1):
        return NO_MEMORY
    taken[0] = 1
    return apply_new(core, command, &ahead, events, False)


cdef bint go_on(Core* core, Events* events) noexcept nogil:
    """With what a full buffer has interrupted; false when this one is full first."""
    cdef Pending* pending = &core.pending
    if events.at >= events.end:
        return False
    if pending.stage == REPEATING:
        return once_tell(core, events)
    pending.stage = IDLE
    once_listen(core, events)
    take_and_rest(core, pending.book, &pending.command,
                  ids_hash(&core.ids, pending.book.instrument, pending.command.order_id),
                  pending.command.flags, pending.left, events, core.changes != NULL)
    return once_heard(core, events) == DONE


cdef Halt orders_run(Core* core, Book** books, u32 books_count, const mc_command* commands,
                     size_t count, size_t* taken, Events* events) noexcept nogil:
    """Applies commands as long as they are of orders, for one of these books."""
    cdef Strip strips[STRIPS]
    cdef size_t seen = 0
    cdef u32 turn
    cdef bint large = core.ids.count > LARGE
    cdef bint many = core.repeats != NULL and core.repeats.made_accounts > LARGE_ACCOUNTS
    # Asked once, not at each change: no exchange pays for changes that nobody wants.
    cdef Apply apply = apply_quietly if core.changes == NULL else apply_and_tell
    cdef Halt halt
    taken[0] = 0
    if mc_unlikely(core.pending.stage != IDLE) and not go_on(core, events):
        return FULL
    for turn in range(STRIPS):          # nothing is in the stages yet
        strips[turn].commands = commands
        strips[turn].length = strips[turn].ids = 0
        strips[turn].stopped = False
    turn = STRIPS
    while True:
        look_at_ids(&core.ids, books, books_count, commands + seen, count - seen, core.repeats, large,
                    &strips[turn % STRIPS])
        seen += strips[turn % STRIPS].length
        if many:
            look_at_newest(core.repeats, &strips[(turn - 2) % STRIPS])
            look_at_accounts(core.repeats, &strips[(turn - 1) % STRIPS])
        if large:
            look_at_last(&strips[(turn - 3) % STRIPS])
            look_at_levels(&strips[(turn - 2) % STRIPS])
            look_at_orders(&core.ids, &strips[(turn - 1) % STRIPS])
        halt = apply(core, &strips[(turn - STAGES) % STRIPS], taken, events)
        if halt != DONE or taken[0] == count:
            return halt
        turn += 1
