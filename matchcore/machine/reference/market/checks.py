"""What forbids a new order of a market, in the order of docs/markets/orders.md."""

from __future__ import annotations

from ....records.arguments import INT64_MAX
from ....records.markets import CONTINUOUS_TYPES
from ....records.schema import (
    AUCTION_TIFS,
    LASTING_TIFS,
    NEW_FLAGS,
    PEG_TYPES,
    STOP_TYPES,
    UNPRICED_TYPES,
    CageMode,
    Field,
    Flag,
    OrderType,
    Parameter,
    Phase,
    Reason,
    SelfTrade,
    Side,
    TimeInForce,
)
from ..book import other
from ..refusals import require
from .book import PART, PRICE_MAX
from .turn import Turn

Row = dict[str, int]
#: Types whose rest, if there is one, becomes a limit order.
BECOMING_LIMIT = frozenset(
    {
        OrderType.MARKET_TO_LIMIT,
        OrderType.BEST_FIVE_LIMIT,
        OrderType.OWN_BEST,
        OrderType.COUNTERPARTY_BEST,
    }
)
#: Types that may have a least quantity.
_MINIMUM = frozenset(
    {
        OrderType.LIMIT,
        OrderType.MARKET,
        OrderType.MARKET_TO_LIMIT,
        OrderType.BEST_FIVE,
        OrderType.BEST_FIVE_LIMIT,
        OrderType.COUNTERPARTY_BEST,
    }
)
_OPENING = frozenset({Phase.PRE_OPEN, Phase.OPENING_CALL, Phase.OPENING_CALL_LOCKED})
_IMMEDIATE = frozenset({TimeInForce.IOC, TimeInForce.FOK})


def check_codes(turn: Turn, row: Row) -> None:
    """Side, type, time in force and flags, whatever else the order has."""
    book, kind, tif, flags = turn.book, row["order_type"], row["time_in_force"], row["flags"]
    require(row["side"] in (Side.BUY, Side.SELL), Reason.BAD_SIDE, Field.SIDE)
    known = kind in frozenset(OrderType) and book.allows("order_types", kind)
    require(known, Reason.BAD_ORDER_TYPE, Field.ORDER_TYPE)
    known = tif in frozenset(TimeInForce) and book.allows("times_in_force", tif)
    require(known and tif in _tifs(kind), Reason.BAD_TIME_IN_FORCE, Field.TIME_IN_FORCE)
    fine = flags & ~(int(NEW_FLAGS) & book.trading.order_flags) == 0
    require(fine and _flags_fit(kind, tif, flags), Reason.BAD_FLAGS, Field.FLAGS)


def _tifs(kind: int) -> frozenset[TimeInForce]:
    """The times in force that a type may have."""
    if kind == OrderType.LIMIT:
        return frozenset(TimeInForce)
    if kind == OrderType.MARKET:
        return frozenset(TimeInForce) - {TimeInForce.GTD}
    if kind == OrderType.BEST_FIVE:
        return frozenset({TimeInForce.GTC, TimeInForce.DAY, TimeInForce.IOC})
    return LASTING_TIFS


def _flags_fit(kind: int, tif: int, flags: int) -> bool:
    limit, lasting = kind == OrderType.LIMIT, tif in LASTING_TIFS
    posting = flags & (Flag.POST_ONLY | Flag.SLIDE)
    stop_field = kind in STOP_TYPES or kind in PEG_TYPES
    wrong = (
        posting and not (limit and lasting),
        posting == Flag.POST_ONLY | Flag.SLIDE,
        flags & Flag.PROTECTED and (kind not in UNPRICED_TYPES or kind == OrderType.OWN_BEST),
        flags & Flag.HIDDEN and not (lasting and (limit or kind in PEG_TYPES)),
        flags & Flag.MINIMUM and (kind not in _MINIMUM or stop_field or bool(posting)),
        flags & Flag.MINIMUM and (tif == TimeInForce.FOK or tif in AUCTION_TIFS),
        flags & Flag.PERCENT and kind != OrderType.TRAILING_STOP,
        flags & Flag.LINKED and not (lasting and (limit or kind in STOP_TYPES)),
    )
    return not any(wrong)


