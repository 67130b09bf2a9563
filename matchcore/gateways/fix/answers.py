"""What requests need of their connection."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .session import Fields


class Answers(Protocol):
    """How requests are answered.

    ``modern``: in FIX 5.0. ``time_digits``: decimals of the second that times have.
    """

    modern: bool
    time_digits: int

    def send(self, kind: bytes, fields: Fields, *, keep: bool = False) -> None: ...
    def status(self, rows: NDArray[np.void], extra: bytes) -> None: ...
    def stamp(self) -> bytes: ...
    def unique(self) -> bytes: ...
