import numpy as np
from numpy.typing import NDArray

from ...records.instruments import Directory

Bytes = bytes | bytearray | memoryview

REFERENCE: np.dtype[np.void]

class Encoder:
    instruments: Directory
    def __init__(
        self, instruments: Directory, references: NDArray[np.void] | None = None
    ) -> None: ...
    def snapshot(self, rows: NDArray[np.void]) -> bytes: ...
    def references(self) -> NDArray[np.void]: ...
    def blocks(self, rows: NDArray[np.void]) -> bytes: ...

class Decoder:
    instruments: Directory
    day: int
    def __init__(self, instruments: Directory | None = None, day: int = 0) -> None: ...
    def changes(self, blocks: Bytes) -> NDArray[np.void]: ...
