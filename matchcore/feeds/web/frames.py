"""WebSocket frames as a server sends them, and the binary form of market data."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..statistics import WORD, Symbol

TEXT, BINARY = 0x81, 0x82  # first byte of a whole message

#: Before the records of a binary message: kind (1 snapshot, 2 update), channel, two zero bytes,
#: instrument, number, prev (0 for a snapshot), time in nanoseconds.
HEADER = struct.Struct("<BBHIQQq")
SNAPSHOT, UPDATE = 1, 2
CHANNEL_CODES = {"book.l1": 1, "book.l2": 2, "book.l3": 3, "trades": 4, "bars.1m": 5,
                 "bars.1d": 6, "status": 7}  # fmt: skip
LEVEL = np.dtype(
    [("price", "<i8"), ("quantity", "<i8"), ("orders", "<u4"), ("side", "u1"), ("zero", "u1", 3)]
)
STATUS = np.dtype(
    [("open", "<i8"), ("high", "<i8"), ("low", "<i8"), ("last", "<i8"), ("volume", "<u8"),
     ("volume_high", "<i8"), ("turnover", "<u8"), ("turnover_high", "<i8"), ("trades", "<u8"),
     ("mantissa", "<i8"), ("days_ended", "<u4"), ("exponent", "i1"), ("zero", "u1", 3)]
)  # fmt: skip


def frame(first: int, payload: bytes) -> bytes:
    """One message, not masked and not compressed."""
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return struct.pack(">BBH", first, 126, size) + payload
    return struct.pack(">BBQ", first, 127, size) + payload


def levels(found: list[tuple[int, int, int, int]]) -> bytes:
    """`LEVEL` records of (side, price, quantity, orders)."""
    rows = np.zeros(len(found), LEVEL)
    if found:
        rows["side"], rows["price"], rows["quantity"], rows["orders"] = zip(*found, strict=True)
    return rows.tobytes()


def last_levels(changes: NDArray[np.void]) -> bytes:
    """`LEVEL` records of the levels of one book that ``changes``, a `CHANGE` array, leave."""
    backward = changes[::-1]
    place = np.stack([backward["price"], backward["side"].astype(np.int64)], axis=1)
    _, first = np.unique(place, axis=0, return_index=True)
    last = backward[first]
    rows = np.zeros(len(last), LEVEL)
    rows["side"], rows["price"] = last["side"], last["price"]
    rows["quantity"], rows["orders"] = last["level_quantity"], last["level_orders"]
    return rows.tobytes()


def status(symbol: Symbol) -> bytes:
    """A `STATUS` record; all but unit and day is 0 without a trade, or if it does not fit."""
    row: Any = np.zeros(1, STATUS)
    row["days_ended"], (row["mantissa"], row["exponent"]) = symbol.days_ended, symbol.unit
    day = symbol.day
    if day is not None and day.fits:
        row["open"], row["high"], row["low"], row["last"] = day.open, day.high, day.low, day.close
        row["volume_high"], row["volume"] = divmod(day.volume, WORD)
        row["turnover_high"], row["turnover"] = divmod(day.turnover, WORD)
        row["trades"] = day.trades
    return bytes(row.tobytes())
