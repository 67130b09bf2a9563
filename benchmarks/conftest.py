"""What the benchmarks share: flows made once, and rates in the report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import matchcore as mc
from matchcore.bench import neutral

BATCH = 4096


@pytest.fixture(scope="session")
def flow() -> Callable[[str], NDArray]:
    """Commands of a scenario of the neutral workload, for instrument number 1."""
    made: dict[str, NDArray] = {}

    def commands(scenario: str) -> NDArray:
        if scenario not in made:
            made[scenario] = neutral.commands(neutral.messages(scenario))
        return made[scenario]

    return commands


@pytest.fixture
def rate(benchmark: Any) -> Callable[..., Any]:
    """Runs a function on fresh arguments, some rounds, and notes operations per second."""

    def run(
        operations: int, setup: Callable[[], tuple[Any, ...]], work: Callable[..., Any]
    ) -> None:
        benchmark.pedantic(work, setup=lambda: (setup(), {}), rounds=5, warmup_rounds=1)
        benchmark.extra_info["operations"] = operations
        benchmark.extra_info["million_per_s"] = round(
            operations / benchmark.stats["median"] / 1e6, 3
        )

    return run


@pytest.fixture
def instrument() -> mc.Instrument:
    return mc.Instrument("BENCH", "0.005")


@pytest.fixture(scope="session")
def book_flow() -> list[tuple[int, ...]]:
    """300,000 operations, 2/3 adds near a random-walk mid, 1/3 cancels of a random live order."""
    rng = np.random.default_rng(1)
    draws = rng.random((300_000, 5)).tolist()
    mid, made = 100_000, 0
    live: list[int] = []
    operations: list[tuple[int, ...]] = []
    for what, where, far, size, step in draws:
        if what < 2 / 3 or not live:
            made += 1
            mid += int(step * 3) - 1
            side = 1 if where < 0.5 else 2
            away = int(far * 12) - 2
            operations.append(
                (made, side, mid - away if side == 1 else mid + away, 1 + int(size * 99))
            )
            live.append(made)
        else:
            operations.append((live.pop(int(where * len(live))),))
    return operations
