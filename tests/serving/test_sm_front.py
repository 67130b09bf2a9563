"""Fronts with SM suites, over real sockets and with certificates of the openssl program."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from matchcore.errors import InvalidArgument
from matchcore.serving.sm_front import Certificates, Front

pytest.importorskip("OpenSSL", reason="pyOpenSSL is not installed (extra gm-tls)")
if shutil.which("openssl") is None:
    pytest.skip("the program openssl is not installed", allow_module_level=True)

SOME = b"8=FIX.4.4\x01" * 40_000
WAIT_SECONDS = 20.0
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def made(folder: Path, name: str) -> Certificates:
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    openssl("ecparam", "-name", "SM2", "-genkey", "-noout", "-out", str(key))
    openssl("req", "-x509", "-new", "-sm3", "-sigopt", "distid:1234567812345678", "-key", str(key),
            "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1,DNS:exchange",
            "-days", "30", "-out", str(certificate))  # fmt: skip
    return Certificates(certificate, key)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return made(tmp_path_factory.mktemp("sm"), "exchange")


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    await gone(writer)


async def gone(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def chain(outer: Certificates, inner: Certificates, talk: Talk) -> list[str]:
    """plain client -> front of a client -> front of a server -> echo; what the fronts tell."""
    told: list[str] = []

    async def run() -> None:
        behind = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = behind.sockets[0].getsockname()[1]
        near = ("127.0.0.1", port)
        front = Front(("127.0.0.1", 0), near, inner, serves=True, told=told.append)
        await front.start()
        client = Front(("127.0.0.1", 0), front.address, outer, serves=False, told=told.append)
        await client.start()
        reader, writer = await asyncio.open_connection(*client.address)
        try:
            await asyncio.wait_for(talk(reader, writer), WAIT_SECONDS)
        finally:
            await gone(writer)
            await client.close()
            await front.close()
            behind.close()

    asyncio.run(run())
    return told


async def whole(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async def send() -> None:
        writer.write(SOME)
        await writer.drain()
        writer.write_eof()

    sending = asyncio.ensure_future(send())
    assert await reader.read(-1) == SOME
    await sending


async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")
    with pytest.raises(ConnectionError):
        if not await reader.read(5):
            raise ConnectionError


def test_what_goes_in_comes_out_of_two_fronts(server: Certificates) -> None:
    assert chain(Certificates(authority=server.certificate), server, whole) == []


def test_a_server_that_nobody_signed_for_is_not_believed(
    server: Certificates, tmp_path: Path
) -> None:
    other = made(tmp_path, "other")
    told = chain(Certificates(authority=other.certificate), server, nothing)
    assert any("certificate verify failed" in line for line in told), told


def test_the_certificate_must_be_of_the_host(server: Certificates) -> None:
    outer = Certificates(authority=server.certificate, host="elsewhere")
    assert any("not of elsewhere" in line for line in chain(outer, server, nothing))
    outer = Certificates(authority=server.certificate, host="exchange")
    assert chain(outer, server, whole) == []


def test_a_server_may_ask_its_clients_for_certificates(
    server: Certificates, tmp_path: Path
) -> None:
    client = made(tmp_path, "client")
    asks = Certificates(server.certificate, server.key, client.certificate)
    shows = Certificates(client.certificate, client.key, server.certificate)
    assert chain(shows, asks, whole) == []
    told = chain(Certificates(authority=server.certificate), asks, nothing)
    assert any("did not return a certificate" in line for line in told), told


async def against(server: Certificates, talk: Talk, **more: object) -> list[str]:
    """Speaks with the front of a server directly; what it tells."""
    told: list[str] = []
    front = Front(("127.0.0.1", 0), ("127.0.0.1", 1), server, serves=True, told=told.append)
    await front.start()
    try:
        reader, writer = await asyncio.open_connection(*front.address, **more)
        await asyncio.wait_for(talk(reader, writer), WAIT_SECONDS)
        await gone(writer)
    finally:
        await front.close()
    return told


def test_a_client_of_other_suites_is_refused(server: Certificates) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.raises((ssl.SSLError, ConnectionError)):
        asyncio.run(against(server, nothing, ssl=context))


def test_what_is_no_tls_is_refused_before_the_server_hears_of_it(server: Certificates) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionError):
            while await reader.read(100):
                pass
            raise ConnectionError

    told = asyncio.run(against(server, talk))
    assert len(told) == 1 and "no TLS with SM suites" in told[0]


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    with pytest.raises(InvalidArgument, match="certificate, key or authority"):
        Front(("127.0.0.1", 0), ("127.0.0.1", 1), Certificates(bad, bad), serves=True)
    with pytest.raises(InvalidArgument, match="needs the authority"):
        Front(("127.0.0.1", 0), ("127.0.0.1", 1), Certificates(), serves=False)
