"""Batches of any size and cut give the same events; only `COMMAND` arrays are taken."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from engine_kit import ANA, WORLD, logged, opened, replayed
from flows import flow
from hypothesis import given, settings
from hypothesis import strategies as st

import matchcore as mc


def memory(**more: object) -> mc.Engine:
    return mc.Engine.memory(instruments=WORLD, **more)  # type: ignore[arg-type]


@given(cuts=st.lists(st.integers(0, 400), max_size=12), seed=st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_where_a_flow_is_cut_makes_no_difference(cuts: list[int], seed: int) -> None:
    commands = flow(seed, 400)
    whole, parts = memory(), memory(log=mc.MemoryLog())
    wanted = whole.submit_batch(commands)
    edges = [0, *sorted(cuts), 400]
    got = [parts.submit_batch(commands[a:b]) for a, b in pairwise(edges)]
    assert np.concatenate(got).tobytes() == wanted.tobytes()
    assert parts.digest() == whole.digest()


@pytest.mark.parametrize("step", [1, 16, 17, 511, 512, 513, 1200])
def test_the_way_to_the_log_makes_no_difference(tmp_path: Path, step: int) -> None:
    commands = flow(4, 1200)
    whole = memory()
    wanted = whole.submit_batch(commands)
    with opened(tmp_path, policy="os") as engine:
        got = [engine.submit_batch(commands[at : at + step]) for at in range(0, 1200, step)]
        assert engine.log is not None and engine.log.durable == engine.sequence == 1202
        assert engine.digest() == whole.digest()
    assert np.concatenate(got).tobytes() == wanted.tobytes()
    assert logged(tmp_path)[2:].tobytes() == commands.tobytes()


def test_a_huge_batch_is_one_answer(tmp_path: Path) -> None:
    commands = flow(5, 70_000)
    with opened(tmp_path, segment_bytes=1 << 18) as engine:
        events = engine.submit_batch(commands)
        assert engine.sequence == 70_002
        assert np.array_equal(np.unique(events["sequence"]), np.arange(3, 70_003))
        digest = engine.digest()
    assert len(list(tmp_path.glob("journal-*"))) > 1
    assert replayed(tmp_path) == digest
    assert memory().submit_batch(commands).tobytes() == events.tobytes()


@pytest.mark.parametrize("log", [None, mc.MemoryLog])
def test_a_huge_batch_in_memory(log: type[mc.MemoryLog] | None) -> None:
    kept = log() if log else None
    engine = memory(log=kept)
    engine.submit_batch(flow(6, 140_000))
    assert engine.sequence == 140_002
    if kept is not None:
        assert mc.Engine.memory(log=kept).digest() == engine.digest()


def test_an_empty_batch_is_no_command(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        size = sum(file.stat().st_size for file in tmp_path.iterdir())
        events = engine.submit_batch(np.zeros(0, mc.COMMAND))
        assert (len(events), events.dtype, engine.sequence) == (0, mc.EVENT, 2)
        assert sum(file.stat().st_size for file in tmp_path.iterdir()) == size


@pytest.mark.parametrize(
    ("given_", "error"),
    [
        (np.zeros(3, mc.EVENT), TypeError),
        (np.zeros(3, "u8"), TypeError),
        (np.zeros(3, mc.INSTRUMENT), TypeError),
        ([], TypeError),
        (None, TypeError),
        (b"", TypeError),
        (np.zeros(3, mc.COMMAND)[0], ValueError),
        (np.zeros((), mc.COMMAND), ValueError),
        (np.zeros((2, 2), mc.COMMAND), ValueError),
    ],
)
def test_anything_else_is_refused_and_the_engine_goes_on(
    given_: object, error: type[Exception]
) -> None:
    engine = memory(log=mc.MemoryLog())
    with pytest.raises(error, match="commands"):
        engine.submit_batch(given_)  # type: ignore[arg-type]
    assert engine.sequence == 2
    engine.end_day()


@pytest.mark.parametrize("count", [40, 1000])
def test_strided_reversed_and_read_only_arrays_are_taken(tmp_path: Path, count: int) -> None:
    commands = flow(7, count)
    doubled = np.repeat(commands, 2)
    frozen = commands.copy()
    frozen.flags.writeable = False
    said = []
    for n, array in enumerate((commands, doubled[::2], commands[::-1][::-1], frozen)):
        with opened(tmp_path / str(n)) as engine:
            said.append(engine.submit_batch(array).tobytes())
        assert logged(tmp_path / str(n))[2:].tobytes() == commands.tobytes()
    assert len(set(said)) == 1


def test_commands_without_a_time_get_the_clocks(tmp_path: Path) -> None:
    times = iter(range(1000, 2000))
    with opened(tmp_path, clock=lambda: next(times)) as engine:
        commands = flow(1, 6)
        commands["time"] = [0, 7, 0, -3, 2**63 - 1, 0]
        events = engine.submit_batch(commands)
        engine.submit(mc.NewOrder("ONE", mc.Side.BUY, 1, "1.00"))
        engine.submit(mc.NewOrder("ONE", mc.Side.BUY, 1, "1.00", time=55))
    assert logged(tmp_path)["time"].tolist() == [
        1000, 1001, 1002, 7, 1002, -3, 2**63 - 1, 1002, 1003, 55,
    ]  # fmt: skip
    assert set(events["sequence"]) == set(range(3, 9))


def test_the_callers_array_is_never_written_to() -> None:
    engine = memory(clock=lambda: 9)
    commands = flow(1, 600)
    commands["time"][::3] = 0
    before = commands.tobytes()
    engine.submit_batch(commands)
    assert commands.tobytes() == before


@pytest.mark.parametrize("machine", ["cython", "reference"])
def test_a_log_in_memory_replays(machine: str) -> None:
    log = mc.MemoryLog()
    first = memory(log=log)
    first.submit_batch(flow(3, 800))
    first.end_day()
    again = mc.Engine.memory(log=log, machine=machine, instruments=[*WORLD, ANA])
    assert again.sequence == first.sequence + 1 == log.sequence
    assert [o.tobytes() for o in again.state().orders[:2]] == [
        o.tobytes() for o in first.state().orders
    ]
    assert again.identity == first.identity == log.identity


def test_without_a_log_there_is_no_identity() -> None:
    engine = mc.Engine.memory()
    assert (engine.identity, engine.log, engine.sequence) == (b"", None, 0)


def test_events_name_their_sequence_in_order(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        events = engine.submit_batch(flow(9, 2000))
    assert (np.diff(events["sequence"].astype("i8")) >= 0).all()
    trades = events[events["kind"] == mc.EventKind.TRADED]
    assert len(trades) > 50
    assert trades["trade_id"].tolist() == list(range(1, len(trades) + 1))
