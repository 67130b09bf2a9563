"""Sending a file of real orders through an engine: checked first, resumable, nothing twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..commands import COMMAND, Kind
from ..engine import Engine
from ..errors import InvalidCommand
from ..events import EventKind, fresh
from ..importers import FORMATS, Importer
from ..instruments import Directory, Instrument
from ..journal import Keys
from .output import progress_bar


def instruments_of(
    form: str, file: Path, symbol: str | None = None, tick: str | None = None
) -> tuple[Importer, list[Instrument]]:
    """The importer of a format, and a file's instruments with what the user says of them."""
    if form not in FORMATS:
        raise InvalidCommand(f"unknown format {form!r}: one of {', '.join(sorted(FORMATS))}")
    importer = FORMATS[form]
    return importer, importer.instruments(file, symbol=symbol, tick=tick)


def import_file(
    form: str,
    file: Path,
    directory: Path,
    *,
    symbol: str | None = None,
    tick: str | None = None,
    batch: int = 4096,
    append: bool = False,
    echo: bool = False,
) -> dict[str, Any]:
    """Imports a file; returns counts.  `InvalidCommand` if the log holds something else."""
    importer, instruments = instruments_of(form, file, symbol, tick)
    checking = importer.commands(file, Directory(instruments), symbol=symbol)
    total = sum(len(part) for part in checking)
    with Engine.open(directory, keys=Keys.from_environment()) as engine:
        known = 0
        if engine.sequence and not append:
            parts = importer.commands(file, Directory(instruments), symbol=symbol)
            known = _already_there(engine, instruments, parts)
        engine.add_missing(instruments)
        # An existing log may number the symbols otherwise: the file is read with its numbers.
        parts = importer.commands(file, engine.instruments, symbol=symbol, chunk=batch)
        started = time.perf_counter()
        counts = np.zeros(len(EventKind) + 1, np.int64)
        with progress_bar("importing", total) as progress:
            progress(known)
            for part in _after(parts, known):
                events = engine.submit_batch(part)
                counts += np.bincount(fresh(events)["kind"], minlength=len(counts))
                progress(len(part))
                if echo:
                    print(engine.sequence, flush=True)
        seconds = time.perf_counter() - started
        return {
            "commands": total,
            "already_there": known,
            "trades": int(counts[EventKind.TRADED]),
            "rejected": int(counts[EventKind.REJECTED]),
            "sequence": engine.sequence,
            "seconds": round(seconds, 3),
            "commands_per_second": round((total - known) / seconds) if seconds else 0,
            "digest": engine.digest(),
        }


def _already_there(
    engine: Engine, instruments: list[Instrument], parts: Iterator[NDArray[np.void]]
) -> int:
    """How many commands of this import the log has; refuses a log that holds anything else."""
    assert engine.log is not None
    stored = np.concatenate([frame.commands for frame in engine.log.frames()])
    defined, sent = stored[: len(instruments)], stored[len(instruments) :]
    expected = np.concatenate([*parts, np.empty(0, COMMAND)])[: len(sent)]
    if (
        list(engine.instruments) != instruments[: len(defined)]
        or (defined["kind"] != Kind.ADD_INSTRUMENT).any()
        or sent.tobytes() != expected.tobytes()
    ):
        raise InvalidCommand(
            f"the log holds {engine.sequence} commands that are not the beginning of this import:"
            " choose an empty directory, or --append"
        )
    return len(sent)


def _after(parts: Iterator[NDArray[np.void]], known: int) -> Iterator[NDArray[np.void]]:
    for part in parts:
        if known < len(part):
            yield part[known:]
        known = max(0, known - len(part))
