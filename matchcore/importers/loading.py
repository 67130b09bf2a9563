"""Sending a file of real orders through an engine: checked first, resumable, nothing twice."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.engine import Engine
from ..errors import InstrumentConflict, InvalidCommand
from ..journal import Frame, Keys, first_sequence
from ..records.commands import COMMAND, defines
from ..records.events import fresh
from ..records.instruments import Directory, Instrument, Price
from ..records.schema import EventKind, Kind, Reason
from ..records.times import text_of
from .interface import FORMATS, Importer

ROWS = {"new_orders": Kind.NEW, "modifications": Kind.REDUCE, "cancels": Kind.CANCEL}
_RECORD = struct.Struct(f"{COMMAND.itemsize}s")


@dataclass(frozen=True, slots=True)
class Source:
    """A file to import, and what the user says of it."""

    importer: Importer
    file: Path
    instruments: list[Instrument]
    symbol: str | None
    timezone: str | None

    def rows(
        self, directory: Iterable[Instrument], chunk: int = 4096
    ) -> Iterator[tuple[NDArray[np.void], NDArray[np.int64]]]:
        """The file's commands and quantities, with the numbers that instruments have there."""
        return self.importer.rows(
            self.file, Directory(directory), symbol=self.symbol, timezone=self.timezone, chunk=chunk
        )


def source_of(
    form: str,
    file: str | os.PathLike[str],
    *,
    symbol: str | None = None,
    tick: Price | None = None,
    timezone: str | None = None,
) -> Source:
    """A file of a format, with its instruments.

    ``symbol``, ``tick``, ``timezone``: the file's and the format's unless given.  `InvalidCommand`
    for an unknown format, `ImportFormatError` for a file that does not say what it trades.
    """
    if form not in FORMATS:
        raise InvalidCommand(f"unknown format {form!r}: one of {', '.join(sorted(FORMATS))}")
    importer, path = FORMATS[form], Path(file)
    instruments = importer.instruments(path, symbol=symbol, tick=tick)
    return Source(importer, path, instruments, symbol, timezone)


def import_file(
    source: Source,
    directory: str | os.PathLike[str],
    *,
    batch: int = 4096,
    append: bool = False,
    allow_earlier: bool = False,
    keys: Keys | None = None,
    expect: Callable[[int], None] = lambda total: None,
    progress: Callable[[int], None] = lambda count: None,
    sent: Callable[[int], None] = lambda sequence: None,
) -> dict[str, Any]:
    """Checks a whole file, then sends what the log does not hold of it; returns counts.

    ``batch``: commands made durable together.  ``expect`` receives the number of the file's
    commands once, ``progress`` how many more are in the log, ``sent`` the sequence behind each
    durable batch.  `ImportFormatError` for a wrong row, before anything is sent; `InvalidCommand`
    if the log holds something else and `append` is not given, or if time would run backwards and
    `allow_earlier` is not given; what `Engine.open` raises.
    """
    kinds = np.zeros(max(Kind) + 1, np.int64)
    for commands, _ in source.rows(source.instruments):  # all of it, before anything is sent
        kinds += np.bincount(commands["kind"], minlength=len(kinds))
    total = int(kinds.sum())
    expect(total)
    with Engine.open(directory, keys=keys) as engine:
        known = _known(engine, source, append, allow_earlier)
        engine._add_missing(source.instruments)
        tally = _Tally()
        started = time.perf_counter()
        progress(known)
        for commands, quantities in _after(source.rows(engine.instruments, batch), known):
            tally.count(commands, quantities, engine.submit_batch(commands))
            progress(len(commands))
            sent(engine.sequence)
        seconds = time.perf_counter() - started
        return {
            "commands": total,
            **{name: int(kinds[kind]) for name, kind in ROWS.items()},
            "timezone": source.timezone or source.importer.timezone,
            "already_there": known,
            "sent": total - known,
            "trades": tally.trades,
            "rejected": tally.rejected,
            "cancels_of_another_quantity": tally.unlike,
            "modifications_beyond_the_order": tally.beyond,
            "sequence": engine.sequence,
            "seconds": round(seconds, 3),
            "commands_per_second": round((total - known) / seconds) if seconds else 0,
            "digest": engine.digest(),
        }


