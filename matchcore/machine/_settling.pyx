"""What follows from an order's execution, until nothing follows any more.

In this order, and again from the start after every step that may have traded: pairs and quotes that
go, trailing stops that follow, the next stop that was reached, pegs, orders outside the cage.
"""
from libc.stdint cimport INT64_MAX

from ._execution cimport execute, trigger
from ._phases cimport change_phase
from ._quotes cimport pull_quotes
from ._saying cimport say_of
from ._stops cimport follow, next_stop, next_uncaged, reprice
from ._turn cimport cancel, lift
from .core.ids cimport ids_look_up
from .core.market cimport *
from .core.pool cimport Order
from .core.records cimport *


cdef void settle(Turn* turn) noexcept nogil:
    """Runs to the end: every round takes an order from where it waits, or lets one trade."""
    cdef Markets* all = turn.all
    cdef Market* market = turn.market
    cdef Wide* wide
    while not all.lost:
        if mc_unlikely(all.touched_count != 0):
            cancel_partners(turn)
        if mc_unlikely(all.pulled_count != 0):
            pull_quotes(turn)
        if mc_unlikely(all.touched_count | all.pulled_count):
            continue
        if not is_continuous(turn):
            break
        if market.trailing.count != 0:
            follow(turn)
        if turn.traded and market.stops[0].levels | market.stops[1].levels:
            wide = next_stop(turn)
            if wide != NULL:
                trigger(turn, wide)
                continue
        if market.pegs_count != 0 and reprice(turn):
            continue
        if all.touched_count != 0:
            continue
        if market.caged.count == 0:
            break
        wide = next_uncaged(turn)
        if wide == NULL:
            break
        lift(turn, wide, 0)
        say_of(turn, TRIGGERED, R_NONE, wide, wide.total, wide.total)
        execute(turn, wide, 0)
    if mc_unlikely(turn.stop != R_NONE):
        interrupt(turn)


cdef void cancel_partners(Turn* turn) noexcept nogil:
    """Of each pair one of which traded, was triggered or went, the other one goes."""
    cdef Markets* all = turn.all
    cdef Touched one
    cdef Wide* order
    cdef Wide* partner
    cdef size_t i
    for i in range(all.touched_count):
        one = all.touched[i]
        order = <Wide*>ids_look_up(&turn.core.ids, turn.book.instrument, one.order_id)
        if order != NULL:
            order.touched = 0
        partner = <Wide*>ids_look_up(&turn.core.ids, turn.book.instrument, one.link)
        if partner == NULL or partner.link != one.order_id:
            continue
        if order != NULL:
            order.link = 0
        partner.link = 0
        cancel(turn, partner, R_ONE_CANCELS_OTHER)
    all.touched_count = 0


cdef void interrupt(Turn* turn) noexcept nogil:
    """Trading stops for a volatility auction."""
    cdef i64 until = INT64_MAX
    if turn.time < 0 or turn.pause <= INT64_MAX - turn.time:
        until = turn.time + turn.pause
    turn.stop = R_NONE
    change_phase(turn, PHASE_VOLATILITY_CALL, until, R_VOLATILITY)
