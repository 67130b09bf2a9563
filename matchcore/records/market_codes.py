"""Codes of markets: parameters, phases and what follows which, places of orders.

A part of `schema.py`, which has all declarations and which everything imports.
"""

from __future__ import annotations

from enum import IntEnum

from .follower_codes import Phase


class Parameter(IntEnum):
    """What a SET_MARKET sets; `records/markets.py` names the values of each."""

    TRADING = 1
    ALLOCATION = 2
    AUCTION = 3
    QUANTITIES = 4
    LIMITS = 5
    CAGE = 6
    VOLATILITY = 7
    HALTS = 8
    DAY = 9
    TICKS = 10
    CLOSING = 11


class AuctionRule(IntEnum):
    """How an auction chooses among prices with the same volume (docs/markets/auctions.md)."""

    GENERIC = 0
    SSE = 1
    SZSE = 2


class CageMode(IntEnum):
    """What happens to an order outside the price cage."""

    OFF = 0
    REFUSE = 1
    PARK = 2


class ClosingRule(IntEnum):
    """What the closing price is: of the closing auction, of the last minute, or the last trade."""

    AUCTION = 0
    AVERAGE = 1
    LAST = 2


class Place(IntEnum):
    """Where a live order of a market is."""

    BOOK = 0
    STOPS = 1
    TRAILING = 2
    WAITING = 3
    CAGED = 4


#: Phases in which orders are collected for a single price, which is told while they come in.
CALL_PHASES = frozenset(
    {Phase.OPENING_CALL, Phase.OPENING_CALL_LOCKED, Phase.CLOSING_CALL, Phase.VOLATILITY_CALL}
)
#: Phases in which a call ends, when one of them follows it.
UNCROSS_PHASES = frozenset(
    {Phase.QUIET, Phase.CONTINUOUS, Phase.BREAK, Phase.CLOSED, Phase.AT_CLOSING_PRICE}
)
#: Phases in which an order may trade when it comes in.
MATCHING_PHASES = frozenset({Phase.CONTINUOUS, Phase.AT_CLOSING_PRICE})
#: Phases that a CLOCK ends when their time has come.
TIMED_PHASES = frozenset({Phase.VOLATILITY_CALL, Phase.HALTED})

_ANY = frozenset({Phase.CANCEL_ONLY, Phase.HALTED, Phase.CLOSED})
#: The phases that may follow each; any may be set again, with another ``until``.
NEXT_PHASES: dict[Phase, frozenset[Phase]] = {
    Phase.PRE_OPEN: _ANY | {Phase.OPENING_CALL, Phase.CONTINUOUS},
    Phase.OPENING_CALL: _ANY | {Phase.OPENING_CALL_LOCKED, Phase.QUIET, Phase.CONTINUOUS},
    Phase.OPENING_CALL_LOCKED: _ANY | {Phase.QUIET, Phase.CONTINUOUS},
    Phase.QUIET: _ANY | {Phase.CONTINUOUS, Phase.OPENING_CALL},
    Phase.CONTINUOUS: _ANY
    | {Phase.BREAK, Phase.QUIET, Phase.CLOSING_CALL, Phase.VOLATILITY_CALL, Phase.AT_CLOSING_PRICE},
    Phase.BREAK: _ANY | {Phase.CONTINUOUS, Phase.OPENING_CALL, Phase.CLOSING_CALL},
    Phase.CLOSING_CALL: _ANY | {Phase.QUIET, Phase.AT_CLOSING_PRICE},
    Phase.AT_CLOSING_PRICE: _ANY,
    Phase.CLOSED: frozenset({Phase.PRE_OPEN, Phase.OPENING_CALL, Phase.CONTINUOUS})
    | {Phase.AT_CLOSING_PRICE, Phase.CANCEL_ONLY, Phase.HALTED},
    Phase.VOLATILITY_CALL: _ANY | {Phase.CONTINUOUS, Phase.BREAK, Phase.CLOSING_CALL},
    Phase.CANCEL_ONLY: frozenset(Phase),
    Phase.HALTED: frozenset(Phase),
}
