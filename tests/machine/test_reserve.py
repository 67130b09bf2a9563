"""Memory taken beforehand: the same answers, and what was reserved is what is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flows import definitions, flow
from numpy.typing import NDArray
from test_worst_cases import cancels, orders, resident_bytes

import matchcore as mc

MIB = 1 << 20
SYMBOLS = [mc.Instrument(f"S{number}", "1") for number in range(200)]


def machine(reserve: int) -> mc.Machine:
    made = mc.Machine(reserve)
    made.apply(definitions(*SYMBOLS))
    return made


def crowd(count: int, seed: int = 1) -> NDArray:
    """New orders all over 200 books, at prices that make many leaves."""
    dice = np.random.default_rng(seed)
    return orders(
        count, instrument=dice.integers(1, 201, count), price=dice.integers(1, 5000, count)
    )


@pytest.mark.parametrize("reserve", [1, 8 * MIB, 64 * MIB])
def test_it_changes_no_answer_also_when_it_is_too_little(reserve: int) -> None:
    """Tables grow, move, shrink and are taken again; 40,000 orders need more than 2 MiB."""
    plain, reserved = machine(0), machine(reserve)
    first, second = crowd(40_000), crowd(40_000, 2)
    second["order_id"] += len(first)
    for commands in (
        first,
        cancels(first[::2]),
        second,
        cancels(first[1::2]),
        cancels(second),
        first,
    ):
        assert reserved.apply(commands).tobytes() == plain.apply(commands).tobytes()
        reserved._check()
    assert reserved.digest() == plain.digest()


def test_what_is_reserved_is_what_is_used() -> None:
    commands = crowd(40_000)
    plain, reserved = machine(0), machine(64 * MIB)
    before = resident_bytes()
    reserved.replay(commands)
    between = resident_bytes()
    plain.replay(commands)
    assert between - before < MIB and resident_bytes() - between > 4 * MIB


def test_tables_given_back_are_taken_again() -> None:
    """Without that a few rounds would use up what was reserved, and large tables come from
    elsewhere."""
    dice = np.random.default_rng(3)
    reserved = machine(24 * MIB)
    come = orders(100_000, instrument=dice.integers(1, 21, 100_000), price=5)
    go = cancels(come)
    reserved.replay(come)
    before = resident_bytes()
    for _ in range(10):
        reserved.replay(go)
        reserved.replay(come)
        assert resident_bytes() - before < MIB
    reserved._check()


def test_what_can_not_be() -> None:
    with pytest.raises(ValueError, match="reserve -1"):
        mc.Machine(-1)
    for much in (2**62, 2**64):
        with pytest.raises(MemoryError, match=str(much)):
            mc.Machine(much)
    words: Any = "1 GB"
    with pytest.raises(TypeError):
        mc.Machine(words)


def test_an_engine_that_opens_with_it(tmp_path: Path) -> None:
    """From nothing, from a log, and from a snapshot and the log behind it."""
    stream = flow(1, 3000)
    instruments = [mc.Instrument("A", "1"), mc.Instrument("B", "1")]
    with mc.Engine.open(tmp_path / "x", instruments=instruments, reserve=MIB) as engine:
        engine.submit_batch(stream[:1000])
    for at in (1000, 2000):
        with mc.Engine.open(tmp_path / "x", reserve=MIB) as engine:
            engine.submit_batch(stream[at : at + 1000])
            digest = engine.digest()
            engine.snapshot()
            engine.submit_batch(stream[:0])
    with mc.Engine.open(tmp_path / "x", reserve=MIB) as engine:
        assert engine.recovery.snapshot_sequence == engine.sequence and engine.digest() == digest
        engine._check()
    with pytest.raises(ValueError, match="reserve -1"):
        mc.Engine.open(tmp_path / "x", reserve=-1)
    memory = mc.Engine.memory(instruments=instruments, reserve=MIB)
    memory.submit_batch(stream)
    assert memory.digest() == digest


@pytest.mark.parametrize("machine", ["cython", "reference"])
def test_every_way_to_a_machine_hears_of_it(tmp_path: Path, machine: Any) -> None:
    """From nothing, and from a log: from a snapshot, above."""
    with pytest.raises(ValueError, match="reserve -1"):
        mc.Engine.memory(machine=machine, reserve=-1)
    with pytest.raises(ValueError, match="reserve -1"):
        mc.Engine.open(tmp_path / "x", machine=machine, reserve=-1)
    with mc.Engine.open(tmp_path / "x", machine=machine, reserve=MIB) as engine:
        made = type(engine._machine)
        with pytest.raises(ValueError, match="reserve -1"):
            made.from_state(engine.state(), -1)
    with pytest.raises(ValueError, match="reserve -1"):
        mc.Engine.open(tmp_path / "x", machine=machine, reserve=-1)


def test_who_is_in_the_way_is_told_before_memory_is_taken(tmp_path: Path) -> None:
    with mc.Engine.open(tmp_path), pytest.raises(mc.LogLocked):
        mc.Engine.open(tmp_path, reserve=-1)
