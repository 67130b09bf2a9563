"""What follows from an order's execution, until nothing follows any more.

In this order, and again from the start after every step that may have traded: pairs and quotes that
go, trailing stops that follow, the next stop that was reached, pegs, orders outside the cage.
"""

from __future__ import annotations

from ....records.arguments import INT64_MAX
from ....records.schema import EventKind, Phase, Place, Reason
from .checks import outside_cage
from .execution import execute, trigger
from .pegs import reprice
from .phases import change_phase
from .stops import follow, next_stop
from .turn import Turn


def settle(turn: Turn) -> None:
    """Runs to the end: every round takes an order from where it waits, or lets one trade."""
    while True:
        cancel_partners(turn)
        _pull_quotes(turn)
        if turn.touched or turn.pulled:
            continue
        if not turn.continuous:
            break
        follow(turn)
        stop = next_stop(turn)
        if stop is not None:
            trigger(turn, stop)
            continue
        if reprice(turn):
            continue
        if turn.touched:
            continue
        caged = [order for order in turn.book.at(Place.CAGED)
                 if not outside_cage(turn, order.side, order.price)]  # fmt: skip
        if not caged:
            break
        turn.take_out(caged[0])
        turn.say(EventKind.TRIGGERED, caged[0], quantity=caged[0].left, left=caged[0].left)
        execute(turn, caged[0])
    if turn.stop:
        _interrupt(turn)


def cancel_partners(turn: Turn) -> None:
    """Of each pair one of which traded, was triggered or went, the other one goes."""
    touched, turn.touched = turn.touched, []
    for order in touched:
        partner = turn.book.live.get(order.link)
        if partner is not None and partner.link == order.order_id:
            order.link = partner.link = 0
            turn.cancel(partner, Reason.ONE_CANCELS_OTHER)


def _pull_quotes(turn: Turn) -> None:
    pulled, turn.pulled = turn.pulled, []
    for account in pulled:
        for order in turn.book.quotes(account):
            turn.cancel(order, Reason.PROTECTION)


def _interrupt(turn: Turn) -> None:
    """Trading stops for a volatility auction."""
    turn.stop = Reason.NONE
    until = min(turn.time + turn.pause, INT64_MAX)
    change_phase(turn, Phase.VOLATILITY_CALL, until, Reason.VOLATILITY)
