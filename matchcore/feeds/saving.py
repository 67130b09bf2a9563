"""The state of a feed on a disk: its mark, and the statistics that belong to that place.

`feed.json` is the mark.  `statistics-N.npz` is of command N, and is written before the mark that
names it, so that a cut at any moment leaves two files that belong together.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FeedError
from ..records.instruments import Directory
from .notices import Notices
from .rings import Ring, joined
from .statistics import BAR, TRADE, Span, Statistics, Symbol
from .stream import Mark

MARK_FILE = "feed.json"
STATISTICS_FILES = "statistics-*.npz"

_RINGS = (("minutes", BAR), ("days", BAR), ("trades", TRADE))
_SPANS = ("day", "minute", "calendar")


def statistics_file(directory: Path, mark: Mark) -> Path:
    return directory / STATISTICS_FILES.replace("*", str(mark.sequence))


def packed(statistics: Statistics, notices: Notices, mark: Mark) -> dict[str, NDArray[Any]]:
    """A copy of statistics and notices at ``mark`` as arrays, for `save`."""
    symbols = [statistics[number + 1] for number in range(len(statistics))]
    said = {
        "mark": asdict(mark),
        "symbols": [_said(symbol) for symbol in symbols],
        "notices": notices.said(),
    }
    arrays: dict[str, NDArray[Any]] = {"said": np.frombuffer(json.dumps(said).encode(), np.uint8)}
    for name, dtype in _RINGS:
        rows = [np.empty(0, dtype), *(getattr(symbol, name).last() for symbol in symbols)]
        arrays[name] = joined(rows).view(np.uint8)
        arrays[f"{name}_count"] = np.array([len(part) for part in rows[1:]], np.int64)
    return arrays


def _said(symbol: Symbol) -> list[Any]:
    spans = (getattr(symbol, name) for name in _SPANS)
    values = [span and [span.start, *span.values()] for span in spans]
    return [symbol.tick, symbol.unit, symbol.factor, symbol.days_ended, *values]


def save(directory: Path, mark: Mark, arrays: dict[str, NDArray[Any]]) -> None:
    """Replaces the state in ``directory``, as a whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    path = statistics_file(directory, mark)
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    fresh.replace(path)
    mark.save(directory / MARK_FILE)
    for old in directory.glob(STATISTICS_FILES):
        if old != path:
            old.unlink()


def load_mark(directory: Path | None) -> Mark | None:
    """The mark of a state; None if there is no state yet.  `FeedError` for a file that is none."""
    path = directory / MARK_FILE if directory else None
    return Mark.load(path) if path and path.exists() else None


def load_statistics(
    directory: Path, mark: Mark, instruments: Directory
) -> tuple[Statistics, Notices]:
    """Statistics and last notices of the state of ``mark``; ``instruments`` as they were there.

    `FeedError` if they are missing, damaged, or of another place.
    """
    path = statistics_file(directory, mark)
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            said = json.loads(arrays["said"].tobytes())
            if said["mark"] != asdict(mark):
                raise ValueError("of another place")
            notices = Notices.of_said(said.get("notices", []))
            return _unpacked(said["symbols"], arrays, instruments), notices
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise FeedError(
            f"{path}: not the statistics that {directory / MARK_FILE} belongs to ({error});"
            f" remove {directory} to derive everything again"
        ) from error


def _unpacked(said: list[Any], arrays: Any, instruments: Directory) -> Statistics:
    statistics = Statistics(instruments)
    if len(said) != len(statistics):
        raise ValueError(f"of {len(said)} instruments, not {len(statistics)}")
    for number, (tick, unit, factor, days_ended, *spans) in enumerate(said, 1):
        symbol = statistics[number]
        if tuple(tick) != symbol.tick:
            raise ValueError(f"instrument {number} has another tick")
        symbol.unit, symbol.factor, symbol.days_ended = (unit[0], unit[1]), factor, days_ended
        for name, values in zip(_SPANS, spans, strict=True):
            setattr(symbol, name, values and Span(values[0], values[1:]))
    for name, dtype in _RINGS:
        rows, counts = arrays[name].view(dtype), arrays[f"{name}_count"]
        if len(counts) != len(said) or counts.min(initial=0) < 0 or counts.sum() != len(rows):
            raise ValueError(f"the {name} do not add up")
        ends = np.cumsum(counts).tolist()
        for number, (count, end) in enumerate(zip(counts.tolist(), ends, strict=True), 1):
            ring: Ring = getattr(statistics[number], name)
            ring.extend(rows[end - count : end])
    return statistics
