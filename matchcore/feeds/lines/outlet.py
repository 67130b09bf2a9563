"""The server of a line: every change once encoded, to each client from the number it asks for."""

from __future__ import annotations

import asyncio
import hmac
import ssl
from contextlib import suppress

from ...errors import FeedError, LogError
from ...serving.addresses import Addresses
from ...serving.tasks import end
from ..serving import Feed
from ..stream import Changes
from .address import Address
from .connection import Connection
from .reader import Reader, Replays
from .wire import ANY, Refusal, changes_frames, refused

CONNECTIONS_MAX = 1000
JOIN_SECONDS = 5.0  # from the connection to a whole join
END_SECONDS = 2.0  # for the last bytes to each client
BACKLOG = 2048


class LineOutlet:
    """Serves the line at ``address``.  ``tls``: a server's context; ``token``: what a client must
    say; ``connections_max``: how many clients at once, a quarter of them from one address."""

    def __init__(
        self,
        address: Address,
        *,
        tls: ssl.SSLContext | None = None,
        token: str = "",
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        self._address, self._tls, self._token = address, tls, token.encode()
        self._addresses = Addresses(connections_max)
        self._readers: set[Reader] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """Where it listens, once it has started."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self, feed: Feed) -> None:
        """Listens."""
        self._feed = feed
        self._replays = Replays(feed.history)
        self._server = await asyncio.start_server(
            self._accepted, *self._address, ssl=self._tls, backlog=BACKLOG
        )

    def take(self, changes: Changes, live: bool) -> None:
        """Writes to those that have everything before; the others come to it by themselves."""
        current = [reader for reader in self._readers if reader.current]
        if not current:
            return
        data = b"".join(changes_frames(changes))
        for reader in current:
            reader.send(changes, data)

    def beat(self) -> None:
        """Says to each the last number that it was sent, so that the loss of one is noticed."""
        for reader in self._readers:
            reader.beat()

    async def close(self) -> None:
        """Says the last number to all, and closes."""
        assert self._server is not None
        self._server.close()
        for reader in self._readers:
            reader.end(self._feed.history.last)
        deadline = asyncio.get_running_loop().time() + END_SECONDS
        for reader in [*self._readers]:
            left = deadline - asyncio.get_running_loop().time()
            with suppress(FeedError, OSError, asyncio.TimeoutError):
                await asyncio.wait_for(reader.connection.emptied(), max(0.01, left))
        await end(self._tasks)
        await self._server.wait_closed()

    def _accepted(self, streams: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._served(Connection(streams, writer)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _served(self, connection: Connection) -> None:
        """One client, to its end; whatever it does concerns nobody else."""
        address, full = connection.address, self._addresses.full(connection.address)
        self._addresses.enter(address)
        try:
            if full:
                connection.write(refused(Refusal.FULL, full))
            else:
                await self._joined(connection)
        except (FeedError, LogError, OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            pass  # gone, or told why
        finally:
            await connection.close()
            self._addresses.leave(address)

    async def _joined(self, connection: Connection) -> None:
        connection.keep_alive()
        join = await asyncio.wait_for(connection.join(), JOIN_SECONDS)
        stream = self._feed.stream
        if not hmac.compare_digest(join.token, self._token):
            connection.refuse(Refusal.TOKEN, "another token is needed")
        if join.identity not in (ANY, stream.identity):
            connection.refuse(
                Refusal.IDENTITY,
                f"this feed is of exchange {stream.identity.hex()}, not {join.identity.hex()}",
            )
        reader = Reader(connection, self._feed, self._replays)
        self._readers.add(reader)
        try:
            await reader.run(join.first, join.statistics)
        finally:
            self._readers.discard(reader)
