"""Snapshots: one file holding a whole state, written aside, synced, then renamed into place.

A snapshot is only a shortcut: recovery reads the newest good one and then the log behind it,
and does without when none is good.  The payload is opaque here.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import lz4.frame

from .errors import LogFailed, LogLocked, SnapshotDamaged
from .journal.disk import (
    CREATE,
    DISK,
    READ,
    UNBORN_SUFFIX,
    Disk,
    give_birth,
    read_all,
    remove_unborn,
)

MAGIC = b"MCSNAP\x00\x01"
VERSION = 1
#: magic, version, header bytes, 0, identity, sequence, epoch, chain, raw bytes, stored bytes,
#: zeros; then CRC-32 of all that.  The SHA-256 of the raw payload follows, then the payload.
_HEADER = struct.Struct("<8sHHI16sQQ32sQQ28s")
_CRC = struct.Struct("<I")
HEADER_BYTES = _HEADER.size + _CRC.size
DIGEST_BYTES = 32
RAW_BYTES_MAX = 1 << 40
LOCK_NAME = "snapshot-lock"
_NAME = re.compile(r"snapshot-(\d{20})\.mcs")
assert HEADER_BYTES == 128


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``payload``: the bytes of a `State`; ``chain``: the log's digest at ``sequence``."""

    sequence: int
    epoch: int
    chain: bytes
    identity: bytes
    payload: bytes


def write(
    directory: Path,
    *,
    sequence: int,
    epoch: int,
    chain: bytes,
    identity: bytes,
    payload: bytes,
    disk: Disk = DISK,
) -> Path:
    """Writes a snapshot, durable when this returns.  `LogFailed` if the disk refuses; the log
    itself is not touched by that."""
    stored = lz4.frame.compress(payload)
    head = _HEADER.pack(
        MAGIC, VERSION, HEADER_BYTES, 0, identity, sequence, epoch, chain,
        len(payload), len(stored), bytes(28),
    )  # fmt: skip
    file = path_of(directory, sequence)
    digest = hashlib.sha256(payload).digest()
    try:
        disk.close(give_birth(disk, file, [head + _CRC.pack(zlib.crc32(head)) + digest, stored]))
    except OSError as error:
        with suppress(OSError):
            disk.unlink(file.with_suffix(UNBORN_SUFFIX))
        raise LogFailed(
            f"snapshot {file} was not written: {error}; the log is not affected"
        ) from error
    return file


def read(file: Path, disk: Disk = DISK) -> Snapshot:
    """Reads and checks a snapshot; `SnapshotDamaged` when it is not what was written."""
    try:
        fd = disk.open(file, READ)
        try:
            head = disk.pread(fd, HEADER_BYTES, 0)
            digest = disk.pread(fd, DIGEST_BYTES, HEADER_BYTES)
            size = disk.size(fd)
            if len(head) + len(digest) < HEADER_BYTES + DIGEST_BYTES:
                raise SnapshotDamaged(f"{file}: {size} bytes are no snapshot")
            fields = _checked(file, head, size)
            stored = read_all(disk, fd, size, HEADER_BYTES + DIGEST_BYTES)
        finally:
            disk.close(fd)
    except OSError as error:
        raise SnapshotDamaged(f"{file}: {error}") from None
    sequence, epoch, chain, identity, raw_bytes = fields
    payload = _decompress(file, stored, raw_bytes)
    if hashlib.sha256(payload).digest() != digest:
        raise SnapshotDamaged(f"{file}: the payload is not what was written")
    return Snapshot(sequence, epoch, chain, identity, payload)


def _checked(file: Path, head: bytes, size: int) -> tuple[int, int, bytes, bytes, int]:
    (magic, version, header, zero, identity, sequence, epoch, chain, raw_bytes, stored_bytes,
     zeros) = _HEADER.unpack_from(head)  # fmt: skip
    if magic[:6] != MAGIC[:6]:
        raise SnapshotDamaged(f"{file}: not a snapshot")
    if _CRC.unpack_from(head, _HEADER.size)[0] != zlib.crc32(head[: _HEADER.size]):
        raise SnapshotDamaged(f"{file}: header with a wrong checksum")
    if version != VERSION or magic != MAGIC:
        raise SnapshotDamaged(f"{file}: version {version}; this matchcore reads {VERSION}")
    match = _NAME.fullmatch(file.name)
    if header != HEADER_BYTES or zero or any(zeros) or not match or int(match[1]) != sequence:
        raise SnapshotDamaged(f"{file}: header of sequence {sequence} does not fit the file")
    if size != HEADER_BYTES + DIGEST_BYTES + stored_bytes or raw_bytes > RAW_BYTES_MAX:
        raise SnapshotDamaged(f"{file}: {size} bytes, not what the header says")
    return sequence, epoch, chain, identity, raw_bytes


def _decompress(file: Path, stored: bytes, raw_bytes: int) -> bytes:
    """At most raw_bytes come out, whatever the frame claims."""
    try:
        with lz4.frame.LZ4FrameDecompressor() as unpacker:
            payload: bytes = unpacker.decompress(stored, max_length=raw_bytes)
            whole = unpacker.eof or (not unpacker.needs_input and len(payload) == raw_bytes)
            surplus = unpacker.unused_data
    except RuntimeError as error:
        raise SnapshotDamaged(f"{file}: {error}") from None
    if len(payload) != raw_bytes or not whole or surplus:
        raise SnapshotDamaged(f"{file}: {len(payload)} of {raw_bytes} bytes")
    return payload


def listing(directory: Path, disk: Disk = DISK) -> list[Path]:
    """The snapshot files of a directory, newest first, good or not."""
    if not disk.is_dir(directory):
        return []
    names = [name for name in disk.names(directory) if _NAME.fullmatch(name)]
    return [directory / name for name in sorted(names, reverse=True)]


def prune(directory: Path, *, keep: int, disk: Disk = DISK) -> None:
    """Removes all but the newest `keep` snapshots, and what crashes left half-written."""
    for file in listing(directory, disk)[keep:]:
        disk.unlink(file)
    remove_unborn(disk, directory, "snapshot-")


def path_of(directory: Path, sequence: int) -> Path:
    return directory / f"snapshot-{sequence:020d}.mcs"


def sequence_of(file: Path) -> int:
    """What the name of a snapshot promises."""
    match = _NAME.fullmatch(file.name)
    assert match is not None, file
    return int(match[1])


@contextmanager
def turn(directory: Path, disk: Disk = DISK) -> Iterator[None]:
    """One process at a time writes snapshots into a directory, or takes its log apart;
    `LogLocked` for a second one.  The lock dies with its process."""
    try:
        fd = disk.open(directory / LOCK_NAME, CREATE)
    except OSError as error:
        raise LogFailed(f"{directory}: no snapshot: {error}; the log is not affected") from error
    try:
        if not disk.lock(fd):
            raise LogLocked(f"{directory}: another process is writing a snapshot here")
        yield
    finally:
        disk.close(fd)
