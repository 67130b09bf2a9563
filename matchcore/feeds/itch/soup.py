"""SoupBinTCP 4.0: the packets, and a server of sessions that begin with a login."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from ...errors import FeedError
from ..addresses import Addresses
from .logins import Logins

CONNECTIONS_MAX = 1000
CHECKS_MAX = 32  # logins whose passwords wait to be checked
FAILURES_MAX = 5  # wrong passwords from one address, before it has to wait
FAILURES_SECONDS = 60.0
HOSTS_MAX = 10_000  # addresses whose wrong passwords are counted
LOGIN_SECONDS = 10.0  # within which one must log in
IDLE_SECONDS = 15.0  # without a word from the other side, or without its reading
INPUT_BYTES_MAX = 1 << 16  # between two beats: a subscriber has little to say
BUFFER_BYTES_MAX = 1 << 18  # of one who does not read; behind that, what he gets must wait

LOGIN = struct.Struct(">6s10s10s20s")  # user, password, session, number
NOT_AUTHORIZED, NO_SESSION = b"A", b"S"


def packet(kind: bytes, payload: bytes = b"") -> bytes:
    """A packet: its length, which counts all behind it, its type, and what it carries."""
    return (1 + len(payload)).to_bytes(2, "big") + kind + payload


class Session(asyncio.Protocol):
    """One connection.  The server calls `accept` or `refuse` once the password is checked."""

    transport: asyncio.Transport

    def __init__(self, server: SoupServer) -> None:
        self._server = server
        self._data = bytearray()
        self._input = 0  # bytes since the last beat
        self._drained = asyncio.Event()
        self._drained.set()
        self._serving: asyncio.Task[None] | None = None
        self._logging_in = False
        self.host = ""
        self.heard = self.began = time.monotonic()
        self.quiet = True  # nothing was sent since the last beat
        self.accepted = False

    # ------------------------------------------------------------------ what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is of another class
        self.host = (transport.get_extra_info("peername") or ("",))[0]
        self.transport.set_write_buffer_limits(high=BUFFER_BYTES_MAX)
        if not self._server.welcome(self):
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._drained.set()
        if self._serving is not None:
            self._serving.cancel()
        self._server.forget(self)

    def pause_writing(self) -> None:
        self._drained.clear()

    def resume_writing(self) -> None:
        self._drained.set()

    def data_received(self, data: bytes) -> None:
        self.heard = time.monotonic()
        self._input += len(data)
        self._data += data
        if self._input > INPUT_BYTES_MAX:
            self.transport.abort()
            return
        while len(self._data) >= 2 and not self.transport.is_closing():
            size = 2 + int.from_bytes(self._data[:2], "big")
            if len(self._data) < size:
                return
            kind, payload = bytes(self._data[2:3]), bytes(self._data[3:size])
            del self._data[:size]
            self._packet(kind, payload)

    # ------------------------------------------------------------------ what the other side says

    def _packet(self, kind: bytes, payload: bytes) -> None:
        if kind == b"O":
            self.transport.close()
        elif kind == b"L" and len(payload) == LOGIN.size and not self._logging_in:
            self._logging_in = True
            fields = (part.strip(b" ") for part in LOGIN.unpack(payload))
            self._server.check(self, *fields)
        elif kind not in (b"R", b"U", b"+") or not (self._logging_in or kind == b"+"):
            self.transport.abort()

    # ------------------------------------------------------------------ what the server does

    def accept(self, session: bytes, number: int, serve: Coroutine[Any, Any, None]) -> None:
        """Tells the number of the next message, and begins to serve."""
        self.accepted = True
        self.write(packet(b"A", session + str(number).encode().rjust(20)))
        self.run(serve)

    def run(self, serve: Coroutine[Any, Any, None]) -> None:
        """Serves until that ends, or the connection does."""
        self._serving = asyncio.get_running_loop().create_task(serve)

    def refuse(self, reason: bytes, why: str) -> None:
        """Refuses the login; ``why``: for a person who looks at the packets."""
        if not self.transport.is_closing():
            self.write(packet(b"+", why.encode()) + packet(b"J", reason))
            self.transport.close()

    def write(self, data: bytes) -> None:
        """Sends packets."""
        self.quiet = False
        self.transport.write(data)

    def takes(self, size: int) -> bool:
        """True if so many bytes more need not wait."""
        return self.transport.get_write_buffer_size() + size <= BUFFER_BYTES_MAX

    async def write_when_read(self, data: bytes) -> None:
        """Sends packets and waits until most of them are taken; drops one who does not."""
        self.write(data)
        try:
            await asyncio.wait_for(self._drained.wait(), IDLE_SECONDS)
        except asyncio.TimeoutError:  # of another name than the built-in one before Python 3.11
            self.drop()

    def drop(self) -> None:
        """Closes at once: the system too forgets what was not read."""
        told = self.transport.get_extra_info("socket")
        told.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    @property
    def gone(self) -> bool:
        return self.transport.is_closing()

    def beat(self, now: float) -> None:
        """Heartbeat and time-outs, once a second."""
        self._input = 0
        silent = now - self.heard > IDLE_SECONDS
        late = not self.accepted and now - self.began > LOGIN_SECONDS
        if silent or late:
            self.drop()
        elif self.accepted and self.quiet:
            self.write(packet(b"H"))
        self.quiet = True

    def end(self) -> None:
        """End of the session, or of what there was to send."""
        if self.accepted and not self.gone:
            self.write(packet(b"Z"))
        self.transport.close()


class SoupServer:
    """Listens, checks logins, and hands accepted ones to ``serve(session, number)``.

    ``name``: the ten characters of the session.  ``opened(number)``: the number to begin with for
    the one that a login asks for (0: the newest), or None if there is no such number.
    """

    def __init__(
        self,
        host: str,
        port: int,
        logins: Logins,
        name: bytes,
        opened: Callable[[int], int | None],
        serve: Callable[[Session, int], Coroutine[Any, Any, None]],
    ) -> None:
        self._host, self._port, self._logins = host, port, logins
        self._name, self._opened, self._serve = name, opened, serve
        self._sessions: set[Session] = set()
        self._addresses = Addresses(CONNECTIONS_MAX)
        self._failures: dict[str, tuple[int, float]] = {}  # address -> how many, until when
        self._checker = ThreadPoolExecutor(1, "login")
        self._checks: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Server | None = None

    async def start(self) -> None:
        """`FeedError` if the system refuses the port."""
        try:
            self._listening = await asyncio.get_running_loop().create_server(
                lambda: Session(self), self._host, self._port, backlog=1024
            )
        except OSError as error:
            raise FeedError(f"SoupBinTCP on {self._host}:{self._port}: {error}") from error

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        assert self._listening is not None
        host, port, *_ = self._listening.sockets[0].getsockname()
        return host, port

    def welcome(self, session: Session) -> bool:
        """False if there are enough of them, or of this address."""
        if self._addresses.full(session.host):
            return False
        self._addresses.enter(session.host)
        self._sessions.add(session)
        return True

    def forget(self, session: Session) -> None:
        if session in self._sessions:
            self._sessions.discard(session)
            self._addresses.leave(session.host)

    def check(
        self, session: Session, user: bytes, password: bytes, name: bytes, number: bytes
    ) -> None:
        """Checks a login in a thread, and answers it."""
        failures, until = self._failures.get(session.host, (0, 0.0))
        if failures >= FAILURES_MAX and time.monotonic() < until:
            session.refuse(NOT_AUTHORIZED, "too many wrong passwords: wait a minute")
        elif len(self._checks) >= CHECKS_MAX:
            session.refuse(NOT_AUTHORIZED, "too many logins at once: try again")
        else:
            answering = self._answer(session, user, password, name, number)
            task = asyncio.get_running_loop().create_task(answering)
            self._checks.add(task)
            task.add_done_callback(self._checks.discard)

    async def _answer(
        self, session: Session, user: bytes, password: bytes, name: bytes, number: bytes
    ) -> None:
        fits = await asyncio.get_running_loop().run_in_executor(
            self._checker,
            self._logins.fits, user.decode("latin-1"), password.decode("latin-1"),
        )  # fmt: skip
        if session.gone:
            return
        if not fits:
            self._count_failure(session.host)
            session.refuse(NOT_AUTHORIZED, "wrong user or password")
            return
        wanted = int(number) if number.isdigit() else None if number else 0
        first = None if wanted is None else self._opened(wanted)
        if name not in (b"", self._name) or first is None:
            session.refuse(
                NO_SESSION, f"the session is {self._name.decode()}; no such number in it"
            )
        else:
            session.accept(self._name, first, self._serve(session, first))

    def _count_failure(self, host: str) -> None:
        now = time.monotonic()
        if len(self._failures) >= HOSTS_MAX:
            self._failures.clear()
        count, until = self._failures.get(host, (0, 0.0))
        self._failures[host] = (count + 1 if now < until else 1, now + FAILURES_SECONDS)

    def beat(self) -> None:
        now = time.monotonic()
        for session in list(self._sessions):
            session.beat(now)

    async def close(self) -> None:
        """Ends every session."""
        if self._listening is not None:
            self._listening.close()
        for session in list(self._sessions):
            session.end()
        for task in list(self._checks):
            task.cancel()
        self._checker.shutdown(wait=False, cancel_futures=True)


class SoupFace:
    """What serves something over SoupBinTCP has such a server once it has started."""

    _server: SoupServer | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        assert self._server is not None
        return self._server.address

    def beat(self) -> None:
        """Once a second."""
        if self._server is not None:
            self._server.beat()

    async def close(self) -> None:
        """Ends every session."""
        if self._server is not None:
            await self._server.close()
