"""The register and notices: what both machines keep, say and refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flows import definitions
from hypothesis import given
from hypothesis import strategies as st

import matchcore as mc
from matchcore import TEXT, EventKind, Field, Kind, Reason, Topic
from matchcore.machine.reference import Machine as Reference
from matchcore.records import register as limits
from matchcore.records.changes import CHANGE, ChangeKind
from matchcore.records.operating import notice_parts
from matchcore.records.register import ENTRY, NOTICE_BYTES_MAX, NOTICE_PARTS_MAX
from matchcore.records.schema import NOTICE_RECORD

MACHINES: list[Any] = [mc.Machine, Reference]
on_both_machines = pytest.mark.parametrize("made", MACHINES, ids=["cython", "reference"])
WORLD = (mc.Instrument("ONE", "0.01"), mc.Instrument("TWO", "0.5", lot=3))
DATA = b"data".ljust(56, b"\0")


def row(kind: Kind = Kind.REGISTER, data: bytes = DATA, **fields: int) -> np.ndarray:
    record = np.zeros(1, TEXT)
    record["kind"], record["data"] = kind, data
    for name, value in fields.items():
        record[name] = value
    return record.view(mc.COMMAND)


def busy(made: Any) -> Any:
    machine = made()
    machine.apply(definitions(*WORLD))
    return machine


@on_both_machines
def test_an_entry_is_set_replaced_and_removed(made: Any) -> None:
    machine = busy(made)
    (event,) = machine.apply(row(topic=Topic.USER, key=2**64 - 1, part=255))
    assert (event["kind"], event["sequence"]) == (EventKind.REGISTERED, 3)
    said = [event[name] for name in ("order_id", "price", "quantity", "left", "instrument")]
    assert said == [2**64 - 1, Topic.USER, 255, 1, 0]
    assert machine.register == {(Topic.USER, 2**64 - 1, 255): DATA}
    machine.apply(row(topic=Topic.USER, key=2**64 - 1, part=255, data=bytes(55) + b"x"))
    assert list(machine.register.values()) == [bytes(55) + b"x"]
    for left in (0, 0):  # the second one removes what is not there
        (event,) = machine.apply(row(topic=1, key=2**64 - 1, part=255, data=bytes(56)))
        assert (event["kind"], event["left"]) == (EventKind.REGISTERED, left)
    assert not machine.register
    with pytest.raises(TypeError):
        machine.register[1, 1, 1] = b""


@on_both_machines
def test_what_no_entry_can_be_is_refused(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("texts", "reference.aside"):
        monkeypatch.setattr(f"matchcore.machine.{module}.ENTRIES_MAX", 2)
    machine = busy(made)
    (event,) = machine.apply(row(topic=0, key=5, instrument=77))
    assert (event["reason"], event["field"]) == (Reason.BAD_VALUE, Field.TOPIC)
    assert (event["order_id"], event["instrument"]) == (0, 77)
    for key in (1, 2):
        assert machine.apply(row(topic=9, key=key))[0]["left"] == key
    (event,) = machine.apply(row(topic=9, key=3))
    assert (event["reason"], event["field"]) == (Reason.TOO_MANY_ENTRIES, Field.KEY)
    assert machine.apply(row(topic=9, key=2, data=b"y" * 56))[0]["reason"] == 0
    assert machine.apply(row(topic=9, key=3, data=bytes(56)))[0]["reason"] == 0
    assert len(machine.register) == 2 == limits.ENTRIES_MAX >> 15


@on_both_machines
def test_the_register_is_in_state_and_digest(made: Any) -> None:
    machine = busy(made)
    before = machine.digest(), machine.state().to_bytes()
    places = [(3, 1, 0), (1, 2**63, 0), (1, 5, 9), (1, 5, 0), (255, 0, 0)]
    for topic, key, part in places:
        machine.apply(row(topic=topic, key=key, part=part, data=bytes([topic]) * 56))
    state = machine.state()
    assert state.register[["topic", "key", "part"]].tolist() == sorted(places)
    data = state.to_bytes()
    assert len(data) == len(before[1]) + 5 * ENTRY.itemsize and machine.digest() != before[0]
    for other in MACHINES:
        again = other.from_state(mc.State.from_bytes(data))
        assert again.register == machine.register and again.digest() == machine.digest()
        assert again.state().to_bytes() == data


def test_a_register_that_no_machine_has_is_damaged() -> None:
    machine = busy(Reference)
    for key in (1, 2):
        machine.apply(row(topic=7, key=key))
    data = machine.state().to_bytes()
    size, last = ENTRY.itemsize, machine.state().last.tobytes()
    first = len(data) - 2 * size - len(last)
    one, two = data[first : first + size], data[first + size : first + 2 * size]
    noise = one[:66] + b"\1" + one[67:]
    empty = bytes(8) + bytes(56) + one[64:]
    without_topic = one[:64] + b"\0" + one[65:]
    for forged in (two + one, one + one, noise + two, empty + two, without_topic + two):
        with pytest.raises(mc.SnapshotDamaged, match="register"):
            mc.State.from_bytes(data[:first] + forged + last)
    for cut in (1, size):
        with pytest.raises(mc.SnapshotDamaged):
            mc.State.from_bytes(data[:-cut])
    state = machine.state()
    state.rules = 1
    with pytest.raises(mc.SnapshotDamaged, match="version 1"):
        state.check()


@on_both_machines
@pytest.mark.parametrize("kind", [Kind.REGISTER, Kind.NOTICE])
def test_version_1_does_not_know_them(made: Any, kind: Kind) -> None:
    machine = made(rules=1)
    record = row(kind, topic=1, parts=1, key=9)
    (event,) = machine.apply(record)
    assert (event["reason"], event["field"]) == (Reason.UNKNOWN_KIND, Field.KIND)
    for name in ("order_id", "client_order_id", "account", "side", "price", "quantity"):
        assert event[name] == record[name][0]
    assert not machine.register and machine.state().to_bytes().startswith(b"MCSTATE2")
    assert not len(machine.changes(record))


@on_both_machines
def test_a_notice_is_a_public_change_with_its_text(made: Any) -> None:
    machine = busy(made)
    text = "Grüße, 漢字".encode()
    record = row(Kind.NOTICE, text.ljust(56, b"\0"), instrument=2, key=2**40 + 7, part=1, parts=3)
    record["time"] = 99
    (change,) = machine.changes(record)
    assert (change["kind"], change["instrument"]) == (ChangeKind.NOTICE, 2)
    notice = np.frombuffer(change.tobytes(), NOTICE)[0]
    assert notice["data"].tobytes().rstrip(b"\0") == text
    assert [int(notice[name]) for name in ("sequence", "time", "key_low", "part", "parts")] == [
        3, 99, 7, 1, 3,
    ]  # fmt: skip
    (event,) = machine.apply(record)
    assert event["kind"] == EventKind.NOTICED
    said = [event[name] for name in ("instrument", "order_id", "quantity", "left")]
    assert said == [2, 2**40 + 7, 1, 3]


NOTICE = np.dtype(NOTICE_RECORD.dtype_spec())
BAD_NOTICES: list[tuple[Reason, Field, bytes, dict[str, int]]] = [
    (Reason.UNKNOWN_INSTRUMENT, Field.INSTRUMENT, DATA, {"instrument": 3, "parts": 0}),
    (Reason.BAD_VALUE, Field.PARTS, DATA, {"parts": 0}),
    (Reason.BAD_VALUE, Field.PARTS, DATA, {"parts": NOTICE_PARTS_MAX + 1, "part": 255}),
    (Reason.BAD_VALUE, Field.PART, b"\xff" * 56, {"part": 1}),
    *((Reason.BAD_VALUE, Field.DATA, data.ljust(56, b"\0"), {}) for data in (
        b"", b"\xff", b"a\0b", b"\n", b"\x1b[31m", b"\x7f", "\u0085".encode(), b"\xed\xa0\x80",
        b"x" * 55 + b"\xc3",
    )),
]  # fmt: skip


@on_both_machines
@pytest.mark.parametrize("at", range(len(BAD_NOTICES)))
def test_what_is_no_notice_is_refused_and_told_nobody(made: Any, at: int) -> None:
    reason, field, data, fields = BAD_NOTICES[at]
    machine = busy(made)
    record = row(Kind.NOTICE, data, **{"parts": 1, **fields})
    (event,) = machine.apply(record)
    assert (event["kind"], event["reason"], event["field"]) == (EventKind.REJECTED, reason, field)
    assert machine.changes(record).tobytes() == b"" and CHANGE.itemsize == NOTICE.itemsize


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1))
def test_any_text_is_told_in_parts_that_make_it_up(text: str) -> None:
    if len(text.encode()) > NOTICE_BYTES_MAX:
        return
    engine = mc.Engine.memory(instruments=WORLD)
    events = engine.notify(text, "TWO", key=5)
    assert set(events["kind"].tolist()) == {EventKind.NOTICED}
    parts = notice_parts(text, "TWO", 5)
    assert "".join(part.text for part in parts) == text and len(parts) == len(events)
    assert {part.parts for part in parts} == {len(parts)} and len(parts) <= NOTICE_PARTS_MAX


@pytest.mark.parametrize("character", ["x", "é", "漢", "😀"])
def test_the_longest_text_fits(character: str) -> None:
    text = character * (NOTICE_BYTES_MAX // len(character.encode()))
    assert len(mc.Engine.memory().notify(text)) <= NOTICE_PARTS_MAX
    with pytest.raises(mc.InvalidCommand, match="1 to 1024"):
        mc.Engine.memory().notify(text + "x" * 4)


@pytest.mark.parametrize("text", ["", None, 5, b"bytes", "\ud800"])
def test_what_is_no_text_is_not_sent(text: Any) -> None:
    engine = mc.Engine.memory()
    with pytest.raises(mc.InvalidCommand, match="text"):
        engine.notify(text)
    assert engine.sequence == 0


def test_an_engine_shows_its_register_and_keeps_it(tmp_path: Any) -> None:
    with mc.Engine.open(tmp_path) as engine:
        answer = engine.submit(mc.Register(Topic.GRANT, 7, b"may trade", part=2))
        assert answer.status == mc.Status.DONE and not answer.rejected
        engine.submit(mc.Register(200, 8, b"x"))
        found = engine.register()
        engine.snapshot()
        engine.submit(mc.Register(200, 8))
    assert found[mc.Place(Topic.GRANT, 7, 2)] == b"may trade".ljust(56, b"\0") and len(found) == 2
    with mc.Engine.open(tmp_path) as engine:
        assert engine.recovery.snapshot_sequence == 2
        assert [*engine.register()] == [(Topic.GRANT, 7, 2)]
        assert engine.fork().register() == engine.register()


def test_a_secret_is_not_shown() -> None:
    shown = mc.as_plain(mc.Register(Topic.SECRET, 1, b"hash"))
    assert shown["data"] is None and shown["topic"] == "SECRET"
    assert mc.as_plain(mc.Register(Topic.USER, 1, b"hash"))["data"] == b"hash".hex()
