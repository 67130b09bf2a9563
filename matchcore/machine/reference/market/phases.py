"""The phases of a market: which follows which, and what happens in between."""

from __future__ import annotations

from ....records.schema import (
    CALL_PHASES,
    MARKET_DAY_TIFS,
    NEXT_PHASES,
    TIMED_PHASES,
    UNCROSS_PHASES,
    ChangeKind,
    ClosingRule,
    EventKind,
    Field,
    Flag,
    OrderType,
    Parameter,
    Phase,
    PhaseFlag,
    Place,
    Reason,
    Side,
    TimeInForce,
)
from ..refusals import require
from .auction import Cross, uncross
from .book import ANY_BUY, ANY_SELL, MarketOrder
from .turn import Turn

Row = dict[str, int]
#: Phases in which a closing price that is known stays so.
_KEEP_CLOSE = frozenset({Phase.CLOSED, Phase.AT_CLOSING_PRICE, Phase.HALTED, Phase.CANCEL_ONLY})


def check_codes(row: Row) -> None:
    """What forbids a SET_PHASE, whatever the market."""
    phase = row["phase"]
    require(phase in frozenset(Phase), Reason.BAD_VALUE, Field.PHASE)
    require(row["until"] == 0 or phase in TIMED_PHASES, Reason.BAD_VALUE, Field.UNTIL)
    require(row["flags"] in (0, PhaseFlag.CANCEL_ORDERS), Reason.BAD_FLAGS, Field.FLAGS)


def check_phase(turn: Turn, row: Row) -> None:
    """Whether a SET_PHASE may set its phase in this market."""
    book, phase = turn.book, row["phase"]
    fine = phase == book.phase or phase in NEXT_PHASES[Phase(book.phase)]
    require(fine, Reason.PHASE_OUT_OF_ORDER, Field.PHASE)
    if phase == Phase.AT_CLOSING_PRICE and book.phase != phase:
        known = closing_price(turn, None) is not None
        require(known, Reason.NO_REFERENCE, Field.PHASE)


def change_phase(turn: Turn, phase: int, until: int, reason: Reason) -> None:
    """The next phase: the call before it ends, the orders that waited for it come into the book."""
    book, before = turn.book, turn.book.phase
    cross = None
    if phase != before and (
        (before in CALL_PHASES and phase in UNCROSS_PHASES) or phase == Phase.CONTINUOUS
    ):
        cross = uncross(turn)
    if phase in (Phase.CLOSED, Phase.AT_CLOSING_PRICE) and book.closing_price is None:
        book.closing_price = closing_price(turn, cross)
    elif phase not in _KEEP_CLOSE:
        book.closing_price = None  # the market opens again, and has another close
    book.phase, book.until = phase, until
    if before not in CALL_PHASES and phase in CALL_PHASES:
        book.indicative = None
    turn.say(
        EventKind.PHASE_CHANGED, price=cross.price if cross else 0,
        quantity=cross.quantity if cross else 0, left=phase, taker_left=before, reason=reason,
    )  # fmt: skip
    turn.machine.market_fact(
        ChangeKind.PHASE, turn.instrument, price=cross.price if cross else 0,
        quantity=cross.quantity if cross else 0, phase=phase,
    )  # fmt: skip
    if (phase == Phase.HALTED) != (before == Phase.HALTED):
        turn.machine.market_fact(
            ChangeKind.HALT, turn.instrument, halted=int(phase == Phase.HALTED), phase=phase
        )
    if phase in CALL_PHASES:
        _release(turn, phase)
    if phase == Phase.CONTINUOUS and before != phase and turn.last is not None:
        turn.low = turn.last if turn.low is None else min(turn.low, turn.last)
        turn.high = turn.last if turn.high is None else max(turn.high, turn.last)


def _release(turn: Turn, phase: int) -> None:
    """Orders that waited for this call come into the book, oldest first."""
    for order in turn.book.at(Place.WAITING):
        closing = order.time_in_force == TimeInForce.AT_CLOSE
        if closing and phase != Phase.CLOSING_CALL:
            continue
        turn.take_out(order)
        if order.order_type == OrderType.MARKET and not order.flags & Flag.PROTECTED:
            order.price = ANY_BUY if order.side == Side.BUY else ANY_SELL
        turn.say(EventKind.TRIGGERED, order, quantity=order.left, left=order.left)
        turn.rest(order)


def closing_price(turn: Turn, cross: Cross | None) -> int | None:
    """What the closing price is if the day ends now; None if nothing tells it."""
    book = turn.book
    if book.closing_price is not None:
        return book.closing_price
    rule = book.value(Parameter.CLOSING, "rule")
    if rule == ClosingRule.AUCTION and cross is not None:
        return cross.price
    if rule != ClosingRule.LAST and book.close_volume:
        return (2 * book.close_turnover + book.close_volume) // (2 * book.close_volume)
    if turn.last is not None:
        return turn.last
    return book.value(Parameter.DAY, "previous_close") or None


def ends_with_day(order: MarketOrder, time: int) -> bool:
    """What the end of the day does to an order (docs/markets/orders.md)."""
    return (
        order.time_in_force in MARKET_DAY_TIFS
        or 0 < order.expiry <= time
        or order.order_type == OrderType.MARKET
    )
