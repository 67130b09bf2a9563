"""Codes of what followers tell: public changes, execution reports, entries of the register.

A part of `schema.py`, which has all declarations and which everything imports.
"""

from __future__ import annotations

from enum import Enum, IntEnum, IntFlag


class ChangeKind(IntEnum):
    """What a public change reports: of an order in the book, of its instrument, or a notice.

    PHASE, HALT, REFERENCE and INDICATIVE are of markets (docs/markets/index.md).
    """

    ADDED = 1
    EXECUTED = 2
    REDUCED = 3
    DELETED = 4
    DEFINED = 5
    DAY_ENDED = 6
    NOTICE = 7
    PHASE = 8
    HALT = 9
    REFERENCE = 10
    INDICATIVE = 11


#: Changes of one order, which say what is left of it and of its level.
BOOK_CHANGES = frozenset(
    {ChangeKind.ADDED, ChangeKind.EXECUTED, ChangeKind.REDUCED, ChangeKind.DELETED}
)

#: Changes in the layout `MARKET`, which say what the market in an instrument is from now on.
MARKET_CHANGES = frozenset(
    {ChangeKind.PHASE, ChangeKind.HALT, ChangeKind.REFERENCE, ChangeKind.INDICATIVE}
)


class Phase(IntEnum):
    """The phase of a day that an instrument of a market is in (docs/markets/phases.md)."""

    PRE_OPEN = 1
    OPENING_CALL = 2
    OPENING_CALL_LOCKED = 3
    QUIET = 4
    CONTINUOUS = 5
    BREAK = 6
    CLOSING_CALL = 7
    AT_CLOSING_PRICE = 8
    CLOSED = 9
    VOLATILITY_CALL = 10
    CANCEL_ONLY = 11
    HALTED = 12


class ChangeFlag(IntFlag):
    """Bits of a change's ``flags``: REPLACING for an amend that loses its place; LARGE, in a
    snapshot, for an order whose quantity was above 4,294,967,295 when it was added.

    UNSEEN: of EXECUTED, a trade that the public book does not show: of an order or a part that is
    hidden, or at another price than the order's.  It changes no level; what was shown of its orders
    is taken off by REDUCED and DELETED before it.  CROSS: such a trade of an auction, in which both
    orders rested.
    """

    REPLACING = 1
    LARGE = 2
    CROSS = 4
    UNSEEN = 8


class ReportKind(IntEnum):
    """What an execution report tells a session (docs/gateways/reports.md)."""

    NEW = 1
    TRADE = 2
    CANCELLED = 3
    REPLACED = 4
    REJECTED = 5
    CANCEL_REJECTED = 6
    REPLACE_REJECTED = 7
    MASS_CANCELLED = 8
    MASS_CANCEL_REJECTED = 9
    REPEATED = 10
    TRIGGERED = 11
    REPRICED = 12
    DECREMENTED = 13
    BUSTED = 14
    QUOTE_SET = 15
    QUOTE_REJECTED = 16


class OrderStatus(IntEnum):
    """What an order is after a report.

    EXPIRED: its time is over, by the end of its day, of its call, or by its expiry.
    """

    NONE = 0
    NEW = 1
    PARTLY_FILLED = 2
    FILLED = 3
    CANCELLED = 4
    REJECTED = 5
    EXPIRED = 6


#: Statuses of orders that may still trade.
OPEN_STATUSES = frozenset({OrderStatus.NEW, OrderStatus.PARTLY_FILLED})


class ReportFlag(IntFlag):
    """Bits of a report's ``flags``.

    MAKER: of a trade, that the order rested; of an auction's trade, the buy order.  UNSOLICITED:
    the session did not ask for it.  COPY: for the session that asked, of an order of another
    session.  AUCTION: of an auction's trade, in which both orders rested.
    """

    MAKER = 1
    POST_ONLY = 2
    UNSOLICITED = 4
    COPY = 8
    AUCTION = 16


class Topic(IntEnum):
    """What an entry of the register is about; the machine takes any topic from 1 to 255."""

    USER = 1
    SECRET = 2
    GRANT = 3
    GATEWAY = 4
    DAY = 5
    PRESENCE = 6
    SHARD = 7
    SCHEDULE = 8


class Status(str, Enum):
    """Status of an order after a command; DONE: the command was not about one order."""

    OPEN = "open"
    PARTLY_FILLED = "partly filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    DONE = "done"

    def __str__(self) -> str:
        return self.value
