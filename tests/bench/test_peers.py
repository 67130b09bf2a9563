"""The comparison with peers, as far as it goes without installing any."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
OURS = ["ours:OrderBook", "ours:Submit", "ours:Batch", "ours:Plain"]


@pytest.fixture(scope="module")
def peers() -> Iterator[Any]:
    if not (ROOT / "benchmarks" / "peers").is_dir():
        pytest.skip("benchmarks are in the checkout only")
    sys.path.insert(0, str(ROOT))
    from benchmarks.peers import contest

    yield contest
    sys.path.remove(str(ROOT))


@pytest.fixture(scope="module")
def contest(peers: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return peers.Contest(tmp_path_factory.mktemp("peers"), Path(sys.executable), 60.0)


def test_everyone_of_ours_fills_as_the_reference_does(peers: Any, contest: Any) -> None:
    contest.flow_file("flow", peers.book_flow(3000))
    right = contest.run(peers.Contestant("", "ours:Reference"), "flow", "check")
    assert right[1] == "" and right[0][-1]["done"] == 3000 and right[0][-1]["trades"] > 500
    for runs in OURS:
        assert contest.run(peers.Contestant("", runs), "flow", "check") == right, runs
        lines, problem = contest.run(peers.Contestant("", runs), "flow", "measure")
        assert problem == "" and lines[-1]["done"] == 3000 and lines[-1]["seconds"] > 0


def test_the_known_case_gives_the_fills_that_were_worked_out_by_hand(
    peers: Any, contest: Any
) -> None:
    from benchmarks.flow import KNOWN_FILLS

    contest.flow_file("case", peers.parsed(peers.KNOWN_CASE))
    for runs in (*OURS, "ours:Reference"):
        lines, problem = contest.run(peers.Contestant("", runs), "case", "check")
        assert problem == "" and lines[-1]["trades"] == len(KNOWN_FILLS.split())
        assert lines[-1]["sha256"] == hashlib.sha256(f"{KNOWN_FILLS} ".encode()).hexdigest(), runs


def test_other_fills_failures_and_silence_are_told_apart(peers: Any, contest: Any) -> None:
    contest.flow_file("case", peers.parsed(peers.KNOWN_CASE))
    right = contest.run(peers.Contestant("", "ours:Reference"), "case", "check")
    said = contest.run(peers.Contestant("", "ours:Loop"), "case", "check")
    assert peers._verdict(right, right) == "yes" and peers._verdict(said, right) == "no"
    assert peers._verdict((right[0][:3], peers.STOPPED), right) == "yes"
    assert peers._verdict(([], peers.STOPPED), right) == "no: nothing within the limit"
    broken = contest.run(peers.Contestant("", "ours:NoSuch"), "case", "check")
    assert peers._verdict(broken, right).startswith("fails: AttributeError")


def test_a_contestant_that_never_answers_is_stopped(
    peers: Any, contest: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ignores the signals that may be ignored; the limit ends it and nobody waits for it."""
    (tmp_path / "asleep.py").write_text(
        "import os, pathlib, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "pathlib.Path(__file__).with_name('pid').write_text(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    contest.flow_file("case", peers.parsed(peers.KNOWN_CASE))
    sleeper = peers.Contestant("", "asleep:Anything")
    said = contest.run(sleeper, "case", "check", limit_s=1.0)
    assert said == ([], peers.STOPPED)
    assert peers._verdict(said, said) == "no: nothing within the limit"
    if (tmp_path / "pid").exists():  # it came as far as that
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), 0)
