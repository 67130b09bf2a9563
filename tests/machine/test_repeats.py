"""Commands sent again: the first answer, byte for byte, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flows import definitions, flow, for_c
from numpy.typing import NDArray
from test_agreement import WORLD, agree, both

from matchcore import COMMAND, EVENT, EventKind, Instrument, Kind, Machine, SnapshotDamaged, State
from matchcore import fresh as without_repeats
from matchcore.machine.dedup import ANSWERS_MAX, ANSWERS_PER_ACCOUNT, EVENTS_KEPT
from matchcore.machine.reference import Machine as Reference

MACHINES: list[Any] = [Machine, Reference]
on_both_machines = pytest.mark.parametrize("made", MACHINES, ids=["cython", "reference"])
PLAIN = Instrument("PLAIN", 1)


def new(*client: int, account: int = 1, **fields: int) -> NDArray:
    """Buy orders of one unit at price 50, or what `fields` say, one for each client order id."""
    rows = np.zeros(len(client), COMMAND)
    usual = {"kind": Kind.NEW, "instrument": 1, "side": 1, "order_type": 1, "time_in_force": 1,
             "quantity": 1, "price": 50, "account": account}  # fmt: skip
    for name, value in (usual | fields).items():
        rows[name] = value
    rows["client_order_id"] = client
    return rows


def machine_of(made: Any) -> Any:
    machine = made()
    machine.apply(definitions(PLAIN))
    return machine


def assert_repeats(machine: Any, command: NDArray, first: NDArray) -> None:
    """The command changes nothing but the sequence, and is told `first` behind a REPEATED."""
    before = machine.state()
    head, *_ = events = machine.apply(command)
    told = first if len(first) <= EVENTS_KEPT else first[[*range(EVENTS_KEPT - 1), -1]]
    assert events[1:].tobytes() == told.tobytes()
    assert head["kind"] == EventKind.REPEATED and head["sequence"] == before.sequence + 1
    assert head["trade_id"] == first["sequence"][0]
    assert (head["quantity"], head["left"]) == (len(first), len(first) - len(told))
    for name in ("client_order_id", "account", "order_id", "side", "instrument"):
        assert head[name] == command[name][0]
    after = replace(machine.state(), sequence=before.sequence)
    assert after.digest() == before.digest()
    assert without_repeats(events).tobytes() == events[:1].tobytes()
    machine._check()


@on_both_machines
def test_every_kind_of_command_is_told_its_first_answer(made: Any) -> None:
    machine = machine_of(made)
    machine.apply(new(*[0] * 40, side=2, price=60))
    story = [
        new(1, order_id=500, price=40, quantity=5),
        new(2, price=60, quantity=30),  # thirty-one events
        new(3, price=60, quantity=30),  # ten trades, and the rest stays
        new(4, quantity=0),  # refused
        new(5, instrument=9),  # for no book
        new(6, kind=Kind.AMEND, order_id=500, price=41, quantity=7),
        new(7, kind=Kind.REDUCE, order_id=500, quantity=2),
        new(8, kind=Kind.CANCEL, order_id=500),
        new(9, kind=Kind.CANCEL, order_id=500),  # refused: it is gone
        new(10, kind=Kind.MASS_CANCEL, side=0),
        new(11, kind=Kind.MASS_CANCEL, side=7),  # refused
        new(12, price=41, time_in_force=3, quantity=9),  # accepted, and cancelled as a whole
        new(13, side=2, price=90, time_in_force=4),
        new(14, side=2, price=0, order_type=2),
    ]
    machine.apply(new(*[0] * 20, price=30))
    told = [machine.apply(command) for command in story]
    assert [len(events) for events in told] == [
        *(1, 31, 11, 1, 1, 1, 1, 1, 1, 22, 1),
        *(2, 2, 2),
    ]
    day = np.zeros(1, COMMAND)
    day["kind"] = Kind.END_DAY
    machine.apply(day)
    machine.apply(new(0, order_id=500))  # the id of an order that is gone, used again
    for _ in range(2):
        for command, events in zip(story, told, strict=True):
            assert_repeats(machine, command, events)
    other = new(2, kind=Kind.CANCEL, instrument=4, order_id=77, side=9)
    assert_repeats(machine, other, told[1])  # another command under an old id
    assert_repeats(machine.from_state(machine.state()), story[1], told[1])


@on_both_machines
def test_what_is_not_remembered_is_done_each_time(made: Any) -> None:
    machine = machine_of(made)
    kinds = [machine.apply(new(0))["kind"].tolist() for _ in range(2)]
    kinds += [machine.apply(new(8, account=account))["kind"].tolist() for account in (0, 1, 2)]
    kinds.append(machine.apply(new(8, account=0))["kind"].tolist())
    assert kinds == [[1]] * 5 + [[EventKind.REPEATED, 1]]
    for kind, said in ((Kind.END_DAY, EventKind.DAY_ENDED), (200, EventKind.REJECTED)):
        for _ in range(2):
            assert machine.apply(new(9, kind=kind))["kind"][-1] == said
    assert len(machine.state().answers) == 3


@on_both_machines
def test_the_oldest_answers_of_an_account_are_forgotten(made: Any) -> None:
    machine = machine_of(made)
    machine.apply(new(5, account=2))
    ids = np.arange(1, ANSWERS_PER_ACCOUNT + 3)
    machine.apply(new(*ids.tolist(), quantity=0))
    machine._check()
    answers = machine.state().answers
    assert answers["client_order_id"].tolist() == [5, *ids[2:].tolist()]
    assert machine.apply(new(5, account=2))["kind"][0] == EventKind.REPEATED
    assert machine.apply(new(3))["kind"][0] == EventKind.REPEATED  # the oldest that is left
    assert machine.apply(new(2))["kind"][0] == EventKind.ACCEPTED  # forgotten, so new
    assert machine.apply(new(3))["kind"][0] == EventKind.ACCEPTED  # the place was its own


def test_of_all_accounts_the_oldest_go_first() -> None:
    fast = machine_of(Machine)
    more = 5
    commands = new(*[1] * (ANSWERS_MAX + more), kind=Kind.CANCEL)
    commands["account"] = np.arange(len(commands)) // 1000
    commands["client_order_id"] = np.arange(1, len(commands) + 1)
    fast.apply(commands)
    answers = fast.state().answers
    assert answers["client_order_id"].tolist() == list(range(more + 1, len(commands) + 1))
    slow = Reference.from_state(fast.state())
    steps = commands[: more + 3], commands[-3:], new(1, account=9999), commands[:7]
    agree(fast, slow, np.concatenate(steps), 5)


def test_a_growing_window_agrees_at_every_step() -> None:
    """Tens of accounts, one of them beyond its own window, while tables take each other's place."""
    fast, slow = machine_of(Machine), machine_of(Reference)
    rng = np.random.default_rng(7)
    count = 7000
    commands = new(*rng.permutation(count * 50)[:count].tolist(), quantity=0)
    commands["client_order_id"] += 1
    commands["account"] = np.where(rng.random(count) < 0.3, 1, rng.integers(2, 60, count))
    again = np.flatnonzero(rng.random(count) < 0.2)[1:]
    commands[again] = commands[(again * rng.random(len(again))).astype(int)]
    for at in range(0, count, 97):
        agree(fast, slow, commands[at : at + 97], 64)
        if at % 10 == 0:
            fast = Machine.from_state(fast.state())
    assert (fast.state().answers["account"] == 1).sum() == ANSWERS_PER_ACCOUNT