def check_phase(turn: Turn, row: Row) -> None:
    """Whether the phase takes such an order."""
    book, kind, tif, flags = turn.book, row["order_type"], row["time_in_force"], row["flags"]
    phase = book.phase
    require(book.allows("entry_phases", phase), Reason.BAD_PHASE, Field.KIND)
    if tif == TimeInForce.AT_OPEN:
        require(phase in _OPENING, Reason.BAD_PHASE, Field.TIME_IN_FORCE)
    if phase == Phase.CONTINUOUS:
        return
    if phase == Phase.AT_CLOSING_PRICE:
        require(kind == OrderType.LIMIT, Reason.BAD_PHASE, Field.ORDER_TYPE)
        fine = tif in LASTING_TIFS or tif == TimeInForce.IOC
        require(fine, Reason.BAD_PHASE, Field.TIME_IN_FORCE)
        require(flags == 0 and row["display_quantity"] == 0, Reason.BAD_PHASE, Field.FLAGS)
        return
    fine = (
        kind not in CONTINUOUS_TYPES and kind not in BECOMING_LIMIT and kind != OrderType.BEST_FIVE
    )
    require(fine and book.allows("call_types", kind), Reason.BAD_PHASE, Field.ORDER_TYPE)
    require(tif not in _IMMEDIATE, Reason.BAD_PHASE, Field.TIME_IN_FORCE)
    posting = Flag.POST_ONLY | Flag.SLIDE | Flag.MINIMUM
    require(not flags & posting, Reason.BAD_PHASE, Field.FLAGS)


def check_fields(turn: Turn, row: Row) -> None:
    """The fields that only some orders have."""
    kind, flags, stop, display = (
        row["order_type"], row["flags"], row["stop_price"], row["display_quantity"],
    )  # fmt: skip
    require(row["reserved"] == 0, Reason.UNSUPPORTED, Field.RESERVED)
    known = row["self_trade"] in frozenset(SelfTrade)
    require(known, Reason.BAD_SELF_TRADE, Field.SELF_TRADE)
    priced = kind not in UNPRICED_TYPES or flags & Flag.PROTECTED
    require(bool(priced) or row["price"] == 0, Reason.PRICE_NOT_ALLOWED, Field.PRICE)
    if kind == OrderType.TRAILING_STOP:
        most = PART - 1 if flags & Flag.PERCENT else PRICE_MAX
        require(0 < stop <= most, Reason.BAD_STOP, Field.STOP_PRICE)
        require(turn.last is not None, Reason.NO_REFERENCE, Field.ORDER_TYPE)
    elif kind in STOP_TYPES:
        require(abs(stop) <= PRICE_MAX, Reason.BAD_STOP, Field.STOP_PRICE)
        require(turn.book.floor(stop) == stop, Reason.OFF_TICK, Field.STOP_PRICE)
    elif kind in PEG_TYPES:
        require(abs(stop) <= PRICE_MAX, Reason.BAD_STOP, Field.STOP_PRICE)
    elif flags & Flag.MINIMUM:
        require(0 < stop <= row["quantity"], Reason.BAD_MINIMUM, Field.STOP_PRICE)
    else:
        require(stop == 0, Reason.UNSUPPORTED, Field.STOP_PRICE)
    if flags & Flag.LINKED:
        _check_link(turn, row)
    elif display:
        iceberg = kind == OrderType.LIMIT and not flags & Flag.HIDDEN
        iceberg = iceberg and row["time_in_force"] not in _IMMEDIATE
        require(iceberg, Reason.UNSUPPORTED, Field.DISPLAY_QUANTITY)
        check_display(turn, display, row["quantity"])
    if row["time_in_force"] == TimeInForce.GTD:
        require(row["expiry"] > turn.time, Reason.BAD_EXPIRY, Field.EXPIRY)
    else:
        require(row["expiry"] == 0, Reason.UNSUPPORTED, Field.EXPIRY)


