"""The phases of markets: which follows which, and what happens in between."""
from ._auction cimport call_drop, forget_indicative, publish, uncross
from ._counted cimport average_price, count_trade, forget_counted
from ._places cimport last_of, orders_found
from ._saying cimport say, say_of, tell
from ._settling cimport cancel_partners, settle
from ._turn cimport cancel, lift, rest, turn_begin
from .core.tally cimport Cross
from .core.market cimport *
from .core.records cimport *
from .core.spill cimport event_spilled

from libc.stdint cimport INT64_MAX
from libc.string cimport memset

from ..records.schema import NEXT_PHASES

cdef enum:
    PHASES = 16

cdef u32 NEXT[PHASES]       # a bit for each phase that may follow

for _phase, _following in NEXT_PHASES.items():
    NEXT[int(_phase)] = sum(1 << int(one) for one in {_phase, *_following})


# ---------------------------------------------------------------------- one market

cdef bint has_closing_price(Turn* turn, const Cross* cross, i64* price) noexcept nogil:
    """What the closing price is if the day ends now; false if nothing tells it.

    `cross`: of the auction that has just ended; NULL: none has, or nothing traded.
    """
    cdef Market* market = turn.market
    cdef i64 rule = market.value[<u32>M_CLOSING][<u32>CLOSING_RULE]
    cdef bint known = False
    if market.known & KNOWN_CLOSING:
        price[0] = market.closing_price
        return True
    if rule == CLOSE_AUCTION and cross != NULL:
        price[0] = cross.price
        return True
    if rule != CLOSE_LAST and market.close_volume:
        price[0] = average_price(market)
        return True
    price[0] = last_of(turn, &known)
    if not known:
        price[0] = market.value[<u32>M_DAY][<u32>DAY_PREVIOUS_CLOSE]
    return known or price[0] != 0


cdef bint is_next(Turn* turn, u8 phase) noexcept nogil:
    """True if a phase may follow the one of the market."""
    return NEXT[turn.market.phase & (PHASES - 1)] >> phase & 1


cdef Reason check_phase(Turn* turn, u8 phase) noexcept nogil:
    """Whether a SET_PHASE may set its phase in this market."""
    cdef i64 price = 0
    if not is_next(turn, phase):
        return R_PHASE_OUT_OF_ORDER
    if (phase == PHASE_AT_CLOSING_PRICE and turn.market.phase != phase
            and not has_closing_price(turn, NULL, &price)):
        return R_NO_REFERENCE
    return R_NONE


cdef void change_phase(Turn* turn, u8 phase, i64 until, u8 reason) noexcept nogil:
    """The next phase: the call before it ends, the orders that waited for it come into the book."""
    cdef Market* market = turn.market
    cdef u8 before = market.phase
    cdef Cross cross
    cdef bint crossed = False
    cross.price = cross.quantity = 0
    if phase != before and (phase == PHASE_CONTINUOUS
                            or (has(CALL_PHASES, before) and has(UNCROSS_PHASES, phase))):
        crossed = uncross(turn, &cross)
    if phase == PHASE_CLOSED or phase == PHASE_AT_CLOSING_PRICE:
        if not market.known & KNOWN_CLOSING:
            if has_closing_price(turn, &cross if crossed else NULL, &market.closing_price):
                market.known |= KNOWN_CLOSING
            else:
                market.closing_price = 0
    elif phase != PHASE_HALTED and phase != PHASE_CANCEL_ONLY:
        market.known &= ~KNOWN_CLOSING      # the market opens again, and has another close
        market.closing_price = 0
    market.phase = phase
    market.until = until
    if not has(CALL_PHASES, phase):
        call_drop(market)
    elif not has(CALL_PHASES, before):
        forget_indicative(market)
    say_phase(turn, before, reason, &cross if crossed else NULL)
    if has(CALL_PHASES, phase):
        release(turn, phase)
    if phase == PHASE_CONTINUOUS and before != phase:
        go_on_from_last(turn)


cdef void say_phase(Turn* turn, u8 before, u8 reason, const Cross* cross) noexcept nogil:
    cdef u8 phase = turn.market.phase
    cdef mc_event* event = say(turn, PHASE_CHANGED)
    cdef mc_change* change
    event.price = cross.price if cross != NULL else 0
    event.quantity = cross.quantity if cross != NULL else 0
    event.left = phase
    event.taker_left = before
    event.reason = reason
    change = tell(turn, C_PHASE)
    if change == NULL:
        return
    change.level_orders = phase
    change.price, change.quantity = event.price, event.quantity
    if (phase == PHASE_HALTED) != (before == PHASE_HALTED):
        change = tell(turn, C_HALT)
        change.level_orders = phase
        change.flags = phase == PHASE_HALTED