@on_both_machines
@pytest.mark.parametrize(
    ("name", "at", "value"),
    [
        ("side", 0, 0), ("side", 0, 2), ("client_order_id", 0, 9), ("account", 0, 9),
        ("left", 0, 9), ("reason", 0, 32), ("side", 1, 2), ("quantity", 1, 9), ("left", 1, 9),
        ("reason", 1, 0), ("reason", 1, 38), ("instrument", 1, 9), ("account", 1, 9),
        ("price", 1, 9), ("order_id", 1, 9),
    ],
)  # fmt: skip
def test_an_unusual_answer_of_a_state_is_told_as_it_is(
    made: Any, name: str, at: int, value: int
) -> None:
    machine = machine_of(made)
    machine.apply(new(1, time_in_force=3))  # accepted, and cancelled as a whole
    state = machine.state()
    events = state.answer_events.copy()
    assert events[name][at] != value
    events[name][at] = value
    restored = made.from_state(replace(state, answer_events=events))
    assert_repeats(restored, new(1, time_in_force=3), events)
    assert restored.state().answer_events.tobytes() == events.tobytes()


def test_full_windows_of_some_accounts_agree() -> None:
    """Each forgets its own oldest answer, which stands between answers of the others."""
    fast, slow = machine_of(Machine), machine_of(Reference)
    rng = np.random.default_rng(8)
    count = 3 * ANSWERS_PER_ACCOUNT + 900
    commands = new(*range(1, count + 1), time_in_force=3)
    commands["account"] = rng.choice([7, 8, 9], count)
    commands["quantity"] = rng.integers(0, 3, count)  # 0 is refused; else two events
    commands["side"] = rng.integers(1, 3, count)
    commands["order_type"] = rng.integers(1, 3, count)
    commands["price"][commands["order_type"] == 2] = 0
    for at in range(0, count, 500):
        agree(fast, slow, commands[at : at + 500], 64)
        agree(fast, slow, commands[max(0, at - 40) : at], 5)  # again
    assert len(fast.state().answers) == 3 * ANSWERS_PER_ACCOUNT


