"""One connection of a line, seen from the server: frames in, bytes out, and their time limits."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import NoReturn

from .wire import (
    HEADER_BYTES,
    SAID_BYTES_MAX,
    Frame,
    Join,
    Refusal,
    header,
    refused,
)

WRITE_BYTES_MAX = 1 << 20  # that wait for a client before the one who writes waits
STALL_SECONDS = 10.0  # in which a client must take most of them
CLOSE_SECONDS = 1.0


async def read_frame(streams: asyncio.StreamReader, most: int) -> Frame:
    """The next frame; `FeedError` for one with more than ``most`` bytes behind the header."""
    size, frame = header(await streams.readexactly(HEADER_BYTES), most)
    return frame._replace(payload=await streams.readexactly(size)) if size else frame


class Connection:
    """The streams of one client."""

    def __init__(self, streams: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._streams, self._writer = streams, writer
        self._draining = asyncio.Lock()  # two tasks write: the catching up, and what is asked for
        writer.transport.set_write_buffer_limits(high=WRITE_BYTES_MAX)

    @property
    def address(self) -> str:
        """The other side's, without a port."""
        peer = self._writer.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else "local"

    def keep_alive(self) -> None:
        """Has the system notice a client that is gone without a word."""
        found = self._writer.get_extra_info("socket")
        if found is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    async def frame(self) -> Frame:
        """The next one that the client sends."""
        return await read_frame(self._streams, SAID_BYTES_MAX)

    async def join(self) -> Join:
        """Its first one."""
        return Join.of(await self.frame())

    @property
    def waiting_bytes(self) -> int:
        """What it has not taken yet."""
        return self._writer.transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        """Does not wait.  To one that is gone it writes nothing."""
        if not self._writer.transport.is_closing():
            self._writer.write(data)

    async def drained(self) -> None:
        """Waits for a client that has much to take, but not for ever; OSError if it is gone."""
        if self._writer.transport.is_closing():
            raise ConnectionResetError("the client is gone")
        if self.waiting_bytes <= WRITE_BYTES_MAX:
            await asyncio.sleep(0)
            return
        async with self._draining:
            try:
                await asyncio.wait_for(self._writer.drain(), STALL_SECONDS)
            except asyncio.TimeoutError:
                self._writer.transport.abort()
                raise ConnectionAbortedError("the client takes nothing") from None

    async def emptied(self) -> None:
        """Waits until it has taken everything."""
        while self.waiting_bytes and not self._writer.transport.is_closing():
            await asyncio.sleep(0.005)

    def refuse(self, code: Refusal, why: str) -> NoReturn:
        """Says why it ends; raises ConnectionAbortedError."""
        self.write(refused(code, why))
        raise ConnectionAbortedError(why)

    def abort(self) -> None:
        """Ends it at once."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """What is written is sent, if the client takes it soon."""
        self._writer.close()
        with suppress(OSError, asyncio.TimeoutError):
            await asyncio.wait_for(self._writer.wait_closed(), CLOSE_SECONDS)
        self._writer.transport.abort()
