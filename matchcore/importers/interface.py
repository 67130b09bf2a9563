"""What an importer of a format does, and which there are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..records.instruments import Directory, Instrument, Price
from .bme import Bme


class Importer(Protocol):
    """Reads one format.  All methods raise `ImportFormatError` with the line of a wrong row.

    ``timezone``: of the market, in which times without an offset are.
    """

    name: str
    timezone: str

    def instruments(
        self, path: Path, *, symbol: str | None = None, tick: Price | None = None
    ) -> list[Instrument]:
        """What the file trades; symbol and tick are the file's and the format's unless given."""
        ...

    def rows(
        self,
        path: Path,
        directory: Directory,
        *,
        symbol: str | None = None,
        timezone: str | None = None,
        chunk: int = 4096,
    ) -> Iterator[tuple[NDArray[np.void], NDArray[np.int64]]]:
        """The rows as `COMMAND` arrays of at most `chunk`, in the file's order, times in UTC, each
        with the quantities of its rows (int64).

        The same file makes the same bytes every time: each command has a time of its own.  A row
        of time 0 is refused, because an engine takes that for none and puts its clock's there.
        ValueError for an unknown time zone.  The row of a cancel says what must still be open,
        which its command does not; 0 where a format does not say it.
        """
        ...


FORMATS: dict[str, Importer] = {importer.name: importer for importer in (Bme(),)}
