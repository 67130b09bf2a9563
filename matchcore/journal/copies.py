"""A copy of a log: the frames of another one, byte for byte, in segments of its own.

A file named `copy` beside the segments says what it is a copy of.  While it is there no engine
opens the log for writing: it would become another history than the one that is copied.  A file
named `promoted` says where the exchange has left another region's history.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .._closing import Closing
from ..errors import LogClosed, LogDamaged, LogError, LogFailed
from .disk import (
    DISK,
    READ,
    Disk,
    give_birth,
    make_directories,
    read_all,
    refusals,
    remove_unborn,
    take_lock,
    write_all,
)
from .format import CLOSED_EPOCH, FILL, HEADER_BYTES, FrameHeader, SegmentHeader
from .position import Publisher, published
from .segments import (
    Walk,
    check_continues,
    check_follows,
    check_order,
    headers_of,
    segment_path,
)

COPY_NAME, PROMOTED_NAME = "copy", "promoted"
MARK_BYTES_MAX = 1 << 16
REGION_EPOCHS = 4096  # a promoted log is ahead of writers that its copy has never heard of


@dataclass(frozen=True, slots=True)
class Mark:
    """What a copy says of itself.

    - ``source``: the address of the log that it copies; ``identity``: its exchange.
    - ``end``: the last sequence that the source is known to have had, ``heard``: when that was, in
      nanoseconds since 1970, by this machine's clock, for people.
    - ``sequence``, ``chain``, ``epoch``: of a promoted log: where it left the source's history, and
      the epoch that it goes on with.
    """

    source: str
    identity: str
    end: int = 0
    heard: int = 0
    sequence: int = 0
    chain: str = ""
    epoch: int = 0


def mark_of(directory: Path, name: str = COPY_NAME, disk: Disk = DISK) -> Mark | None:
    """What a copy (or with `PROMOTED_NAME` a promoted log) says of itself; None for other logs."""
    try:
        fd = disk.open(directory / name, READ)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        said: dict[str, Any] = json.loads(read_all(disk, fd, MARK_BYTES_MAX, 0))
        return Mark(**said)
    except (ValueError, TypeError):
        raise LogDamaged("a mark that cannot be read", str(directory / name), 0, 0) from None
    finally:
        disk.close(fd)


def refuse_copy(directory: Path, disk: Disk = DISK) -> None:
    """LogError if a log is a copy, which only copying may write."""
    mark = mark_of(directory, disk=disk)
    if mark is not None:
        raise LogError(
            f"{directory}: a copy of {mark.source}: an engine would write another history."
            " matchcore promote makes it the exchange when the other one is lost"
        )


def check_open(epoch: int, place: str) -> None:
    """`LogClosed` if the last writer of a log closed it for ever."""
    if epoch >= CLOSED_EPOCH:
        raise LogClosed(
            f"{place}: this log was closed for ever: another region was promoted and goes on"
            " without it. It can be read, and nothing is ever appended to it again"
        )


class CopyLog(Closing):
    """Writes the frames of another log into a directory, in their order, unchanged.

    A copy that is opened again goes on at its end; what a crash left torn there is cut, and comes
    again from the source.  LogError for the log of another exchange, or one that is no copy;
    `LogLocked`, `LogDamaged` and `LogFailed` as a `FileLog`.  Not for two threads.
    """

    def __init__(self, path: Path, source: str, segment_bytes: int, disk: Disk = DISK) -> None:
        self.directory, self._source, self._disk = path, source, disk
        self.segment_bytes = segment_bytes
        self._walk: Walk | None = None
        self._position = Publisher(path, disk)
        self.cut_bytes = 0
        self.time = 0  #: of the last frame with commands, or of the segment that has none yet
        with refusals(path):
            make_directories(disk, path)
            self._lock = take_lock(path, disk)
            try:
                self._open()
            except BaseException:
                self.close()
                raise

    def _open(self) -> None:
        remove_unborn(self._disk, self.directory, "journal-")
        headers = headers_of(self.directory, self._disk)
        self.mark = mark_of(self.directory, disk=self._disk)
        if not headers:
            return
        if self.mark is None:
            raise LogError(f"{self.directory}: a log, and no copy of one: choose another directory")
        check_order(headers)
        before: Walk | None = None
        for file, _ in headers[-2:]:
            walk = Walk.open(file, writable=True, structure=True, disk=self._disk)
            if before is not None:
                check_follows(before, walk.header, file)
                before.close()
            before = self._walk = walk
            self.time = walk.header.created
            while (frame := walk.next()) is not None:
                self.time = frame.time
        self._cut(walk)

    def _cut(self, walk: Walk) -> None:
        """What a crash left behind the good frames was not on disk: it comes again."""
        end, hint = walk.sequence - 1, published(self.directory, self._disk)
        if hint.identity == walk.header.identity and hint.on_disk > end:
            raise walk.damage(f"sequences {end + 1} to {hint.on_disk} were on disk and are not")
        self.cut_bytes = walk.size() - walk.offset
        self._disk.ftruncate(walk.fd, walk.offset)
        self._disk.fsync(walk.fd)
        self._publish()

    # ------------------------------------------------------------------ where it stands

    @property
    def is_empty(self) -> bool:
        """True before `begin`, the first time."""
        return self._walk is None

    @property
    def at(self) -> Walk:
        """The end of what it has: its ``sequence`` is the next one, ``chain`` and ``epoch``."""
        assert self._walk is not None
        return self._walk

    @property
    def first(self) -> SegmentHeader:
        """With which its oldest segment begins."""
        return headers_of(self.directory, self._disk)[0][1]

    @property
    def sequence(self) -> int:
        """Of the last command that it has."""
        return 0 if self._walk is None else self._walk.sequence - 1

    def knows(self, frame: FrameHeader) -> bool:
        """True for a frame that it has already."""
        if frame.count:
            return frame.last_sequence < self.at.sequence
        return frame.first_sequence < self.at.sequence or frame.epoch <= self.at.epoch

    # ------------------------------------------------------------------ writing

    def begin(self, header: SegmentHeader) -> None:
        """With the first segment of the source, or compared with what is here."""
        identity = header.identity.hex()
        if self.mark is not None and self.mark.identity != identity:
            raise LogError(
                f"{self.directory}: a copy of exchange {self.mark.identity}; {self._source} is"
                f" exchange {identity}"
            )
        self.note(Mark(self._source, identity))
        if self._walk is None:
            self._segment(header)

    def note(self, mark: Mark) -> None:
        """Replaces the mark."""
        with refusals(self.directory):
            _write_mark(self.directory, COPY_NAME, mark, self._disk)
        self.mark = mark

    def append(self, frame: bytes) -> None:
        """The next frame, whole and verified; it is safe after `sync`."""
        walk, header = self.at, FrameHeader.from_bytes(frame)
        if header.first_sequence != walk.sequence or header.epoch < walk.epoch:
            what = f"frame of sequence {header.first_sequence}, epoch {header.epoch}"
            raise LogDamaged(f"{what}, is not the next one", self._source, 0, walk.sequence)
        with refusals(self.directory):
            if walk.offset + len(frame) > self.segment_bytes and walk.offset > HEADER_BYTES:
                self._rotate(header)
                walk = self.at
            write_all(self._disk, walk.fd, frame, walk.offset)
        walk.offset += len(frame)
        walk.sequence += header.count
        walk.epoch = header.epoch
        if header.count:
            self.time = header.time
            walk.chain, walk.rules = header.chain, header.rules or walk.rules

    def _rotate(self, following: FrameHeader) -> None:
        """All of the new header is in the source: two copies are the same."""
        walk = self.at
        self._disk.fsync(walk.fd)
        header = SegmentHeader(
            walk.header.number + 1, walk.header.identity, walk.sequence, walk.epoch,
            following.time, walk.chain, walk.header.hash, rules=walk.rules,
        )  # fmt: skip
        if not following.count and walk.sequence == walk.header.first_sequence:
            return  # nothing but writers that began: there is no name for another segment
        self._segment(header)

    def _segment(self, header: SegmentHeader) -> None:
        if self._walk is not None:
            self._walk.close()
        file = segment_path(self.directory, header.first_sequence)
        fd = give_birth(self._disk, file, [header.to_bytes()])
        walk = self._walk = Walk(file, header, fd, self._disk)
        self.time = header.created
        walk.sequence, walk.epoch = header.first_sequence, header.epoch
        walk.chain, walk.rules = header.chain, header.rules

    def sync(self) -> None:
        """Returns when all of it is on disk, and tells readers."""
        with refusals(self.directory):
            try:
                self._disk.fdatasync(self.at.fd)
            except OSError as error:
                raise LogFailed(f"{self.at.path}: {error}; copy it again into another directory") \
                    from error  # the system may have dropped the data  # fmt: skip
        self._publish()

    def _publish(self) -> None:
        self._position.publish(self.sequence, self.sequence, self.at.header.identity)

    # ------------------------------------------------------------------ promotion

    def frames(self) -> Iterator[tuple[bytes, int]]:
        """Every frame, verified, with the version of the rules in force before it.

        LogError if the first ones are not here, as when they were archived.
        """
        headers, first = headers_of(self.directory, self._disk), self.first
        if first.number != 1:
            raise LogError(
                f"{self.directory}: begins with sequence {first.first_sequence}: a replicated log"
                " needs all of it. Put the archived segments back"
            )
        check_order(headers)
        before: Walk | None = None
        found: list[tuple[bytes, int]] = []
        for file, header in headers:
            if before is not None:
                check_continues(before.sequence, before.chain, before.rules, header, file)
            with Walk.open(file, structure=True, disk=self._disk) as walk:
                walk.raw = lambda frame, rules: found.append((frame, rules))
                more = True
                while more:
                    more = walk.next() is not None  # behind seals, which it passes over
                    yield from found
                    found.clear()
                if walk.trailing_problem():
                    raise walk.damage()
            before = walk

    def begin_anew(self, time: int) -> tuple[bytes, Mark]:
        """The frame with which the log goes on, ahead of every writer of its source; and what is
        to be said of it.  ``time``: of the frame, in nanoseconds since 1970.
        """
        walk, mark = self.at, self.mark
        assert mark is not None
        epoch = walk.epoch + REGION_EPOCHS
        header = FrameHeader(0, 0, 0, epoch, walk.sequence, walk.sequence - 1, time, b"")
        header.chain = header.chain_after(walk.chain, b"", walk.header.hash)
        promoted = Mark(
            mark.source, mark.identity, mark.end, mark.heard, walk.sequence - 1, walk.chain.hex(),
            epoch,
        )  # fmt: skip
        return header.to_bytes() + FILL * (header.frame_bytes - HEADER_BYTES), promoted

    def promote(self, now: int) -> Mark:
        """Makes it a log of its own, as `begin_anew` says; what it says of itself."""
        frame, promoted = self.begin_anew(now)
        self.append(frame)
        self.sync()
        with refusals(self.directory):
            _write_mark(self.directory, PROMOTED_NAME, promoted, self._disk)
            self._disk.unlink(self.directory / COPY_NAME)
            self._disk.sync_directory(self.directory)
        return promoted

    def follow(self, promoted: Mark, source: str) -> None:
        """It stays a copy, of another log: the one that was made of it."""
        with refusals(self.directory):
            _write_mark(self.directory, PROMOTED_NAME, promoted, self._disk)
        self.note(Mark(source, promoted.identity))

    def close(self) -> None:
        """Lets go of the directory."""
        if self._walk is not None:
            self._walk.close()
        self._position.close()
        if self._lock >= 0:
            self._disk.close(self._lock)
            self._lock = -1


def _write_mark(directory: Path, name: str, mark: Mark, disk: Disk) -> None:
    disk.close(give_birth(disk, directory / name, [json.dumps(asdict(mark), indent=1).encode()]))