@on_both_machines
def test_an_answer_that_goes_on_behind_its_cancel_is_told_as_it_is(made: Any) -> None:
    machine = machine_of(made)
    machine.apply(new(1, time_in_force=3))
    state = machine.state()
    answers, events = state.answers.copy(), np.resize(state.answer_events, 3)
    answers["events"], events[2] = 3, events[1]
    restored = made.from_state(replace(state, answers=answers, answer_events=events))
    assert_repeats(restored, new(1, time_in_force=3), events)
    assert restored.state().answer_events.tobytes() == events.tobytes()


def test_an_answer_to_come_is_found_from_both_tables() -> None:
    """Around the counts at which the table grows, every answer is still there."""
    machine = machine_of(Machine)
    ids = np.arange(1, 4501)
    commands = new(*ids.tolist(), quantity=0)
    commands["account"] = ids % 9
    for end in (1016, 1017, 1024, 1026, 1060, 1300, 2049, 2300, 4088, 4089, 4097, 4100, 4500):
        machine.apply(commands[len(machine.state().answers) : end])
        assert len(machine.state().answers) == end
        machine._check()
        said = machine.apply(commands[:end])["kind"].reshape(-1, 2)
        assert (said == [EventKind.REPEATED, EventKind.REJECTED]).all()


@pytest.mark.parametrize("room", [4, 5, 64])
def test_the_widest_values_come_back_as_they_were(room: int) -> None:
    fast, slow = machine_of(Machine), machine_of(Reference)
    wide = 2**64 - 1
    makers = new(*range(1, 20), side=2, price=-(2**63), account=wide)
    makers["order_id"] = wide - np.arange(19, dtype=np.uint64)
    taker = new(wide, price=2**63 - 1, account=wide - 1, order_id=2**63, quantity=19)
    lone = new(wide - 1, price=2**63 - 1, account=wide, order_id=2**63 + 1, quantity=2**31)
    story = np.concatenate([makers, taker, lone])
    agree(fast, slow, story, room)
    fast, slow = Machine.from_state(slow.state()), Reference.from_state(fast.state())
    said = agree(fast, slow, story, room)
    assert (said["kind"] == EventKind.REPEATED).sum() == len(story)
    fast._check()


def busy(seed: int, count: int = 1200) -> NDArray:
    return flow(seed, count, again=0.5)


@pytest.mark.parametrize("seed", range(6))
def test_flows_full_of_repeats_agree(seed: int) -> None:
    fast, slow = both(WORLD)
    rng = np.random.default_rng(seed)
    commands, at, repeats = busy(seed), 0, 0
    while at < len(commands):
        step = int(rng.integers(1, 120))
        room = int(rng.choice([4, 5, 7, 4096]))
        repeats += int((agree(fast, slow, commands[at : at + step], room)["kind"] == 10).sum())
        if rng.random() < 0.3:
            fast, slow = Machine.from_state(slow.state()), Reference.from_state(fast.state())
        at += step
    slow._check()
    assert repeats > 100


