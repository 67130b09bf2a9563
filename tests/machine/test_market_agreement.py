"""Markets in the compiled machine and the reference: the same commands, every event and change, the
whole state."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from market_flows import market_flow, world
from numpy.typing import NDArray

from matchcore import EVENT, Machine
from matchcore.machine.reference import Machine as Reference
from matchcore.records.changes import CHANGE

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
    for part in ("market_values", "markets", "market_orders", "protections", "answers", "last"):
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
