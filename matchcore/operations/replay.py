"""Replays a log from its first command and compares it with its snapshots."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ..engine import recovery
from ..engine.starts import snapshot_files
from ..errors import LogDamaged, SnapshotDamaged
from ..journal import (
    Keys,
    Place,
    Where,
    despite_archiving,
    first_sequence,
    identity_of,
    open_reader,
    place_of,
    snapshots,
)
from ..machine import machine_class
from ..machine.state import State
from .snapshots import check_if_there, is_on_log


def replay(
    path: Where,
    machine: str = "cython",
    *,
    late: bool = False,
    keys: Keys | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> dict[str, Any]:
    """Replays from the first command and compares the state at each snapshot; returns counts.

    ``machine``: which implementation of the rules runs, "cython" or "reference".  ``late``: a log
    whose beginning is archived is replayed from its oldest snapshot on.  ``progress`` receives the
    number of commands of each frame.  `LogDamaged` also for a snapshot that is damaged, or of
    another log or a longer one; `KeyRefused` for an encrypted log without its key.
    """
    place = place_of(path)
    return despite_archiving(place, lambda: _replay(place, machine, late, keys, progress))


def _replay(
    place: Place,
    machine: str,
    late: bool,
    keys: Keys | None,
    progress: Callable[[int], None],
) -> dict[str, Any]:
    driven = machine_class(machine)()
    waiting = _snapshots(place, keys)
    base, chain = 0, None
    if late and waiting and first_sequence(place) > 1:
        taken = waiting.pop(base := min(waiting))
        driven, chain = driven.from_state(State.from_bytes(taken.payload)), taken.chain
    differ: list[str] = []
    compared = events = frames = 0
    started = time.perf_counter()
    with open_reader(place, after=base, chain=chain, keys=keys) as reader:
        for frame in reader.read():
            events += recovery.replay(driven, frame)
            frames += 1
            progress(frame.count)
            found = waiting.pop(driven.sequence, None)
            if found is not None:
                compared += 1
                if State.from_bytes(found.payload).digest() != driven.digest():
                    differ.append(f"snapshot at sequence {found.sequence}")
    seconds = time.perf_counter() - started
    return {
        "commands": driven.sequence - base,
        "frames": frames,
        "events": events,
        "seconds": round(seconds, 3),
        "commands_per_second": round((driven.sequence - base) / seconds) if seconds else 0,
        "snapshots_compared": compared,
        "snapshots_that_differ": differ,
        "machine": machine,
        "digest": driven.digest(),
    }


def _snapshots(place: Place, keys: Keys | None) -> dict[int, snapshots.Snapshot]:
    good: dict[int, snapshots.Snapshot] = {}
    identity = identity_of(place)
    for file in snapshot_files(place):
        try:
            snapshot = check_if_there(file, identity, keys)
        except SnapshotDamaged as error:
            raise LogDamaged(str(error), str(file), 0, 0) from None
        if snapshot is not None and is_on_log(place, snapshot, keys):
            good[snapshot.sequence] = snapshot
    return good
