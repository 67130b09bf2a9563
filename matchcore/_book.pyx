"""The matching of one instrument's book, compiled.

The rules are those of docs/commands-and-events.md.  `reference.py` says the same in plain
Python; tests drive both.  Here are the commands of orders; `_machine.pyx` has the rest.
"""
from ._emit cimport emit, emit_refusal, emit_taker, emit_trade
from ._ids cimport (ids_drop, ids_find, ids_hash, ids_init, ids_look_up, ids_prefetch,
                    ids_prefetch_order, ids_ready)
from ._ladder cimport (Ladder, ladder_find, ladder_from, ladder_init, ladder_key,
                       ladder_level_off)
from ._pool cimport Leaf, Level, Order, pool_drop, pool_init, pool_ready
from ._records cimport *
from ._resting cimport (book_forget, book_remove, book_rest, can_fill, crosses, level_at,
                        level_join, level_leave, overflows, shrink)

from libc.stdint cimport INT64_MAX
from libc.string cimport memset

cdef enum:
    LOOKAHEAD = 8           # commands ahead whose place in the id table is asked into the cache
    LOOKAHEAD_ORDER = 4     # and the order itself; both divide by two


cdef void core_init(Core* core) noexcept nogil:
    memset(core, 0, sizeof(Core))
    pool_init(&core.pool)
    core.next_order_id = 1
    core.next_trade_id = 1


cdef void core_drop(Core* core) noexcept nogil:
    """Frees the orders and ladders of all its books; each book's own part is for book_drop."""
    pool_drop(&core.pool)


cdef void book_init(Book* book, u32 instrument, u64 secret) noexcept nogil:
    """An empty book that takes any lot and quantity, and 2^32 - 1 orders."""
    memset(book, 0, sizeof(Book))
    ladder_init(&book.sides[0], BUY)
    ladder_init(&book.sides[1], SELL)
    ids_init(&book.ids, secret)
    book.instrument = instrument
    book.lot = 1
    book.quantity_max = INT64_MAX
    book.orders_max = <u64>0xffffffff


cdef void book_drop(Book* book) noexcept nogil:
    ids_drop(&book.ids)


cdef inline u64 limit_of(const Book* book, const mc_command* command) noexcept nogil:
    """The worst key on the other side that a command may trade with."""
    if command.kind == NEW and command.order_type == MARKET:
        return ~<u64>0
    return ladder_key(&book.sides[2 - command.side], command.price)


cdef inline i64 book_take(Core* core, Book* book, const mc_command* taker, i64 left,
                          Events* events) noexcept nogil:
    """Trades with the other side, best level first, oldest first; returns what is left.

    Returns early, with events.at == events.end, when the buffer is full.
    """
    cdef Ladder* ladder = &book.sides[2 - taker.side]
    cdef u64 limit = limit_of(book, taker)
    cdef u64 key
    cdef i64 fill
    cdef Leaf* leaf
    cdef Level* level
    cdef Order* maker
    cdef Order* after
    while ladder.best <= limit and ladder.levels > 0 and events.at < events.end:
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
            if maker.left > 0:
                level.head = maker
                maker.prev = NULL
                return 0
            after = maker.next
            book_forget(core, book, maker)
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


cdef inline bint crosses_command(const Book* book, const mc_command* command) noexcept nogil:
    cdef const Ladder* other = &book.sides[2 - command.side]
    return other.best <= limit_of(book, command) and other.levels > 0


cdef Field unsupported(const mc_command* command) noexcept nogil:
    """The first field for later use that is not zero."""
    if command.stop_price:
        return F_STOP_PRICE
    if command.display_quantity:
        return F_DISPLAY_QUANTITY
    if command.expiry:
        return F_EXPIRY
    if command.self_trade:
        return F_SELF_TRADE
    return F_RESERVED


cdef inline bint uses_later_fields(const mc_command* command) noexcept nogil:
    return (command.stop_price | command.display_quantity | command.expiry
            | command.self_trade | command.reserved | command.reserved_wide
            | <i64>command.reserved_long) != 0


