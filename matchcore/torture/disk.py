"""A simulated disk: what programs see (live) and what a power cut leaves (durable).

A write changes the live plane only.  A sync carries the file's writes to the durable plane, a
directory sync the names.  A power cut keeps, of what was not synced, any set of sectors and any
set of names: each sector as it was after any of the writes to it, each name likewise.  Sizes
change in order, as journalled file systems keep them.  A process that dies leaves both planes.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..journal.disk import NotAFile

#: What can happen at an operation that changes something.  The first four are crashes.
POWER_BEFORE, POWER_AFTER, DEATH_BEFORE, DEATH_AFTER = (
    "power-before", "power-after", "death-before", "death-after",
)  # fmt: skip
#: It says no; no room, or room for a part; from there on every sync says yes and does nothing.
EIO, ENOSPC, LIE = "eio", "enospc", "lie"
CRASHES = (POWER_BEFORE, POWER_AFTER, DEATH_BEFORE, DEATH_AFTER)
KINDS = (*CRASHES, EIO, ENOSPC, LIE)
OPERATION_SECONDS = 0.001  # what each of them takes


class Crash(BaseException):
    """The machine or the process is gone.  Nothing in the product may catch this and go on."""


class Fault(NamedTuple):
    """``at``: operations that change something are counted from 1 over the disk's whole life."""

    at: int
    kind: str


class Write(NamedTuple):
    offset: int
    data: bytes


class Resize(NamedTuple):
    size: int


@dataclass(eq=False)
class File:
    """``pending``: what live has and durable may not have, in order."""

    live: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Write | Resize] = field(default_factory=list)

    def change(self, change: Write | Resize) -> None:
        _apply(self.live, change)
        self.pending.append(change)

    def settle(self) -> None:
        """All that is pending reaches the disk; what a failed sync has lost does not."""
        for change in self.pending:
            _apply(self.durable, change)
        self.pending.clear()

    def tear(self, dice: random.Random, sector: int) -> None:
        """A part of what is pending reaches the disk; the rest is gone from both planes."""
        count = len(self.pending)
        kept = dice.choice((0, count, dice.randint(0, count)))  # resizes that happened
        sizes = [len(self.durable)]
        for change in self.pending[:kept]:
            size = change.size if isinstance(change, Resize) else change.offset + len(change.data)
            sizes.append(size if isinstance(change, Resize) else max(size, sizes[-1]))
        size = sizes[-1]
        many = dice.choice((0.0, 1.0, 0.5, dice.random()))  # of the sectors
        torn = bytearray(size)
        torn[: min(size, len(self.durable))] = self.durable[:size]
        for start in self._touched(sector):
            cut = dice.randint(1, count) if dice.random() < many else 0
            end = min(start + sector, size)
            if start < end:
                torn[start:end] = self._sector(start, end, cut, kept)
        self.live, self.durable = torn, bytearray(torn)
        self.pending.clear()

    def _touched(self, sector: int) -> list[int]:
        """Starts of the sectors that something pending is about."""
        starts: set[int] = set()
        longest = len(self.durable)
        for change in self.pending:
            if isinstance(change, Write):
                end = change.offset + len(change.data)
                longest = max(longest, end)
                first = change.offset - change.offset % sector
                starts.update(range(first, end, sector))
            else:
                first = change.size - change.size % sector
                starts.update(range(first, longest, sector))
        return sorted(starts)

    def _sector(self, start: int, end: int, cut: int, kept: int) -> bytes:
        """Bytes of a sector that saw the first `cut` changes, in a file that saw `kept` sizes.

        A write beyond a size that did not come to be is in no file; one before a cut that did is
        gone.
        """
        data = bytearray(end - start)
        old = self.durable[start:end]
        data[: len(old)] = old
        for number, change in enumerate(self.pending, 1):
            if isinstance(change, Write):
                if number <= cut:
                    low = max(start, change.offset)
                    high = min(end, change.offset + len(change.data))
                    if low < high:
                        at = change.offset
                        data[low - start : high - start] = change.data[low - at : high - at]
            elif number <= kept and change.size < end:
                low = max(start, change.size)
                data[low - start :] = bytes(end - low)
        return bytes(data)


def _apply(plane: bytearray, change: Write | Resize) -> None:
    if isinstance(change, Resize):
        del plane[change.size :]
        plane.extend(bytes(change.size - len(plane)))
        return
    end = change.offset + len(change.data)
    plane.extend(bytes(max(0, end - len(plane))))
    plane[change.offset : end] = change.data


Names = dict[Path, File | None]  # None: a directory
Change = dict[Path, "File | _Gone | None"]  # one operation: all of its names, or none


class _Gone:
    """A name that is no more."""


GONE = _Gone()


