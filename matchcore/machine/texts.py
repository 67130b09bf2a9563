"""What forbids REGISTER and NOTICE, for the compiled machine: rare, so in plain Python.

The reference machine has these rules of its own.
"""

from __future__ import annotations

import unicodedata

import numpy as np

from ..records.register import ENTRIES_MAX, NOTICE_PARTS_MAX, Place, Register
from ..records.schema import Field, Reason


def place_of(row: np.void) -> Place:
    """The place that a `TEXT` row of the kind REGISTER names."""
    return Place(int(row["topic"]), int(row["key"]), int(row["part"]))


def register_refusal(register: Register, row: np.void) -> tuple[Reason, Field] | None:
    """Reason and field of a refusal of REGISTER, or None."""
    if row["topic"] == 0:
        return Reason.BAD_VALUE, Field.TOPIC
    full = len(register.view) >= ENTRIES_MAX and place_of(row) not in register.view
    if full and any(row["data"].tobytes()):
        return Reason.TOO_MANY_ENTRIES, Field.KEY
    return None


def notice_refusal(instruments: int, row: np.void) -> tuple[Reason, Field] | None:
    """The same of NOTICE; ``instruments``: how many there are."""
    if row["instrument"] > instruments:
        return Reason.UNKNOWN_INSTRUMENT, Field.INSTRUMENT
    if not 1 <= row["parts"] <= NOTICE_PARTS_MAX:
        return Reason.BAD_VALUE, Field.PARTS
    if row["part"] >= row["parts"]:
        return Reason.BAD_VALUE, Field.PART
    try:
        text = row["data"].tobytes().rstrip(b"\0").decode()
    except UnicodeDecodeError:
        return Reason.BAD_VALUE, Field.DATA
    if not text or any(unicodedata.category(one) == "Cc" for one in text):
        return Reason.BAD_VALUE, Field.DATA
    return None
