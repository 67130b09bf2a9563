"""A served exchange, and a plain subscriber of each transport."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import matchcore as mc
from matchcore.feeds import Changes, Stream
from matchcore.feeds.itch import (
    ItchOutlet,
    Logins,
    MoldPublisher,
    MoldRequests,
    SoupFeed,
    add_login,
)
from matchcore.feeds.serving import Feed

ANA = mc.Instrument("ANA", "0.05")
USER, PASSWORD = "alice", "correct-1"
HOST = "127.0.0.1"
PATIENCE = 20.0  # seconds


def trade(engine: mc.Engine, count: int, start: int = 1, symbol: str = "ANA") -> None:
    for i in range(start, start + count):
        side = mc.Side.BUY if i % 2 else mc.Side.SELL
        engine.submit(mc.NewOrder(symbol, side, 1 + i % 9, price="95.50"))


def changes_of(directory: Path) -> list[Changes]:
    with Stream(directory) as stream:
        return list(stream.poll())


def rows_of(directory: Path) -> NDArray[np.void]:
    return np.concatenate([changes.rows for changes in changes_of(directory)])


def blocks_of(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


def messages_of(blocks: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(blocks):
        size = int.from_bytes(blocks[at : at + 2], "big")
        found.append(blocks[at + 2 : at + 2 + size])
        assert len(found[-1]) == size
        at += 2 + size
    return found


class Started:
    """An outlet behind the others: when it starts, they have."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.feed: Feed | None = None

    async def start(self, feed: Feed) -> None:
        self.feed = feed
        self.event.set()

    def take(self, changes: Changes, live: bool) -> None:
        pass

    def beat(self) -> None:
        pass

    async def close(self) -> None:
        pass


@contextmanager
def serving(directory: Path, *faces: Any, state: Path | None = None) -> Iterator[Feed]:
    """A feed in a thread of its own, until the end of the block."""
    started, stops, failures = Started(), [], []

    async def run() -> None:
        stop = asyncio.Event()
        stops.append((asyncio.get_running_loop(), stop))
        outlet = ItchOutlet(directory, *faces, state=state)
        feed = Feed(directory, [outlet, started], state=state)
        await feed.run(stop)

    def serve() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            failures.append(error)
            started.event.set()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert started.event.wait(PATIENCE)
        if started.feed is not None:
            yield started.feed
    finally:
        for loop, stop in stops:
            if thread.is_alive():
                loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)
        assert not thread.is_alive()
    if failures:
        raise failures[0]


def logins(folder: Path) -> Any:
    """What a `SoupFeed` takes: one user."""
    path = folder / "logins.json"
    if not path.exists():
        add_login(path, USER, PASSWORD)
    return partial(Logins, path)


class SoupClient:
    """One connection to a SoupBinTCP server; keeps all bytes of both ways, in order."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, PATIENCE)
        self.exchanged: list[tuple[bool, bytes]] = []  # (ours, bytes)
        self._data, self._at = b"", 0

    def __enter__(self) -> SoupClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.exchanged.append((True, data))
        self.socket.sendall(data)

    def packet(self) -> tuple[bytes, bytes]:
        """The next one: type and payload; (b"", b"") behind the last."""
        while (end := self._end()) > len(self._data):
            try:
                got = self.socket.recv(1 << 16)
            except ConnectionResetError:
                got = b""
            if not got:
                return b"", b""
            self.exchanged.append((False, got))
            self._data, self._at = self._data[self._at :] + got, 0
        packet, self._at = self._data[self._at : end], end
        return packet[2:3], packet[3:]

    def _end(self) -> int:
        """Where the next packet ends, as far as that is known."""
        head = self._data[self._at : self._at + 2]
        return self._at + 2 + (int.from_bytes(head, "big") if len(head) == 2 else 0)

    def login(
        self, number: int | str = 1, user: str = USER, password: str = PASSWORD, session: str = ""
    ) -> tuple[bytes, bytes]:
        """Answer of the server: type and payload."""
        fields = user.ljust(6) + password.ljust(10) + session.rjust(10) + str(number).rjust(20)
        self.send(struct.pack(">Hc", 47, b"L") + fields.encode())
        while (answer := self.packet())[0] == b"+":
            pass
        return answer

    def messages(self, count: int) -> list[bytes]:
        """So many sequenced messages; fewer if the session ends before."""
        found: list[bytes] = []
        while len(found) < count:
            kind, payload = self.packet()
            if kind in (b"", b"Z"):
                break
            if kind == b"S":
                found.append(payload)
        return found


def mold_socket() -> socket.socket:
    """Receives datagrams on a port of its own."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    made.bind((HOST, 0))
    made.settimeout(PATIENCE)
    return made


def datagram(data: bytes) -> tuple[str, int, int, list[bytes]]:
    """Session, first number, count and messages of one."""
    session, first, count = struct.unpack(">10sQH", data[:20])
    return session.decode(), first, count, messages_of(data[20:])


__all__ = ["MoldPublisher", "MoldRequests", "SoupFeed"]


def traded(path: Path, count: int) -> Path:
    """An exchange of ANA in which so many orders were placed."""
    with mc.Engine.open(path, instruments=[ANA], policy="os") as engine:
        trade(engine, count)
    return path
