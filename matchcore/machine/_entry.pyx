"""A new order of a market: what forbids it, and what it becomes when it is entered."""
from libc.stdint cimport INT64_MAX
from libc.string cimport memcpy

from ._execution cimport bounded, slid, start
from ._limits cimport limits_admit, limits_allow
from ._places cimport has_reference, last_of
from ._settling cimport settle
from ._stops cimport has_peg_price, outside_cage, set_trailing
from .core.checks cimport wrong_quantity
from .core.ids cimport ids_find, ids_hash, ids_look_up
from .core.market cimport *
from .core.moves cimport fresh_here, rest_here, show_here
from .core.pool cimport slots_give
from .core.prices cimport floor_tick, is_priced, size_of, within_limits
from .core.records cimport *
from .core.resting cimport next_id
from .core.saying cimport said_of


cdef enum:
    ALL_TIFS = EVERY_TIMEINFORCE
    MARKET_TIFS = EVERY_TIMEINFORCE & ~(1 << GTD)
    BEST_FIVE_TIFS = RESTING_TIFS | 1 << IOC
    IMMEDIATE_TIFS = 1 << IOC | 1 << FOK
    OPENING_PHASES = (1 << PHASE_PRE_OPEN | 1 << PHASE_OPENING_CALL | 1 << PHASE_OPENING_CALL_LOCKED)
    CONTINUOUS_TYPES = STOP_TYPES | PEG_TYPES
    TO_LIMIT_TYPES = (1 << MARKET_TO_LIMIT | 1 << BEST_FIVE_LIMIT | 1 << OWN_BEST
                      | 1 << COUNTERPARTY_BEST)
    MINIMUM_TYPES = (1 << LIMIT | 1 << MARKET | 1 << MARKET_TO_LIMIT | 1 << BEST_FIVE
                     | 1 << BEST_FIVE_LIMIT | 1 << COUNTERPARTY_BEST)
    NEVER_RESTING = 1 << MARKET | 1 << BEST_FIVE
    NOT_IN_CALLS = CONTINUOUS_TYPES | TO_LIMIT_TYPES | 1 << BEST_FIVE


cdef inline Reason because(Reason reason, Field which, Field* field) noexcept nogil:
    field[0] = which
    return reason


# ---------------------------------------------------------------------- what forbids it

cdef inline u32 tifs_of(u8 order_type) noexcept nogil:
    """The times in force that a type may have."""
    if order_type == LIMIT:
        return ALL_TIFS
    if order_type == MARKET:
        return MARKET_TIFS
    return BEST_FIVE_TIFS if order_type == BEST_FIVE else LASTING_TIFS


cdef bint flags_fit(u8 kind, u8 tif, u16 flags) noexcept nogil:
    cdef bint limit = kind == LIMIT, lasting = has(LASTING_TIFS, tif)
    cdef u16 posting = flags & (POST_ONLY | SLIDE)
    if posting and not (limit and lasting) or posting == POST_ONLY | SLIDE:
        return False
    if flags & PROTECTED and (not has(UNPRICED_TYPES, kind) or kind == OWN_BEST):
        return False
    if flags & HIDDEN and not (lasting and (limit or has(PEG_TYPES, kind))):
        return False
    if flags & MINIMUM and (not has(MINIMUM_TYPES, kind) or posting or tif == FOK
                            or has(AUCTION_TIFS, tif)):
        return False
    if flags & PERCENT and kind != TRAILING_STOP:
        return False
    return not (flags & LINKED and not (lasting and (limit or has(STOP_TYPES, kind))))


cdef inline Reason wrong_codes(const Turn* turn, const mc_command* command, Field* field) noexcept nogil:
    """Side, type, time in force and flags, whatever else the order has."""
    cdef const Market* market = turn.market
    cdef u8 kind = command.order_type, tif = command.time_in_force
    if not in_set(EVERY_SIDE, command.side):
        return because(R_BAD_SIDE, F_SIDE, field)
    if not in_set(EVERY_ORDERTYPE, kind) or not allows(market, T_ORDER_TYPES, kind):
        return because(R_BAD_ORDER_TYPE, F_ORDER_TYPE, field)
    if not in_set(tifs_of(kind), tif) or not allows(market, T_TIMES_IN_FORCE, tif):
        return because(R_BAD_TIME_IN_FORCE, F_TIME_IN_FORCE, field)
    if mc_unlikely(command.flags != 0):
        if command.flags & ~market.value[<u32>M_TRADING][T_ORDER_FLAGS] or not flags_fit(
                kind, tif, command.flags):
            return because(R_BAD_FLAGS, F_FLAGS, field)
    return R_NONE


