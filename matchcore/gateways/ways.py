"""How a gateway reaches the engine, and hears what the log has."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..engine._queue import Submission
from ..engine.engine import Engine
from ..engine.streaming import Stream
from ..engine.taps import Logged
from ..errors import LogError
from ..records.instruments import Directory

Take = Callable[[NDArray[np.void], NDArray[np.void]], None]


class Way(Protocol):
    """The way to an engine.  Everything is called in the event loop of the desk."""

    @property
    def instruments(self) -> Directory:
        """The instruments, as of the last commands that were taken."""

    @property
    def incarnation(self) -> int:
        """A number that no other gateway of this engine has; once it has started."""

    @property
    def durable(self) -> int:
        """Sequence of the last durable command, as far as it is known here."""

    async def start(self, take: Take, down: Callable[[str], None]) -> None:
        """Hands all durable commands and their events to ``take``, from the log's first on.

        Returns when it has come to the log's end.  ``down`` is called with the reason once no
        command is taken any more.
        """

    def send(self, commands: NDArray[np.void]) -> None:
        """Sends commands, which it copies; never waits.

        `QueueFull` while the engine is behind, `LogError` if it takes nothing more.
        """

    async def close(self) -> None:
        """Lets go of the engine, which stays open."""


AGAIN_SECONDS = 0.02  # until an engine that may tell nothing is asked again
INCARNATIONS_MAX = 1 << 10  # of one epoch
EPOCHS = 1 << 16  # until incarnations begin again


def incarnation_of(epoch: int, number: int) -> int:
    """Of the gateway ``number``, 0 to `INCARNATIONS_MAX` - 1, that has come in this epoch."""
    return epoch % EPOCHS * INCARNATIONS_MAX + number


class Direct:
    """An engine in this process.  Without a log it is followed from now on.

    ``after``: the last command that was taken elsewhere.  ``lost``: says why the engine must tell
    nothing now, or "".
    """

    def __init__(self, engine: Engine, after: int = 0, lost: Callable[[], str] = str) -> None:
        self._engine, self._after, self._lost = engine, after, lost
        self._instruments = engine.instruments
        self._woken = threading.Event()  # the loop will look
        self._reading: asyncio.Task[None] | None = None  # old parts of the log
        self._rung = False  # meanwhile

    @property
    def instruments(self) -> Directory:
        return self._instruments

    @property
    def incarnation(self) -> int:
        log = self._engine.log
        return incarnation_of(log.epoch if log is not None else 1, 0)

    @property
    def durable(self) -> int:
        return self._engine.durable

    async def start(self, take: Take, down: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._take, self._down = take, down
        after = self._engine.sequence if self._engine.log is None else self._after
        self._stream = Stream(self._engine, after, self._ring)
        await self._catch_up()

    def send(self, commands: NDArray[np.void]) -> None:
        self._engine._place(commands, _Sent(), block=False)

    def _ring(self) -> None:
        """In the log's thread: there may be more."""
        if not self._woken.is_set():
            self._woken.set()
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        if self._lost():
            self._loop.call_later(AGAIN_SECONDS, self._look)
            return
        self._woken.clear()
        if self._reading is not None:
            self._rung = True
        elif self._stream.reads:
            self._reading = self._loop.create_task(self._read())
        else:
            self._poll()

    def _poll(self) -> bool:
        ended = self._stream.ended
        try:
            parts = self._stream.poll()
        except LogError as error:
            self._down(str(error))
            return False
        if ended and not parts:
            self._down("the engine is closed")
        return self._deliver(parts)

    def _deliver(self, parts: list[Logged]) -> bool:
        for part in parts:
            self._take(part.commands, part.events)
        return bool(parts)

    async def _catch_up(self) -> None:
        """Files are read in another thread; what the engine has is taken here."""
        while True:
            if self._stream.reads:
                parts = await self._loop.run_in_executor(None, self._stream.poll)
                more = self._deliver(parts)
                await asyncio.sleep(0)
            else:
                more = self._poll()
            if not more and not self._rung:
                return
            self._rung = False

    async def _read(self) -> None:
        try:
            await self._catch_up()
        except LogError as error:
            self._down(str(error))
        finally:
            self._reading = None

    async def close(self) -> None:
        """Stops following; the engine is its owner's."""
        if self._reading is not None:
            await asyncio.wait({self._reading})
        self._stream.close()


class _Sent(Submission):
    """Commands whose answer comes with the log."""

    def done(self) -> None:
        """A failure comes with the log, too."""
