"""Commands: everything that can change the exchange, as 96-byte records and as typed faces.

`COMMAND` is one layout for the C struct, the NumPy dtype, the wire and the journal.  All
integers are little-endian.  Zero is never a valid kind, side, order type or time in force,
so that a forgotten field is refused and not guessed.  96 bytes, one and a half cache lines:
every field at its full width does not fit into 64.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from .schema import (
    COMMAND_RECORD,
    INSTRUMENT_KINDS,
    INSTRUMENT_RECORD,
    LEVEL_RECORD,
    LIMITS_RECORD,
    ORDER_RECORD,
    TEXT_RECORD,
)

#: One command.  ``time``: nanoseconds since 1970 UTC (0: the engine stamps it);
#: ``order_id``: 0 on NEW lets the exchange assign one; ``account``: 0 is nobody in
#: particular; prices in ticks; quantities in units.  ``stop_price``, ``display_quantity``,
#: ``expiry``, ``self_trade`` and ``reserved`` must be zero: no rule uses them yet, and a
#: value in them is refused as UNSUPPORTED, not ignored.  ``session`` (the login that sent it)
#: and ``client_order_tail`` (the second half of a long client order id) change nothing; under
#: version 1 of the rules they must be zero, too.
COMMAND = np.dtype(COMMAND_RECORD.dtype_spec())

#: The same 96 bytes when ``kind`` is ADD_INSTRUMENT or CHANGE_INSTRUMENT.  The tick is
#: ``tick_mantissa * 10 ** tick_exponent``; ``symbol`` is padded with NUL.
INSTRUMENT = np.dtype(INSTRUMENT_RECORD.dtype_spec())

#: The same 96 bytes when ``kind`` is REGISTER or NOTICE.
TEXT = np.dtype(TEXT_RECORD.dtype_spec())

#: The same 96 bytes when ``kind`` is SET_LIMITS.
LIMITS = np.dtype(LIMITS_RECORD.dtype_spec())

#: One resting order, as snapshots, digests and `orders()` show it.  ``quantity``: what is
#: still open.  48 bytes.
ORDER = np.dtype(ORDER_RECORD.dtype_spec())

#: One price level, best first where several are given.  24 bytes.
LEVEL = np.dtype(LEVEL_RECORD.dtype_spec())


def joined(parts: Sequence[NDArray[np.void]]) -> NDArray[np.void]:
    """Arrays of one record dtype as a fresh one; of a single array, a copy.

    NumPy copies records field by field, which takes twenty times as long as copying their bytes.
    """
    dtype = parts[0].dtype
    opaque = f"V{dtype.itemsize}"
    return np.concatenate([part.view(opaque) for part in parts]).view(dtype)


def defines(commands: NDArray[np.void]) -> NDArray[np.bool_]:
    """Which of them add or change an instrument, and so are no orders."""
    return among(commands["kind"], INSTRUMENT_KINDS)


def among(codes: NDArray[np.uint8], members: Collection[int]) -> NDArray[np.bool_]:
    """Which of the codes are in a set of the schema."""
    return np.isin(codes, [*members])


_dtype_seen: object = COMMAND  # equal to it: to compare takes as long as matching thirty commands


def checked(commands: NDArray[np.void]) -> NDArray[np.void]:
    """The same; TypeError or ValueError unless it is a 1-D `COMMAND` array."""
    global _dtype_seen
    dtype = getattr(commands, "dtype", None)
    if dtype is not COMMAND and dtype is not _dtype_seen:
        if dtype != COMMAND:
            raise TypeError("commands: a NumPy array of dtype matchcore.COMMAND")
        _dtype_seen = dtype
    if commands.ndim != 1:
        raise ValueError(f"commands: one dimension, not {commands.ndim}")
    return commands


def stamped(commands: NDArray[np.void], now: int) -> NDArray[np.void]:
    """Without gaps, and each with a time: `now` where there was none.  The given one is kept."""
    if not commands["time"].all():
        commands = joined([commands])
        times = commands["time"]
        times[times == 0] = now
    return commands if commands.flags.c_contiguous else joined([commands])
