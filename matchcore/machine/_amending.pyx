"""Changes of a market's order: what is allowed, and what keeps its place.

The rules are those of `reference/market/amending.py`.
"""
from libc.stdint cimport INT64_MAX

from ._entry cimport has_room, wrong_cage, wrong_display, wrong_price, wrong_size, wrong_value
from ._execution cimport execute, is_caged, slid, trigger
from ._limits cimport limits_admit, limits_allow
from ._places cimport last_of
from ._settling cimport settle
from ._stops cimport is_reached
from ._turn cimport cancel, lessen, lift, park, resize, rest
from .core.ids cimport ids_find
from .core.market cimport *
from .core.moves cimport cancel_here
from .core.pool cimport Order
from .core.prices cimport floor_tick, is_priced
from .core.records cimport *
from .core.saying cimport said_of


cdef enum:
    AMENDING = KEEP_PRICE | KEEP_QUANTITY | TOTAL | NEW_STOP | NEW_DISPLAY     # flags of AMEND

cdef struct Amend:          # what an order is to be
    i64 total
    i64 price
    i64 limit
    i64 stop_price
    i64 display
    bint moves              # its price is another one
    bint caged              # it has to wait outside the cage
    bint keeps              # its place


cdef inline Wide* order_named(Turn* turn, const mc_command* command, u32 hash, Reason* reason,
                              Field* field) noexcept nogil:
    """The live order that a command names, or NULL and why not."""
    cdef Order* order = ids_find(&turn.core.ids, hash, turn.book.instrument, command.order_id)
    if order == NULL:
        reason[0] = R_UNKNOWN_ORDER
        field[0] = F_ORDER_ID
        return NULL
    if command.account != 0 and command.account != order.account:
        reason[0] = R_NOT_OWNER
        field[0] = F_ACCOUNT
        return NULL
    return <Wide*>order


cdef inline void settled(Turn* turn) noexcept nogil:
    if not nothing_follows(turn):
        settle(turn)


cdef Reason do_cancel(Turn* turn, const mc_command* command, u32 hash, Field* field) noexcept nogil:
    """CANCEL."""
    cdef Reason reason = R_NONE
    cdef Wide* wide = order_named(turn, command, hash, &reason, field)
    if wide == NULL:
        return reason
    if not allows(turn.market, T_CANCEL_PHASES, turn.market.phase):
        field[0] = F_KIND
        return R_BAD_PHASE
    cancel_here(turn, wide, R_REQUESTED, hash)
    settled(turn)
    return R_NONE


cdef Reason do_reduce(Turn* turn, const mc_command* command, u32 hash, Field* field) noexcept nogil:
    """REDUCE."""
    cdef Reason reason = R_NONE
    cdef Wide* wide
    field[0] = F_QUANTITY
    if command.quantity <= 0:
        return R_QUANTITY_NOT_POSITIVE
    wide = order_named(turn, command, hash, &reason, field)
    if wide == NULL:
        return reason
    if not allows(turn.market, T_CANCEL_PHASES, turn.market.phase):
        field[0] = F_KIND
        return R_BAD_PHASE
    if command.quantity >= wide.total:
        cancel(turn, wide, R_REDUCED_TO_NOTHING)
    else:
        if command.quantity % turn.book.lot:
            field[0] = F_QUANTITY
            return R_OFF_LOT
        lessen(turn, wide, wide.total - command.quantity)
        said_of(turn, AMENDED, R_NONE, wide, wide.total, wide.total)
    settled(turn)
    return R_NONE


# ---------------------------------------------------------------------- what forbids an AMEND

cdef Reason wrong_amend(const Turn* turn, const mc_command* command, Field* field) noexcept nogil:
    """What forbids an AMEND whatever the order, or R_NONE."""
    cdef u16 flags = command.flags
    cdef u16 kept = KEEP_PRICE | KEEP_QUANTITY
    if not turn.market.value[<u32>M_TRADING][T_AMENDS]:
        field[0] = F_KIND
        return R_UNSUPPORTED
    field[0] = F_FLAGS
    if (flags & ~<u16>AMENDING) or (flags & TOTAL and flags & KEEP_QUANTITY):
        return R_BAD_FLAGS
    if flags & kept == kept and not flags & (NEW_STOP | NEW_DISPLAY):
        return R_NOTHING_TO_CHANGE
    field[0] = F_NONE
    if command.stop_price and not flags & NEW_STOP:
        field[0] = F_STOP_PRICE
    elif command.display_quantity and not flags & NEW_DISPLAY:
        field[0] = F_DISPLAY_QUANTITY
    elif command.expiry:
        field[0] = F_EXPIRY
    elif command.self_trade:
        field[0] = F_SELF_TRADE
    elif command.reserved:
        field[0] = F_RESERVED
    if field[0] != F_NONE:
        return R_UNSUPPORTED
    field[0] = F_QUANTITY
    if not flags & KEEP_QUANTITY and command.quantity <= 0:
        return R_QUANTITY_NOT_POSITIVE
    return R_NONE


