"""The comparison with peers, as far as it goes without installing any."""

from __future__ import annotations

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
    flow = contest.flow_file("flow", peers.book_flow(3000))
    right = contest.run(peers.Contestant("", "ours:Reference"), flow, "check")
    assert right[1] == "" and right[0][-1]["done"] == 3000 and right[0][-1]["trades"] > 500
    for runs in OURS:
        assert contest.run(peers.Contestant("", runs), flow, "check") == right, runs
        lines, problem = contest.run(peers.Contestant("", runs), flow, "measure")
        assert problem == "" and lines[-1]["done"] == 3000 and lines[-1]["seconds"] > 0


def test_other_fills_failures_and_silence_are_told_apart(peers: Any, contest: Any) -> None:
    flow = contest.flow_file("case", peers.parsed(peers.HANGING))
    right = contest.run(peers.Contestant("", "ours:Reference"), flow, "check", slices=1)
    said = contest.run(peers.Contestant("", "ours:Loop"), flow, "check", slices=1)
    assert peers._verdict(right, right) == "yes" and peers._verdict(said, right) == "no"
    broken = contest.run(peers.Contestant("", "ours:NoSuch"), flow, "check")
    assert peers._verdict(broken, right).startswith("fails: AttributeError")
    silent = contest.run(peers.Contestant("", "ours:Loop"), flow, "check", limit_s=0.01)
    assert silent == ([], peers.STOPPED)
    assert peers._verdict(silent, right) == "no: nothing within the limit"
