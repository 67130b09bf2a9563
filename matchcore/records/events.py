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

from .arguments import UINT64_MAX, integer
from .commands import checked
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
    """Returns ``events`` without the repeated events of earlier answers.

    ``events``: an `EVENT` array of whole commands in order; returned itself if nothing is repeated.
    REPEATED stays and has the sequence of the repeat.  The events after it have the sequence of the
    first command and are removed.  In REPEATED ``trade_id`` is the first sequence, ``quantity`` the
    number of events of the first answer, and ``left`` the number of those that are left out.
    """
    if not (events["kind"] == EventKind.REPEATED).any():
        return events
    sequence = events["sequence"]
    kept: NDArray[np.void] = events[sequence == np.maximum.accumulate(sequence)]
    return kept


def times_of(
    events: NDArray[np.void], commands: NDArray[np.void], first_sequence: int | None = None
) -> NDArray[np.int64]:
    """The time of each event, in nanoseconds: that of its command, which the event names.

    ``first_sequence``: of the commands; None: the events are all those of these commands, as
    `Engine.submit_batch` gives them, and ValueError if they are not.  0 for an event of another
    command, which a repeat tells again, and where the command has no time: only the log has what
    the engine gave it then.  TypeError for another dtype of commands.

    >>> import numpy as np
    >>> from matchcore import COMMAND, Engine, Kind, times_of
    >>> commands = np.zeros(2, COMMAND)
    >>> commands["kind"], commands["time"] = Kind.END_DAY, [5, 7]
    >>> times_of(Engine.memory().submit_batch(commands), commands).tolist()
    [5, 7]
    """
    given = checked(commands)["time"]
    sequences, are_all = events["sequence"], first_sequence is None
    if first_sequence is None:  # the last command has an event, and none has a later sequence
        first_sequence = max(0, int(sequences.max(initial=0)) + 1 - len(given))
    at = sequences - np.uint64(integer(first_sequence, "first_sequence", 0, UINT64_MAX))
    known = at < len(given)  # an earlier sequence wraps round to a large one
    found = at[known].astype(np.intp)
    if are_all and np.bincount(found, minlength=len(given)).min(initial=1) == 0:
        raise ValueError("events: not all those of the commands; give first_sequence as well")
    times = np.zeros(len(events), np.int64)
    times[known] = given[found]
    return times
