"""Feeds as processes of their own, and an exchange that trades."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import numpy as np
from missing import missing
from numpy.typing import NDArray

import matchcore as mc
from matchcore.feeds import Books, Changes, Stream
from matchcore.feeds.client import Client, Item, Snapshot
from matchcore.feeds.serving import Feed
from matchcore.feeds.web.server import WebOutlet
from matchcore.records.changes import MARKET
from matchcore.records.instruments import Directory

ANA, BEE = mc.Instrument("ANA", "0.05"), mc.Instrument("BEE", "0.01", lot=10)
SECONDS_MAX = 60.0
HAPROXY = Path(__file__).parents[2] / "examples" / "haproxy.cfg"


def trade(engine: mc.Engine, count: int, seed: int = 1) -> None:
    """Orders that rest, trade, change and leave, in a few batches."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, mc.COMMAND)
    rows["kind"] = rng.choice([1, 2, 3, 4], count, p=[0.7, 0.1, 0.1, 0.1])
    rows["instrument"] = rng.integers(1, 3, count)
    rows["order_id"] = rng.integers(1, 1 << 20, count)
    rows["order_id"][rows["kind"] > 1] = rng.choice(rows["order_id"][rows["kind"] == 1],
                                                    int((rows["kind"] > 1).sum()))  # fmt: skip
    rows["side"] = rng.integers(1, 3, count)
    rows["order_type"], rows["time_in_force"] = 1, 1
    rows["price"], rows["quantity"] = (
        rng.integers(1900, 1920, count),
        10 * rng.integers(1, 9, count),
    )
    for part in np.array_split(rows, max(1, count // 50)):
        engine.submit_batch(part)


def opened(path: Path) -> mc.Engine:
    return mc.Engine.open(path, instruments=[ANA, BEE], policy="os")


def truth(path: Path) -> bytes:
    """Every change of an exchange, from its log."""
    with Stream(path) as stream:
        return b"".join(changes.rows.tobytes() for changes in stream.poll())


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def listening(port: int) -> bool:
    """Whether one can connect to a port of this machine."""
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def until(true: Callable[[], object], said: Callable[[], str] = str) -> None:
    end = time.monotonic() + SECONDS_MAX
    while not true():
        assert time.monotonic() < end, said()
        time.sleep(0.01)


class FeedProcess:
    """`matchcore feed` with these arguments and one more for its line; killed at the end."""

    def __init__(self, *arguments: object, port: int = 0, **environment: str) -> None:
        self.port = port or free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed at the end
        command = [sys.executable, "-m", "matchcore", "feed", *map(str, arguments)]
        self.process = subprocess.Popen(
            [*command, "--line", str(self.port)], env={**os.environ, **environment},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._said,
        )  # fmt: skip

    def said(self) -> str:
        """What it has written to its stderr."""
        return os.pread(self._said.fileno(), 1 << 20, 0).decode()

    def listens(self) -> bool:
        """Whether one can connect to its line."""
        return listening(self.port)

    def kill(self) -> None:
        """As a crash."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """As Ctrl-C; its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(SECONDS_MAX)

    def __enter__(self) -> FeedProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._said.close()


@contextmanager
def haproxy(**environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """haproxy with the configuration of the examples."""
    binary = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    command = [binary or missing("haproxy", "haproxy"), "-db", "-f", str(HAPROXY)]
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(SECONDS_MAX)


class Taken:
    """What a client has given out so far, checked for order."""

    def __init__(self, client: Client) -> None:
        self.client, self.bytes, self.snapshots = client, bytearray(), list[Snapshot]()

    def take(self, item: Item | None) -> None:
        if isinstance(item, Snapshot):
            self.snapshots.append(item)
        elif item is not None:
            assert not self.bytes or item.first == self.next
            self.next = item.last + 1
            self.bytes += item.rows.tobytes()

    def until(self, number: int) -> None:
        """Takes until the client has given out this number."""
        end = time.monotonic() + SECONDS_MAX
        while self.client.number < number:
            self.take(self.client.next(0.5))
            assert time.monotonic() < end, self.client.health()


def equal_books(client: Client, engine: mc.Engine) -> None:
    for number, symbol in enumerate(("ANA", "BEE"), 1):
        depth = engine.book(symbol).depth()
        for side, levels in zip(mc.Side, (depth.bids, depth.asks), strict=True):
            mine = client.books.levels(number, side)
            assert [(client.instruments[number].price(int(one["price"])), one["quantity"])
                    for one in mine] == [(one.price, one.quantity) for one in levels]  # fmt: skip


class Scripted:
    """A feed's source whose changes a test makes up, also those that no machine says."""

    identity = bytes(range(16))
    session = identity.hex()[:10].upper()
    epoch = 1

    def __init__(self, *instruments: mc.Instrument) -> None:
        self.instruments = Directory(instruments)
        self.number = 1
        self._waiting: list[Changes] = []

    def say(self, *rows: NDArray[np.void]) -> int:
        """These come next, each one row of `CHANGE` or `MARKET`; the number of the last one."""
        made = np.concatenate([row.view(mc.CHANGE) for row in rows])
        self._waiting.append(Changes(self.number, self.epoch, made))
        self.number += len(made)
        return self.number - 1

    def books(self) -> Books:
        return Books(self.instruments)

    def before(self) -> None:
        """Nothing was before."""

    def poll(self) -> Iterator[Changes]:
        waiting, self._waiting = self._waiting, []
        yield from waiting

    async def grown(self) -> None:
        await asyncio.sleep(0.001)

    def mark(self) -> None:
        """It cannot be derived again."""

    def close(self) -> None:
        """It has no files."""


@contextmanager
def web_of(source: Scripted, page: Path | None) -> Iterator[int]:
    """A feed of such changes with a page, in a thread of its own; its port."""
    started = threading.Event()
    outlet = WebOutlet("127.0.0.1", 0, page=page, started=lambda _: started.set())
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    feed = Feed(source, [outlet])
    thread = threading.Thread(target=lambda: loop.run_until_complete(feed.run(stop)))
    thread.start()
    try:
        assert started.wait(SECONDS_MAX)
        yield outlet.port
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(SECONDS_MAX)
        loop.close()


def market(kind: mc.ChangeKind, instrument: int = 1, **fields: int) -> NDArray[np.void]:
    """One row of `MARKET`."""
    row = np.zeros(1, MARKET)
    row["kind"], row["instrument"], row["sequence"], row["time"] = kind, instrument, 7, 10**18
    for name, value in fields.items():
        row[name] = value
    return row