cdef void release(Turn* turn, u8 phase) noexcept nogil:
    """Orders that waited for this call come into the book, oldest first."""
    cdef Wide* wide = turn.market.waiting.head
    cdef Wide* after
    while wide != NULL:
        after = <Wide*>wide.order.next
        if wide.order.time_in_force != AT_CLOSE or phase == PHASE_CLOSING_CALL:
            lift(turn, wide, 0)
            if wide.order_type == MARKET and not wide.flags & PROTECTED:
                wide.order.price = ANY_BUY if wide.order.side == BUY else ANY_SELL
            say_of(turn, TRIGGERED, R_NONE, wide, wide.total, wide.total)
            rest(turn, wide, 0)
        wide = after


cdef void go_on_from_last(Turn* turn) noexcept nogil:
    """Continuous trading begins: the last trade counts for stops as one of this command."""
    cdef bint known = False
    cdef i64 last = last_of(turn, &known)
    if known:
        turn.low = least(turn.low, last) if turn.traded else last
        turn.high = greatest(turn.high, last) if turn.traded else last
        turn.traded = True


# ---------------------------------------------------------------------- SET_PHASE

cdef Reason check_codes(const mc_phase* command, Field* field) noexcept nogil:
    """What forbids a SET_PHASE, whatever the market."""
    if command.phase >= PHASES or NEXT[command.phase] == 0:
        field[0] = F_PHASE
        return R_BAD_VALUE
    if command.until != 0 and not has(TIMED_PHASES, command.phase):
        field[0] = F_UNTIL
        return R_BAD_VALUE
    if command.flags & ~P_CANCEL_ORDERS:
        field[0] = F_FLAGS
        return R_BAD_FLAGS
    return R_NONE


cdef bint is_reserved_set(const mc_phase* command) noexcept nogil:
    return (command.reserved1 | command.reserved2 | command.reserved3 | command.reserved4
            | command.reserved5 | command.reserved6 | command.reserved7) != 0 or (
            command.reserved_short | command.reserved_next | command.reserved_last) != 0


cdef Reason check_place(Markets* all, u32 instruments, u32 instrument, Field* field) noexcept nogil:
    """Whether a command may be about an instrument: a market, or 0 for all of them."""
    field[0] = F_INSTRUMENT
    if instrument > instruments:
        return R_UNKNOWN_INSTRUMENT
    if instrument and all.markets[instrument - 1] == NULL:
        return R_NO_MARKET
    return R_NONE


cdef void run_phase(Turn* turn, const mc_phase* command) noexcept nogil:
    """SET_PHASE of one market; nothing forbids it.

    What has expired goes before anything else, so that it never trades in an auction.
    """
    cdef size_t count, i
    expire(turn)
    cancel_partners(turn)
    if command.flags & P_CANCEL_ORDERS:
        count = orders_found(turn)
        for i in range(count):
            cancel(turn, turn.all.found[i], R_PHASE)
        turn.all.touched_count = 0
    change_phase(turn, command.phase, command.until, R_NONE)
    settle(turn)
    publish(turn)


cdef bint is_in_group(const Market* market, u32 group) noexcept nogil:
    return group == 0 or market.value[<u32>M_TRADING][<u32>T_MARKET_GROUP] == <i64>group


cdef Reason check_all(Markets* all, Core* core, u32 first, u32 last, const mc_phase* command,
                      Events* events, Field* field) noexcept nogil:
    """Whether any of the markets from one number to another, and of the group, takes the phase."""
    cdef Reason reason = R_NO_MARKET
    cdef Turn turn
    cdef u32 number
    field[0] = F_GROUP
    for number in range(first, last + 1):
        if all.markets[number - 1] == NULL or not is_in_group(all.markets[number - 1], command.group):
            continue
        turn_begin(&turn, all, core, number, command.time, events)
        reason = check_phase(&turn, command.phase)
        field[0] = F_PHASE
        if reason == R_NONE:
            return R_NONE
        if command.instrument == 0:
            reason = R_PHASE_OUT_OF_ORDER
    return reason


