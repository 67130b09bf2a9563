"""BME files to test with: a good start, and what may stand behind it."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import matchcore as mc
from matchcore.importers import Bme

HEADER = "ordtype;uid;is_buy;qty;price;timestamp"
AT = "2019-05-21 09:00:00.123456"
NEW = f"new;1;True;10;95.7;{AT}"
ANA = mc.Instrument("ANA", "0.05")
NAME = "orders-ana-2019-5-21.csv"


def lines(*rows: str) -> bytes:
    return "".join(f"{row}\n" for row in rows).encode()


def written(place: Path, data: bytes, name: str = NAME) -> Path:
    """A file of that name; gzipped if the name says so."""
    file = place / name
    file.write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
    return file


def imported(file: Path, instrument: mc.Instrument = ANA, **more: object) -> NDArray:
    """All commands of a file, for one instrument."""
    directory = mc.Directory([instrument])
    parts = Bme().commands(file, directory, **more)  # type: ignore[arg-type]
    return np.concatenate([np.empty(0, mc.COMMAND), *parts])


def quantities(file: Path) -> NDArray:
    """What each row says, cancels included."""
    parts = [said for _, said in Bme().rows(file, mc.Directory([ANA]))]
    return np.concatenate([np.empty(0, np.int64), *parts])
