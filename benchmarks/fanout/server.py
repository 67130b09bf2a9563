"""One server in a process of its own.

`python -m benchmarks.fanout.server WAY EXCHANGE COUNT MOST` prints its port, waits for COUNT
clients, sends MOST messages to each as fast as they take it, prints how many it were, and closes.
Ways: "feed"; "websockets", a broadcast loop of the same messages; "bare", a protocol that writes
the same bytes, put together before.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import sha1
from pathlib import Path
from typing import Any
from unittest.mock import patch

from matchcore.feeds.serving import Feed
from matchcore.feeds.stream import Changes
from matchcore.feeds.web.limits import Limits
from matchcore.feeds.web.server import WebOutlet

from .market import CHANNELS, HANDSHAKE, INSTRUMENTS, SERVER_CORE, pieces, subscription

WAITING_MAX = 1 << 17  # bytes for a client, then the server waits
LOOK_EVERY = 8  # pieces
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Market:
    """A feed that is led piece by piece."""

    def __init__(self, path: Path, count: int) -> None:
        limits = Limits(connections=10 * count + 10, connections_per_address=10 * count + 10)
        self.outlet = WebOutlet("127.0.0.1", 0, limits=limits)
        self.feed = Feed(path, [self.outlet])
        self._found = self.feed.stream.poll()
        for _ in range(INSTRUMENTS):  # a definition each
            self._apply(next(self._found), live=False)

    def _apply(self, changes: Changes, live: bool) -> None:
        self.feed.history.take(changes)
        self.feed.books.apply(changes.rows)
        self.feed.statistics.apply(changes.rows)
        self.outlet.take(changes, live)

    def steps(self) -> Iterator[list[bytes]]:
        """Sends piece after piece; the frames of each."""
        frames, groups = list[bytes](), self.outlet._groups
        send = groups.send

        def noted(topic: Any, frame: bytes) -> None:
            frames.append(frame)
            send(topic, frame)

        with patch.object(groups, "send", noted):
            for changes in self._found:
                for piece in pieces(changes):
                    self._apply(piece, live=True)
                    self.outlet.flush()
                    yield frames
                    frames.clear()

    async def joined(self, count: int) -> None:
        """Until so many have subscribed to everything."""
        every = INSTRUMENTS * len(CHANNELS)
        while sum(len(one.topics()) == every for one in self.outlet._subscribers) < count:
            await asyncio.sleep(0.01)


async def recorded(path: Path) -> list[list[bytes]]:
    """The frames of each piece, as a feed makes them for somebody who wants all."""
    market = Market(path, 1)
    await market.outlet.start(market.feed)
    reader, writer = await asyncio.open_connection("127.0.0.1", market.outlet.port)
    writer.write(HANDSHAKE + subscription(CHANNELS))
    reading = asyncio.ensure_future(reader.read())
    await market.joined(1)
    found = []
    for frames in market.steps():
        found.append([*frames])
        if market.outlet._pending or len(found) % LOOK_EVERY == 0:
            await asyncio.sleep(0)
    await market.outlet.close()
    await reading
    writer.close()
    return found


def payloads(frames: list[bytes]) -> list[str]:
    """What is in frames."""
    return [frame[2 if frame[1] < 126 else 4 if frame[1] == 126 else 10 :].decode()
            for frame in frames]  # fmt: skip


class Pace:
    """Waits until all clients have taken what was written."""

    def __init__(self, waiting: list[Callable[[], int]]) -> None:
        self._waiting, self._at = waiting, 0

    async def __call__(self) -> None:
        self._at += 1
        await asyncio.sleep(0)
        if self._at % LOOK_EVERY == 0:
            while any(one() > WAITING_MAX for one in self._waiting):
                await asyncio.sleep(0.0005)

    async def end(self) -> None:
        while any(one() for one in self._waiting):
            await asyncio.sleep(0.0005)


async def feed(path: Path, count: int, most: int) -> int:
    market = Market(path, count)
    await market.outlet.start(market.feed)
    say(port=market.outlet.port)
    await market.joined(count)
    pace, sent = Pace([one.waiting for one in market.outlet._subscribers]), 0
    say(started=time.monotonic())
    for frames in market.steps():
        sent += len(frames)
        await pace()
        if sent >= most:
            break
    await pace.end()
    await market.outlet.close()
    return sent


async def websockets(path: Path, count: int, most: int) -> int:
    from websockets.asyncio.server import ServerConnection, broadcast, serve

    known: set[ServerConnection] = set()
    texts = [payloads(frames) for frames in await recorded(path)]
    over, sent = asyncio.Event(), 0

    async def served(connection: ServerConnection) -> None:
        known.add(connection)
        await over.wait()

    async with serve(served, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        say(port=server.sockets[0].getsockname()[1])
        while len(known) < count:
            await asyncio.sleep(0.01)
        pace = Pace([one.transport.get_write_buffer_size for one in known])
        say(started=time.monotonic())
        for piece in texts:
            for text in piece:
                broadcast(known, text)
            sent += len(piece)
            await pace()
            if sent >= most:
                break
        await pace.end()
        for one in known:
            one.transport.close()  # without the handshake, which these clients do not know
        over.set()
    return sent


class Bare(asyncio.Protocol):
    """The handshake, and nothing else."""

    def __init__(self, known: list[Any]) -> None:
        self._known = known

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        _, _, rest = data.partition(b"Sec-WebSocket-Key: ")
        accept = b64encode(sha1(rest.split(b"\r\n")[0] + GUID).digest())
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self._known.append(self._transport)


async def bare(path: Path, count: int, most: int) -> int:
    batches = [(len(frames), b"".join(frames)) for frames in await recorded(path)]
    known: list[Any] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Bare(known), "127.0.0.1", 0, backlog=2048)
    say(port=server.sockets[0].getsockname()[1])
    while len(known) < count:
        await asyncio.sleep(0.01)
    pace, sent = Pace([one.get_write_buffer_size for one in known]), 0
    say(started=time.monotonic())
    for number, data in batches:
        for transport in known:
            transport.write(data)
        sent += number
        await pace()
        if sent >= most:
            break
    await pace.end()
    for transport in known:
        transport.close()
    server.close()
    return sent


def say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def main(way: str, path: str, count: str, most: str) -> None:
    os.sched_setaffinity(0, {SERVER_CORE})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    runner: Any = asyncio.run
    if way != "websockets":  # which uvloop makes slower
        import uvloop

        runner = uvloop.run
    ways = {"feed": feed, "websockets": websockets, "bare": bare}
    say(sent=runner(ways[way](Path(path), int(count), int(most))))


if __name__ == "__main__":
    main(*sys.argv[1:])
