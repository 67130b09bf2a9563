"""What the fields of a record say of an order, and the other way round.

``stop_price`` and ``display_quantity`` of a record mean several things: which, say its type and its
flags.  A typed command has a field for each meaning.  What a record cannot hold is refused here;
what the exchange does not allow is written, and left to the machine.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ..errors import InvalidCommand
from .arguments import INT64_MAX, INT64_MIN, UINT64_MAX, flag
from .fields import Values, code, expect, expect_bits, whole, within, wrong
from .instruments import Directory, Instrument, hundredths, percent
from .order_faces import Amend, MassCancel, NewOrder
from .schema import (
    AMEND_FLAGS,
    NEW_FLAGS,
    PEG_TYPES,
    STOP_TYPES,
    UNPRICED_TYPES,
    Flag,
    OrderType,
    SelfTrade,
    Side,
    TimeInForce,
)

_PRICED = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
RULES_OF_SWEEPS = 3  # the first version that reads the bounds of a MASS_CANCEL
_IMMEDIATE = frozenset({OrderType.MARKET, OrderType.BEST_FIVE})  # unless they say otherwise
_OFFSET_TYPES = PEG_TYPES | {OrderType.TRAILING_STOP}


# ---------------------------------------------------------------------- into a record


def order_fields(order: NewOrder, directory: Directory, number: int) -> Values:
    """The fields of a NEW that only orders have."""
    kind: int | None = order.order_type
    if kind is None:
        kind = OrderType.MARKET if order.price is None else OrderType.LIMIT
    kind = within(order, "order_type", kind, 0, 255)
    if order.price is None and kind in _PRICED:
        raise wrong(order, "price", f"{OrderType(kind).name} orders have one")
    tif: int | None = order.time_in_force
    if tif is None:
        usual = TimeInForce.IOC if kind in _IMMEDIATE else TimeInForce.GTC
        tif = TimeInForce.GTD if order.expiry else usual
    flags = Flag.PROTECTED if order.price is not None and kind in UNPRICED_TYPES else Flag(0)
    for name, bit in (
        ("post_only", Flag.POST_ONLY), ("hidden", Flag.HIDDEN), ("slide", Flag.SLIDE),
    ):  # fmt: skip
        if flag(getattr(order, name), f"NewOrder.{name}", InvalidCommand):
            flags |= bit
    stop, stop_flag = _stop(order, kind, directory, number)
    display, display_flag = _display(order)
    return {
        "side": within(order, "side", order.side, 0, 255),
        "order_type": kind,
        "time_in_force": within(order, "time_in_force", tif, 0, 255),
        "flags": flags | stop_flag | display_flag,
        "stop_price": stop,
        "display_quantity": display,
        "expiry": whole(order, "expiry", INT64_MIN, INT64_MAX),
        "self_trade": whole(order, "self_trade", 0, 255),
    }


def _stop(order: NewOrder, kind: int, directory: Directory, number: int) -> tuple[int, Flag]:
    """What ``stop_price`` of the record is, and the flag that says what it means."""
    least = whole(order, "minimum_quantity", INT64_MIN, INT64_MAX)
    given = [name for name in ("stop_price", "offset", "trailing_percent")
             if getattr(order, name) is not None] + ["minimum_quantity"] * (least != 0)  # fmt: skip
    if len(given) > 1:
        raise wrong(order, given[1], f"an order with {given[0]} has none")
    if order.trailing_percent is not None:
        if kind != OrderType.TRAILING_STOP:
            raise wrong(order, "trailing_percent", "only of a TRAILING_STOP")
        return hundredths(order.trailing_percent, "NewOrder.trailing_percent"), Flag.PERCENT
    if order.offset is not None:
        if kind not in _OFFSET_TYPES:
            raise wrong(order, "offset", "only of a TRAILING_STOP or a peg")
        return directory.ticks(number, order.offset), Flag(0)
    if least:
        if kind in STOP_TYPES | PEG_TYPES:
            raise wrong(order, "minimum_quantity", f"not of a {OrderType(kind).name}")
        return least, Flag.MINIMUM
    if order.stop_price is not None:
        if kind in _OFFSET_TYPES:
            raise wrong(order, "stop_price", f"a {OrderType(kind).name} has an offset")
        return directory.ticks(number, order.stop_price), Flag(0)
    if kind in (OrderType.STOP, OrderType.STOP_LIMIT):
        raise wrong(order, "stop_price", f"{OrderType(kind).name} orders have one")
    return 0, Flag(0)


def _display(order: NewOrder) -> tuple[int, Flag]:
    """What ``display_quantity`` of the record is, and the flag that says what it means."""
    shown = whole(order, "display_quantity", INT64_MIN, INT64_MAX)
    link = whole(order, "linked_order_id", 0, UINT64_MAX)
    if not link:
        return shown, Flag(0)
    if shown:
        raise wrong(order, "display_quantity", "an order with linked_order_id has none")
    return link - 2**64 if link > INT64_MAX else link, Flag.LINKED


def amend_fields(amend: Amend, directory: Directory, number: int) -> Values:
    """The fields of an AMEND that others do not have."""
    flags, quantity, stop, display = Flag(0), 0, 0, 0
    if amend.price is None:
        flags |= Flag.KEEP_PRICE
    if amend.total_quantity is not None:
        if amend.quantity is not None:
            raise wrong(amend, "total_quantity", "give it or quantity, not both")
        flags |= Flag.TOTAL
        quantity = whole(amend, "total_quantity", INT64_MIN, INT64_MAX)
    elif amend.quantity is None:
        flags |= Flag.KEEP_QUANTITY
    else:
        quantity = whole(amend, "quantity", INT64_MIN, INT64_MAX)
    if amend.stop_price is not None:
        flags |= Flag.NEW_STOP
        stop = directory.ticks(number, amend.stop_price)
    if amend.display_quantity is not None:
        flags |= Flag.NEW_DISPLAY
        display = whole(amend, "display_quantity", INT64_MIN, INT64_MAX)
    return {"flags": flags, "quantity": quantity, "stop_price": stop, "display_quantity": display}


def mass_cancel_fields(sweep: MassCancel, directory: Directory, number: int) -> Values:
    """The fields of a MASS_CANCEL that others do not have."""
    side = 0 if sweep.side is None else sweep.side
    fields: Values = {"side": within(sweep, "side", side, 0, 255), "flags": 0}
    if flag(sweep.of_session, "MassCancel.of_session", InvalidCommand):
        fields["flags"] |= Flag.OF_SESSION
    ends = (("lowest", "price", INT64_MIN), ("highest", "stop_price", INT64_MAX))
    if sweep.lowest is None and sweep.highest is None:
        return fields
    for name, column, far in ends:
        bound = getattr(sweep, name)
        if bound is not None and number == 0:
            raise wrong(sweep, name, "prices are of one symbol")
        fields[column] = far if bound is None else directory.ticks(number, bound)
    fields["flags"] |= Flag.RANGE
    return fields


def sweeps_as_it_says(sweep: MassCancel, rules: int) -> None:
    """`InvalidCommand` for bounds that a version of the ``rules`` does not read: all would go."""
    for name in ("lowest", "highest", "of_session"):
        if rules < RULES_OF_SWEEPS and getattr(sweep, name) not in (None, False):
            raise wrong(
                sweep, name, f"version {rules} of the rules cancels without it; see upgrade_rules"
            )


# ---------------------------------------------------------------------- out of a record


def new_face(values: Values, symbol: str, instrument: Instrument) -> NewOrder:
    """The NEW of a record."""
    kind = code("order_type", values["order_type"], OrderType, InvalidCommand)
    flags = values["flags"]
    expect_bits(values, "flags", NEW_FLAGS)
    expect(values, "reserved", 0)
    unpriced, bounded = kind in UNPRICED_TYPES, bool(flags & Flag.PROTECTED)
    if bounded and not unpriced:
        expect(values, "flags")
    if unpriced and not bounded:
        expect(values, "price", 0)
    plain = kind == OrderType.LIMIT or (kind == OrderType.MARKET and not bounded)
    return NewOrder(
        symbol,
        code("side", values["side"], Side, InvalidCommand),
        values["quantity"],
        None if unpriced and not bounded else instrument.price(values["price"]),
        code("time_in_force", values["time_in_force"], TimeInForce, InvalidCommand),
        values["account"],
        values["order_id"],
        values["client_order_id"],
        bool(flags & Flag.POST_ONLY),
        values["time"],
        values["session"],
        values["client_order_tail"],
        order_type=None if plain else kind,
        expiry=values["expiry"],
        self_trade=code("self_trade", values["self_trade"], SelfTrade, InvalidCommand),
        hidden=bool(flags & Flag.HIDDEN),
        slide=bool(flags & Flag.SLIDE),
        **stop_said(values, kind, instrument),
        **display_said(values),
    )


def stop_said(values: Values, kind: OrderType, instrument: Instrument) -> dict[str, Any]:
    """The field of a `NewOrder` that ``stop_price`` of its record is."""
    stop, flags = values["stop_price"], values["flags"]
    if flags & Flag.PERCENT and kind != OrderType.TRAILING_STOP:
        expect(values, "flags")
    if flags & Flag.MINIMUM:
        if kind in STOP_TYPES | PEG_TYPES:
            expect(values, "flags")
        if not stop:
            expect(values, "stop_price")
        return {"minimum_quantity": stop}
    if flags & Flag.PERCENT:
        return {"trailing_percent": percent(stop)}
    if kind in (OrderType.STOP, OrderType.STOP_LIMIT):
        return {"stop_price": instrument.price(stop)}
    if not stop:
        return {}
    price: Decimal = instrument.price(stop)
    return {"offset" if kind in _OFFSET_TYPES else "stop_price": price}


def display_said(values: Values) -> dict[str, int]:
    """The field of a `NewOrder` that ``display_quantity`` of its record is."""
    shown = values["display_quantity"]
    if not values["flags"] & Flag.LINKED:
        return {"display_quantity": shown}
    if not shown:
        expect(values, "display_quantity")
    return {"linked_order_id": shown % 2**64}


def amend_face(values: Values, symbol: str, instrument: Instrument) -> Amend:
    """The AMEND of a record."""
    flags = values["flags"]
    expect_bits(values, "flags", AMEND_FLAGS)
    if flags & Flag.TOTAL and flags & Flag.KEEP_QUANTITY:
        expect(values, "flags")
    for name in ("expiry", "self_trade", "reserved"):
        expect(values, name, 0)
    for name, bit in (("stop_price", Flag.NEW_STOP), ("display_quantity", Flag.NEW_DISPLAY)):
        if not flags & bit:
            expect(values, name, 0)
    open_quantity = None if flags & (Flag.KEEP_QUANTITY | Flag.TOTAL) else values["quantity"]
    return Amend(
        symbol,
        values["order_id"],
        open_quantity,
        None if flags & Flag.KEEP_PRICE else instrument.price(values["price"]),
        values["account"],
        values["time"],
        values["client_order_id"],
        values["session"],
        values["client_order_tail"],
        total_quantity=values["quantity"] if flags & Flag.TOTAL else None,
        stop_price=instrument.price(values["stop_price"]) if flags & Flag.NEW_STOP else None,
        display_quantity=values["display_quantity"] if flags & Flag.NEW_DISPLAY else None,
    )


def mass_cancel_face(
    values: Values, symbol: str | None, instrument: Instrument | None
) -> MassCancel:
    """The MASS_CANCEL of a record; other flags than its own say nothing, as before version 3."""
    low, high = values["price"], values["stop_price"]
    lowest = highest = None
    if values["flags"] & Flag.RANGE:
        if instrument is None:
            expect(values, "instrument")
        assert instrument is not None
        highest = None if high == INT64_MAX else instrument.price(high)
        lowest = None if low == INT64_MIN and highest is not None else instrument.price(low)
    side = values["side"]
    return MassCancel(
        symbol,
        values["account"],
        code("side", side, Side, InvalidCommand) if side else None,
        values["time"],
        values["client_order_id"],
        values["session"],
        values["client_order_tail"],
        lowest=lowest,
        highest=highest,
        of_session=bool(values["flags"] & Flag.OF_SESSION),
    )
