# Commands and their events in, reports out: what `reference.py` says, for arrays.
from libc.stdint cimport INT64_MAX, INT64_MIN
from libc.string cimport memset

from ...machine.core.records cimport *
from .orders cimport (IS_NAME, Counter, Order, Orders, Trade, counters_size, id_hash, is_known,
                      name_find, name_give, name_hash, next_number, order_at, order_done, order_enter,
                      order_find, order_open, pending_end, pending_find, remember, trade_at)
from .pool cimport pool_give, pool_take
from .table cimport table_ahead, table_guess

cdef extern from * nogil:
    """
    static inline void mc_add_product(uint64_t *low, int64_t *high, int64_t a, int64_t b) {
        unsigned __int128 sum = (unsigned __int128)(uint64_t)*high << 64 | *low;
        sum += (unsigned __int128)((__int128)a * b);
        *low = (uint64_t)sum;
        *high = (int64_t)(uint64_t)(sum >> 64);
    }
    """
    void mc_add_product(u64* low, i64* high, i64 a, i64 b)

cdef enum Fault:
    FINE
    NO_MEMORY
    NOT_NEXT                # events of another command than the next
    UNKNOWN_ORDER

cdef struct Telling:        # of one command
    Orders* orders
    const mc_command* command
    bint is_starved         # no memory for a session
    u64 entered             # orders before it
    u32 part
    u32 moved               # the order that came to others last
    mc_report* at           # the next report

cdef enum:
    AHEAD_FAR = 16          # events
    AHEAD_NEAR = 8

cdef inline i64 shown_price(const Order* order, i64 price) noexcept nogil:
    """A price; 0 in place of those that stand for any in a call."""
    return 0 if order.order_type == MARKET and (price == INT64_MAX or price == INT64_MIN) else price

cdef inline i64 total(i64 a, i64 b) noexcept nogil:
    return <i64>(<u64>a + <u64>b)

cdef inline mc_report* report_begin(Telling* telling, u8 kind, u32 session) noexcept nogil:
    """A report with what all have."""
    cdef mc_report* report = telling.at
    telling.at += 1
    memset(report, 0, sizeof(mc_report))
    if kind != REPORT_REPEATED:
        report.number = next_number(telling.orders, session)
        telling.is_starved |= report.number == 0
    report.sequence = telling.orders.sequence
    report.time = telling.command.time
    report.part = telling.part
    report.day = telling.orders.day
    report.session = session
    report.kind = kind
    return report

cdef inline void set_order(mc_report* report, const Order* order) noexcept nogil:
    report.order_id, report.account = order.order_id, order.account
    report.price, report.filled = order.price, order.filled
    report.quantity = total(order.filled, order.left)
    report.left = order.left if in_set(OPEN_STATUSES, order.status) else 0
    report.turnover, report.turnover_high = order.turnover, order.turnover_high
    report.instrument, report.side = order.instrument, order.side
    report.order_type, report.time_in_force = order.order_type, order.time_in_force
    report.status = order.status
    report.flags = order.flags

cdef inline void set_name(mc_report* report, const Order* order) noexcept nogil:
    report.client_order_id = order.client_order_id
    report.client_order_tail = order.client_order_tail

cdef inline void set_answer(mc_report* report, const mc_command* command) noexcept nogil:
    report.client_order_id = command.client_order_id
    report.client_order_tail = command.client_order_tail

cdef inline mc_report* tell_order(Telling* telling, u8 kind, Order* order, u32 session) noexcept nogil:
    """A report of an order under its present name."""
    cdef mc_report* report = report_begin(telling, kind, session)
    set_order(report, order)
    set_name(report, order)
    order.sequence, order.time = report.sequence, report.time
    return report

