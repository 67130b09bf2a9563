"""Cutting a damaged log where it is still good: what would be lost, and doing it.

Nothing is deleted: what is cut goes into a directory beside the log.  What somebody may have
been answered is cut only when that is asked for in so many words.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..engine.starts import of_this_log, starts
from ..errors import LogDamaged, LogError
from ..journal import DISK, Disk, Keys, check_past, missed, published, snapshots
from ..journal.disk import PIECE_BYTES, READ, WRITE, give_birth, refusals, take_lock
from ..journal.format import FrameHeader
from ..journal.notes import where
from ..journal.position import POSITION_NAME
from ..journal.segments import (
    Walk,
    check_follows,
    check_order,
    headers_in,
    named_sequence,
    segment_files,
)
from ..journal.snapshots import Snapshot
from ..machine import machine_class

CUT_PREFIX = "cut-"


@dataclass(slots=True)
class Plan:
    """Where a log stops being good, and what lies behind that place.

    ``begins``: the snapshot that an open would begin with; ``kept``: the last good sequence;
    ``lost_to``: the highest one that anything behind the cut still names, `kept` if nothing
    does; ``reasons``: why commands behind the cut were on disk, or answered; ``cut_bytes`` are
    the tail of ``path`` from ``offset`` on; ``segments``, ``snapshots`` and with ``position``
    the writer's hint would be set aside whole; ``set_aside``: where to, once it is done.
    """

    what: str = ""
    path: str = ""
    offset: int = 0
    begins: int = 0
    kept: int = 0
    lost_to: int = 0
    cut_bytes: int = 0
    segments: list[str] = field(default_factory=list)
    snapshots: list[str] = field(default_factory=list)
    position: bool = False
    torn: bool = False
    reasons: list[str] = field(default_factory=list)
    set_aside: str = ""

    @property
    def good(self) -> bool:
        return not self.what

    @property
    def acknowledged(self) -> bool:
        """True if somebody may have been answered what a cut would lose."""
        return not self.good and not self.torn


def plan(path: str | os.PathLike[str], disk: Disk = DISK, keys: Keys | None = None) -> Plan:
    """What a cut would do to a log that an open refuses; changes nothing.

    As an open does, it begins with the newest good snapshot: damage before that needs no cut,
    but a copy put back.  LogError without a log, `LogDamaged` when its beginning is missing.
    """
    directory = Path(path)
    with refusals(directory):
        return _plan(directory, disk, keys)


def _plan(directory: Path, disk: Disk, keys: Keys | None) -> Plan:
    files = segment_files(directory, disk)
    if not files:
        raise LogError(f"{directory}: no journal here")
    foreign: dict[str, str] = {}
    ours = of_this_log(directory, disk, accept_loss=True)

    def accept(snapshot: Snapshot) -> str:
        if wrong := ours(snapshot):
            foreign[snapshots.path_of(directory, snapshot.sequence).name] = wrong
        return wrong

    start = starts(directory, machine_class("cython"), None, accept, disk, keys)
    needed = start.sequence + 1
    if named_sequence(files[0]) > needed:
        what = f"sequence {needed} is needed" + where(directory, needed, disk)
        raise LogDamaged(what, str(files[0]), 0, named_sequence(files[0]))
    files = files[max(at for at, file in enumerate(files) if named_sequence(file) <= needed) :]
    found = Plan(begins=start.sequence)
    identity = _walk_all(found, files, disk)
    if found.good and found.kept < start.sequence:
        found.what, found.path = "the log ends before its snapshot", str(files[-1])
    elif found.good and start.snapshot is not None:
        try:
            taken = start.snapshot
            check_past(directory, taken.sequence, taken.chain, structure=True, disk=disk)
        except LogDamaged as error:
            foreign[snapshots.path_of(directory, start.sequence).name] = error.what
    for name, wrong in foreign.items():
        found.what, found.path = found.what or wrong, found.path or str(directory / name)
        found.snapshots.append(name)
        found.reasons.append(wrong)
    hint = published(directory, disk)
    missing = missed(hint, directory, identity, found.kept)
    if found.good and missing is not None:
        found.what, found.path = missing.what, missing.path
        if hint.identity != identity:
            found.reasons.append("the position beside the log belongs to another exchange")
    found.lost_to = found.kept
    if not found.good:
        found.position = hint.durable > found.kept or hint.identity not in (b"", identity)
        _weigh(found, directory, hint.durable if hint.identity == identity else 0, disk)
    return found


def _walk_all(found: Plan, files: list[Path], disk: Disk) -> bytes:
    """Goes through the segments up to the first thing that is wrong; returns the identity."""
    before: Walk | None = None
    try:
        for at, file in enumerate(files):
            try:
                walk = Walk.open(file, structure=True, disk=disk)
            except LogDamaged as error:
                _stop(found, error, files, at, before)
                break
            try:
                if before is not None:
                    check_order([(before.path, before.header), (file, walk.header)])
                    check_follows(before, walk.header, file)
            except LogDamaged as error:
                walk.close()
                _stop(found, error, files, at, before)
                break
            if before is not None:
                before.close()
            before = walk
            while walk.next() is not None:
                pass
            found.kept = walk.sequence - 1
            if walk.trailing_problem():
                found.torn = file == files[-1] and walk.can_be_torn()
                found.what, found.path, found.offset = walk.problem, str(file), walk.offset
                found.cut_bytes = disk.size(walk.fd) - walk.offset
                found.segments = [other.name for other in files[at + 1 :]]
                break
        return before.header.identity if before is not None else b""
    finally:
        if before is not None:
            before.close()


def _stop(found: Plan, error: LogDamaged, files: list[Path], at: int, before: Walk | None) -> None:
    """A segment that cannot follow: it and what lies behind it is set aside whole."""
    found.what, found.path = error.what, str(files[at])
    found.segments = [file.name for file in files[at:]]
    found.kept = before.sequence - 1 if before is not None else named_sequence(files[0]) - 1


def _weigh(found: Plan, directory: Path, answered: int, disk: Disk) -> None:
    """Finds everything that says how far the log once went, and how sure that is.

    ``answered``: how far the writer's hint says that it is safe.
    """
    first = found.kept + 1
    durable = 0
    if found.cut_bytes:
        headers = _headers(Path(found.path), found.offset, disk)
        found.lost_to = max([found.lost_to, *(header.last_sequence for header in headers)])
        durable = max((header.durable for header in headers), default=0)
        if any(header.count == 0 and header.first_sequence > first for header in headers):
            found.reasons.append("the log was closed after it: a seal certifies everything before")
    for name in found.segments:
        headers = _headers(directory / name, 0, disk)
        last = max((header.last_sequence for header in headers), default=0)
        found.lost_to = max(found.lost_to, last, named_sequence(directory / name) - 1)
        durable = max([durable, named_sequence(directory / name) - 1,
                       *(header.durable for header in headers)])  # fmt: skip
    if durable >= first:
        found.reasons.append(f"later bytes certify that the log was on disk to sequence {durable}")
    if answered >= first:
        found.reasons.append(f"the writer published that the log is safe to sequence {answered}")
    behind = [
        file.name
        for file in snapshots.listing(directory, disk)
        if snapshots.sequence_of(file) >= first and file.name not in found.snapshots
    ]
    found.snapshots += behind
    if behind:
        found.reasons.append(f"{len(behind)} snapshots are newer than the cut")
    found.lost_to = max(found.lost_to, answered, durable,
                        *(snapshots.sequence_of(directory / name) for name in found.snapshots),
                        0)  # fmt: skip
    if found.reasons:
        found.torn = False
    elif not found.torn:
        found.reasons.append("all its sectors were written, so it is not a torn write"
                             " and may have been answered")  # fmt: skip


def _headers(file: Path, start: int, disk: Disk) -> list[FrameHeader]:
    """What looks like a frame header from an offset on, without what a client may have sent."""
    try:
        fd = disk.open(file, READ)
    except OSError:
        return []
    found, behind = [], 0
    try:
        for at, header in headers_in(disk, fd, start, disk.size(fd)):
            if at >= behind:
                found.append(header)
                behind = at + header.frame_bytes
    finally:
        disk.close(fd)
    return found


def repair(
    path: str | os.PathLike[str],
    *,
    lose_acknowledged: bool = False,
    disk: Disk = DISK,
    keys: Keys | None = None,
) -> Plan:
    """Cuts a log where it stops being good, and sets aside what lay behind; says what.

    `LogLocked` while an engine has it open; LogError if there is nothing good before the place,
    or if what would be lost may have been answered and `lose_acknowledged` does not say so.
    Killed anywhere, it is started again: the damage stays until everything else is set aside.
    """
    directory = Path(path)
    lock = take_lock(directory, disk)
    try:
        with refusals(directory), snapshots.turn(directory, disk):
            found = plan(directory, disk, keys)
            if found.good:
                return found
            cuts = found.cut_bytes or found.segments
            if cuts and found.kept < named_sequence(segment_files(directory, disk)[0]):
                raise LogError(f"{directory}: nothing before the damage is good; restore a copy")
            if found.acknowledged and not lose_acknowledged:
                raise LogError(
                    f"{directory}: sequences {found.kept + 1} to {found.lost_to} may have been"
                    " answered: restore a copy, or pass lose_acknowledged"
                )
            aside = _new_directory(directory, found.kept + 1, disk)
            _set_aside(directory, aside, found, disk)
            found.set_aside = str(aside)
            return found
    finally:
        disk.close(lock)


def _new_directory(directory: Path, sequence: int, disk: Disk) -> Path:
    names = set(disk.names(directory))
    number = next(n for n in range(1, len(names) + 2)
                  if f"{CUT_PREFIX}{sequence}-{n}" not in names)  # fmt: skip
    aside = directory / f"{CUT_PREFIX}{sequence}-{number}"
    disk.make_directory(aside)
    disk.sync_directory(directory)
    return aside


def _set_aside(directory: Path, aside: Path, found: Plan, disk: Disk) -> None:
    """Newest first, so that the log stays damaged, and is not a shorter good one, to the last."""
    for name in [*found.snapshots, *reversed(found.segments)]:
        _move(directory, aside, name, disk)
    if found.cut_bytes:
        file = Path(found.path)
        fd = disk.open(file, WRITE)
        try:
            tail = _tail(disk, fd, found.offset)
            disk.close(give_birth(disk, aside / f"{file.stem}-from-{found.offset}.tail", tail))
            disk.ftruncate(fd, found.offset)
            disk.fsync(fd)
        finally:
            disk.close(fd)
    if found.position:  # or an open would miss what was cut
        _move(directory, aside, POSITION_NAME, disk)


def _move(directory: Path, aside: Path, name: str, disk: Disk) -> None:
    disk.rename(directory / name, aside / name)
    disk.sync_directory(aside)
    disk.sync_directory(directory)


def _tail(disk: Disk, fd: int, at: int) -> Iterator[bytes]:
    while piece := disk.pread(fd, PIECE_BYTES, at):
        at += len(piece)
        yield piece
