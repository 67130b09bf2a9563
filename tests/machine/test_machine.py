"""What a machine takes and shows, beside the rules: the same on both of them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from flows import definitions, flow

from matchcore import COMMAND, EVENT, INSTRUMENT, Instrument, Kind, Machine, UnknownInstrument
from matchcore.engine.answers import BookView
from matchcore.machine.reference import Machine as Reference

WORLD = [Instrument(symbol, 1) for symbol in ("ONE", "TWO", "THREE")]
on_both_machines = pytest.mark.parametrize(
    "made", [Machine, Reference], ids=["cython", "reference"]
)


def machine_with_an_order(made: Any) -> Any:
    """Order 7, a buy in instrument 3."""
    machine = made()
    machine.apply(definitions(*WORLD))
    row = np.zeros(1, COMMAND)
    row[["kind", "instrument", "order_id", "side", "price", "quantity"]] = (1, 3, 7, 1, 100, 5)
    row["order_type"] = row["time_in_force"] = 1
    assert machine.apply(row)["kind"].tolist() == [1]
    return machine


@on_both_machines
@pytest.mark.parametrize(
    ("wrong", "error"),
    [(np.zeros(2, "u1"), TypeError), (np.zeros(2, EVENT), TypeError), (None, TypeError),
     (b"x" * 96, TypeError), ([1, 2], TypeError), (np.zeros(1, COMMAND)[0], ValueError),
     (np.zeros((2, 2), COMMAND), ValueError)],
)  # fmt: skip
def test_what_only_looks_like_commands_is_an_error_and_changes_nothing(
    made: Any, wrong: Any, error: type[Exception]
) -> None:
    machine = machine_with_an_order(made)
    before = machine.digest()
    with pytest.raises(error, match="commands"):
        machine.apply(wrong)
    assert machine.digest() == before


@on_both_machines
def test_commands_need_not_lie_side_by_side(made: Any) -> None:
    spread, dense = made(), made()
    for machine in (spread, dense):
        machine.apply(definitions(*WORLD))
    commands = flow(3, 400)
    assert spread.apply(commands[::3]).tobytes() == dense.apply(commands[::3].copy()).tobytes()
    assert spread.digest() == dense.digest()
    assert len(dense.apply(commands[:0])) == 0


@pytest.mark.parametrize(
    "out",
    [np.empty(3, EVENT), np.empty(9, COMMAND), np.empty((4, 4), EVENT), np.empty(20, EVENT)[::2],
     b"x" * 960],
    ids=["short", "commands", "square", "spread", "bytes"],
)  # fmt: skip
def test_events_are_written_to_an_event_array_only(out: Any) -> None:
    machine = machine_with_an_order(Machine)
    before = machine.digest()
    with pytest.raises(ValueError, match="out: "):
        machine.apply(flow(1, 5), out)
    assert machine.digest() == before


@pytest.mark.parametrize("start", [0, 3, 99])
def test_events_are_not_written_over_the_commands(start: int) -> None:
    machine = machine_with_an_order(Machine)
    before, memory = machine.digest(), np.zeros(104, COMMAND)
    memory[:100] = flow(1, 100)
    with pytest.raises(ValueError, match="out: "):
        machine.apply(memory[:100], memory[start:].view(EVENT))
    assert machine.digest() == before
    assert len(machine.apply(memory[:100], memory[100:].view(EVENT))) >= 100


def test_events_are_written_where_the_caller_says_if_they_fit() -> None:
    machine = machine_with_an_order(Machine)
    out = np.empty(64, EVENT)
    assert np.shares_memory(machine.apply(flow(1, 5), out), out)
    assert len(machine.apply(flow(2, 500), out)) > 64


@on_both_machines
@pytest.mark.parametrize("of", [int, np.int64, np.uint8])
def test_any_integers_ask(made: Any, of: type) -> None:
    machine = machine_with_an_order(made)
    assert machine.order(of(3), of(7)) == machine.orders(of(3))[0]
    assert machine.levels(of(3), of(1), of(1)).tolist() == [(100, 5, 1)]


@on_both_machines
@pytest.mark.parametrize("wrong", ["3", 3.0, 1.5, None, [3]])
def test_what_is_no_integer_is_a_type_error(made: Any, wrong: Any) -> None:
    machine = machine_with_an_order(made)
    for ask in (machine.orders, lambda it: machine.order(it, 7), lambda it: machine.order(3, it)):
        with pytest.raises(TypeError):
            ask(wrong)
    if wrong is not None:
        with pytest.raises(TypeError):
            machine.levels(3, 1, wrong)


@on_both_machines
@pytest.mark.parametrize("number", [0, 4, -1, 2**64])
def test_an_unknown_number_is_an_unknown_instrument(made: Any, number: int) -> None:
    machine = machine_with_an_order(made)
    for ask in (machine.orders, lambda n: machine.levels(n, 1), lambda n: machine.order(n, 7)):
        with pytest.raises(UnknownInstrument, match=f"^unknown instrument number {number}$"):
            ask(number)


@on_both_machines
@pytest.mark.parametrize("order_id", [0, 8, -1, 2**64 - 1, 2**64, -(2**64), 10**30])
def test_an_id_that_no_order_has_is_no_order(made: Any, order_id: int) -> None:
    machine = machine_with_an_order(made)
    assert machine.order(3, order_id) is None is BookView(lambda: machine, 3).order(order_id)
    assert machine.order(1, 7) is None


@on_both_machines
def test_a_side_and_a_depth_that_make_no_sense_are_value_errors(made: Any) -> None:
    machine = machine_with_an_order(made)
    for side in (0, 3, -1, None, "BUY"):
        with pytest.raises(ValueError, match="side"):
            machine.levels(3, side)
    with pytest.raises(ValueError, match="depth -1"):
        machine.levels(3, 1, -1)
    assert len(machine.levels(3, 1, 0)) == len(machine.levels(3, 2)) == 0


def resting_rows(count: int) -> np.ndarray:
    rows = np.zeros(count, COMMAND)
    rows[["kind", "instrument", "side", "price", "quantity"]] = (1, 3, 1, 100, 5)
    rows["order_type"] = rows["time_in_force"] = 1
    return rows


@on_both_machines
@pytest.mark.parametrize("extreme", [False, True])
def test_one_by_one_is_as_all_together(made: Any, extreme: bool) -> None:
    single, together = made(), made()
    commands = np.concatenate([definitions(*WORLD), flow(5, 600, extreme=extreme)])
    commands = np.concatenate([commands, definitions(WORLD[0])])  # refused
    events = b"".join(single.apply_one(row.tobytes()) for row in commands)
    assert events == together.apply(commands).tobytes()
    assert single.digest() == together.digest()
    single._check()


@on_both_machines
@pytest.mark.parametrize("extreme", [False, True])
def test_a_replay_is_the_same_without_events(made: Any, extreme: bool) -> None:
    """Also where one command has more events than it keeps, and with definitions between."""
    quiet, telling = made(), made()
    parts = [definitions(*WORLD), flow(6, 900, extreme=extreme)]
    parts += [resting_rows(700), taker_of(700)[None], definitions(WORLD[1]), resting_rows(5)]
    commands = np.concatenate([part.ravel() for part in parts])
    assert quiet.replay(commands) == len(telling.apply(commands)) > 1400
    assert quiet.replay(commands[:0]) == 0
    assert quiet.digest() == telling.digest()
    quiet._check()


@on_both_machines
@pytest.mark.parametrize("count", [1, 29, 30, 31, 32, 33, 100, 1000])
def test_one_command_with_many_events(made: Any, count: int) -> None:
    single, together = made(), made()
    rows = resting_rows(count + 1)
    rows["kind"][count] = 5  # all of them are cancelled
    rows["side"][count] = 0
    for machine in (single, together):
        machine.apply(definitions(*WORLD))
        machine.apply(rows[:count])
    for command in (rows[count], taker_of(count), rows[count]):
        told = single.apply_one(command.tobytes())
        assert told == together.apply(np.array([command])).tobytes()
        for machine in (single, together):
            machine.apply(rows[:count])
    assert single.digest() == together.digest()
    single._check()


def test_a_mass_cancel_looks_at_each_order_once() -> None:
    """It stops each time the buffer is full, and goes on where it was, not at the level's head."""
    half, seconds = 200_000, []
    for account in (1, 2):
        machine = Machine()
        machine.apply(definitions(*WORLD))
        rows = np.zeros(2 * half, COMMAND)
        rows[["kind", "instrument", "side", "price", "quantity"]] = (1, 3, 1, 100, 5)
        rows["order_type"] = rows["time_in_force"] = 1
        rows["account"] = 1
        rows["account"][half:] = 2
        machine.apply(rows)
        sweep = np.zeros(1, COMMAND)
        sweep["kind"], sweep["instrument"], sweep["account"] = Kind.MASS_CANCEL, 3, account
        start = time.perf_counter()
        assert len(machine.apply(sweep)) == half + 1
        seconds.append(time.perf_counter() - start)
    assert seconds[1] < 6 * seconds[0] + 0.05, seconds


