"""The frames of a line between a gateway and the engine: docs/gateways/lines.md has the layout.

Everything is little-endian, as the records are.  No sockets in here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...engine.taps import Logged
from ...errors import MatchcoreError
from ...journal.format import BadBytes, Payload, pack_commands
from ...records.commands import COMMAND
from ...records.schema import RULES_LATEST

MAGIC, VERSION = b"MCGATE", 1
COMMANDS_MAX = 8192  # of one frame
BATCH_BYTES_MAX = COMMANDS_MAX * COMMAND.itemsize + 1024  # however they are packed
SAID_BYTES_MAX = 1024  # of all other frames
TOKEN_BYTES_MAX = 256

#: bytes that follow, type, codec, number, at, rows, code
_HEADER = struct.Struct("<IBB2xQQII")
HEADER_BYTES = _HEADER.size
#: magic, version, identity that the exchange must have (zeros: any); the token follows
_JOIN = struct.Struct("<6sH16s")
#: magic, version, identity
_WELCOME = struct.Struct("<6sH16s")
ANY = bytes(16)


class LineError(MatchcoreError):
    """The other end of a line does not speak its protocol, or refuses."""


class Type(IntEnum):
    """Of a frame: the code of its letter."""

    JOIN = ord("J")
    WELCOME = ord("W")
    FOLLOW = ord("F")
    BATCH = ord("B")
    SETTLED = ord("S")
    LOG = ord("L")
    ALIVE = ord("A")
    END = ord("E")
    REFUSED = ord("X")


class Refusal(IntEnum):
    """Why the engine closes a line: ``code`` of a `REFUSED` frame."""

    PROTOCOL = 1
    TOKEN = 2
    IDENTITY = 3
    RULES = 4
    PLACE = 5
    FULL = 6
    STANDBY = 7


#: Refusals that the same gateway gets again.
LASTING = frozenset({Refusal.PROTOCOL, Refusal.TOKEN, Refusal.IDENTITY, Refusal.RULES,
                     Refusal.PLACE})  # fmt: skip


class Frame(NamedTuple):
    """One frame; what ``number``, ``at``, ``rows`` and ``code`` mean, its type says."""

    type: int
    number: int = 0
    at: int = 0
    rows: int = 0
    code: int = 0
    payload: bytes = b""
    codec: int = 0

    def to_bytes(self) -> bytes:
        """As it is sent."""
        head = _HEADER.pack(len(self.payload), self.type, self.codec, self.number, self.at,
                            self.rows, self.code)  # fmt: skip
        return head + self.payload

    def said(self) -> str:
        """The text of an `END` or `REFUSED` frame."""
        return self.payload.decode("utf-8", "replace")

    def commands(self) -> NDArray[np.void]:
        """The commands of a `BATCH` or `LOG` frame; `LineError` for bytes that are none."""
        if not 0 < self.rows <= COMMANDS_MAX:
            raise LineError(f"a frame of {self.rows} commands: 1 to {COMMANDS_MAX}")
        try:
            return Payload.checked(self.codec, self.payload, self.rows).commands()
        except BadBytes as error:
            raise LineError(f"a frame of {self.rows} commands: {error}") from None


class Frames:
    """Cuts what comes over a connection into frames.  ``most``: bytes behind a header."""

    def __init__(self, most: int = SAID_BYTES_MAX) -> None:
        self.most = most
        self._data = bytearray()

    def take(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete with ``data``; `LineError` for one that is too long."""
        self._data += data
        while len(self._data) >= HEADER_BYTES:
            size, kind, codec, number, at, rows, code = _HEADER.unpack_from(self._data)
            limit = self.most if kind in (Type.BATCH, Type.LOG) else SAID_BYTES_MAX
            if size > limit:
                raise LineError(f"a frame of type {kind} with {size} bytes, at most {limit}")
            end = HEADER_BYTES + size
            if len(self._data) < end:
                return
            payload = bytes(memoryview(self._data)[HEADER_BYTES:end])
            del self._data[:end]
            yield Frame(kind, number, at, rows, code, payload, codec)


def join(gateway: int, identity: bytes, token: bytes, incarnation: int = 0) -> bytes:
    """A gateway's first frame.  ``gateway``: a number that no other has; ``incarnation``: the one
    that an engine has given it before."""
    said = _JOIN.pack(MAGIC, VERSION, identity) + token
    return Frame(Type.JOIN, gateway, rows=incarnation, code=RULES_LATEST, payload=said).to_bytes()


def read_join(frame: Frame) -> tuple[bytes, bytes]:
    """Identity and token of a `JOIN`; `LineError` for a frame that is none of this version."""
    if frame.type != Type.JOIN or len(frame.payload) < _JOIN.size:
        raise LineError("the first frame is not the join of a gateway")
    magic, version, identity = _JOIN.unpack_from(frame.payload)
    _check(magic, version)
    token = frame.payload[_JOIN.size :]
    if len(token) > TOKEN_BYTES_MAX:
        raise LineError(f"a token of {len(token)} bytes, at most {TOKEN_BYTES_MAX}")
    return identity, token


def welcome(identity: bytes, epoch: int, durable: int, rules: int, incarnation: int) -> bytes:
    """The engine's first frame.  ``durable``: the last durable sequence."""
    said = _WELCOME.pack(MAGIC, VERSION, identity)
    return Frame(Type.WELCOME, durable, epoch, incarnation, rules, said).to_bytes()


def read_welcome(frame: Frame) -> bytes:
    """Identity of a `WELCOME`; its number is the durable sequence, ``at`` the epoch, ``rows`` the
    incarnation of the gateway."""
    if frame.type != Type.WELCOME or len(frame.payload) != _WELCOME.size:
        raise LineError("the first answer is not the welcome of an engine")
    magic, version, identity = _WELCOME.unpack(frame.payload)
    _check(magic, version)
    return bytes(identity)


def _check(magic: bytes, version: int) -> None:
    if magic != MAGIC:
        raise LineError("the other end does not speak the protocol of gateway lines")
    if version != VERSION:
        raise LineError(f"version {version} of the protocol; this matchcore has {VERSION}")


def batch(number: int, commands: NDArray[np.void]) -> bytes:
    """Up to `COMMANDS_MAX` commands of a gateway, as its batch ``number``."""
    codec, payload = pack_commands(commands)
    return Frame(Type.BATCH, number, rows=len(commands), payload=payload, codec=codec).to_bytes()


def log_frames(part: Logged) -> Iterator[bytes]:
    """Durable commands.  The code has both versions of the rules; see `rules_of`."""
    code = part.under << 16 | part.rules
    for at in range(0, len(part.commands), COMMANDS_MAX):
        rows = part.commands[at : at + COMMANDS_MAX]
        codec, payload = pack_commands(rows)
        yield Frame(
            Type.LOG, part.first + at, part.epoch, len(rows), code, payload, codec
        ).to_bytes()


def rules_of(frame: Frame) -> tuple[int, int]:
    """Of a `LOG` frame: the version of the rules that its commands were applied under, and 0 or
    the version that its only command changes to."""
    return frame.code >> 16, frame.code & 0xFFFF


def refused(code: Refusal, why: str) -> bytes:
    """Why the line ends."""
    return Frame(Type.REFUSED, code=code, payload=why.encode()[:SAID_BYTES_MAX]).to_bytes()


def end(why: str) -> bytes:
    """The engine takes nothing more."""
    return Frame(Type.END, payload=why.encode()[:SAID_BYTES_MAX]).to_bytes()
