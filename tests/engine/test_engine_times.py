"""Commands without a time get one in the order of the log, however they are sent."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from engine_kit import WORLD, order
from flows import flow
from numpy.typing import NDArray

import matchcore as mc
from matchcore.engine import engine as engine_module
from matchcore.journal import Packed


def without_times(count: int) -> NDArray[np.void]:
    rows = flow(1, count).copy()
    rows["time"] = 0
    return rows


def times_of(log: mc.MemoryLog) -> list[int]:
    return np.concatenate([frame.commands["time"] for frame in log.frames()]).tolist()


class Clock:
    """Counts up; calls `then` once before it gives a reading, which is older then."""

    def __init__(self) -> None:
        self.now = 10**18
        self.then: Callable[[], object] | None = None

    def __call__(self) -> int:
        self.now += 1
        reading, then, self.then = self.now, self.then, None
        if then is not None:
            then()
        return reading


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log() -> mc.MemoryLog:
    return mc.MemoryLog()


@pytest.fixture
def engine(log: mc.MemoryLog, clock: Clock) -> mc.Engine:
    return mc.Engine.memory(instruments=WORLD, log=log, clock=clock)


@pytest.mark.parametrize("count", [5, 600])
@pytest.mark.parametrize("waits", [True, False])
def test_nobody_comes_between_the_time_of_a_batch_and_its_place(
    engine: mc.Engine, log: mc.MemoryLog, clock: Clock, count: int, waits: bool
) -> None:
    def meanwhile() -> None:
        with suppress(mc.LogError):  # the clock is read under the lock: nobody can
            engine.submit(order())

    clock.then = meanwhile
    rows = without_times(count)
    _ = engine.submit_batch(rows) if waits else engine.submit_async(rows).result(20)
    engine.submit(order())
    engine.close()
    assert times_of(log) == sorted(times_of(log))


def test_a_batch_that_was_packed_before_others_came_has_a_time_after_theirs(
    engine: mc.Engine, log: mc.MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def pack(commands: NDArray[np.void], now: int) -> Packed:
        made.append(now)
        if len(made) == 1:
            engine.submit(order())
        return Packed(commands, now)

    monkeypatch.setattr(engine_module, "Packed", pack)
    live = engine.submit_async(without_times(600)).result(20)
    engine.close()
    assert len(made) == 2 and times_of(log) == sorted(times_of(log))
    again = mc.Engine.memory(log=log)
    assert len(live) and again.digest() == engine.digest()
