"""Segment files on a disk: their names, the walk through their frames, and what a bad one means.

Nothing here writes.  A writer's recovery, followers and `verify` all walk with `Walk`.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from .._closing import Closing
from ..errors import LogDamaged
from .crypto.hashes import HASHES, Bytes
from .crypto.keys import ENCRYPTED_BYTES, FileCipher, Keys, unlock
from .disk import DISK, READ, WRITE, Disk, NotAFile, read_all
from .format import (
    ALIGNMENT,
    FILE_BYTES_MAX,
    FILL,
    FRAME_MAGIC,
    HEADER_BYTES,
    NOTHING,
    SECTOR_BYTES,
    BadBytes,
    FrameHeader,
    Payload,
    SegmentHeader,
)
from .notes import where

T = TypeVar("T")

_NAME = re.compile(r"journal-(\d{20})\.mcj")
_MAGIC = FRAME_MAGIC.to_bytes(4, "little")
_BLOCK = 1 << 20
_STARTS = 64  # frames that may wait for one that says they are on disk
TAIL_BYTES = 8  # zeros at the end of a frame: a write cut off, more than a byte gone bad


class Position(NamedTuple):
    """A place in a log: ``epoch`` of the writer and ``sequence`` of the last command."""

    epoch: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One appended batch, verified.

    ``time``: of the append, nanoseconds; ``chain``: digest of everything up to and with it.
    ``rules``: 0, or the version of the rules that its one command, UPGRADE_RULES, changes to.
    ``under``: the version in force before its first command.
    A walk through the structure only, of an encrypted segment, gives no commands, but ``count``.
    """

    epoch: int
    first_sequence: int
    count: int
    time: int
    payload: Payload
    chain: bytes
    path: str
    offset: int
    rules: int = 0
    under: int = 1

    @property
    def commands(self) -> NDArray[np.void]:
        """`COMMAND` array, read-only or a fresh one.  Unpacked each time: whoever does not ask
        does not pay, and whoever does finds it in his own cache."""
        return self.payload.commands()

    def unpack(self, room: NDArray[np.void]) -> None:
        """Writes the commands into a `COMMAND` array of that length."""
        self.payload.unpack(room)


def segment_path(directory: Path, first_sequence: int) -> Path:
    return directory / f"journal-{first_sequence:020d}.mcj"


def segment_files(directory: Path, disk: Disk = DISK) -> list[Path]:
    """The segments of a directory, oldest first."""
    return [directory / name for name in sorted(disk.names(directory)) if _NAME.fullmatch(name)]


def named_sequence(file: Path) -> int:
    """The first sequence that a segment's name promises."""
    match = _NAME.fullmatch(file.name)
    assert match is not None, file
    return int(match[1])


