"""SET_PHASE and CLOCK in one market: the calendar and the clock, as the log has them."""

from __future__ import annotations

from ....records.schema import TIMED_PHASES, Phase, PhaseFlag, Reason
from .phases import change_phase
from .settling import cancel_partners, settle
from .turn import Turn

Row = dict[str, int]


def set_phase(turn: Turn, row: Row) -> None:
    """SET_PHASE of one market; nothing forbids it.

    What has expired goes before anything else, so that it never trades in an auction.
    """
    expire(turn)
    cancel_partners(turn)
    if row["flags"] & PhaseFlag.CANCEL_ORDERS:
        for order in list(turn.book.orders()):
            turn.cancel(order, Reason.PHASE)
        turn.touched.clear()
    change_phase(turn, row["phase"], row["until"], Reason.NONE)
    settle(turn)


def expire(turn: Turn) -> int:
    """Cancels the orders whose time is over; returns how many."""
    over = [order for order in turn.book.orders() if turn.expired(order)]
    for order in over:
        if order.order_id in turn.book.live:
            turn.cancel(order, Reason.EXPIRED)
    return len(over)


def clock(turn: Turn) -> tuple[int, int]:
    """CLOCK in one market: how many orders expired and how many phases ended."""
    book = turn.book
    count, ended = expire(turn), 0
    settle(turn)
    if book.until and turn.time >= book.until and book.phase in TIMED_PHASES:
        change_phase(turn, Phase.CONTINUOUS, 0, Reason.NONE)
        settle(turn)
        ended = 1
    return count, ended
