"""Every suite runs and says figures that can be true; how good they are is not for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import matchcore as mc
from matchcore.bench import latency, neutral
from matchcore.bench._loops import Rig, pauses
from matchcore.bench.suite import SUITES, Suites, run_suite

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`benchmarks.suites`, which the checkout only has."""
    if not (ROOT / "benchmarks" / "suites").is_dir():
        pytest.skip("these suites are in the checkout only")
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import suites

    return suites


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


def test_latency_on_a_small_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "RATES", (500_000,))
    monkeypatch.setattr(latency, "ORDERS", 5000)
    monkeypatch.setattr(latency, "RESERVE", 1 << 22)
    monkeypatch.setattr(latency, "GROWING_RESERVE", 1 << 24)
    what = [figure["what"] for figure in taken("latency", 2000)]
    assert len(what) == len(set(what)) and any("p99.99" in one for one in what)


def taken(name: str, count: int, suites: Suites = SUITES) -> list[dict[str, Any]]:
    found = run_suite(
        names=[name], count=count, rounds=1, progress=lambda step: None, suites=suites
    )
    figures: list[dict[str, Any]] = found["figures"]
    return figures


def test_scale_on_a_small_flow(ours: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"RESTING": 20_000, "FLOW": 4000, "INSTRUMENTS": 100, "RESERVE": 1 << 24}
    for name, value in small.items():
        monkeypatch.setattr(ours.scale, name, value)
    what = [figure["what"] for figure in taken("scale", 2000, ours.SUITES)]
    assert len(what) == len(set(what)) > 7


def test_worst_cases_of_small_sizes(ours: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"FAR": 300, "IDS": 500, "QUEUE": 1000, "SIDE_LEVELS": 20, "SWEEPS": 2}
    for name, value in (small | {"PAUSES_SECONDS": 0.01}).items():
        monkeypatch.setattr(ours.worst, name, value)
    figures = taken("worst", 1000, ours.SUITES)
    what = [figure["what"] for figure in figures]
    assert len(what) == len(set(what)) and len(what) > 20
    assert all(f["median"] > 0 for f in figures if f["unit"] == "million/s")


def test_the_command_of_the_checkout_prints_json(
    ours: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.suites.__main__ import suites

    def groups(count: int) -> list[list[tuple[str, Any, str]]]:
        return [[("a figure", lambda: float(count), "bytes")]]

    monkeypatch.setitem(ours.SUITES, "scale", (groups, False))
    result = CliRunner().invoke(suites, ["scale", "--count", "1234", "--json"])
    assert result.exit_code == 0, result.output
    (figure,) = json.loads(result.stdout)["figures"]
    assert (figure["suite"], figure["median"]) == ("scale", 1234)
    assert CliRunner().invoke(suites, ["neutral"]).exit_code == 2


@pytest.mark.parametrize("count", [1, 2, 7, 8])
def test_a_queue_from_its_middle_is_the_whole_queue(ours: Any, count: int) -> None:
    places = ours.worst.from_the_middle(count)
    assert sorted(places) == list(range(count))
    assert (np.diff(np.abs(places - (count - 1) / 2)) >= 0).all()


def test_a_large_command_is_done_to_its_end_by_every_loop(ours: Any) -> None:
    resting, count = ours.worst.orders(1000), 1000
    sweep = ours.worst.orders(1, kind=mc.Kind.MASS_CANCEL)
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
