"""An order of a market at its turn: it trades, and what is left of it rests or is cancelled."""
from ._matching cimport LEVELS_ALL, take, tradeable
from ._places cimport has_reference, last_of
from ._saying cimport say_of
from ._stops cimport is_reached, outside_cage
from ._turn cimport lift, park, rest, show, touch
from .core.ids cimport ids_hash_of
from .core.market cimport *
from .core.moves cimport forget_here
from .core.prices cimport ceil_tick, floor_tick, is_priced, within_limits
from .core.records cimport *
from .core.saying cimport said_of


cdef enum:
    BEST = 1 << OWN_BEST | 1 << COUNTERPARTY_BEST
    TO_LIMIT = 1 << MARKET_TO_LIMIT | 1 << BEST_FIVE_LIMIT     # at the price of the last trade
    PRICED = 1 << LIMIT | PEG_TYPES | BEST                     # that trade up to their price
    FIVE = 1 << BEST_FIVE | 1 << BEST_FIVE_LIMIT


cdef Reason slid(Turn* turn, u8 side, i64* price, Field* field) noexcept nogil:
    """The price, or the next one that does not trade; why there is none."""
    cdef i64 best = 0
    if not book_crosses(turn.market, side, True, price[0]):
        return R_NONE
    has_best(turn.market, 3 - side, &best)
    price[0] = floor_tick(turn.market, best - 1) if side == BUY else ceil_tick(turn.market, best + 1)
    if within_limits(turn.market, price[0]) and is_priced(price[0]):
        return R_NONE
    field[0] = F_PRICE
    return R_WOULD_TRADE


cdef void start(Turn* turn, Wide* wide) noexcept nogil:
    """The turn of an accepted order."""
    cdef u8 phase = turn.market.phase, tif = wide.order.time_in_force
    cdef bint known = False
    cdef i64 last
    if ((tif == AT_CLOSE and phase != PHASE_CLOSING_CALL)
            or (tif == AUCTION and not has(CALL_PHASES, phase))):
        park(turn, wide, PLACE_WAITING)
    elif not has(MATCHING_PHASES, phase):
        rest(turn, wide, 0)
    elif wide.order_type == TRAILING_STOP:
        park(turn, wide, PLACE_TRAILING)
    elif has(STOP_TYPES, wide.order_type):
        park(turn, wide, PLACE_STOPS)
        last = last_of(turn, &known)
        if known and is_reached(wide, last, last):
            trigger(turn, wide)
    elif is_caged(turn, wide.order_type, wide.order.side, wide.order.price):
        park(turn, wide, PLACE_CAGED)
    else:
        execute(turn, wide, 0)


cdef bint is_caged(Turn* turn, u8 order_type, u8 side, i64 price) noexcept nogil:
    """True if an order has to wait until the cage lets its price in."""
    return (mc_unlikely(turn.market.force & FORCE_CAGE) and order_type == LIMIT
            and turn.market.value[<u32>M_CAGE][CAGE_MODE] == CAGE_PARK
            and outside_cage(turn, side, price))


cdef void trigger(Turn* turn, Wide* wide) noexcept nogil:
    """A stop has been reached: it is a market or a limit order from now on."""
    lift(turn, wide, 0)
    wide.order_type = LIMIT if wide.order_type == STOP_LIMIT else MARKET
    touch(turn, wide)
    say_of(turn, TRIGGERED, R_NONE, wide, wide.total, wide.total)
    execute(turn, wide, 0)


cdef i64 bounded(const Wide* wide, i64 price) noexcept nogil:
    """A price, or the bound of an order that has one and lets it go no further."""
    if not wide.flags & PROTECTED:
        return price
    return least(price, wide.limit) if wide.order.side == BUY else greatest(price, wide.limit)


cdef inline void gone(Turn* turn, Wide* wide) noexcept nogil:
    """Nothing of an order that is nowhere is left."""
    forget_here(turn, wide, ids_hash_of(&turn.core.ids, &wide.order) if wide.live else 0)


cdef inline void end(Turn* turn, Wide* wide, u8 reason) noexcept nogil:
    """An order that is nowhere is cancelled."""
    said_of(turn, CANCELLED, reason, wide, wide.total, 0)
    touch(turn, wide)
    gone(turn, wide)


cdef void execute(Turn* turn, Wide* wide, u16 flags) noexcept nogil:
    """An order that is nowhere trades, and rests or is gone.  `flags`: of the change."""
    cdef u8 kind = wide.order_type
    cdef i64 levels = 5 if has(FIVE, kind) else 1 if kind == MARKET_TO_LIMIT else LEVELS_ALL
    cdef i64 least_quantity = 0, price = 0
    cdef bint limited = has(PRICED, kind) or wide.flags & PROTECTED
    cdef u64 trades = turn.core.next_trade_id
    if mc_unlikely(is_expired(turn, wide)):
        end(turn, wide, R_EXPIRED)
        return
    if has(BEST, kind) and not has_reference(
            turn, wide.order.side if kind == OWN_BEST else 3 - wide.order.side, &price):
        end(turn, wide, R_NO_OPPOSITE)
        return
    if wide.order.time_in_force == FOK:
        least_quantity = wide.total
    if wide.flags & MINIMUM:
        least_quantity = wide.stop_price
        wide.stop_price = 0
        wide.flags &= ~MINIMUM
    if least_quantity and tradeable(turn, wide, limited, wide.order.price, least_quantity,
                                    levels) < least_quantity:
        end(turn, wide,
            R_FILL_OR_KILL if wide.order.time_in_force == FOK else R_MINIMUM_NOT_MET)
        return
    if book_crosses(turn.market, wide.order.side, limited, wide.order.price):
        take(turn, wide, limited, wide.order.price, levels)
        if wide.total == 0:
            gone(turn, wide)
            return
    leave(turn, wide, turn.core.next_trade_id != trades, flags)


cdef inline Reason ends_with(Turn* turn, const Wide* wide, bint traded) noexcept nogil:
    """Why the rest of an order ends, or R_NONE."""
    cdef u8 kind = wide.order_type, tif = wide.order.time_in_force
    cdef i64 price = 0
    if turn.stop != R_NONE and not (kind == LIMIT and has(LASTING_TIFS, tif)) and not is_pegged(wide):
        return R_VOLATILITY
    if kind == MARKET:
        return R_MARKET_REMAINDER
    if kind == BEST_FIVE:
        return R_LEVELS_TAKEN
    if tif == IOC:
        return R_IMMEDIATE_OR_CANCEL
    if has(TO_LIMIT, kind) and not traded and not (
            kind == BEST_FIVE_LIMIT and has_reference(turn, wide.order.side, &price)):
        return R_NO_OPPOSITE
    return R_NONE


cdef inline void leave(Turn* turn, Wide* wide, bint traded, u16 flags) noexcept nogil:
    """What becomes of the rest of an order that has traded all it can."""
    cdef u8 kind = wide.order_type
    cdef Reason reason = ends_with(turn, wide, traded)
    cdef i64 price = 0
    if reason != R_NONE:
        end(turn, wide, reason)
        return
    if has(TO_LIMIT | BEST, kind):
        wide.order_type = LIMIT
    if has(TO_LIMIT, kind):
        if traded:
            price = turn.core.lasts[turn.book.instrument - 1].price
        else:
            has_reference(turn, wide.order.side, &price)
        wide.order.price = bounded(wide, price)
        say_of(turn, REPRICED, R_NONE, wide, wide.total, wide.total)
    show(wide)
    rest(turn, wide, flags)
