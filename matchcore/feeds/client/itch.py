"""Lines that speak ITCH, seen from a client: SoupBinTCP, and GLIMPSE for snapshots.

What the arbiter compares are the messages as they came, in rows of `BLOCK`; `Translation` makes
changes of them once they are in order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import FeedError
from ...serving.soup import LOGIN, packet
from ..itch._frames import BLOCK, blocks_of, rows_of
from ..itch._messages import Decoder
from ..lines.address import Address
from ..states import KINDS
from ..stream import Changes
from .line import CONNECT_SECONDS, Hub, Line
from .view import Snapshot

SOUP = "soup://"
BEAT_SECONDS = 1.0
SILENT_SECONDS = 15.0
BATCH_BYTES = 1 << 16  # of messages that are handed on together
SNAPSHOT_BYTES_MAX = 4 << 30
_DEFINITIONS = np.frombuffer(b"Rr", np.uint8)


class Access(NamedTuple):
    """What ITCH lines need beside their addresses: user and password, and where GLIMPSE is."""

    user: str = ""
    password: str = ""
    glimpse: Address | None = None


class Translation:
    """Blocks in order as changes, from a snapshot or from number 1 on."""

    def __init__(self) -> None:
        self._decoder = Decoder()

    def snapshot(self, number: int, blocks: bytes) -> Snapshot:
        """What GLIMPSE said, but for its end; ``number``: of the last change in it."""
        self._decoder = Decoder()
        rows = self._decoder.changes(blocks)
        orders = rows.compress(rows["order_id"] > 0)
        states = rows.compress(np.isin(rows["kind"], KINDS))
        return Snapshot(number, 0, list(self._decoder.instruments.in_order()), orders, states)

    def changes(self, came: Changes) -> Iterator[Changes]:
        """Those of the blocks in ``came.rows``; one that defines an instrument is the last."""
        letters = came.rows.view(np.uint8).reshape(-1, BLOCK.itemsize)[:, 2]
        ends = [*(np.flatnonzero(np.isin(letters, _DEFINITIONS)) + 1).tolist(), len(letters)]
        begin = 0
        for end in ends:
            if end > begin:
                yield self._part(came.first + begin, came.rows[begin:end], letters[end - 1])
                begin = end

    def _part(self, first: int, rows: NDArray[np.void], last: int) -> Changes:
        made = self._decoder.changes(blocks_of(rows))
        defined = None
        if last in _DEFINITIONS:
            defined = self._decoder.instruments[int(made["instrument"][-1])]
        return Changes(first, 0, made, defined)


class SoupConnection:
    """A connection to a SoupBinTCP server that has accepted the login."""

    def __init__(self, streams: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._streams, self._writer = streams, writer
        self._data, self._packets = b"", deque[tuple[bytes, bytes]]()
        self.session, self.number = b"", 0
        self._beats: asyncio.Task[None] | None = None

    @classmethod
    async def opened(cls, address: Address, access: Access, number: int) -> SoupConnection:
        """Logged in; ``number``: of the first message, 0: the next one.  `FeedError` for a refused
        login, LookupError if the server has no such number."""
        opening = asyncio.open_connection(*address)
        made = cls(*await asyncio.wait_for(opening, CONNECT_SECONDS))
        try:
            await asyncio.wait_for(made._login(access, number), CONNECT_SECONDS)
        except BaseException:
            await made.close()
            raise
        made._beats = asyncio.ensure_future(made._beat())
        return made

    async def _login(self, access: Access, number: int) -> None:
        login = LOGIN.pack(
            access.user.encode().ljust(6), access.password.encode().ljust(10), b" " * 10,
            str(number).encode().rjust(20),
        )  # fmt: skip
        self._writer.write(packet(b"L", login))
        kind, payload = await self.packet()
        said = ""
        while kind == b"+":
            said = f": {payload.decode('latin-1')}"
            kind, payload = await self.packet()
        if kind == b"J" and payload == b"S":
            raise LookupError(f"no number {number}")
        if kind != b"A" or len(payload) != 30 or not payload[10:].strip().isdigit():
            raise FeedError(f"the login is refused{said}")
        self.session, self.number = payload[:10], int(payload[10:])

    async def packet(self) -> tuple[bytes, bytes]:
        """Type and payload of the next one."""
        if not self._packets:
            await self._read()
        return self._packets.popleft()

    async def packets(self) -> list[tuple[bytes, bytes]]:
        """All that have come, at least one."""
        first = await self.packet()
        found = [first, *self._packets]
        self._packets.clear()
        return found

    async def _read(self) -> None:
        while not self._packets:
            reading = self._streams.read(BATCH_BYTES)
            data = await asyncio.wait_for(reading, SILENT_SECONDS)
            if not data:
                raise ConnectionResetError("the connection was closed")
            self._data += data
            at = 0
            while (end := at + 2 + int.from_bytes(self._data[at : at + 2], "big")) <= len(
                self._data
            ) and len(self._data) - at > 2:
                self._packets.append((self._data[at + 2 : at + 3], self._data[at + 3 : end]))
                at = end
            self._data = self._data[at:]

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self._writer.write(packet(b"R"))

    def drop(self) -> None:
        """Ends it at once."""
        self._writer.transport.abort()

    async def close(self) -> None:
        if self._beats is not None:
            self._beats.cancel()
        self.drop()
        with suppress(OSError):
            await self._writer.wait_closed()


class SoupLine(Line):
    """The SoupBinTCP server at ``address``, in which nothing is lost while it is connected."""

    def __init__(self, name: str, address: Address, hub: Hub, access: Access) -> None:
        super().__init__(name, hub)
        self._address, self._access = address, access
        self._connection: SoupConnection | None = None

    def ask(self, first: int, last: int) -> None:
        """Logs in again, with the number that is missing."""
        self.drop()

    def drop(self) -> None:
        """Has it connect again."""
        if self._connection is not None:
            self._connection.drop()

    async def _connected(self) -> None:
        hub, arbiter = self._hub, self._hub.arbiter
        async with hub.turn:  # one takes a snapshot, the others go on from it
            if hub.wants_snapshot:
                hub.restarted(await snapshot_of(hub, self._access))
        wanted = max(1, arbiter.next - 1)  # one that is known shows that this is the same history
        try:
            connection = await SoupConnection.opened(self._address, self._access, wanted)
        except LookupError:
            connection = await SoupConnection.opened(self._address, self._access, 0)
        self._connection = connection
        try:
            following = connection.number
            arbiter.greet(self.name, connection.session, 0, following, hub.now())
            arbiter.begin(self.name, following)
            if following > wanted:
                arbiter.not_here(self.name, following - 1)
            self._welcomed = True
            hub.looked()
            while not hub.stopped:
                following = await self._take(await connection.packets(), following)
        finally:
            self._connection = None
            await connection.close()

    async def _take(self, packets: list[tuple[bytes, bytes]], following: int) -> int:
        """Hands on the messages among them; returns the number that comes next."""
        hub, arbiter = self._hub, self._hub.arbiter
        messages = [payload for kind, payload in packets if kind == b"S"]
        if messages:
            blocks = b"".join(len(one).to_bytes(2, "big") + one for one in messages)
            try:
                rows = rows_of(blocks)
            except ValueError as error:
                raise FeedError(f"number {following} or soon behind it: {error}") from None
            self._came(Changes(following, 0, rows))
            following += len(messages)
            await hub.room()
        else:
            arbiter.beat(self.name, following - 1, hub.now())
        if any(kind == b"Z" for kind, _ in packets):
            raise ConnectionResetError(f"the feed ended at number {following - 1}")
        hub.looked()
        return following


async def snapshot_of(hub: Hub, access: Access) -> Snapshot:
    """From GLIMPSE, which says at its end the number that comes next."""
    if access.glimpse is None:
        raise FeedError("no snapshot: name glimpse=HOST:PORT, or begin with first=1")
    connection = await SoupConnection.opened(access.glimpse, access, 1)
    blocks = bytearray()
    try:
        if hub.arbiter.identity not in (None, connection.session):
            raise FeedError(f"GLIMPSE is of session {connection.session.decode('latin-1')}")
        hub.arbiter.identity = connection.session
        while True:
            kind, payload = await connection.packet()
            if kind == b"S" and payload[:1] == b"G" and payload[1:].strip().isdigit():
                return hub.translated(int(payload[1:]) - 1, bytes(blocks))
            if kind == b"S":
                blocks += len(payload).to_bytes(2, "big") + payload
            elif kind not in (b"H", b"+"):
                raise FeedError(f"GLIMPSE: a packet of type {kind!r} before the end")
            if len(blocks) > SNAPSHOT_BYTES_MAX:
                raise FeedError(f"a snapshot of more than {SNAPSHOT_BYTES_MAX} bytes")
    finally:
        await connection.close()
