import numpy as np
from numpy.typing import NDArray

ENDED: int
REFUSED: int

def heard(data: bytes | bytearray) -> tuple[int, NDArray[np.uint8], NDArray[np.uint32]]: ...
