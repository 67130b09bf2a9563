"""Versions of the rules: what a machine applies commands under, and what its state says of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flows import definitions, flow

import matchcore as mc
from matchcore.errors import UnknownRules
from matchcore.machine.reference import Machine as Reference
from matchcore.records import rules
from matchcore.records.schema import (
    ENGINE_KINDS,
    FOLLOWER_FIELDS,
    RULES_LATEST,
    EventKind,
    Field,
    Flag,
    Kind,
    Reason,
)

MACHINES: list[Any] = [mc.Machine, Reference]
on_both_machines = pytest.mark.parametrize("made", MACHINES, ids=["cython", "reference"])
WORLD = (mc.Instrument("ONE", "0.01"), mc.Instrument("TWO", "0.5", lot=3))


def busy(made: Any, version: int = 1) -> Any:
    machine = made(rules=version)
    machine.apply(definitions(*WORLD))
    machine.apply(flow(3, 500))
    return machine


@on_both_machines
def test_an_upgrade_is_a_command_with_one_event(made: Any) -> None:
    machine = busy(made)
    before = machine.state()
    (event,) = machine.upgrade(2)
    assert event["kind"] == EventKind.RULES_CHANGED
    assert (event["sequence"], event["quantity"], event["left"]) == (before.sequence + 1, 2, 1)
    spoken = {"sequence", "kind", "quantity", "left"}
    assert not any(event[name] for name in event.dtype.names if name not in spoken)
    assert (machine.rules, machine.sequence) == (2, before.sequence + 1)
    machine._check()


@pytest.mark.parametrize("version", [1, 2])
def test_session_and_tail_are_carried_since_version_2(version: int) -> None:
    """They change nothing there; before, a NEW or AMEND with one of them is refused."""
    plain = flow(7, 600, again=0.1)
    for name in FOLLOWER_FIELDS:
        plain[name] = 0
    carried, rng = plain.copy(), np.random.default_rng(1)
    carried["session"] = rng.choice(np.array([0, 1, 2**32 - 1], "u4"), len(plain))
    carried["client_order_tail"] = rng.choice(np.array([0, 1, 2**63, 2**64 - 1], "u8"), len(plain))
    carried["client_order_tail"][plain["kind"] == Kind.SET_LIMITS] = 0  # which is reserved there
    told = {}
    for made in MACHINES:
        for name, commands in (("plain", plain), ("carried", carried)):
            machine = made(rules=version)
            machine.apply(definitions(*WORLD))
            told[made, name] = machine.apply(commands).tobytes(), machine.digest()
    for name in ("plain", "carried"):
        assert told[mc.Machine, name] == told[Reference, name]
    assert (told[Reference, "plain"] == told[Reference, "carried"]) == (version > 1)


@on_both_machines
@pytest.mark.parametrize("kind", [Kind.NEW, Kind.AMEND])
@pytest.mark.parametrize("field", sorted(FOLLOWER_FIELDS))
@pytest.mark.parametrize("value", [1, 2**31])
def test_version_1_refuses_what_version_2_carries(
    made: Any, kind: Kind, field: str, value: int
) -> None:
    row = np.zeros(2, mc.COMMAND)
    row["instrument"] = row["order_id"] = row["quantity"] = 1
    row["side"] = row["order_type"] = row["time_in_force"] = 1
    row["kind"], row[field][1] = [Kind.NEW, kind], value
    row["order_id"][1] += kind == Kind.NEW
    machine = made(rules=1)
    machine.apply(definitions(*WORLD))
    told = machine.apply(row)[-1]
    assert (told["reason"], told["field"]) == (Reason.UNSUPPORTED, Field.RESERVED)
    machine = made()
    machine.apply(definitions(*WORLD))
    assert machine.apply(row)[-1]["reason"] == Reason.NONE


@on_both_machines
def test_flags_of_a_mass_cancel_are_read_since_version_3(made: Any) -> None:
    orders = np.zeros(4, mc.COMMAND)
    orders["kind"] = orders["instrument"] = orders["side"] = orders["order_type"] = 1
    orders["time_in_force"] = orders["quantity"] = 1
    orders["price"] = [10, 11, 12, 13]
    mass = np.zeros(1, mc.COMMAND)
    mass["kind"], mass["price"], mass["stop_price"] = Kind.MASS_CANCEL, 11, 12
    gone = {}
    for version in (1, 2, 3):
        for flags in (Flag.RANGE, Flag.OF_SESSION, 8, 0):
            machine = made(rules=version)
            machine.apply(definitions(*WORLD))
            machine.apply(orders)
            mass["flags"], mass["session"] = flags, 5 if version > 1 else 0
            events = machine.apply(mass)
            gone[version, flags] = events["price"][events["kind"] == EventKind.CANCELLED].tolist()
            machine._check()
    every = [13, 12, 11, 10]
    assert all(gone[version, flags] == every for version, flags in gone if version < 3 or not flags)
    assert gone[3, Flag.RANGE] == [12, 11] and gone[3, Flag.OF_SESSION] == gone[3, 8] == []


@on_both_machines
def test_a_kind_that_the_rules_do_not_know_is_not_remembered(made: Any) -> None:
    """QUOTE has client order ids since version 3; before, each is refused anew."""
    row = np.zeros(1, mc.COMMAND)
    row["kind"], row["instrument"], row["account"], row["client_order_id"] = Kind.QUOTE, 1, 2, 3
    for version in (1, 2):
        machine = made(rules=version)
        machine.apply(definitions(*WORLD))
        for _ in range(2):
            (event,) = machine.apply(row)
            assert (event["kind"], event["reason"]) == (EventKind.REJECTED, Reason.UNKNOWN_KIND)
        assert not len(machine.state().answers)


@on_both_machines
def test_a_machine_begins_with_the_newest_or_the_one_it_is_given(made: Any) -> None:
    assert made().rules == RULES_LATEST
    machine = made(rules=1)
    assert machine.rules == 1
    machine.begin_under(2)
    assert machine.rules == 2
    machine.begin_under(1)
    machine.apply(definitions(*WORLD))
    with pytest.raises(ValueError, match="sequence 2"):
        machine.begin_under(2)
    for version in (0, RULES_LATEST + 1, 2**70):
        with pytest.raises(UnknownRules):
            made(rules=version)
    with pytest.raises(mc.InvalidArgument, match="rules"):
        made(rules="2")


@pytest.mark.parametrize("version", [2, 3])
def test_both_machines_agree_across_an_upgrade(version: int) -> None:
    fast, slow = (busy(made) for made in MACHINES)
    assert fast.upgrade(version).tobytes() == slow.upgrade(version).tobytes()
    assert fast.state().to_bytes() == slow.state().to_bytes()
    more = flow(4, 500)
    assert fast.apply(more).tobytes() == slow.apply(more).tobytes()
    assert fast.digest() == slow.digest()


@on_both_machines
def test_a_state_carries_its_version(made: Any) -> None:
    machine = busy(made)
    first = machine.state().to_bytes()
    assert first.startswith(b"MCSTATE2")
    machine.upgrade(2)
    data = machine.state().to_bytes()
    assert data.startswith(b"MCSTATE3") and len(data) == len(first) + 24 + 2 * 16
    again = made.from_state(mc.State.from_bytes(data))
    assert again.rules == 2 and again.state().to_bytes() == data
    machine.upgrade(3)
    newest = machine.state().to_bytes()
    assert newest.startswith(b"MCSTATE3") and len(newest) == len(data) + 40
    assert made.from_state(mc.State.from_bytes(newest)).rules == 3
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
        newer.setattr(rules, "RULES_LATEST", 7)
        machine.upgrade(7)
        data = machine.state().to_bytes()
    with pytest.raises(UnknownRules, match=f"version 7 .* up to version {RULES_LATEST}"):
        mc.State.from_bytes(data)


@pytest.mark.parametrize("rules", [0, 1])
def test_version_1_has_one_form(rules: int) -> None:
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
