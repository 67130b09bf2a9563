"""One line over TCP, seen from a client: connects, joins, reads, and connects again."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress

import numpy as np

from ...errors import FeedError
from ...records.changes import CHANGE
from ...records.commands import joined
from ...records.instruments import Instrument
from ...records.schema import MARKET_CHANGES
from ..lines.address import Address
from ..lines.wire import (
    ANY,
    FRAME_BYTES_MAX,
    HEADER_BYTES,
    LASTING,
    Frame,
    Join,
    Type,
    Welcome,
    changes_of,
    header,
    orders_of,
    snapshot_definitions_of,
    states_of,
)
from ..saving import STATISTICS_BYTES_MAX
from .line import CONNECT_SECONDS, Hub, Line
from .view import Snapshot

DEAD_SECONDS = 10.0  # of silence, before it connects again
ORDERS_MAX = 100_000_000  # of a snapshot
BUFFER_BYTES = 1 << 20  # read ahead of a frame

_NOTHING = np.empty(0, CHANGE)


class TcpLine(Line):
    """The line at ``address``.  ``token``: what its server wants to hear; ``tls``: a context."""

    def __init__(
        self,
        address: Address,
        hub: Hub,
        *,
        token: str = "",
        tls: ssl.SSLContext | None = None,
        statistics: bool = False,
    ) -> None:
        super().__init__(str(address), hub)
        self._address, self._token, self._tls = address, token.encode(), tls
        self._statistics = statistics
        self._writer: asyncio.StreamWriter | None = None

    def ask(self, first: int, last: int) -> None:
        """Asks for changes again."""
        if self._writer is not None:
            frame = Frame(Type.RESEND, first, 0, last - first + 1, b"")
            self._writer.write(frame.to_bytes())

    def drop(self) -> None:
        """Has it connect again."""
        if self._writer is not None:
            self._writer.transport.abort()

    async def _connected(self) -> None:
        opening = asyncio.open_connection(*self._address, ssl=self._tls, limit=BUFFER_BYTES)
        streams, writer = await asyncio.wait_for(opening, CONNECT_SECONDS)
        self._writer = writer
        try:
            async with self._hub.turn:  # one takes a snapshot, the others go on from it
                fresh = self._hub.wants_snapshot
                if fresh:
                    await self._join(streams, 0)
                    self._hub.restarted(await self._snapshot(streams))
            if not fresh:
                # One that is known comes again: it shows that this is the same history.
                await self._join(streams, max(1, self._hub.arbiter.next - 1))
            while not self._hub.stopped:
                await self._take(await self._frame(streams))
        finally:
            self._writer = None
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    async def _join(self, streams: asyncio.StreamReader, first: int) -> None:
        hub, arbiter = self._hub, self._hub.arbiter
        assert self._writer is not None
        join = Join(first, arbiter.identity or ANY, self._token, self._statistics)
        self._writer.write(join.to_bytes())
        welcome = Welcome.of(await asyncio.wait_for(self._frame(streams), CONNECT_SECONDS))
        arbiter.greet(self.name, welcome.identity, welcome.epoch, welcome.next, hub.now())
        arbiter.begin(self.name, welcome.start or welcome.next)
        self._welcomed = True
        hub.looked()

    async def _frame(self, streams: asyncio.StreamReader) -> Frame:
        try:
            size, frame = header(await streams.readexactly(HEADER_BYTES), FRAME_BYTES_MAX)
            if size:
                frame = frame._replace(payload=await streams.readexactly(size))
        except asyncio.IncompleteReadError:
            raise ConnectionResetError("the connection was closed") from None
        if frame.type == Type.REFUSED:
            said = frame.payload.decode("utf-8", "replace")
            if frame.rows in LASTING:
                self._hub.arbiter.refuse(self.name, said)
            raise ConnectionRefusedError(said)
        return frame

    async def _take(self, frame: Frame) -> None:
        arbiter, now = self._hub.arbiter, self._hub.now()
        if frame.type == Type.CHANGES:
            self._came(changes_of(frame))
            await self._hub.room()
        elif frame.type == Type.HEARTBEAT:
            arbiter.beat(self.name, frame.number, now)
        elif frame.type == Type.NOT_HERE:
            arbiter.not_here(self.name, frame.number + frame.rows - 1)
        elif frame.type == Type.END:
            raise ConnectionResetError(f"the feed ended at number {frame.number}")
        else:
            raise FeedError(f"a frame of type {frame.type}, which is not expected here")
        self._hub.looked()

    async def _snapshot(self, streams: asyncio.StreamReader) -> Snapshot:
        instruments: list[Instrument] = []
        parts, states, count, statistics = [_NOTHING], [_NOTHING], 0, bytearray()
        while True:
            frame = await self._frame(streams)
            self._hub.arbiter.beat(self.name, 0, self._hub.now())
            if frame.type == Type.DEFINITIONS:
                for number, instrument in snapshot_definitions_of(frame):
                    instruments.append(instrument)
                    if number != len(instruments):
                        raise FeedError(f"a snapshot with instrument {number} in the wrong place")
            elif frame.type == Type.ORDERS:
                parts.append(orders_of(frame))
                count += frame.rows
                if count > ORDERS_MAX:
                    raise FeedError(f"a snapshot of more than {ORDERS_MAX} orders")
            elif frame.type == Type.MARKET:
                states.append(states_of(frame))
                if sum(map(len, states)) > len(MARKET_CHANGES) * len(instruments):
                    raise FeedError(f"more states of the market than {len(instruments)} have")
            elif frame.type == Type.STATISTICS:
                statistics += frame.payload
                if len(statistics) > STATISTICS_BYTES_MAX:
                    raise FeedError(f"statistics of more than {STATISTICS_BYTES_MAX} bytes")
            elif frame.type == Type.SNAPSHOT:
                if frame.rows != count:
                    raise FeedError(f"a snapshot of {frame.rows} orders, of which {count} came")
                said = bytes(statistics)
                return Snapshot(
                    frame.number, frame.epoch, instruments, joined(parts), joined(states), said
                )
            elif frame.type != Type.HEARTBEAT:
                raise FeedError(f"a frame of type {frame.type} in a snapshot")
