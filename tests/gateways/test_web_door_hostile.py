"""Clients that the others must not notice."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from certificates import Certificates
from gateway_kit import Served, desk, until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from web_gate_kit import Gate, gate, run

from matchcore.cli.tls import tls_of
from matchcore.gateways.web.asked import Commands, parse
from matchcore.gateways.web.door import WebDoor
from matchcore.gateways.web.refusals import Refused, refusal_of

Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def wire(here: Gate, said: bytes = b"") -> Wire:
    reader, writer = await asyncio.open_connection("127.0.0.1", here.door.port)
    writer.write(said)
    return reader, writer


async def ended(connection: Wire) -> bytes:
    """What came until the server closed it."""
    reader, writer = connection
    try:
        said = await asyncio.wait_for(reader.read(), 20)
    except ConnectionError:
        said = b""
    writer.close()
    return said


HEAD = b"POST /orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice\r\n"


def test_who_says_nothing_whole_in_time_is_cut() -> None:
    async def test() -> None:
        async with gate(first_seconds=0.3, body_seconds=0.3) as here:
            silent = [await wire(here, said) for said in (b"", b"GET", HEAD)]
            for connection in silent:
                assert await ended(connection) == b""
            half = await wire(here, HEAD + b"Content-Length: 10\r\n\r\n{")
            assert b"408" in await half[0].readuntil(b"\r\n")
            half[1].close()
            await until(lambda: here.door.counts["connections"] == 0)
            assert (await here.ask("GET", "/me"))[0] == 200

    run(test())


def test_bytes_that_are_no_http_end_their_connection_only() -> None:
    async def test() -> None:
        async with gate() as here:
            for said in (b"\x00" * 100, b"\x16\x03\x01", b"GET / HTTP/9.9\r\n\r\n",
                         b"GET /" + b"x" * 100_000, b"GET / HTTP/1.1\r\nA: " + b"x" * 100_000,
                         HEAD + b"Content-Length: -1\r\n\r\n",
                         HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
                         HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n"):  # fmt: skip
                answer = await ended(await wire(here, said))
                assert answer[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.0 400"), said[:40]
            assert here.desk.reports.last(1) == 0
            assert (await here.enter("a", "buy", 1, "95.00"))[0] == 201

    run(test())


def test_connections_of_one_address_are_limited() -> None:
    async def test() -> None:
        async with gate(connections_per_address=3) as here:
            held = [await wire(here) for _ in range(3)]
            await until(lambda: here.door.counts["connections"] == 3)
            assert await ended(await wire(here, b"GET /health HTTP/1.1\r\n\r\n")) == b""
            assert here.door.counts["connections_refused"] == 1
            for _, writer in held:
                writer.close()
            await until(lambda: here.door.counts["connections"] == 0)
            assert (await here.ask("GET", "/me"))[0] == 200

    run(test())


def test_questions_of_a_login_are_limited_and_its_orders_are_not() -> None:
    async def test() -> None:
        async with gate(questions_per_second=0.0, questions_burst=3) as here:
            found = [(await here.ask("GET", "/orders"))[0] for _ in range(5)]
            assert found == [200, 200, 200, 429, 429]
            assert here.headers["Retry-After"] == "3600"
            assert (await here.ask("GET", "/orders", user="bob"))[0] == 200
            assert (await here.enter("a", "buy", 1, "95.00"))[0] == 201

    run(test())


def test_a_client_that_never_reads_is_cut_and_the_others_trade() -> None:
    async def test() -> None:
        async with gate(ping_seconds=0.5) as here:
            small = socket.socket()
            small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            small.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(small, ("127.0.0.1", here.door.port))
            await loop.sock_sendall(small, (
                b"GET /stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice\r\n"
                b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"))  # fmt: skip
            await until(lambda: here.door.counts["streams"] == 1)
            for number in range(300):
                status, _ = await here.enter(f"n{number}", "buy", 1, "95.00")
                assert status == 201
            await until(lambda: here.door.counts["streams"] == 0)
            small.close()
            assert here.desk.connected == 0

    run(test())


def test_a_connection_that_is_cut_leaves_nothing() -> None:
    async def test() -> None:
        async with gate() as here:
            for number in range(20):
                body = (b'{"client_order_id":"c%d","symbol":"ANA","side":"buy","quantity":1,'
                        b'"price":"95.00"}') % number  # fmt: skip
                _, writer = await wire(
                    here, HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
                )
                writer.transport.abort()
                async with aiohttp.ClientSession() as http:
                    socket_ = await http.ws_connect(
                        here.door.url + "/stream", headers={"Authorization": "Bearer alice"}
                    )
                    await socket_.send_str('{"op":"order"')
            await until(lambda: here.desk.connected == 0)
            assert (await here.ask("GET", "/me"))[0] == 200

    run(test())


def test_a_body_that_is_cut_is_no_fault_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with gate() as here:
            _, writer = await wire(here, HEAD + b"Content-Length: 10\r\n\r\n{")
            await until(lambda: here.door.counts["connections"] == 1)
            assert (await here.ask("GET", "/me"))[0] == 200  # the other one is being read by now
            writer.transport.abort()
            await until(lambda: here.door.counts["connections"] == 1)
            assert (await here.ask("GET", "/me"))[0] == 200

    run(test())
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_field_of_an_address_is_there_once() -> None:
    async def test() -> None:
        async with gate() as here:
            await here.enter("a", "buy", 1, "95.00")
            for path in ("/orders?account=1&account=2", "/orders/a?account=1&account=1",
                         "/orders/a?client_order_id=b", "/reports?after=0&after=1"):  # fmt: skip
                for method in ("GET", "DELETE") if "/a?" in path else ("GET",):
                    status, said = await here.ask(method, path)
                    assert (status, said["error"]["code"]) == (400, "malformed"), path
            assert (await here.ask("GET", "/orders/a"))[1]["status"] == "new"
            said = await here.enter("b", "buy", 1, "95.00", post_only=1)
            assert said[0] == 400 and said[1]["error"]["field"] == "post_only"

    run(test())


def test_tls_is_spoken_and_nothing_else(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "c")

    async def test() -> None:
        ready = asyncio.Event()
        door = WebDoor("127.0.0.1", 0, tls=tls_of(certificates.server, certificates.key),
                       started=lambda _: ready.set())  # fmt: skip
        trusted = ssl.create_default_context(cafile=certificates.ca)
        async with Served(desk(), door), aiohttp.ClientSession() as http:
            await asyncio.wait_for(ready.wait(), 20)
            assert door.url.startswith("https://")
            async with http.get(door.url + "/health", ssl=trusted) as answer:
                assert answer.status == 200
            reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
            writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200" not in await ended((reader, writer))

    run(test())


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
FIELDS = ("client_order_id", "symbol", "side", "quantity", "price", "order_type", "post_only",
          "time_in_force", "account", "reduce_by", "request_id", "x")  # fmt: skip
GOOD: dict[str, Any] = {"client_order_id": "n", "symbol": "ANA", "side": "buy", "quantity": 1,
                        "price": "95.00"}  # fmt: skip


class Nothing:
    """Reports that know of one order, and of one market."""

    markets = frozenset({1})

    def find(self, account: int, client_order_id: int, tail: int) -> tuple[int, int] | None:
        return (1, 5) if client_order_id % 2 else None


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sampled_from(["new", "cancel", "amend", "cancel_all"]),
       st.dictionaries(st.sampled_from(FIELDS), values), st.booleans())  # fmt: skip
def test_any_json_is_a_command_or_a_refusal(what: str, body: dict[str, Any], good: bool) -> None:
    from gateway_kit import ANA

    from matchcore import Directory
    from matchcore.gateways.logins import Login

    commands = Commands(Directory([ANA]), Nothing(), Login(1, "u"))  # type: ignore[arg-type]  # enough of it
    try:
        made = getattr(commands, what)({**GOOD, **body} if good else body)
    except Exception as error:
        refused = refusal_of(error)
        assert refused is not None and 400 <= refused.status < 500, error
        assert str(refused) and len(str(refused)) < 2000
    else:
        assert len(made) == 1 and made["client_order_id"][0] != 0


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_a_refusal(text: bytes) -> None:
    try:
        assert isinstance(parse(text), dict)
    except Refused as refused:
        assert refused.code == "malformed"


def test_an_error_of_ours_is_no_refusal() -> None:
    assert refusal_of(ZeroDivisionError()) is None
