"""SoupBinTCP: the packets, and a server of sessions that begin with a login."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, cast

from ..errors import FeedError
from .addresses import Addresses, takes_last_files

CONNECTIONS_MAX = 1000
CHECKS_MAX = 32  # logins whose passwords wait to be checked
LOGIN_SECONDS = 10.0  # within which one must log in
IDLE_SECONDS = 15.0  # without a word from the other side, or without its reading
INPUT_BYTES_MAX = 1 << 16  # between two beats, of a client whose data nobody reads
BUFFER_BYTES_MAX = 1 << 18  # of one who does not read; behind that, what he gets must wait

LOGIN = struct.Struct(">6s10s10s20s")  # user, password, session, number
NOT_AUTHORIZED, NO_SESSION = b"A", b"S"


def packet(kind: bytes, payload: bytes = b"") -> bytes:
    """A packet: its length, which counts all behind it, its type, and what it carries."""
    return (1 + len(payload)).to_bytes(2, "big") + kind + payload


class LoginRequest(NamedTuple):
    """What a login packet says; ``number`` of the next message is None if it is no number."""

    user: str
    password: str
    session: bytes
    number: int | None

    @staticmethod
    def of(payload: bytes) -> LoginRequest:
        """Reads the payload, which has the right length."""
        user, password, session, number = (part.strip(b" ") for part in LOGIN.unpack(payload))
        wanted = int(number) if number.isdigit() else None if number else 0
        return LoginRequest(user.decode("latin-1"), password.decode("latin-1"), session, wanted)


class Session(asyncio.Protocol):
    """One connection.  Who checks its login calls `accept` or `refuse`.

    ``reader``: takes the data of a client that has logged in.  It gets all bytes that have come,
    takes as many whole data packets and heartbeats from their beginning as it will, and returns
    how many bytes that are; `read_on` asks it again.  None: data is ignored.
    ``on_gone``: called when the connection has ended.
    """

    transport: asyncio.Transport

    def __init__(self, server: SoupServer) -> None:
        self._server = server
        self._data = bytearray()
        self._input = 0  # bytes since the last beat
        self._drained = asyncio.Event()
        self._drained.set()
        self._serving: asyncio.Task[None] | None = None
        self._logging_in = False
        self.reader: Callable[[bytearray], int] | None = None
        self.on_gone: Callable[[], None] | None = None
        self.host = ""
        self.heard = self.began = time.monotonic()
        self.quiet = True  # nothing was sent since the last beat
        self.accepted = False

    # ------------------------------------------------------------------ what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's has no such base
        self.host = (transport.get_extra_info("peername") or ("",))[0]
        self.transport.set_write_buffer_limits(high=BUFFER_BYTES_MAX)
        if not self._server.welcome(self):
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._drained.set()
        if self._serving is not None:
            self._serving.cancel()
        self._server.forget(self)
        if self.on_gone is not None:
            self.on_gone()

    def pause_writing(self) -> None:
        self._drained.clear()

    def resume_writing(self) -> None:
        self._drained.set()

    def data_received(self, data: bytes) -> None:
        self.heard = time.monotonic()
        self._input += len(data)
        self._data += data
        if self.reader is None and self._input > INPUT_BYTES_MAX:
            self.transport.abort()
            return
        self.read_on()

    # ------------------------------------------------------------------ what the other side says

    def read_on(self) -> None:
        """Takes what has come, as far as it is whole and the reader takes it."""
        while not self.transport.is_closing():
            if self.reader is not None:
                taken = self.reader(self._data)
                del self._data[:taken]
                if taken:  # it may have left some for another time
                    continue
            is_taken = self.reader is not None and bytes(self._data[2:3]) in (b"U", b"R")
            if len(self._data) < 2 or is_taken:
                break
            size = 2 + int.from_bytes(self._data[:2], "big")
            if len(self._data) < size:
                break
            kind, payload = bytes(self._data[2:3]), bytes(self._data[3:size])
            del self._data[:size]
            self._packet(kind, payload)

    def _packet(self, kind: bytes, payload: bytes) -> None:
        if kind == b"O":
            self.transport.close()
        elif kind == b"L" and len(payload) == LOGIN.size and not self._logging_in:
            self._logging_in = True
            self._server.check(self, LoginRequest.of(payload))
        elif kind not in (b"R", b"U", b"+") or not (self._logging_in or kind == b"+"):
            if self.accepted:
                self.fail(f"a packet of type {kind.decode('latin-1')!a} has no place in a session")
            else:
                self.transport.abort()

    # ------------------------------------------------------------------ what the server does

    def accept(
        self, session: bytes, number: int, serve: Coroutine[Any, Any, None] | None = None
    ) -> None:
        """Tells the number of the next message, and begins to serve."""
        self.accepted = True
        self.write(packet(b"A", session.rjust(10) + str(number).encode().rjust(20)))
        if serve is not None:
            self.run(serve)

    def run(self, serve: Coroutine[Any, Any, None]) -> None:
        """Serves until that ends, or the connection does."""
        self._serving = asyncio.get_running_loop().create_task(serve)

    def refuse(self, reason: bytes, why: str) -> None:
        """Refuses the login; ``why``: for a person who looks at the packets."""
        if not self.transport.is_closing():
            self.write(packet(b"+", why.encode()) + packet(b"J", reason))
            self.transport.close()

    def fail(self, why: str) -> None:
        """Closes the connection of a client that breaks the protocol; ``why``: for a person."""
        if not self.gone:
            self.write(packet(b"+", why.encode()))
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
    """Listens, and hands each login to ``enter(session, request)``, which answers it."""

    def __init__(
        self,
        host: str,
        port: int,
        enter: Callable[[Session, LoginRequest], Coroutine[Any, Any, None]],
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._host, self._port, self._enter, self._tls = host, port, enter, tls
        self._sessions: set[Session] = set()
        self._addresses = Addresses(CONNECTIONS_MAX)
        self._checks: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Server | None = None

    async def start(self) -> None:
        """`FeedError` if the system refuses the port."""
        try:
            self._listening = await asyncio.get_running_loop().create_server(
                lambda: Session(self), self._host, self._port, backlog=1024, ssl=self._tls
            )
        except OSError as error:
            raise FeedError(f"SoupBinTCP on {self._host}:{self._port}: {error}") from error

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        assert self._listening is not None
        host, port, *_ = self._listening.sockets[0].getsockname()
        return host, port

    @property
    def listening(self) -> bool:
        """Whether it takes connections."""
        return self._listening is not None and self._listening.is_serving()

    @property
    def connections(self) -> int:
        """How many there are, with those that have not logged in."""
        return len(self._sessions)

    def welcome(self, session: Session) -> bool:
        """False if there are enough of them, or of this address."""
        if self._addresses.full(session.host) or takes_last_files(session.transport):
            return False
        self._addresses.enter(session.host)
        self._sessions.add(session)
        return True

    def forget(self, session: Session) -> None:
        if session in self._sessions:
            self._sessions.discard(session)
            self._addresses.leave(session.host)

    def check(self, session: Session, request: LoginRequest) -> None:
        """Has a login answered."""
        if len(self._checks) >= CHECKS_MAX:
            session.refuse(NOT_AUTHORIZED, "too many logins at once: try again")
            return
        task = asyncio.get_running_loop().create_task(self._enter(session, request))
        self._checks.add(task)
        task.add_done_callback(self._checks.discard)

    def beat(self) -> None:
        now = time.monotonic()
        for session in list(self._sessions):
            session.beat(now)

    def stop_listening(self) -> None:
        """Takes no more connections."""
        if self._listening is not None:
            self._listening.close()

    async def close(self, *, ended: bool = True) -> None:
        """Closes every connection, with the packet that ends the session if it has ``ended``."""
        self.stop_listening()
        for session in list(self._sessions):
            if ended:
                session.end()
            else:
                session.transport.close()
        for task in list(self._checks):
            task.cancel()
