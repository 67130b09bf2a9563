"""Whether a snapshot file is good, and of the log beside it."""

from __future__ import annotations

import os
from pathlib import Path

from ..engine.starts import state_in
from ..errors import SnapshotDamaged
from ..journal import (
    DISK,
    Disk,
    Keys,
    Place,
    check_past,
    despite_archiving,
    first_sequence,
    snapshots,
)


def check(
    file: Path, identity: bytes, *, keys: Keys | None = None, disk: Disk = DISK
) -> snapshots.Snapshot:
    """Reads a snapshot that is good in itself and of the exchange `identity` (empty: of any).

    Of an encrypted one without keys, only the stored bytes are checked.  `SnapshotDamaged` for
    one that is not good, `KeyRefused` for a wrong key, `UnknownRules` for newer rules.
    """
    snapshot = snapshots.read(file, disk, keys=keys, structure=True)
    if snapshot.payload:
        state_in(snapshot, file)
    if identity and snapshot.identity != identity:
        raise SnapshotDamaged(f"{file}: {snapshots.of_another(snapshot, identity)}")
    return snapshot


def check_if_there(file: Path, identity: bytes, keys: Keys | None) -> snapshots.Snapshot | None:
    """The same; None if the file is gone: a running engine keeps only the newest few."""
    try:
        return check(file, identity, keys=keys)
    except SnapshotDamaged:
        if not os.path.lexists(file):
            return None
        raise


def is_on_log(place: Place, snapshot: snapshots.Snapshot, keys: Keys | None) -> bool:
    """True if the log reaches as far as a snapshot and had the same past there, else `LogDamaged`.

    False for a snapshot from before the log's beginning: what it stood on is archived, and it is
    of no use until that is put back.
    """
    return despite_archiving(place, lambda: _is_on_log(place, snapshot, keys))


def _is_on_log(place: Place, snapshot: snapshots.Snapshot, keys: Keys | None) -> bool:
    if snapshot.sequence + 1 < first_sequence(place):
        return False
    check_past(place, snapshot.sequence, snapshot.chain, keys=keys, structure=keys is None)
    return True
