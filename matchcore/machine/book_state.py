"""The whole state of an `OrderBook` and its canonical bytes.

The compiled book and the reference both produce and take a `BookState`.  The layout is in
docs/commands-and-events.md.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import SnapshotDamaged
from ..records.arguments import INT64_MAX, UINT64_MAX, shown
from ..records.commands import ORDER
from ..records.instruments import ORDERS_MAX

MAGIC = b"MCBOOK_1"
_HEAD = struct.Struct("<8sQqqQQQQQ")


@dataclass(slots=True)
class BookState:
    """``orders``: an `ORDER` array in queue order; the counters are those of a `State`."""

    matching: int
    lot: int
    max_quantity: int
    max_orders: int
    sequence: int
    next_order_id: int
    next_trade_id: int
    orders: NDArray[np.void]

    def to_bytes(self) -> bytes:
        """The canonical bytes, equal for equal states."""
        head = _HEAD.pack(
            MAGIC, self.matching, self.lot, self.max_quantity, self.max_orders, self.sequence,
            self.next_order_id, self.next_trade_id, len(self.orders),
        )  # fmt: skip
        return head + np.ascontiguousarray(self.orders, ORDER).tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> BookState:
        """The state of ``data``; `SnapshotDamaged` unless a book could have written it.

        The book that uses the state checks what its orders are to each other.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"data {shown(data)}: bytes")
        if len(data) < _HEAD.size:
            raise SnapshotDamaged(f"book of {len(data)} bytes: shorter than its head")
        magic, *head, count = _HEAD.unpack_from(data)
        if magic != MAGIC:
            raise SnapshotDamaged("these bytes are not an OrderBook")
        if len(data) != _HEAD.size + count * ORDER.itemsize:
            raise SnapshotDamaged(f"book of {len(data)} bytes: does not hold its {count} orders")
        state = cls(*[*head, np.frombuffer(data, ORDER, count, _HEAD.size)])
        state.check()
        return state

    def check(self) -> None:
        """`SnapshotDamaged` for limits, counters or quantities that no book can have."""
        for name, least, most in (
            ("matching", 0, 1),
            ("lot", 1, INT64_MAX),
            ("max_quantity", self.lot, INT64_MAX),
            ("max_orders", max(1, len(self.orders)), ORDERS_MAX),
            ("next_order_id", 1, UINT64_MAX),
            ("next_trade_id", 1, UINT64_MAX),
        ):
            if not least <= getattr(self, name) <= most:
                raise SnapshotDamaged(f"{name} {getattr(self, name)}: {least} to {most}")
        quantities = self.orders["quantity"]
        if (quantities > self.max_quantity).any() or (quantities % self.lot).any():
            raise SnapshotDamaged("an order that its lot or max_quantity forbids")