def taker_of(count: int) -> np.void:
    """A sell of more than `count` orders of 5."""
    row = np.zeros(1, COMMAND)
    row[["kind", "instrument", "side", "price", "quantity"]] = (1, 3, 2, 100, 5 * count + 1)
    row["order_type"] = row["time_in_force"] = 1
    return row[0]


@on_both_machines
@pytest.mark.parametrize(
    ("wrong", "error"),
    [(b"", ValueError), (b"x" * 95, ValueError), (b"x" * 192, ValueError), (None, TypeError),
     (bytearray(96), TypeError), (np.zeros(1, COMMAND), TypeError), ("x" * 96, TypeError)],
)  # fmt: skip
def test_what_is_not_the_bytes_of_one_command_is_an_error(
    made: Any, wrong: Any, error: type[Exception]
) -> None:
    machine = machine_with_an_order(made)
    before = machine.digest()
    with pytest.raises(error):
        machine.apply_one(wrong)
    assert machine.digest() == before


def test_instruments_come_through_commands_only() -> None:
    """What a caller adds to the directory has no book."""
    machine = Machine()
    machine.instruments.add(WORLD[0])
    change = definitions(Instrument("ONE", 2)).view(INSTRUMENT)
    change["kind"], change["instrument"] = Kind.CHANGE_INSTRUMENT, 1
    for commands in (change.view(COMMAND), definitions(WORLD[1])):
        with pytest.raises(RuntimeError, match="instruments"):
            machine.apply(commands)
    assert machine.sequence == 0