cdef inline Reason wrong_quantity(const Book* book, i64 quantity) noexcept nogil:
    if quantity <= 0:
        return R_QUANTITY_NOT_POSITIVE
    if quantity > book.quantity_max:
        return R_QUANTITY_TOO_LARGE
    if book.lot != 1 and quantity % book.lot:
        return R_OFF_LOT
    return R_NONE


cdef inline bint is_resting(const mc_command* command) noexcept nogil:
    """True for an order whose rest stays in the book."""
    return command.order_type == LIMIT and command.time_in_force <= DAY


cdef inline Reason wrong_new(Book* book, const mc_command* command, u32 hash,
                             Field* field) noexcept nogil:
    """What forbids a NEW, in the order of the rule book, or R_NONE."""
    cdef bint resting = is_resting(command)
    cdef Reason reason
    if mc_unlikely(<u8>(command.side - 1) > 1):
        field[0] = F_SIDE
        return R_BAD_SIDE
    if mc_unlikely(<u8>(command.order_type - 1) > 1):
        field[0] = F_ORDER_TYPE
        return R_BAD_ORDER_TYPE
    if mc_unlikely(<u8>(command.time_in_force - 1) > 3):
        field[0] = F_TIME_IN_FORCE
        return R_BAD_TIME_IN_FORCE
    if mc_unlikely(command.flags != 0 and not (command.flags == POST_ONLY and resting)):
        field[0] = F_FLAGS
        return R_BAD_FLAGS
    if mc_unlikely(uses_later_fields(command)):
        field[0] = unsupported(command)
        return R_UNSUPPORTED
    if mc_unlikely(command.order_type == MARKET and command.price != 0):
        field[0] = F_PRICE
        return R_PRICE_NOT_ALLOWED
    reason = wrong_quantity(book, command.quantity)
    if mc_unlikely(reason != R_NONE):
        field[0] = F_QUANTITY
        return reason
    if mc_unlikely(command.order_id != 0
                   and ids_find(&book.ids, hash, command.order_id) != NULL):
        field[0] = F_ORDER_ID
        return R_DUPLICATE_ORDER
    if resting:
        if mc_unlikely(book.orders >= book.orders_max):
            field[0] = F_MAX_ORDERS
            return R_TOO_MANY_ORDERS
        if command.flags == POST_ONLY and crosses(book, command.side, command.price):
            field[0] = F_PRICE
            return R_WOULD_TRADE
        if mc_unlikely(overflows(book, command.side, command.price, command.quantity, 0)):
            field[0] = F_QUANTITY
            return R_LEVEL_OVERFLOW
    return R_NONE


cdef inline u64 next_id(Core* core, Book* book) noexcept nogil:
    """The next id that is not live in this book."""
    cdef u64 order_id = core.next_order_id
    while ids_look_up(&book.ids, order_id) != NULL:
        order_id += 1
    core.next_order_id = order_id + 1
    return order_id


cdef void finish_taking(Core* core, Book* book, const mc_command* command, u32 hash, u16 flags,
                        i64 left, Events* events) noexcept nogil:
    """What becomes of an order's rest once it has traded all it can."""
    cdef Reason reason
    if left == 0:
        return
    if command.kind == AMEND or is_resting(command):
        book_rest(core, book, command, hash, flags, left)
        return
    if command.order_type == MARKET:
        reason = R_MARKET_REMAINDER
    else:
        reason = R_IMMEDIATE_OR_CANCEL
    emit_taker(core, events, CANCELLED, reason, command, left, 0)


cdef inline void take_and_rest(Core* core, Book* book, const mc_command* command, u32 hash,
                               u16 flags, i64 left, Events* events) noexcept nogil:
    cdef Pending* pending = &core.pending
    if crosses_command(book, command):
        left = book_take(core, book, command, left, events)
        if left > 0 and events.at == events.end and crosses_command(book, command):
            pending.command = command[0]
            pending.command.flags = flags
            pending.book = book
            pending.left = left
            pending.stage = TAKING
            return
    finish_taking(core, book, command, hash, flags, left, events)


