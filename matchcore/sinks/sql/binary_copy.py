"""PostgreSQL's binary COPY format out of NumPy columns, without a Python object per row.

A row is a 16-bit count of fields, and for each field a 32-bit length and its value, all
big-endian; a null is the length -1 and no value.  Rows are filled as one structured array at
the greatest width; what a short text or a null leaves unused is cut out by a mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

#: int64, int32, int16 (bigint, integer, smallint), bool, ``S`` (text or bytea of any length: NumPy
#: knows no NUL at its end), ``V`` (bytea of one length).
Column: TypeAlias = NDArray[np.generic]

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
_KINDS = {"i": (2, 4, 8), "b": (1,), "S": None, "V": None}


def encode(columns: Sequence[Column], nulls: Sequence[NDArray[np.bool_] | None] = ()) -> bytes:
    """The bytes of one whole COPY: header, rows, trailer.

    `nulls` says for each column where it is null (None, or left out at the end: nowhere).
    Raises `TypeError` for a dtype the format has no plain form of, `ValueError` for columns
    of different lengths.
    """
    return HEADER + rows(columns, nulls) + TRAILER


def rows(columns: Sequence[Column], nulls: Sequence[NDArray[np.bool_] | None] = ()) -> bytes:
    """The rows alone: a COPY may be sent as a header, many of these and a trailer."""
    count = len(columns[0])
    if any(column.shape != (count,) for column in columns):
        raise ValueError(f"columns of shapes {[column.shape for column in columns]}")
    made = np.empty(count, _layout(columns))
    made["fields"] = len(columns)
    kept: NDArray[np.bool_] | None = None  # bytes of each row that are sent, None: all
    missing = [*nulls, *[None] * (len(columns) - len(nulls))]
    for at, (column, null) in enumerate(zip(columns, missing, strict=True)):
        width = column.dtype.itemsize
        sizes: NDArray[np.integer] | int = width
        if column.dtype.kind == "S":
            sizes = np.char.str_len(column.astype(np.bytes_, copy=False))
        made[f"value{at}"] = column
        if null is not None and null.any():
            made[f"size{at}"] = np.where(null, -1, sizes)
            sizes = np.where(null, 0, sizes)
        else:
            made[f"size{at}"] = sizes
        if not isinstance(sizes, int) and int(sizes.min(initial=width)) < width:
            if kept is None:
                kept = np.ones((count, made.dtype.itemsize), np.bool_)
            offset = made.dtype.fields[f"value{at}"][1]  # type: ignore[index]
            kept[:, offset : offset + width] = np.arange(width) < sizes[:, np.newaxis]
    if kept is None:
        return made.tobytes()
    return made.view(np.uint8).reshape(kept.shape)[kept].tobytes()


def _layout(columns: Sequence[Column]) -> np.dtype[np.void]:
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for at, column in enumerate(columns):
        kind, width = column.dtype.kind, column.dtype.itemsize
        sizes = _KINDS.get(kind, ())
        if sizes is not None and width not in sizes:
            raise TypeError(f"column {at}: {column.dtype} has no form in binary COPY")
        form = f">i{width}" if kind == "i" else f"{kind}{width}" if sizes is None else "?"
        fields += [(f"size{at}", ">i4"), (f"value{at}", form)]
    return np.dtype(fields)
