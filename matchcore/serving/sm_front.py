"""A front that speaks TLS 1.3 with the Chinese national suites, and plain TCP behind it.

RFC 8998: TLS_SM4_GCM_SM3 with certificates and key exchange over SM2.  Python's `ssl` has none of
it, so pyOpenSSL (extra `[gm-tls]`) drives the protocol over memory.  One front serves every
protocol, and the same one on the other side lets a client without these suites connect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import FeedError, InvalidArgument, MissingExtra

if TYPE_CHECKING:
    from OpenSSL import SSL

SUITE = b"TLS_SM4_GCM_SM3"
GROUP = "curveSM2"
SIGNATURE = b"sm2sig_sm3"
CONNECTIONS_MAX = 1000
HANDSHAKE_SECONDS = 10.0
CLOSE_SECONDS = 10.0  # for the last bytes
CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Certificates:
    """What a side shows, and whom it believes.

    - ``certificate``, ``key``: PEM files of its own; a server needs them.
    - ``authority``: PEM file of who signed the other side's; a client needs it, and a server that
      has one asks its clients for a certificate.
    - ``host``: the name or address that a server's certificate must have.
    """

    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None
    host: str = ""


def context_of(certificates: Certificates, *, serves: bool) -> SSL.Context:
    """A context that speaks TLS_SM4_GCM_SM3 over curveSM2 and nothing else.

    `InvalidArgument` for files that are none.  `MissingExtra` without pyOpenSSL, or with one
    whose OpenSSL lacks the suite.
    """
    library = _library()
    context: SSL.Context = library.Context(library.TLS_METHOD)
    context.set_min_proto_version(library.TLS1_3_VERSION)
    try:
        context.set_tls13_ciphersuites(SUITE)
    except library.Error:
        raise MissingExtra("TLS_SM4_GCM_SM3 (OpenSSL 4)", "gm-tls") from None
    _only_sm2(context)
    try:
        if certificates.certificate and certificates.key:
            context.use_certificate_chain_file(str(certificates.certificate))
            context.use_privatekey_file(str(certificates.key))
            context.check_privatekey()
        if certificates.authority:
            context.load_verify_locations(str(certificates.authority))
    except library.Error as error:
        raise InvalidArgument(f"certificate, key or authority: {_reason(error)}") from None
    if certificates.authority:
        asked = library.VERIFY_PEER | library.VERIFY_FAIL_IF_NO_PEER_CERT
        context.set_verify(asked if serves else library.VERIFY_PEER)
    elif not serves:
        raise InvalidArgument("a client needs the authority that signed the server's certificate")
    return context


def _library() -> Any:
    try:
        from OpenSSL import SSL
    except ImportError:
        raise MissingExtra("TLS with SM suites", "gm-tls") from None
    return SSL


def _only_sm2(context: SSL.Context) -> None:
    """Key exchange and signatures over SM2, which OpenSSL does not choose by itself.

    pyOpenSSL has no call for them, so this one goes below it; `Channel.begin` looks at the result.
    """
    from cryptography.hazmat.bindings.openssl.binding import Binding

    library, handle = Binding().lib, context._context
    groups = library.SSL_CTX_set1_curves_list(handle, GROUP.encode())
    if not (groups and library.SSL_CTX_set1_sigalgs_list(handle, SIGNATURE)):
        raise MissingExtra("key exchange over SM2 (OpenSSL 4)", "gm-tls")


class Front:
    """Listens at one address and passes each connection on to another one.

    - ``listen``, ``to``: host and port.
    - ``certificates``: of this side.
    - ``serves``: True: TLS comes in and plain TCP goes on, in front of a server. False: plain TCP
      comes in and TLS goes on, in front of a client.
    - ``told``: called with a line about each connection that failed.
    """

    def __init__(
        self,
        listen: tuple[str, int],
        to: tuple[str, int],
        certificates: Certificates,
        *,
        serves: bool,
        told: Callable[[str], object] = lambda line: None,
    ) -> None:
        self._listen, self._to, self._told, self._serves = listen, to, told, serves
        self._host = certificates.host or to[0]
        self._context = context_of(certificates, serves=serves)
        self._open: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """`FeedError` if the system refuses the port."""
        host, port = self._listen
        try:
            self._server = await asyncio.start_server(self._connected, host, port)
        except OSError as error:
            raise FeedError(f"{host}:{port}: {error}") from error

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        assert self._server is not None
        host, port, *_ = self._server.sockets[0].getsockname()
        return host, port

    async def close(self) -> None:
        """Cuts every connection."""
        if self._server is not None:
            self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        name = str(writer.get_extra_info("peername"))
        try:
            if len(self._open) > CONNECTIONS_MAX:
                raise ConnectionError(f"{CONNECTIONS_MAX} connections, and no more")
            await self._pass_on(reader, writer)
            await _closed(writer)
        except (OSError, asyncio.TimeoutError, SmError) as error:
            self._told(f"{name}: {error or type(error).__name__}")
        except asyncio.CancelledError:
            pass  # the front is closed
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._serves:  # whoever does not speak TLS never reaches the server
            outside = Channel(self._context, reader, writer, "")
            await asyncio.wait_for(outside.begin(), HANDSHAKE_SECONDS)
        inner_reader, inner_writer = await asyncio.open_connection(*self._to)
        try:
            if self._serves:
                await _both(outside, inner_reader, inner_writer)
            else:
                outside = Channel(self._context, inner_reader, inner_writer, self._host)
                await asyncio.wait_for(outside.begin(), HANDSHAKE_SECONDS)
                await _both(outside, reader, writer)
            await _closed(inner_writer)
        finally:
            inner_writer.transport.abort()


class SmError(Exception):
    """The other side does not speak as it must; the text says what was wrong."""


class Channel:
    """One TLS connection over a pair of streams; ``host``: of the server that a client expects."""

    def __init__(
        self,
        context: SSL.Context,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        host: str,
    ) -> None:
        self._ssl = _library()
        self._reader, self._writer, self._host = reader, writer, host
        self._tls = self._ssl.Connection(context, None)
        self._draining = asyncio.Lock()  # before Python 3.11 only one may wait at a time
        if host:
            self._tls.set_connect_state()
        else:
            self._tls.set_accept_state()

    async def begin(self) -> None:
        """The handshake; `SmError` if it fails, or agrees on other algorithms."""
        while True:
            try:
                self._tls.do_handshake()
                break
            except self._ssl.WantReadError:
                await self._flush()
                await self._more()
            except self._ssl.Error as error:
                with suppress(OSError):  # the other side is told, if it is there
                    await self._flush()
                raise SmError(f"no TLS with SM suites: {_reason(error)}") from None
        await self._flush()
        found = self._tls.get_cipher_name(), self._tls.get_group_name()
        if found != (SUITE.decode(), GROUP):
            raise SmError(f"agreed on {found[0]} over {found[1]}, not on {SUITE.decode()}")
        if self._host and self._host not in _names(self._tls):
            raise SmError(f"the certificate is not of {self._host}")

    async def read(self) -> bytes:
        """The next bytes; empty at the end that the other side declared."""
        while True:
            try:
                return bytes(self._tls.recv(CHUNK_BYTES))
            except self._ssl.WantReadError:
                await self._flush()
                await self._more()
            except self._ssl.ZeroReturnError:
                return b""
            except self._ssl.Error as error:
                raise SmError(f"TLS: {_reason(error)}") from None

    async def write(self, data: bytes) -> None:
        """Sends bytes, and waits while the other side does not take them."""
        self._tls.sendall(data)
        await self._flush()

    async def end(self) -> None:
        """Declares the end of what is sent."""
        self._tls.shutdown()
        await self._flush()

    async def _more(self) -> None:
        data = await self._reader.read(CHUNK_BYTES)
        if not data:
            raise SmError("cut off without the end of TLS")
        self._tls.bio_write(data)

    async def _flush(self) -> None:
        with suppress(self._ssl.WantReadError):
            while True:
                self._writer.write(self._tls.bio_read(CHUNK_BYTES))
        async with self._draining:
            await self._writer.drain()


def _names(tls: SSL.Connection) -> list[str]:
    """Host names and addresses that the other side's certificate is for, as it spells them."""
    from cryptography import x509

    certificate = tls.get_peer_certificate(as_cryptography=True)
    if certificate is None:
        return []
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    return [*found.get_values_for_type(x509.DNSName), *addresses]


async def _both(
    outside: Channel, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Passes bytes both ways until both ends have ended, or one is cut."""

    async def inwards() -> None:
        while data := await outside.read():
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    async def outwards() -> None:
        while data := await reader.read(CHUNK_BYTES):
            await outside.write(data)
        await outside.end()

    ways = [asyncio.ensure_future(inwards()), asyncio.ensure_future(outwards())]
    try:
        await asyncio.gather(*ways)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _closed(writer: asyncio.StreamWriter) -> None:
    """Returns when everything is sent; what is not taken in time is given up."""
    writer.close()
    await asyncio.wait_for(writer.wait_closed(), CLOSE_SECONDS)


def _reason(error: Exception) -> str:
    """The last word of OpenSSL's list of (library, function, reason)."""
    found = error.args[0] if error.args else ""
    return str(found[-1][-1]) if isinstance(found, list) and found else str(error)