@dataclass
class Walk(Closing):
    """Goes through the frames of one segment, checking each against the chain.

    `next()` gives the next data frame, or None with `problem` empty at the end of what is
    written and saying what is wrong otherwise.  Seals are passed over.  Without a `cipher` an
    encrypted segment is checked against the chain, and not looked into.
    """

    path: Path
    header: SegmentHeader
    fd: int
    disk: Disk
    offset: int = HEADER_BYTES  # of the next frame
    sequence: int = 0  # next one expected
    epoch: int = 0
    chain: bytes = b""
    rules: int = 1  # in force for the next command
    durable: int = 0  # the highest that any frame says
    certain: int = HEADER_BYTES  # offset before which a later frame says all was on disk
    frames: int = 0
    problem: str = ""
    bad: FrameHeader | None = field(default=None)  # header of the bad frame, if it is readable
    whole: bool = False  # the bad frame is what its writer wrote: the chain says so
    cipher: FileCipher | None = field(default=None, repr=False)
    #: is given each good frame as it is, seals too, with the version of the rules before it
    raw: Callable[[bytes, int], object] | None = None
    _starts: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_STARTS))

    @classmethod
    def open(
        cls,
        file: Path,
        *,
        writable: bool = False,
        keys: Keys | None = None,
        structure: bool = False,
        disk: Disk = DISK,
    ) -> Walk:
        """Reads a segment's header; `LogDamaged` when it is not one, or not the name's.

        `KeyRefused` for an encrypted one without its key, unless only the `structure` is wanted.
        """
        cipher = None
        try:
            fd = disk.open(file, WRITE if writable else READ)
        except NotAFile as error:
            what = f"{error.kind} where a segment should be"
            raise LogDamaged(what, str(file), 0, named_sequence(file)) from None
        except FileNotFoundError:
            raise LogDamaged("this segment is gone", str(file), 0, named_sequence(file)) from None
        try:
            if (size := disk.size(fd)) > FILE_BYTES_MAX:
                raise BadBytes(f"{size} bytes, more than a segment can have")
            header = SegmentHeader.from_bytes(read_all(disk, fd, HEADER_BYTES, 0))
            if header.first_sequence != named_sequence(file):
                raise BadBytes(f"this segment begins with sequence {header.first_sequence}")
            if not structure:
                cipher = unlock(keys, header.encryption, header.hash, header.derived_from, file)
        except BaseException as error:
            disk.close(fd)
            if isinstance(error, BadBytes):
                raise LogDamaged(str(error), str(file), 0, named_sequence(file)) from None
            raise
        walk = cls(file, header, fd, disk, cipher=cipher)
        walk.sequence, walk.epoch = header.first_sequence, header.epoch
        walk.chain, walk.rules = header.chain, header.rules
        return walk

    def next(self) -> Frame | None:
        while True:
            read = self._read()
            if read is None:
                return None
            header, payload = read
            offset, first = self.offset, self.sequence
            try:
                held = self._held(header, payload)
            except BadBytes as error:  # the chain was right: whoever wrote it was wrong
                self.problem, self.whole = str(error), True
                return None
            self.offset += header.frame_bytes
            self.sequence += header.count
            self.epoch = header.epoch
            self.durable = max(self.durable, header.durable)
            self._starts.append((first, offset))
            while self._starts and self._starts[0][0] <= self.durable + 1:
                self.certain = self._starts.popleft()[1]
            self.frames += 1
            if self.raw is not None:
                self.raw(read_all(self.disk, self.fd, header.frame_bytes, offset), self.rules)
            if header.count:  # a seal is checked, but the chain goes on without it
                self.chain = header.chain
                under, self.rules = self.rules, header.rules or self.rules
                return Frame(
                    header.epoch, first, header.count, header.time, held, header.chain,
                    str(self.path), offset, header.rules, under,
                )  # fmt: skip

    def _held(self, header: FrameHeader, payload: Bytes) -> Payload:
        """What a frame holds; nothing of an encrypted one without its key."""
        if self.header.encryption.cipher:
            if self.cipher is None:
                if len(payload) < ENCRYPTED_BYTES:
                    raise BadBytes(f"{len(payload)} bytes are not an encrypted payload")
                return NOTHING
            try:
                payload = self.cipher.decrypt(payload, self.chain + header.fixed())
            except ValueError as error:
                raise BadBytes(str(error)) from None
        return Payload.checked(header.codec, payload, header.count)

    def _read(self) -> tuple[FrameHeader, Bytes] | None:
        self.problem, self.bad, self.whole = "", None, False
        data = read_all(self.disk, self.fd, HEADER_BYTES, self.offset)
        if not data.strip(b"\0"):
            return None
        try:
            header = FrameHeader.from_bytes(data)
            self.bad = header
            size = header.frame_bytes - HEADER_BYTES
            # all of it: a read that fails half-way gives what it has, and tells why the next one
            rest = read_all(self.disk, self.fd, size, self.offset + HEADER_BYTES)
            payload = memoryview(rest)[: header.payload_bytes]  # no copy: commands stand on it
            fill = rest[header.payload_bytes :]
            if len(rest) != size:
                raise BadBytes("frame cut off")
            if header.first_sequence != self.sequence or header.epoch < self.epoch:
                raise BadBytes(f"frame of sequence {header.first_sequence}, epoch {header.epoch}")
            chain = header.chain_after(self.chain, payload, self.header.hash)
            if fill != FILL * len(fill) or chain != header.chain:
                raise BadBytes("frame whose digest does not match its bytes")
        except BadBytes as error:
            self.problem = str(error)
            return None
        self.bad = None
        return header, payload

    def trailing_problem(self) -> str:
        """What is wrong where the frames end: `problem`, or bytes behind the zeros there."""
        if not self.problem and self._last_nonzero() is not None:
            self.problem = "bytes after the end of the log"
        return self.problem

    def can_be_torn(self) -> bool:
        """True if the bad frame here can be the last write of a crash, which nobody was told of.

        It cannot when a later frame says that this place was on disk already, or when all of
        its sectors are there: a tear leaves at least one of them unwritten, which is zeros, or
        the end of the frame, which never is zeros otherwise.
        """
        if self.whole:
            return False
        last = self._last_nonzero()
        size = max(HEADER_BYTES + TAIL_BYTES, 0 if last is None else last + 1 - self.offset)
        extent = size if self.bad is None else self.bad.frame_bytes
        # What looks like a header inside a frame that says how long it is comes from a client.
        behind = self.offset + (HEADER_BYTES if self.bad is None else extent)
        later = headers_in(self.disk, self.fd, behind, self.offset + max(size, extent))
        if any(header.durable >= self.sequence for _, header in later):
            return False
        end = self.offset + extent
        if self.size() < end or _ends_in_zeros(self.disk, self.fd, end):
            return True
        return any(
            not piece[at : at + SECTOR_BYTES - (begin + at) % SECTOR_BYTES].strip(b"\0")
            for begin, piece in _blocks(self.disk, self.fd, self.offset, end)
            for at in (0, *range(-begin % SECTOR_BYTES or SECTOR_BYTES, len(piece), SECTOR_BYTES))
        )

    def _last_nonzero(self) -> int | None:
        """Offset of the last byte that is not zero at or behind the next frame's place."""
        at = self.size()
        while at > self.offset:
            begin = max(self.offset, at - _BLOCK)
            kept = read_all(self.disk, self.fd, at - begin, begin).rstrip(b"\0")
            if kept:
                return begin + len(kept) - 1
            at = begin
        return None

    def size(self) -> int:
        """Bytes of the file now."""
        return self.disk.size(self.fd)

    def damage(self, what: str = "") -> LogDamaged:
        """The error that names this place."""
        return LogDamaged(what or self.problem, str(self.path), self.offset, self.sequence)

    def close(self) -> None:
        if self.fd >= 0:
            self.disk.close(self.fd)
            self.fd = -1