cdef inline Reason wrong_phase(const Turn* turn, const mc_command* command, Field* field) noexcept nogil:
    """Whether the phase takes such an order."""
    cdef const Market* market = turn.market
    cdef u8 phase = market.phase, kind = command.order_type, tif = command.time_in_force
    if not allows(market, T_ENTRY_PHASES, phase):
        return because(R_BAD_PHASE, F_KIND, field)
    if mc_unlikely(tif == AT_OPEN) and not has(OPENING_PHASES, phase):
        return because(R_BAD_PHASE, F_TIME_IN_FORCE, field)
    if mc_likely(phase == PHASE_CONTINUOUS):
        return R_NONE
    if phase == PHASE_AT_CLOSING_PRICE:
        if kind != LIMIT:
            return because(R_BAD_PHASE, F_ORDER_TYPE, field)
        if not has(LASTING_TIFS | 1 << IOC, tif):
            return because(R_BAD_PHASE, F_TIME_IN_FORCE, field)
        if command.flags != 0 or command.display_quantity != 0:
            return because(R_BAD_PHASE, F_FLAGS, field)
        return R_NONE
    if has(NOT_IN_CALLS, kind) or not allows(market, T_CALL_TYPES, kind):
        return because(R_BAD_PHASE, F_ORDER_TYPE, field)
    if has(IMMEDIATE_TIFS, tif):
        return because(R_BAD_PHASE, F_TIME_IN_FORCE, field)
    if command.flags & (POST_ONLY | SLIDE | MINIMUM):
        return because(R_BAD_PHASE, F_FLAGS, field)
    return R_NONE


cdef Reason wrong_stop(const Turn* turn, const mc_command* command, Field* field) noexcept nogil:
    """What forbids the field stop_price, which has a meaning of its own in many types."""
    cdef i64 stop = command.stop_price
    cdef u8 kind = command.order_type
    cdef bint known = False
    field[0] = F_STOP_PRICE
    if kind == TRAILING_STOP:
        if not 0 < stop <= (PART - 1 if command.flags & PERCENT else PRICE_MAX):
            return R_BAD_STOP
        last_of(turn, &known)
        return R_NONE if known else because(R_NO_REFERENCE, F_ORDER_TYPE, field)
    if has(STOP_TYPES, kind):
        if not is_priced(stop):
            return R_BAD_STOP
        return R_NONE if floor_tick(turn.market, stop) == stop else R_OFF_TICK
    if has(PEG_TYPES, kind):
        return R_NONE if is_priced(stop) else R_BAD_STOP
    if command.flags & MINIMUM:
        return R_NONE if 0 < stop <= command.quantity else R_BAD_MINIMUM
    return R_NONE if stop == 0 else R_UNSUPPORTED


cdef Reason wrong_more(Turn* turn, const mc_command* command, Field* field) noexcept nogil:
    """What forbids the link, the display quantity or the expiry."""
    cdef const Wide* partner
    field[0] = F_DISPLAY_QUANTITY
    if command.flags & LINKED:
        partner = <const Wide*>ids_look_up(&turn.core.ids, turn.book.instrument,
                                           <u64>command.display_quantity)
        if partner == NULL or partner.order.account != command.account or partner.link != 0:
            return R_BAD_LINK
    elif command.display_quantity != 0:
        if (command.order_type != LIMIT or command.flags & HIDDEN
                or has(IMMEDIATE_TIFS, command.time_in_force)):
            return R_UNSUPPORTED
        if wrong_display(turn, command.display_quantity, command.quantity):
            return R_BAD_DISPLAY
    field[0] = F_EXPIRY
    if command.time_in_force == GTD:
        return R_NONE if command.expiry > turn.time else R_BAD_EXPIRY
    return R_NONE if command.expiry == 0 else R_UNSUPPORTED


