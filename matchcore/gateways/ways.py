"""How a gateway reaches the engine, and hears what the log has."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..engine.engine import Engine
from ..errors import LogError
from ..records.instruments import Directory

Take = Callable[[NDArray[np.void], NDArray[np.void]], None]


class Way(Protocol):
    """The way to an engine.  Everything is called in the event loop of the desk."""

    @property
    def instruments(self) -> Directory:
        """The instruments, as of the last commands that were taken."""

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


class Direct:
    """An engine in this process whose commands all come this way."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._ready: deque[tuple[NDArray[np.void], Future[NDArray[np.void]]]] = deque()
        self._woken = False

    @property
    def instruments(self) -> Directory:
        return self._engine.instruments

    async def start(self, take: Take, down: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._take, self._down = take, down

    def send(self, commands: NDArray[np.void]) -> None:
        copied = commands.copy()
        sent = self._engine.submit_async(copied, block=False)
        sent.add_done_callback(lambda future: self._answered(copied, future))

    def _answered(self, commands: NDArray[np.void], future: Future[NDArray[np.void]]) -> None:
        """In a thread of the log, in its order."""
        self._ready.append((commands, future))
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._woken = False
        while self._ready:
            commands, future = self._ready.popleft()
            error = future.exception()
            if error is None:
                self._take(commands, future.result())
            else:
                self._down(str(error))
                if not isinstance(error, LogError):
                    raise error

    async def close(self) -> None:
        """Nothing to do: the engine is its owner's."""