cdef inline Fault tell_asked(Telling* telling, u8 kind, u32 number, u8 reason) noexcept nogil:
    """To the order's session, and to the one that asked if it is another."""
    cdef const mc_command* command = telling.command
    cdef Order* order = order_at(telling.orders, number)
    cdef u64 original_id = order.client_order_id, original_tail = order.client_order_tail
    cdef mc_report* report
    if (command.client_order_id and command.account == order.account
            and (command.client_order_id != original_id
                 or command.client_order_tail != original_tail)
            and not rename(telling, number)):
        return NO_MEMORY
    report = tell_order(telling, kind, order, order.session)
    report.reason = reason
    if command.session != order.session:
        report.flags |= REPORT_UNSOLICITED
        report = tell_order(telling, kind, order, command.session)
        report.flags |= REPORT_COPY
        report.reason = reason
    report.original_id, report.original_tail = original_id, original_tail
    if command.client_order_id:
        set_answer(report, command)
    return FINE

cdef inline bint rename(Telling* telling, u32 number) noexcept nogil:
    """A request of its account gives an order a name; its present one only of its session."""
    cdef Orders* orders = telling.orders
    cdef const mc_command* command = telling.command
    cdef Order* order = order_at(orders, number)
    cdef u32 alias
    if command.session == order.session:
        if order.name:
            remember(orders, order.name * 2 + IS_NAME)
        return give_name(orders, number, command.client_order_id, command.client_order_tail)
    alias = name_give(orders, number, command.client_order_id, command.client_order_tail)
    if alias:
        remember(orders, alias * 2 + IS_NAME)
    return alias != 0

cdef inline u32 enter(Telling* telling, u64 order_id, i64 quantity) noexcept nogil:
    """An order as its command describes it; 0 when there is no memory."""
    cdef const mc_command* command = telling.command
    cdef u32 number = pool_take(&telling.orders.orders)
    cdef Order* order
    if number == 0:
        return 0
    order = order_at(telling.orders, number)
    telling.orders.entered += 1
    order.entered = telling.orders.entered
    order.order_id, order.account, order.session = order_id, command.account, command.session
    order.client_order_id = command.client_order_id
    order.client_order_tail = command.client_order_tail
    order.price, order.left, order.instrument = command.price, quantity, command.instrument
    order.side, order.order_type = command.side, command.order_type
    order.time_in_force = command.time_in_force
    order.flags = REPORT_POST_ONLY if command.flags & POST_ONLY else 0
    order.status = STATUS_NEW
    return number

cdef inline bint give_name(Orders* orders, u32 number, u64 client_order_id, u64 tail) noexcept nogil:
    """Makes it the order's present name; false when there is no memory."""
    cdef Order* order = order_at(orders, number)
    order.client_order_id, order.client_order_tail = client_order_id, tail
    order.name = name_give(orders, number, client_order_id, tail) if client_order_id else 0
    return client_order_id == 0 or order.name != 0

cdef inline Fault tell_accepted(Telling* telling, const mc_event* event) noexcept nogil:
    cdef Orders* orders = telling.orders
    cdef const mc_command* command = telling.command
    cdef u32 number = enter(telling, event.order_id, event.quantity)
    cdef Order* order = order_at(orders, number)
    if number == 0:
        return NO_MEMORY
    order.side = event.side
    if mc_unlikely(command.kind == QUOTE):
        order.order_type, order.time_in_force = LIMIT, DAY
    order.price = shown_price(order, event.price)
    if not order_enter(orders, number):
        return NO_MEMORY
    order_open(orders, number)
    if not give_name(orders, number, command.client_order_id, command.client_order_tail):
        return NO_MEMORY
    tell_order(telling, REPORT_NEW, order_at(orders, number), command.session)
    telling.moved = number
    return FINE

cdef inline Fault tell_amended(Telling* telling, u32 number, const mc_event* event) noexcept nogil:
    cdef Order* order = order_at(telling.orders, number)
    order.price, order.left = shown_price(order, event.price), event.left
    telling.moved = number
    return tell_asked(telling, REPORT_REPLACED, number, 0)

