from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._listing import Listing
from .reference import Taken

class Codec:
    scope: int
    account: int
    last_ref: int
    listing: Listing
    def __init__(self, session: int, day: int, account: int, listing: Listing) -> None: ...
    def __len__(self) -> int: ...
    def take(self, data: bytes | bytearray) -> Taken: ...
    def packets(self, reports: NDArray[np.void]) -> bytes: ...
    def note(self, reports: NDArray[np.void]) -> None: ...
    def open(self, reports: NDArray[np.void]) -> None: ...
