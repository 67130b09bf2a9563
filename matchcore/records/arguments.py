"""Arguments of public calls: one conversion for each kind, at the door.

Python's integers and NumPy's count alike, because our own arrays give out NumPy's.  A bool or a
float is no whole number, not even one without decimals.
"""

from __future__ import annotations

import operator
import reprlib

import numpy as np

from ..errors import InvalidArgument

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
UINT32_MAX, UINT64_MAX = 2**32 - 1, 2**64 - 1
SHARD_MAX = 2**31 - 1


def whole(value: object) -> int | None:
    """The integer that a value is, NumPy's included; None for a bool and anything else."""
    if isinstance(value, bool | np.bool_):  # which is an index for older NumPy
        return None
    try:
        return int(operator.index(value))  # type: ignore[arg-type]
    except TypeError:
        return None


def integer(
    value: object,
    name: str,
    least: int | None = INT64_MIN,
    most: int | None = INT64_MAX,
    error: type[Exception] = InvalidArgument,
) -> int:
    """The integer of an argument; ``error``, with the name and the range, for any other value."""
    found = value if type(value) is int else whole(value)  # nearly always one
    if (
        found is None
        or (least is not None and found < least)
        or (most is not None and found > most)
    ):
        ends = [("at least", least), ("at most", most)]
        limits = " and ".join(f"{end} {limit}" for end, limit in ends if limit is not None)
        raise error(f"{name} {shown(value)}: a whole number{limits and ', '}{limits}")
    return found


def flag(value: object, name: str, error: type[Exception] = InvalidArgument) -> bool:
    """The bool of an argument: one of Python's or NumPy's, or 0 or 1."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if whole(value) not in (0, 1):
        raise error(f"{name} {shown(value)}: True or False")
    return bool(value)


def side_code(value: object) -> int:
    """1 (buy) or 2 (sell)."""
    return integer(value, "side", 1, 2)


def depth_limit(value: object) -> int | None:
    """How many levels at most; None for all of them."""
    return None if value is None else integer(value, "depth", 0, None)


def shard_number(value: object) -> int:
    """The number of a log where several share a database."""
    return integer(value, "shard", 0, SHARD_MAX)


def symbol_text(value: object) -> str | None:
    """A symbol as a string, also of the ASCII bytes that our arrays hold; None for others."""
    if isinstance(value, bytes):
        return value.decode("ascii") if value.isascii() else None
    return str(value) if isinstance(value, str) else None


def shown(value: object) -> str:
    """A value for an error message: short, whatever it is."""
    if isinstance(value, np.generic):
        value = value.item()
    try:
        return reprlib.repr(value)
    except Exception:  # an integer of thousands of digits, or a repr that fails
        return f"of type {type(value).__name__}"
