"""The protocol of a line: its frames, and a server that no client can disturb."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import feed_kit as kit
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchcore import Instrument
from matchcore.errors import FeedError
from matchcore.feeds import Changes
from matchcore.feeds.lines import LineOutlet, connection, reader, wire
from matchcore.feeds.lines.address import Address
from matchcore.feeds.lines.connection import read_frame
from matchcore.feeds.lines.wire import ANY, Frame, Join, Refusal, Type, Welcome
from matchcore.feeds.serving import Feed
from matchcore.records.changes import CHANGE

NEW = Instrument("NEW", "0.5", lot=3)
SECONDS_MAX = 30.0


def changes(count: int, defined: Instrument | None = None, first: int = 7) -> Changes:
    rows = np.zeros(count, CHANGE)
    rows["sequence"] = np.arange(count)
    rows["kind"], rows["instrument"] = 1, 2
    if defined is not None:
        rows["kind"][-1] = 5
    return Changes(first, 3, rows, defined)


def parsed(data: bytes) -> Iterator[Frame]:
    while data:
        size, frame = wire.header(data[: wire.HEADER_BYTES], wire.FRAME_BYTES_MAX)
        end = wire.HEADER_BYTES + size
        yield frame._replace(payload=data[wire.HEADER_BYTES : end])
        data = data[end:]


def test_the_bytes_of_a_frame() -> None:
    (data,) = wire.changes_frames(changes(2, NEW))
    assert len(data) == 32 + 2 * 88 + 96
    assert data[:5] == (2 * 88 + 96).to_bytes(4, "little") + b"C"
    assert data[8:32] == b"".join(n.to_bytes(8, "little") for n in (7, 3, 2))
    assert data[32 + 2 * 88 + 8 :].startswith(b"NEW\0")
    join = Join(5, b"i" * 16, b"token").to_bytes()
    assert join[32:] == b"MCLINE\x01\0" + b"i" * 16 + b"token"
    welcome = Welcome(1, 2, b"i" * 16, "0123456789", 3, 4).to_bytes()
    assert len(welcome) == 32 + 56
    assert welcome[56:66] == b"0123456789" and welcome[72:88] == bytes([3, *[0] * 7, 4, *[0] * 7])


@pytest.mark.parametrize("count", [1, wire.ROWS_MAX, wire.ROWS_MAX + 1, 2 * wire.ROWS_MAX])
def test_changes_come_back(count: int) -> None:
    sent = changes(count, NEW)
    got = [wire.changes_of(one) for data in wire.changes_frames(sent) for one in parsed(data)]
    assert [one.defined for one in got] == [None] * (len(got) - 1) + [NEW]
    assert got[0].first == 7 and got[-1].last == sent.last and got[0].epoch == 3
    assert b"".join(one.rows.tobytes() for one in got) == sent.rows.tobytes()


@given(st.binary(max_size=300), st.sampled_from(Type), st.integers(0, 3), st.integers(0, 2**64 - 1))
def test_bytes_that_are_no_frames_are_refused(
    data: bytes, kind: Type, rows: int, number: int
) -> None:
    for read in (wire.changes_of, wire.orders_of, wire.snapshot_definitions_of, Join.of,
                 Welcome.of):  # fmt: skip
        try:
            read(Frame(kind, number, 1, rows, data))
        except FeedError:
            continue
    try:
        size, _ = wire.header(data[:32].ljust(32, b"\0"), 1000)
        assert size <= 1000
    except FeedError:
        pass


@pytest.mark.parametrize("text", ["", "x", "1:x", "h:70000", "h:-1", ":\u0661"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(FeedError, match="must be HOST:PORT"):
        Address.of(text)
    assert Address.of("7001") == ("127.0.0.1", 7001)
    assert str(Address.of("[::1]:7001")) == "[::1]:7001" and Address.of("[::1]:7001").host == "::1"


class Raw:
    """A client of bytes."""

    def __init__(self, streams: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.streams, self.writer = streams, writer

    async def frame(self) -> Frame:
        """The next one that is no heartbeat."""
        while True:
            frame = await asyncio.wait_for(read_frame(self.streams, 1 << 24), SECONDS_MAX)
            if frame.type != Type.HEARTBEAT:
                return frame

    async def until(self, last: int) -> bytes:
        """The rows up to a number."""
        found, at = b"", 0
        while at < last:
            one = wire.changes_of(await self.frame())
            found, at = found + one.rows.tobytes(), one.last
        return found

    async def join(self, first: int, **more: bytes) -> Welcome:
        self.writer.write(Join(first, more.get("identity", ANY), more.get("token", b"")).to_bytes())
        return Welcome.of(await self.frame())

    async def refusal(self) -> tuple[int, str]:
        """Why the connection ends, and that it does."""
        while (frame := await self.frame()).type != Type.REFUSED:
            pass
        assert await asyncio.wait_for(self.streams.read(), SECONDS_MAX) == b""
        return frame.rows, frame.payload.decode()

    async def closed(self) -> None:
        with suppress(ConnectionError):
            await asyncio.wait_for(self.streams.read(), SECONDS_MAX)


class Server:
    """A feed of an exchange that trades, with a line."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.engine = kit.opened(path)
        kit.trade(self.engine, 300)
        self.path, self.outlet = path, LineOutlet(Address("127.0.0.1", 0), **options)
        self.feed = Feed(path, [self.outlet])
        self.stop, self.clients = asyncio.Event(), list[Raw]()

    async def client(self, receive_bytes: int = 0) -> Raw:
        made = socket.create_connection(("127.0.0.1", self.outlet.port))
        if receive_bytes:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.clients.append(Raw(*await asyncio.open_connection(sock=made, limit=1 << 16)))
        return self.clients[-1]

    @property
    def last(self) -> int:
        return self.feed.history.last

    async def trade(self, count: int, seed: int) -> int:
        """The last number afterwards."""
        kit.trade(self.engine, count, seed)
        last = len(kit.truth(self.path)) // 88
        while self.last < last:
            await asyncio.sleep(0.001)
        return last