def test_a_check_does_not_run_beside_another_thread() -> None:
    machine = machine_with_an_order(Machine)
    rows = np.zeros(400_000, COMMAND)
    rows[["kind", "instrument", "side", "quantity"]] = (1, 3, 1, 5)
    rows["order_type"] = rows["time_in_force"] = 1
    rows["price"] = np.random.default_rng(1).integers(0, 100_000, len(rows))
    with ThreadPoolExecutor(1) as other:
        work = other.submit(machine.apply, rows)
        met = 0
        while not work.done():
            try:
                machine._check()
            except RuntimeError:
                met += 1
    assert met and len(work.result()) == len(rows)


@pytest.mark.parametrize(
    ("secret", "shift"),
    [(0xED617CED2623E4E3, 46), (0x950A5282F56497B1, 46), (0xABED2ACC585B093D, 32), (1, 40), (1, 0)],
)
def test_ids_do_not_pile_up(monkeypatch: pytest.MonkeyPatch, secret: int, shift: int) -> None:
    """The first three are secrets that a hash of two rounds fails with."""
    monkeypatch.setattr("os.urandom", lambda count: secret.to_bytes(count, "little"))
    machine = Machine()
    monkeypatch.undo()
    machine.apply(definitions(*WORLD))
    rows = np.zeros(100_000, COMMAND)
    rows[["kind", "instrument", "side", "quantity"]] = (1, 3, 1, 5)
    rows["order_type"] = rows["time_in_force"] = 1
    rows["order_id"] = np.arange(1, len(rows) + 1, dtype="u8") << np.uint64(shift)
    machine.apply(rows)
    machine._check()


@pytest.mark.parametrize("secret", [0xED617CED2623E4E3, 0x950A5282F56497B1, 1])
@pytest.mark.parametrize("step", [0, 1, -1, 1 << 32], ids=["same", "up", "down", "high"])
def test_ids_of_many_instruments_do_not_pile_up(
    monkeypatch: pytest.MonkeyPatch, secret: int, step: int
) -> None:
    """Every book has the same ids, or ids that move on with its number: one table holds all."""
    count = 2000
    monkeypatch.setattr("os.urandom", lambda count: secret.to_bytes(count, "little"))
    machine = Machine()
    monkeypatch.undo()
    machine.apply(definitions(*(Instrument(f"I{number}", 1) for number in range(count))))
    rows = np.zeros((count, 20), COMMAND)
    rows["instrument"] = np.arange(1, count + 1)[:, None]
    first = (1 << 48) + step * np.arange(count, dtype="i8")[:, None]
    rows["order_id"] = (first + np.arange(20)).astype("u8")
    rows["kind"], rows["side"], rows["quantity"] = Kind.NEW, 1, 5
    rows["order_type"] = rows["time_in_force"] = 1
    assert (machine.apply(rows.ravel())["kind"] == 1).all()
    machine._check()
    assert machine.order(count, int(rows["order_id"][-1, -1]))["quantity"] == 5
    assert machine.order(1, int(rows["order_id"][-1, -1]) + 1) is None