cdef inline Reason wrong_fields(Turn* turn, const mc_command* command, Field* field) noexcept nogil:
    """The fields that only some orders have."""
    cdef Reason reason
    if mc_unlikely(command.reserved != 0):
        return because(R_UNSUPPORTED, F_RESERVED, field)
    if mc_unlikely(command.self_trade > SELF_DECREMENT):
        return because(R_BAD_SELF_TRADE, F_SELF_TRADE, field)
    if (mc_unlikely(command.order_type != LIMIT) and has(UNPRICED_TYPES, command.order_type)
            and not command.flags & PROTECTED and command.price != 0):
        return because(R_PRICE_NOT_ALLOWED, F_PRICE, field)
    if mc_likely(command.order_type == LIMIT and command.flags == 0 and command.time_in_force != GTD
                 and (command.stop_price | command.display_quantity | command.expiry) == 0):
        return R_NONE
    reason = wrong_stop(turn, command, field)
    return reason if reason != R_NONE else wrong_more(turn, command, field)


cdef inline bint is_ordinary(const Market* market, const mc_command* command) noexcept nogil:
    """True for a NEW of a limit order with nothing special in continuous trading: most are.

    Kind, side, order type and time in force lie side by side, and are one comparison.
    """
    return (((mc_word32(&command.kind) - <u32>PLAIN_BASE) & <u32>PLAIN_MASK
             | command.reserved | command.flags | <u64>command.stop_price
             | <u64>command.display_quantity | <u64>command.expiry) == 0
            and command.self_trade <= SELF_DECREMENT and market.phase == PHASE_CONTINUOUS
            and market.ordinary >> command.time_in_force & 1)


cdef bint wrong_display(Turn* turn, i64 display, i64 quantity) noexcept nogil:
    cdef i64 most = greatest(1, turn.market.value[<u32>M_QUANTITIES][Q_DISPLAY_LEAST])
    return not most <= display <= quantity or display % turn.book.lot != 0


cdef Reason wrong_size(Turn* turn, i64 quantity, u8 side, u8 order_type) noexcept nogil:
    """What forbids a quantity: the instrument's own limits, then those of its market."""
    cdef Reason reason = wrong_quantity(turn.book, quantity)
    if mc_likely(reason != R_NONE or not turn.market.force & FORCE_SIZES):
        return reason
    return wrong_market_size(turn.market, quantity, side, order_type)


cdef Reason wrong_market_size(const Market* market, i64 quantity, u8 side, u8 order_type) noexcept nogil:
    cdef const i64* said = market.value[<u32>M_QUANTITIES]
    cdef i64 step = said[Q_BUY_STEP] if side == BUY else said[Q_SELL_STEP]
    cdef i64 most = said[Q_MARKET_MOST] if has(UNPRICED_TYPES, order_type) else said[Q_LIMIT_MOST]
    if quantity < (said[Q_BUY_LEAST] if side == BUY else said[Q_SELL_LEAST]):
        return R_QUANTITY_TOO_SMALL
    if step != 0 and quantity % step != 0:
        return R_OFF_LOT
    return R_QUANTITY_TOO_LARGE if most != 0 and quantity > most else R_NONE


cdef bint wrong_value(const Turn* turn, i64 price, i64 quantity) noexcept nogil:
    """True if an order of a positive quantity is worth more than one may be."""
    cdef i64 most = turn.market.value[<u32>M_QUANTITIES][Q_VALUE_MOST]
    return most != 0 and mc_product_above(size_of(price), <u64>quantity, <u64>most)


cdef inline Reason wrong_price_here(Turn* turn, i64 price, i64 quantity) noexcept nogil:
    """What forbids the price of an order: the tick, the limits of the day, the value."""
    if mc_unlikely(not is_priced(price)):
        return R_OUTSIDE_LIMITS
    if mc_unlikely(floor_tick(turn.market, price) != price):
        return R_OFF_TICK
    if mc_unlikely(not within_limits(turn.market, price)):
        return R_OUTSIDE_LIMITS
    if mc_unlikely(turn.market.force & FORCE_SIZES) and wrong_value(turn, price, quantity):
        return R_VALUE_TOO_LARGE
    return R_NONE


cdef Reason wrong_price(Turn* turn, i64 price, i64 quantity) noexcept nogil:
    """The same, out of line."""
    return wrong_price_here(turn, price, quantity)


cdef inline bint has_room_here(Turn* turn, u8 side, i64 quantity, i64 leaving) noexcept nogil:
    """The open quantity of a side has 63 bits."""
    return turn.market.open_quantity[side - 1] - leaving <= INT64_MAX - quantity


cdef bint has_room(Turn* turn, u8 side, i64 quantity, i64 leaving) noexcept nogil:
    """The same, out of line."""
    return has_room_here(turn, side, quantity, leaving)