cdef Reason wrong_time(Turn* turn, const Wide* wide, Field* field) noexcept nogil:
    """Whether the account and the phase let an order be changed now, or R_NONE."""
    cdef u8 phase = turn.market.phase
    cdef Reason reason
    if turn.core.limits != NULL:
        reason = limits_admit(turn.core, wide.order.account, turn.book.instrument, turn.time, field)
        if reason != R_NONE:
            return reason
    field[0] = F_KIND
    if (not allows(turn.market, T_CANCEL_PHASES, phase)
            or not allows(turn.market, T_ENTRY_PHASES, phase) or phase == PHASE_AT_CLOSING_PRICE):
        return R_BAD_PHASE
    return R_NONE


cdef inline bint is_unpriced(const Wide* wide) noexcept nogil:
    return has(UNPRICED_TYPES, wide.order_type)


cdef bint too_much_worth(const Turn* turn, const Wide* wide, i64 total) noexcept nogil:
    """True if more of an order is worth too much at the price or the bound that it came with."""
    cdef i64 given = wide.order.price
    if total <= wide.total or (is_unpriced(wide) and not wide.flags & PROTECTED):
        return False
    if is_unpriced(wide) and wide.order_type != TRAILING_STOP:
        given = wide.limit
    return wrong_value(turn, given, total)


cdef Reason wrong_new_price(Turn* turn, const mc_command* command, const Wide* wide, Amend* to,
                            Field* field) noexcept nogil:
    """The price, and the bound, that an order is to have; R_NONE, or why it cannot."""
    cdef Reason reason
    field[0] = F_PRICE
    if is_unpriced(wide) and not wide.flags & PROTECTED:
        return R_PRICE_NOT_ALLOWED
    reason = wrong_price(turn, command.price, to.total)
    if reason != R_NONE:
        return reason
    if is_unpriced(wide) and wide.order_type != TRAILING_STOP:
        to.limit = command.price
    if wide.flags & SLIDE and wide.place == PLACE_BOOK and command.price != wide.order.price:
        to.price = command.price
        return slid(turn, wide.order.side, &to.price, field)
    if not is_pegged(wide):
        to.price = command.price
    return R_NONE


cdef Reason wrong_new_stop(Turn* turn, const mc_command* command, const Wide* wide, Amend* to,
                           Field* field) noexcept nogil:
    """The stop price that a stop is to have; R_NONE, or why it cannot: it can while it waits."""
    field[0] = F_STOP_PRICE
    if wide.place != PLACE_STOPS or (wide.order_type != STOP and wide.order_type != STOP_LIMIT):
        # that of a stop stays with the order that it has become
        if wide.stop_price != 0 and (wide.order_type == LIMIT or wide.order_type == MARKET):
            return R_ALREADY_TRIGGERED
        return R_UNSUPPORTED
    if not is_priced(command.stop_price):
        return R_BAD_STOP
    if floor_tick(turn.market, command.stop_price) != command.stop_price:
        return R_OFF_TICK
    to.stop_price = command.stop_price
    return R_NONE


cdef Reason wrong_new_display(Turn* turn, const mc_command* command, const Wide* wide, Amend* to,
                              Field* field) noexcept nogil:
    field[0] = F_DISPLAY_QUANTITY
    if wide.display == 0 or wrong_display(turn, command.display_quantity, to.total):
        return R_BAD_DISPLAY
    to.display = command.display_quantity
    return R_NONE


cdef Reason wrong_move(Turn* turn, const Wide* wide, Amend* to, Field* field) noexcept nogil:
    """What of the book forbids a new price in continuous trading, or R_NONE."""
    cdef u8 side = wide.order.side
    field[0] = F_PRICE
    if wrong_cage(turn, side, to.price):
        return R_OUTSIDE_CAGE
    to.caged = is_caged(turn, wide.order_type, side, to.price)
    if wide.flags & POST_ONLY and book_crosses(turn.market, side, True, to.price):
        return R_WOULD_TRADE
    return R_NONE


