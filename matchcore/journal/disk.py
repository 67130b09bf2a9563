"""What logs and snapshots ask of the operating system, in one place.

Nothing on this floor touches a file but through a `Disk`: the fault bench puts one in its place
that tears, loses and refuses.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from ..errors import LogFailed, LogLocked

UNBORN_SUFFIX = ".unborn"
READ, WRITE, CREATE = os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_CREAT
NEW = CREATE | os.O_EXCL
LOCK_NAME = "lock"
LOCK_TRIES, LOCK_WAIT_SECONDS = 20, 0.01  # a reader's look at the lock must not keep a writer out
PIECE_BYTES = 64 << 20  # the system takes and gives less than 2 GiB at once


KINDS = {
    stat.S_IFIFO: "a named pipe", stat.S_IFDIR: "a directory", stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a symbolic link", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
}  # fmt: skip


class NotAFile(OSError):
    """Something else has the name of a file.  ``kind``: what it is."""

    def __init__(self, path: Path, kind: str) -> None:
        super().__init__(f"{path} is {kind}, not a file")
        self.kind = kind


def kind_of(about: os.stat_result) -> str:
    """What something is that is not a regular file; "" for one."""
    return KINDS.get(stat.S_IFMT(about.st_mode), "")


@contextmanager
def refusals(directory: Path) -> Iterator[None]:
    """Turns an OSError inside into `LogFailed` with the path and the system's reason."""
    try:
        yield
    except OSError as error:
        raise LogFailed(f"{directory}: {error}") from error


class Disk(Protocol):
    """Calls as `os` has them, with its errors; paths are files of one exchange directory."""

    def open(self, path: Path, flags: int) -> int:
        """A descriptor of a regular file; `NotAFile` for anything else, without waiting for it.

        A link is followed to read, and never to write.
        """
        ...

    def close(self, fd: int) -> None: ...
    def size(self, fd: int) -> int: ...
    def pread(self, fd: int, count: int, offset: int) -> bytes: ...
    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int: ...
    def ftruncate(self, fd: int, size: int) -> None: ...
    def fsync(self, fd: int) -> None: ...
    def fdatasync(self, fd: int) -> None: ...
    def rename(self, source: Path, target: Path) -> None: ...
    def unlink(self, path: Path) -> None: ...
    def is_dir(self, path: Path) -> bool: ...
    def make_directory(self, path: Path) -> None:
        """Its parent is there; durable after `sync_directory` of that."""

    def names(self, directory: Path) -> list[str]:
        """In any order."""
        ...

    def sync_directory(self, directory: Path) -> None:
        """Makes the names in a directory durable."""

    def lock(self, fd: int, *, shared: bool = False) -> bool:
        """Takes a lock that dies with the descriptor, if nobody is in the way; never waits."""
        ...

    def clock(self) -> int:
        """Nanoseconds since 1970."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow, from anywhere."""
        ...

    def random(self, count: int) -> bytes:
        """Bytes that no other exchange has."""
        ...


