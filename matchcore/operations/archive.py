"""Taking old segments out of an exchange: what no kept snapshot needs, copied first or dropped.

Only from the front, and only what lies wholly before the oldest of the snapshots that policy
keeps, each of them read and compared with the log first.  It can be killed anywhere and is
started again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ..errors import LogDamaged, LogError, SnapshotDamaged
from ..journal import DISK, Disk, check_past, has_log, identity_of, snapshots
from ..journal.disk import PIECE_BYTES, READ, give_birth, refusals
from ..journal.notes import DROPPED, note
from ..journal.segments import Walk, check_follows, named_sequence, segment_files
from .snapshots import check

KEEP_SNAPSHOTS = 2


@dataclass(frozen=True, slots=True)
class Archived:
    """``segments``: names of what went, or with `dry_run` would go; ``before``: the snapshot
    they all lie before; ``first_sequence``: with which the log begins then."""

    segments: list[str]
    bytes: int
    before: int
    first_sequence: int
    place: str


def archive(
    path: str | os.PathLike[str],
    place: str | os.PathLike[str] | None = None,
    *,
    drop: bool = False,
    keep_snapshots: int = KEEP_SNAPSHOTS,
    needed: int | None = None,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda step: None,
    disk: Disk = DISK,
) -> Archived:
    """Moves segments into the directory `place`, or with `drop` removes them; says which.

    The newest `keep_snapshots` must be good and of this log, else `LogError`: nothing goes.
    ``needed``: the position of a follower that still reads; what it needs to go on stays.
    A segment is copied, synced, compared and only then unlinked, oldest first.  `LogDamaged`
    for a segment that is not what was written, `LogLocked` while a snapshot is written,
    `LogFailed` if the system refuses a file.
    """
    directory, target = Path(path), None if place is None else Path(place)
    if (target is None) != drop:
        raise ValueError("give either a place to archive to, or drop")
    if keep_snapshots < 1:
        raise ValueError(f"keep_snapshots {keep_snapshots}: must be at least 1")
    if target is not None and _same(target, directory):
        raise ValueError(f"{target} is the exchange itself")
    with refusals(directory), snapshots.turn(directory, disk):
        before = _oldest_kept(directory, keep_snapshots, needed, disk)
        files = segment_files(directory, disk)
        going = [file for file, after in pairwise(files) if named_sequence(after) <= before + 1]
        sizes = [
            _checked_bytes(file, after, disk) for file, after in zip(going, files[1:], strict=False)
        ]
        if going and not dry_run:
            if target is not None:
                _prepare(directory, target, disk)
                for file, size in zip(going, sizes, strict=True):
                    _copy(file, target, disk)
                    progress(size)
            last = named_sequence(files[len(going)]) - 1
            where = DROPPED if target is None else str(target.absolute())
            note(directory, named_sequence(going[0]), last, where, disk)
            for file in going:  # one by one, so that no crash can leave a hole
                disk.unlink(file)
                disk.sync_directory(directory)
        return Archived(
            [file.name for file in going],
            sum(sizes),
            before,
            named_sequence(files[len(going)]),
            "" if target is None else str(target),
        )


def _same(one: Path, other: Path) -> bool:
    """True if two names are of one file or directory, over dots, links and mounts, too."""
    with suppress(OSError):
        return one.samefile(other)
    return one.resolve() == other.resolve()


def _oldest_kept(directory: Path, keep: int, needed: int | None, disk: Disk) -> int:
    """The sequence of the snapshot that everything archived must lie before."""
    good: list[int] = []
    problems: list[str] = []
    for file in snapshots.listing(directory, disk):
        try:
            good.append(_good(file, directory, disk))
        except (SnapshotDamaged, LogDamaged) as error:
            problems.append(str(error))
    if len(good) < keep:
        raise LogError(
            f"{directory}: {len(good)} good snapshots and {keep} are to be kept, so no segment may"
            f" go: write one (matchcore snapshot) or keep fewer; "
            + ("; ".join(problems) or "none is bad")
        )
    oldest = good[keep - 1]
    if needed is not None:  # a follower begins with a snapshot at or before where it stands
        oldest = min(oldest, next((at for at in good if at <= needed), 0))
    return oldest


def _good(file: Path, directory: Path, disk: Disk) -> int:
    """The sequence of a snapshot that can be opened with; raises what is wrong with it.

    Archiving takes no key: of encrypted files the stored bytes are checked.
    """
    snapshot = check(file, identity_of(directory, disk), disk=disk)
    check_past(directory, snapshot.sequence, snapshot.chain, structure=True, disk=disk)
    return snapshot.sequence


def _checked_bytes(file: Path, following: Path, disk: Disk) -> int:
    """Bytes of a segment, every one of them checked, and that the next one goes on from it."""
    with (
        Walk.open(file, structure=True, disk=disk) as walk,
        Walk.open(following, structure=True, disk=disk) as after,
    ):
        while walk.next() is not None:
            pass
        check_follows(walk, after.header, following)
        return disk.size(walk.fd)


def _prepare(directory: Path, place: Path, disk: Disk) -> None:
    if not disk.is_dir(place):
        disk.make_directory(place)
    # also if they were there: whoever made them may have died before they were on disk
    with suppress(PermissionError):
        disk.sync_directory(place.absolute().parent)
    disk.sync_directory(place)
    if has_log(place, disk) and identity_of(place, disk) != identity_of(directory, disk):
        raise LogError(f"{place} holds segments of another exchange: archive to another place")


def _copy(file: Path, place: Path, disk: Disk) -> None:
    """A copy that is on disk and equal, or an error; one that is there already is compared."""
    target = place / file.name
    if file.name not in disk.names(place):
        disk.close(give_birth(disk, target, _pieces(file, disk)))
    # one that only leads to the segment would be equal, and lead nowhere then
    if target.is_symlink() or _digest(target, disk) != _digest(file, disk):
        raise LogError(f"{target} is not a copy of {file}: nothing was removed")


def _pieces(file: Path, disk: Disk) -> Iterator[bytes]:
    fd, at = disk.open(file, READ), 0
    try:
        while piece := disk.pread(fd, PIECE_BYTES, at):
            at += len(piece)
            yield piece
    finally:
        disk.close(fd)


def _digest(file: Path, disk: Disk) -> bytes:
    digest = hashlib.sha256()
    for piece in _pieces(file, disk):
        digest.update(piece)
    return digest.digest()
