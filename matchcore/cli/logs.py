"""What the commands about exchange directories do, without click."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import snapshots
from ..answers import BookView
from ..errors import LogDamaged, SnapshotDamaged
from ..follower import Follower
from ..journal import LogReader, verify
from ..recovery import machine_class, read, replay
from ..sinks import open_sink
from ..state import State
from .output import progress_bar


def replay_all(directory: Path, machine: str) -> dict[str, Any]:
    """Replays from the first command and compares the state at each snapshot."""
    driven = machine_class(machine)()
    waiting = _snapshots(directory)
    differ: list[str] = []
    compared = events = frames = 0
    started = time.perf_counter()
    with LogReader(directory, after=0) as reader, progress_bar("replaying", None) as progress:
        while batch := list(reader.read()):
            for frame in batch:
                events += replay(driven, frame)
                frames += 1
                progress(frame.count)
                taken = waiting.pop(driven.sequence, None)
                if taken is not None:
                    compared += 1
                    if taken.payload != driven.state().to_bytes():
                        differ.append(f"snapshot at sequence {taken.sequence}")
    seconds = time.perf_counter() - started
    return {
        "commands": driven.sequence,
        "frames": frames,
        "seconds": round(seconds, 3),
        "commands_per_second": round(driven.sequence / seconds) if seconds else 0,
        "snapshots_compared": compared,
        "snapshots_that_differ": differ,
        "machine": machine,
        "digest": driven.digest(),
    }


def _snapshots(directory: Path) -> dict[int, snapshots.Snapshot]:
    good: dict[int, snapshots.Snapshot] = {}
    for file in snapshots.listing(directory):
        try:
            snapshot = snapshots.read(file)
            State.from_bytes(snapshot.payload)
        except SnapshotDamaged as error:
            raise LogDamaged(str(error), str(file), 0, 0) from None
        good[snapshot.sequence] = snapshot
    return good
