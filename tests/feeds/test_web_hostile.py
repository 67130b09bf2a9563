"""Whatever one client does, it gets a clear answer or a clean end, and the others do not notice."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from web_kit import CHANNELS, Client, Served, client, exchange, flow, run, serving
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

import matchcore as mc
from matchcore.feeds.web.limits import Limits

ANA, BBB = mc.Instrument("ANA", "0.05"), mc.Instrument("BBB", "0.01")

WRONG: list[tuple[Any, str]] = [
    ("", "malformed"),
    ("{", "malformed"),
    ("[" * 30_000, "malformed"),
    ("[1]", "malformed"),
    ("9" * 30_000, "malformed"),
    ("\U0001f600", "malformed"),
    (b"\xff\xfe", "malformed"),
    ({"op": "steal"}, "unknown_op"),
    ({}, "unknown_op"),
    ({"op": "ping", "id": [1]}, "malformed"),
    ({"op": "ping", "id": "x" * 65}, "malformed"),
    ({"op": "auth"}, "malformed"),
    ({"op": "auth", "token": 5}, "malformed"),
    ({"op": "subscribe"}, "malformed"),
    ({"op": "subscribe", "channels": "trades", "symbols": ["ANA"]}, "malformed"),
    ({"op": "subscribe", "channels": ["trades"], "symbols": [1]}, "malformed"),
    ({"op": "subscribe", "channels": ["book.l4"], "symbols": ["ANA"]}, "unknown_channel"),
    ({"op": "subscribe", "channels": ["trades"], "symbols": ["ANA", "NIX"]}, "unknown_symbol"),
    ({"op": "subscribe", "channels": ["trades"], "symbols": ["\u00e9"]}, "unknown_symbol"),
    ({"op": "unsubscribe", "channels": ["trades"], "symbols": ["NIX"]}, "unknown_symbol"),
    ({"op": "subscribe", "channels": ["trades"], "symbols": ["ANA"], "from": -1}, "malformed"),
    ({"op": "subscribe", "channels": ["trades"], "symbols": ["ANA"], "from": 1.5}, "malformed"),
    ({"op": "subscribe", "channels": ["trades"], "symbols": ["ANA"], "from": True}, "malformed"),
    ({"op": "subscribe", "channels": ["trades"], "symbols": ["ANA"], "from": 10**30}, "malformed"),
    ({"op": "subscribe", "channels": ["trades"], "symbols": ["ANA"], "from": 10**9}, "ahead"),
    ({"op": "subscribe", "channels": ["trades"], "symbols": ["ANA"], "from": 1, "session": "X"},
     "session"),
    ({"op": "subscribe", "channels": ["book.l2"], "symbols": ["ANA"], "depth": 7}, "malformed"),
    ({"op": "subscribe", "channels": ["book.l2"], "symbols": ["ANA"], "format": "xml"},
     "malformed"),
]  # fmt: skip


def test_every_wrong_request_is_answered_with_its_code(tmp_path: Path) -> None:
    async def test() -> None:
        with exchange(tmp_path / "e", ANA) as engine:
            engine.submit_batch(flow(1, 50, 1))
            async with serving(tmp_path / "e") as served, client(served) as seen:
                await seen.subscribe(["book.l2"], ["ANA"])
                await seen.settle()
                for wrong, code in WRONG:
                    said = json.dumps(wrong) if isinstance(wrong, dict) else wrong
                    await seen.socket.send(said)
                    assert (await seen.until("error"))["code"] == code, wrong
                engine.submit_batch(flow(2, 50, 1, 50))
                await served.come_to(engine.sequence)
                await seen.settle()
                assert set(seen.now) == {("book.l2", "ANA")}

    run(test())


def test_a_message_in_pieces_is_one(tmp_path: Path) -> None:
    async def test() -> None:
        with exchange(tmp_path / "e", ANA):
            async with serving(tmp_path / "e") as served, client(served) as seen:
                await seen.socket.send(['{"op":', '"ping",', '"id":7}'])
                assert (await seen.until("pong"))["id"] == 7

    run(test())


async def raw(served: Served, data: bytes) -> None:
    """Sends bytes, and leaves without a word."""
    _, writer = await asyncio.open_connection("127.0.0.1", served.outlet.port)
    writer.write(data)
    await writer.drain()
    await asyncio.sleep(0.02)
    writer.close()


HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def flood(served: Served) -> None:
    """More messages than are allowed."""
    async with client(served) as seen:
        with pytest.raises(ConnectionClosed):
            for _ in range(10_000):
                await seen.ask("ping")
                await asyncio.sleep(0)


async def flood_at_once(served: Served) -> None:
    """The same in one piece, so that the reason is heard."""
    async with client(served) as seen:
        ping = b"\x89\x80\0\0\0\0"  # a frame without a message: does not count
        text = b"\x81\x82\0\0\0\0{}"
        seen.socket.transport.write(ping * 300 + text * 300)
        told = await seen.until("bye")
        assert told["code"] == "rate"


async def giant(served: Served) -> None:
    async with client(served) as seen:
        await seen.socket.send("x" * 100_000)
        with pytest.raises(ConnectionClosed) as closed:
            await seen.until("never")
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


async def giant_in_pieces(served: Served) -> None:
    async with client(served) as seen:
        await seen.socket.send(["x" * 20_000] * 8)
        with pytest.raises(ConnectionClosed) as closed:
            await seen.until("never")
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


async def half_a_frame(served: Served) -> None:
    await raw(served, HANDSHAKE + b"\x81\xfe\x00\xff1234abc")


async def not_masked(served: Served) -> None:
    await raw(served, HANDSHAKE + b"\x81\x04ping")


async def half_a_handshake(served: Served) -> None:
    await raw(served, HANDSHAKE[:40])


async def noise(served: Served) -> None:
    await raw(served, bytes(range(256)) * 100)


async def silent(served: Served) -> None:
    """Connects and asks for nothing."""
    async with client(served) as seen:
        assert (await seen.until("bye"))["code"] == "idle"


async def many(served: Served) -> None:
    """Two thousand connections, all that one may have at once."""

    async def one() -> tuple[bytes, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.outlet.port)
        writer.write(HANDSHAKE)
        return await reader.readline(), writer

    answers = set()
    for _ in range(20):
        for answer, writer in await asyncio.gather(*(one() for _ in range(100))):
            answers.add(answer.split()[1])
            writer.close()
    assert answers == {b"101", b"503"}


Attack = Callable[[Served], Awaitable[None]]


@pytest.mark.parametrize(
    "attack",
    [flood, flood_at_once, giant, giant_in_pieces, half_a_frame, not_masked, half_a_handshake,
     noise, silent, many],
    ids=lambda attack: attack.__name__,
)  # fmt: skip
def test_the_others_do_not_notice(tmp_path: Path, attack: Attack) -> None:
    limits = Limits(first_message_seconds=0.1, connections=60, connections_per_address=60)

    async def test() -> None:
        with exchange(tmp_path / "e", ANA, BBB) as engine:
            engine.submit_batch(flow(1, 100, 2))
            async with serving(tmp_path / "e", limits=limits) as served, client(served) as good:
                await good.subscribe(CHANNELS, ["*"])
                attacking = asyncio.ensure_future(attack(served))
                turn = 0
                while not attacking.done() or turn < 10:
                    engine.submit_batch(flow(turn + 2, 20, 2, 100 + 20 * turn))
                    await served.come_to(engine.sequence)
                    await good.settle()
                    await asyncio.sleep(0.005)
                    turn += 1
                await attacking
                number = await good.settle()
                assert number == served.outlet.number
                await gone(served, 1)

    run(test())


async def gone(served: Served, left: int) -> None:
    """Until the server has forgotten all but so many connections."""
    while len(served.outlet._subscribers) > left:
        await asyncio.sleep(0.01)
    assert served.outlet._addresses.total() == left


def test_limits_say_which_they_are(tmp_path: Path) -> None:
    limits = Limits(connections=4, connections_per_address=3, subscriptions=3, orders=2)

    async def test() -> None:
        with exchange(tmp_path / "e", ANA, BBB) as engine:
            for _ in range(3):
                engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 1, price="1"))
            async with (serving(tmp_path / "e", limits=limits) as served,
                        client(served) as seen, client(served), client(served)):  # fmt: skip
                async with connect(served.ws) as socket:
                    assert json.loads(await socket.recv())["code"] == "full"
                await gone(served, 3)
                await seen.subscribe(["trades", "status"], ["*"], id=1)
                assert (await seen.until("error"))["code"] == "limit"
                await seen.subscribe(["book.l3"], ["ANA", "BBB"], id=2)
                assert (await seen.until("error", id=2))["code"] == "too_large"
                await seen.subscribe(["book.l3"], ["ANA"], id=3, format="binary")
                await seen.until("subscribed", symbol="BBB")
                await seen.until("subscribed", symbol="ANA")
                await seen.socket.recv()
                await seen.subscribe(["status"], ["ANA"], id=4)
                await seen.until("snapshot")

    run(test())


def slow_limits(**more: Any) -> Limits:
    return Limits(buffer_bytes=50_000, kernel_bytes=4096, messages_burst=100_000, **more)


async def reluctant(served: Served) -> Client:
    """A client that reads what it is told to, and not more than the smallest buffer."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", served.outlet.port))
    one = Client(await connect(served.ws, sock=sock, max_size=None, max_queue=1))
    await one.until("hello")
    return one


