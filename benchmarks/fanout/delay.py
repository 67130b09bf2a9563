"""How long after its durable answer an order's change is at a subscriber.

The feed is the command `matchcore feed` on one core; on the other are the engine and all clients.
"""

from __future__ import annotations

import os
import re
import resource
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import matchcore as mc

from .market import CLIENT_CORE, HANDSHAKE, INSTRUMENTS, SERVER_CORE, subscription

RATE, SECONDS, WARM_SECONDS = 10_000, 5.0, 1.0
DRAIN_SECONDS = 1.5
PROBES = 5  # subscribers whose messages are looked at
READ_BYTES = 1 << 18
HOSTILE_SECONDS = 0.01  # between two of its connections
UPDATE = re.compile(rb'"update","channel":"[^"]*","symbol":"SYM(\d+)","number":(\d+),"prev":(\d+)')


class Clients:
    """Subscribers to every book; the first and last and some between are noted down."""

    def __init__(self, port: int, count: int) -> None:
        self.port, self.poll = port, select.epoll()
        self.known = {one.fileno(): one for one in (self.open() for _ in range(count))}
        for number in self.known:
            self.poll.register(number, select.EPOLLIN)
        places = np.linspace(0, count - 1, PROBES).astype(int)
        numbers = [*self.known]
        self.heard: dict[int, list[tuple[int, bytes]]] = {numbers[at]: [] for at in places}
        self._room = bytearray(READ_BYTES)

    def open(self, ask: bytes = subscription(["book.l2"])) -> socket.socket:
        one = socket.create_connection(("127.0.0.1", self.port))
        one.sendall(HANDSHAKE + ask)
        return one

    def read(self, seconds: float) -> None:
        for number, _ in self.poll.poll(seconds):
            size = self.known[number].recv_into(self._room)
            if number in self.heard:
                self.heard[number].append((time.monotonic_ns(), bytes(self._room[:size])))


class Neighbours:
    """One that never reads, one that reads little, and one that sends what it must not."""

    def __init__(self, clients: Clients) -> None:
        self._clients, self._next = clients, 0.0
        self._dead, self._slow = clients.open(), clients.open()
        self._open: list[socket.socket] = []

    def act(self) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + HOSTILE_SECONDS
        self._slow.recv(1024)
        for one in self._open:
            one.close()
        self._open = [self._clients.open(b"\x81\xfe\xff\xff" + os.urandom(500))]


def nanoseconds(path: Path, count: int, beside: bool) -> NDArray[np.int64]:
    """Of every change and probe, in a new exchange at ``path``."""
    instruments = [mc.Instrument(f"SYM{at}", "0.005") for at in range(1, INSTRUMENTS + 1)]
    with mc.Engine.open(path, instruments=instruments):
        pass
    command = [sys.executable, "-m", "matchcore", "feed", str(path), "--web", "0",
               "--connections", "4096"]  # fmt: skip
    before = os.sched_getaffinity(0)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as served:
        os.sched_setaffinity(served.pid, {SERVER_CORE})
        try:
            assert served.stderr is not None
            served.stderr.readline()
            port = int(served.stderr.readline().rstrip("/\n").rpartition(":")[2])
            os.sched_setaffinity(0, {CLIENT_CORE})
            heard = listen(path, port, count, beside)
        finally:
            os.sched_setaffinity(0, before)
            served.terminate()
    return np.concatenate([delays(path, one) for one in heard])


def listen(path: Path, port: int, count: int, beside: bool) -> list[list[tuple[int, bytes]]]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    clients = Clients(port, count)
    neighbours = Neighbours(clients) if beside else None
    trading = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.fanout.trader", str(path), str(RATE),
         str(SECONDS + WARM_SECONDS)]
    )  # fmt: skip
    while trading.poll() is None:
        clients.read(0.05)
        if neighbours is not None:
            neighbours.act()
    assert trading.returncode == 0
    end = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < end:
        clients.read(0.05)
    return [*clients.heard.values()]


def delays(path: Path, heard: list[tuple[int, bytes]]) -> NDArray[np.int64]:
    """Of each change, from what one subscriber read at which times."""
    with np.load(f"{path}.npz") as told:
        first, answered, instrument = int(told["first"]), told["answered"], told["instrument"]
    ends = np.cumsum([len(data) for _, data in heard])
    times = [moment for moment, _ in heard]
    came = np.zeros(len(answered), np.int64)
    said = b"".join(data for _, data in heard)
    assert b'"conflated"' not in said, "a subscriber was too slow: the machine is busy"
    for update in UPDATE.finditer(said):
        symbol, number, prev = map(int, update.groups())
        moment = times[int(np.searchsorted(ends, update.end()))]
        places = np.arange(max(prev + 1, first), number + 1) - first
        came[places[instrument[places] == symbol]] = moment
    late = answered > answered[0] + int(WARM_SECONDS * 1e9)
    assert (came[late] > 0).all(), "a change has not come"
    found: NDArray[np.int64] = came[late] - answered[late]
    return found
