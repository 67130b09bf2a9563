"""A feed with a web face, as it runs, and a client that keeps what the protocol says."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import uvloop
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect

import matchcore as mc
from matchcore.feeds.serving import Feed
from matchcore.feeds.web.limits import Limits
from matchcore.feeds.web.server import WebOutlet
from matchcore.records.commands import COMMAND
from matchcore.records.schema import Kind, OrderType

PATIENCE = 20.0
CHANNELS = ["book.l1", "book.l2", "book.l3", "trades", "bars.1m", "bars.1d", "status"]


def run(test: Coroutine[Any, Any, None]) -> None:
    """Runs an asynchronous test in the loop that a feed has."""
    uvloop.run(asyncio.wait_for(test, 3 * PATIENCE))


class Answer(NamedTuple):
    """Of HTTP."""

    status: int
    head: str
    body: bytes

    @property
    def said(self) -> Any:
        return json.loads(self.body)


class Served:
    """A running feed, its outlet, and the address."""

    def __init__(self, feed: Feed, outlet: WebOutlet) -> None:
        self.feed, self.outlet = feed, outlet

    @property
    def ws(self) -> str:
        return self.outlet.url.replace("http", "ws", 1) + "ws"

    async def get(self, path: str, *lines: str, tls: ssl.SSLContext | None = None) -> Answer:
        """One GET, with these lines as further headers."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.outlet.port, ssl=tls)
        head = "\r\n".join([f"GET {path} HTTP/1.1", "Host: test", *lines, "", ""])
        writer.write(head.encode())
        said = await reader.read()
        writer.close()
        top, _, body = said.partition(b"\r\n\r\n")
        return Answer(int(top.split()[1]), top.decode(), body)

    async def come_to(self, sequence: int) -> None:
        """Until the feed has read so many commands."""
        while self.feed.stream.sequence < sequence:
            await asyncio.sleep(0.001)


@asynccontextmanager
async def serving(
    path: Path, state: Path | None = None, limits: Limits | None = None, **options: Any
) -> AsyncIterator[Served]:
    stop, ready = asyncio.Event(), asyncio.Event()
    outlet = WebOutlet("127.0.0.1", 0, limits=limits, started=lambda _: ready.set(), **options)
    served = Served(Feed(path, [outlet], state=state), outlet)
    running = asyncio.ensure_future(served.feed.run(stop))
    waiting = asyncio.ensure_future(ready.wait())
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        yield served
    finally:
        stop.set()
        await running


Place = tuple[str, str]  # channel, symbol


class Client:
    """Checks that nothing is missing, keeps the books, and remembers every state it had."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.hello: dict[str, Any] = {}
        self.numbers: dict[Place, int] = {}
        self.messages: list[dict[str, Any]] = []
        self.states: dict[Place, list[tuple[int, Any]]] = {}
        self.now: dict[Place, Any] = {}

    async def receive(self) -> dict[str, Any]:
        message = json.loads(await asyncio.wait_for(self.socket.recv(), PATIENCE))
        self.messages.append(message)
        self.take(message)
        return message

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next message of this type, with these fields; what comes before it is taken."""
        while True:
            message = await self.receive()
            if message["type"] == kind and fields.items() <= message.items():
                return message

    async def ask(self, op: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"op": op, **fields}))

    async def subscribe(self, channels: list[str], symbols: list[str], **more: Any) -> None:
        await self.ask("subscribe", channels=channels, symbols=symbols, **more)

    async def settle(self) -> int:
        """Until everything that the feed knew has come."""
        await self.ask("ping", id="settle")
        return int((await self.until("pong", id="settle"))["number"])

    def take(self, message: dict[str, Any]) -> None:
        if message["type"] == "hello":
            self.hello = message
        if message["type"] not in ("snapshot", "update"):
            return
        place = message["channel"], message["symbol"]
        if message["type"] == "update":
            assert self.numbers[place] == message["prev"], message
        self.numbers[place] = message["number"]
        self.now[place] = TAKERS[message["channel"]](self.now.get(place), message)
        self.states.setdefault(place, []).append((message["number"], self.now[place]))