cdef inline void do_new(Core* core, Book* book, const mc_command* given, u32 hash,
                        Events* events) noexcept nogil:
    cdef Field field = F_NONE
    cdef Reason reason = wrong_new(book, given, hash, &field)
    cdef mc_command named
    cdef const mc_command* command = given
    if mc_unlikely(reason != R_NONE):
        emit_refusal(core, given, reason, field, events)
        return
    if given.order_id == 0:
        named = given[0]
        named.order_id = next_id(core, book)
        hash = ids_hash(&book.ids, named.order_id)
        command = &named
    emit_taker(core, events, ACCEPTED, R_NONE, command, command.quantity, command.quantity)
    if command.time_in_force == FOK and not can_fill(
            book, command.side, limit_of(book, command), command.quantity):
        emit_taker(core, events, CANCELLED, R_FILL_OR_KILL, command, command.quantity, 0)
        return
    take_and_rest(core, book, command, hash, command.flags, command.quantity, events)


cdef inline Order* order_for(Core* core, Book* book, const mc_command* command, u32 hash,
                             Events* events) noexcept nogil:
    """The live order that a command names, or NULL after a refusal."""
    cdef Order* order = ids_find(&book.ids, hash, command.order_id)
    if order == NULL:
        emit_refusal(core, command, R_UNKNOWN_ORDER, F_ORDER_ID, events)
    elif command.account != 0 and command.account != order.account:
        emit_refusal(core, command, R_NOT_OWNER, F_ACCOUNT, events)
        return NULL
    return order


cdef inline void cancel_order(Core* core, Book* book, Order* order, u8 reason,
                              Events* events) noexcept nogil:
    emit(core, events, CANCELLED, reason, book.instrument, order, order.price, order.left, 0)
    book_remove(core, book, order)


cdef void do_reduce(Core* core, Book* book, const mc_command* command, u32 hash,
                    Events* events) noexcept nogil:
    cdef Order* order
    if command.quantity <= 0:
        emit_refusal(core, command, R_QUANTITY_NOT_POSITIVE, F_QUANTITY, events)
        return
    order = order_for(core, book, command, hash, events)
    if order == NULL:
        return
    if command.quantity >= order.left:
        cancel_order(core, book, order, R_REDUCED_TO_NOTHING, events)
    elif command.quantity % book.lot:
        emit_refusal(core, command, R_OFF_LOT, F_QUANTITY, events)
    else:
        shrink(book, order, order.left - command.quantity)
        emit(core, events, AMENDED, R_NONE, book.instrument, order, order.price, order.left, order.left)


cdef void do_amend(Core* core, Book* book, const mc_command* given, u32 hash,
                   Events* events) noexcept nogil:
    cdef mc_command command = given[0]
    cdef Reason reason
    cdef Order* order
    cdef u16 flags
    if given.flags & ~(KEEP_PRICE | KEEP_QUANTITY) or given.flags == (KEEP_PRICE | KEEP_QUANTITY):
        emit_refusal(core, given, R_BAD_FLAGS, F_FLAGS, events)
        return
    if uses_later_fields(given):
        emit_refusal(core, given, R_UNSUPPORTED, unsupported(given), events)
        return
    if not given.flags & KEEP_QUANTITY:
        reason = wrong_quantity(book, given.quantity)
        if reason != R_NONE:
            emit_refusal(core, given, reason, F_QUANTITY, events)
            return
    order = order_for(core, book, given, hash, events)
    if order == NULL:
        return
    if given.flags & KEEP_PRICE:
        command.price = order.price
    if given.flags & KEEP_QUANTITY:
        command.quantity = order.left
    command.side = order.side
    command.client_order_id = order.client_order_id
    command.account = order.account
    command.time_in_force = order.time_in_force
    flags = order.flags
    if flags & POST_ONLY and command.price != order.price and crosses(book, order.side, command.price):
        emit_refusal(core, given, R_WOULD_TRADE, F_PRICE, events)
        return
    if overflows(book, order.side, command.price, command.quantity,
                 order.left if command.price == order.price else 0):
        emit_refusal(core, given, R_LEVEL_OVERFLOW, F_QUANTITY, events)
        return
    emit(core, events, AMENDED, R_NONE, book.instrument, order, command.price, command.quantity,
         command.quantity)
    if command.price == order.price and command.quantity <= order.left:
        shrink(book, order, command.quantity)
        return
    if crosses_command(book, &command):
        book_remove(core, book, order)
        take_and_rest(core, book, &command, hash, flags, command.quantity, events)
        return
    level_leave(core, book, order)
    order.price = command.price
    order.left = command.quantity
    level_join(core, book, order)


