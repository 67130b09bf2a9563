"""What forbids an instrument command, for the compiled machine: rare, so in plain Python.

The reference machine has these rules of its own.
"""

from __future__ import annotations

import numpy as np

from ..records.instruments import INSTRUMENTS_MAX, ORDERS_MAX, TICK_EXPONENT_MAX, Directory
from ..records.schema import Field, Kind, Reason


def refusal(
    directory: Directory, kind: int, row: np.void, number: int
) -> tuple[Reason, Field] | None:
    """Reason and field of a refusal, or None; ``row``: an `INSTRUMENT` row of this ``kind``."""
    symbol = bytes(row["symbol"])
    adding = kind == Kind.ADD_INSTRUMENT
    if not adding and not 1 <= number <= len(directory):
        return Reason.UNKNOWN_INSTRUMENT, Field.INSTRUMENT
    if not symbol or any(not 0x21 <= byte <= 0x7E for byte in symbol):
        return Reason.BAD_SYMBOL, Field.SYMBOL
    if adding and symbol.decode("ascii") in directory:
        return Reason.DUPLICATE_SYMBOL, Field.SYMBOL
    if not adding and symbol.decode("ascii") != directory[number].symbol:
        return Reason.BAD_SYMBOL, Field.SYMBOL
    if row["tick_mantissa"] <= 0 or not -TICK_EXPONENT_MAX <= row["tick_exponent"] <= 0:
        return Reason.BAD_TICK, Field.TICK
    if row["lot"] <= 0:
        return Reason.BAD_LOT, Field.LOT
    if row["max_quantity"] < row["lot"]:
        return Reason.BAD_LIMIT, Field.MAX_QUANTITY
    if not 1 <= row["max_orders"] <= ORDERS_MAX:
        return Reason.BAD_LIMIT, Field.MAX_ORDERS
    if adding and len(directory) >= INSTRUMENTS_MAX:
        return Reason.TOO_MANY_INSTRUMENTS, Field.INSTRUMENT
    return None
