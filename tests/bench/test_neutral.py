"""The neutral workload comes out bit for bit, and so do the reports of this engine."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

import matchcore as mc
from matchcore.bench import neutral

INSTRUMENT = mc.Instrument("NEUTRAL", "0.005")
BATCH = 4096


@pytest.mark.parametrize("scenario", list(neutral.SCENARIOS))
def test_workload_and_conformance_hash(scenario: str) -> None:
    flow = neutral.messages(scenario)
    assert len(flow) == 1_996_097
    assert np.bincount(flow["type"]).tolist() == [1_000_000, 823_422, 172_675]
    assert int(flow["ioc"].sum()) == 150_234
    assert hashlib.sha256(flow.tobytes()).hexdigest() == neutral.WORKLOAD_SHA256[scenario]
    commands = neutral.commands(flow)
    with mc.Engine.memory(instruments=[INSTRUMENT]) as engine:
        first = engine.sequence + 1
        events = [
            engine.submit_batch(commands[at : at + BATCH]) for at in range(0, len(commands), BATCH)
        ]
        engine._check()
    found = neutral.report_hash(flow, np.concatenate(events), first)
    assert found == neutral.REPORT_SHA256[scenario]


@pytest.mark.parametrize("scenario", list(neutral.SCENARIOS))
def test_the_reference_agrees_on_a_shorter_run(scenario: str) -> None:
    commands = neutral.commands(neutral.messages(scenario, count=4000))
    said = []
    for machine in ("cython", "reference"):
        with mc.Engine.memory(instruments=[INSTRUMENT], machine=machine) as engine:
            said.append((engine.submit_batch(commands).tobytes(), engine.digest()))
    assert said[0] == said[1]
