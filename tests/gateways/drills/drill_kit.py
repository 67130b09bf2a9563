"""Processes that are killed and stopped amid traffic, and clients that go on all the same."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from lines_kit import ANA, WAIT_SECONDS, until
from plain_door import HELLO

from matchcore import COMMAND, Engine, Kind, OrderType, Side, TimeInForce
from matchcore._children import environment
from matchcore.engine.recovery import apply
from matchcore.gateways.reports import Reports
from matchcore.journal import LogReader, batches
from matchcore.machine import machine_class
from matchcore.records.reports import REPORT
from matchcore.records.schema import ReportKind

HERE = Path(__file__).parent
AWAY_SECONDS = 1.5  # of silence, before a client goes to the other gateway
FINALS = {ReportKind.NEW, ReportKind.REJECTED}


def derived(path: Path) -> tuple[Reports, np.ndarray]:
    """What the log alone says to sessions, and all its commands."""
    machine, reports, commands = machine_class("cython")(), Reports(), []
    with LogReader(path) as reader:
        for batch in batches(reader.read(), 8192):
            reports.apply(batch.commands, apply(machine, batch))
            commands.append(batch.commands)
    return reports, np.concatenate(commands)


class Process:
    """One that is started again when it was killed.  ``says``: what it writes once it is ready."""

    def __init__(self, *command: str) -> None:
        self._command = command
        self.stopped = False

    async def start(self) -> None:
        self._child = await asyncio.create_subprocess_exec(
            sys.executable, *self._command, env=environment(),
            stderr=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip

    async def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._child.kill()
        await self._child.wait()

    async def kill_and_start(self) -> None:
        await self.kill()
        await self.start()

    async def freeze(self, seconds: float) -> None:
        os.kill(self._child.pid, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        os.kill(self._child.pid, signal.SIGCONT)


class Client:
    """Sends orders until each is answered, by whichever gateway is there."""

    def __init__(self, session: int, gateways: list[str], count: int, seed: int) -> None:
        self.session, self._gateways = session, gateways
        self._draw = random.Random(f"{seed} {session}")
        self._orders = self._made(count)
        self._sent = 0
        self.reports: list[np.void] = []  # of the numbered stream
        self.answered: set[int] = set()
        self.writer: asyncio.StreamWriter | None = None

    def _made(self, count: int) -> np.ndarray:
        orders, draw = np.zeros(count, COMMAND), self._draw
        orders["kind"], orders["order_type"] = Kind.NEW, OrderType.LIMIT
        orders["time_in_force"], orders["instrument"] = TimeInForce.GTC, 1
        orders["account"] = self.session
        orders["client_order_id"] = np.arange(1, count + 1)
        for order in orders:
            order["side"], order["price"] = draw.choice([*Side]), draw.randint(95, 105)
            order["quantity"] = draw.randint(1, 50)
        return orders

    async def run(self) -> None:
        """Until every order is answered."""
        await self._until(lambda: len(self.answered) == len(self._orders))

    async def hear(self, count: int) -> None:
        """Until it has that many reports."""
        await self._until(lambda: len(self.reports) >= count)

    async def _until(self, done: Callable[[], bool]) -> None:
        at = self._draw.randrange(len(self._gateways))
        while not done():
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
                await self._connected(self._gateways[at % len(self._gateways)], done)
            at += 1
            await asyncio.sleep(0.02)

    async def _connected(self, path: str, done: Callable[[], bool]) -> None:
        opening = asyncio.open_unix_connection(path)
        reader, writer = await asyncio.wait_for(opening, AWAY_SECONDS)
        self.writer = writer
        try:
            writer.write(HELLO.pack(self.session, len(self.reports)))
            open_ones = [n for n in range(self._sent) if n + 1 not in self.answered]
            writer.write(self._orders[open_ones].tobytes())  # again
            sending = asyncio.ensure_future(self._send(writer))
            try:
                while not done():
                    reading = reader.readexactly(REPORT.itemsize)
                    self._take(await asyncio.wait_for(reading, AWAY_SECONDS))
            finally:
                sending.cancel()
        finally:
            self.writer = None
            writer.transport.abort()

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        while self._sent < len(self._orders):
            count = self._draw.choice([1, 1, 2, 10])
            rows = self._orders[self._sent : self._sent + count]
            self._sent += len(rows)
            writer.write(rows.tobytes())
            await asyncio.sleep(self._draw.choice([0, 0.002, 0.01]))

    def _take(self, data: bytes) -> None:
        (report,) = np.frombuffer(data, REPORT)
        if report["number"]:
            assert report["number"] == len(self.reports) + 1, "a report is missing, or came twice"
            self.reports.append(report)
        if report["kind"] in FINALS:
            self.answered.add(int(report["client_order_id"]))


class Exchange:
    """An engine, two gateways with two lines each, and clients of both."""

    def __init__(self, path: Path, seed: int, clients: int = 3, orders: int = 150) -> None:
        self.path, self._draw = path, random.Random(seed)
        lines = [f"unix:{path}/line{n}" for n in (1, 2)]
        with Engine.open(path / "x", instruments=[ANA]):
            pass
        serve = [part for line in lines for part in ("--lines", line)]
        self.engine = Process("-m", "matchcore", "serve", str(path / "x"), *serve)
        doors = [str(path / f"door{n}") for n in (1, 2)]
        self.gateways = [Process(str(HERE / "plain_door.py"), door, *lines) for door in doors]
        self.clients = [Client(n, doors, orders, seed) for n in range(1, clients + 1)]
        self.done: list[str] = []  # faults

    async def run(self, faults: int) -> None:
        processes = [self.engine, *self.gateways]
        for process in processes:
            await process.start()
        try:
            trading = asyncio.gather(*(client.run() for client in self.clients))
            await until(lambda: any(client.reports for client in self.clients))
            for _ in range(faults):
                await self._fault()
                await asyncio.sleep(self._draw.uniform(0.05, 0.3))
            await asyncio.wait_for(trading, 3 * WAIT_SECONDS)
            await self._all_told()
        finally:
            for process in processes:
                await process.kill()

    async def _all_told(self) -> None:
        """Fills may come behind a client's last answer: whoever asks again gets them."""
        reports, _ = derived(self.path / "x")
        for client in self.clients:
            await asyncio.wait_for(client.hear(reports.last(client.session)), WAIT_SECONDS)

    async def _fault(self) -> None:
        draw = self._draw
        what = draw.choice(["kill gateway", "kill engine", "freeze gateway", "freeze engine",
                            "cut client"])  # fmt: skip
        self.done.append(what)
        process = draw.choice(self.gateways) if "gateway" in what else self.engine
        if what == "cut client":
            writer = draw.choice(self.clients).writer
            if writer is not None:
                writer.transport.abort()
        elif what.startswith("kill"):
            await process.kill_and_start()
        else:
            await process.freeze(draw.choice([0.2, 1.2]))
