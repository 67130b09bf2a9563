"""The way to an engine that is still a standby: the desk follows it, and doors open later."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from ..engine.engine import Engine
from ..errors import LogError
from ..records.instruments import Directory
from .ways import Direct, Take

PARTS_MAX = 16  # of the log, on their way into the event loop


class Warm:
    """A `Way` to an engine that this process may have later.

    A standby hands the log to `give` from the first command on.  So the desk knows all that it must
    when the engine is there, and reads nothing again.  ``instruments``: those of the standby.
    """

    def __init__(self, instruments: Callable[[], Directory]) -> None:
        self._of_standby = instruments
        self._engine: asyncio.Future[Direct] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._begun = threading.Event()  # the desk takes parts
        self._room = threading.Semaphore(PARTS_MAX)
        self._sequence = 0  # of the last command given
        self._closed = False

    @property
    def instruments(self) -> Directory:
        return self._direct.instruments if self._engine.done() else self._of_standby()

    @property
    def incarnation(self) -> int:
        return self._direct.incarnation

    @property
    def durable(self) -> int:
        return self._direct.durable if self._engine.done() else self._sequence

    @property
    def _direct(self) -> Direct:
        if not self._engine.done():
            raise LogError("this engine is a standby")
        return self._engine.result()

    async def start(self, take: Take, down: Callable[[str], None]) -> None:
        """As `Way.start`: returns when the engine is there."""
        self._take, self._down = take, down
        self._begun.set()
        direct = await self._engine
        await direct.start(take, down)

    def give(self, commands: NDArray[np.void], events: NDArray[np.void]) -> None:
        """In the standby's thread: the next durable commands, and their events.  It may wait."""
        self._begun.wait()
        self._room.acquire()
        if not self._closed:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._deliver, commands, events)

    def _deliver(self, commands: NDArray[np.void], events: NDArray[np.void]) -> None:
        self._room.release()
        self._sequence += len(commands)
        self._take(commands, events)

    def serve(self, engine: Engine, lost: Callable[[], str]) -> None:
        """The engine is there: commands go to it, behind all that was given.

        ``lost``: says why it must tell nothing now, or "".
        """
        self._engine.set_result(Direct(engine, after=self._sequence, lost=lost))

    def end(self, why: str) -> None:
        """Nothing is taken and told any more."""
        if self._begun.is_set():
            self._down(why)

    def send(self, commands: NDArray[np.void]) -> None:
        self._direct.send(commands)

    async def close(self) -> None:
        """Takes no more; the engine is its owner's."""
        self._closed = True
        self._begun.set()
        self._room.release(PARTS_MAX)
        if self._engine.done() and not self._engine.cancelled():
            await self._direct.close()