cdef Reason set_phase(Markets* all, Core* core, u32 instruments, const mc_command* given,
                      Events* events, Field* field) noexcept nogil:
    """SET_PHASE: R_NONE, or why it is refused."""
    cdef const mc_phase* command = <const mc_phase*>given
    cdef u32 first = command.instrument, last = command.instrument, number
    cdef Reason reason
    cdef Turn turn
    if is_reserved_set(command):
        field[0] = F_RESERVED
        return R_UNSUPPORTED
    reason = check_place(all, instruments, command.instrument, field)
    if reason == R_NONE:
        reason = check_codes(command, field)
    if reason != R_NONE:
        return reason
    if command.instrument == 0:
        first = 1
        last = instruments
    elif command.group != 0:
        field[0] = F_GROUP
        return R_BAD_VALUE
    reason = check_all(all, core, first, last, command, events, field)
    if reason != R_NONE:
        return reason
    for number in range(first, last + 1):
        if all.markets[number - 1] == NULL or not is_in_group(all.markets[number - 1], command.group):
            continue
        turn_begin(&turn, all, core, number, command.time, events)
        if check_phase(&turn, command.phase) == R_NONE:
            run_phase(&turn, command)
    return R_NONE


# ---------------------------------------------------------------------- CLOCK

cdef i64 expire(Turn* turn) noexcept nogil:
    """Cancels the orders whose time is over; returns how many."""
    cdef Market* market = turn.market
    cdef size_t count, i
    cdef i64 over = 0, earliest = INT64_MAX
    cdef Wide* wide
    if turn.time < market.expiry:
        return 0
    count = orders_found(turn)
    for i in range(count):
        wide = turn.all.found[i]
        if is_expired(turn, wide):
            cancel(turn, wide, R_EXPIRED)
            over += 1
        elif wide.expiry != 0:
            earliest = least(earliest, wide.expiry)
    market.expiry = earliest
    return over


cdef Reason clock(Markets* all, Core* core, u32 instruments, const mc_command* command,
                  Events* events, Field* field) noexcept nogil:
    """CLOCK: R_NONE, or why it is refused."""
    cdef u32 first = command.instrument, last = command.instrument, number
    cdef i64 over = 0, ended = 0
    cdef Reason reason = check_place(all, instruments, command.instrument, field)
    cdef mc_event* event
    cdef Turn turn
    if reason != R_NONE:
        return reason
    if command.instrument == 0:
        first = 1
        last = instruments
    for number in range(first, last + 1):
        if all.markets[number - 1] == NULL:
            continue
        turn_begin(&turn, all, core, number, command.time, events)
        over += expire(&turn)
        settle(&turn)
        if is_over(&turn):
            change_phase(&turn, PHASE_CONTINUOUS, 0, R_NONE)
            settle(&turn)
            ended += 1
        publish(&turn)
    event = event_of_all(all, core, events)
    event.kind = CLOCKED
    event.instrument = command.instrument
    event.quantity = over
    event.left = ended
    return R_NONE


cdef inline bint is_over(const Turn* turn) noexcept nogil:
    """True if the phase of the market ends by itself, and its time has come."""
    cdef const Market* market = turn.market
    return has(TIMED_PHASES, market.phase) and market.until != 0 and turn.time >= market.until


cdef mc_event* event_of_all(Markets* all, Core* core, Events* events) noexcept nogil:
    """A new event of no market, behind all that has been said."""
    cdef mc_event* event = events.at
    if event < events.end and all.spill.count == 0:
        events.at += 1
    else:
        event = event_spilled(all)
    memset(event, 0, sizeof(mc_event))
    event.sequence = core.sequence
    return event


# ---------------------------------------------------------------------- the day

cdef bint ends_with_day(const Wide* wide, i64 time) noexcept nogil:
    """What the end of the day does to an order (docs/markets/orders.md)."""
    return (has(MARKET_DAY_TIFS, wide.order.time_in_force) or 0 < wide.expiry <= time
            or wide.order_type == MARKET)


cdef void end_day(Turn* turn) noexcept nogil:
    """What the end of the day does to the prices of a market."""
    cdef Market* market = turn.market
    market.known = market.halts = 0
    market.open_price = market.auction_price = market.closing_price = 0
    forget_counted(market)
    forget_indicative(market)


cdef void note_trade(Turn* turn, i64 price, i64 quantity) noexcept nogil:
    """What a trade leaves for the open and the closing price."""
    cdef Market* market = turn.market
    if not market.known & KNOWN_OPEN:
        market.known |= KNOWN_OPEN
        market.open_price = price
    if mc_unlikely(market.value[<u32>M_CLOSING][<u32>CLOSING_WINDOW] != 0
                   or market.value[<u32>M_CLOSING][<u32>CLOSING_RULE] == CLOSE_AVERAGE):
        count_trade(turn, price, quantity)
