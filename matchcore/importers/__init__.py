"""Files of real orders, turned into commands.

A format is one module with an `Importer`; `FORMATS` names them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..instruments import Directory, Instrument, Price
from .bme import Bme


class Importer(Protocol):
    """Reads one format.  Both methods raise `ImportFormatError` with the line of a wrong row."""

    name: str

    def instruments(
        self, path: Path, *, symbol: str | None = None, tick: Price | None = None
    ) -> list[Instrument]:
        """What the file trades; symbol and tick are the file's and the format's unless given."""
        ...

    def commands(
        self, path: Path, directory: Directory, *, symbol: str | None = None, chunk: int = 4096
    ) -> Iterator[NDArray[np.void]]:
        """The rows as `COMMAND` arrays of at most `chunk`, in the file's order.

        The same file makes the same bytes every time: each command has a time of its own.  A row
        of time 0 is refused, because an engine takes that for none and puts its clock's there.
        """
        ...


FORMATS: dict[str, Importer] = {importer.name: importer for importer in (Bme(),)}


def sample_day() -> AbstractContextManager[Path]:
    """The trading day that ships with matchcore, as a file: BME, stock ANA, 2019-05-21.

    From the repository Surbeivol/PythonMatchingEngine, MIT licence beside it.
    """
    return as_file(files("matchcore") / "data" / "orders-ana-2019-5-21.csv.gz")


__all__ = ["FORMATS", "Bme", "Importer", "sample_day"]
