"""A line of MoldUDP64: datagrams to an address or a group, and a server that sends lost ones again.

Datagrams get lost, come twice and in another order.  What is missing for longer than a moment is
asked for at the request server, part by part, and again when an answer gets lost too.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import sys
from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from ...errors import FeedError
from ..itch._frames import rows_of
from ..itch.mold import END_OF_SESSION, HEAD
from ..lines.address import Address
from ..stream import Changes
from .itch import Access, snapshot_of
from .line import Hub, Line

MOLD = "mold://"
RECEIVE_BUFFER_BYTES = 8 << 20  # of the system, which may give less
WAITING_MAX = 8192  # datagrams that are not looked at yet; what comes then is lost
BATCH_BYTES = 1 << 16  # of messages in a row that are handed on together
SILENT_SECONDS = 5.0  # heartbeats come each second
ANSWER_SECONDS = 0.1  # until a request is repeated
TRIES_MAX = 20
COUNT_MAX = 0xFFFE  # of messages, in a request
OPTIONS = frozenset({"requests", "interface"})


@dataclass(frozen=True, slots=True)
class Datagram:
    """One from the line, or with ``answer`` from its request server."""

    session: bytes
    first: int
    count: int
    blocks: bytes
    answer: bool

    @property
    def following(self) -> int:
        """The number behind its messages; of one without messages, the one that it names."""
        return self.first + (self.count if self.messages else 0)

    @property
    def messages(self) -> bool:
        return self.count not in (0, END_OF_SESSION)


class MoldAddress(NamedTuple):
    """Where the datagrams come to, and ``requests``, where lost ones are asked for.

    ``interface``: of a group, the network card by its address, for IPv6 by its name.
    """

    at: Address
    requests: Address | None = None
    interface: str = ""

    @classmethod
    def of(cls, text: str) -> MoldAddress:
        """``ADDRESS:PORT?requests=HOST:PORT&interface=CARD``; `FeedError` for others."""
        at, _, query = text.partition("?")
        try:
            said = dict(parse_qsl(query, strict_parsing=True, max_num_fields=4)) if query else {}
            address = Address.of(at)
            ipaddress.ip_address(address.host)
            if said.keys() - OPTIONS:
                raise ValueError("another option than requests, interface")
        except ValueError as error:
            raise FeedError(
                f"{text!r}: must be ADDRESS:PORT?requests=HOST:PORT&interface=CARD ({error})"
            ) from None
        requests = Address.of(said["requests"]) if "requests" in said else None
        return cls(address, requests, said.get("interface", ""))


class _Receiver(asyncio.DatagramProtocol):
    """Takes datagrams apart; what is none of MoldUDP64 is passed over."""

    def __init__(self, line: MoldLine, answer: bool) -> None:
        self._line, self._answer = line, answer

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if len(data) >= HEAD.size:
            session, first, count = HEAD.unpack_from(data)
            blocks = data[HEAD.size :]
            self._line.receive(Datagram(session, first, count, blocks, self._answer))

    def error_received(self, exc: Exception) -> None:
        """Nobody is at the request server's port now: the request is repeated."""