cdef inline void tell_followed(Telling* telling, u32 number, const mc_event* event) noexcept nogil:
    """What happened to an order without a request of its session."""
    cdef Order* order = order_at(telling.orders, number)
    cdef u8 kind = (REPORT_TRIGGERED if event.kind == TRIGGERED
                    else REPORT_REPRICED if event.kind == REPRICED else REPORT_DECREMENTED)
    cdef mc_report* report
    order.price, order.left = shown_price(order, event.price), event.left
    report = tell_order(telling, kind, order, order.session)
    if event.kind == DECREMENTED:
        report.last_quantity = event.quantity
    else:
        telling.moved = number

cdef inline void tell_traded(Telling* telling, u32 maker, u32 taker, const mc_event* event) noexcept nogil:
    """To the sessions of both orders; the trade is remembered."""
    cdef Orders* orders = telling.orders
    cdef Trade* trade = trade_at(orders, event.trade_id)
    cdef u8 flags = 0 if taker == telling.moved else REPORT_AUCTION
    trade.trade_id, trade.price, trade.quantity = event.trade_id, event.price, event.quantity
    trade.maker, trade.maker_entered = maker, order_at(orders, maker).entered
    trade.taker, trade.taker_entered = taker, order_at(orders, taker).entered
    trade.instrument, trade.flags, trade.busted = event.instrument, flags, False
    tell_trade(telling, maker, event, flags | REPORT_MAKER)
    tell_trade(telling, taker, event, flags)

cdef inline void tell_busted(Telling* telling, const mc_event* event) noexcept nogil:
    """The trade counts no more for its orders, as far as they are known."""
    cdef Orders* orders = telling.orders
    cdef Trade* trade = trade_at(orders, event.trade_id)
    if (trade.trade_id != event.trade_id or trade.trade_id == 0 or trade.busted
            or trade.instrument != event.instrument):
        return
    trade.busted = True
    if is_known(orders, trade.maker, trade.maker_entered):
        tell_bust(telling, trade, trade.maker, REPORT_MAKER)
    if is_known(orders, trade.taker, trade.taker_entered):
        tell_bust(telling, trade, trade.taker, 0)

cdef inline void tell_bust(Telling* telling, const Trade* trade, u32 number, u8 flag) noexcept nogil:
    cdef Order* order = order_at(telling.orders, number)
    cdef mc_report* report
    order.filled = total(order.filled, -trade.quantity)
    mc_add_product(&order.turnover, &order.turnover_high, trade.price, -trade.quantity)
    if order.filled == 0 and order.is_open:
        order.status = STATUS_NEW
    elif order.filled == 0 and order.status == STATUS_FILLED:
        order.status = STATUS_CANCELLED
    report = tell_order(telling, REPORT_BUSTED, order, order.session)
    report.flags |= trade.flags | flag | REPORT_UNSOLICITED
    report.last_price, report.last_quantity = trade.price, trade.quantity
    report.trade_id = trade.trade_id

cdef inline void tell_trade(Telling* telling, u32 number, const mc_event* event, u8 flag) noexcept nogil:
    cdef Order* order = order_at(telling.orders, number)
    cdef mc_report* report
    order.filled = total(order.filled, event.quantity)
    order.left -= event.quantity
    mc_add_product(&order.turnover, &order.turnover_high, event.price, event.quantity)
    order.status = STATUS_PARTLY_FILLED if order.left else STATUS_FILLED
    report = tell_order(telling, REPORT_TRADE, order, order.session)
    report.flags |= flag
    report.last_price, report.last_quantity = event.price, event.quantity
    report.trade_id = event.trade_id
    if order.left == 0:
        order_done(telling.orders, number)

