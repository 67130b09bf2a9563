"""A TCP proxy of the tests' own between a follower and a server, which fails when told to."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

DELAY_SECONDS = 1.5


class Proxy:
    """Forwards to a server.  `trouble` sees what a client sends and says what becomes of it.

    ``""``: forwarded; ``"cut"``: half of it is, then the connection is cut; ``"mute"``: forwarded,
    but the answer is not, and the connection is cut; ``"hold"``: swallowed, and the connection
    stays open without an answer (half-open); ``"delay"``: forwarded `DELAY_SECONDS` later.
    """

    def __init__(self, host: str, port: int) -> None:
        self.server = (host, port)  # another one from the next connection on
        self.trouble: Callable[[bytes], str] = lambda data: ""
        self.refusing = False
        self.seen: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refusing:
                client.close()
                continue
            try:
                server = socket.create_connection(self.server)
            except OSError:
                client.close()
                continue
            self._open += [client, server]
            muted = threading.Event()
            for work in (self._up, self._down):
                threading.Thread(target=work, args=(client, server, muted), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket, muted: threading.Event) -> None:
        try:
            while data := client.recv(1 << 20):
                what = self.trouble(data)
                if what:
                    self.seen.append(what)
                if what == "cut":
                    server.sendall(data[: len(data) // 2])
                    break
                if what == "delay":
                    time.sleep(DELAY_SECONDS)
                if what == "mute":
                    muted.set()
                if what != "hold":
                    server.sendall(data)
        except OSError:
            pass
        if not muted.is_set():
            _cut(client, server)

    def _down(self, client: socket.socket, server: socket.socket, muted: threading.Event) -> None:
        try:
            while (data := server.recv(1 << 20)) and not muted.is_set():
                client.sendall(data)
        except OSError:
            pass
        _cut(client, server)

    def move(self, host: str, port: int) -> None:
        """The address leads to another server, and connections to the old one end."""
        self.server, ends = (host, port), self._open
        self._open = []
        _cut(*ends)

    def close(self) -> None:
        self._listener.close()
        _cut(*self._open)


def _cut(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
