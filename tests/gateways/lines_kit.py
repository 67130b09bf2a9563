"""An engine's service, lines to it, and a proxy between them that fails when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matchcore import EVENT, Engine, Instrument, Kind, MemoryLog
from matchcore.errors import QueueFull
from matchcore.gateways.lines import EngineService, Lines
from matchcore.gateways.lines.address import Address

ANA = Instrument("ANA", tick="0.05")
WAIT_SECONDS = 20.0
HERE = Address("127.0.0.1", 0)


class Proxy:
    """Forwards to an address; `cut` ends its connections, `freeze` keeps them open and silent."""

    def __init__(self, to: Address) -> None:
        self.to = to
        self.delay_seconds = 0.0
        self.flows = asyncio.Event()
        self.flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.address = Address("127.0.0.1", self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.cut()
        for writer in self._writers:
            with suppress(OSError):
                await writer.wait_closed()
        await self._server.wait_closed()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def freeze(self) -> None:
        self.flows.clear()

    def thaw(self) -> None:
        self.flows.set()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self._begin(self._joined(reader, writer))

    def _begin(self, work) -> None:  # type: ignore[no-untyped-def]  # any coroutine
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.to.port < 0:
                there, back = await asyncio.open_unix_connection(self.to.host)
            else:
                there, back = await asyncio.open_connection(*self.to)
        except OSError:
            writer.close()
            return
        self._writers.add(back)
        self._begin(self._forward(reader, back))
        await self._forward(there, writer)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                await self.flows.wait()
                if writer.is_closing():
                    break
                writer.write(data)
                await writer.drain()
        writer.close()


def orders(first: int, count: int, seed: int = 0) -> NDArray[np.void]:
    """NEW orders of session 1 that trade now and then, with client order ids from ``first`` on."""
    from gateway_kit import order

    draw = np.random.default_rng([seed, first])
    commands = np.repeat(order(1, 1, 1, 100), count)
    commands["client_order_id"] = np.arange(first, first + count)
    commands["order_id"] = np.arange(first, first + count) + (1 << 62)
    commands["side"] = draw.integers(1, 3, count)
    commands["price"] = draw.integers(95, 106, count)
    commands["account"] = commands["session"] = 1
    return commands


class Taken:
    """What a way hands on."""

    def __init__(self) -> None:
        self.commands: list[NDArray[np.void]] = []
        self.events: list[NDArray[np.void]] = []
        self.count = 0
        self.down = ""

    def take(self, commands: NDArray[np.void], events: NDArray[np.void]) -> None:
        self.commands.append(commands)
        self.events.append(events)
        self.count += len(commands)

    def is_down(self, why: str) -> None:
        self.down = why

    def has(self, count: int) -> bool:
        """Whether so many have come."""
        return self.count >= count

    def ids(self) -> list[int]:
        """Client order ids of the NEWs, in the order of the log."""
        rows = np.concatenate(self.commands)
        return [int(n) for n in rows["client_order_id"][rows["kind"] == Kind.NEW]]

    def told(self) -> bytes:
        return np.concatenate([np.empty(0, EVENT), *self.events]).tobytes()


async def until(condition: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    async def look() -> None:
        while not condition():
            await asyncio.sleep(0.002)

    await asyncio.wait_for(look(), seconds)


async def send(way: Lines, commands: NDArray[np.void]) -> None:
    """Also while the way is full."""
    while True:
        try:
            way.send(commands)
            return
        except QueueFull:
            await asyncio.sleep(0.002)


def memory() -> Engine:
    return Engine.memory(instruments=[ANA], log=MemoryLog())


async def served(engine: Engine, *addresses: Address, **more: object) -> EngineService:
    service = EngineService(engine, addresses or [HERE], **more)  # type: ignore[arg-type]  # as given
    await service.start()
    return service


def address_of(service: EngineService) -> Address:
    return service.listening[0]


def unix(path: Path) -> Address:
    return Address(str(path / "engine.sock"), -1)
