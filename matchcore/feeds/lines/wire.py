"""The frames of a line as bytes: docs/feeds/lines.md has the layout.  No sockets in here.

Everything is little-endian, as the records are.  A frame is a header of 32 bytes and what it says
that follows.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import FeedError, InvalidCommand
from ...records.changes import CHANGE
from ...records.commands import INSTRUMENT
from ...records.instruments import Instrument, read_instrument, write_instrument
from ...records.schema import MARKET_CHANGES, ChangeKind, Kind
from ..stream import Changes

MAGIC, VERSION = b"MCLINE", 1
ROWS_MAX = 16_384  # of one frame
SAID_BYTES_MAX = 1024  # of a frame that a client sends, and of a refusal
TOKEN_BYTES_MAX = 256
FRAME_BYTES_MAX = ROWS_MAX * CHANGE.itemsize + INSTRUMENT.itemsize
NUMBER_MAX = 2**63 - 1

#: bytes that follow, type, number, epoch, rows
_HEADER = struct.Struct("<IB3xQQI4x")
HEADER_BYTES = _HEADER.size
#: magic, version, identity that it must be (zeros: any); the token follows
_JOIN = struct.Struct("<6sH16s")
#: magic, version, identity, session, oldest number that can be had, next number
_WELCOME = struct.Struct("<6sH16s10s6xQQ")
ANY = bytes(16)


class Type(IntEnum):
    """Of a frame: the code of its letter."""

    JOIN = ord("J")
    RESEND = ord("R")
    WELCOME = ord("W")
    CHANGES = ord("C")
    DEFINITIONS = ord("I")
    ORDERS = ord("O")
    MARKET = ord("M")
    STATISTICS = ord("T")
    SNAPSHOT = ord("S")
    NOT_HERE = ord("N")
    HEARTBEAT = ord("H")
    END = ord("E")
    REFUSED = ord("X")


class Refusal(IntEnum):
    """Why a server closes a connection: ``rows`` of a `REFUSED` frame."""

    PROTOCOL = 1
    TOKEN = 2
    IDENTITY = 3
    FULL = 4
    SLOW = 5
    BUSY = 6


#: Refusals that the same client gets again.
LASTING = frozenset({Refusal.PROTOCOL, Refusal.TOKEN, Refusal.IDENTITY})


class Frame(NamedTuple):
    """One frame: ``number``, ``epoch`` and ``rows`` mean what its type says."""

    type: int
    number: int
    epoch: int
    rows: int
    payload: bytes

    def to_bytes(self) -> bytes:
        """As it is sent."""
        head = _HEADER.pack(len(self.payload), self.type, self.number, self.epoch, self.rows)
        return head + self.payload


class Join(NamedTuple):
    """A client's first frame.  ``first``: number from which it wants the changes; 0: a snapshot,
    and the changes behind it.  ``identity``: what the exchange must be; `ANY`.  ``statistics``:
    wants those in the snapshot, too."""

    first: int
    identity: bytes
    token: bytes
    statistics: bool = False

    def to_bytes(self) -> bytes:
        said = _JOIN.pack(MAGIC, VERSION, self.identity) + self.token
        return Frame(Type.JOIN, self.first, 0, int(self.statistics), said).to_bytes()

    @classmethod
    def of(cls, frame: Frame) -> Join:
        """`FeedError` for a frame that is none of this version."""
        rest = frame.payload[_JOIN.size :]
        if frame.type != Type.JOIN or len(frame.payload) < _JOIN.size:
            raise FeedError("the first frame is not the join of a line")
        magic, version, identity = _JOIN.unpack_from(frame.payload)
        _check_magic(magic, version)
        if len(rest) > TOKEN_BYTES_MAX:
            raise FeedError(f"a token of {len(rest)} bytes, at most {TOKEN_BYTES_MAX}")
        return cls(frame.number, identity, rest, bool(frame.rows & 1))


class Welcome(NamedTuple):
    """A server's first frame.  ``start``: the number that comes first (0: a snapshot comes);
    ``oldest``: the oldest that may be asked for; ``next``: behind the newest; ``epoch``: of it."""

    start: int
    epoch: int
    identity: bytes
    session: str
    oldest: int
    next: int

    def to_bytes(self) -> bytes:
        said = _WELCOME.pack(
            MAGIC, VERSION, self.identity, self.session.encode(), self.oldest, self.next
        )
        return Frame(Type.WELCOME, self.start, self.epoch, 0, said).to_bytes()

    @classmethod
    def of(cls, frame: Frame) -> Welcome:
        """`FeedError` for a frame that is none of this version."""
        if frame.type != Type.WELCOME or len(frame.payload) != _WELCOME.size:
            raise FeedError("the first answer is not the welcome of a line")
        magic, version, identity, session, oldest, following = _WELCOME.unpack(frame.payload)
        _check_magic(magic, version)
        text = session.decode("ascii", "replace")
        return cls(frame.number, frame.epoch, identity, text, oldest, following)


def _check_magic(magic: bytes, version: int) -> None:
    if magic != MAGIC:
        raise FeedError("the other side does not speak the protocol of lines")
    if version != VERSION:
        raise FeedError(f"version {version} of the protocol of lines; this matchcore has {VERSION}")


def header(data: bytes, most: int) -> tuple[int, Frame]:
    """Bytes that follow a header, and its frame without them; `FeedError` if above ``most``."""
    size, kind, number, epoch, rows = _HEADER.unpack(data)
    if size > most or max(number, epoch) > NUMBER_MAX:
        raise FeedError(f"a frame of type {kind} with {size} bytes, number {number}: not a line's")
    return size, Frame(kind, number, epoch, rows, b"")


def changes_frames(changes: Changes) -> Iterator[bytes]:
    """Changes as frames of up to `ROWS_MAX` rows; the definition is in the last."""
    for at in range(0, len(changes.rows), ROWS_MAX):
        rows = changes.rows[at : at + ROWS_MAX]
        data = rows.tobytes()
        if changes.defined is not None and at + len(rows) == len(changes.rows):
            data += definition(int(rows["instrument"][-1]), changes.defined)
        yield Frame(Type.CHANGES, changes.first + at, changes.epoch, len(rows), data).to_bytes()


def changes_of(frame: Frame) -> Changes:
    """The changes of such a frame; `FeedError` for bytes that are not what a feed sends."""
    rows = _rows(frame, CHANGE, more=(0, INSTRUMENT.itemsize))
    if not len(rows) or frame.number < 1 or frame.number + len(rows) > NUMBER_MAX:
        raise FeedError(f"a frame of {len(rows)} changes from number {frame.number}")
    defining = rows["kind"] == ChangeKind.DEFINED
    rest = frame.payload[rows.nbytes :]
    if defining[:-1].any() or bool(defining[-1]) != bool(rest):
        raise FeedError(f"number {frame.number}: definitions of instruments in the wrong place")
    if not rest:
        return Changes(frame.number, frame.epoch, rows)
    ((number, instrument),) = definitions_of(rest)
    if number != int(rows["instrument"][-1]):
        raise FeedError(f"number {frame.number + len(rows) - 1} defines another instrument")
    return Changes(frame.number, frame.epoch, rows, instrument)


def definition(number: int, instrument: Instrument) -> bytes:
    """An instrument as an `INSTRUMENT` record."""
    record = np.zeros(1, INSTRUMENT)
    write_instrument(record[0], instrument)
    record["instrument"], record["kind"] = number, Kind.ADD_INSTRUMENT
    return record.tobytes()


def definitions_of(data: bytes) -> list[tuple[int, Instrument]]:
    """Numbers and instruments of `INSTRUMENT` records; `FeedError` if one is none."""
    try:
        return [(int(row["instrument"]), read_instrument(row))
                for row in np.frombuffer(data, INSTRUMENT)]  # fmt: skip
    except InvalidCommand as error:
        raise FeedError(f"the definition of an instrument: {error}") from error


def snapshot_frames(
    number: int,
    epoch: int,
    instruments: Iterable[Instrument],
    rows: NDArray[np.void],
    states: NDArray[np.void],
    statistics: bytes = b"",
) -> Iterator[bytes]:
    """Definitions, resting orders as ADDED changes, states of the market, statistics, and the end,
    which says how many the orders are."""
    made = [definition(at, one) for at, one in enumerate(instruments, 1)]
    for at in range(0, len(made), ROWS_MAX // 2):
        part = made[at : at + ROWS_MAX // 2]
        yield Frame(Type.DEFINITIONS, number, epoch, len(part), b"".join(part)).to_bytes()
    for kind, all_rows in ((Type.ORDERS, rows), (Type.MARKET, states)):
        for at in range(0, len(all_rows), ROWS_MAX):
            some = all_rows[at : at + ROWS_MAX]
            yield Frame(kind, number, epoch, len(some), some.tobytes()).to_bytes()
    for at in range(0, len(statistics), FRAME_BYTES_MAX):
        said = statistics[at : at + FRAME_BYTES_MAX]
        yield Frame(Type.STATISTICS, number, epoch, 0, said).to_bytes()
    yield Frame(Type.SNAPSHOT, number, epoch, len(rows), b"").to_bytes()


def orders_of(frame: Frame) -> NDArray[np.void]:
    """The rows of an `ORDERS` frame."""
    rows = _rows(frame, CHANGE)
    if (rows["kind"] != ChangeKind.ADDED).any():
        raise FeedError("a snapshot with something else than orders")
    return rows


def states_of(frame: Frame) -> NDArray[np.void]:
    """The rows of a `MARKET` frame."""
    rows = _rows(frame, CHANGE)
    if not np.isin(rows["kind"], [*MARKET_CHANGES]).all():
        raise FeedError("a snapshot with something else than states of the market")
    return rows


def snapshot_definitions_of(frame: Frame) -> list[tuple[int, Instrument]]:
    """The instruments of a `DEFINITIONS` frame."""
    _rows(frame, INSTRUMENT)
    return definitions_of(frame.payload)


def _rows(frame: Frame, dtype: np.dtype[np.void], more: tuple[int, ...] = (0,)) -> NDArray[np.void]:
    size = frame.rows * dtype.itemsize
    if frame.rows > ROWS_MAX or len(frame.payload) - size not in more:
        raise FeedError(
            f"a frame of type {frame.type}: {frame.rows} records in {len(frame.payload)} bytes"
        )
    return np.frombuffer(frame.payload, dtype, frame.rows)


def refused(code: Refusal, why: str) -> bytes:
    """Why the connection ends."""
    return Frame(Type.REFUSED, 0, 0, code, why.encode()[:SAID_BYTES_MAX]).to_bytes()