def levels(now: Any, message: dict[str, Any]) -> Any:
    fresh = {} if message["type"] == "snapshot" else dict(now)
    for side in ("bids", "asks"):
        for price, quantity, orders in message[side]:
            fresh.pop((side, price), None)
            if quantity:
                fresh[side, price] = (quantity, orders)
    return fresh


def best(now: Any, message: dict[str, Any]) -> Any:
    return message["bid"], message["ask"]


def orders(now: Any, message: dict[str, Any]) -> Any:
    if message["type"] == "snapshot":
        return {(side, order_id): (price, quantity)
                for side in ("bids", "asks")
                for order_id, price, quantity in message[side]}  # fmt: skip
    fresh = dict(now)
    for change in message["changes"]:
        place = "bids" if change["side"] == "buy" else "asks", change["order_id"]
        if change["op"] == "add":
            assert place not in fresh
        else:
            price, quantity = fresh.pop(place)
            assert price == change["price"]
            assert quantity - change["quantity"] == change["left"]
        if change["left"]:
            fresh[place] = change["price"], change["left"]
    return fresh


def trades(now: Any, message: dict[str, Any]) -> Any:
    return message["trades"] if message["type"] == "snapshot" else now + message["trades"]


def bars(now: Any, message: dict[str, Any]) -> Any:
    fresh = {} if message["type"] == "snapshot" else dict(now)
    fresh.update({bar[0]: bar for bar in message["bars"]})
    return fresh


def status(now: Any, message: dict[str, Any]) -> Any:
    return {name: message[name] for name in ("open", "high", "low", "last", "volume", "turnover",
                                             "vwap", "trades", "day")}  # fmt: skip


TAKERS = {"book.l1": best, "book.l2": levels, "book.l3": orders, "trades": trades,
          "bars.1m": bars, "bars.1d": bars, "status": status}  # fmt: skip


@asynccontextmanager
async def client(served: Served, **options: Any) -> AsyncIterator[Client]:
    async with connect(served.ws, max_size=None, **options) as socket:
        known = Client(socket)
        await known.until("hello")
        yield known


def flow(seed: int, count: int, instruments: int, start: int = 0) -> NDArray:
    """Orders that meet, rest, change and leave, a minute and more apart now and then."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, COMMAND)
    kinds = [Kind.NEW, Kind.CANCEL, Kind.AMEND, Kind.REDUCE, Kind.MASS_CANCEL, Kind.END_DAY]
    rows["kind"] = rng.choice(kinds, count, p=[0.7, 0.1, 0.1, 0.08, 0.01, 0.01])
    rows["instrument"] = rng.integers(1, instruments + 1, count)
    rows["instrument"][(rows["kind"] == Kind.END_DAY) & (rng.random(count) < 0.5)] = 0
    rows["order_id"] = rng.integers(1, 80, count)
    rows["side"] = rng.integers(1, 3, count)
    rows["order_type"], rows["time_in_force"] = OrderType.LIMIT, rng.integers(1, 5, count)
    rows["price"], rows["quantity"] = rng.integers(-6, 7, count), rng.integers(1, 20, count)
    rows["side"][rows["kind"] == Kind.MASS_CANCEL] = 1
    rows["time"] = 1_700_000_000 * 10**9 + (start + np.arange(count)) * 7 * 10**9
    return rows


def exchange(path: Path, *instruments: mc.Instrument) -> mc.Engine:
    return mc.Engine.open(path, instruments=instruments, policy="os")


def sm2_keys(place: Path) -> tuple[Callable[[bytes], bytes], Any]:
    """How a new key signs, and what verifies its signatures."""
    pytest.importorskip("tongsuopy", reason="tongsuopy is not installed (extra gm-sign)")
    if shutil.which("openssl") is None:
        pytest.skip("the program openssl is not installed")
    from matchcore.journal.crypto.sm2 import Signer, Verifier

    key, public = place / "key.pem", place / "pub.pem"
    for line in (["ecparam", "-name", "SM2", "-genkey", "-noout", "-out", key],
                 ["pkey", "-in", key, "-pubout", "-out", public]):  # fmt: skip
        subprocess.run(["openssl", *line], check=True, capture_output=True)
    return Signer(key).sign, Verifier(public)
