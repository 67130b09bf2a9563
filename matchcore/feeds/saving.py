"""The state of a feed on a disk: its mark, and the statistics that belong to that place.

`feed.json` is the mark.  `statistics-N.npz` is of command N, and is written before the mark that
names it, so that a cut at any moment leaves two files that belong together.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FeedError
from ..records.changes import CHANGE
from ..records.instruments import Directory
from .books import Books
from .files import replacing
from .notices import Notices
from .rings import Ring, joined
from .statistics import BAR, TRADE, Span, Statistics, Symbol
from .stream import Mark

MARK_FILE = "feed.json"
STATISTICS_FILES = "statistics-*.npz"

STATISTICS_BYTES_MAX = 1 << 30  # that another feed may say
_LENGTH = struct.Struct("<I")
_RINGS = (("minutes", BAR), ("days", BAR), ("trades", TRADE))
_SPANS = ("day", "minute", "calendar")
_ADDED = ("sequence", "flags")
_WRONG = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, EOFError,
          struct.error, zipfile.BadZipFile)  # fmt: skip


def statistics_file(directory: Path, mark: Mark) -> Path:
    return directory / STATISTICS_FILES.replace("*", str(mark.sequence))


def packed(statistics: Statistics, notices: Notices) -> dict[str, NDArray[Any]]:
    """A copy of statistics and notices as arrays, for `save` and `to_bytes`."""
    symbols = [statistics[number + 1] for number in range(len(statistics))]
    said = {"symbols": [_said(symbol) for symbol in symbols], "notices": notices.said()}
    arrays: dict[str, NDArray[Any]] = {"said": np.frombuffer(json.dumps(said).encode(), np.uint8)}
    for name, dtype in _RINGS:
        rows = [np.empty(0, dtype), *(getattr(symbol, name).last() for symbol in symbols)]
        arrays[name] = joined(rows).view(np.uint8)
        arrays[f"{name}_count"] = np.array([len(part) for part in rows[1:]], np.int64)
    arrays["states"] = statistics.states.rows().view(np.uint8)
    return arrays


def _said(symbol: Symbol) -> list[Any]:
    spans = (getattr(symbol, name) for name in _SPANS)
    values = [span and [span.start, *span.values()] for span in spans]
    return [symbol.tick, symbol.unit, symbol.factor, symbol.days_ended, *values]


def added(books: Books) -> dict[str, NDArray[Any]]:
    """What a machine does not know of the resting orders: how they were added, for `save`."""
    rows = books.snapshot()
    return {name: rows[name].copy() for name in _ADDED}


def to_bytes(statistics: Statistics, notices: Notices) -> bytes:
    """For another feed: the sizes of the arrays of `packed` by name, as JSON behind the length of
    that (u32), and the arrays."""
    arrays = packed(statistics, notices)
    head = json.dumps({name: array.nbytes for name, array in arrays.items()}).encode()
    return b"".join([_LENGTH.pack(len(head)), head, *(one.tobytes() for one in arrays.values())])


def from_bytes(data: bytes, instruments: Directory) -> tuple[Statistics, Notices]:
    """What `to_bytes` said of these ``instruments``; `FeedError` if it is something else."""
    try:
        (length,) = _LENGTH.unpack_from(data)
        at = _LENGTH.size + length
        arrays: dict[str, NDArray[Any]] = {}
        for name, size in json.loads(data[_LENGTH.size : at]).items():
            dtype = np.int64 if name.endswith("_count") else np.uint8
            arrays[name] = np.frombuffer(data[at : at + size], dtype)
            at += size
        return _unpacked(arrays, instruments)
    except _WRONG as error:
        raise FeedError(f"the statistics of another feed: {error}") from error


def save(directory: Path, mark: Mark, arrays: dict[str, NDArray[Any]]) -> None:
    """Replaces the state in ``directory``, as a whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    path = statistics_file(directory, mark)
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, mark=_said_mark(mark), **arrays)
    mark.save(directory / MARK_FILE)
    for old in directory.glob(STATISTICS_FILES):
        if old != path:
            old.unlink()


def load_mark(directory: Path | None) -> Mark | None:
    """The mark of a state; None if there is no state yet.  `FeedError` for a file that is none."""
    path = directory / MARK_FILE if directory else None
    return Mark.load(path) if path and path.exists() else None


def _said_mark(mark: Mark) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(asdict(mark)).encode(), np.uint8)


def load(directory: Path, mark: Mark, books: Books) -> tuple[Statistics, Notices, Books]:
    """Statistics and notices of the state of ``mark``, and the books with how their orders were
    added; ``books``: as a machine has them there.

    `FeedError` if the state is damaged, or of another place.
    """
    path = statistics_file(directory, mark)
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            if arrays["mark"].tobytes() != _said_mark(mark).tobytes():
                raise ValueError("of another place")
            known, rows = _unpacked(arrays, books.instruments), books.snapshot()
            for name in _ADDED:
                rows[name] = arrays[name]
        added = Books(books.instruments)
        added.apply(rows)
        return *known, added
    except _WRONG as error:
        raise FeedError(
            f"{path}: not the statistics that {directory / MARK_FILE} belongs to ({error});"
            f" remove {directory} to derive everything again"
        ) from error


def _unpacked(arrays: Any, instruments: Directory) -> tuple[Statistics, Notices]:
    whole = json.loads(arrays["said"].tobytes())
    notices, said = Notices.of_said(whole["notices"]), whole["symbols"]
    statistics = Statistics(instruments)
    if "states" in arrays:  # not in one of an earlier version
        statistics.states.apply(arrays["states"].view(CHANGE))
    if len(said) != len(statistics):
        raise ValueError(f"of {len(said)} instruments, not {len(statistics)}")
    for number, (tick, unit, factor, days_ended, *spans) in enumerate(said, 1):
        symbol = statistics[number]
        if not all(type(one) is int for part in (unit, *filter(None, spans)) for one in part):
            raise ValueError(f"instrument {number} has other values than integers")
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
    return statistics, notices