cdef bint book_sweep(Core* core, Book* book, Events* events) noexcept nogil:
    """Cancels what core.pending asks for in this book; false when the buffer is full first."""
    cdef Pending* pending = &core.pending
    cdef bint mass = pending.command.kind == MASS_CANCEL
    cdef Reason reason = R_MASS_CANCEL if mass else R_END_OF_DAY
    cdef Ladder* ladder
    cdef Order* order
    cdef Order* after
    while pending.side < 2:
        ladder = &book.sides[pending.side]
        if not mass or pending.command.side == 0 or pending.command.side == pending.side + 1:
            while ladder_from(ladder, pending.key, &pending.key):
                order = level_at(ladder, pending.key).head
                while order != NULL:
                    if (pending.command.account in (0, order.account) if mass
                            else order.time_in_force == DAY):
                        if events.at >= events.end:
                            return False
                        after = order.next
                        cancel_order(core, book, order, reason, events)
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


cdef inline u32 look_ahead(Book** books, u32 books_count, const mc_command* command) noexcept nogil:
    """The hash of a later command's id, whose place in the table is asked for."""
    cdef Book* book
    cdef u32 hash
    if mc_unlikely(command.instrument - 1 >= books_count):
        return 0
    book = books[command.instrument - 1]
    hash = ids_hash(&book.ids, command.order_id)
    ids_prefetch(&book.ids, hash)
    return hash


cdef inline void apply_order(Core* core, Book* book, const mc_command* command, u32 hash,
                             Events* events) noexcept nogil:
    cdef Order* order
    if command.kind == NEW:
        do_new(core, book, command, hash, events)
    elif command.kind == CANCEL:
        order = order_for(core, book, command, hash, events)
        if order != NULL:
            cancel_order(core, book, order, R_REQUESTED, events)
    elif command.kind == AMEND:
        do_amend(core, book, command, hash, events)
    else:
        do_reduce(core, book, command, hash, events)


cdef Halt orders_run(Core* core, Book** books, u32 books_count, const mc_command* commands,
                     size_t count, size_t* taken, Events* events) noexcept nogil:
    """Applies commands as long as they are of orders, for one of these books.

    First goes on with what a full buffer has interrupted.
    """
    cdef const mc_command* command
    cdef const mc_command* ahead
    cdef Book* book
    cdef Pending* pending = &core.pending
    cdef size_t i = 0
    cdef u32 hash
    cdef u32 hashes[LOOKAHEAD]
    taken[0] = 0
    if pending.stage == TAKING:
        if events.at >= events.end:
            return FULL
        pending.stage = IDLE
        take_and_rest(core, pending.book, &pending.command,
                      ids_hash(&pending.book.ids, pending.command.order_id),
                      pending.command.flags, pending.left, events)
        if pending.stage != IDLE:
            return FULL
    for i in range(LOOKAHEAD if count > LOOKAHEAD else count):
        hashes[i] = look_ahead(books, books_count, &commands[i])
    i = 0
    while i < count:
        command = &commands[i]
        if mc_unlikely(command.instrument - 1 >= books_count
                       or <u8>(command.kind - NEW) > REDUCE - NEW):
            break
        if mc_unlikely(events.at >= events.end):
            taken[0] = i
            return FULL
        book = books[command.instrument - 1]
        if mc_unlikely(not (pool_ready(&core.pool) and ids_ready(&book.ids))):
            taken[0] = i
            return NO_MEMORY
        hash = hashes[i % LOOKAHEAD]
        if i + LOOKAHEAD < count:
            hashes[i % LOOKAHEAD] = look_ahead(books, books_count, &commands[i + LOOKAHEAD])
            ahead = &commands[i + LOOKAHEAD_ORDER]
            if ahead.instrument - 1 < books_count:
                ids_prefetch_order(&books[ahead.instrument - 1].ids,
                                   hashes[(i + LOOKAHEAD_ORDER) % LOOKAHEAD])
        core.sequence += 1
        i += 1
        apply_order(core, book, command, hash, events)
        if mc_unlikely(pending.stage != IDLE):
            taken[0] = i
            return FULL
    taken[0] = i
    return DONE
