"""What the benchmarks share: flows made once, and rates in the report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from numpy.typing import NDArray

import matchcore as mc
from matchcore.bench import neutral

from . import flow as flows

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
    return flows.book_flow()
