"""QUOTE: both sides of a market maker, in place of those that he had."""

from __future__ import annotations

from ....records.schema import (
    EventKind,
    Field,
    Flag,
    OrderType,
    Phase,
    Reason,
    SelfTrade,
    Side,
    TimeInForce,
)
from ..refusals import require
from . import checks
from .amending import Admitted, check_cancel_phase
from .book import MarketOrder
from .entry import start
from .settling import settle
from .turn import Turn

Row = dict[str, int]
_SIDES = (
    (Side.BUY, "price", "quantity", Field.PRICE, Field.QUANTITY),
    (Side.SELL, "stop_price", "display_quantity", Field.STOP_PRICE, Field.DISPLAY_QUANTITY),
)


def quote(turn: Turn, row: Row) -> None:
    """QUOTE."""
    admitted = _check(turn, row)
    former = turn.book.quotes(row["account"])
    _check_sides(turn, row, former, admitted)
    for order in former:
        turn.cancel(order, Reason.QUOTE_REPLACED)
    entered = 0
    for side, price, quantity, _, _ in _SIDES:
        if row[quantity]:
            order = MarketOrder(
                turn.machine.assign_id(turn.instrument), row["client_order_id"], row["account"],
                side, row[price], row[quantity], TimeInForce.DAY, int(Flag.QUOTED),
                OrderType.LIMIT, session=row["session"],
                self_trade=row["self_trade"],
            )  # fmt: skip
            order.show()
            entered += 1
            turn.say(EventKind.ACCEPTED, order, quantity=order.left, left=order.left)
            start(turn, order)
            settle(turn)
    if not entered:
        settle(turn)
    said = {"account": row["account"], "client_order_id": row["client_order_id"]}
    turn.say(EventKind.QUOTE_SET, quantity=len(former), left=entered, **said)


def _check(turn: Turn, row: Row) -> Admitted:
    admitted = turn.machine.admit_account(row["account"], turn.instrument, turn.time)
    require(row["account"] > 0, Reason.BAD_VALUE, Field.ACCOUNT)
    require(row["flags"] == 0, Reason.BAD_FLAGS, Field.FLAGS)
    require(row["reserved"] == 0, Reason.UNSUPPORTED, Field.RESERVED)
    require(row["expiry"] == 0, Reason.UNSUPPORTED, Field.EXPIRY)
    known = row["self_trade"] in frozenset(SelfTrade)
    require(known, Reason.BAD_SELF_TRADE, Field.SELF_TRADE)
    fine = turn.book.allows("entry_phases", turn.book.phase)
    fine = fine and turn.book.phase != Phase.AT_CLOSING_PRICE
    require(fine, Reason.BAD_PHASE, Field.KIND)
    check_cancel_phase(turn)
    return admitted


def _check_sides(turn: Turn, row: Row, former: list[MarketOrder], admitted: Admitted) -> None:
    sides = [side for side in _SIDES if row[side[2]]]
    for side, price, quantity, price_field, quantity_field in sides:
        checks.check_quantity(turn, row[quantity], side, OrderType.LIMIT, quantity_field)
        checks.check_price(turn, row[price], row[quantity], price_field)
    crossed = len(sides) == 2 and row["price"] >= row["stop_price"]
    require(not crossed, Reason.QUOTE_CROSSED, Field.STOP_PRICE)
    for name, quantity in (("price", "quantity"), ("stop_price", "display_quantity")):
        field = Field.PRICE if name == "price" else Field.STOP_PRICE
        require(row[quantity] != 0 or row[name] == 0, Reason.PRICE_NOT_ALLOWED, field)
    most = turn.machine.max_orders_of(turn.instrument)
    count = len(turn.book.live) - len(former) + len(sides)
    require(count <= most, Reason.TOO_MANY_ORDERS, Field.MAX_ORDERS)
    for at, (side, price, quantity, price_field, _) in enumerate(sides):
        if turn.book.phase == Phase.CONTINUOUS:
            checks.check_cage(turn, side, row[price], price_field)
        leaving = sum(order.left for order in former if order.side == side)
        checks.check_room(turn, side, row[quantity], leaving)
        turn.machine.allow_account(
            admitted, turn.instrument, row[price], row[quantity], True, len(former) - at
        )
