"""How long after its durable answer an order's change is at a subscriber.

The feed is the command `matchcore feed` on one core; on the other are the engine and all clients.
"""

from __future__ import annotations

import json
import os
import re
import resource
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import matchcore as mc

from .market import (
    ALIVE,
    CHECKOUT,
    CLIENT_CORE,
    HANDSHAKE,
    INSTRUMENTS,
    SERVER_CORE,
    subscription,
)

RATE, SECONDS, WARM_SECONDS = 10_000, 5.0, 1.0
DRAIN_SECONDS = 4.0  # for what is on its way, also on a busy machine
PROBES = 5  # subscribers whose messages are looked at
READ_BYTES = 1 << 18
BESIDE_RATE = 2_000  # so that no core is ever busy for long: what is asked for are the delays
PAIRS, SLICE_SECONDS = 60, 0.65  # without and with bad neighbours
ALIVE_SECONDS = 5.0  # between two signs of life: a feed drops who is silent
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
        self._room, self._alive = bytearray(READ_BYTES), time.monotonic()

    def open(self) -> socket.socket:
        one = socket.create_connection(("127.0.0.1", self.port))
        one.sendall(HANDSHAKE + subscription(["book.l2"]))
        return one

    def stay(self) -> None:
        """A sign of life of each, now and then."""
        if time.monotonic() - self._alive > ALIVE_SECONDS:
            self._alive = time.monotonic()
            for one in self.known.values():
                one.sendall(ALIVE)

    def read(self, seconds: float) -> None:
        for number, _ in self.poll.poll(seconds):
            size = self.known[number].recv_into(self._room)
            if number in self.heard:
                self.heard[number].append((time.monotonic_ns(), bytes(self._room[:size])))

    def read_while(self, trading: subprocess.Popen[bytes]) -> list[list[tuple[int, bytes]]]:
        """Until the engine has ended and everything has come."""
        while trading.poll() is None:
            self.read(0.05)
            self.stay()
        trading.communicate()
        assert trading.returncode == 0
        end = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < end:
            self.read(0.05)
        for one in self.known.values():
            one.close()
        self.poll.close()
        return [*self.heard.values()]


def nanoseconds(path: Path, count: int) -> NDArray[np.int64]:
    """Of every change and probe, in a new exchange at ``path``."""
    with fed(path) as (_, port):
        heard = Clients(port, count).read_while(trader(path, SECONDS))
    return np.concatenate([delays(path, one)[1] for one in heard])


class Slice(NamedTuple):
    """``there``: bad neighbours; ``nanoseconds`` of every change and probe; ``core``: how much of
    one the feed took."""

    there: bool
    nanoseconds: NDArray[np.int64]
    core: float


def beside(path: Path, count: int) -> list[Slice]:
    """The same in short slices, a pair without and with bad neighbours after the other."""
    with fed(path) as (pid, port):
        clients = Clients(port, count)
        trading = trader(path, 2 * (PAIRS * SLICE_SECONDS + WARM_SECONDS), BESIDE_RATE)
        others = module("neighbours", port, pid, 2 * WARM_SECONDS, PAIRS, SLICE_SECONDS)
        heard = clients.read_while(trading)
        slices = json.loads(others.communicate(timeout=60)[0])
    times, taken = (np.concatenate(one) for one in zip(*(delays(path, one) for one in heard),
                                                       strict=True))  # fmt: skip
    return [
        Slice(there, taken[(times >= begin) & (times < end)], core)
        for there, begin, end, core in slices
    ]


@contextmanager
def fed(path: Path) -> Iterator[tuple[int, int]]:
    """A new exchange and its feed: the process and its port."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    instruments = [mc.Instrument(f"SYM{at}", "0.005") for at in range(1, INSTRUMENTS + 1)]
    with mc.Engine.open(path, instruments=instruments):
        pass
    command = [sys.executable, "-m", "matchcore", "feed", str(path), "--web", "0",
               "--connections", "4096"]  # fmt: skip
    before = os.sched_getaffinity(0)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True) as served:  # fmt: skip
        os.sched_setaffinity(served.pid, {SERVER_CORE})
        try:
            assert served.stderr is not None
            served.stderr.readline()
            os.sched_setaffinity(0, {CLIENT_CORE})
            yield served.pid, int(served.stderr.readline().rstrip("/\n").rpartition(":")[2])
        finally:
            os.sched_setaffinity(0, before)
            served.terminate()


def trader(path: Path, seconds: float, rate: int = RATE) -> subprocess.Popen[bytes]:
    """An engine that takes orders for so long, and to warm up before."""
    return module("trader", path, rate, seconds + WARM_SECONDS)


def module(name: str, *arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"benchmarks.fanout.{name}", *map(str, arguments)]
    return subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE)


def delays(path: Path, heard: list[tuple[int, bytes]]) -> tuple[NDArray[np.int64], ...]:
    """When each change was durable and how long it took, from what a subscriber read when."""
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
    return answered[late], came[late] - answered[late]
