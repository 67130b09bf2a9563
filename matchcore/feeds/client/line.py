"""One line, seen from a client: it connects, and connects again until it is refused."""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from typing import Protocol

from ...errors import FeedError
from ..stream import Changes
from .arbiter import Arbiter, HistoryChanged, HistoryRefused
from .view import Snapshot

CONNECT_SECONDS = 5.0
PAUSE_SECONDS, PAUSE_SECONDS_MAX = 0.05, 2.0  # between two attempts


class Hub(Protocol):
    """What puts the lines together."""

    arbiter: Arbiter
    turn: asyncio.Lock
    stopped: bool

    @property
    def wants_snapshot(self) -> bool: ...
    def now(self) -> float: ...
    def came(self, name: str, changes: Changes) -> None: ...
    def restarted(self, snapshot: Snapshot) -> None: ...
    def translated(self, number: int, blocks: bytes) -> Snapshot: ...
    def looked(self) -> None: ...
    async def room(self) -> None: ...


class Line(ABC):
    """The line ``name`` of a hub."""

    def __init__(self, name: str, hub: Hub) -> None:
        self.name, self._hub = name, hub
        self._welcomed = False  # in this connection

    async def run(self) -> None:
        """Until it is refused."""
        arbiter, pause = self._hub.arbiter, PAUSE_SECONDS
        while not (self._hub.stopped or arbiter.refused(self.name)):
            self._welcomed = False
            try:
                await self._connected()
            except HistoryChanged:
                raise
            except HistoryRefused:
                break
            except (OSError, EOFError, FeedError, asyncio.TimeoutError) as error:
                arbiter.away(self.name, str(error) or type(error).__name__)
            self._hub.looked()
            pause = PAUSE_SECONDS if self._welcomed else min(2 * pause, PAUSE_SECONDS_MAX)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
        if not self._hub.stopped:
            self._hub.looked()

    @abstractmethod
    async def _connected(self) -> None:
        """One connection, to its end."""

    def _came(self, changes: Changes) -> None:
        """Hands changes on; `HistoryRefused` if the line is refused for them."""
        self._hub.came(self.name, changes)
        why = self._hub.arbiter.refused(self.name)
        if why:
            raise HistoryRefused(self.name, why)

    @abstractmethod
    def ask(self, first: int, last: int) -> None:
        """Asks for changes again."""

    @abstractmethod
    def drop(self) -> None:
        """Has it connect again."""
