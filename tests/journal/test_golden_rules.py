"""A log of every version of the rules: it replays on both machines as it was answered then."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from matchcore import COMMAND, Engine, Flag, InvalidCommand, Kind, Machine, OrderType, TimeInForce
from matchcore.journal import LogReader
from matchcore.machine import machine_class
from matchcore.records.schema import KINDS_OF_3, RULES_LATEST, EventKind, Field, Reason

HERE = Path(__file__).parent / "golden"
#: Each of these logs was made by a build that knew no later version.
VERSIONS = (1, 2, 3)
LOGS = {
    1: ["rules-1", "later-1"],
    2: ["rules-2", "later-2"],
    3: ["rules-3", "markets-3"],
}
#: A golden log does not hold what only 2^20 instruments or 2^16 entries provoke.
NEVER = {Reason.TOO_MANY_INSTRUMENTS, Reason.TOO_MANY_ENTRIES}
#: What came with version 2.
OF_2 = {Reason.BAD_VALUE, Reason.ACCOUNT_BLOCKED, Reason.LIMIT_EXCEEDED, Reason.KILL_SWITCH}
#: What came with version 3.
OF_3 = {reason for reason in Reason if reason > Reason.KILL_SWITCH}
PARTS_OF_3 = ("market_values", "markets", "market_orders", "protections", "market_trades")
EVENTS_OF_3 = {kind for kind in EventKind if kind > EventKind.LIMITS_SET}


def commands_of(log: str) -> np.ndarray:
    with LogReader(HERE / log) as reader:
        return np.concatenate([frame.commands for frame in reader.read()])


@pytest.mark.parametrize("machine", ["cython", "reference"])
@pytest.mark.parametrize("log", [log for logs in LOGS.values() for log in logs])
def test_it_replays_to_the_events_and_the_digest_of_then(log: str, machine: str) -> None:
    said = json.loads((HERE / f"{log}.json").read_text())
    version = int(log[-1])
    commands, driven = commands_of(log), machine_class(machine)(rules=version)
    driven.apply(commands[: said["before"]])
    events = driven.apply(commands[said["before"] :])
    assert (len(events), driven.sequence) == (said["events"], said["commands"])
    assert hashlib.sha256(events.tobytes()).hexdigest() == said["events_sha256"]
    assert driven.digest() == said["digest"] and driven.rules == version


@pytest.mark.parametrize("version", VERSIONS)
def test_it_meets_every_reason_of_its_version(version: int) -> None:
    said = [json.loads((HERE / f"{log}.json").read_text()) for log in LOGS[version]]
    later = (OF_3 if version < 3 else set()) | (OF_2 if version < 2 else set())
    assert set().union(*(one["reasons"] for one in said)) == set(Reason) - NEVER - later


@pytest.mark.parametrize("version", VERSIONS)
def test_an_engine_goes_on_with_it_under_its_version(version: int, tmp_path: Path) -> None:
    """Until somebody upgrades it: then it is under the newest, with the same books."""
    for log in LOGS[version]:
        said = json.loads((HERE / f"{log}.json").read_text())
        copied = Path(shutil.copytree(HERE / log, tmp_path / log))
        with Engine.open(copied) as engine:
            assert (engine.rules, engine.digest()) == (version, said["digest"])
            books = [rows.tobytes() for rows in engine.state().orders]
            engine.submit_batch(commands_of(log)[-3:])
        with Engine.open(copied) as engine:
            assert (engine.rules, engine.sequence) == (version, said["commands"] + 3)
            if version == RULES_LATEST:
                continue
            engine.upgrade_rules()
            assert engine.rules == RULES_LATEST
            assert [rows.tobytes() for rows in engine.state().orders] == books
            assert all(not len(getattr(engine.state(), part)) for part in PARTS_OF_3)


@pytest.mark.parametrize("version", [1, 2])
def test_a_sweep_that_a_version_would_not_bound_is_not_sent(version: int, tmp_path: Path) -> None:
    copied = shutil.copytree(HERE / f"rules-{version}", tmp_path / "e")
    with Engine.open(copied) as engine:
        before = engine.digest()
        for bounds in ({"lowest": "0.50"}, {"highest": "0.50"}, {"session": 1}):
            with pytest.raises(InvalidCommand, match=f"version {version} of the rules cancels"):
                engine.mass_cancel("ONE", **bounds)
        assert engine.digest() == before
        engine.upgrade_rules()
        assert not engine.mass_cancel("ONE", highest="0.01").rejected


@pytest.mark.parametrize("version", [1, 2])
def test_what_version_3_brought_is_in_a_log_of_those_before(version: int) -> None:
    commands = commands_of(f"later-{version}")
    with LogReader(HERE / f"later-{version}") as reader:
        assert {frame.under for frame in reader.read()} == {version}
    assert {*commands["kind"].tolist()} >= KINDS_OF_3
    new = commands[commands["kind"] == Kind.NEW]
    assert {*new["order_type"].tolist()} >= {*OrderType}
    assert {*new["time_in_force"].tolist()} >= {*TimeInForce}
    assert {*new["flags"].tolist()} >= {*Flag}
    assert {*commands["flags"][commands["kind"] == Kind.MASS_CANCEL].tolist()} >= {*Flag}
    said = json.loads((HERE / f"later-{version}.json").read_text())
    assert not set(said["reasons"]) & OF_3


def test_what_version_1_refuses_as_unsupported_is_in_it() -> None:
    commands = commands_of("rules-1")
    machine = Machine(rules=1)
    events = machine.apply(commands)
    refused = set(events["field"][events["reason"] == Reason.UNSUPPORTED].tolist())
    assert refused == {11, 12, 13, 14, 15}
    assert set(commands["kind"].tolist()) == set(range(256)) and commands.dtype == COMMAND


def test_what_version_3_brought_is_in_its_log() -> None:
    said = [json.loads((HERE / f"{log}.json").read_text()) for log in LOGS[3]]
    kinds = {*Machine(rules=3).apply(commands_of("rules-3"))["kind"].tolist(), *said[1]["kinds"]}
    assert kinds == {*EventKind} - {EventKind.RULES_CHANGED}
    machine = Machine(rules=3)
    machine.apply(commands_of("markets-3"))
    assert all(len(getattr(machine.state(), part)) for part in ("markets", "market_orders"))


def test_what_version_2_brought_is_in_its_log() -> None:
    commands = commands_of("rules-2")
    with LogReader(HERE / "rules-2") as reader:
        assert reader.rules == 2 and {frame.under for frame in reader.read()} == {2}
    machine = Machine(rules=2)
    events = machine.apply(commands)
    assert {*events["kind"].tolist()} >= {*EventKind} - EVENTS_OF_3 - {EventKind.RULES_CHANGED}
    exceeded = set(events["field"][events["reason"] == Reason.LIMIT_EXCEEDED].tolist())
    assert exceeded == {
        Field.MAX_QUANTITY, Field.MAX_VALUE, Field.MAX_OPEN_ORDERS, Field.COLLAR,
        Field.MAX_MESSAGES,
    }  # fmt: skip
    accepted = events["sequence"][events["kind"] == EventKind.ACCEPTED].astype(int) - 1
    for name in ("session", "client_order_tail"):
        assert commands[name][accepted].any()
    assert len(machine.register) and len(machine.limits())