cdef inline Fault tell_cancelled(Telling* telling, u32 number, const mc_event* event) noexcept nogil:
    cdef Order* order = order_at(telling.orders, number)
    cdef u8 kind = telling.command.kind
    cdef u8 reason = event.reason
    cdef mc_report* report
    cdef Fault fault = FINE
    order.status = (STATUS_EXPIRED if reason == R_END_OF_DAY or reason == R_EXPIRED
                    or reason == R_AUCTION_OVER else STATUS_CANCELLED)
    order.reason = reason
    if ((kind == CANCEL and reason == R_REQUESTED) or (kind == REDUCE and reason == R_REDUCED_TO_NOTHING)
            or (kind == AMEND and reason == R_AMENDED_TO_FILLED)):
        fault = tell_asked(telling, REPORT_CANCELLED, number, reason)
    else:
        report = tell_order(telling, REPORT_CANCELLED, order, order.session)
        report.flags |= 0 if order.entered > telling.entered else REPORT_UNSOLICITED
        report.reason = event.reason
    order_done(telling.orders, number)
    return fault

cdef inline u8 refusal_of(u8 kind) noexcept nogil:
    """What a session is told of a refused command; 0: nothing."""
    if kind == NEW:
        return REPORT_REJECTED
    if kind == CANCEL:
        return REPORT_CANCEL_REJECTED
    if kind == AMEND or kind == REDUCE:
        return REPORT_REPLACE_REJECTED
    if kind == QUOTE:
        return REPORT_QUOTE_REJECTED
    return REPORT_MASS_CANCEL_REJECTED if kind == MASS_CANCEL else 0

cdef inline Fault tell_refused(Telling* telling, const mc_event* event) noexcept nogil:
    cdef Orders* orders = telling.orders
    cdef const mc_command* command = telling.command
    cdef u8 kind = refusal_of(command.kind)
    cdef mc_report* report
    cdef Order* order
    cdef u32 number = 0
    if kind == 0:
        return FINE
    report = report_begin(telling, kind, command.session)
    report.order_id, report.instrument = command.order_id, command.instrument
    report.account, report.side = command.account, command.side
    if command.kind == NEW:
        number = enter(telling, command.order_id, command.quantity)
        if number == 0:
            return NO_MEMORY
        order = order_at(orders, number)
        order.status, order.reason, order.field = STATUS_REJECTED, event.reason, event.field
        order.sequence, order.time = report.sequence, report.time
        set_order(report, order)
        if not keep_refused(orders, number):
            return NO_MEMORY
    elif in_set(ORDER_KINDS, command.kind):
        number = order_find(orders, command.instrument, command.order_id)
        order = order_at(orders, number)
        if number and (command.account == 0 or command.account == order.account):
            set_order(report, order)
            report.original_id, report.original_tail = order.client_order_id, order.client_order_tail
    set_answer(report, command)
    report.reason, report.field = event.reason, event.field
    return FINE

cdef inline bint keep_refused(Orders* orders, u32 number) noexcept nogil:
    """Remembers a refused order if its name is free; false when there is no memory."""
    cdef Order* order = order_at(orders, number)
    if order.client_order_id == 0 or name_find(orders, order.account, order.client_order_id,
                                               order.client_order_tail):
        pool_give(&orders.orders, number)
        return True
    if not give_name(orders, number, order.client_order_id, order.client_order_tail):
        return False
    order_done(orders, number)
    return True

cdef inline u32 taker_of(const Telling* telling, const mc_event* event) noexcept nogil:
    """The number of the order that trades with the maker; 0: it is not known."""
    cdef const Order* moved = order_at(telling.orders, telling.moved)
    if mc_likely(telling.moved and moved.order_id == event.taker_order_id
                 and moved.instrument == event.instrument):
        return telling.moved
    return order_find(telling.orders, event.instrument, event.taker_order_id)

