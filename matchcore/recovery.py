"""From a directory to a machine: newest good snapshot, then the rest of the log.

`open_for_writing` is what the engine does; `read` gives the same machine without a lock and
without changing a byte, also while an engine is writing.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from . import snapshots
from .answers import Machine
from .errors import LogDamaged, SnapshotDamaged
from .journal import FileLog, Frame, LogReader, Position
from .state import State

MACHINES = {"cython": "matchcore._machine", "reference": "matchcore.reference"}


@dataclass(slots=True)
class Recovery:
    """What opening found and did.  ``skipped``: snapshots that were bad, and why."""

    segments: int = 0
    frames: int = 0
    commands: int = 0
    cut_bytes: int = 0
    snapshot: str | None = None
    snapshot_sequence: int = 0
    skipped: list[str] = field(default_factory=list)
    seconds: float = 0.0


def machine_class(name: str) -> type[Machine]:
    """The class behind a machine's name: "cython" or "reference"."""
    if name not in MACHINES:
        raise ValueError(f"machine {name!r}: one of {', '.join(MACHINES)}")
    return importlib.import_module(MACHINES[name]).Machine  # type: ignore[no-any-return]


@dataclass(slots=True)
class Start:
    """Where a replay begins: a machine, and the snapshot it stands on, if any."""

    machine: Machine
    snapshot: snapshots.Snapshot | None
    skipped: list[str]


def starts(path: Path, made: type[Machine], at_most: int | None = None) -> Start:
    """The newest snapshot that is good and not beyond `at_most`, or an empty machine."""
    skipped: list[str] = []
    for file in snapshots.listing(path):
        try:
            snapshot = snapshots.read(file)
            if at_most is not None and snapshot.sequence > at_most:
                continue
            machine = made.from_state(State.from_bytes(snapshot.payload))
            if machine.sequence != snapshot.sequence:
                raise SnapshotDamaged(f"holds sequence {machine.sequence}")
        except SnapshotDamaged as error:
            skipped.append(f"{file.name}: {error}")
            continue
        return Start(machine, snapshot, skipped)
    return Start(made(), None, skipped)


def replay(machine: Machine, frame: Frame) -> int:
    """Applies what a machine has not seen of a frame; returns how many commands."""
    known = machine.sequence + 1 - frame.first_sequence
    if known < 0:
        raise LogDamaged("commands are missing before it", frame.path, frame.offset, frame.first_sequence)
    if known < frame.count:
        machine.apply(frame.commands[known:])
        return frame.count - known
    return 0


def read(path: str | Path, machine: str = "cython") -> tuple[Machine, Position]:
    """The machine at the durable end of a log, and where that is.  Changes nothing."""
    directory = Path(path)
    start = starts(directory, machine_class(machine))
    after = start.snapshot.sequence if start.snapshot else 0
    with LogReader(directory, after=after) as reader:
        epoch = start.snapshot.epoch if start.snapshot else 0
        while frames := list(reader.read()):
            for frame in frames:
                replay(start.machine, frame)
                epoch = frame.epoch
    return start.machine, Position(epoch, start.machine.sequence)