def test_a_state_at_every_command_answers_alike() -> None:
    machine, commands = both(WORLD)[0], busy(3, 150)
    states = []
    for at in range(len(commands)):
        states.append(machine.state().to_bytes())
        machine.apply(commands[at : at + 1])
    for at, data in enumerate(states):
        restored = Machine.from_state(State.from_bytes(data))
        restored.apply(commands[at:])
        assert restored.digest() == machine.digest(), at


def remembering() -> State:
    machine = machine_of(Machine)
    machine.apply(new(0, 0, 0, side=2, price=60))
    machine.apply(new(1, 2, 3))
    machine.apply(new(4, 5, price=60, quantity=2))
    machine.apply(new(6, quantity=0))
    machine.apply(new(7, kind=Kind.MASS_CANCEL, side=0))
    return State.from_bytes(machine.state().to_bytes())


ANSWERS_WRONG = [
    ("client_order_id", 2, 0), ("client_order_id", 2, 1), ("sequence", 0, 0), ("sequence", 1, 5),
    ("sequence", -1, 99), ("events", 0, 0), ("events", 0, 2), ("events", -1, 2**64 - 1),
]  # fmt: skip
EVENTS_WRONG = [
    ("sequence", 0, 6), ("kind", 0, EventKind.TRADED), ("kind", 0, EventKind.REPEATED),
    ("kind", 0, EventKind.DAY_ENDED), ("kind", 4, EventKind.ACCEPTED), ("kind", 0, 99),
    ("reason", 0, 99), ("field", 0, 1), ("side", 0, 3), ("trade_id", 0, 5), ("trade_id", 4, 0),
    ("left", 0, -1), ("taker_order_id", 0, 1), ("taker_order_id", 4, 999), ("taker_account", 0, 1),
    ("taker_account", 4, 9), ("taker_left", 0, 1),
]  # fmt: skip


@on_both_machines
@pytest.mark.parametrize(
    ("part", "wrong"),
    [("answers", w) for w in ANSWERS_WRONG] + [("answer_events", w) for w in EVENTS_WRONG],
    ids=str,
)
def test_answers_that_no_exchange_remembers_are_damaged(
    made: Any, part: str, wrong: tuple[str, int, int]
) -> None:
    state = remembering()
    made.from_state(state)._check()
    name, at, value = wrong
    rows = getattr(state, part).copy()
    assert rows[name][at] != value
    rows[name][at] = value
    with pytest.raises(SnapshotDamaged):
        made.from_state(replace(state, **{part: rows}))
    with pytest.raises(SnapshotDamaged):
        State.from_bytes(replace(state, **{part: rows}).to_bytes())


@on_both_machines
def test_more_answers_of_an_account_than_are_kept_are_damaged(made: Any) -> None:
    state = remembering()
    answers = np.resize(state.answers[:1], ANSWERS_PER_ACCOUNT + 1)
    events = np.resize(state.answer_events[:1], len(answers))
    answers["sequence"] = events["sequence"] = answers["client_order_id"] = np.arange(
        1, len(answers) + 1
    )
    with pytest.raises(SnapshotDamaged, match="of one account"):
        made.from_state(State(2000, answers=answers, answer_events=events))
    made.from_state(State(2000, answers=answers[1:], answer_events=events[1:]))._check()
    assert events.dtype == EVENT


@pytest.mark.parametrize("room", [4, 5, 64])
def test_c_tells_again_what_python_does(bridge: Any, room: int) -> None:
    commands = for_c(busy(room))
    machine = Machine()
    machine.apply(definitions(Instrument("A", "1"), Instrument("B", "1")))
    expected = machine.apply(commands)
    assert (expected["kind"] == EventKind.REPEATED).sum() > 100
    assert bridge.apply(commands.tobytes(), 2, room)[0] == expected.tobytes()
