import numpy as np
from numpy.typing import NDArray

class Reports:
    instruments: list[tuple[bytes, int, int]]
    def __init__(
        self,
        begin: bytes,
        sender: bytes,
        target: bytes,
        time_digits: int,
        modern: bool,
        instruments: list[tuple[bytes, int, int]],
    ) -> None: ...
    def write(
        self,
        reports: NDArray[np.void],
        first: int,
        now: int,
        *,
        again: bool = False,
        perhaps: bool = False,
        status: bool = False,
        extra: bytes = b"",
    ) -> bytes: ...