class SimulatedDisk:
    """A `Disk` in memory, with a plan of faults.  Everything in it follows from `seed`.

    ``sector`` bytes reach the durable plane whole or not at all.  ``room``: bytes of all files
    together, 0 for no limit.
    """

    def __init__(
        self, seed: int, faults: tuple[Fault, ...] = (), *, sector: int = 512, room: int = 0
    ) -> None:
        self.dice = random.Random(seed)
        self.faults = {fault.at: fault.kind for fault in faults}
        self.sector = sector
        self.room = room
        self.operations = 0
        self.said: list[str] = []  # what each operation was
        self.dead = ""  # the crash that ended the process
        self.lying = self.lied = False
        self.forgotten = 0  # power cuts and failed syncs: what was not synced may be gone
        self._live: Names = {Path("/"): None}
        self._durable: Names = {Path("/"): None}
        self._pending: list[Change] = []
        self._open: dict[int, File] = {}
        self._locks: dict[int, tuple[File, bool]] = {}
        self._short: set[int] = set()  # whose last write was cut short: the next says why
        self._next, self._now = 3, 10**18
        self._seconds = 0.0

    # ------------------------------------------------------------------ faults

    def _operation(self, what: str) -> str:
        """Counts an operation that changes something; returns the error it has to give."""
        self._alive()
        self.operations += 1
        self._seconds += OPERATION_SECONDS
        self.said.append(what)
        kind = self.faults.get(self.operations, "")
        if kind in (POWER_BEFORE, DEATH_BEFORE):
            self._die(kind)
        if kind == LIE:
            self.lying = True
        return kind

    def _done(self, kind: str) -> None:
        if kind in (POWER_AFTER, DEATH_AFTER):
            self._die(kind)

    def _alive(self) -> None:
        if self.dead:
            raise Crash(self.dead)

    def _die(self, kind: str) -> None:
        self.dead = kind
        raise Crash(f"{kind} operation {self.operations}, {self.said[-1]}")

    def restart(self) -> None:
        """After a crash, or a close: a new process; after a power cut, of another boot."""
        if self.dead in (POWER_BEFORE, POWER_AFTER):
            self._power_cut()
        self.dead = ""
        self._open.clear()
        self._locks.clear()
        self._short.clear()

    def cut_power(self) -> None:
        """A power cut between two operations."""
        self.dead = POWER_BEFORE
        self.restart()

    def _power_cut(self) -> None:
        self.lying = False
        self.forgotten += 1
        share = self.dice.choice((0.0, 1.0, 0.5))
        for change in self._pending:
            if self.dice.random() < share:
                _rename(self._durable, change)
        self._pending.clear()
        there = {path for path in self._durable if set(path.parents) <= set(self._durable)}
        self._durable = {path: node for path, node in self._durable.items() if path in there}
        self._live = dict(self._durable)
        for file in self.files():
            file.tear(self.dice, self.sector)

    def files(self) -> Iterator[File]:
        """Each file that has a name, by name."""
        for path in sorted(self._live):
            node = self._live[path]
            if node is not None:
                yield node

    def contents(self) -> dict[Path, bytes]:
        """Every file as programs see it now."""
        return {path: bytes(node.live) for path, node in self._live.items() if node is not None}

    def load(self, contents: dict[Path, bytes]) -> None:
        """Puts files there, durably."""
        for path, data in contents.items():
            for parent in reversed(path.parents):
                self._live.setdefault(parent, None)
            self._live[path] = File(bytearray(data), bytearray(data))
        self._durable = dict(self._live)

    # ------------------------------------------------------------------ files

    def open(self, path: Path, flags: int) -> int:
        self._alive()
        node: File | _Gone | None = self._live.get(path, GONE)
        if isinstance(node, _Gone):
            if not flags & os.O_CREAT:
                raise _error(errno.ENOENT, path)
            self._parent(path)
            kind = self._operation(f"create {path.name}")
            self._refuse(kind, 0)
            node = File()
            self._name({path: node})
            self._done(kind)
        elif node is None:
            raise NotAFile(path, "a directory")
        elif flags & os.O_EXCL:
            raise _error(errno.EEXIST, path)
        if flags & os.O_TRUNC and node.live:
            kind = self._operation(f"truncate {path.name}")
            self._refuse(kind, 0)
            node.change(Resize(0))
            self._done(kind)
        fd = self._next
        self._next += 1
        self._open[fd] = node
        return fd

    def close(self, fd: int) -> None:
        self._open.pop(fd, None)
        self._locks.pop(fd, None)
        self._short.discard(fd)

    def size(self, fd: int) -> int:
        self._alive()
        return len(self._open[fd].live)

    def pread(self, fd: int, count: int, offset: int) -> bytes:
        self._alive()
        return bytes(self._open[fd].live[offset : offset + count])

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        file = self._open[fd]
        if fd in self._short:
            self._alive()
            self._short.remove(fd)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        kind = self._operation(f"write {len(data)} bytes at {offset}")
        room = self._refuse(kind, len(data))
        grows = max(0, offset + len(data) - len(file.live))
        if self.room and grows:
            room = min(room, self.room - sum(len(each.live) for each in self.files()))
        taken = bytes(data[: max(0, len(data) - max(0, grows - room))])
        if not taken and len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if len(taken) < len(data):
            self._short.add(fd)
        file.change(Write(offset, taken))
        self._done(kind)
        return len(taken)

    def _refuse(self, kind: str, size: int) -> int:
        """Raises the planned error; returns how many new bytes there is room for."""
        if kind == EIO or (kind == ENOSPC and not size):
            code = errno.EIO if kind == EIO else errno.ENOSPC
            raise OSError(code, os.strerror(code))
        return self.dice.randrange(size) if kind == ENOSPC else 1 << 60

    def ftruncate(self, fd: int, size: int) -> None:
        file = self._open[fd]
        if len(file.live) == size:
            return
        kind = self._operation(f"truncate to {size} bytes")
        self._refuse(kind, 0)
        file.change(Resize(size))
        self._done(kind)

    def fsync(self, fd: int) -> None:
        file = self._open[fd]
        if not file.pending:
            self._alive()
            return
        self._sync("fsync", file.settle, lambda: self._lose(file))

    def fdatasync(self, fd: int) -> None:
        self.fsync(fd)

    def _sync(self, what: str, settle: Callable[[], None], lose: Callable[[], None]) -> None:
        kind = self._operation(what)
        if kind in (EIO, ENOSPC):
            lose()
            self._refuse(kind, 0)
        if self.lying:
            self.lied = True
        else:
            settle()
        self._done(kind)

    def _lose(self, file: File) -> None:
        """A failed sync: some sectors are on the disk; the others will never be written.

        Programs go on seeing them while they stay in memory, which may be long or not at all.
        """
        self.forgotten += 1
        seen = bytearray(file.live)
        file.tear(self.dice, self.sector)
        if self.dice.random() < 0.5:
            file.live = seen

    # ------------------------------------------------------------------ names

    def rename(self, source: Path, target: Path) -> None:
        kind = self._operation(f"rename to {target.name}")
        self._refuse(kind, 0)
        if source not in self._live:
            raise _error(errno.ENOENT, source)
        self._name({target: self._live[source], source: GONE})
        self._done(kind)

    def unlink(self, path: Path) -> None:
        kind = self._operation(f"unlink {path.name}")
        self._refuse(kind, 0)
        if path not in self._live:
            raise _error(errno.ENOENT, path)
        self._name({path: GONE})
        self._done(kind)

    def is_dir(self, path: Path) -> bool:
        self._alive()
        return self._live.get(path, GONE) is None

    def make_directory(self, path: Path) -> None:
        self._parent(path)
        kind = self._operation(f"mkdir {path.name}")
        self._refuse(kind, 0)
        self._name({path: None})
        self._done(kind)

    def names(self, directory: Path) -> list[str]:
        self._parent(directory / "any")
        names = [path.name for path in self._live if path.parent == directory != path]
        self.dice.shuffle(names)
        return names

    def sync_directory(self, directory: Path) -> None:
        self._parent(directory / "any")
        ours = [change for change in self._pending if next(iter(change)).parent == directory]

        def settle() -> None:
            for change in ours:
                _rename(self._durable, change)
            lose()

        def lose() -> None:
            self._pending = [change for change in self._pending if change not in ours]

        if ours:
            self._sync(f"sync directory {directory.name}", settle, lambda: None)

    def _parent(self, path: Path) -> None:
        self._alive()
        if self._live.get(path.parent, GONE) is not None:
            raise _error(errno.ENOENT, path.parent)

    def _name(self, change: Change) -> None:
        _rename(self._live, change)
        self._pending.append(change)

    # ------------------------------------------------------------------ the rest

    def lock(self, fd: int, *, shared: bool = False) -> bool:
        self._alive()
        file = self._open[fd]
        for other, (held, is_shared) in self._locks.items():
            if held is file and other != fd and not (shared and is_shared):
                return False
        self._locks[fd] = file, shared
        return True

    def clock(self) -> int:
        self._now += 1
        return self._now

    def monotonic(self) -> float:
        return self._seconds

    def wait(self, seconds: float) -> None:
        """Time in which nobody asks the disk for anything."""
        self._seconds += seconds

    def random(self, count: int) -> bytes:
        return self.dice.randbytes(count)


def _rename(names: Names, change: Change) -> None:
    for path, node in change.items():
        if isinstance(node, _Gone):
            names.pop(path, None)
        else:
            names[path] = node


def _error(code: int, path: Path) -> OSError:
    return OSError(code, os.strerror(code), str(path))
