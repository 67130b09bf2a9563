"""A log of every version of the rules: it replays on both machines as it was answered then."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from matchcore import COMMAND, Machine
from matchcore.journal import LogReader
from matchcore.machine import machine_class
from matchcore.records.schema import RULES_LATEST, Reason

HERE = Path(__file__).parent / "golden"
VERSIONS = range(1, RULES_LATEST)
#: A golden log cannot hold what only 2^20 instruments provoke.
NEVER = {Reason.TOO_MANY_INSTRUMENTS}


def commands_of(version: int) -> np.ndarray:
    with LogReader(HERE / f"rules-{version}") as reader:
        return np.concatenate([frame.commands for frame in reader.read()])


@pytest.mark.parametrize("machine", ["cython", "reference"])
@pytest.mark.parametrize("version", VERSIONS)
def test_it_replays_to_the_events_and_the_digest_of_then(version: int, machine: str) -> None:
    said = json.loads((HERE / f"rules-{version}.json").read_text())
    commands, driven = commands_of(version), machine_class(machine)(rules=version)
    driven.apply(commands[: said["before"]])
    events = driven.apply(commands[said["before"] :])
    assert (len(events), driven.sequence) == (said["events"], said["commands"])
    assert hashlib.sha256(events.tobytes()).hexdigest() == said["events_sha256"]
    assert driven.digest() == said["digest"] and driven.rules == version


@pytest.mark.parametrize("version", VERSIONS)
def test_it_meets_every_reason_of_its_version(version: int) -> None:
    said = json.loads((HERE / f"rules-{version}.json").read_text())
    assert set(said["reasons"]) == set(Reason) - NEVER


def test_what_version_1_refuses_as_unsupported_is_in_it() -> None:
    commands = commands_of(1)
    machine = Machine(rules=1)
    events = machine.apply(commands)
    refused = set(events["field"][events["reason"] == Reason.UNSUPPORTED].tolist())
    assert refused == {11, 12, 13, 14, 15}
    assert set(commands["kind"].tolist()) == set(range(256)) and commands.dtype == COMMAND
