"""The bytes of the journal, version 1: segment headers, frames, and how commands are packed.

docs/journal.md draws them and gives the reasons; here are the offsets.  All integers are
little-endian.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import lz4.block
import numpy as np
from numpy.typing import NDArray

from ..records.commands import COMMAND
from . import _columns as _columns
from .crypto.hashes import HASHES, SHA256, Bytes, hash_maker
from .crypto.keys import DERIVED_OFFSET, ENCRYPTED_BYTES, PLAIN, Encryption

VERSION = 1
RECORD_BYTES = COMMAND.itemsize
WORDS = RECORD_BYTES // 8
HEADER_BYTES = 128  # of a segment and of a frame
ALIGNMENT = 8
SECTOR_BYTES = 512  # what a disk writes whole or not at all
CHAIN_BYTES = 32
NO_CHAIN = bytes(CHAIN_BYTES)  # before the first frame of an exchange
FRAME_COMMANDS_MAX = 65536
SEGMENT_BYTES_MAX = ALIGNMENT << 32  # a nonce counts frames' offsets in 4 bytes
FILE_BYTES_MAX = SEGMENT_BYTES_MAX + (FRAME_COMMANDS_MAX * RECORD_BYTES << 1)  # with its last frame
RULES_MAX = 2**16 - 1  # versions of the rules: two bytes of a frame's header
NUMBER_MAX = 2**63 - 1  # of epochs and sequences: databases keep them as signed

SEGMENT_MAGIC = b"MCJOURN\x01"
FRAME_MAGIC = 0x4D43_4652
#: records as they are; byte planes; byte planes behind LZ4
CODEC_RAW, CODEC_PLANES, CODEC_PLANES_LZ4 = 0, 1, 2
RAW_COMMANDS_MAX = 16  # smaller frames stay raw: packing them costs more than it saves
FILL = b"\xff"  # behind a payload, so that a frame never ends in zeros

#: magic, version, header bytes, record bytes, hash, cipher, number, rules, identity, first
#: sequence, epoch, time created, chain of everything before, encryption; then CRC-32 of all that.
_SEGMENT = struct.Struct("<8sHHHBBII16sQQq32s28s")
#: magic, codec, version, rules, count, payload bytes, raw bytes, 0, epoch, first sequence, durable
#: sequence, time; then chain, zeros; then CRC-32 of all that.
_FRAME = struct.Struct("<IBBHIIIIQQQq")
_FRAME_TAIL = struct.Struct("<32s36s")
_CRC = _SIZE = struct.Struct("<I")
PLANES_HEAD_BYTES = WORDS + RECORD_BYTES
_ZEROS = SECTOR_BYTES // 2  # in a row; with fewer a sector holds two bytes that are not zero
_TAIL = bytes(ALIGNMENT - 1)  # with one byte of fill behind it, nearly a cut-off end
assert _SEGMENT.size + _CRC.size == HEADER_BYTES
assert _FRAME.size + _FRAME_TAIL.size + _CRC.size == HEADER_BYTES


class BadBytes(Exception):
    """These bytes are not what version 1 writes; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """``rules``: the version in force where the segment begins; version 1 is stored as 0."""

    number: int
    identity: bytes
    first_sequence: int
    epoch: int
    created: int
    chain: bytes
    hash: int = SHA256
    encryption: Encryption = PLAIN
    rules: int = 1

    def to_bytes(self) -> bytes:
        head = _SEGMENT.pack(
            SEGMENT_MAGIC, VERSION, HEADER_BYTES, RECORD_BYTES, self.hash, self.encryption.cipher,
            self.number, self.rules if self.rules > 1 else 0, self.identity, self.first_sequence,
            self.epoch, self.created, self.chain, self.encryption.to_bytes(),
        )  # fmt: skip
        return head + _CRC.pack(zlib.crc32(head))

    @property
    def derived_from(self) -> bytes:
        """What of the header goes into the file's key."""
        return self.to_bytes()[:DERIVED_OFFSET]

    @classmethod
    def from_bytes(cls, data: bytes) -> SegmentHeader:
        if len(data) < HEADER_BYTES:
            raise BadBytes(f"segment header of {len(data)} bytes")
        (magic, version, header, record, hash_number, cipher, number, rules, identity, first, epoch,
         created, chain, encryption) = _SEGMENT.unpack_from(data)  # fmt: skip
        if magic[:7] != SEGMENT_MAGIC[:7]:
            raise BadBytes("not a journal segment")
        if _CRC.unpack_from(data, _SEGMENT.size)[0] != zlib.crc32(data[: _SEGMENT.size]):
            raise BadBytes("segment header with a wrong checksum")
        if magic != SEGMENT_MAGIC or version != VERSION:
            raise BadBytes(f"journal version {version}; this matchcore reads version {VERSION}")
        if (header, record) != (HEADER_BYTES, RECORD_BYTES) or rules == 1 or rules > RULES_MAX:
            raise BadBytes("segment header with values that version 1 does not know")
        if hash_number >= len(HASHES):
            raise BadBytes(f"hash {hash_number}: unknown to this version")
        if max(epoch, first) > NUMBER_MAX or number == 2**32 - 1:
            raise BadBytes(f"segment {number}, epoch {epoch}, sequence {first}: beyond all limits")
        try:
            said = Encryption.from_bytes(cipher, encryption)
        except ValueError as error:
            raise BadBytes(str(error)) from None
        return cls(number, identity, first, epoch, created, chain, hash_number, said, rules or 1)