@asynccontextmanager
async def serving(path: Path, **options: object) -> AsyncIterator[Server]:
    server = Server(path, **options)
    task = asyncio.ensure_future(server.feed.run(server.stop))
    try:
        while server.outlet._server is None:
            await asyncio.sleep(0.001)
            assert not task.done(), task
        yield server
    finally:
        server.stop.set()
        await asyncio.wait_for(task, SECONDS_MAX)
        for client in server.clients:
            client.writer.transport.abort()
        await asyncio.sleep(0)
        server.engine.close()


def run(test: Callable[[Server], Coroutine[Any, Any, None]], path: Path, **options: object) -> None:
    async def within() -> None:
        async with serving(path, **options) as server:
            await asyncio.wait_for(test(server), SECONDS_MAX)

    asyncio.run(within())


def test_from_a_number_on_and_again(tmp_path: Path) -> None:
    async def body(server: Server) -> None:
        whole, client = kit.truth(server.path), await server.client()
        welcome = await client.join(20)
        assert welcome == (20, 1, server.feed.stream.identity, server.feed.stream.session, 1,
                           server.last + 1)  # fmt: skip
        assert await client.until(server.last) == whole[19 * 88 :]
        client.writer.write(Frame(Type.RESEND, 3, 0, 5, b"").to_bytes())
        frame = await client.frame()
        assert (frame.number, frame.rows) == (3, 5)
        assert frame.payload == whole[2 * 88 : 7 * 88]
        for first, count in ((server.last, 2), (0, 1), (2**62, 1), (1, 0)):
            client.writer.write(Frame(Type.RESEND, first, 0, count, b"").to_bytes())
            assert (await client.frame())[:4] == (Type.NOT_HERE, first, 0, count)
        last = await server.trade(100, 2)
        assert await client.until(last) == kit.truth(server.path)[len(whole) :]
        beat = await asyncio.wait_for(read_frame(client.streams, 0), SECONDS_MAX)
        assert beat == (Type.HEARTBEAT, last, 1, 0, b"")

    run(body, tmp_path / "e")


def test_a_number_from_the_future_and_the_end(tmp_path: Path) -> None:
    async def body(server: Server) -> None:
        client = await server.client()
        assert (await client.join(10**9)).start == server.last + 1
        last = await server.trade(50, 2)
        assert len(await client.until(last)) % 88 == 0
        server.stop.set()
        assert await client.frame() == (Type.END, last, 1, 0, b"")
        await client.closed()

    run(body, tmp_path / "e")


