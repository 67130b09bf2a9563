"""The suites that load a feed say what happened; how good that is is not for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    if not (ROOT / "benchmarks" / "soak").is_dir():
        pytest.skip("these suites are in the checkout only")
    monkeypatch.syspath_prepend(ROOT)


def soak(*arguments: str) -> dict[str, Any]:
    from benchmarks.soak.__main__ import soak

    result = CliRunner().invoke(soak, ["--minutes", "0.04", "--rate", "500", "--json", *arguments])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_soak_misses_nothing() -> None:
    found = soak("--subscribers", "3")
    assert found["commands"] == 1200 and found["gaps"] == found["connections_ended"] == 0
    assert found["messages"] > found["snapshots"] == 30
    assert found["line_books_equal"] and found["memory_mib_at_half"] > 0
    assert found["delay_ms_p50"] <= found["delay_ms_p99"] <= found["delay_ms_most"]
    assert len(found["delay_ms_p99_by_tenths"]) == 10


def test_a_delay_ends_with_the_first_message_that_has_the_change() -> None:
    from benchmarks.soak.running import milliseconds

    answered = np.array([(3, 1_000_000), (5, 2_000_000), (8, 3_000_000)])
    came = np.array([(3, 4_000_000), (6, 5_000_000), (4, 6_000_000), (9, 7_000_000)])
    assert milliseconds(answered, came).tolist() == [3, 3, 4]


def test_a_feed_that_is_killed_in_a_soak_has_all_its_subscribers_again() -> None:
    found = soak("--subscribers", "3", "--restart")
    assert found["connections_ended"] >= 3  # more if the dying system let one in once more
    assert (found["gaps"], found["snapshots"]) == (0, 60)
    assert found["line_books_equal"] and found["seconds_until_all_were_back"] > 0


def test_a_subscriber_notices_what_is_missing() -> None:
    from benchmarks.soak.watch import Subscriber

    one = Subscriber()
    said = b'{"type":"update","channel":"book.l2","symbol":"A","number":%d,"prev":%d,"time":"1"}'
    one.take(b'{"type":"snapshot","channel":"book.l2","symbol":"A","number":5,"time":"1"}')
    for at in range(len(said)):  # cut anywhere
        whole = said % (6 + at, 5 + at)
        one.take(whole[:at])
        one.take(whole[at:])
    assert (one.snapshots, one.messages, one.gaps) == (1, 1 + len(said), 0)
    one.take(said % (1000, 998))
    assert one.gaps == 1


def test_bad_neighbours_take_turns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from benchmarks.fanout import delay

    monkeypatch.setattr(delay, "BESIDE_RATE", 500)
    monkeypatch.setattr(delay, "PAIRS", 2)
    monkeypatch.setattr(delay, "SLICE_SECONDS", 0.5)
    monkeypatch.setattr(delay, "DRAIN_SECONDS", 0.5)
    found = delay.beside(tmp_path / "exchange", 5)
    assert [one.there for one in found] == [False, True, True, False]
    assert all(len(one.nanoseconds) and one.core >= 0 for one in found)
