"""The main figures of matchcore on this machine: what `matchcore bench` runs."""

from __future__ import annotations

import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..commands import Side
from ..engine import Engine
from ..instruments import Instrument
from ..typed import NewOrder
from . import neutral

INSTRUMENT = Instrument("BENCH", "0.005")
BATCH = 4096
SINGLES = 20_000


def run_suite(*, count: int, rounds: int, progress: Callable[[int], None]) -> dict[str, Any]:
    """Runs each figure `rounds` times; medians, least and most, in million operations a second."""
    figures: list[dict[str, Any]] = []

    def measure(what: str, operations: int, work: Callable[[], float], note: str = "") -> None:
        rates = [operations / work() / 1e6 for _ in range(rounds)]
        progress(1)
        figures.append(
            {
                "what": what,
                "million_per_s": round(statistics.median(rates), 3),
                "least": round(min(rates), 3),
                "most": round(max(rates), 3),
                "note": note,
            }
        )

    flows = {}
    for scenario in neutral.SCENARIOS:
        flow = neutral.messages(scenario, count)
        flows[scenario] = neutral.commands(flow)
        events, first = _events(flows[scenario])
        note = ""
        if count == neutral.COUNT:
            right = neutral.report_hash(flow, events, first) == neutral.REPORT_SHA256[scenario]
            note = "hash right" if right else "HASH WRONG"
        commands = flows[scenario]
        measure(f"neutral {scenario}, no log", len(commands), partial(_memory, commands), note)
    worst = flows["swing-40"]
    with tempfile.TemporaryDirectory(prefix="matchcore-bench-") as place:
        for policy in ("sync", "os"):
            measure(
                f"neutral swing-40, policy {policy}", len(worst),
                partial(_durable, worst, Path(place), policy), f"batches of {BATCH}",
            )  # fmt: skip
        directory = Path(place) / "replay"
        with Engine.open(directory, instruments=[INSTRUMENT], policy="os") as engine:
            _feed(engine, worst)
        measure("recovery from the whole log", len(worst), partial(_recover, directory))
    measure("single typed submit, no log", SINGLES, _singles)
    return {
        "machine": f"{platform.machine()} {platform.system()}, Python {platform.python_version()}",
        "date": str(date.today()),
        "rounds": rounds,
        "figures": figures,
    }


def _feed(engine: Engine, commands: NDArray[np.void]) -> float:
    started = time.perf_counter()
    for at in range(0, len(commands), BATCH):
        engine.submit_batch(commands[at : at + BATCH])
    return time.perf_counter() - started


def _events(commands: NDArray[np.void]) -> tuple[NDArray[np.void], int]:
    with Engine.memory(instruments=[INSTRUMENT]) as engine:
        first = engine.sequence + 1
        parts = [
            engine.submit_batch(commands[at : at + BATCH]) for at in range(0, len(commands), BATCH)
        ]
        return np.concatenate(parts), first


def _memory(commands: NDArray[np.void]) -> float:
    with Engine.memory(instruments=[INSTRUMENT]) as engine:
        return _feed(engine, commands)


def _durable(commands: NDArray[np.void], place: Path, policy: str) -> float:
    with (
        tempfile.TemporaryDirectory(dir=place) as directory,
        Engine.open(directory, instruments=[INSTRUMENT], policy=policy) as engine,
    ):
        return _feed(engine, commands)


def _recover(directory: Path) -> float:
    started = time.perf_counter()
    Engine.open(directory).close()
    return time.perf_counter() - started


def _singles() -> float:
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
        return time.perf_counter() - started
