"""Reading a log without its lock, also while it grows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from .._closing import Closing
from ..errors import LogDamaged, LogError
from ..records.arguments import UINT64_MAX, integer
from .crypto.keys import Keys
from .disk import DISK, LOCK_NAME, READ, Disk, NotAFile, refusals
from .growth import Growth
from .position import published
from .segments import (
    Frame,
    T,
    Walk,
    begins_late,
    begun_anew,
    check_follows,
    check_order,
    check_snapshot,
    named_sequence,
    segment_files,
)


def despite_archiving(path: str | os.PathLike[str], read: Callable[[], T], disk: Disk = DISK) -> T:
    """As `begun_anew`; LogError without a log."""
    segments_of(path, disk)
    return begun_anew(Path(path), read, disk)


class LogReader(Closing):
    """Hands out the durable frames of a log, also while an engine writes it.  Not for two threads.

    Frames that hold sequences beyond `after` are given; earlier segments are not read.  With
    `chain`, the log must have that digest there.
    LogError when there is no log, `LogDamaged` as recovery raises it, `KeyRefused` without the
    `keys` of an encrypted segment, `LogFailed` if the system refuses a file; with `structure`
    such frames are given without commands.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        after: int = 0,
        chain: bytes | None = None,
        keys: Keys | None = None,
        structure: bool = False,
        disk: Disk = DISK,
    ) -> None:
        self.directory = Path(path)
        self._keys, self._structure = keys, structure
        self._disk = disk
        self._after = integer(after, "after", 0, UINT64_MAX)
        self._chain = chain
        with refusals(self.directory):
            self._walk = despite_archiving(self.directory, self._begin, disk)
        self._ahead: Frame | None = None  # read, but not known to be durable
        self._unsynced: tuple[object, ...] = ()  # why what was read is not on disk
        self.torn_bytes = 0  # behind the end, never acknowledged: what an open would cut

    def _begin(self) -> Walk:
        """The segment that holds the first sequence wanted."""
        files = segment_files(self.directory, self._disk)
        if named_sequence(files[0]) > self._after + 1:
            raise begins_late(files[0], named_sequence(files[0]), self._after + 1)
        return self._open(max(f for f in files if named_sequence(f) <= self._after + 1))

    @property
    def hash(self) -> int:
        """The number of the chain's hash."""
        return self._walk.header.hash

    @property
    def identity(self) -> bytes:
        """16 bytes that name the exchange."""
        return self._walk.header.identity

    @property
    def chain(self) -> bytes:
        """The log's digest at the end of the last frame read."""
        return self._walk.chain

    @property
    def epoch(self) -> int:
        """Of the writer that made the last frame read, or its segment."""
        return self._walk.epoch

    @property
    def rules(self) -> int:
        """The version of the rules at the end of the last frame read."""
        return self._walk.rules

    @property
    def sequence(self) -> int:
        """Of the last command read."""
        return self._walk.sequence - 1

    def growth(self) -> Growth:
        """Tells when there may be more; to be closed by whoever asks."""
        return Growth(self.directory)

    def sync(self) -> None:
        """Puts on disk what has been read: a writer may only have handed it to the system."""
        with refusals(self.directory):
            if self._unsynced:  # the system may have dropped the data, and says it once
                raise OSError(*self._unsynced)
            try:
                self._disk.fsync(self._walk.fd)
            except OSError as error:
                self._unsynced = error.args
                raise

    def read(self) -> Iterator[Frame]:
        """The frames that are there and durable now; call again for more, or after `LogFailed`."""
        with refusals(self.directory):
            yield from self._read()

    def _read(self) -> Iterator[Frame]:
        limit, where = self._durable_limit(), (self._walk.path, self._walk.epoch)
        while True:
            self._compare()
            frame = self._ahead or self._walk.next()
            self._ahead = None
            if frame is None:
                if self._go_to_next_segment():
                    continue
                if self._walk.problem:
                    if limit is None and (limit := self._durable_limit()) is not None:
                        continue  # a writer has come, and may just have finished this
                    self._judge(limit)
                self._compare(at_end=True)
                return
            if limit is None and where != (self._walk.path, self._walk.epoch):
                # by a writer that came since, or in a file that nobody has synced yet
                limit, where = self._durable_limit(), (self._walk.path, self._walk.epoch)
            last = frame.first_sequence + frame.count - 1
            if limit is not None and last > max(limit, self._walk.durable):
                self._ahead = frame
                return
            if last > self._after:
                yield frame

    def _compare(self, *, at_end: bool = False) -> None:
        """`LogDamaged` unless the log has the chain asked for where it was asked for."""
        if self._chain is None or (self._walk.sequence <= self._after and not at_end):
            return
        check_snapshot(self.directory, self._walk, self._after, self._chain)
        self._chain = None

    def _durable_limit(self) -> int | None:
        """How far the writer has synced; None when there is no writer, and all is made durable."""
        limit = durable_end(self.directory, self._disk)
        if limit is None:
            self.sync()
        return limit

    def _judge(self, limit: int | None) -> None:
        """A bad frame: still being written, torn by a crash, or damage?"""
        if limit is not None:
            if self._walk.sequence <= limit:
                raise self._walk.damage()
        elif not self._walk.can_be_torn():
            raise self._walk.damage()
        else:
            self.torn_bytes = self._disk.size(self._walk.fd) - self._walk.offset

    def _go_to_next_segment(self) -> bool:
        """True if there is more to look at.

        This segment may have been removed meanwhile, by retention or because it was empty when
        it got another key: what is open stays readable, and what follows must fit to it.
        """
        mine = self._walk.path
        if not self._following():
            if self._is_gone():
                raise LogDamaged("this segment is gone", str(mine), 0, self._walk.sequence)
            return self._was_replaced()
        # The writer has finished this segment before it made the next: look once more.
        self._ahead = self._walk.next()
        if self._ahead is not None:
            return True
        walk = despite_archiving(self.directory, self._open_following, self._disk)
        try:
            if walk.header.number > self._walk.header.number + 1 and self._is_gone():
                raise begins_late(walk.path, walk.header.first_sequence, self._walk.sequence)
            check_order([(mine, self._walk.header), (walk.path, walk.header)])
            check_follows(self._walk, walk.header, walk.path)
        except BaseException:
            walk.close()
            raise
        self._walk.close()
        self._walk = walk
        return True

    def _following(self) -> list[Path]:
        files = segment_files(self.directory, self._disk)
        return [file for file in files if file.name > self._walk.path.name]

    def _open_following(self) -> Walk:
        return self._open(self._following()[0])

    def _is_gone(self) -> bool:
        return self._walk.path not in segment_files(self.directory, self._disk)

    def _open(self, file: Path) -> Walk:
        return Walk.open(file, keys=self._keys, structure=self._structure, disk=self._disk)

    def _was_replaced(self) -> bool:
        """An empty segment that is now another file under its name; goes on with that one."""
        mine = self._walk.path
        if self._walk.sequence != self._walk.header.first_sequence:
            return False
        walk = self._open(mine)
        old, new = self._walk.header, walk.header
        if old == new or (old.identity, old.number, old.chain) != (
            new.identity, new.number, new.chain,
        ):  # fmt: skip
            walk.close()
            return False
        self._walk.close()
        self._walk = walk
        return True

    def close(self) -> None:
        self._walk.close()


