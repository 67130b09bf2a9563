"""One client of a line that has joined: what it is sent, and from which number on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from ...errors import FeedError, LogError
from ..history import History
from ..saving import to_bytes
from ..serving import Feed
from ..stream import Changes
from .connection import Connection
from .wire import Frame, Refusal, Type, Welcome, changes_frames, snapshot_frames

LIVE_BYTES_MAX = 4 << 20  # that a client may have to take; then it goes at its own pace
RESEND_MAX = 65_536  # changes for one request
REPLAYS_MAX = 8  # clients at once for whom the log is read again
THREADS_MAX = 2  # that read it
_NOT_THERE = FeedError, LogError  # gone from the memory; archived, or a log that cannot be read


class Replays:
    """What a feed has given, for many clients at once and without holding up the event loop."""

    def __init__(self, history: History) -> None:
        self.history = history
        self._turn = asyncio.Semaphore(THREADS_MAX)
        self._open = 0

    async def between(self, first: int, last: int) -> AsyncIterator[Changes]:
        """As `History.between`; `BlockingIOError` if too many others ask for old ones."""
        found = self.history.between(first, last)
        if first >= self.history.first or not self.history.derives:
            for changes in found:
                yield changes
            return
        if self._open >= REPLAYS_MAX:
            raise BlockingIOError(f"{REPLAYS_MAX} clients read old changes")
        self._open += 1
        try:
            while True:
                async with self._turn:
                    derived = await asyncio.to_thread(next, found, None)
                if derived is None:
                    return
                yield derived
        finally:
            self._open -= 1
            with suppress(ValueError):  # its thread is still at it, if this was cancelled
                found.close()


class Reader:
    """Sends one client everything from a number on.

    ``current``: it has everything, and `send` may write the next changes.  Otherwise it is given
    what it lacks from the history, as fast as it takes them; nothing is kept for it.
    """

    def __init__(self, connection: Connection, feed: Feed, replays: Replays) -> None:
        self.connection, self._feed, self._replays = connection, feed, replays
        self._history = feed.history
        self.current = False
        self._was_current = False
        self._next = 0  # number to be sent
        self._behind: asyncio.Task[None] | None = None

    async def run(self, first: int, statistics: bool = False) -> None:
        """Until it leaves: from ``first`` on, or with 0 from a snapshot on, with ``statistics``."""
        try:
            await (self._begin(first) if first else self._begin_with_snapshot(statistics))
            await self._catch_up()
            while True:
                frame = await self.connection.frame()
                if frame.type != Type.RESEND:
                    self.connection.refuse(
                        Refusal.PROTOCOL, f"a frame of type {frame.type} after the join"
                    )
                await self._resend(frame.number, frame.rows)
        finally:
            self.current = False
            if self._behind is not None:
                self._behind.cancel()

    def send(self, changes: Changes, data: bytes) -> None:
        """The next changes, as the bytes ``data``, to one that is current."""
        if self.connection.waiting_bytes > LIVE_BYTES_MAX:
            self.current = False
            self._behind = asyncio.ensure_future(self._catch_up_behind())
            return
        self.connection.write(data)
        self._next = changes.last + 1

    def beat(self) -> None:
        """Says the last number that it was sent."""
        if self._next:
            beat = Frame(Type.HEARTBEAT, self._next - 1, self._history.epoch, 0, b"")
            self.connection.write(beat.to_bytes())

    def end(self, last: int) -> None:
        """Says that no more comes, and the last number that there is."""
        self.current = False
        if self._behind is not None:
            self._behind.cancel()
        self.connection.write(Frame(Type.END, last, self._history.epoch, 0, b"").to_bytes())

    async def _begin(self, first: int) -> None:
        """Numbers that are gone or not there yet are not sent: the welcome says so."""
        following = self._history.last + 1
        start = first if self._history.oldest <= first <= following else following
        self._welcome(start)
        self._next = start

    async def _begin_with_snapshot(self, statistics: bool) -> None:
        self._welcome(0)
        number, epoch = self._history.last, self._history.epoch
        # Everything is copied before others have their turn.
        instruments, rows = [*self._feed.stream.instruments], self._feed.books.snapshot()
        states = self._feed.statistics.states.rows()
        said = to_bytes(self._feed.statistics, self._feed.notices) if statistics else b""
        for data in snapshot_frames(number, epoch, instruments, rows, states, said):
            self.connection.write(data)
            await self.connection.drained()
        self._next = number + 1

    def _welcome(self, start: int) -> None:
        stream, history = self._feed.stream, self._history
        self.connection.write(
            Welcome(
                start, history.epoch, stream.identity, stream.session, history.oldest,
                history.last + 1,
            ).to_bytes()
        )  # fmt: skip

    async def _catch_up(self) -> None:
        history = self._history
        while self._next <= history.last:
            if self._was_current and self._next < history.first:
                self.connection.refuse(
                    Refusal.SLOW, f"too slow: {history.last - self._next} changes behind"
                )
            try:
                await self._sent(self._next, history.last)
            except _NOT_THERE:
                there = min(history.first, history.last + 1)
                if self._next >= there:
                    raise
                self._not_here(self._next, there - self._next)
                self._next = there
        self.current = self._was_current = True

    async def _sent(self, first: int, last: int) -> None:
        async for changes in self._old(first, last):
            self._next = changes.last + 1

    async def _old(self, first: int, last: int) -> AsyncIterator[Changes]:
        """Sends them, and says so."""
        try:
            async for changes in self._replays.between(first, last):
                for data in changes_frames(changes):
                    self.connection.write(data)
                    await self.connection.drained()
                yield changes
        except BlockingIOError as error:
            self.connection.refuse(Refusal.BUSY, f"{error}: try another line, or a snapshot")

    async def _catch_up_behind(self) -> None:
        try:
            await self._catch_up()
        except (OSError, *_NOT_THERE):
            await self.connection.close()

    async def _resend(self, first: int, count: int) -> None:
        """What was asked for again, between the live ones; no more than `RESEND_MAX`."""
        last = first + min(count, RESEND_MAX) - 1
        if not self._history.oldest <= first <= last <= self._history.last:
            self._not_here(first, count)
            return
        try:
            async for changes in self._old(first, last):
                first = changes.last + 1
        except _NOT_THERE:
            self._not_here(first, last + 1 - first)

    def _not_here(self, first: int, count: int) -> None:
        count = min(count, 2**32 - 1)
        self.connection.write(Frame(Type.NOT_HERE, first, 0, count, b"").to_bytes())
