"""The limits of accounts: their records in a state, and what such records must be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import SnapshotDamaged
from .schema import ACCOUNT_LIMITS_RECORD, LAST_RECORD, LimitFlag

LIMITS_MAX = 65_536
#: The values of one entry, in the order in which they are checked when they are set.
VALUES = ("max_quantity", "max_value", "max_open_orders", "collar", "max_messages", "window_ns")

#: The limits of an account in an instrument (0: in all), 80 bytes.
ACCOUNT_LIMITS = np.dtype(ACCOUNT_LIMITS_RECORD.dtype_spec())
#: The last trade of an instrument, 16 bytes.
LAST = np.dtype(LAST_RECORD.dtype_spec())


def check_limits(rows: NDArray[np.void], instruments: int) -> None:
    """`SnapshotDamaged` for limits that no exchange has in this form."""
    if len(rows) > LIMITS_MAX:
        raise SnapshotDamaged(f"limits: {len(rows)} entries, {LIMITS_MAX} at most")
    places = rows[["account", "instrument"]].tolist()
    if places != sorted(set(places)):
        raise SnapshotDamaged("limits: entries twice, or not in order")
    values = np.stack([rows[name] for name in VALUES])
    most, window = rows["max_messages"], rows["window_ns"]
    count, start, flags = rows["messages"], rows["window_start"], rows["flags"]
    fine = (rows["account"] > 0) & (rows["instrument"] <= instruments) & (values >= 0).all(axis=0)
    fine &= (
        ((most > 0) == (window > 0)) & (count >= 0) & (count <= most) & ((count > 0) | (start == 0))
    )
    fine &= (flags <= LimitFlag.BLOCKED) & ((values > 0).any(axis=0) | (flags > 0))
    if not fine.all():
        raise SnapshotDamaged("limits: values that no command sets")


def check_last(rows: NDArray[np.void]) -> None:
    """`SnapshotDamaged` for last trades that no exchange has in this form."""
    traded, price = rows["traded"], rows["price"]
    if not ((traded <= 1) & ((traded == 1) | (price == 0))).all():
        raise SnapshotDamaged("last trades: values that no exchange has")
