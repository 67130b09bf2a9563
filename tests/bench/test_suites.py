"""Every suite runs and says figures that can be true; how good they are is not for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import matchcore as mc
from matchcore.bench import latency, neutral, scale, worst
from matchcore.bench._loops import Rig, pauses
from matchcore.bench.suite import run_suite


@pytest.fixture
def flow() -> np.ndarray:
    return neutral.commands(neutral.messages("normal", 3000))


@pytest.mark.parametrize("name", ["neutral", "journal"])
def test_a_suite_says_its_figures(name: str, tmp_path: Path) -> None:
    steps: list[int] = []
    found = run_suite(names=[name], count=2000, rounds=2, progress=steps.append)
    assert steps and found["machine"] and found["rounds"] == 2
    assert found["version"] == mc.__version__ and "commit" in found
    for figure in found["figures"]:
        assert figure["suite"] == name and figure["what"]
        assert 0 < figure["least"] <= figure["median"] <= figure["most"]


def test_latency_and_scale_on_a_small_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "RATES", (500_000,))
    monkeypatch.setattr(latency, "ORDERS", 5000)
    monkeypatch.setattr(scale, "RESTING", 20_000)
    monkeypatch.setattr(scale, "FLOW", 4000)
    monkeypatch.setattr(scale, "INSTRUMENTS", 100)
    monkeypatch.setattr(scale, "RESERVE", 1 << 24)
    monkeypatch.setattr(latency, "RESERVE", 1 << 22)
    monkeypatch.setattr(latency, "GROWING_RESERVE", 1 << 24)
    found = run_suite(names=["latency", "scale"], count=2000, rounds=1, progress=lambda step: None)
    what = [figure["what"] for figure in found["figures"]]
    assert len(what) == len(set(what)) and any("p99.99" in one for one in what)


def test_worst_cases_of_small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"FAR": 300, "IDS": 500, "QUEUE": 1000, "SIDE_LEVELS": 20, "SWEEPS": 2}
    for name, value in (small | {"PAUSES_SECONDS": 0.01}).items():
        monkeypatch.setattr(worst, name, value)
    found = run_suite(names=["worst"], count=1000, rounds=1, progress=lambda step: None)
    what = [figure["what"] for figure in found["figures"]]
    assert len(what) == len(set(what)) and len(what) > 20
    assert all(f["median"] > 0 for f in found["figures"] if f["unit"] == "million/s")


@pytest.mark.parametrize("count", [1, 2, 7, 8])
def test_a_queue_from_its_middle_is_the_whole_queue(count: int) -> None:
    places = worst.from_the_middle(count)
    assert sorted(places) == list(range(count))
    assert (np.diff(np.abs(places - (count - 1) / 2)) >= 0).all()


def test_a_large_command_is_done_to_its_end_by_every_loop() -> None:
    resting, count = worst.orders(1000), 1000
    sweep = worst.orders(1, kind=mc.Kind.MASS_CANCEL)
    for end in ("run", "each", "calls"):
        rig = Rig(batch=1)
        rig.run(resting, 1)
        if end == "run":
            assert rig.run(sweep, 1)[1] == count + 1
        else:
            assert len(rig.each(sweep) if end == "each" else rig.calls(sweep)) == (
                1 if end == "each" else -(-count // 64)
            )
        assert rig.run(sweep, 1)[1] == 1  # nobody is left


def test_the_native_loop_is_the_machine(flow: np.ndarray) -> None:
    with mc.Engine.memory(instruments=[mc.Instrument("BENCH", "1")]) as engine:
        events = len(engine.submit_batch(flow))
    assert Rig(batch=4096).run(flow, 4096)[1] == Rig(batch=1).run(flow, 1)[1] == events


def test_an_open_loop_counts_waiting(flow: np.ndarray) -> None:
    took = Rig(batch=256).arrivals(flow, 1e9, 256)
    assert took.shape == flow.shape and took.min() >= 0
    assert took[-1] > took[0]  # faster than any machine: who comes late waits longest


def test_the_least_of_passes_keeps_what_comes_each_time_and_only_that() -> None:
    """The third command is slow in each pass, the first in one of them."""
    passes = iter([[9, 2, 50, 3], [1, 2, 51, 4], [2, 2, 52, 4]])
    least = latency.least_of(3, lambda: np.array(next(passes), np.int64))
    assert least.tolist() == [1, 2, 50, 3] and next(passes, None) is None


def test_each_command_has_its_time(flow: np.ndarray) -> None:
    took = Rig().each(flow)
    assert took.shape == flow.shape and took.min() > 0
    assert (np.diff(pauses(0.01)) <= 0).all()


def test_loops_take_commands_only() -> None:
    for wrong in (np.zeros(3), np.empty(0, mc.COMMAND), [1]):
        with pytest.raises(TypeError):
            Rig().run(wrong, 1)  # type: ignore[arg-type]