cdef Reason wrong_change(Turn* turn, const mc_command* command, const Wide* wide, Amend* to,
                         Field* field) noexcept nogil:
    """What an order is to be; R_NONE, or why it cannot."""
    cdef Reason reason = R_NONE
    cdef u16 flags = command.flags
    field[0] = F_QUANTITY
    if to.total != wide.total:
        reason = wrong_size(turn, to.total, wide.order.side, wide.order_type)
    if reason == R_NONE:
        if not flags & KEEP_PRICE:
            reason = wrong_new_price(turn, command, wide, to, field)
        elif too_much_worth(turn, wide, to.total):
            reason = R_VALUE_TOO_LARGE
    if reason == R_NONE and flags & NEW_STOP:
        reason = wrong_new_stop(turn, command, wide, to, field)
    if reason == R_NONE and flags & NEW_DISPLAY:
        reason = wrong_new_display(turn, command, wide, to, field)
    elif wide.display:
        to.display = least(wide.display, to.total)
    to.moves = to.price != wide.order.price
    if (reason == R_NONE and to.moves and wide.place == PLACE_BOOK
            and turn.market.phase == PHASE_CONTINUOUS):
        reason = wrong_move(turn, wide, to, field)
    if reason != R_NONE:
        return reason
    field[0] = F_QUANTITY
    if to.total > INT64_MAX - wide.filled or not has_room(turn, wide.order.side, to.total, wide.total):
        return R_LEVEL_OVERFLOW
    to.keeps = not to.moves and to.total <= wide.total
    if not to.keeps and turn.core.limits != NULL:
        return limits_allow(turn.core, wide.order.account, turn.book.instrument, is_unpriced(wide),
                            to.price, to.total, False, field)
    return R_NONE


# ---------------------------------------------------------------------- AMEND

cdef Reason do_amend(Turn* turn, const mc_command* command, u32 hash, Field* field) noexcept nogil:
    """AMEND."""
    cdef Reason reason = wrong_amend(turn, command, field)
    cdef Amend to
    cdef Wide* wide
    if reason != R_NONE:
        return reason
    wide = order_named(turn, command, hash, &reason, field)
    if wide == NULL:
        return reason
    reason = wrong_time(turn, wide, field)
    if reason != R_NONE:
        return reason
    to.total = wide.total
    to.price = wide.order.price
    to.limit = wide.limit
    to.stop_price = wide.stop_price
    to.display = wide.display
    to.moves = to.caged = to.keeps = False
    if not command.flags & KEEP_QUANTITY:
        to.total = command.quantity - (wide.filled if command.flags & TOTAL else 0)
        if to.total <= 0:
            cancel(turn, wide, R_AMENDED_TO_FILLED)
            settled(turn)
            return R_NONE
    reason = wrong_change(turn, command, wide, &to, field)
    if reason != R_NONE:
        return reason
    if is_pegged(wide) and to.limit != wide.limit:
        turn.market.pegs_stale = True
    wide.limit = to.limit
    if wide.place != PLACE_BOOK:
        change_waiting(turn, wide, &to)
    elif to.keeps:
        wide.display = to.display
        said_of(turn, AMENDED, R_NONE, wide, to.total, to.total)
        lessen(turn, wide, to.total)
    else:
        replace(turn, wide, &to)
    settled(turn)
    return R_NONE


cdef void change_waiting(Turn* turn, Wide* wide, const Amend* to) noexcept nogil:
    """The change of an order outside the book."""
    cdef bint moved = to.stop_price != wide.stop_price, known
    cdef u8 place = wide.place
    cdef i64 last
    if moved or not to.keeps:
        lift(turn, wide, 0)
        wide.order.price = to.price
        wide.stop_price = to.stop_price
        wide.display = to.display
        resize(turn, wide, to.total)
        park(turn, wide, place)
    else:
        wide.display = to.display
        resize(turn, wide, to.total)
    said_of(turn, AMENDED, R_NONE, wide, to.total, to.total)
    if moved and turn.market.phase == PHASE_CONTINUOUS:
        last = last_of(turn, &known)
        if known and is_reached(wide, last, last):
            trigger(turn, wide)


cdef void replace(Turn* turn, Wide* wide, const Amend* to) noexcept nogil:
    """The change of an order in the book that loses its place."""
    lift(turn, wide, 0 if to.caged else C_REPLACING)
    wide.order.price = to.price
    wide.display = to.display
    resize(turn, wide, to.total)
    said_of(turn, AMENDED, R_NONE, wide, to.total, to.total)
    if to.caged:
        park(turn, wide, PLACE_CAGED)
    elif turn.market.phase == PHASE_CONTINUOUS:
        execute(turn, wide, C_REPLACING)
    else:
        rest(turn, wide, C_REPLACING)
