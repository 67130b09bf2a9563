"""One connection of a line, from either end: frames in and out, and heartbeats both ways."""

from __future__ import annotations

import asyncio
from typing import cast

from .wire import BATCH_BYTES_MAX, Frame, Frames, LineError, Type

BEAT_SECONDS = 0.2
DEAD_SECONDS = 0.8  # of silence
LAST_WORD_SECONDS = 1.0  # for what was sent last
WRITE_BYTES_MAX = 1 << 20  # that wait for the other end before more is read or made


class Link(asyncio.Protocol):
    """A connection.  Ends override `took`, `lost` and what they need of `asyncio.Protocol`.

    It beats every `BEAT_SECONDS` and is lost after ``dead_seconds`` of silence.  It is in ``open``
    as long as it has a socket, which it has for a while after it was lost.
    """

    def __init__(self, open: set[Link], dead_seconds: float = DEAD_SECONDS) -> None:
        self._open = open
        self.why = ""  #: it is lost or closed; empty while it is not
        self._dead_seconds = dead_seconds
        self._listens = True
        self._frames = Frames()
        self._room = asyncio.Event()
        self._room.set()

    def took(self, frame: Frame) -> None:
        """The next frame that is no heartbeat; what it raises of `LineError` ends the line."""
        raise NotImplementedError  # each end has its own

    def alive(self, frame: Frame) -> None:
        """A heartbeat of the other end."""

    def lost(self) -> None:
        """It has ended, as ``why`` says; called once."""

    def beat(self) -> Frame:
        """The next heartbeat."""
        return Frame(Type.ALIVE)

    # ------------------------------------------------------------------ what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are of no such class
        self._open.add(self)
        self._loop = asyncio.get_running_loop()
        self.transport.set_write_buffer_limits(high=WRITE_BYTES_MAX)
        self._heard = self._beats_at = self._loop.time()
        self._beat()

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        try:
            for frame in self._frames.take(data):
                if self.why:
                    return
                (self.alive if frame.type == Type.ALIVE else self.took)(frame)
        except LineError as error:
            self.refused(str(error))

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def connection_lost(self, error: Exception | None) -> None:
        self._open.discard(self)
        self.end(str(error) if error else "the connection was closed")

    # ------------------------------------------------------------------ what ends call

    def joined(self) -> None:
        """The other end is known: it may send commands from now on."""
        self._frames.most = BATCH_BYTES_MAX

    def listen(self, listens: bool) -> None:
        """Whether it reads; while it does not, silence means nothing."""
        self._listens = listens
        (self.transport.resume_reading if listens else self.transport.pause_reading)()
        self._heard = self._loop.time()

    def send(self, data: bytes) -> None:
        """Does not wait; nothing happens once it is lost."""
        if not self.why:
            self.transport.write(data)

    async def room(self) -> None:
        """Returns when the other end has taken most of what was sent; OSError if it is lost."""
        await self._room.wait()
        if self.why:
            raise ConnectionResetError(self.why)

    def refused(self, why: str) -> None:
        """The other end said what it must not."""
        self.end(why)

    def end(self, why: str, *, politely: bool = False) -> None:
        """Ends it; ``politely``: what was sent still goes out."""
        if self.why:
            return
        self.why = why or "closed"
        self._timer.cancel()
        self._room.set()
        if politely:
            self.transport.close()
        else:
            self.transport.abort()
        self.lost()

    def _beat(self) -> None:
        now = self._loop.time()
        if now - self._beats_at > self._dead_seconds / 2 or not self._listens:
            self._heard = now  # this loop was busy: what has come meanwhile is not read yet
        if now - self._heard > self._dead_seconds:
            self.end(f"nothing was heard for {now - self._heard:.1f} s")
            return
        self.send(self.beat().to_bytes())
        self._beats_at = now + BEAT_SECONDS
        self._timer = self._loop.call_later(BEAT_SECONDS, self._beat)


async def all_gone(open: set[Link]) -> None:
    """Returns when none of these has a socket: what was sent last has gone, or is given up."""
    loop = asyncio.get_running_loop()
    until = loop.time() + LAST_WORD_SECONDS
    while open:
        if loop.time() > until:
            for link in open:
                link.transport.abort()
        await asyncio.sleep(0.001)