@dataclass(slots=True)
class FrameHeader:
    """`count` 0 is a seal: written when a log is closed, it makes all before it old news.

    ``rules``: 0, or the version of the rules that the frame's one command changes to.
    """

    codec: int
    count: int
    payload_bytes: int
    epoch: int
    first_sequence: int
    durable: int
    time: int
    chain: bytes
    rules: int = 0

    @property
    def frame_bytes(self) -> int:
        """Header, payload and fill."""
        used = HEADER_BYTES + self.payload_bytes
        return used + ALIGNMENT - used % ALIGNMENT

    @property
    def last_sequence(self) -> int:
        return self.first_sequence + self.count - 1

    def fixed(self) -> bytes:
        """Bytes 0 to 55: all but the chain and what is behind it."""
        return _FRAME.pack(
            FRAME_MAGIC, self.codec, VERSION, self.rules, self.count, self.payload_bytes,
            self.count * RECORD_BYTES, 0, self.epoch, self.first_sequence, self.durable, self.time,
        )  # fmt: skip

    def chain_after(self, before: bytes, payload: Bytes, hash_number: int = SHA256) -> bytes:
        """The hash of the chain before, this header and the payload as it is stored."""
        digest = hash_maker(hash_number)(before)
        digest.update(self.fixed())
        digest.update(payload)
        return digest.digest()

    def to_bytes(self) -> bytes:
        head = self.fixed() + _FRAME_TAIL.pack(self.chain, bytes(36))
        return head + _CRC.pack(zlib.crc32(head))

    @classmethod
    def from_bytes(cls, data: bytes, at: int = 0) -> FrameHeader:
        if len(data) - at < HEADER_BYTES:
            raise BadBytes("frame header cut off")
        end = at + HEADER_BYTES - _CRC.size
        (magic, codec, version, rules, count, payload, raw, zero, epoch, first, durable,
         time) = _FRAME.unpack_from(data, at)  # fmt: skip
        if magic != FRAME_MAGIC:
            raise BadBytes("no frame here")
        if _CRC.unpack_from(data, end)[0] != zlib.crc32(data[at:end]):
            raise BadBytes("frame header with a wrong checksum")
        chain, zeros = _FRAME_TAIL.unpack_from(data, at + _FRAME.size)
        if version != VERSION or codec > CODEC_PLANES_LZ4 or zero:
            raise BadBytes(f"frame of version {version}, codec {codec}: unknown to this version")
        if (
            count > FRAME_COMMANDS_MAX
            or payload > _payload_bytes_max(raw)
            or raw != count * RECORD_BYTES
            or any(zeros)
            or (rules and count != 1)
        ):
            raise BadBytes("frame header with impossible lengths")
        if max(epoch, first + count) > NUMBER_MAX:
            raise BadBytes(f"frame of epoch {epoch}, sequence {first}: beyond all limits")
        return cls(codec, count, payload, epoch, first, durable, time, chain, rules)