class _Tally:
    """What the exchange made of the commands that were sent."""

    def __init__(self) -> None:
        self.trades = self.rejected = 0
        self.unlike = 0  # cancels that took off another quantity than the file says
        self.beyond = 0  # modifications by more than was open

    def count(
        self, commands: NDArray[np.void], quantities: NDArray[np.int64], events: NDArray[np.void]
    ) -> None:
        """Adds a batch, whose first event is of its first command."""
        events = fresh(events)
        kinds = np.bincount(events["kind"], minlength=len(EventKind) + 1)
        self.trades += int(kinds[EventKind.TRADED])
        self.rejected += int(kinds[EventKind.REJECTED])
        gone = events[events["kind"] == EventKind.CANCELLED]
        said = quantities[(gone["sequence"] - events["sequence"][0]).astype(np.int64)]
        differs = (said != gone["quantity"]) & (said != 0)
        self.unlike += int((differs & (gone["reason"] == Reason.REQUESTED)).sum())
        self.beyond += int((differs & (gone["reason"] == Reason.REDUCED_TO_NOTHING)).sum())


@dataclass(slots=True)
class _Held:
    """How much of a file a log holds, and what stands at the log's end."""

    count: int = 0  # commands of the file
    next_time: int | None = None  # of the file's first command that is not there
    last_time: int | None = None  # of the log's last command about orders
    ends_with_it: bool = False  # that last command is of the file
    upgrades: int = 0  # of the rules, by the engine: in the log, and nobody's commands


def _held(frames: Iterable[Frame], parts: Iterator[NDArray[np.void]]) -> _Held:
    """Finds the longest beginning of a file whose commands are in a log in this order.

    They are compared byte for byte, and other commands may stand between them.  So it is exact
    whenever an import was killed, and whatever was sent to the exchange since.
    """
    found = _Held()
    ours = (record for part in parts for (record,) in _RECORD.iter_unpack(part.tobytes()))
    wanted = next(ours, None)
    for frame in frames:
        if frame.rules:
            found.upgrades += 1
            continue
        commands = frame.commands
        commands = commands[~defines(commands)]
        if not len(commands):
            continue
        found.last_time = int(commands["time"][-1])
        found.ends_with_it = False
        if wanted is None or not (commands["time"] == _time_of(wanted)).any():
            continue  # most frames of a long log
        for (record,) in _RECORD.iter_unpack(commands.tobytes()):
            found.ends_with_it = record == wanted
            if found.ends_with_it:
                found.count += 1
                wanted = next(ours, None)
    found.next_time = None if wanted is None else _time_of(wanted)
    return found


def _time_of(record: bytes) -> int:
    return int(np.frombuffer(record, COMMAND)["time"][0])


def _known(engine: Engine, source: Source, append: bool, allow_earlier: bool) -> int:
    """How many commands of the file the log has; refuses what must not follow them."""
    there = [one for one in source.instruments if one.symbol in engine.instruments]
    differing = [one for one in there if engine.instruments.get(one.symbol) != one]
    if append and differing:
        known = engine.instruments.get(differing[0].symbol)
        raise InstrumentConflict(f"the log has {known}, not {differing[0]}: use change_instrument")
    found, archived = _Held(), 0
    if engine.sequence and not differing:
        assert engine.log is not None and engine.path is not None
        archived = first_sequence(engine.path) - 1
        missing = [one for one in source.instruments if one not in there]
        rows = source.rows([*engine.instruments, *missing])
        found = _held(engine.log.frames(archived), (commands for commands, _ in rows))
    expected = len(there) + found.count + found.upgrades
    if not append and (differing or engine.sequence != expected):
        raise InvalidCommand(
            f"the log holds {engine.sequence} commands that are not the beginning of this import:"
            " choose an empty directory, or --append"
        )
    if not allow_earlier:
        _check_order(found, archived)
    return found.count


def _check_order(found: _Held, archived: int) -> None:
    """`InvalidCommand` if the file's next command is earlier than the log's last, unless that one
    is of the file, too: within a file times are as they are."""
    following, last = found.next_time, found.last_time
    if following is None or last is None or found.ends_with_it or following >= last:
        return
    hidden = f" (its first {archived} commands are archived and were not compared)"
    raise InvalidCommand(
        f"the log holds {found.count} commands of this file{hidden if archived else ''} and ends"
        f" at {text_of(last)}; the file's next command is earlier, at {text_of(following)}:"
        " time would run backwards; --allow-earlier sends it all the same"
    )


def _after(
    parts: Iterator[tuple[NDArray[np.void], NDArray[np.int64]]], known: int
) -> Iterator[tuple[NDArray[np.void], NDArray[np.int64]]]:
    for commands, quantities in parts:
        if known < len(commands):
            yield commands[known:], quantities[known:]
        known = max(0, known - len(commands))
