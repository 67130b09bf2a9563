"""Commands: everything that can change the exchange, as 96-byte records and as typed faces.

`COMMAND` is one layout for the C struct, the NumPy dtype, the wire and the journal.  All
integers are little-endian.  Zero is never a valid kind, side, order type or time in force,
so that a forgotten field is refused and not guessed.  96 bytes, one and a half cache lines:
every field at its full width does not fit into 64.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray


class Kind(IntEnum):
    """What a command does."""

    NEW = 1
    CANCEL = 2
    AMEND = 3
    REDUCE = 4
    MASS_CANCEL = 5
    END_DAY = 6
    ADD_INSTRUMENT = 7
    CHANGE_INSTRUMENT = 8


class Side(IntEnum):
    BUY = 1
    SELL = 2


class OrderType(IntEnum):
    LIMIT = 1
    MARKET = 2


class TimeInForce(IntEnum):
    """How long an order may rest: until cancelled, to the end of the day, not at all."""

    GTC = 1
    DAY = 2
    IOC = 3
    FOK = 4


class Flag(IntFlag):
    """Bits of ``flags``: POST_ONLY on NEW; the KEEP bits on AMEND leave a value as it is."""

    POST_ONLY = 1
    KEEP_PRICE = 2
    KEEP_QUANTITY = 4


def _layout(itemsize: int, **fields: tuple[str, int]) -> np.dtype:
    return np.dtype(
        {
            "names": list(fields),
            "formats": [form for form, _ in fields.values()],
            "offsets": [offset for _, offset in fields.values()],
            "itemsize": itemsize,
        }
    )


#: One command.  ``time``: nanoseconds since 1970 UTC (0: the engine stamps it);
#: ``order_id``: 0 on NEW lets the exchange assign one; ``account``: 0 is nobody in
#: particular; prices in ticks; quantities in units.  ``stop_price``, ``display_quantity``,
#: ``expiry``, ``self_trade`` and ``reserved`` must be zero: no rule uses them yet, and a
#: value in them is refused as UNSUPPORTED, not ignored.
COMMAND = _layout(
    96,
    time=("<i8", 0),
    order_id=("<u8", 8),
    client_order_id=("<u8", 16),
    account=("<u8", 24),
    price=("<i8", 32),
    stop_price=("<i8", 40),
    quantity=("<i8", 48),
    display_quantity=("<i8", 56),
    expiry=("<i8", 64),
    instrument=("<u4", 72),
    kind=("u1", 76),
    side=("u1", 77),
    order_type=("u1", 78),
    time_in_force=("u1", 79),
    self_trade=("u1", 80),
    reserved=("u1", 81),
    flags=("<u2", 82),
    reserved_wide=("<u4", 84),
    reserved_long=("<u8", 88),
)

#: The same 96 bytes when ``kind`` is ADD_INSTRUMENT or CHANGE_INSTRUMENT.  The tick is
#: ``tick_mantissa * 10 ** tick_exponent``; ``symbol`` is padded with NUL.
INSTRUMENT = _layout(
    96,
    time=("<i8", 0),
    symbol=("S24", 8),
    tick_mantissa=("<i8", 32),
    lot=("<i8", 40),
    max_quantity=("<i8", 48),
    max_orders=("<i8", 56),
    instrument=("<u4", 72),
    kind=("u1", 76),
    tick_exponent=("i1", 77),
)

#: One resting order, as snapshots, digests and `orders()` show it.  ``quantity``: what is
#: still open.  48 bytes.
ORDER = _layout(
    48,
    order_id=("<u8", 0),
    client_order_id=("<u8", 8),
    account=("<u8", 16),
    price=("<i8", 24),
    quantity=("<i8", 32),
    side=("u1", 40),
    time_in_force=("u1", 41),
    flags=("<u2", 42),
    reserved=("<u4", 44),
)

#: One price level, best first where several are given.  24 bytes.
LEVEL = _layout(24, price=("<i8", 0), quantity=("<i8", 8), orders=("<i8", 16))


def joined(parts: Sequence[NDArray[np.void]]) -> NDArray[np.void]:
    """Arrays of one record dtype as a fresh one; of a single array, a copy.

    NumPy copies records field by field, which takes twenty times as long as copying their bytes.
    """
    dtype = parts[0].dtype
    opaque = f"V{dtype.itemsize}"
    return np.concatenate([part.view(opaque) for part in parts]).view(dtype)


def defines(commands: NDArray[np.void]) -> NDArray[np.bool_]:
    """Which of them add or change an instrument, and so are no orders."""
    kinds = commands["kind"]
    found: NDArray[np.bool_] = (kinds == Kind.ADD_INSTRUMENT) | (kinds == Kind.CHANGE_INSTRUMENT)
    return found


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
