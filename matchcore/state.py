"""The whole state of a machine as plain arrays, its canonical bytes and their digest.

Both machines produce and take a `State`; snapshots store its bytes; the digest is the
SHA-256 of them.  The layout is in docs/commands-and-events.md.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .commands import INSTRUMENT, ORDER
from .errors import SnapshotDamaged
from .instruments import INSTRUMENTS_MAX, Instrument, read_instrument, write_instrument

MAGIC = b"MCSTATE1"
_HEAD = struct.Struct("<8sQQQQ")


@dataclass(slots=True)
class State:
    """Counters, instruments by number, and each book's orders (`ORDER`, in queue order)."""

    sequence: int = 0
    next_order_id: int = 1
    next_trade_id: int = 1
    instruments: list[Instrument] = field(default_factory=list)
    orders: list[NDArray[np.void]] = field(default_factory=list)

    def to_bytes(self) -> bytes:
        """The canonical bytes: equal for equal states, whatever holds them."""
        head = _HEAD.pack(
            MAGIC, self.sequence, self.next_order_id, self.next_trade_id, len(self.instruments)
        )
        table = np.zeros(len(self.instruments), INSTRUMENT)
        for row, instrument in zip(table, self.instruments, strict=True):
            write_instrument(row, instrument)
        table["instrument"] = np.arange(1, len(table) + 1)
        counts = np.array([len(orders) for orders in self.orders], "<u8")
        books = [np.ascontiguousarray(orders, ORDER).tobytes() for orders in self.orders]
        return b"".join([head, table.tobytes(), counts.tobytes(), *books])

    @classmethod
    def from_bytes(cls, data: bytes | memoryview) -> State:
        """The state of these bytes; `SnapshotDamaged` when they can not be one."""
        if len(data) < _HEAD.size:
            raise SnapshotDamaged(f"state of {len(data)} bytes: shorter than its head")
        magic, sequence, next_order_id, next_trade_id, count = _HEAD.unpack_from(data)
        if magic != MAGIC or count > INSTRUMENTS_MAX:
            raise SnapshotDamaged("these bytes are not a matchcore state")
        at = _HEAD.size
        if len(data) < at + count * (INSTRUMENT.itemsize + 8):
            raise SnapshotDamaged("state ends inside its instruments")
        table = np.frombuffer(data, INSTRUMENT, count, at)
        at += table.nbytes
        counts = np.frombuffer(data, "<u8", count, at)
        at += counts.nbytes
        if len(data) - at != int(counts.sum()) * ORDER.itemsize:
            raise SnapshotDamaged("state does not hold the orders that it counts")
        state = cls(sequence, next_order_id, next_trade_id)
        for row, orders in zip(table, counts.tolist(), strict=True):
            state.instruments.append(read_instrument(row))
            state.orders.append(np.frombuffer(data, ORDER, orders, at))
            at += orders * ORDER.itemsize
        return state

    def digest(self) -> str:
        """SHA-256 of the canonical bytes, in hexadecimal."""
        return hashlib.sha256(self.to_bytes()).hexdigest()