def check_display(turn: Turn, display: int, quantity: int) -> None:
    least = turn.book.value(Parameter.QUANTITIES, "display_least")
    fine = (
        max(1, least) <= display <= quantity and display % turn.machine.lot_of(turn.instrument) == 0
    )
    require(fine, Reason.BAD_DISPLAY, Field.DISPLAY_QUANTITY)


def _check_link(turn: Turn, row: Row) -> None:
    """The other order of a pair is live, of the same account, and in no pair."""
    partner = turn.book.live.get(row["display_quantity"] % 2**64)
    fine = partner is not None and partner.account == row["account"] and not partner.link
    require(fine, Reason.BAD_LINK, Field.DISPLAY_QUANTITY)


def check_quantity(
    turn: Turn, quantity: int, side: int, kind: int, field: Field = Field.QUANTITY
) -> None:
    """The instrument's own limits of a quantity, then those of its market."""
    turn.machine.check_plain_quantity(turn.instrument, quantity, field)
    values = turn.book.values[Parameter.QUANTITIES]
    least, step = values[0:2] if side == Side.BUY else values[2:4]
    most = values[5] if kind in UNPRICED_TYPES else values[4]
    require(quantity >= least, Reason.QUANTITY_TOO_SMALL, field)
    require(not step or quantity % step == 0, Reason.OFF_LOT, field)
    require(not most or quantity <= most, Reason.QUANTITY_TOO_LARGE, field)


def check_price(turn: Turn, price: int, quantity: int, field: Field = Field.PRICE) -> None:
    """The tick, the limits of the day and the value of an order with a price."""
    require(abs(price) <= PRICE_MAX, Reason.OUTSIDE_LIMITS, field)
    require(turn.book.floor(price) == price, Reason.OFF_TICK, field)
    lowest, highest = turn.book.price_limits()
    fine = (lowest is None or price >= lowest) and (highest is None or price <= highest)
    require(fine, Reason.OUTSIDE_LIMITS, field)
    check_value(turn, price, quantity, field)


def check_value(turn: Turn, price: int, quantity: int, field: Field = Field.PRICE) -> None:
    most = turn.book.value(Parameter.QUANTITIES, "value_most")
    require(not most or abs(price) * quantity <= most, Reason.VALUE_TOO_LARGE, field)


def check_room(turn: Turn, side: int, quantity: int, leaving: int = 0) -> None:
    """The open quantity of a side has 63 bits."""
    total = turn.book.open_quantity(side) - leaving + quantity
    require(total <= INT64_MAX, Reason.LEVEL_OVERFLOW, Field.QUANTITY)


def check_cage(turn: Turn, side: int, price: int, field: Field = Field.PRICE) -> None:
    if turn.book.value(Parameter.CAGE, "mode") == CageMode.REFUSE:
        require(not outside_cage(turn, side, price), Reason.OUTSIDE_CAGE, field)


def is_caged(turn: Turn, kind: int, side: int, price: int) -> bool:
    """True if an order has to wait until the cage lets its price in."""
    parks = turn.book.value(Parameter.CAGE, "mode") == CageMode.PARK
    return parks and kind == OrderType.LIMIT and outside_cage(turn, side, price)


def outside_cage(turn: Turn, side: int, price: int) -> bool:
    """True if a limit order is further from the base than the price cage lets it be."""
    mode, part, ticks = turn.book.values[Parameter.CAGE][:3]
    if mode == CageMode.OFF or turn.book.phase != Phase.CONTINUOUS:
        return False
    base = _cage_base(turn, side)
    if base is None or base <= 0:
        return False
    if side == Side.BUY:
        bound = (2 * base * (PART + part) + PART) // (2 * PART)
        return price > max(bound, base + max(ticks, 1))
    bound = (2 * base * (PART - part) + PART) // (2 * PART)
    return price < min(bound, base - max(ticks, 1))


def _cage_base(turn: Turn, side: int) -> int | None:
    """Of a buy: the best offer, else the best bid, the last trade, the previous close."""
    for best in (turn.book.reference(other(side)), turn.book.reference(side), turn.last):
        if best is not None:
            return best
    return turn.book.value(Parameter.DAY, "previous_close") or None
