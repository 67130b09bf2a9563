"""Changes of a market's order: what is allowed, and what keeps its place."""

from __future__ import annotations

from ....records.arguments import INT64_MAX
from ....records.parameters import PRICE_MAX
from ....records.schema import (
    AMEND_FLAGS,
    UNPRICED_TYPES,
    ChangeFlag,
    EventKind,
    Field,
    Flag,
    OrderType,
    Phase,
    Place,
    Reason,
)
from ..limits import Limits
from ..refusals import require
from . import checks
from .book import MarketOrder
from .execution import execute, slid, trigger
from .matching import lessen
from .settling import settle
from .stops import reached
from .turn import Turn

Row = dict[str, int]
Admitted = dict[tuple[int, int], Limits]  # what the account is under


def check_cancel_phase(turn: Turn) -> None:
    fine = turn.book.allows("cancel_phases", turn.book.phase)
    require(fine, Reason.BAD_PHASE, Field.KIND)


def cancel(turn: Turn, row: Row) -> None:
    """CANCEL."""
    order = turn.machine.live_order(turn.book, row)
    check_cancel_phase(turn)
    turn.cancel(order, Reason.REQUESTED)
    settle(turn)


def reduce(turn: Turn, row: Row) -> None:
    """REDUCE."""
    require(row["quantity"] > 0, Reason.QUANTITY_NOT_POSITIVE, Field.QUANTITY)
    order = turn.machine.live_order(turn.book, row)
    check_cancel_phase(turn)
    if row["quantity"] >= order.left:
        turn.cancel(order, Reason.REDUCED_TO_NOTHING)
    else:
        lot = turn.machine.lot_of(turn.instrument)
        require(row["quantity"] % lot == 0, Reason.OFF_LOT, Field.QUANTITY)
        lessen(turn, order, order.left - row["quantity"])
        turn.say(EventKind.AMENDED, order, quantity=order.left, left=order.left)
    settle(turn)


def amend(turn: Turn, row: Row) -> None:
    """AMEND."""
    flags, book = row["flags"], turn.book
    require(bool(book.trading.amends), Reason.UNSUPPORTED, Field.KIND)
    fine = flags & ~int(AMEND_FLAGS) == 0
    both = flags & Flag.TOTAL and flags & Flag.KEEP_QUANTITY
    require(fine and not both, Reason.BAD_FLAGS, Field.FLAGS)
    kept = flags & (Flag.KEEP_PRICE | Flag.KEEP_QUANTITY) == Flag.KEEP_PRICE | Flag.KEEP_QUANTITY
    changes = not kept or flags & (Flag.NEW_STOP | Flag.NEW_DISPLAY)
    require(bool(changes), Reason.NOTHING_TO_CHANGE, Field.FLAGS)
    unused = (
        ("stop_price", Flag.NEW_STOP, Field.STOP_PRICE),
        ("display_quantity", Flag.NEW_DISPLAY, Field.DISPLAY_QUANTITY),
    )
    for name, flag, field in unused:
        require(bool(flags & flag) or row[name] == 0, Reason.UNSUPPORTED, field)
    for name, field in (("expiry", Field.EXPIRY), ("self_trade", Field.SELF_TRADE)):
        require(row[name] == 0, Reason.UNSUPPORTED, field)
    require(row["reserved"] == 0, Reason.UNSUPPORTED, Field.RESERVED)
    if not flags & Flag.KEEP_QUANTITY:
        require(row["quantity"] > 0, Reason.QUANTITY_NOT_POSITIVE, Field.QUANTITY)
    order = turn.machine.live_order(book, row)
    admitted = turn.machine.admit_account(order.account, turn.instrument, turn.time)
    check_cancel_phase(turn)
    require(book.allows("entry_phases", book.phase), Reason.BAD_PHASE, Field.KIND)
    require(book.phase != Phase.AT_CLOSING_PRICE, Reason.BAD_PHASE, Field.KIND)
    left = order.left
    if not flags & Flag.KEEP_QUANTITY:
        left = row["quantity"] - (order.filled if flags & Flag.TOTAL else 0)
        if left <= 0:
            turn.cancel(order, Reason.AMENDED_TO_FILLED)
            settle(turn)
            return
    _change(turn, order, row, left, admitted)
    settle(turn)