cdef bint wrong_cage(Turn* turn, u8 side, i64 price) noexcept nogil:
    """True if the cage refuses a price."""
    return (mc_unlikely(turn.market.force & FORCE_CAGE)
            and turn.market.value[<u32>M_CAGE][CAGE_MODE] == CAGE_REFUSE and outside_cage(turn, side, price))


# ---------------------------------------------------------------------- what it becomes

cdef inline void write_order(Wide* wide, const mc_command* command, bint ordinary) noexcept nogil:
    memcpy(&wide.order.order_id, &command.order_id, 3 * sizeof(u64))    # client order id and account too
    wide.order.price = command.price
    wide.order.side = command.side
    wide.order.time_in_force = command.time_in_force
    wide.total = command.quantity
    wide.session = command.session
    wide.self_trade = command.self_trade
    if ordinary:
        wide.order_type = LIMIT
        wide.order.left = wide.total
        return
    wide.stop_price = command.stop_price
    wide.expiry = command.expiry
    wide.flags = command.flags
    wide.order_type = command.order_type
    if command.flags & PROTECTED:
        wide.limit = command.price
    if command.flags & LINKED:
        wide.link = <u64>command.display_quantity
    else:
        wide.display = command.display_quantity
    show_here(wide)


cdef Reason find_price(Turn* turn, Wide* wide, Field* field) noexcept nogil:
    """The price that an order has at first, if it is not the command's; why it has none."""
    cdef u8 kind = wide.order_type, side = wide.order.side
    cdef bint known = False
    cdef i64 price = 0
    if has(PEG_TYPES, kind):
        if not has_peg_price(turn, wide, &price):
            return because(R_NO_REFERENCE, F_ORDER_TYPE, field)
        wide.order.price = price
    elif kind == OWN_BEST:
        wide.order.price = price if has_reference(turn, side, &price) else 0
    elif kind == COUNTERPARTY_BEST:
        if has_reference(turn, 3 - side, &price):
            wide.order.price = bounded(wide, price)
    elif kind == MARKET:
        if not wide.flags & PROTECTED and (not has(MATCHING_PHASES, turn.market.phase)
                                           or has(AUCTION_TIFS, wide.order.time_in_force)):
            wide.order.price = ANY_BUY if side == BUY else ANY_SELL
    elif wide.flags & SLIDE:
        return slid(turn, side, &wide.order.price, field)
    if kind == TRAILING_STOP:
        wide.limit = wide.stop_price        # the distance
        set_trailing(wide, last_of(turn, &known))
    return R_NONE


cdef inline bint may_rest(const Turn* turn, const Wide* wide) noexcept nogil:
    """Whether an order may be live behind its command."""
    cdef u8 tif = wide.order.time_in_force
    if has(LASTING_TIFS, tif):
        return not (has(NEVER_RESTING, wide.order_type) and has(MATCHING_PHASES, turn.market.phase))
    return has(AUCTION_TIFS, tif)


cdef inline Reason wrong_order(Turn* turn, Wide* wide, bint ordinary, Field* field) noexcept nogil:
    """What forbids an order that its command does not forbid."""
    cdef Market* market = turn.market
    cdef u8 side = wide.order.side
    cdef bint resting, unpriced = not ordinary and has(UNPRICED_TYPES, wide.order_type)
    if not ordinary and mc_unlikely(wide.order_type != LIMIT or wide.flags & SLIDE):
        reason = find_price(turn, wide, field)
        if reason != R_NONE:
            return reason
    resting = has(RESTING_TIFS, wide.order.time_in_force) if ordinary else may_rest(turn, wide)
    if resting:
        if mc_unlikely(turn.book.orders >= turn.book.orders_max):
            return because(R_TOO_MANY_ORDERS, F_MAX_ORDERS, field)
        if mc_unlikely(not has_room_here(turn, side, wide.total, 0)):
            return because(R_LEVEL_OVERFLOW, F_QUANTITY, field)
    if ordinary or (wide.order_type == LIMIT and market.phase == PHASE_CONTINUOUS):
        if wrong_cage(turn, side, wide.order.price):
            return because(R_OUTSIDE_CAGE, F_PRICE, field)
    elif market.phase == PHASE_AT_CLOSING_PRICE:
        if not market.known & KNOWN_CLOSING:
            return because(R_NO_REFERENCE, F_PRICE, field)
        if (wide.order.price < market.closing_price if side == BUY
                else wide.order.price > market.closing_price):
            return because(R_OUTSIDE_LIMITS, F_PRICE, field)
        wide.order.price = market.closing_price
    if not ordinary and wide.flags & POST_ONLY and book_crosses(market, side, True, wide.order.price):
        return because(R_WOULD_TRADE, F_PRICE, field)
    if mc_unlikely(turn.core.limits != NULL):
        return limits_allow(turn.core, wide.order.account, turn.book.instrument, unpriced,
                            wide.order.price, wide.total, resting, field)
    return R_NONE


