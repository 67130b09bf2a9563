"""Files of real orders: turned into commands, and sent through an engine.

A format is one module with an `Importer`; `FORMATS` names them.  `source_of` opens a file and
`import_file` sends it: checked first, resumable, nothing twice.
"""

from __future__ import annotations

from pathlib import Path

from .bme import Bme
from .interface import FORMATS, Importer
from .loading import Source, import_file, source_of


def sample_day() -> Path:
    """The file of the trading day that ships with matchcore: BME, stock ANA, 2019-05-21.

    From the repository Surbeivol/PythonMatchingEngine, MIT licence beside it.
    """
    return Path(__file__).parents[1] / "data" / "orders-ana-2019-5-21.csv.gz"


__all__ = [
    "FORMATS",
    "Bme",
    "Importer",
    "Source",
    "import_file",
    "sample_day",
    "source_of",
]