def test_old_changes_are_read_from_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matchcore.feeds.history.History.__init__.__kwdefaults__", {"most": 50})

    async def body(server: Server) -> None:
        assert server.feed.history.first > 1
        whole = kit.truth(server.path)
        clients = [await server.client() for _ in range(12)]
        for client in clients:
            assert (await client.join(1)).start == 1
        done = await asyncio.gather(
            *(client.until(server.last) for client in clients), return_exceptions=True
        )
        assert all(one == whole for one in done if isinstance(one, bytes))
        assert done.count(whole) >= reader.REPLAYS_MAX

    run(body, tmp_path / "e")


def hostile() -> dict[str, bytes]:
    join = Join(1, ANY, b"").to_bytes()
    return {
        "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + bytes(32),
        "zeros": bytes(64),
        "huge": b"\xff" * 64,
        "another magic": join.replace(b"MCLINE", b"MCLINF"),
        "another version": join.replace(b"MCLINE\1", b"MCLINE\2"),
        "not a join": Frame(Type.RESEND, 1, 0, 1, b"").to_bytes(),
        "long token": Join(1, ANY, b"t" * 500).to_bytes(),
        "half a frame": join[:40],
        "long after": join + Frame(Type.RESEND, 1, 0, 1, b"x" * 5000).to_bytes(),
        "unknown after": join + Frame(99, 1, 0, 1, b"").to_bytes(),
        "join after": join + join,
    }


@pytest.mark.parametrize("name", hostile())
def test_nonsense_is_closed_and_others_go_on(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matchcore.feeds.lines.outlet.JOIN_SECONDS", 0.3)

    async def body(server: Server) -> None:
        good, bad = await server.client(), await server.client()
        await good.join(server.last)
        bad.writer.write(hostile()[name])
        await bad.closed()
        last = await server.trade(20, 3)
        await good.until(last)

    run(body, tmp_path / "e")


def test_refusals_say_why(tmp_path: Path) -> None:
    async def body(server: Server) -> None:
        for join, code, said in (
            (Join(1, ANY, b"wrong"), Refusal.TOKEN, "another token"),
            (Join(1, b"x" * 16, b"word"), Refusal.IDENTITY, "of exchange"),
        ):
            client = await server.client()
            client.writer.write(join.to_bytes())
            got, text = await client.refusal()
            assert got == code and said in text
        first = await server.client()
        await first.join(1, token=b"word")
        second = await server.client()
        assert await second.refusal() == (Refusal.FULL, "1 clients are connected")
        first.writer.write(Frame(99, 1, 0, 1, b"").to_bytes())
        assert (await first.refusal())[0] == Refusal.PROTOCOL

    run(body, tmp_path / "e", token="word", connections_max=1)


def test_who_never_reads_is_dropped_and_who_reads_slowly_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "WRITE_BYTES_MAX", 1 << 14)
    monkeypatch.setattr(connection, "STALL_SECONDS", 0.5)
    monkeypatch.setattr(reader, "LIVE_BYTES_MAX", 1 << 15)

    async def body(server: Server) -> None:
        (listening,) = server.outlet._server.sockets
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)  # for every client
        dead, slow, quick = [await server.client(size) for size in (1 << 14, 1 << 14, 1 << 20)]
        for client in (dead, slow, quick):
            assert (await client.join(server.last + 1)).start == server.last + 1
        before = len(kit.truth(server.path))
        behind, got, slowly = set[reader.Reader](), b"", b""
        last = server.last
        for seed in range(12):
            told = last
            last = await server.trade(2000, 10 + seed)
            got += await quick.until(last)
            behind |= {one for one in server.outlet._readers if not one.current}
            slowly += await slow.until(told) if told * 88 > before else b""
        slowly += await slow.until(last)
        assert slowly == got == kit.truth(server.path)[before:]
        while len(server.outlet._readers) > 2:
            await asyncio.sleep(0.01)
        assert len(behind) == 2 and all(one.current for one in server.outlet._readers)

    run(body, tmp_path / "e")
