"""States: canonical bytes, one digest for both machines, and what damaged bytes may do."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import numpy as np
import pytest
from flows import definitions, flow
from hypothesis import given, settings
from hypothesis import strategies as st

from matchcore import COMMAND, INSTRUMENT, ORDER, Instrument, Kind, Machine, SnapshotDamaged, State
from matchcore.errors import UnknownRules
from matchcore.machine.reference import Machine as Reference
from matchcore.records.commands import among
from matchcore.records.schema import KINDS_OF_2

MACHINES: list[Any] = [Machine, Reference]
NAMES = ["cython", "reference"]
on_both_machines = pytest.mark.parametrize("made", MACHINES, ids=NAMES)
WORLD = (Instrument("ONE", "0.01"), Instrument("TWO", "0.50", lot=3, max_quantity=999))
HEAD = struct.Struct("<8s14Q")  # with the version of the rules, and what each adds
TABLE = HEAD.size
COUNTS = TABLE + 2 * INSTRUMENT.itemsize
ORDERS = COUNTS + 2 * 8


def machine_after(
    made: Any, seed: int = 5, count: int = 400, extreme: bool = False, named: bool = True
) -> Any:
    """After a flow, of which it remembers the answers if the commands are `named`.

    Without names it has no limits and no register either.
    """
    machine, commands = made(), flow(seed, count, extreme=extreme)
    if not named:
        commands["client_order_id"] = 0
        commands = commands[~among(commands["kind"], KINDS_OF_2)]
    machine.apply(definitions(*WORLD))
    machine.apply(commands)
    return machine


#: (instrument, id, side, price, quantity): what rests in the state that the tests below damage.
RESTING = [(1, 1, 1, 50, 7), (1, 2, 1, 50, 8), (1, 3, 1, -9, 9), (1, 4, 2, 60, 7), (1, 5, 2, 61, 8),
           (1, 6, 2, 61, 9), (2, 7, 1, 10, 3), (2, 8, 2, 11, 6)]  # fmt: skip


def small_machine(made: Any) -> Any:
    """Flows, then all cancelled, then RESTING; no answer is remembered."""
    machine = machine_after(made, named=False)
    rows = np.zeros(1 + len(RESTING), COMMAND)
    rows["kind"] = [Kind.MASS_CANCEL] + [Kind.NEW] * len(RESTING)
    for name, values in zip(
        ("instrument", "order_id", "side", "price", "quantity"), zip(*RESTING, strict=True),
        strict=True,
    ):  # fmt: skip
        rows[name][1:] = values
    rows["order_type"] = rows["time_in_force"] = 1
    machine.apply(rows)
    return machine


BYTES = small_machine(Machine).state().to_bytes()
ROWS = len(RESTING)
END = ORDERS + ROWS * ORDER.itemsize  # behind them: the last trades


@pytest.mark.parametrize("extreme", [False, True], ids=["small", "extreme"])
@pytest.mark.parametrize("seed", range(4))
def test_both_machines_have_the_same_bytes_and_digest(seed: int, extreme: bool) -> None:
    fast, slow = (machine_after(made, seed, extreme=extreme) for made in MACHINES)
    data = fast.state().to_bytes()
    assert data == slow.state().to_bytes() and len(data) > ORDERS
    assert fast.digest() == slow.digest() == hashlib.sha256(data).hexdigest()


def test_the_bytes_are_those_of_the_rule_book() -> None:
    state = small_machine(Reference).state()
    head = HEAD.pack(
        b"MCSTATE3",
        state.sequence,
        state.next_order_id,
        state.next_trade_id,
        2,
        0,
        0,
        3,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    )
    assert BYTES[:TABLE] == head and state.sequence > 300
    table = np.frombuffer(BYTES, INSTRUMENT, 2, TABLE)
    assert table["symbol"].tolist() == [b"ONE", b"TWO"]
    assert table["instrument"].tolist() == [1, 2]
    assert table[["time", "kind"]].tolist() == [(0, 0), (0, 0)]
    assert table[["tick_mantissa", "tick_exponent"]].tolist() == [(1, -2), (5, -1)]
    counts = np.frombuffer(BYTES, "<u8", 2, COUNTS).tolist()
    assert counts == [6, 2]
    orders = np.frombuffer(BYTES, ORDER, 8, ORDERS)
    assert orders["order_id"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert orders["quantity"].tolist() == [7, 8, 9, 7, 8, 9, 3, 6]
    assert BYTES[ORDERS:END] == b"".join(orders.tobytes() for orders in state.orders)
    assert BYTES[END:] == state.last.tobytes() and len(state.last) == 2


@on_both_machines
def test_bytes_make_the_same_state_and_machine_again(made: Any) -> None:
    state = State.from_bytes(BYTES)
    assert state.to_bytes() == BYTES == State.from_bytes(memoryview(BYTES)).to_bytes()
    assert (ROWS, len(BYTES)) == (8, ORDERS + 8 * 48 + 2 * 16)
    machine = made.from_state(state)
    machine._check()
    assert machine.state().to_bytes() == BYTES
    counters = (machine.sequence, machine.next_order_id, machine.next_trade_id)
    assert counters == (state.sequence, state.next_order_id, state.next_trade_id)
    assert list(machine.instruments) == list(WORLD)


@pytest.mark.parametrize("taker", MACHINES, ids=NAMES)
@pytest.mark.parametrize("giver", MACHINES, ids=NAMES)
def test_a_machine_goes_on_from_a_state_as_if_nothing_had_been(giver: Any, taker: Any) -> None:
    live = machine_after(giver)
    restored = taker.from_state(live.state())
    more = flow(6, 300)
    assert restored.apply(more).tobytes() == live.apply(more).tobytes()
    assert restored.digest() == live.digest()


@on_both_machines
def test_a_state_is_a_copy(made: Any) -> None:
    machine = machine_after(made)
    state = machine.state()
    before = state.to_bytes()
    machine.apply(flow(8, 50))
    assert state.to_bytes() == before != machine.state().to_bytes()
    state.orders[0]["quantity"] = 1
    machine._check()


@pytest.mark.parametrize("field", ["sequence", "next_order_id", "next_trade_id"])
def test_the_digest_holds_every_counter(field: str) -> None:
    state = State.from_bytes(BYTES)
    before = state.digest()
    setattr(state, field, getattr(state, field) + 1)
    assert state.digest() != before


@on_both_machines
def test_an_empty_machine_has_a_state(made: Any) -> None:
    data = made().state().to_bytes()
    assert data == HEAD.pack(b"MCSTATE3", 0, 1, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0)
    assert made.from_state(State.from_bytes(data)).digest() == made().digest()


@pytest.mark.parametrize("length", [*range(ORDERS + 1), len(BYTES) - 48, len(BYTES) - 1])
def test_cut_bytes_are_damaged(length: int) -> None:
    with pytest.raises(SnapshotDamaged):
        State.from_bytes(BYTES[:length])


@pytest.mark.parametrize("more", [b"\0", bytes(48), BYTES])
def test_bytes_that_go_on_are_damaged(more: bytes) -> None:
    with pytest.raises(SnapshotDamaged):
        State.from_bytes(BYTES + more)


def restored(made: Any, data: bytes) -> bytes | None:
    """The bytes of a machine restored from these, or None if they are refused."""
    try:
        machine = made.from_state(State.from_bytes(data))
    except (SnapshotDamaged, UnknownRules):
        return None
    machine._check()
    machine.apply(flow(1, 100))  # it works, whatever is in it
    machine._check()
    return bytes(made.from_state(State.from_bytes(data)).state().to_bytes())


def changed(at: int, value: bytes) -> bytes:
    assert at + len(value) <= len(BYTES)
    return BYTES[:at] + value + BYTES[at + len(value) :]


def order_at(index: int, **fields: int) -> bytes:
    """The state with these fields in one order's record."""
    rows = np.frombuffer(BYTES, ORDER, ROWS, ORDERS).copy()
    for name, value in fields.items():
        rows[name][index] = value
    return BYTES[:ORDERS] + rows.tobytes() + BYTES[END:]


