"""The client over MoldUDP64: loss, repetition and disorder, with requests that get lost too."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import feed_kit as kit
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from itch_kit import HOST, PASSWORD, USER, Started, logins
from numpy.typing import NDArray
from test_itch_client import public, truth

from matchcore.errors import FeedError
from matchcore.feeds import AsyncClient, Changes, Client, HistoryRefused, Snapshot
from matchcore.feeds.client.mold import MoldAddress
from matchcore.feeds.itch import Glimpse, ItchOutlet, MoldPublisher, MoldRequests, SoupFeed
from matchcore.feeds.itch.mold import END_OF_SESSION, HEAD, sending_socket
from matchcore.feeds.lines.address import Address
from matchcore.feeds.serving import Feed, Outlet

SECONDS_MAX = 60.0


class Air(asyncio.DatagramProtocol):
    """Datagrams on their way to ``target``; without one, as answers to who asked the ``other``."""

    def __init__(
        self, chance: random.Random, loss: float, target: tuple[str, int] | None = None
    ) -> None:
        self._chance, self.loss, self._target = chance, loss, target
        self.other: Air | None = None
        self.asker: tuple[Any, ...] | None = None
        self.following = 0  # the number behind the last message that came here

    async def open(self) -> int:
        self.transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=(HOST, 0)
        )
        return int(self.transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        _, first, count = HEAD.unpack_from(data)
        self.asker, self.following = addr, first + count
        for _ in range(1 + (self._chance.random() < self.loss)):
            if self._chance.random() >= self.loss:
                late = self._chance.choice([0, 0, 0, 0.002, 0.01]) if self.loss else 0
                asyncio.get_running_loop().call_later(late, self._on, data)

    def _on(self, data: bytes) -> None:
        way = self if self.other is None else self.other
        target = self._target or way.asker
        if target is not None and not way.transport.is_closing():
            way.transport.sendto(data, target)


class MoldFeed:
    """A feed with MoldUDP64 whose datagrams go through bad air, and what a client needs of it."""

    def __init__(self, path: Path, chance: random.Random, loss: float, *faces: Any) -> None:
        self._path, self._chance, self.loss, self._faces = path, chance, loss, faces
        self._stop = asyncio.Event()
        self._airs: list[Air] = []
        self.port = udp_port()

    async def __aenter__(self) -> MoldFeed:
        self.air = Air(self._chance, self.loss, (HOST, self.port))
        publisher, server = MoldPublisher(HOST, await self.air.open()), MoldRequests(HOST, 0)
        started = Started()
        outlets: list[Outlet] = [started]
        outlets.insert(0, ItchOutlet(self._path, publisher, server, *self._faces))
        self._running = asyncio.ensure_future(Feed(self._path, outlets).run(self._stop))
        while not started.event.is_set():
            await asyncio.sleep(0.001)
        asking, answers = Air(self._chance, self.loss, server.address), Air(self._chance, self.loss)
        asking.other, answers.other = answers, asking
        port, _ = await asking.open(), await answers.open()
        self.line = f"mold://{HOST}:{self.port}?requests={HOST}:{port}"
        self._airs = [self.air, answers, asking]
        return self

    async def stop(self) -> None:
        self._stop.set()
        await self._running

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        for air in self._airs:
            air.transport.close()


def udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind((HOST, 0))
        return int(found.getsockname()[1])


async def heard(client: AsyncClient, engine: kit.mc.Engine) -> None:
    """Trades until every line has brought something."""
    while any(one.state != "connected" for one in client.health()):
        kit.trade(engine, 10, seed=77)
        await asyncio.sleep(0.002)


async def taken(client: AsyncClient, parts: list[NDArray[np.void]], number: int) -> None:
    while client.number < number:
        item = await client.__anext__()
        if isinstance(item, Changes):
            parts.append(item.rows)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.1, 0.4]), st.integers(1, 2))
def test_every_message_once_whatever_the_air_does(seed: int, loss: float, lines: int) -> None:
    chance = random.Random(seed)

    async def within(path: Path) -> None:
        with kit.opened(path) as engine:
            kit.trade(engine, 200, seed)
            feeds = [MoldFeed(path, chance, loss) for _ in range(lines)]
            for feed in feeds:
                await feed.__aenter__()
            parts: list[NDArray[np.void]] = []
            async with AsyncClient(*(feed.line for feed in feeds), first=1) as client:
                await heard(client, engine)
                for step in range(4):
                    kit.trade(engine, 100, seed + step + 1)
                    await asyncio.sleep(0)
                    if step % 2:
                        await taken(client, parts, len(truth(path)) - chance.randrange(20))
                kit.trade(engine, 50, seed + 9)
                await taken(client, parts, len(truth(path)))
                kit.equal_books(client, engine)  # type: ignore[arg-type] # has the same books
                assert all(one.state == "connected" or one.error for one in client.health())
            for feed in feeds:
                await feed.__aexit__()
            assert public(np.concatenate(parts)) == public(truth(path))

    answer = mock.patch("matchcore.feeds.client.mold.ANSWER_SECONDS", 0.01)
    with answer, TemporaryDirectory() as place:
        asyncio.run(asyncio.wait_for(within(Path(place) / "e"), SECONDS_MAX))


@asynccontextmanager
async def entered(path: Path, *faces: Any, loss: float = 0.0) -> AsyncIterator[MoldFeed]:
    async with MoldFeed(path, random.Random(1), loss, *faces) as feed:
        yield feed


def test_a_snapshot_first_and_again_when_nobody_has_a_message_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matchcore.feeds.client.mold.ANSWER_SECONDS", 0.001)

    async def within(path: Path) -> None:
        glimpse = Glimpse(HOST, 0, logins(tmp_path))
        with kit.opened(path) as engine:
            kit.trade(engine, 300)
            async with entered(path, glimpse) as feed:
                line = feed.line.partition("?")[0]  # without a request server
                host, port = glimpse.address
                more: dict[str, Any] = {"login": (USER, PASSWORD), "glimpse": f"{host}:{port}"}
                async with AsyncClient(line, **more) as client:
                    first = await client.__anext__()
                    assert isinstance(first, Snapshot) and first.number == len(truth(path))
                    kit.trade(engine, 50, seed=2)
                    await taken(client, [], len(truth(path)))
                    feed.air.loss = 1.0
                    kit.trade(engine, 50, seed=3)
                    while feed.air.following <= len(truth(path)):
                        await asyncio.sleep(0.001)
                    feed.air.loss = 0.0
                    kit.trade(engine, 5, seed=4)
                    item = await client.__anext__()
                    assert isinstance(item, Snapshot)
                    kit.trade(engine, 5, seed=5)
                    await taken(client, [], len(truth(path)))
                    kit.equal_books(client, engine)  # type: ignore[arg-type] # has the same books

    asyncio.run(asyncio.wait_for(within(tmp_path / "e"), SECONDS_MAX))


def test_beside_a_line_of_soupbintcp_and_through_a_restart(tmp_path: Path) -> None:
    async def within(path: Path) -> None:
        with kit.opened(path) as engine:
            kit.trade(engine, 300)
            soup = SoupFeed(HOST, 0, logins(tmp_path))
            parts: list[NDArray[np.void]] = []
            async with entered(path, soup, loss=0.3) as feed:
                lines = feed.line, f"soup://{HOST}:{soup.address[1]}"
                async with AsyncClient(*lines, first=1, login=(USER, PASSWORD)) as client:
                    kit.trade(engine, 300, seed=2)
                    await taken(client, parts, len(truth(path)))
                    await feed.stop()
                    kit.trade(engine, 100, seed=3)
                    again = MoldFeed(path, random.Random(2), 0.1)
                    again.port = feed.port
                    async with again:
                        # its request server is at another place, which the line does not know
                        kit.trade(engine, 100, seed=4)
                        states = {one.name[:4]: one.state for one in client.health()}
                        while states["mold"] != "connected":
                            await asyncio.sleep(0.01)
                            states = {one.name[:4]: one.state for one in client.health()}
            assert public(np.concatenate(parts)) == public(truth(path)[: client.number])

    asyncio.run(asyncio.wait_for(within(tmp_path / "e"), SECONDS_MAX))


SESSION = b"0123456789"


def sent(port: int, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for datagram in datagrams:
            out.sendto(datagram, (HOST, port))


def test_datagrams_that_are_none_of_the_line_change_nothing() -> None:
    port = udp_port()
    with Client(f"mold://{HOST}:{port}", first=1) as client:
        until = kit.until
        message = b"\0\x0cS" + bytes(4) + bytes(6) + b"M"
        begin = HEAD.pack(SESSION, 1, END_OF_SESSION), b"short", HEAD.pack(SESSION, 1, 0)
        until(lambda: sent(port, *begin) or client.health()[0].state == "connected")
        sent(port, HEAD.pack(b"another...", 1, 1) + message, HEAD.pack(SESSION, 1, 1) + message)
        item = client.next(kit.SECONDS_MAX)
        assert isinstance(item, Changes) and len(item.rows) == 1 and client.session == "0123456789"
        for wrong in (HEAD.pack(SESSION, 2, 2) + message, HEAD.pack(SESSION, 2, 1) + b"\0\x05S",
                      HEAD.pack(SESSION, 2, 1) + b"\0\xffS" + bytes(254)):  # fmt: skip
            until(lambda wrong=wrong: sent(port, HEAD.pack(SESSION, 2, 0), wrong) or "number 2"
                  in client.health()[0].error)  # fmt: skip
            until(lambda: sent(port, HEAD.pack(SESSION, 2, 0))
                  or client.health()[0].state == "connected")  # fmt: skip
        sent(port, HEAD.pack(SESSION, 2, 1) + message)
        item = client.next(kit.SECONDS_MAX)
        assert isinstance(item, Changes) and item.first == 2


def test_a_line_of_another_exchange_is_refused() -> None:
    one, two = udp_port(), udp_port()
    with Client(f"mold://{HOST}:{one}", f"mold://{HOST}:{two}", first=1) as client:
        kit.until(lambda: sent(one, HEAD.pack(SESSION, 1, 0))
                  or client.health()[0].state == "connected")  # fmt: skip
        kit.until(lambda: sent(two, HEAD.pack(b"another...", 1, 0))
                  or client.health()[1].state == "refused")  # fmt: skip
        assert issubclass(HistoryRefused, FeedError)


@pytest.mark.parametrize(
    "line",
    ["mold://example.com:1", "mold://127.0.0.1", "mold://127.0.0.1:1?x=1",
     "mold://127.0.0.1:1?requests=x", "mold://127.0.0.1:1?requests", "mold://127.0.0.1:99999"],
)  # fmt: skip
def test_what_is_no_address_of_a_line_is_refused(line: str) -> None:
    with pytest.raises(FeedError, match="must be"):
        AsyncClient(line)
    assert MoldAddress.of("[ff05::1:1]:5?interface=lo").interface == "lo"


def test_lines_of_itch_and_others_do_not_mix() -> None:
    with pytest.raises(FeedError, match="say different things"):
        AsyncClient("mold://127.0.0.1:1", "127.0.0.1:2")


def card_of(group: str) -> str:
    """A network card that this machine sends datagrams to a group through."""
    if ":" not in group:
        return HOST
    for _, card in socket.if_nameindex():
        with suppress(OSError), sending_socket(group, card, 0) as made:
            made.sendto(b"", (group, 9))
            return card
    pytest.skip("no network card here takes groups of IPv6")


@pytest.mark.parametrize("group", ["239.255.7.9", "ff11::7:9"])
def test_a_group_is_joined(tmp_path: Path, group: str) -> None:
    card = card_of(group)

    async def within(path: Path) -> None:
        port = udp_port()
        publisher = MoldPublisher(group, port, interface=card, hops=0)
        server, started = MoldRequests(HOST, 0), Started()
        outlets: list[Outlet] = [started]
        outlets.insert(0, ItchOutlet(path, publisher, server))
        stop = asyncio.Event()
        with kit.opened(path) as engine:
            running = asyncio.ensure_future(Feed(path, outlets).run(stop))
            while not started.event.is_set():
                await asyncio.sleep(0.001)
            at = Address(group, port)
            line = f"mold://{at}?requests={HOST}:{server.address[1]}&interface={card}"
            async with AsyncClient(line, first=1) as client:
                kit.trade(engine, 100)
                await taken(client, [], len(truth(path)))
                kit.equal_books(client, engine)  # type: ignore[arg-type] # has the same books
            stop.set()
            await running

    asyncio.run(asyncio.wait_for(within(tmp_path / "e"), SECONDS_MAX))
