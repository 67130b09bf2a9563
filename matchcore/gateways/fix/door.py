"""The door: listens for FIX clients."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from ...errors import InvalidArgument
from ...serving.addresses import takes_last_files
from ..desk import Desk
from .connection import Connection
from .layout import COMP_ID_CHARACTERS_MAX
from .session import SECOND, Settings
from .tables import Tables

CONNECTIONS_MAX = 1000
LOGON_NS = 10 * SECOND  # within which one must log on
DRAIN_SECONDS = 3.0  # that sessions have for their Logout


class FixDoor:
    """FIX 4.4, and FIX 5.0 SP2 over FIXT 1.1, on one port.

    - ``host``, ``port``: where it listens; port 0: a free one, which `address` tells.
    - ``directory``: for the message numbers of the sessions, one file each. Gateways that share it
      may serve the same sessions in turn.
    - ``settings``: what holds for all sessions. ``tls``: a server's context. ``started`` is called
      with the address at which it listens.
    """

    def __init__(
        self,
        host: str,
        port: int,
        directory: Path,
        settings: Settings | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        started: Callable[[str, int], object] = lambda host, port: None,
    ) -> None:
        self._started = started
        self.settings = settings or Settings()
        name = self.settings.comp_id
        if not (0 < len(name) <= COMP_ID_CHARACTERS_MAX and name.isascii() and name.isprintable()):
            raise InvalidArgument(f"comp_id: 1 to {COMP_ID_CHARACTERS_MAX} ASCII characters")
        self._host, self._port, self._tls = host, port, tls
        self.directory = directory
        self.logon_ns = LOGON_NS
        self.clock = time.time_ns
        #: For metrics: what has happened since the start.
        self.counts = dict.fromkeys(
            (
                "logons",
                "logons_refused",
                "messages",
                "orders",
                "reports",
                "garbled",
                "rejected_by_clients",
                "connections",
            ),
            0,
        )
        self._connections: set[Connection] = set()
        self._strangers: dict[Connection, None] = {}  # without a session yet; the oldest first
        self._listening: asyncio.Server | None = None
        self._last_time = 0

    async def start(self, desk: Desk) -> None:
        """Begins to listen; `InvalidArgument` if the system refuses the port."""
        self.desk = desk
        self.tables = Tables(lambda: desk.instruments)
        desk.look_on(self._moved)
        try:
            self._listening = await asyncio.get_running_loop().create_server(
                lambda: Connection(self), self._host, self._port, backlog=1024, ssl=self._tls
            )
        except OSError as error:
            raise InvalidArgument(f"FIX on {self._host}:{self._port}: {error}") from error
        self._started(*self.address)

    @property
    def files_max(self) -> int:
        """How many files its clients may need: each has its connection and its numbers."""
        return 2 * CONNECTIONS_MAX

    @property
    def listening(self) -> bool:
        """Whether clients may come."""
        return self._listening is not None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        assert self._listening is not None
        host, port, *_ = self._listening.sockets[0].getsockname()
        return host, port

    @property
    def sessions(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    def unique_time(self) -> int:
        """The time in nanoseconds; later than every one before."""
        self._last_time = max(self._last_time + 1, self.clock())
        return self._last_time

    def welcome(self, connection: Connection) -> bool:
        """False if there are enough of them.

        The oldest one that has not logged on makes room: who only connects shuts nobody out.
        """
        if takes_last_files(connection.transport):
            return False
        if len(self._connections) >= CONNECTIONS_MAX:
            if not self._strangers:
                return False
            oldest = next(iter(self._strangers))
            self.forget(oldest)
            oldest.abort()
        self._connections.add(connection)
        self._strangers[connection] = None
        self.counts["connections"] = len(self._connections)
        return True

    def forget(self, connection: Connection) -> None:
        """A connection is gone."""
        self._connections.discard(connection)
        self._strangers.pop(connection, None)
        self.counts["connections"] = len(self._connections)

    def known(self, connection: Connection) -> None:
        """It has a session now."""
        self._strangers.pop(connection, None)

    def _moved(self, numbers: list[int]) -> None:
        """The phases of these markets were set."""
        for connection in list(self._connections):
            connection.moved(numbers)

    def beat(self) -> None:
        """Called every second."""
        now = self.clock()
        for connection in list(self._connections):
            connection.beat(now)

    async def drain(self) -> None:
        """Takes no more connections, and lets the sessions log out."""
        if self._listening is not None:
            self._listening.close()
        for connection in list(self._connections):
            connection.drain()
        loop = asyncio.get_running_loop()
        until = loop.time() + DRAIN_SECONDS
        while self._connections and loop.time() < until:
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Closes what is left."""
        if self._listening is not None:
            self._listening.close()
        for connection in list(self._connections):
            connection.abort()
        while self._connections:
            await asyncio.sleep(0)
