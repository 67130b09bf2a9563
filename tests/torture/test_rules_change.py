"""A log in which the rules change: the bench replays it as recovery does.

A build that knows a version more is this one with another `RULES_LATEST`, and the same rules.
"""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import matchcore as mc
from matchcore.machine import machine_class, state
from matchcore.torture import kills
from matchcore.torture.child import logged
from matchcore.torture.flow import Broken, Ledger, applied, commands, digest_of, reference, sent


@pytest.fixture(autouse=True)
def knows_a_version_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "RULES_LATEST", state.RULES_LATEST + 1)


@pytest.mark.parametrize("at", [0, 1, 120, 300])
def test_a_log_is_replayed_over_its_change_of_rules(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = commands(7, 300)
    with monkeypatch.context() as older:
        older.setattr(state, "RULES_LATEST", state.RULES_LATEST - 1)
        with mc.Engine.open(tmp_path / "exchange") as engine:
            before = engine.submit_batch(given[:at])
            older.undo()
            answer = engine.upgrade_rules()
            assert answer is not None
            events = np.concatenate([before, answer.events, engine.submit_batch(given[at:])])
            live = engine.digest()
    stream = logged(tmp_path / "exchange")
    assert stream["kind"][at] == mc.Kind.UPGRADE_RULES and len(stream) == 301
    machine = machine_class("cython")()
    assert applied(machine, stream).tobytes() == events.tobytes()
    independent, expected, starts = reference(stream)
    assert expected.tobytes() == events.tobytes() and len(starts) == 302
    assert machine.digest() == independent.digest() == digest_of(stream) == live
    assert machine.rules == state.RULES_LATEST
    Ledger().take(events)


def test_the_stages_begin_with_the_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their processes are forks, which know the version too."""
    monkeypatch.setattr(kills, "_elsewhere", lambda *given: {})  # others know the old rules only
    assert kills.digests(3) == (4, [])
    monkeypatch.setattr(kills, "_context", multiprocessing.get_context("fork"))
    for chain in (kills.Chain(3), kills.Together(3)):
        assert chain.run(3) == 3 and chain.machine.rules == state.RULES_LATEST
        assert chain.machine.sequence > 1


def test_a_full_file_after_the_change(tmp_path: Path) -> None:
    code = (
        "import json, sys; from matchcore.machine import state; state.RULES_LATEST += 1;"
        "from matchcore.torture.child import full;"
        "print(json.dumps(full(sys.argv[1], 3, 'os', 30_000)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["as_given"] and found["same_state"] and found["shows"]
    assert found["recovered"] >= found["acknowledged"] > 1


def test_a_replay_that_forgets_the_change_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # what is found is kept
    monkeypatch.setattr(kills, "_elsewhere", lambda *given: {})
    monkeypatch.setattr(kills, "reference", lambda stream: reference(sent(stream)))
    with pytest.raises(Broken, match="not the reference's"):
        kills.digests(3)