def segments_of(path: str | os.PathLike[str], disk: Disk = DISK) -> list[int]:
    """The first sequence of each segment, oldest first; LogError without a log."""
    return [named_sequence(file) for file in _there(Path(path), disk)]


def _there(directory: Path, disk: Disk) -> list[Path]:
    with refusals(directory):
        files = segment_files(directory, disk)
    if not files:
        raise LogError(f"{directory}: no journal here")
    return files


def first_sequence(path: str | os.PathLike[str], disk: Disk = DISK) -> int:
    """The first sequence that a log still holds; LogError without a log."""
    return segments_of(path, disk)[0]


def durable_end(path: str | os.PathLike[str], disk: Disk = DISK) -> int | None:
    """How far a living writer says its log is safe; None without one: all of it."""
    directory = Path(path)
    return published(directory, disk).durable if writer_alive(directory, disk) else None


def has_log(path: str | os.PathLike[str], disk: Disk = DISK) -> bool:
    """True if a directory is there and holds a journal."""
    directory = Path(path)
    with refusals(directory):
        return disk.is_dir(directory) and bool(segment_files(directory, disk))


def identity_of(path: str | os.PathLike[str], disk: Disk = DISK) -> bytes:
    """16 bytes that name the exchange whose log is in a directory; LogError without a log."""
    directory = Path(path)
    with (
        refusals(directory),
        Walk.open(_there(directory, disk)[-1], structure=True, disk=disk) as walk,
    ):
        return walk.header.identity


def writer_alive(directory: Path, disk: Disk = DISK) -> bool:
    """True while a process has the log open for appending."""
    with refusals(directory):
        try:
            fd = disk.open(directory / LOCK_NAME, READ)
        except (FileNotFoundError, NotAFile):
            return False
        try:
            return not disk.lock(fd, shared=True)
        finally:
            disk.close(fd)