async def trade_until(
    done: Callable[[], bool], engine: mc.Engine, served: Served, good: Client
) -> None:
    turn = 0
    while not done():
        engine.submit_batch(flow(turn + 2, 200, 2, 100 + 200 * turn))
        await served.come_to(engine.sequence)
        await good.settle()
        for one in served.outlet._subscribers:
            assert one.waiting() < 3 * served.outlet.limits.buffer_bytes
        turn += 1


def test_who_does_not_read_is_conflated_and_the_others_are_not(tmp_path: Path) -> None:
    async def test() -> None:
        with exchange(tmp_path / "e", ANA, BBB) as engine:
            engine.submit_batch(flow(1, 100, 2))
            async with (serving(tmp_path / "e", limits=slow_limits()) as served,
                        client(served) as good):  # fmt: skip
                await good.subscribe(CHANNELS, ["*"])
                slow = await reluctant(served)
                await slow.subscribe(["book.l2", "book.l3", "trades", "status"], ["*"], id=1)
                await slow.settle()
                (one,) = (s for s in served.outlet._subscribers if s.group and len(s.wanted) == 8)
                await trade_until(lambda: bool(one.due), engine, served, good)
                conflated: set[Any] = set()
                while len(conflated) < 8:
                    told = await slow.until("conflated")
                    conflated.add((told["channel"], told["symbol"]))
                await slow.settle()
                assert conflated == set(slow.now)
                for place in slow.now:
                    if place[0] != "trades":
                        assert slow.now[place] == good.now[place]
                assert not any(m["type"] == "conflated" for m in good.messages)
                await slow.socket.close()

    run(test())


