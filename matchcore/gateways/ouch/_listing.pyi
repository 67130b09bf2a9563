from collections.abc import Sequence

from ...records.instruments import Instrument

class Listing:
    instruments: Sequence[Instrument]
    def __init__(self, instruments: Sequence[Instrument]) -> None: ...
    def __len__(self) -> int: ...
