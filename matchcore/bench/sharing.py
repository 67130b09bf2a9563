"""Commands that share syncs: batches under way at once, and many callers of single commands."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..engine.aio import AsyncEngine
from ..engine.engine import Engine
from ..records.order_faces import NewOrder
from ..records.schema import Side
from .throughput import INSTRUMENT

CALLERS = 64
UNDER_WAY = 6  # batches: enough that neither processor nor disk waits for the other


@contextmanager
def opened(place: Path, policy: str = "sync") -> Iterator[Engine]:
    with (
        tempfile.TemporaryDirectory(dir=place) as directory,
        Engine.open(directory, instruments=[INSTRUMENT], policy=policy) as engine,
    ):
        yield engine


def pipelined(commands: NDArray[np.void], place: Path, batch: int) -> float:
    """Million commands a second, every batch answered when it is on disk."""
    with opened(place) as engine:
        under_way: deque[object] = deque()
        started = time.perf_counter()
        for at in range(0, len(commands), batch):
            future = engine.submit_async(commands[at : at + batch])
            under_way.append(future.result)
            if len(under_way) > UNDER_WAY:
                _wait(under_way)
        while under_way:
            _wait(under_way)
        return len(commands) / (time.perf_counter() - started) / 1e6


def _wait(under_way: deque[object]) -> None:
    result = under_way.popleft()
    assert callable(result)
    result()


def order() -> NewOrder:
    return NewOrder(INSTRUMENT.symbol, Side.BUY, 10, "1.00")


def one_thread(count: int, place: Path) -> float:
    """Thousand single commands a second, each waited for."""
    with opened(place) as engine:
        started = time.perf_counter()
        for _ in range(count):
            engine.submit(order())
        return count / (time.perf_counter() - started) / 1e3


def threads(count: int, place: Path) -> float:
    """As `one_thread`, from 64 of them; `count` of each."""
    gate = threading.Barrier(CALLERS + 1)

    def work(engine: Engine) -> None:
        gate.wait()
        for _ in range(count):
            engine.submit(order())

    with opened(place) as engine:
        working = [threading.Thread(target=work, args=(engine,)) for _ in range(CALLERS)]
        for thread in working:
            thread.start()
        gate.wait()
        started = time.perf_counter()
        for thread in working:
            thread.join()
        return CALLERS * count / (time.perf_counter() - started) / 1e3


def tasks(count: int, place: Path) -> float:
    """As `one_thread`, from 64 tasks of one event loop; `count` of each."""

    async def work(engine: AsyncEngine) -> None:
        for _ in range(count):
            await engine.submit(order())

    async def all_of_them(engine: AsyncEngine) -> float:
        started = time.perf_counter()
        await asyncio.gather(*[work(engine) for _ in range(CALLERS)])
        return CALLERS * count / (time.perf_counter() - started) / 1e3

    with opened(place) as engine:
        return asyncio.run(all_of_them(AsyncEngine(engine)))


def to_one(many: Callable[[int, Path], float], count: int, place: Path) -> float:
    """How many times the rate of one thread, measured just before and just after."""
    before = one_thread(4 * count, place)
    rate = many(count, place)
    return rate / ((before + one_thread(4 * count, place)) / 2)