cdef inline Fault tell_event(Telling* telling, const mc_event* event) noexcept nogil:
    """The reports of one event; up to two."""
    cdef Orders* orders = telling.orders
    cdef const mc_command* command = telling.command
    cdef mc_report* report
    cdef u32 number, taker
    if event.kind == ACCEPTED:
        return tell_accepted(telling, event)
    if event.kind == REJECTED:
        return tell_refused(telling, event)
    if in_set(LIVE_EVENTS, event.kind):
        number = order_find(orders, event.instrument, event.order_id)
        if number == 0 or not order_at(orders, number).is_open:
            return UNKNOWN_ORDER
        if event.kind == AMENDED:
            return tell_amended(telling, number, event)
        if event.kind == CANCELLED:
            return tell_cancelled(telling, number, event)
        if event.kind != TRADED:
            tell_followed(telling, number, event)
            return FINE
        taker = taker_of(telling, event)
        if taker == 0 or not order_at(orders, taker).is_open:
            return UNKNOWN_ORDER
        tell_traded(telling, number, taker, event)
    elif event.kind == BUSTED:
        tell_busted(telling, event)
    elif event.kind == MASS_CANCELLED or event.kind == QUOTE_SET:
        report = report_begin(telling, REPORT_MASS_CANCELLED if event.kind == MASS_CANCELLED
                              else REPORT_QUOTE_SET, command.session)
        report.left = event.left
        report.instrument, report.account, report.side = event.instrument, event.account, event.side
        report.last_quantity = event.quantity
        set_answer(report, command)
    elif event.kind == DAY_ENDED and event.instrument == 0:
        orders.day += 1
        orders.counters_used = 0
        memset(orders.counters, 0, counters_size(orders))
    elif event.kind == REPEATED:
        report = report_begin(telling, REPORT_REPEATED, command.session)
        report.order_id, report.instrument = command.order_id, command.instrument
        report.account, report.side = command.account, command.side
        report.trade_id = event.trade_id
        set_answer(report, command)
    return FINE

cdef inline void look_ahead(const Orders* orders, const mc_event* event, const mc_event* end) noexcept nogil:
    """Fetches what the events some places on need: first entries of tables, then orders."""
    cdef u32 number
    if event + AHEAD_FAR < end:
        table_ahead(&orders.by_id, id_hash(orders, event[AHEAD_FAR].instrument,
                                           event[AHEAD_FAR].order_id))
        if event[AHEAD_FAR].client_order_id:
            table_ahead(&orders.by_name, name_hash(orders, event[AHEAD_FAR].account,
                                                   event[AHEAD_FAR].client_order_id))
    if event + AHEAD_NEAR < end:
        number = table_guess(&orders.by_id, id_hash(orders, event[AHEAD_NEAR].instrument,
                                                    event[AHEAD_NEAR].order_id))
        if number:
            mc_prefetch(order_at(orders, number))
            mc_prefetch(<char*>order_at(orders, number) + 64)

cdef inline Fault tell(Orders* orders, const mc_command* commands, size_t count,
                       const mc_event* event, size_t events, mc_report** at) noexcept nogil:
    """The reports of commands and of all their events; there is room for two an event."""
    cdef const mc_event* end = event + events
    cdef Telling telling
    cdef Fault fault = FINE
    cdef bint again
    cdef size_t i
    if orders.sequence == 0 and events:
        orders.sequence = event.sequence - 1    # begins with the first that it is given
    telling.orders = orders
    telling.at = at[0]
    telling.is_starved = False
    for i in range(count):
        if event == end or event.sequence != orders.sequence + 1:
            return NOT_NEXT
        orders.sequence += 1
        telling.command = &commands[i]
        telling.part = telling.moved = 0
        telling.entered = orders.entered
        if orders.by_pending.count and in_set(NAMING_KINDS, commands[i].kind):
            pending_end(orders, pending_find(orders, commands[i].account,
                                             commands[i].client_order_id,
                                             commands[i].client_order_tail))
        again = event.kind == REPEATED
        while event < end and event.sequence <= orders.sequence:
            look_ahead(orders, event, end)
            if not again or telling.part == 0:
                fault = tell_event(&telling, event)
                if mc_unlikely(fault != FINE):
                    return fault
            telling.part += 1
            event += 1
        if telling.is_starved:
            return NO_MEMORY
        at[0] = telling.at
    return FINE if event == end else NOT_NEXT