def _change(turn: Turn, order: MarketOrder, row: Row, left: int, admitted: Admitted) -> None:
    flags, side, book, limit = row["flags"], order.side, turn.book, order.limit
    price = order.price
    if left != order.left:
        checks.check_quantity(turn, left, side, order.order_type)
    if not flags & Flag.KEEP_PRICE:
        unpriced = order.order_type in UNPRICED_TYPES
        fine = not unpriced or order.flags & Flag.PROTECTED
        require(bool(fine), Reason.PRICE_NOT_ALLOWED, Field.PRICE)
        checks.check_price(turn, row["price"], left)
        if unpriced and order.order_type != OrderType.TRAILING_STOP:
            limit = row["price"]
        if order.flags & Flag.SLIDE and order.place == Place.BOOK and row["price"] != price:
            price = slid(turn, side, row["price"])
        elif not order.pegged:
            price = row["price"]
    elif left > order.left and (given := _given(order)) is not None:
        checks.check_value(turn, given, left, Field.QUANTITY)
    stop, display = order.stop_price, order.display
    if flags & Flag.NEW_STOP:
        stop = _new_stop(turn, order, row["stop_price"])
    if flags & Flag.NEW_DISPLAY:
        require(display > 0, Reason.BAD_DISPLAY, Field.DISPLAY_QUANTITY)
        display = row["display_quantity"]
        checks.check_display(turn, display, left)
    elif display:
        display = min(display, left)
    moves, caged = price != order.price, False
    if moves and order.place == Place.BOOK and book.phase == Phase.CONTINUOUS:
        checks.check_cage(turn, side, price)
        caged = checks.is_caged(turn, order.order_type, side, price)
        if order.flags & Flag.POST_ONLY:
            require(not book.crosses(side, price), Reason.WOULD_TRADE, Field.PRICE)
    require(order.filled + left <= INT64_MAX, Reason.LEVEL_OVERFLOW, Field.QUANTITY)
    checks.check_room(turn, side, left, order.left)
    keeps = not moves and left <= order.left
    if not keeps:
        turn.machine.allow_account(
            admitted, turn.instrument, None if order.order_type in UNPRICED_TYPES else price, left,
            False,
        )  # fmt: skip
    order.limit, order.display = limit, display
    if order.place != Place.BOOK:
        _change_waiting(turn, order, price, left, stop, keeps)
    elif keeps:
        turn.say(EventKind.AMENDED, order, quantity=left, left=left)
        lessen(turn, order, left)
    else:
        _replace(turn, order, price, left, caged)


def _new_stop(turn: Turn, order: MarketOrder, stop: int) -> int:
    """The stop price that a stop is to have, which it can while it waits."""
    kinds = (OrderType.STOP, OrderType.STOP_LIMIT)
    waits = order.place == Place.STOPS and order.order_type in kinds
    # that of a stop stays with the order that it has become
    over = order.order_type in (OrderType.LIMIT, OrderType.MARKET) and order.stop_price != 0
    require(waits or over, Reason.UNSUPPORTED, Field.STOP_PRICE)
    require(waits, Reason.ALREADY_TRIGGERED, Field.STOP_PRICE)
    require(abs(stop) <= PRICE_MAX, Reason.BAD_STOP, Field.STOP_PRICE)
    require(turn.book.floor(stop) == stop, Reason.OFF_TICK, Field.STOP_PRICE)
    return stop


def _given(order: MarketOrder) -> int | None:
    """The price or the bound that an order came with; None without one."""
    if order.order_type not in UNPRICED_TYPES:
        return order.price
    if not order.flags & Flag.PROTECTED:
        return None
    return order.price if order.order_type == OrderType.TRAILING_STOP else order.limit


def _change_waiting(
    turn: Turn, order: MarketOrder, price: int, left: int, stop: int, keeps: bool
) -> None:
    """The change of an order outside the book."""
    moved = stop != order.stop_price
    order.price, order.left, order.stop_price = price, left, stop
    order.show()
    if moved or not keeps:
        order.entry = turn.book.next_entry()
    turn.say(EventKind.AMENDED, order, quantity=left, left=left)
    if moved and turn.book.phase == Phase.CONTINUOUS and reached(order, turn.last, turn.last):
        trigger(turn, order)


def _replace(turn: Turn, order: MarketOrder, price: int, left: int, caged: bool) -> None:
    """The change of an order in the book that loses its place."""
    turn.take_out(order, 0 if caged else ChangeFlag.REPLACING)
    order.price, order.left = price, left
    order.show()
    turn.say(EventKind.AMENDED, order, quantity=left, left=left)
    if caged:
        turn.park(order, Place.CAGED)
    elif turn.book.phase == Phase.CONTINUOUS:
        execute(turn, order, ChangeFlag.REPLACING)
    else:
        turn.rest(order, ChangeFlag.REPLACING)
