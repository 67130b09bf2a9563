"""The neutral workload without a log: from C, from NumPy arrays, one by one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.engine import Engine
from ..records.instruments import Instrument
from ..records.order_faces import NewOrder
from ..records.schema import Side
from . import neutral
from ._loops import Rig

INSTRUMENT = Instrument("BENCH", "0.005")
BATCH = 4096
SINGLES = 20_000


def groups(count: int) -> Iterator[list[tuple[Any, ...]]]:
    for scenario in neutral.SCENARIOS:
        flow = neutral.messages(scenario, count)
        commands = neutral.commands(flow)
        note = conformance(scenario, flow, commands)
        yield [
            (f"{scenario}, C calls, batches of {BATCH}", partial(native, commands, BATCH)),
            (f"{scenario}, C calls, one by one", partial(native, commands, 1)),
            (f"{scenario}, submit_batch of {BATCH}", partial(batches, commands, BATCH),
             "million/s", note),
            (f"{scenario}, submit_batch of 256", partial(batches, commands, 256)),
        ]  # fmt: skip
    yield [("typed orders, submit one by one", singles)]


def conformance(scenario: str, flow: NDArray[np.void], commands: NDArray[np.void]) -> str:
    """Whether the events hash to what the conforming engines share; known for the full flow."""
    if len(flow) != neutral.MESSAGES:
        return ""
    with Engine.memory(instruments=[INSTRUMENT]) as engine:
        first = engine.sequence + 1
        events = np.concatenate(
            [engine.submit_batch(commands[at : at + BATCH]) for at in range(0, len(flow), BATCH)]
        )
    right = neutral.report_hash(flow, events, first) == neutral.REPORT_SHA256[scenario]
    return "hash right" if right else "HASH WRONG"


def native(commands: NDArray[np.void], batch: int) -> float:
    return len(commands) / Rig(batch=batch).run(commands, batch)[0] * 1e3


def feed(engine: Engine, commands: NDArray[np.void], batch: int = BATCH) -> float:
    """Million commands a second."""
    started = time.perf_counter()
    for at in range(0, len(commands), batch):
        engine.submit_batch(commands[at : at + batch])
    return len(commands) / (time.perf_counter() - started) / 1e6


def batches(commands: NDArray[np.void], batch: int) -> float:
    with Engine.memory(instruments=[INSTRUMENT]) as engine:
        return feed(engine, commands, batch)


def singles() -> float:
    rng = np.random.default_rng(2)
    sides, steps = rng.integers(1, 3, SINGLES).tolist(), rng.integers(-8, 9, SINGLES).tolist()
    orders = [
        NewOrder("BENCH", Side(side), 10, f"{100 + 5 * step}e-3")
        for side, step in zip(sides, steps, strict=True)
    ]
    with Engine.memory(instruments=[INSTRUMENT]) as engine:
        started = time.perf_counter()
        for order in orders:
            engine.submit(order)
        return SINGLES / (time.perf_counter() - started) / 1e6
