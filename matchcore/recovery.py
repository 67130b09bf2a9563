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
from .errors import LogDamaged, LogError, SnapshotDamaged
from .journal import DISK, Disk, FileLog, Frame, LogReader, Position, has_log, identity_of
from .state import State

MACHINES = {"cython": "matchcore._machine", "reference": "matchcore.reference"}


@dataclass(slots=True)
class Recovery:
    """What opening found and did.

    ``snapshot_sequence``: of the snapshot it began with, 0 for none; ``skipped``: snapshots that
    were bad, and why; ``commands``: replayed from the log.
    """

    segments: int = 0
    frames: int = 0
    commands: int = 0
    cut_bytes: int = 0
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
    sequence: int  # of the machine as it was made

    @property
    def chain(self) -> bytes | None:
        """What the log must say there; None at its beginning."""
        return self.snapshot.chain if self.snapshot else None


def starts(
    path: Path,
    made: type[Machine],
    at_most: int | None = None,
    accept: Callable[[snapshots.Snapshot], str] = lambda snapshot: "",
    disk: Disk = DISK,
) -> Start:
    """The newest snapshot that is good and not beyond `at_most`, or an empty machine.

    `accept` says what is wrong with a snapshot that is good in itself, or "".
    """
    skipped: list[str] = []
    for file in snapshots.listing(path, disk):
        try:
            snapshot = snapshots.read(file, disk)
            if at_most is not None and snapshot.sequence > at_most:
                continue
            if wrong := accept(snapshot):
                raise SnapshotDamaged(f"{file}: {wrong}")
            machine = made.from_state(State.from_bytes(snapshot.payload))
            if machine.sequence != snapshot.sequence:
                raise SnapshotDamaged(f"{file}: holds sequence {machine.sequence}")
        except SnapshotDamaged as error:
            skipped.append(str(error))
            continue
        return Start(machine, snapshot, skipped, snapshot.sequence)
    return Start(made(), None, skipped, 0)


def replay(machine: Machine, frame: Frame) -> int:
    """Applies what a machine has not seen of a frame; returns the number of events."""
    known = machine.sequence + 1 - frame.first_sequence
    if known < 0:
        raise LogDamaged(
            "commands are missing before", frame.path, frame.offset, frame.first_sequence
        )
    return machine.replay(frame.commands[known:])


def open_for_writing(
    path: Path,
    made: type[Machine],
    *,
    policy: str,
    segment_bytes: int,
    progress: Callable[[int], None],
    disk: Disk = DISK,
) -> tuple[FileLog, Machine, Recovery]:
    """The log of a directory, open for appending, and a machine at its end.

    A snapshot of another exchange is skipped like a bad one.  One beyond the log's end is not:
    the log was on disk before the snapshot was written, so commands are missing.
    """
    began = time.perf_counter()
    start = starts(path, made, accept=of_this_log(path, disk), disk=disk)

    def on_frame(frame: Frame) -> None:
        replay(start.machine, frame)
        progress(frame.count)

    if snapshots.listing(path, disk) and not has_log(path, disk):
        raise LogDamaged("there are snapshots here, but no journal", str(path), 0, 1)
    log = FileLog.open(
        path, policy=policy, segment_bytes=segment_bytes,
        after=start.sequence, chain=start.chain, on_frame=on_frame, disk=disk,
    )  # fmt: skip
    found = log.recovered
    recovery = Recovery(
        segments=found.segments,
        frames=found.frames,
        commands=log.sequence - start.sequence,
        cut_bytes=found.cut_bytes,
        snapshot_sequence=start.sequence,
        skipped=start.skipped,
        seconds=time.perf_counter() - began,
    )
    return log, start.machine, recovery


def read(path: str | Path, machine: str = "cython") -> tuple[Machine, Position]:
    """The machine at the durable end of a log, and where that is.  Changes nothing."""
    directory = Path(path)
    start = starts(directory, machine_class(machine), accept=of_this_log(directory))
    epoch = start.snapshot.epoch if start.snapshot else 0
    with LogReader(directory, after=start.sequence, chain=start.chain) as reader:
        for frame in reader.read():
            replay(start.machine, frame)
            epoch = frame.epoch
    return start.machine, Position(epoch, start.machine.sequence)


def of_this_log(path: Path, disk: Disk = DISK) -> Callable[[snapshots.Snapshot], str]:
    """For `starts`: a snapshot must be of the exchange whose log lies beside it."""
    try:
        identity = identity_of(path, disk)
    except (LogError, OSError):  # no log yet, or one whose opening will say what is wrong
        return lambda snapshot: ""
    return lambda snapshot: "" if snapshot.identity == identity else "of another exchange"
