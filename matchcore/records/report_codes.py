"""The codes of execution reports, a part of the declaration in `schema.py`."""

from __future__ import annotations

from enum import IntEnum, IntFlag


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


class OrderStatus(IntEnum):
    """What an order is after a report.  EXPIRED: cancelled by the end of its day."""

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

    MAKER: of a trade, that the order rested.  UNSOLICITED: the session did not ask for it.  COPY:
    for the session that asked, of an order of another session.
    """

    MAKER = 1
    POST_ONLY = 2
    UNSOLICITED = 4
    COPY = 8