class SystemDisk:
    """The real one.  Looks `os` up at each call."""

    def open(self, path: Path, flags: int) -> int:
        safe = flags | os.O_NONBLOCK | os.O_CLOEXEC
        if flags & os.O_ACCMODE != os.O_RDONLY:
            safe |= os.O_NOFOLLOW
        try:
            fd = os.open(path, safe, 0o644)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENOENT):
                raise
            kind = ""
            with suppress(OSError):
                kind = kind_of(os.lstat(path))
            if kind:
                raise NotAFile(path, kind) from None
            raise
        if kind := kind_of(os.fstat(fd)):
            os.close(fd)
            raise NotAFile(path, kind)
        return fd

    def close(self, fd: int) -> None:
        os.close(fd)

    def size(self, fd: int) -> int:
        return os.fstat(fd).st_size

    def pread(self, fd: int, count: int, offset: int) -> bytes:
        return os.pread(fd, count, offset)

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        return os.pwrite(fd, data, offset)

    def ftruncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def fsync(self, fd: int) -> None:
        os.fsync(fd)

    def fdatasync(self, fd: int) -> None:
        os.fdatasync(fd)

    def rename(self, source: Path, target: Path) -> None:
        os.rename(source, target)

    def unlink(self, path: Path) -> None:
        os.unlink(path)

    def is_dir(self, path: Path) -> bool:
        return path.is_dir()

    def make_directory(self, path: Path) -> None:
        path.mkdir(exist_ok=True)

    def names(self, directory: Path) -> list[str]:
        return os.listdir(directory)

    def sync_directory(self, directory: Path) -> None:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def lock(self, fd: int, *, shared: bool = False) -> bool:
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def clock(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()

    def random(self, count: int) -> bytes:
        return os.urandom(count)


DISK: Disk = SystemDisk()


def read_all(disk: Disk, fd: int, size: int, offset: int) -> bytes:
    """`size` bytes from an offset, fewer at the end of the file."""
    parts = []
    while size > 0 and (part := disk.pread(fd, min(size, PIECE_BYTES), offset)):
        parts.append(part)
        size -= len(part)
        offset += len(part)
    return b"".join(parts)


def write_all(disk: Disk, fd: int, data: bytes | memoryview, offset: int) -> None:
    """All of it, or OSError: what a short write left is written again, to hear the reason."""
    view, at = memoryview(data), 0
    while at < len(view):
        written = disk.pwrite(fd, view[at : at + PIECE_BYTES], offset + at)
        if not written:
            raise OSError(f"{at} of {len(view)} bytes were written; the system reported no error")
        at += written


def make_directories(disk: Disk, directory: Path) -> None:
    """Makes a directory and those above it, durably, where they are not there."""
    way = directory.absolute()
    for missing in reversed([each for each in (way, *way.parents) if not disk.is_dir(each)]):
        disk.make_directory(missing)
        disk.sync_directory(missing.parent)


def give_birth(disk: Disk, file: Path, parts: Iterable[bytes | memoryview]) -> int:
    """Makes a file that is there durably and whole, or not at all; returns its descriptor.

    An OSError names the file.
    """
    unborn = file.with_suffix(UNBORN_SUFFIX)
    fd, at = -1, 0
    try:
        fd = _anew(disk, unborn)
        for part in parts:
            write_all(disk, fd, part, at)
            at += len(part)
        disk.fsync(fd)
        disk.rename(unborn, file)
        disk.sync_directory(file.parent)
    except BaseException as error:
        if fd >= 0:
            disk.close(fd)
        if isinstance(error, OSError):
            if error.errno and not error.filename:  # as with calls on a descriptor
                error.filename = str(unborn)
            with suppress(OSError):
                disk.unlink(unborn)
        raise
    return fd


def _anew(disk: Disk, file: Path) -> int:
    """A new file; one that a crash left is removed first, and a link is not followed."""
    try:
        return disk.open(file, NEW)
    except FileExistsError:
        disk.unlink(file)
        return disk.open(file, NEW)


def remove_unborn(disk: Disk, directory: Path, stem: str) -> None:
    """Removes what crashes left half-written of the files whose names begin with `stem`."""
    for name in disk.names(directory):
        if name.startswith(stem) and name.endswith(UNBORN_SUFFIX):
            disk.unlink(directory / name)


def take_lock(directory: Path, disk: Disk = DISK) -> int:
    """The descriptor of the held lock, which dies with the process; `LogLocked` if taken."""
    with refusals(directory):
        fd = disk.open(directory / LOCK_NAME, CREATE)
        try:
            for _ in range(LOCK_TRIES):
                if disk.lock(fd):
                    with suppress(OSError):  # for the message below only: a full disk is no reason
                        disk.ftruncate(fd, 0)
                        disk.pwrite(fd, f"{os.getpid():10}\n".encode(), 0)
                    return fd
                time.sleep(LOCK_WAIT_SECONDS)
            owner = disk.pread(fd, 32, 0).decode("ascii", "replace").strip()
        except BaseException:
            disk.close(fd)
            raise
    disk.close(fd)
    raise LogLocked(
        f"{directory} is open for writing in process {owner or 'unknown'}: close it there"
    )