def _payload_bytes_max(raw: int) -> int:
    """Planes of noise behind LZ4 are a little larger than the records."""
    return ENCRYPTED_BYTES + (raw + raw // 255 + 2 * HEADER_BYTES if raw else 0)


def pack_commands(commands: NDArray[np.void], now: int = 0) -> tuple[int, bytes]:
    """Codec and payload of a `COMMAND` array; where a command has no time, `now` is written.

    Planes are as small as what LZ4 made of them on every flow tried, in a fifth of the time.
    But no payload may have a sector, or an end, of zeros, which is how a torn write is told from
    damage; nor one that is a single byte from it, for that byte may go bad.
    """
    codec, packed = CODEC_PLANES, b""
    if len(commands) > RAW_COMMANDS_MAX:
        packed = _columns.pack(_words(commands), now)
    if not 0 < len(packed) < commands.nbytes:
        codec, packed = CODEC_RAW, _columns.timed(commands.tobytes(), now)
    last = len(packed) % ALIGNMENT == ALIGNMENT - 1 and packed.endswith(_TAIL)
    if last or _columns.has_zeros(packed, _ZEROS):
        packed = lz4.block.compress(_columns.pack(_words(commands), now), store_size=True)
        codec = CODEC_PLANES_LZ4
    return codec, packed


def _words(commands: NDArray[np.void]) -> NDArray[np.uint64]:
    return np.ascontiguousarray(commands).view("<u8").reshape(-1, WORDS)


@dataclass(frozen=True, slots=True)
class Payload:
    """Commands as records or as planes, known to be whole: unpacked where they are used."""

    in_columns: bool
    data: Bytes
    count: int

    @classmethod
    def checked(cls, codec: int, payload: Bytes, count: int) -> Payload:
        """`BadBytes` when a payload does not hold `count` commands."""
        if codec == CODEC_RAW:
            if len(payload) != count * RECORD_BYTES:
                raise BadBytes(f"{len(payload)} bytes for {count} commands")
            return cls(False, payload, count)
        try:
            if codec == CODEC_PLANES_LZ4:
                payload = _decompress(payload, PLANES_HEAD_BYTES + count * RECORD_BYTES)
            _columns.check(payload, count)
        except ValueError as error:
            raise BadBytes(str(error)) from None
        return cls(True, payload, count)

    def commands(self) -> NDArray[np.void]:
        """The `COMMAND` array: over these very bytes and read-only, or each time a fresh one."""
        if not self.in_columns:
            return np.frombuffer(self.data, COMMAND)
        commands = np.empty(self.count, COMMAND)
        self.unpack(commands)
        return commands

    def unpack(self, room: NDArray[np.void]) -> None:
        """Writes them into a contiguous `COMMAND` array of that length."""
        if self.in_columns:
            _columns.unpack(self.data, room.view("<u8").reshape(-1, WORDS))
        else:
            room.view("u1")[:] = np.frombuffer(self.data, "u1")


NOTHING = Payload(False, b"", 0)


def _decompress(payload: Bytes, at_most: int) -> bytes:
    """LZ4 with its size in front; ValueError if it claims or gives more than there can be."""
    if len(payload) < _SIZE.size or _SIZE.unpack_from(payload)[0] > at_most:
        raise ValueError("planes that claim an impossible size")
    try:
        unpacked: bytes = lz4.block.decompress(payload)
    except lz4.block.LZ4BlockError as error:
        raise ValueError(f"a payload that LZ4 cannot decompress: {error}") from None
    return unpacked
