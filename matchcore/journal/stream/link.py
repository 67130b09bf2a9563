"""The connection to the servers of a log: a client in an event loop, in a thread of its own.

What the client library raises ends here: callers get `LogFailed`, with the address and what to do.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ..._closing import Closing
from ...errors import LogError, LogFailed, MatchcoreError, MissingExtra
from .address import Address
from .servers import OLDEST

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js import JetStreamContext

T = TypeVar("T")

PATIENCE_SECONDS = 30.0  # an election of a new leader takes up to 9
CONNECT_SECONDS, CONNECTING_SECONDS = 2, 10.0  # to one server, and to any
RECONNECT_SECONDS = 0.1
PING_SECONDS, PINGS_MAX = 1, 2  # a server that does not answer so many is left for another
REQUEST_SECONDS = 2.0
RETRY_SECONDS = 0.1
NO_PEERS = 10005  # too few servers are there to make a stream: the others may be starting
PENDING_BYTES = 64 << 20  # of what waits for the socket
THREAD_SECONDS = 5.0


class Link(Closing):
    """A client that is connected when it is made; `LogFailed` if none of the servers takes it.

    ``patience``: seconds that anything may take while servers change their leader; the first
    connection takes `CONNECTING_SECONDS` at most.
    """

    def __init__(self, address: Address, patience: float = PATIENCE_SECONDS) -> None:
        try:
            import nats  # noqa: F401  an optional dependency: late, and looked for before a thread starts
        except ImportError:
            raise MissingExtra(f"the log {address}", "nats") from None
        self.address, self.patience = address, patience
        self._first = min(CONNECTING_SECONDS, patience)
        self.client: Client
        self.streams: JetStreamContext
        #: called in the loop when the connection is lost, or there again
        self.bells: set[Callable[[], object]] = set()
        self.closed_because = ""
        self._said = ""  # the last error of the client
        self._process = os.getpid()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="matchcore-stream", daemon=True)
        self._thread.start()
        try:
            self.call(self._connect(), self._first + CONNECT_SECONDS)
        except BaseException:
            self.close()
            raise

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs in this process."""
        return self._process == os.getpid() and self._thread.is_alive()

    # ------------------------------------------------------------------ from other threads

    def call(self, work: Coroutine[Any, Any, T], seconds: float | None = None) -> T:
        """Runs ``work`` in the loop and waits for it; `LogFailed` after so many ``seconds``."""
        if not self.is_alive:
            work.close()
            raise LogFailed(f"{self.address}: this connection is closed")
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result(self.patience if seconds is None else seconds)
        except MatchcoreError:
            raise
        except (TimeoutError, asyncio.TimeoutError) as error:
            future.cancel()
            raise self.failed("no answer in time", error) from None
        except CancelledError:
            raise LogFailed(f"{self.address}: this connection is closed") from None
        except Exception as error:
            raise self.failed(told(error), error) from error

    def soon(self, work: Callable[[], object]) -> None:
        """Has ``work`` called in the loop; nothing if it has ended."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(work)

    def failed(self, what: str, error: BaseException | None = None) -> LogFailed:
        """The error for something that did not work."""
        more = f" ({self._said})" if self._said and self._said not in what else ""
        return LogFailed(f"{self.address}: {what}{more}")

    # ------------------------------------------------------------------ in the loop

    async def _connect(self) -> None:
        self._refused: asyncio.Future[str] = self.loop.create_future()  # why
        await self._dial(self._first)
        self._check_version()
        self._refused.cancel()

    async def _dial(self, seconds: float | None) -> None:
        """Connects a new client; forever without ``seconds``."""
        from .encrypted import client_for

        client = client_for(self.address)
        connecting = asyncio.ensure_future(
            client.connect(
                **self.address.connect_options(),
                name=f"matchcore {self.address.name}",
                error_cb=self._on_error, closed_cb=partial(self._on_closed, client),
                disconnected_cb=self._on_changed, reconnected_cb=self._on_reconnected,
                connect_timeout=CONNECT_SECONDS,
                reconnect_time_wait=RECONNECT_SECONDS,  # type: ignore[arg-type]  # any number
                max_reconnect_attempts=-1, ping_interval=PING_SECONDS,
                max_outstanding_pings=PINGS_MAX, pending_size=PENDING_BYTES,
            )
        )  # fmt: skip
        first: set[asyncio.Future[Any]] = {connecting}
        if not self._refused.cancelled():
            first.add(self._refused)
        await asyncio.wait(first, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not connecting.done():
            connecting.cancel()
            if self._refused.done():  # the client may have gone on, to errors of another attempt
                why = self._refused.result()
                raise LogFailed(f"{self.address}: {why}")
            raise self.failed("no server can be reached")
        connecting.result()
        self.client, self.streams = client, client.jetstream(timeout=REQUEST_SECONDS)

    async def _dial_again(self) -> None:
        """After the client closed itself, which it does at errors that it does not know."""
        while not self.closed_because:
            try:
                await self._dial(None)
            except Exception as error:  # of the client: it is tried again
                self._said = told(error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            await self._on_reconnected()
            return

    def _check_version(self) -> None:
        version = self.client.connected_server_version
        if (version.major, version.minor) < OLDEST:
            least = ".".join(map(str, OLDEST))
            self.closed_because = (
                f"a server has version {version.major}.{version.minor}.{version.patch}, and a log"
                f" needs {least} or newer: upgrade it"
            )
            raise LogFailed(f"{self.address}: {self.closed_because}")

    def _ring(self) -> None:
        for bell in list(self.bells):
            bell()

    async def _on_error(self, error: Exception) -> None:
        from .encrypted import refusal

        self._said = told(error)
        if not self._refused.done() and (why := refusal(self.address, self._said)):
            self._refused.set_result(why)  # at the first connection: it will not pass

    async def _on_closed(self, client: Client) -> None:
        self._ring()
        if not self.closed_because and getattr(self, "client", None) is client:
            self._dialing = asyncio.create_task(self._dial_again())

    async def _on_changed(self) -> None:
        self._ring()

    async def _on_reconnected(self) -> None:
        with suppress(LogFailed):
            self._check_version()
            self._said = ""
        self._ring()

    async def retried(
        self, ask: Callable[[], Coroutine[Any, Any, T]], seconds: float | None = None
    ) -> T:
        """What ``ask`` gives, which is repeated while the servers change their leader.

        Errors that will not pass are raised at once.
        """
        from nats.errors import Error
        from nats.js.errors import APIError, BadRequestError, NotFoundError, ServiceUnavailableError

        until = self.loop.time() + (self.patience if seconds is None else seconds)
        while True:
            try:
                return await ask()
            except NotFoundError:
                raise
            except BadRequestError as error:
                if error.err_code != NO_PEERS or self.loop.time() > until:
                    raise
            except (Error, TimeoutError, asyncio.TimeoutError) as error:
                final = isinstance(error, APIError) and not isinstance(
                    error, ServiceUnavailableError
                ) and (error.code or 0) < 500  # fmt: skip
                if final or self.loop.time() > until or self.closed_because:
                    raise
            await asyncio.sleep(RETRY_SECONDS)

    # ------------------------------------------------------------------ the end

    def close(self) -> None:
        """Ends the connection and the thread.  In a forked process nothing: it has neither."""
        if not self.is_alive:
            return
        with suppress(LogError):
            self.call(self._close(), THREAD_SECONDS)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(THREAD_SECONDS)

    async def _close(self) -> None:
        self.closed_because = self.closed_because or "closed"
        self.bells.clear()
        client = getattr(self, "client", None)
        if client is not None:
            with suppress(Exception):  # it goes, whatever it says of that
                await asyncio.wait_for(client.close(), THREAD_SECONDS / 2)
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def told(error: BaseException) -> str:
    """What an error of the client says, in a few words."""
    return str(error).removeprefix("nats: ").strip() or type(error).__name__
