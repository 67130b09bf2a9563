"""`verify`: every byte of a log looked at, segment by segment, by one process or several.

A walk through a segment needs nothing but its file.  What ties it to the one before, order,
first sequence and chain, is compared here, where all walks come together: so the answer is the
same however many processes walked.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ..errors import LogDamaged, LogError
from .crypto.keys import KEYS_VARIABLE, Keys
from .disk import DISK, Disk, refusals
from .format import SegmentHeader
from .segments import (
    Walk,
    begins_late,
    check_continues,
    check_order,
    named_sequence,
    segment_files,
)

JOB_BYTES = 128 << 20  # a process takes as long to start as this to be walked


@dataclass(frozen=True, slots=True)
class Finding:
    """Damage, and where it is."""

    what: str
    path: str
    offset: int
    sequence: int


@dataclass(slots=True)
class Report:
    """What `verify` has read.  ``torn_bytes``: at the end, never acknowledged, no damage.

    ``first_sequence``: above 1, the segments before were archived or lost, and only a snapshot
    that reaches it makes up for them.  ``structure_only``: encrypted segments that were checked
    against the chain, but not looked into, because there were no keys.

    ``gone_meanwhile``: segments that were archived before they could be read.  All counts are of
    what is left behind them.  ``rules``: the newest version of the rules in it.
    """

    identity: str = ""
    segments: int = 0
    structure_only: int = 0
    gone_meanwhile: int = 0
    frames: int = 0
    commands: int = 0
    bytes: int = 0
    torn_bytes: int = 0
    first_sequence: int = 0
    last_sequence: int = 0
    rules: int = 1
    findings: list[Finding] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.findings


@dataclass(frozen=True, slots=True)
class Walked:
    """One segment by itself, as plain values: they may come from another process.

    ``header``: None if it is none, and then ``finding`` says why; ``sequence`` and ``chain``: at
    the end of what is good; ``problem``: what is wrong there, "" for nothing; ``torn``: a crash
    can have left that, if this is the last segment.
    """

    file: Path
    header: SegmentHeader | None = None
    finding: Finding | None = None
    size: int = 0
    offset: int = 0
    sequence: int = 0
    chain: bytes = b""
    frames: int = 0
    commands: int = 0
    problem: str = ""
    torn: bool = False
    rules: int = 1  # in force at the end
    gone: bool = False  # it was listed, and not there any more


def verify(
    path: str | os.PathLike[str],
    progress: Callable[[int], None] = lambda step: None,
    disk: Disk = DISK,
    keys: Keys | None = None,
    jobs: int = 1,
) -> Report:
    """Reads every segment and checks every byte, changing nothing; damage is in `findings`.

    Without `keys` the structure and the chain of encrypted segments are checked, which cover
    their stored bytes, and `structure_only` counts them.

    `progress` is told the bytes of each segment read.  With more `jobs` than one, that many
    processes walk at once, and read the keys' file themselves (ValueError for keys without one,
    and for a disk that is not the system's); 0 takes as many as are worth it.  The report is the
    same.  LogError when there is no log, or if a process was ended; `LogFailed` if the system
    refuses a file.

    Segments may be archived meanwhile: then it begins anew at the first that is left.
    """
    directory = Path(path)
    with refusals(directory):
        return _verify(directory, progress, disk, keys, jobs)


def _verify(
    directory: Path, progress: Callable[[int], None], disk: Disk, keys: Keys | None, jobs: int
) -> Report:
    report = Report()
    while not report.segments and not report.findings:
        files = segment_files(directory, disk)
        if not files:
            raise LogError(f"{directory}: no journal here")
        before: Walked | None = None
        for walked in _walks(files, disk, keys, jobs or jobs_for(files)):
            left = segment_files(directory, disk) if walked.gone else []
            if left and walked.file < left[0]:
                # Segments leave oldest first: what was read before is gone by now, too.
                report = Report(gone_meanwhile=report.gone_meanwhile + 1, findings=report.findings)
                before = None
                continue
            report.first_sequence = report.first_sequence or named_sequence(walked.file)
            _join(report, before, walked, keys is None, last=walked.file == files[-1])
            progress(walked.size)
            before = walked
        jobs = 1  # if all are gone, they go faster than processes start
        if before is not None and before.header is not None:
            report.last_sequence = before.sequence - 1
    return report


def late_beginning(file: Path, begins: int, needed: int) -> Finding:
    """What is wrong with a log whose first segments are gone and not made up for."""
    return _finding(begins_late(file, begins, needed))


def jobs_for(files: list[Path]) -> int:
    """How many processes are worth their start: by bytes, segments and processors."""
    worth = bytes_there(files) // JOB_BYTES
    return max(1, min(worth, len(files), len(os.sched_getaffinity(0))))


def bytes_there(files: Iterable[Path]) -> int:
    """The sizes of files together, without those that are gone, or lead nowhere."""
    total = 0
    for file in files:
        with suppress(OSError):
            total += file.stat().st_size
    return total


def _walks(files: list[Path], disk: Disk, keys: Keys | None, jobs: int) -> Iterator[Walked]:
    """Each segment's walk, oldest first."""
    if jobs == 1:
        yield from (walked(file, keys, disk) for file in files)
        return
    if disk is not DISK or (keys is not None and keys.file is None):
        raise ValueError(
            f"{jobs} jobs: other processes can use only the system's disk and keys from a file"
            f" (Keys.from_file, or {KEYS_VARIABLE})"
        )
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    walk = partial(_walked_aside, None if keys is None else keys.file)
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(files)), spawn, initializer=_settle_in)
    try:
        yield from pool.map(walk, files)
    except BrokenProcessPool as error:
        raise LogError(f"{files[0].parent}: a verifying process ended: {error}") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _settle_in() -> None:
    """In a process of the pool: Ctrl-C is for the parent, and nobody outlives it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    import multiprocessing

    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _walked_aside(keys: Path | None, file: Path) -> Walked:
    return walked(file, None if keys is None else Keys.from_file(keys))


def walked(file: Path, keys: Keys | None = None, disk: Disk = DISK) -> Walked:
    """Walks one segment to its end, or to what is wrong in it.

    What looks wrong is looked at twice: an engine at work may just have finished writing it.
    """
    try:
        walk = Walk.open(file, keys=keys, structure=keys is None, disk=disk)
    except LogDamaged as error:
        gone = file.name not in disk.names(file.parent)
        return Walked(file, finding=_finding(error), gone=gone)
    with walk:
        frames = commands = 0
        looked = -1
        while True:
            while (frame := walk.next()) is not None:
                frames += 1
                commands += frame.count
            problem = walk.trailing_problem()
            torn = bool(problem) and walk.can_be_torn()
            if not problem or torn or looked == walk.offset:
                break
            looked = walk.offset
        return Walked(
            file, walk.header, None, walk.size(), walk.offset, walk.sequence, walk.chain,
            frames, commands, problem, torn, walk.rules,
        )  # fmt: skip


def _join(
    report: Report, before: Walked | None, here: Walked, structure: bool, *, last: bool
) -> None:
    """Adds a segment to the report: what is wrong in it, and between it and the one before."""
    if here.header is None:
        assert here.finding is not None
        report.findings.append(here.finding)
        return
    report.segments += 1
    report.structure_only += bool(here.header.encryption.cipher and structure)
    report.identity = report.identity or here.header.identity.hex()
    if before is not None and before.header is not None:
        try:
            check_order([(before.file, before.header), (here.file, here.header)])
            if not before.problem:
                check_continues(before.sequence, before.chain, before.rules, here.header, here.file)
        except LogDamaged as error:
            report.findings.append(_finding(error))
    report.frames += here.frames
    report.commands += here.commands
    report.bytes += here.offset
    report.rules = max(report.rules, here.rules)
    if here.problem and last and here.torn:
        report.torn_bytes = here.size - here.offset
    elif here.problem:
        place = str(here.file), here.offset, here.sequence
        report.findings.append(Finding(here.problem, *place))


def _finding(error: LogDamaged) -> Finding:
    return Finding(error.what, error.path, error.offset, error.sequence)
