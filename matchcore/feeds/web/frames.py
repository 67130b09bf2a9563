"""WebSocket frames as a server sends them, and the binary form of market data."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...records.changes import unseen
from ..states import State
from ..statistics import INT64_MAX, WORD, Symbol

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
     ("mantissa", "<i8"), ("days_ended", "<u4"), ("exponent", "i1"), ("phase", "u1"),
     ("halted", "u1"), ("has", "u1"), ("reference", "<i8"), ("indicative_price", "<i8"),
     ("indicative_quantity", "<i8"), ("imbalance", "<i8"), ("imbalance_side", "u1"),
     ("indicative_phase", "u1"), ("zero", "u1", 6)]
)  # fmt: skip

HAS_REFERENCE, HAS_INDICATIVE = 1, 2  # bits of ``has``


def frame(first: int, payload: bytes) -> bytes:
    """One message, not masked and not compressed."""
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return struct.pack(">BBH", first, 126, size) + payload
    return struct.pack(">BBQ", first, 127, size) + payload


def payload(framed: bytes) -> bytes:
    """What is in a `frame`."""
    return framed[{126: 4, 127: 10}.get(framed[1], 2) :]


def levels(found: list[tuple[int, int, int, int]]) -> bytes:
    """`LEVEL` records of (side, price, quantity, orders)."""
    rows = np.zeros(len(found), LEVEL)
    if found:
        rows["side"], rows["price"], rows["quantity"], rows["orders"] = zip(*found, strict=True)
    return rows.tobytes()


def last_levels(changes: NDArray[np.void]) -> bytes:
    """`LEVEL` records of the levels of one book that ``changes``, a `CHANGE` array, leave."""
    backward = changes[~unseen(changes)][::-1]
    place = np.stack([backward["price"], backward["side"].astype(np.int64)], axis=1)
    _, first = np.unique(place, axis=0, return_index=True)
    last = backward[first]
    rows = np.zeros(len(last), LEVEL)
    rows["side"], rows["price"] = last["side"], last["price"]
    rows["quantity"], rows["orders"] = last["level_quantity"], last["level_orders"]
    return rows.tobytes()


def status(symbol: Symbol, state: State) -> bytes:
    """A `STATUS` record; what there is not, or does not fit, is 0."""
    row: Any = np.zeros(1, STATUS)
    row["days_ended"], (row["mantissa"], row["exponent"]) = symbol.days_ended, symbol.unit
    day = symbol.day
    if day is not None and day.fits:
        row["open"], row["high"], row["low"], row["last"] = day.open, day.high, day.low, day.close
        row["volume_high"], row["volume"] = divmod(day.volume, WORD)
        row["turnover_high"], row["turnover"] = divmod(day.turnover, WORD)
        row["trades"] = day.trades
    _put_state(row, state, symbol.factor)
    return bytes(row.tobytes())


def _put_state(row: Any, state: State, factor: int) -> None:
    """``factor``: units of the record in a tick."""
    row["phase"], row["halted"] = state.phase, state.halted
    reference, one = state.reference, state.indicative
    if reference is not None and abs(reference * factor) <= INT64_MAX:
        row["has"] |= HAS_REFERENCE
        row["reference"] = reference * factor
    if one is not None and abs(one.price * factor) <= INT64_MAX:
        row["has"] |= HAS_INDICATIVE
        row["indicative_price"], row["indicative_quantity"] = one.price * factor, one.quantity
        row["imbalance"], row["imbalance_side"] = one.imbalance, one.side
        row["indicative_phase"] = one.phase
