"""Events: everything the exchange says, as 96-byte records.

Each event carries the sequence number of the command that caused it, and each command
causes at least one event.  Behind a REPEATED come the events of an earlier command once more:
whoever counts or stores events takes those of `fresh`.  Fields that an event kind does not use
are zero.
"""

from __future__ import annotations

import struct
from enum import Enum, IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .commands import _layout


class EventKind(IntEnum):
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


class Reason(IntEnum):
    """Why a command was refused (1 to 31) or an order cancelled (32 and up)."""

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
    REQUESTED = 32
    IMMEDIATE_OR_CANCEL = 33
    FILL_OR_KILL = 34
    MARKET_REMAINDER = 35
    REDUCED_TO_NOTHING = 36
    MASS_CANCEL = 37
    END_OF_DAY = 38


class Field(IntEnum):
    """The field of the command that a refusal is about."""

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


class Status(str, Enum):
    """Where an order stands after a command; DONE: the command was about more than one order."""

    OPEN = "open"
    PARTLY_FILLED = "partly filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    DONE = "done"

    def __str__(self) -> str:
        return self.value


#: One event.  ``order_id``, ``client_order_id``, ``account``, ``side`` and ``left`` are of
#: one order: in TRADED the resting one (the maker), whose price is the price of the trade.
#: ``quantity`` is what the event is about: the size accepted, traded, taken off, newly
#: open; in MASS_CANCELLED and DAY_ENDED the number of orders.  ``left``: what stays open.
#: REPEATED has its own use of ``trade_id``, ``quantity`` and ``left``: see `fresh`.
EVENT = _layout(
    96,
    sequence=("<u8", 0),
    order_id=("<u8", 8),
    client_order_id=("<u8", 16),
    account=("<u8", 24),
    price=("<i8", 32),
    quantity=("<i8", 40),
    left=("<i8", 48),
    taker_order_id=("<u8", 56),
    taker_account=("<u8", 64),
    taker_left=("<i8", 72),
    trade_id=("<u8", 80),
    instrument=("<u4", 88),
    kind=("u1", 92),
    side=("u1", 93),
    reason=("u1", 94),
    field=("u1", 95),
)


class EventRow(NamedTuple):
    """One event as Python integers: what `EVENT` rows are for arrays, for a look at a few."""

    sequence: int
    order_id: int
    client_order_id: int
    account: int
    price: int
    quantity: int
    left: int
    taker_order_id: int
    taker_account: int
    taker_left: int
    trade_id: int
    instrument: int
    kind: int
    side: int
    reason: int
    field: int


_ROW = struct.Struct("<QQQQqqqQQqQIBBBB")
assert _ROW.size == EVENT.itemsize and EventRow._fields == EVENT.names


def event_bytes(values: dict[str, int]) -> bytes:
    """One `EVENT` as its bytes; fields that are not given are zero."""
    return _ROW.pack(*(values.get(name, 0) for name in EventRow._fields))


def event_rows(records: bytes) -> list[EventRow]:
    """The events of the bytes of an `EVENT` array."""
    return [EventRow._make(values) for values in _ROW.iter_unpack(records)]


def fresh(events: NDArray[np.void]) -> NDArray[np.void]:
    """What happened: an `EVENT` array without what repeats tell again; itself if none does.

    ``events`` are those of whole commands, in order.  A REPEATED stays, with the sequence of the
    repeat; the events behind it are older ones, which keep the sequence of the first command.
    In REPEATED ``trade_id`` is that sequence, ``quantity`` the number of events that the first
    answer had and ``left`` how many of them are not told again.
    """
    if not (events["kind"] == EventKind.REPEATED).any():
        return events
    sequence = events["sequence"]
    kept: NDArray[np.void] = events[sequence == np.maximum.accumulate(sequence)]
    return kept
