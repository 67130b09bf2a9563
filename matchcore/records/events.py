"""Events: everything the exchange says, as 96-byte records.

Each event carries the sequence number of the command that caused it, and each command
causes at least one event.  Behind a REPEATED come the events of an earlier command once more:
whoever counts or stores events takes those of `fresh`.  Fields that an event kind does not use
are zero.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .schema import EVENT_RECORD, EventKind

#: One event.  ``order_id``, ``client_order_id``, ``account``, ``side`` and ``left`` are of
#: one order: in TRADED the resting one (the maker), whose price is the price of the trade.
#: ``quantity`` is what the event is about: the size accepted, traded, taken off, newly
#: open; in MASS_CANCELLED and DAY_ENDED the number of orders.  ``left``: what stays open.
#: REPEATED has its own use of ``trade_id``, ``quantity`` and ``left``: see `fresh`.
EVENT = np.dtype(EVENT_RECORD.dtype_spec())


class EventRow(NamedTuple):
    """One event as Python integers: what `EVENT` rows are for arrays, for a look at a few."""

    # generated: row from records/schema.py
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
    # generated: end


_ROW = EVENT_RECORD.packer()
assert EventRow._fields == EVENT.names


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
