from typing import Any

import numpy as np
from numpy.typing import NDArray

ENDED: int
REFUSED: int
SAID: np.dtype[Any]

def heard(data: bytes | bytearray) -> tuple[int, NDArray[np.void]]: ...
