"""MoldUDP64: messages in numbered datagrams, and a server that sends lost ones again."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from typing import Any

from ...errors import FeedError
from ._frames import datagrams
from .tape import Tape

DATAGRAM_BYTES = 1400  # fits a frame of an Ethernet, also inside a tunnel
END_OF_SESSION = 0xFFFF
ENDS = 3  # so many times the end of the session is said
SEND_BUFFER_BYTES = 4 << 20
ANSWERS_PER_BEAT = 10_000  # to all who ask
ANSWERS_PER_HOST = 2_000  # of them to one address
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
HEAD = struct.Struct(">10sQH")  # session, number of the first message, how many


class MoldPublisher:
    """Sends every message once, to one address or to a multicast group.

    A datagram for which the system has no room is lost like one on the wire; `lost` counts them.
    ``interface``: the network card that a group is sent through, by its address, and for a group of
    IPv6 by its name.
    """

    def __init__(self, host: str, port: int, *, interface: str = "", hops: int = 1):
        self._to, self._interface, self._hops = (host, port), interface, hops
        self._socket: socket.socket | None = None
        self._quiet = False
        self.lost = 0

    async def start(self, session: bytes, tape: Tape) -> None:
        """`FeedError` if the system refuses the address."""
        self._session, self._tape = session, tape
        try:
            self._socket = sending_socket(self._to[0], self._interface, self._hops)
        except (OSError, ValueError) as error:
            raise FeedError(f"MoldUDP64 to {self._to[0]}: {error}") from error

    def publish(self, first: int, blocks: bytes) -> None:
        for datagram in datagrams(self._session, first, blocks, DATAGRAM_BYTES):
            self._send(datagram)
        self._quiet = False

    def beat(self) -> None:
        """A heartbeat, if nothing was sent since the last beat."""
        if self._quiet:
            self._send(HEAD.pack(self._session, self._tape.next, 0))
        self._quiet = True

    async def close(self) -> None:
        if self._socket is not None:
            for _ in range(ENDS):
                self._send(HEAD.pack(self._session, self._tape.next, END_OF_SESSION))
            self._socket.close()

    def _send(self, datagram: bytes) -> None:
        assert self._socket is not None
        try:
            self._socket.sendto(datagram, self._to)
        except OSError:  # also one that says that there is no room now
            self.lost += 1


def sending_socket(host: str, interface: str, hops: int) -> socket.socket:
    """For datagrams to an address, which may be a group."""
    address = ipaddress.ip_address(host)
    made = socket.socket(_FAMILIES[address.version], socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if address.is_multicast and address.version == 6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, hops)
            if interface:
                index = socket.if_nametoindex(interface)
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        elif address.is_multicast:
            made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, hops)
            if interface:
                card = ipaddress.IPv4Address(interface).packed
                made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, card)
    except BaseException:
        made.close()
        raise
    return made


class MoldRequests(asyncio.DatagramProtocol):
    """Answers requests for messages with one datagram each, from memory.

    For a number that memory has no more the answer holds no message, and names the oldest one that
    it has; for one that there is not yet, the next one.  What is no request, or of another session,
    is not answered; nor is more than so many requests a beat, because whoever asks may name an
    address that is not his.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._transport: asyncio.DatagramTransport | None = None
        self._answered: dict[str, int] = {}  # since the last beat, by address
        self._left = ANSWERS_PER_BEAT

    async def start(self, session: bytes, tape: Tape) -> None:
        """`FeedError` if the system refuses the port."""
        self._session, self._tape = session, tape
        try:
            self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: self, local_addr=(self._host, self._port)
            )
        except OSError as error:
            raise FeedError(f"requests on {self._host}:{self._port}: {error}") from error

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        assert self._transport is not None
        host, port, *_ = self._transport.get_extra_info("sockname")
        return host, port

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if len(data) != HEAD.size or not self._left:
            return
        session, first, count = HEAD.unpack(data)
        answered = self._answered.get(addr[0], 0)
        if session != self._session or not count or answered >= ANSWERS_PER_HOST:
            return
        self._answered[addr[0]] = answered + 1
        self._left -= 1
        blocks, found = self._tape.blocks(first, count, DATAGRAM_BYTES - HEAD.size)
        if not found:
            first = self._tape.first if first < self._tape.first else self._tape.next
        assert self._transport is not None
        self._transport.sendto(HEAD.pack(session, first, found) + blocks, addr)

    def error_received(self, exc: Exception) -> None:
        """Somebody asked and went away."""

    def publish(self, first: int, blocks: bytes) -> None:
        """The tape has them."""

    def beat(self) -> None:
        self._answered.clear()
        self._left = ANSWERS_PER_BEAT

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