class MoldLine(Line):
    """The line at ``address``, with the snapshots of ``access``."""

    def __init__(self, name: str, address: MoldAddress, hub: Hub, access: Access) -> None:
        super().__init__(name, hub)
        self._address, self._access = address, access
        self._waiting: deque[Datagram | None] = deque()  # None: to be connected again
        self._something = asyncio.Event()
        self._requests: asyncio.DatagramTransport | None = None
        self._session = b""
        self._wanted = range(0)  # what was asked for, and has not come
        self._tries = 0

    def receive(self, datagram: Datagram) -> None:
        """The next one, as it comes."""
        if len(self._waiting) < WAITING_MAX:
            self._waiting.append(datagram)
            self._something.set()

    def ask(self, first: int, last: int) -> None:
        """Asks the request server; without one this line has not got them."""
        if self._requests is None:
            self._not_here(last)
            return
        self._wanted, self._tries = range(first, last + 1), 0
        self._request()

    def drop(self) -> None:
        """Has it open its sockets again."""
        self._waiting.append(None)
        self._something.set()

    # ------------------------------------------------------------------ inside

    async def _connected(self) -> None:
        hub, loop, at = self._hub, asyncio.get_running_loop(), self._address
        self._waiting.clear()
        self._wanted = range(0)
        made = receiving_socket(at.at, at.interface)
        line, _ = await loop.create_datagram_endpoint(lambda: _Receiver(self, False), sock=made)
        try:
            if at.requests is not None:
                self._requests, _ = await loop.create_datagram_endpoint(
                    lambda: _Receiver(self, True), remote_addr=at.requests
                )
            async with hub.turn:  # datagrams wait, and one line takes a snapshot for all
                if hub.wants_snapshot:
                    hub.restarted(await snapshot_of(hub, self._access))
            await self._first()
            while not hub.stopped:
                for changes in self._changes():
                    self._came(changes)
                start = max(self._wanted.start, hub.arbiter.next)  # another line may have had some
                self._wanted = range(start, self._wanted.stop)
                hub.looked()
                await hub.room()
                await self._more()
        finally:
            line.close()
            if self._requests is not None:
                self._requests.close()
            self._requests = None

    async def _first(self) -> None:
        """Waits for one that says where the line is; the end of a session is that of an old one."""
        arbiter = self._hub.arbiter
        while (first := await self._next()).answer or first.count == END_OF_SESSION:
            self._waiting.popleft()
        self._session = first.session
        arbiter.greet(self.name, first.session, 0, first.first, self._hub.now())
        arbiter.begin(self.name, first.first)
        self._welcomed = True

    async def _next(self) -> Datagram:
        """The next one, which stays where it is."""
        while not self._waiting:
            await self._more()
        if self._waiting[0] is None:
            raise ConnectionResetError("no datagram came")
        return self._waiting[0]

    async def _more(self) -> None:
        """Until there is a datagram, or an answer is so late that it is asked for again."""
        if self._waiting:
            await asyncio.sleep(0)
            return
        self._something.clear()
        seconds = ANSWER_SECONDS if self._wanted else SILENT_SECONDS
        try:
            await asyncio.wait_for(self._something.wait(), seconds)
        except asyncio.TimeoutError:
            if not self._wanted:
                raise ConnectionResetError(f"no datagram for {SILENT_SECONDS:g} seconds") from None
            self._tries += 1
            if self._tries < TRIES_MAX:
                self._request()
            else:
                self._not_here(self._wanted[-1])

    def _changes(self) -> list[Changes]:
        """What has come, as changes; messages in a row are put together."""
        found: list[Changes] = []
        blocks, first, following = bytearray(), 0, 0
        for datagram in self._taken():
            if blocks and (datagram.first != following or len(blocks) > BATCH_BYTES):
                found.append(self._made(first, following, blocks))
                blocks = bytearray()
            if not blocks:
                first = datagram.first
            blocks += datagram.blocks
            following = datagram.following
        if blocks:
            found.append(self._made(first, following, blocks))
        return found

    def _made(self, first: int, following: int, blocks: bytearray) -> Changes:
        try:
            rows = rows_of(bytes(blocks))
        except ValueError as error:
            raise FeedError(f"number {first} or soon behind it: {error}") from None
        if len(rows) != following - first:
            raise FeedError(f"number {first}: {len(rows)} messages where {following - first} are")
        return Changes(first, 0, rows)

    def _taken(self) -> list[Datagram]:
        """Those with messages; the others are heard here."""
        found, arbiter, ended = [], self._hub.arbiter, 0
        while self._waiting:
            datagram = self._waiting.popleft()
            if datagram is None:
                raise ConnectionResetError("it was silent")
            if datagram.session != self._session:
                continue
            if datagram.answer:
                self._answered(datagram)
            elif not datagram.messages:
                arbiter.beat(self.name, datagram.first - 1, self._hub.now())
                ended = datagram.count and datagram.first
            if datagram.messages:
                found.append(datagram)
        if ended and not found:
            raise ConnectionResetError(f"the feed ended at number {ended - 1}")
        return found

    def _answered(self, answer: Datagram) -> None:
        """Asks for the rest; one without messages names the oldest number that can be had."""
        wanted = self._wanted
        if not wanted:
            return
        if not answer.messages and answer.first > wanted.start:
            self._not_here(wanted[-1])
        elif answer.first <= wanted.start < answer.following:  # not one that comes twice
            self._wanted, self._tries = range(answer.following, wanted.stop), 0
            self._request()

    def _request(self) -> None:
        if self._wanted and self._requests is not None:
            count = min(len(self._wanted), COUNT_MAX)
            self._requests.sendto(HEAD.pack(self._session, self._wanted.start, count))

    def _not_here(self, last: int) -> None:
        self._wanted = range(0)
        self._hub.arbiter.not_here(self.name, last)
        asyncio.get_running_loop().call_soon(self._hub.looked)


def receiving_socket(at: Address, interface: str) -> socket.socket:
    """For datagrams to an address of this machine, or to a group, which it joins."""
    address = ipaddress.ip_address(at.host)
    made = socket.socket(
        socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM
    )
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        if address.is_multicast:  # another program here may have joined too
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        index = socket.if_nametoindex(interface) if interface and address.version == 6 else 0
        made.bind((at.host, at.port, 0, index) if address.version == 6 else (at.host, at.port))
        if address.is_multicast and address.version == 4:
            card = ipaddress.IPv4Address(interface or "0.0.0.0").packed
            made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, address.packed + card)
        elif address.is_multicast:
            member = address.packed + index.to_bytes(4, sys.byteorder)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
    except ValueError as error:
        made.close()
        raise FeedError(f"{at}: {error}") from None
    except BaseException:
        made.close()
        raise
    return made