IMPOSSIBLE = {
    "an order without id": order_at(2, order_id=0),
    "an order of nothing": order_at(2, quantity=0),
    "an order of less than nothing": order_at(2, quantity=-5),
    "no side": order_at(2, side=0),
    "side 3": order_at(2, side=3),
    "an order that is immediate": order_at(2, time_in_force=3),
    "no time in force": order_at(2, time_in_force=0),
    "unknown flags": order_at(2, flags=2),
    "reserved bytes": order_at(2, reserved=1),
    "a price out of order": order_at(0, price=49),
    "a crossed book": order_at(0, price=60),
    "a sell among the buys": order_at(0, side=2),
    "the same order twice": order_at(4, order_id=1),
    "another magic": changed(0, b"MCSTATE1"),
    "more instruments than there can be": changed(32, struct.pack("<Q", 2**20 + 1)),
    "one instrument more": changed(32, struct.pack("<Q", 3)),
    "one order more": changed(COUNTS, struct.pack("<Q", ROWS + 1)),
    "2^64 - 1 orders": changed(COUNTS, struct.pack("<Q", 2**64 - 1)),
}


@on_both_machines
@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_an_impossible_state_is_damaged(made: Any, what: str) -> None:
    assert IMPOSSIBLE[what] != BYTES
    assert restored(made, IMPOSSIBLE[what]) is None


