"""Snapshots: one file holding a whole state, written aside, synced, then renamed into place.

A snapshot is only a shortcut: recovery reads the newest good one and then the log behind it,
and does without when none is good.  The payload is opaque here.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import lz4.frame

from ..errors import LogFailed, LogLocked, SnapshotDamaged
from .crypto.hashes import HASHES, SHA256, Bytes, hash_maker
from .crypto.keys import (
    DERIVED_OFFSET,
    ENCRYPTED_BYTES,
    NONCE_BYTES,
    PLAIN,
    Encryption,
    Keys,
    unlock,
)
from .disk import (
    CREATE,
    DISK,
    PIECE_BYTES,
    READ,
    Disk,
    NotAFile,
    give_birth,
    read_all,
    refusals,
    remove_unborn,
)

MAGIC = b"MCSNAP\x00\x01"
VERSIONS = (1, 2)  # what is read; the last is written
#: magic, version, header bytes, hash, cipher, 0, identity, sequence, epoch, chain, raw bytes,
#: stored bytes, encryption; then CRC-32 of all that.  The digest of the stored payload follows
#: (in version 1 of the raw one, unless it is encrypted), then the payload.
_HEADER = struct.Struct("<8sHHBBH16sQQ32sQQ28s")
_CRC = struct.Struct("<I")
HEADER_BYTES = _HEADER.size + _CRC.size
DIGEST_BYTES = 32
RAW_BYTES_MAX = 1 << 40
RATIO_MAX = 255  # what LZ4 makes of a byte
STEP_BYTES = 16 << 20  # unpacked at once: a size in a header is believed step by step
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


@dataclass(frozen=True, slots=True)
class _Header:
    sequence: int
    epoch: int
    chain: bytes
    identity: bytes
    raw_bytes: int
    stored_bytes: int
    hash: int = SHA256
    encryption: Encryption = PLAIN
    version: int = VERSIONS[-1]

    @property
    def digests_stored(self) -> bool:
        """True if the digest is of the payload as it is stored, and not of the raw one."""
        return self.version > 1 or bool(self.encryption.cipher)

    def to_bytes(self) -> bytes:
        head = _HEADER.pack(
            MAGIC, self.version, HEADER_BYTES, self.hash, self.encryption.cipher, 0, self.identity,
            self.sequence, self.epoch, self.chain, self.raw_bytes, self.stored_bytes,
            self.encryption.to_bytes(),
        )  # fmt: skip
        return head + _CRC.pack(zlib.crc32(head))


def write(
    directory: Path,
    *,
    sequence: int,
    epoch: int,
    chain: bytes,
    identity: bytes,
    payload: bytes,
    hash: int = SHA256,
    keys: Keys | None = None,
    disk: Disk = DISK,
) -> Path:
    """Writes a snapshot, durable when this returns.  `LogFailed` if the disk refuses; the log
    itself is not touched by that.  ``hash``: its number; with ``keys`` the payload is encrypted.
    """
    stored: Bytes = lz4.frame.compress(payload)
    header = _Header(sequence, epoch, chain, identity, len(payload), len(stored), hash)
    if keys is not None:
        header, stored = _encrypted(header, stored, keys, disk)
    head = header.to_bytes() + hash_maker(hash)(stored).digest()
    file = path_of(directory, sequence)
    try:
        disk.close(give_birth(disk, file, [head, memoryview(stored)]))
    except OSError as error:
        raise LogFailed(
            f"snapshot {file} was not written: {error}; the log is not affected"
        ) from error
    return file


def _encrypted(header: _Header, stored: Bytes, keys: Keys, disk: Disk) -> tuple[_Header, Bytes]:
    said = keys.new_file(disk.random)
    header = replace(header, stored_bytes=header.stored_bytes + ENCRYPTED_BYTES, encryption=said)
    derived_from = header.to_bytes()[:DERIVED_OFFSET]
    cipher, check = keys.encrypt(said, header.hash, derived_from)
    header = replace(header, encryption=said._replace(check=check))
    return header, cipher.encrypt(disk.random(NONCE_BYTES), stored, derived_from)


def read(
    file: Path, disk: Disk = DISK, *, keys: Keys | None = None, structure: bool = False
) -> Snapshot:
    """Reads and checks a snapshot; `SnapshotDamaged` when it is not what was written.

    `KeyRefused` for an encrypted one without its key; with `structure` its stored bytes are
    checked instead, and the payload is empty.  `LogFailed` if the system does not give the bytes:
    they may be good.
    """
    try:
        fd = disk.open(file, READ)
        try:
            return _read(file, disk, fd, keys, structure)
        finally:
            disk.close(fd)
    except (FileNotFoundError, NotAFile) as error:
        raise SnapshotDamaged(f"{file}: {error}") from None
    except OSError as error:
        raise LogFailed(f"{file}: {error}") from error


def _read(file: Path, disk: Disk, fd: int, keys: Keys | None, structure: bool) -> Snapshot:
    head = read_all(disk, fd, HEADER_BYTES, 0)
    digest = read_all(disk, fd, DIGEST_BYTES, HEADER_BYTES)
    size = disk.size(fd)
    if len(head) + len(digest) < HEADER_BYTES + DIGEST_BYTES:
        raise SnapshotDamaged(f"{file}: {size} bytes are not a snapshot")
    header = _checked(file, head, size)
    stored = _pieces(disk, fd, header.stored_bytes)
    if header.digests_stored:
        _compare(file, header, stored, digest)
        stored = _pieces(disk, fd, header.stored_bytes)
    payload = b""
    if not header.encryption.cipher:
        payload = _decompress(file, stored, header.raw_bytes)
    elif keys is not None or not structure:
        cipher = unlock(keys, header.encryption, header.hash, head, file)
        assert cipher is not None
        all_of_it = read_all(disk, fd, header.stored_bytes, HEADER_BYTES + DIGEST_BYTES)
        try:
            plain = cipher.decrypt(all_of_it, head[:DERIVED_OFFSET])
        except ValueError as error:
            raise SnapshotDamaged(f"{file}: {error}") from None
        payload = _decompress(file, [plain], header.raw_bytes)
    if not header.digests_stored:
        _compare(file, header, [payload], digest)
    return Snapshot(header.sequence, header.epoch, header.chain, header.identity, payload)


def _pieces(disk: Disk, fd: int, size: int) -> Iterator[bytes]:
    """The stored payload, piece by piece: it may claim to be larger than the memory."""
    at, end = HEADER_BYTES + DIGEST_BYTES, HEADER_BYTES + DIGEST_BYTES + size
    while at < end and (piece := disk.pread(fd, min(end - at, PIECE_BYTES), at)):
        yield piece
        at += len(piece)


def _compare(file: Path, header: _Header, payload: Iterable[Bytes], digest: bytes) -> None:
    made = hash_maker(header.hash)(b"")
    for piece in payload:
        made.update(piece)
    if made.digest() != digest:
        raise SnapshotDamaged(f"{file}: the payload does not match its digest")


def _checked(file: Path, head: bytes, size: int) -> _Header:
    (magic, version, header, hash_number, cipher, zero, identity, sequence, epoch, chain,
     raw_bytes, stored_bytes, encryption) = _HEADER.unpack_from(head)  # fmt: skip
    if magic[:6] != MAGIC[:6]:
        raise SnapshotDamaged(f"{file}: not a snapshot")
    if _CRC.unpack_from(head, _HEADER.size)[0] != zlib.crc32(head[: _HEADER.size]):
        raise SnapshotDamaged(f"{file}: header with a wrong checksum")
    if version not in VERSIONS or magic != MAGIC:
        known = " and ".join(map(str, VERSIONS))
        raise SnapshotDamaged(f"{file}: version {version}; this matchcore reads {known}")
    match = _NAME.fullmatch(file.name)
    if header != HEADER_BYTES or zero or not match or int(match[1]) != sequence:
        raise SnapshotDamaged(f"{file}: header of sequence {sequence} does not fit the file")
    if size != HEADER_BYTES + DIGEST_BYTES + stored_bytes or raw_bytes > min(
        RAW_BYTES_MAX, RATIO_MAX * stored_bytes
    ):
        raise SnapshotDamaged(f"{file}: {size} bytes, not what the header says")
    if hash_number >= len(HASHES):
        raise SnapshotDamaged(f"{file}: hash {hash_number}: unknown to this version")
    try:
        said = Encryption.from_bytes(cipher, encryption)
    except ValueError as error:
        raise SnapshotDamaged(f"{file}: {error}") from None
    return _Header(
        sequence, epoch, chain, identity, raw_bytes, stored_bytes, hash_number, said, version
    )


def _decompress(file: Path, stored: Iterable[Bytes], raw_bytes: int) -> bytes:
    """At most a byte more than raw_bytes comes out, whatever the frame claims."""
    parts: list[bytes] = []
    left = raw_bytes + 1  # one too many says that the header is wrong
    surplus = False
    try:
        with lz4.frame.LZ4FrameDecompressor() as unpacker:
            for piece in stored:
                surplus = surplus or unpacker.eof
                while left and not unpacker.eof:
                    part = unpacker.decompress(piece, max_length=min(left, STEP_BYTES))
                    parts.append(part)
                    left -= len(part)
                    if unpacker.needs_input:
                        break
                    piece = b""  # it keeps what it has not unpacked yet
            whole = unpacker.eof and not surplus and not unpacker.unused_data
    except RuntimeError as error:
        raise SnapshotDamaged(f"{file}: {error}") from None
    if left != 1 or not whole:
        got = raw_bytes + 1 - left
        raise SnapshotDamaged(f"{file}: {got} of {raw_bytes} bytes")
    return b"".join(parts)


def of_another(snapshot: Snapshot, identity: bytes) -> str:
    """What is wrong with a snapshot beside the log of another exchange."""
    return (
        f"files of two exchanges: the log is of {identity.hex()}, and its snapshot of another"
        f" exchange, {snapshot.identity.hex()}"
    )


def listing(directory: Path, disk: Disk = DISK) -> list[Path]:
    """The snapshot files of a directory, newest first, good or not."""
    with refusals(directory):
        if not disk.is_dir(directory):
            return []
        names = [name for name in disk.names(directory) if _NAME.fullmatch(name)]
    return [directory / name for name in sorted(names, reverse=True)]


def prune(directory: Path, *, keep: int, disk: Disk = DISK) -> None:
    """Removes all but the newest `keep` snapshots, and what crashes left half-written."""
    with refusals(directory):
        for file in listing(directory, disk)[keep:]:
            with suppress(IsADirectoryError):  # not written here, and `verify` reports it
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
