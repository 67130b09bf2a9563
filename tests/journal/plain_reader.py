"""A reader of exchange directories written from docs/journal.md alone: nothing of matchcore.

It is what somebody else would write.  The tests read with it what matchcore wrote, so the page
is enough and true.  Commands come as 96-byte records, undecoded.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lz4.block
import lz4.frame

HASHES = ("sha256", "sm3")
KEY_BYTES = {1: 32, 2: 16}  # AES-256-GCM, SM4-GCM
Keys = Callable[[str], bytes]


class Wrong(Exception):
    """Not what the page says."""


def need(condition: bool, what: str) -> None:
    if not condition:
        raise Wrong(what)


def check_header(head: bytes, magic: bytes, versions: tuple[int, ...] = (1,)) -> None:
    need(len(head) == 128 and head[:8] == magic, "magic")
    need(struct.unpack_from("<I", head, 124)[0] == zlib.crc32(head[:124]), "checksum")
    version, size = struct.unpack_from("<HH", head, 8)
    need(version in versions and size == 128, "version or header bytes")


class Box:
    """Decrypts the pieces of one file; with a key only."""

    def __init__(self, head: bytes, hash_number: int, cipher: int, keys: Keys) -> None:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        size = KEY_BYTES[cipher]
        made = hashes.SM3() if hash_number else hashes.SHA256()
        master = keys(head[96:112].rstrip(b"\0").decode())
        kdf = HKDF(algorithm=made, length=size + 4, salt=head[112:120], info=head[:120])
        derived = kdf.derive(master)
        need(derived[size:] == head[120:124], "key")
        self.cipher, self.key = cipher, derived[:size]

    def open(self, stored: bytes, associated: bytes) -> bytes:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        algorithm = algorithms.AES if self.cipher == 1 else algorithms.SM4
        mode = modes.GCM(stored[:12], stored[-16:])
        made = Cipher(algorithm(self.key), mode).decryptor()
        made.authenticate_additional_data(associated)
        return made.update(stored[12:-16]) + made.finalize()


def records(codec: int, payload: bytes, count: int) -> list[bytes]:
    """The records of a payload that is not, or no longer, encrypted."""
    if codec == 0:
        need(len(payload) == 96 * count, "raw length")
        return [payload[at : at + 96] for at in range(0, len(payload), 96)]
    if codec == 2:
        payload = lz4.block.decompress(payload)
    masks, columns, at = payload[:12], [], 108
    values = struct.unpack_from("<12Q", payload, 12)
    for column in range(12):
        steps = [0] * count
        for plane in range(8):
            if masks[column] >> plane & 1:
                for row, byte in enumerate(payload[at : at + count]):
                    steps[row] |= byte << 8 * plane
                at += count
        value, rows = values[column], []
        for step in steps:
            if column >= 9:
                value ^= step
            else:
                value = (value + (-(step + 1 >> 1) if step & 1 else step >> 1)) % 2**64
            rows.append(value)
        columns.append(rows)
    need(at == len(payload), "planes")
    return [struct.pack("<12Q", *row) for row in zip(*columns, strict=True)]


@dataclass
class Found:
    """What is in a directory.  ``torn``: bytes behind the last whole frame that are not zeros."""

    identity: str = ""
    hash: str = ""
    first: int = 0
    last: int = 0
    frames: int = 0
    seals: int = 0
    codecs: set[int] = field(default_factory=set)
    chain: str = ""
    torn: bool = False
    commands: list[bytes] = field(default_factory=list)


def read_segment(data: bytes, found: Found, keys: Keys | None, before: dict[str, Any]) -> None:
    head = data[:128]
    check_header(head, b"MCJOURN\x01")
    record, hash_number, cipher, number = struct.unpack_from("<HBBI", head, 12)
    first, _epoch, _created = struct.unpack_from("<QQq", head, 40)
    identity, chain = head[24:40], head[64:96]
    rules = max(1, struct.unpack_from("<I", head, 20)[0])
    need(record == 96, "record bytes")
    if before:
        need(identity == before["identity"] and number == before["number"] + 1, "order")
        need(first == before["next"] and chain == before["chain"], "predecessor")
        need(hash_number == before["hash"], "hash")
        need(rules == before["rules"], "rules")
    box = Box(head, hash_number, cipher, keys) if cipher and keys else None
    at, expected = 128, first
    while at + 128 <= len(data) and any(data[at : at + 128]):
        fixed, said = data[at : at + 56], data[at + 56 : at + 88]
        magic, codec, version, changes_to, count, size, raw = struct.unpack_from("<IBBHIII", fixed)
        _, start = struct.unpack_from("<QQ", fixed, 24)
        payload = data[at + 128 : at + 128 + size]
        crc = struct.unpack_from("<I", data, at + 124)[0]
        after = hashlib.new(HASHES[hash_number], chain + fixed + payload).digest()
        if magic != 0x4D434652 or crc != zlib.crc32(data[at : at + 124]) or after != said:
            found.torn = True
            break
        need((version, raw, start) == (1, 96 * count, expected), "frame header")
        if box is not None:
            payload = box.open(payload, chain + fixed)
        if count and not (cipher and box is None):
            found.commands += records(codec, payload, count)
        used = 128 + size
        at += used + 8 - used % 8
        expected += count
        if count:
            chain, rules = after, changes_to or rules
            found.frames += 1
            found.codecs.add(codec)
        else:
            found.seals += 1
    before.update(
        identity=identity, number=number, next=expected, chain=chain, hash=hash_number, rules=rules
    )


def read_directory(path: Path, keys: Keys | None = None) -> Found:
    """Every segment; of encrypted ones without keys, all but the commands."""
    found, before = Found(), {}
    files = sorted(path.glob("journal-" + "[0-9]" * 20 + ".mcj"))
    for file in files:
        need(not found.torn, "only the last segment may end torn")
        read_segment(file.read_bytes(), found, keys, before)
    found.identity, found.hash = before["identity"].hex(), HASHES[before["hash"]]
    found.first, found.last = int(files[0].name[8:28]), before["next"] - 1
    found.chain = before["chain"].hex()
    return found


def read_snapshot(file: Path, keys: Keys | None = None) -> tuple[int, str, bytes]:
    """Sequence, chain and state; an encrypted one needs keys."""
    data = file.read_bytes()
    head, digest, stored = data[:128], data[128:160], data[160:]
    check_header(head, b"MCSNAP\x00\x01", (1, 2))
    version, hash_number, cipher = head[8], head[12], head[13]
    sequence, _epoch = struct.unpack_from("<QQ", head, 32)
    raw, size = struct.unpack_from("<QQ", head, 80)
    need(len(stored) == size, "stored bytes")
    name = HASHES[hash_number]
    of_stored = version > 1 or cipher
    if of_stored:
        need(hashlib.new(name, stored).digest() == digest, "digest")
    if cipher:
        need(keys is not None, "keys")
        assert keys is not None
        stored = Box(head, hash_number, cipher, keys).open(stored, head[:120])
    state = lz4.frame.decompress(stored)
    need(len(state) == raw, "raw bytes")
    need(bool(of_stored) or hashlib.new(name, state).digest() == digest, "digest")
    return sequence, head[48:80].hex(), state
