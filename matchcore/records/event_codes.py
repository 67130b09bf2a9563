"""Codes of what the machine says: events, reasons of refusals and cancels, fields at fault.

A part of `schema.py`, which has all declarations and which everything imports.
"""

from __future__ import annotations

from enum import IntEnum


class EventKind(IntEnum):
    """What an event reports."""

    ACCEPTED = 1
    TRADED = 2
    CANCELLED = 3
    AMENDED = 4
    REJECTED = 5
    MASS_CANCELLED = 6
    DAY_ENDED = 7
    INSTRUMENT_ADDED = 8
    INSTRUMENT_CHANGED = 9
    REPEATED = 10
    RULES_CHANGED = 11
    REGISTERED = 12
    NOTICED = 13
    LIMITS_SET = 14
    MARKET_SET = 15
    PHASE_CHANGED = 16
    INDICATIVE = 17
    CLOCKED = 18
    TRIGGERED = 19
    REPRICED = 20
    DECREMENTED = 21
    QUOTE_SET = 22
    PROTECTION_SET = 23
    BUSTED = 24


#: Events about one order: `price` is a price and `left` is what stays open of the order.
ORDER_EVENTS = frozenset(
    {
        EventKind.ACCEPTED,
        EventKind.TRADED,
        EventKind.CANCELLED,
        EventKind.AMENDED,
        EventKind.REJECTED,
        EventKind.TRIGGERED,
        EventKind.REPRICED,
        EventKind.DECREMENTED,
    }
)
#: Events whose price is one, though they are about no order.
MARKET_EVENTS = frozenset({EventKind.PHASE_CHANGED, EventKind.INDICATIVE, EventKind.BUSTED})
#: Events that always name an instrument of the exchange; a refusal may name one that is none.
BOOK_EVENTS = ORDER_EVENTS - {EventKind.REJECTED}
#: Events that say what an order is from now on: `left` is open at `price`.
OPENING_EVENTS = frozenset(
    {
        EventKind.ACCEPTED,
        EventKind.AMENDED,
        EventKind.TRIGGERED,
        EventKind.REPRICED,
        EventKind.DECREMENTED,
    }
)
#: Events with which an order comes to others: the taker of a trade is of the last one before it,
#: in the same command.  In an auction both orders rested, and the taker is of none.
MOVING_EVENTS = OPENING_EVENTS - {EventKind.DECREMENTED}
#: Events about an order that was there before, or that came with the command.
LIVE_EVENTS = BOOK_EVENTS - {EventKind.ACCEPTED}
#: Events about an instrument, whose parameters they carry.
INSTRUMENT_EVENTS = frozenset({EventKind.INSTRUMENT_ADDED, EventKind.INSTRUMENT_CHANGED})


class Reason(IntEnum):
    """Why a command was refused (1 to 31, 64 and up) or an order cancelled (32 to 63)."""

    NONE = 0
    UNKNOWN_KIND = 1
    UNKNOWN_INSTRUMENT = 2
    UNKNOWN_ORDER = 3
    DUPLICATE_ORDER = 4
    BAD_SIDE = 5
    BAD_ORDER_TYPE = 6
    BAD_TIME_IN_FORCE = 7
    BAD_FLAGS = 8
    UNSUPPORTED = 9
    PRICE_NOT_ALLOWED = 10
    QUANTITY_NOT_POSITIVE = 11
    QUANTITY_TOO_LARGE = 12
    OFF_LOT = 13
    NOT_OWNER = 14
    TOO_MANY_ORDERS = 15
    WOULD_TRADE = 16
    LEVEL_OVERFLOW = 17
    BAD_SYMBOL = 18
    DUPLICATE_SYMBOL = 19
    BAD_TICK = 20
    BAD_LOT = 21
    BAD_LIMIT = 22
    BOOK_NOT_EMPTY = 23
    TOO_MANY_INSTRUMENTS = 24
    BAD_VALUE = 25
    TOO_MANY_ENTRIES = 26
    ACCOUNT_BLOCKED = 27
    LIMIT_EXCEEDED = 28
    REQUESTED = 32
    IMMEDIATE_OR_CANCEL = 33
    FILL_OR_KILL = 34
    MARKET_REMAINDER = 35
    REDUCED_TO_NOTHING = 36
    MASS_CANCEL = 37
    END_OF_DAY = 38
    KILL_SWITCH = 39
    EXPIRED = 40
    SELF_TRADE = 41
    ONE_CANCELS_OTHER = 42
    QUOTE_REPLACED = 43
    PROTECTION = 44
    MINIMUM_NOT_MET = 45
    REFERENCE_GONE = 46
    AUCTION_OVER = 47
    AMENDED_TO_FILLED = 48
    LEVELS_TAKEN = 49
    NO_OPPOSITE = 50
    PHASE = 51
    VOLATILITY = 52
    BAD_PHASE = 64
    PHASE_OUT_OF_ORDER = 65
    NO_MARKET = 66
    NO_REFERENCE = 67
    BAD_DISPLAY = 68
    BAD_STOP = 69
    BAD_MINIMUM = 70
    BAD_EXPIRY = 71
    BAD_SELF_TRADE = 72
    BAD_LINK = 73
    BAD_PARAMETER = 74
    OFF_TICK = 75
    OUTSIDE_LIMITS = 76
    OUTSIDE_CAGE = 77
    QUANTITY_TOO_SMALL = 78
    VALUE_TOO_LARGE = 79
    ALREADY_TRIGGERED = 80
    QUOTE_CROSSED = 81
    UNKNOWN_TRADE = 82
    NOTHING_TO_CHANGE = 83


#: Why an order was cancelled; all others, but NONE, are why a command was refused.
CANCEL_REASONS = frozenset(reason for reason in Reason if 32 <= reason < 64)
#: Why an order was cancelled whose time was over.
EXPIRY_REASONS = frozenset({Reason.END_OF_DAY, Reason.EXPIRED, Reason.AUCTION_OVER})


class Field(IntEnum):
    """The field at fault of a refused command."""

    NONE = 0
    KIND = 1
    INSTRUMENT = 2
    ORDER_ID = 3
    SIDE = 4
    ORDER_TYPE = 5
    TIME_IN_FORCE = 6
    FLAGS = 7
    PRICE = 8
    QUANTITY = 9
    ACCOUNT = 10
    STOP_PRICE = 11
    DISPLAY_QUANTITY = 12
    EXPIRY = 13
    SELF_TRADE = 14
    RESERVED = 15
    SYMBOL = 16
    TICK = 17
    LOT = 18
    MAX_QUANTITY = 19
    MAX_ORDERS = 20
    KEY = 21
    TOPIC = 22
    PART = 23
    PARTS = 24
    DATA = 25
    MAX_VALUE = 26
    MAX_OPEN_ORDERS = 27
    COLLAR = 28
    MAX_MESSAGES = 29
    WINDOW = 30
    MINIMUM = 31
    LINK = 32
    PHASE = 33
    PARAMETER = 34
    INDEX = 35
    VALUE = 36
    TRADE = 37
    GROUP = 38
    MAX_FILLS = 39
    UNTIL = 40
