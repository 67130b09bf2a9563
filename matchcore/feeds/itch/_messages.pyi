import numpy as np
from numpy.typing import NDArray

from ...records.instruments import Directory

Bytes = bytes | bytearray | memoryview

class Encoder:
    instruments: Directory
    def __init__(self, instruments: Directory) -> None: ...
    def blocks(self, rows: NDArray[np.void]) -> bytes: ...

class Decoder:
    instruments: Directory
    day: int
    def __init__(self, instruments: Directory | None = None, day: int = 0) -> None: ...
    def changes(self, blocks: Bytes) -> NDArray[np.void]: ...
