"""`position`: how far the writer of a log has come.

Readers beside a writer learn here what is durable, and the next opening what was on disk.  It is
a hint: written without a sync, read with suspicion, and no error of it counts.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import NamedTuple

from ..errors import LogDamaged
from .disk import CREATE, DISK, READ, Disk

POSITION_NAME = "position"
GO_ON = (
    " (restore the right files; accept_loss=True or matchcore repair --lose-acknowledged continues"
    " without them)"
)
REOPEN_SECONDS = 0.1  # somebody may have put another file in its place
_BODY, _CRC = struct.Struct("<QQ16s"), struct.Struct("<I")
HINT_BYTES = _BODY.size + _CRC.size


class Hint(NamedTuple):
    """``durable``: the last sequence that the policy calls safe; ``on_disk``: the last one that
    was synced; ``identity``: of the exchange, empty if there is no good hint."""

    durable: int = 0
    on_disk: int = 0
    identity: bytes = b""

    @classmethod
    def from_bytes(cls, data: bytes) -> Hint:
        """What is behind the hint does not matter; bytes that are none give an empty one."""
        if len(data) < HINT_BYTES or _CRC.unpack_from(data, _BODY.size)[0] != zlib.crc32(
            data[: _BODY.size]
        ):
            return NO_HINT
        return cls(*_BODY.unpack_from(data))


NO_HINT = Hint()


def to_bytes(durable: int, on_disk: int, identity: bytes) -> bytes:
    """The bytes of a hint."""
    body = _BODY.pack(durable, on_disk, identity)
    return body + zlib.crc32(body).to_bytes(4, "little")


def published(directory: Path, disk: Disk = DISK) -> Hint:
    """The hint of a directory; `NO_HINT` while there is no good one."""
    try:
        fd = disk.open(directory / POSITION_NAME, READ)
    except OSError:
        return NO_HINT
    try:
        return Hint.from_bytes(disk.pread(fd, HINT_BYTES, 0))
    except OSError:
        return NO_HINT
    finally:
        disk.close(fd)


class Publisher:
    """Writes the hint of a log, in place."""

    def __init__(self, directory: Path, disk: Disk) -> None:
        self._path, self._disk = directory / POSITION_NAME, disk
        self._fd = -1
        self._opened = 0.0

    def publish(self, durable: int, on_disk: int, identity: bytes) -> None:
        """As in a `Hint`.  Once for each sync, so it is short."""
        now = self._disk.monotonic()
        try:
            if now - self._opened > REOPEN_SECONDS or self._fd < 0:
                self.close()
                self._fd = self._disk.open(self._path, CREATE)
                self._opened = now
            self._disk.pwrite(self._fd, to_bytes(durable, on_disk, identity), 0)
        except OSError:
            self.close()

    def close(self) -> None:
        fd, self._fd = self._fd, -1  # first: an interrupt must not leave a number that is reused
        if fd >= 0:
            self._disk.close(fd)


def missed(hint: Hint, directory: Path, identity: bytes, end: int) -> LogDamaged | None:
    """What a hint says against a log that has this identity (empty: no log) and ends there."""
    place = str(directory / POSITION_NAME), 0, end + 1
    if not hint.on_disk:
        return None
    if identity and hint.identity != identity:
        return LogDamaged(
            f"files of two exchanges: the log is of {identity.hex()}, and the position beside it"
            f" of {hint.identity.hex()}, of which {hint.on_disk} commands were on disk" + GO_ON,
            *place,
        )
    if hint.on_disk <= end:
        return None
    return LogDamaged(
        f"sequences {end + 1} to {hint.on_disk} were on disk and are missing: the end of the"
        " log was cut or removed" + GO_ON,
        *place,
    )
