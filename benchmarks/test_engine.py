"""The engine end to end: batches and single orders, with and without a log, and recovery."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import matchcore as mc
from matchcore.bench import neutral

BATCH = 4096
MILLION = 1_000_000


def in_batches(engine: mc.Engine, commands: NDArray, size: int = BATCH) -> None:
    for at in range(0, len(commands), size):
        engine.submit_batch(commands[at : at + size])


@pytest.mark.parametrize("scenario", list(neutral.SCENARIOS))
def test_neutral_without_log(
    rate: Callable[..., Any],
    flow: Callable[[str], NDArray],
    instrument: mc.Instrument,
    scenario: str,
) -> None:
    commands = flow(scenario)
    rate(
        len(commands),
        lambda: (mc.Engine.memory(instruments=[instrument]), commands),
        in_batches,
    )


@pytest.mark.parametrize("size", [1, 16, 256])
def test_smaller_batches_without_log(
    rate: Callable[..., Any], flow: Callable[[str], NDArray], instrument: mc.Instrument, size: int
) -> None:
    commands = flow("normal")[: 20_000 * size if size < 50 else MILLION]
    rate(
        len(commands),
        lambda: (mc.Engine.memory(instruments=[instrument]), commands, size),
        in_batches,
    )


@pytest.mark.parametrize("policy", ["sync", "os"])
def test_neutral_with_log(
    rate: Callable[..., Any],
    flow: Callable[[str], NDArray],
    instrument: mc.Instrument,
    tmp_path: Path,
    policy: str,
) -> None:
    commands = flow("swing-40")
    directory = tmp_path / "exchange"

    def setup() -> tuple[mc.Engine, NDArray]:
        shutil.rmtree(directory, ignore_errors=True)
        return mc.Engine.open(directory, instruments=[instrument], policy=policy), commands

    def work(engine: mc.Engine, commands: NDArray) -> None:
        in_batches(engine, commands)
        engine.close()

    rate(len(commands), setup, work)


def submit_typed(engine: mc.Engine, orders: list[mc.NewOrder]) -> None:
    for order in orders:
        engine.submit(order)


def typed_orders(count: int) -> list[mc.NewOrder]:
    rng = np.random.default_rng(2)
    sides, prices = rng.integers(1, 3, count).tolist(), rng.integers(-8, 9, count).tolist()
    return [
        mc.NewOrder("BENCH", mc.Side(side), 10, f"{100 + price * 5}e-3")
        for side, price in zip(sides, prices, strict=True)
    ]


def test_single_typed_submit_without_log(
    rate: Callable[..., Any], instrument: mc.Instrument
) -> None:
    orders = typed_orders(20_000)
    rate(len(orders), lambda: (mc.Engine.memory(instruments=[instrument]), orders), submit_typed)


def test_single_typed_submit_sync(
    rate: Callable[..., Any], instrument: mc.Instrument, tmp_path: Path
) -> None:
    orders = typed_orders(1_000)
    engine = mc.Engine.open(tmp_path / "exchange", instruments=[instrument])
    rate(len(orders), lambda: (engine, orders), submit_typed)
    engine.close()


@pytest.mark.parametrize("snapshot", [False, True], ids=["whole-log", "from-snapshot"])
def test_recovery_of_a_million_commands(
    rate: Callable[..., Any],
    flow: Callable[[str], NDArray],
    instrument: mc.Instrument,
    tmp_path: Path,
    snapshot: bool,
) -> None:
    commands = flow("normal")[:MILLION]
    directory = tmp_path / "exchange"
    with mc.Engine.open(directory, instruments=[instrument], policy="os") as engine:
        in_batches(engine, commands)
        if snapshot:
            engine.snapshot()
        digest = engine.digest()

    def recover() -> None:
        with mc.Engine.open(directory) as engine:
            assert engine.sequence == MILLION + 1

    rate(MILLION, lambda: (), recover)
    with mc.Engine.open(directory) as engine:
        assert engine.digest() == digest


def test_snapshot_of_a_hundred_thousand_orders(
    benchmark: Any, instrument: mc.Instrument, tmp_path: Path
) -> None:
    commands = np.zeros(100_000, mc.COMMAND)
    commands["kind"], commands["instrument"], commands["side"] = 1, 1, 1
    commands["order_type"], commands["time_in_force"], commands["quantity"] = 1, 1, 5
    commands["price"] = np.random.default_rng(3).integers(1, 5000, len(commands))
    with mc.Engine.open(tmp_path / "exchange", instruments=[instrument], policy="os") as engine:
        engine.submit_batch(commands)
        benchmark(engine.snapshot)