@on_both_machines
def test_a_level_of_more_than_63_bits_is_damaged(made: Any) -> None:
    rows = np.zeros(2, ORDER)
    rows["order_id"], rows["side"], rows["time_in_force"] = [1, 2], 1, 1
    rows["quantity"] = [2**63 - 1, 1]
    state = State(instruments=[WORLD[0]], orders=[rows])
    with pytest.raises(SnapshotDamaged):
        made.from_state(state)
    rows["quantity"] = [2**63 - 2, 1]
    made.from_state(state)._check()


FORGED = {
    "a symbol that is not ASCII": changed(TABLE + 8, b"\xff"),
    "an empty symbol": changed(TABLE + 8, bytes(24)),
    "a lot of 0": changed(TABLE + 40, bytes(8)),
    "a tick of 0": changed(TABLE + 32, bytes(8)),
    "a limit of 0 orders": changed(TABLE + 56, bytes(8)),
    "a symbol twice": changed(TABLE + 8, b"TWO"),
    "counts that wrap around": changed(COUNTS, struct.pack("<QQ", 2**63 + ROWS, 2**63)),
}


@on_both_machines
@pytest.mark.parametrize("what", FORGED)
def test_a_forged_instrument_table_is_damaged(made: Any, what: str) -> None:
    assert FORGED[what] != BYTES
    assert restored(made, FORGED[what]) is None


NOT_CANONICAL = {
    "a kind in the instrument table": changed(TABLE + 76, b"\x07"),
    "a time in the instrument table": changed(TABLE, b"\x01"),
    "another number in the instrument table": changed(TABLE + 72, b"\x09"),
    "a tick with more decimals than it needs": changed(TABLE + 32, struct.pack("<q", 10)),
    "bytes that mean nothing": changed(TABLE + 80, b"\x01"),
}


@pytest.mark.parametrize("what", NOT_CANONICAL)
def test_bytes_that_are_not_canonical_are_damaged(what: str) -> None:
    with pytest.raises(SnapshotDamaged, match="not in the form"):
        State.from_bytes(NOT_CANONICAL[what])


@on_both_machines
@pytest.mark.parametrize(
    ("name", "value"),
    [("sequence", -1), ("sequence", 2**64)]
    + [(name, value) for name in ("next_order_id", "next_trade_id") for value in (0, 2**64)],
)
def test_a_counter_that_no_exchange_has_is_damaged(made: Any, name: str, value: int) -> None:
    with pytest.raises(SnapshotDamaged, match=name):
        made.from_state(State(**{name: value}))


@on_both_machines
def test_instruments_that_no_exchange_has_are_damaged(made: Any) -> None:
    none = np.zeros(0, ORDER)
    with pytest.raises(SnapshotDamaged, match="symbol twice"):
        made.from_state(State(instruments=[WORLD[0]] * 2, orders=[none] * 2))
    with pytest.raises(SnapshotDamaged, match="2 instruments with 1 books"):
        made.from_state(State(instruments=list(WORLD), orders=[none]))


@on_both_machines
@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(BYTES) - 1), st.integers(1, 255)), max_size=4))
def test_flipped_bits_are_refused_or_make_a_sound_machine(
    made: Any, flips: list[tuple[int, int]]
) -> None:
    data = bytearray(BYTES)
    for at, bits in flips:
        data[at] ^= bits
    restored(made, bytes(data))


def test_every_flipped_byte_of_a_state_means_the_same_to_both_machines() -> None:
    refused = 0
    for at in range(0, len(BYTES)):
        data = bytearray(BYTES)
        data[at] ^= 1 << at % 8
        fast, slow = (restored(made, bytes(data)) for made in MACHINES)
        assert fast == slow, at
        refused += fast is None
    assert ROWS * 5 < refused < len(BYTES)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=600), st.integers(0, 2))
def test_any_bytes_behind_the_magic_do_no_harm(noise: bytes, instruments: int) -> None:
    head = HEAD.pack(b"MCSTATE3", 1, 1, 1, instruments, 0, 0, 3, *[0] * 7)
    for made in MACHINES:
        restored(made, head + noise)
