"""Rows of an array by their places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def taken(rows: NDArray[np.void], at: NDArray[np.intp]) -> NDArray[np.void]:
    """`rows[at]`, as bytes: NumPy copies records field by field otherwise."""
    return rows.view(f"V{rows.dtype.itemsize}")[at].view(rows.dtype)