def test_who_never_reads_is_dropped(tmp_path: Path) -> None:
    async def test() -> None:
        with exchange(tmp_path / "e", ANA, BBB) as engine:
            engine.submit_batch(flow(1, 100, 2))
            limits = slow_limits(slow_seconds=0.2)
            async with (serving(tmp_path / "e", limits=limits) as served,
                        client(served) as good):  # fmt: skip
                await good.subscribe(CHANNELS, ["*"])
                slow = await reluctant(served)
                await slow.subscribe(CHANNELS, ["*"], id=1)
                await asyncio.sleep(0.05)
                await trade_until(
                    lambda: len(served.outlet._subscribers) == 1, engine, served, good
                )
                with pytest.raises(ConnectionClosed):
                    await slow.until("never")
                slow.socket.transport.abort()

    run(test())


def test_too_many_gets_are_answered_so_and_websockets_go_on(tmp_path: Path) -> None:
    limits = Limits(gets_per_second=0.001, gets_burst=2)

    async def test() -> None:
        with exchange(tmp_path / "e", ANA):
            async with serving(tmp_path / "e", limits=limits) as served:
                answers = [await served.get("/api/status/ANA") for _ in range(3)]
                assert [one.status for one in answers] == [200, 200, 429]
                assert answers[2].said["error"]["code"] == "busy"
                async with client(served) as seen:
                    await seen.subscribe(["status"], ["ANA"])
                    await seen.until("snapshot")

    run(test())
