"""Versions of the rules: what a machine applies commands under, and what its state says of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flows import definitions, flow

import matchcore as mc
from matchcore.errors import UnknownRules
from matchcore.machine import state
from matchcore.machine.reference import Machine as Reference
from matchcore.records.schema import ENGINE_KINDS, RULES_LATEST, EventKind, Kind, Reason

MACHINES: list[Any] = [mc.Machine, Reference]
on_both_machines = pytest.mark.parametrize("made", MACHINES, ids=["cython", "reference"])
WORLD = (mc.Instrument("ONE", "0.01"), mc.Instrument("TWO", "0.5", lot=3))


@pytest.fixture
def two_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that knows one version more, with the same rules."""
    monkeypatch.setattr(state, "RULES_LATEST", 2)


def busy(made: Any) -> Any:
    machine = made()
    machine.apply(definitions(*WORLD))
    machine.apply(flow(3, 500))
    return machine


@on_both_machines
def test_an_upgrade_is_a_command_with_one_event(made: Any, two_versions: None) -> None:
    machine = busy(made)
    before = machine.state()
    (event,) = machine.upgrade(2)
    assert event["kind"] == EventKind.RULES_CHANGED
    assert (event["sequence"], event["quantity"], event["left"]) == (before.sequence + 1, 2, 1)
    spoken = {"sequence", "kind", "quantity", "left"}
    assert not any(event[name] for name in event.dtype.names if name not in spoken)
    assert (machine.rules, machine.sequence) == (2, before.sequence + 1)
    machine._check()


def test_both_machines_agree_across_an_upgrade(two_versions: None) -> None:
    fast, slow = (busy(made) for made in MACHINES)
    assert fast.upgrade(2).tobytes() == slow.upgrade(2).tobytes()
    assert fast.state().to_bytes() == slow.state().to_bytes()
    more = flow(4, 500)
    assert fast.apply(more).tobytes() == slow.apply(more).tobytes()
    assert fast.digest() == slow.digest()


@on_both_machines
def test_a_state_carries_its_version(made: Any, two_versions: None) -> None:
    machine = busy(made)
    first = machine.state().to_bytes()
    assert first.startswith(b"MCSTATE2")
    machine.upgrade(2)
    data = machine.state().to_bytes()
    assert data.startswith(b"MCSTATE3") and len(data) == len(first) + 8
    again = made.from_state(mc.State.from_bytes(data))
    assert again.rules == 2 and again.state().to_bytes() == data
    assert made.from_state(mc.State.from_bytes(first)).rules == 1


@on_both_machines
@pytest.mark.parametrize("version", [-1, 0, 1, RULES_LATEST + 1, 2**32, 2**64])
def test_a_version_that_is_not_known_or_not_newer_changes_nothing(made: Any, version: int) -> None:
    machine = busy(made)
    before = machine.state().to_bytes()
    with pytest.raises(UnknownRules, match=f"version {version} "):
        machine.upgrade(version)
    assert machine.state().to_bytes() == before


def test_a_state_of_a_version_that_is_not_known_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = busy(Reference)
    with monkeypatch.context() as newer:
        newer.setattr(state, "RULES_LATEST", 7)
        machine.upgrade(7)
        data = machine.state().to_bytes()
    with pytest.raises(UnknownRules, match=f"version 7 .* up to version {RULES_LATEST}"):
        mc.State.from_bytes(data)


@pytest.mark.parametrize("rules", [0, 1])
def test_version_1_has_one_form(rules: int, two_versions: None) -> None:
    machine = busy(Reference)
    machine.upgrade(2)
    data = bytearray(machine.state().to_bytes())
    data[56:64] = rules.to_bytes(8, "little")
    with pytest.raises(mc.SnapshotDamaged, match="version 1"):
        mc.State.from_bytes(bytes(data))


@on_both_machines
@pytest.mark.parametrize("kind", sorted(ENGINE_KINDS))
def test_a_command_of_the_engine_is_unknown_when_anybody_sends_it(made: Any, kind: Kind) -> None:
    machine = busy(made)
    row = np.zeros(1, mc.COMMAND)
    row["kind"], row["quantity"] = kind, 2
    (event,) = machine.apply(row)
    assert (event["kind"], event["reason"]) == (EventKind.REJECTED, Reason.UNKNOWN_KIND)
    assert machine.rules == 1
