import numpy as np
from numpy.typing import NDArray

class Orders:
    symbols: dict[bytes, tuple[int, int, int]]
    account: int
    def __init__(
        self,
        begin: bytes,
        sender: bytes,
        target: bytes,
        symbols: dict[bytes, tuple[int, int, int]],
        account: int,
    ) -> None: ...
    def read(
        self,
        data: bytes | bytearray,
        at: int,
        expected: int,
        now: int,
        tolerance: int,
        commands: NDArray[np.void],
        originals: NDArray[np.void],
    ) -> tuple[int, int]: ...
