"""`matchcore torture` from outside: exit codes, the report, a case again, an interrupt."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from matchcore.torture.bench import Bench
from matchcore.torture.disk import SimulatedDisk
from matchcore.torture.kills import Together
from matchcore.torture.plans import Plan

COMMAND = [sys.executable, "-m", "matchcore", "torture"]


def run(*arguments: str, code: int = 0) -> str:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if not code else done.stdout + done.stderr


def test_one_case_again() -> None:
    result = json.loads(run("--seed", "7", "--case", "faults-3", "--json"))
    kinds = {kind["kind"]: kind for kind in result["kinds"]}
    assert result["good"] and result["seed"] == 7
    assert kinds["faults"]["cases"] == kinds["all"]["cases"] == 1


@pytest.mark.parametrize(
    "arguments",
    [["--case", "nothing-1"], ["--case", "faults"], ["--minutes", "0"], ["--seed", "x"]],
)
def test_wrong_usage(arguments: list[str]) -> None:
    assert "Usage" in run(*arguments, code=2)


def test_a_plan_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    for text in ("[]", '{"steps": [], "faults": [[1, "x"]], "seed": 1}'):
        file.write_text(text)
        assert "is not a plan" in run("--plan", str(file), code=2)


def test_an_interrupt_ends_it_with_the_report_so_far(tmp_path: Path) -> None:
    command = [*COMMAND, "--seed", "1", "--minutes", "5", "--json"]
    env = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as child:
        for _ in range(600):
            if any(tmp_path.iterdir()):  # it has begun, with cases on a real disk
                break
            time.sleep(0.1)
        child.send_signal(signal.SIGINT)
        try:
            said, _ = child.communicate(timeout=60)
        finally:
            child.kill()
    result = json.loads(said)
    assert child.returncode == 0 and result["interrupted"] and result["good"]


class Interrupted(Together):
    def _wait(self, dice: random.Random, path: Path) -> None:
        raise KeyboardInterrupt


def test_an_interrupt_leaves_no_process_that_waits_for_ever() -> None:
    with pytest.raises(KeyboardInterrupt):
        Interrupted(1).run()
    assert not multiprocessing.active_children()


class Swallows(SimulatedDisk):
    """As a library does that takes every error for the one it expects."""

    def fdatasync(self, fd: int) -> None:
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        super().fdatasync(fd)


class Blames(Swallows):
    """And then something else is wrong."""

    def fdatasync(self, fd: int) -> None:
        super().fdatasync(fd)
        raise ValueError("the sync was interrupted")


@pytest.mark.parametrize("disk", [Swallows, Blames])
def test_an_interrupt_that_is_swallowed_ends_it_all_the_same(disk: type[SimulatedDisk]) -> None:
    report = Bench(1, disk).run(cases={"faults": 1000})
    assert report.interrupted and report.good
    assert sum(tally.cases for tally in report.tallies) <= 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class Forgets(SimulatedDisk):
    def fdatasync(self, fd: int) -> None:
        self._alive()


def test_an_interrupt_while_a_broken_promise_is_made_small_keeps_it_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("matchcore.torture.bench.shrunk", interrupted)
    report = Bench(5, Forgets).run(cases={"faults": 60})
    (failure,) = report.failures
    assert report.interrupted and not report.good and not failure.kept


def test_a_broken_promise_is_made_small_and_kept() -> None:
    bench = Bench(5, Forgets)
    report = bench.run(cases={"faults": 60})
    (failure,) = report.failures
    assert not report.good and failure.repeat.startswith(
        "matchcore torture --seed 5 --case faults-"
    )
    kept = Path(failure.kept)
    plan = Plan.from_plain(json.loads((kept / "plan.json").read_text()))
    assert len(plan.faults) <= 2 and len(plan.steps) <= 6
    assert "mkdir exchange" in (kept / "operations.txt").read_text()
    assert list(kept.glob("journal-*"))
    result = json.loads(run("--plan", str(kept / "plan.json"), "--json"))
    assert result["good"]  # a disk that syncs keeps the promise
    for file in kept.iterdir():
        file.unlink()
    kept.rmdir()
