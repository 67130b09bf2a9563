"""Markets in the compiled machine and the reference: the same commands, every event and change, the
whole state."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from market_flows import market_flow, phase, world
from numpy.typing import NDArray

from matchcore import (
    COMMAND,
    EVENT,
    INSTRUMENT,
    Instrument,
    Kind,
    Machine,
    OrderType,
    TimeInForce,
)
from matchcore.machine.reference import Machine as Reference
from matchcore.records.changes import CHANGE
from matchcore.records.instruments import write_instrument
from matchcore.records.schema import Phase, Side

SMALL = (4, 5, 7, 4096)  # sizes of event buffers


def both() -> tuple[Machine, Reference]:
    pair = Machine(), Reference()
    for machine in pair:
        machine.apply(world())
    return pair


def first_difference(fast: NDArray, slow: NDArray) -> str:
    shorter = min(len(fast), len(slow))
    at = next((i for i in range(shorter) if fast[i] != slow[i]), shorter)
    return f"record {at}: {fast.dtype.names}\n{fast[at : at + 1]}\n{slow[at : at + 1]}"


def same(fast: NDArray, slow: NDArray) -> None:
    assert fast.tobytes() == slow.tobytes(), first_difference(fast, slow)


def same_state(fast: Machine, slow: Reference) -> None:
    fast._check()
    one, other = fast.state(), slow.state()
    for number, orders in enumerate(one.orders):
        same(orders, other.orders[number])
    parts = "market_values markets market_orders protections market_trades answers last"
    for part in parts.split():
        same(getattr(one, part), getattr(other, part))
    assert one.to_bytes() == other.to_bytes()


def agree(fast: Machine, slow: Reference, commands: NDArray, room: int | None = None) -> NDArray:
    """Applies to both; compares events byte for byte, then the whole state."""
    said = fast.apply(commands, None if room is None else np.empty(room, EVENT))
    same(said, slow.apply(commands))
    same_state(fast, slow)
    return said


def agree_in_steps(seed: int, count: int, most: int) -> None:
    """A flow in steps of random length, with states that change machines in between."""
    fast, slow = both()
    rng = np.random.default_rng(seed)
    commands, at = market_flow(seed, count), 0
    while at < len(commands):
        step = int(rng.integers(1, most))
        agree(fast, slow, commands[at : at + step], int(rng.choice(SMALL)))
        at += step
        if rng.random() < 0.1:
            fast, slow = Machine.from_state(slow.state()), Reference.from_state(fast.state())
            assert fast.digest() == slow.digest()
    slow._check()


@pytest.mark.parametrize("seed", range(40))
def test_flows_agree(seed: int) -> None:
    agree_in_steps(seed, 600, 60)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.integers(1, 300), st.sampled_from(SMALL))
def test_any_flow_agrees(seed: int, count: int, room: int) -> None:
    fast, slow = both()
    agree(fast, slow, market_flow(seed, count), room)


@pytest.mark.parametrize("seed", range(12))
def test_changes_agree(seed: int) -> None:
    fast, slow = both()
    rng = np.random.default_rng(seed)
    commands, at = market_flow(seed, 600), 0
    while at < len(commands):
        step = commands[at : at + int(rng.integers(1, 200))]
        told = fast.changes(step)
        assert told.dtype == CHANGE
        same(told, slow.changes(step))
        at += len(step)
    same_state(fast, slow)


def change_of_most_orders(most: int) -> NDArray:
    """A CHANGE_INSTRUMENT of the first one that lets so many orders rest."""
    row = np.zeros(1, INSTRUMENT)
    write_instrument(row[0], Instrument("ONE", "0.01", max_orders=most))
    row["kind"], row["instrument"] = Kind.CHANGE_INSTRUMENT, 1
    return row.view(COMMAND)


def crowd(count: int) -> NDArray:
    """Sell orders of one unit, and a buy order that takes them all."""
    rows = np.zeros(count + 1, COMMAND)
    rows["kind"], rows["instrument"], rows["side"] = Kind.NEW, 1, Side.SELL
    rows["order_type"], rows["time_in_force"] = OrderType.LIMIT, TimeInForce.GTC
    rows["price"], rows["quantity"], rows["account"] = 100, 1, 1
    rows["order_id"] = rows["client_order_id"] = np.arange(1, count + 2)
    rows["side"][-1], rows["quantity"][-1] = Side.BUY, count
    return rows


@pytest.mark.parametrize("call", [False, True], ids=["continuous", "call"])
@pytest.mark.parametrize("room", SMALL)
def test_one_command_fills_many_buffers(room: int, call: bool) -> None:
    """What it says beyond the buffer is told before the next command, and remembered."""
    fast, slow = both()
    commands = crowd(39)
    if call:
        calling = phase(1, Phase.VOLATILITY_CALL), phase(1, Phase.CONTINUOUS)
        commands = np.concatenate([calling[0], commands, calling[1]])
    again = np.concatenate([commands, commands[-2:], commands[:3]])
    said = agree(fast, slow, again, room)
    assert (said["kind"] == 2).sum() >= 39
    assert Machine.from_state(fast.state()).digest() == fast.digest()


def test_one_command_makes_more_changes_than_there_is_room_for() -> None:
    """Of 2,000 executions, by `changes`, by `replay` and one by one."""
    commands = crowd(2000)
    commands["client_order_id"] = 0
    by_changes, by_replay, one_by_one = (Machine() for _ in range(3))
    for machine in (by_changes, by_replay, one_by_one):
        machine.apply(world())
        machine.apply(change_of_most_orders(5000))
    told = by_changes.changes(commands)
    assert len(told) == 2000 + 2000
    assert told["taker_order_id"][-1] == 2001
    assert by_replay.replay(commands) == 2001 + 2000
    single = b"".join(one_by_one.apply_one(row.tobytes()) for row in commands)
    assert len(single) == (2001 + 2000) * EVENT.itemsize
    assert by_changes.digest() == by_replay.digest() == one_by_one.digest()