cdef Reason wrong_kind(Turn* turn, const mc_command* command, Field* field) noexcept nogil:
    """Codes, phase and the fields that only some orders have."""
    cdef Reason reason = wrong_codes(turn, command, field)
    if reason == R_NONE:
        reason = wrong_phase(turn, command, field)
    return reason if reason != R_NONE else wrong_fields(turn, command, field)


cdef inline Reason wrong_command(Turn* turn, const mc_command* command, u32 hash,
                                 bint ordinary, Field* field) noexcept nogil:
    """What forbids a NEW, whatever its order would become."""
    cdef Reason reason
    if mc_unlikely(turn.core.limits != NULL):
        reason = limits_admit(turn.core, command.account, command.instrument, turn.time, field)
        if reason != R_NONE:
            return reason
    if not ordinary:
        reason = wrong_kind(turn, command, field)
        if reason != R_NONE:
            return reason
    field[0] = F_QUANTITY
    reason = wrong_quantity(turn.book, command.quantity)
    if reason == R_NONE and mc_unlikely(turn.market.force & FORCE_SIZES):
        reason = wrong_market_size(turn.market, command.quantity, command.side, command.order_type)
    if reason != R_NONE:
        return reason
    field[0] = F_PRICE
    if ordinary or not has(UNPRICED_TYPES, command.order_type) or command.flags & PROTECTED:
        reason = wrong_price_here(turn, command.price, command.quantity)
        if reason != R_NONE:
            return reason
    field[0] = F_ORDER_ID
    if ids_find(&turn.core.ids, hash, turn.book.instrument, command.order_id) != NULL:
        return R_DUPLICATE_ORDER
    return R_NONE


cdef inline bint only_rests(const Turn* turn, const Wide* wide, bint ordinary) noexcept nogil:
    """True if all that an accepted order does is to come last in its level: see `start`."""
    cdef const Market* market = turn.market
    return (has(RESTING_TIFS, wide.order.time_in_force)
            and (ordinary or (wide.order_type == LIMIT and market.phase == PHASE_CONTINUOUS
                              and not wide.flags & MINIMUM))
            and not market.force & FORCE_CAGE
            and not book_crosses(market, wide.order.side, True, wide.order.price))


cdef inline Reason enter_here(Turn* turn, const mc_command* command, u32 hash, bint ordinary,
                              Field* field) noexcept nogil:
    """NEW; `ordinary`, a constant: see `is_ordinary`, what it says is not asked again."""
    cdef Reason reason = wrong_command(turn, command, hash, ordinary, field)
    cdef Wide* wide
    if reason != R_NONE:
        return reason
    wide = fresh_here(turn)
    write_order(wide, command, ordinary)
    reason = wrong_order(turn, wide, ordinary, field)
    if mc_unlikely(reason != R_NONE):
        slots_give(&turn.all.wides, wide)
        return reason
    if mc_unlikely(wide.order.order_id == 0):
        wide.order.order_id = next_id(turn.core, turn.book)
        hash = ids_hash(&turn.core.ids, turn.book.instrument, wide.order.order_id)
    if not ordinary and wide.link != 0:
        (<Wide*>ids_look_up(&turn.core.ids, turn.book.instrument, wide.link)).link = wide.order.order_id
    said_of(turn, ACCEPTED, R_NONE, wide, wide.total, wide.total)
    if only_rests(turn, wide, ordinary):
        rest_here(turn, wide, 0, hash)
    else:
        start(turn, wide)
    if not nothing_follows(turn):
        settle(turn)
    return R_NONE


cdef Reason enter_special(Turn* turn, const mc_command* command, u32 hash, Field* field) noexcept nogil:
    return enter_here(turn, command, hash, False, field)


cdef Reason enter(Turn* turn, const mc_command* command, u32 hash, Field* field) noexcept nogil:
    """NEW."""
    if mc_likely(is_ordinary(turn.market, command)):
        return enter_here(turn, command, hash, True, field)
    return enter_special(turn, command, hash, field)