def _blocks(disk: Disk, fd: int, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The bytes between two offsets in pieces that begin with a sector, but for the first."""
    while begin < end:
        size = min(_BLOCK - begin % SECTOR_BYTES, end - begin)
        piece = disk.pread(fd, size, begin)
        if not piece:
            return
        yield begin, piece
        begin += len(piece)


def _ends_in_zeros(disk: Disk, fd: int, end: int) -> bool:
    return not read_all(disk, fd, TAIL_BYTES, end - TAIL_BYTES).strip(b"\0")


def headers_in(disk: Disk, fd: int, begin: int, end: int) -> Iterator[tuple[int, FrameHeader]]:
    """What looks like a frame header between two offsets, which may come from a client; and
    the offset of each."""
    kept = b""
    for start, piece in _blocks(disk, fd, begin, end):
        data, first = kept + piece, start - len(kept)
        at = -1
        while (at := data.find(_MAGIC, at + 1)) >= 0:
            if (first + at) % ALIGNMENT == 0:
                with suppress(BadBytes):
                    yield first + at, FrameHeader.from_bytes(data, at)
        kept = data[1 - HEADER_BYTES :]


def header_of(file: Path, disk: Disk = DISK) -> SegmentHeader:
    with Walk.open(file, structure=True, disk=disk) as walk:
        return walk.header


def headers_of(directory: Path, disk: Disk = DISK) -> list[tuple[Path, SegmentHeader]]:
    """The segments of a log, oldest first, and what they say of themselves."""
    return begun_anew(
        directory,
        lambda: [(file, header_of(file, disk)) for file in segment_files(directory, disk)],
        disk,
    )


def begun_anew(directory: Path, read: Callable[[], T], disk: Disk = DISK) -> T:
    """What `read` gives, which begins anew if segments are archived under its hands.

    They leave at the log's front: as often as that moves, and it only moves forward.
    """
    while True:
        begins = segment_files(directory, disk)[:1]
        try:
            return read()
        except LogDamaged:
            if segment_files(directory, disk)[:1] == begins:
                raise


def check_order(headers: list[tuple[Path, SegmentHeader]]) -> None:
    """`LogDamaged` unless the segments are of one exchange and follow each other by number."""
    for (_, before), (file, header) in pairwise(headers):
        where = str(file), 0, header.first_sequence
        if header.identity != before.identity:
            raise LogDamaged("a segment of another exchange", *where)
        if header.hash != before.hash:
            raise LogDamaged(
                f"a segment with hash {HASHES[header.hash]} after {HASHES[before.hash]}", *where
            )
        if header.number != before.number + 1:
            raise LogDamaged(f"segment number {header.number} after number {before.number}", *where)


def begins_late(file: Path, begins: int, needed: int) -> LogDamaged:
    """The error for a log whose first segment is not early enough."""
    return LogDamaged(
        f"the log begins with sequence {begins}, but {needed} is needed: restore the segments"
        " before it, or a snapshot that reaches it" + where(file.parent, needed),
        str(file), 0, needed,
    )  # fmt: skip


def check_snapshot(directory: Path, walk: Walk, sequence: int, chain: bytes) -> None:
    """`LogDamaged` unless a walk stands where a snapshot was taken, with the same past."""
    if walk.sequence <= sequence:
        raise LogDamaged("the log ends before its snapshot", str(directory), 0, sequence)
    if walk.sequence != sequence + 1 or walk.chain != chain:
        what = "the log and its snapshot have different histories"
        raise LogDamaged(what, str(directory), 0, sequence)


def check_follows(walk: Walk, header: SegmentHeader, file: Path) -> None:
    """`LogDamaged` unless a segment goes on where a finished walk through its predecessor ended."""
    if walk.trailing_problem():
        raise walk.damage()
    check_continues(walk.sequence, walk.chain, walk.rules, header, file)


def check_continues(
    sequence: int, chain: bytes, rules: int, header: SegmentHeader, file: Path
) -> None:
    """`LogDamaged` unless a segment begins where, and with what, the one before it ended."""
    if header.first_sequence != sequence or header.chain != chain:
        raise LogDamaged(
            "this segment does not continue the one before it", str(file), 0, header.first_sequence
        )
    if header.rules != rules:
        raise LogDamaged(
            f"this segment begins under version {header.rules} of the rules, and the one before it"
            f" ended under version {rules}", str(file), 0, header.first_sequence,
        )  # fmt: skip
