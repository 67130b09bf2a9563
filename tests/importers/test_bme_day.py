"""The trading day that ships: its facts, the same on both machines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bme_kit import ANA, imported, quantities
from numpy.typing import NDArray

import matchcore as mc
from matchcore.importers import FORMATS, Bme, sample_day
from matchcore.machine import machine_class

MACHINES = ["cython", "reference"]


@pytest.fixture(scope="module")
def day() -> Path:
    return sample_day()


@pytest.fixture(scope="module")
def commands(day: Path) -> NDArray:
    return imported(day)


@pytest.fixture(scope="module")
def runs(commands: NDArray) -> dict[str, tuple[mc.Engine, NDArray]]:
    """Both machines behind the whole day: the engines and their events."""
    made = {}
    for name in MACHINES:
        engine = mc.Engine.memory(instruments=[ANA], machine=name, clock=lambda: 1)
        made[name] = engine, engine.submit_batch(commands)
    return made


def test_the_day_has_the_rows_that_were_counted(commands: NDArray) -> None:
    kinds = np.bincount(commands["kind"], minlength=9)
    assert kinds[mc.Kind.NEW] == 10_545
    assert kinds[mc.Kind.REDUCE] == 1_608
    assert kinds[mc.Kind.CANCEL] == 8_816
    assert len(commands) == 10_545 + 1_608 + 8_816


def test_the_format_names_instrument_and_tick(day: Path) -> None:
    assert Bme().instruments(day) == [ANA]
    assert FORMATS["bme"].name == "bme"


def test_every_command_is_of_that_day_and_in_order(commands: NDArray) -> None:
    times = commands["time"].astype("datetime64[ns]")
    assert (times.astype("datetime64[D]") == np.datetime64("2019-05-21")).all()
    assert (np.diff(commands["time"]) >= 0).all()
    assert str(times[0]) == "2019-05-21T07:00:23.256000000"  # 09:00 in Madrid
    assert str(times[-1]) == "2019-05-21T15:30:00.017000000"


def test_the_first_row_is_the_one_in_the_file(commands: NDArray) -> None:
    first = commands[0]
    assert (first["kind"], first["order_id"], first["side"]) == (1, 59, mc.Side.SELL)
    assert (first["price"], first["quantity"]) == (1914, 74)  # 95.7 in ticks of 0.05
    assert (first["order_type"], first["time_in_force"]) == (1, 1)


@pytest.mark.parametrize("machine", MACHINES)
def test_nothing_of_the_day_is_refused(
    machine: str, runs: dict[str, tuple[mc.Engine, NDArray]]
) -> None:
    events = runs[machine][1]
    assert not (events["kind"] == mc.EventKind.REJECTED).any()


@pytest.mark.parametrize("machine", MACHINES)
def test_each_cancel_finds_the_quantity_the_file_says(
    machine: str,
    day: Path,
    commands: NDArray,
    runs: dict[str, tuple[mc.Engine, NDArray]],
) -> None:
    events = runs[machine][1]
    rows = np.flatnonzero(commands["kind"] == mc.Kind.CANCEL)
    gone = events[
        (events["kind"] == mc.EventKind.CANCELLED) & (events["reason"] == mc.Reason.REQUESTED)
    ]
    assert (gone["sequence"] == rows + 2).all()  # sequence 1 is the instrument
    assert (gone["order_id"] == commands["order_id"][rows]).all()
    assert (gone["quantity"] == quantities(day)[rows]).all()


@pytest.mark.parametrize("machine", MACHINES)
def test_each_reduction_takes_off_what_the_file_says(
    machine: str, commands: NDArray, runs: dict[str, tuple[mc.Engine, NDArray]]
) -> None:
    left: dict[int, int] = {}
    reduced = 0
    for event in runs[machine][1]:
        order = int(event["order_id"])
        command = commands[int(event["sequence"]) - 2]
        if command["kind"] == mc.Kind.REDUCE:
            assert event["left"] == left[order] - command["quantity"]
            reduced += 1
        left[order] = int(event["left"])
        if event["kind"] == mc.EventKind.TRADED:
            left[int(event["taker_order_id"])] = int(event["taker_left"])
    assert reduced == 1_608


@pytest.mark.parametrize("machine", MACHINES)
def test_the_day_trades_what_was_counted_and_ends_empty(
    machine: str, runs: dict[str, tuple[mc.Engine, NDArray]]
) -> None:
    engine, events = runs[machine]
    trades = events[events["kind"] == mc.EventKind.TRADED]
    assert len(trades) == 796 and trades["quantity"].sum() == 44_041
    assert trades["trade_id"].tolist() == list(range(1, 797))
    assert len(engine.book("ANA").orders()) == 0
    engine._check()


def test_both_machines_say_the_same_byte_for_byte(
    runs: dict[str, tuple[mc.Engine, NDArray]],
) -> None:
    (fast, fast_events), (plain, plain_events) = runs["cython"], runs["reference"]
    assert fast_events.tobytes() == plain_events.tobytes()
    assert fast.digest() == plain.digest()


def test_the_machines_agree_in_the_middle_of_the_day(commands: NDArray) -> None:
    made = [machine_class(name)() for name in MACHINES]
    definition = mc.encode_all([mc.AddInstrument(ANA)], mc.Directory())
    half = np.concatenate([definition, commands[: len(commands) // 2]])
    for machine in made:
        machine.apply(half)
    assert made[0].digest() == made[1].digest()
    assert len(made[0].orders(1)) > 0


@pytest.mark.parametrize("chunk", [1000, 4096, 20_969, 50_000])
def test_chunks_cut_the_day_and_lose_nothing(chunk: int, day: Path, commands: NDArray) -> None:
    parts = list(Bme().commands(day, mc.Directory([ANA]), chunk=chunk))
    assert [len(part) for part in parts[:-1]] == [chunk] * (len(parts) - 1)
    assert 0 < len(parts[-1]) <= chunk
    assert np.concatenate(parts).tobytes() == commands.tobytes()
