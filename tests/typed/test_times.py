"""Answers, events and batches say when: the time of their command."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flows import definitions, flow

import matchcore as mc
from matchcore.machine import machine_class

ANA = mc.Instrument("ANA", "0.05")
Opener = Callable[[Path, Callable[[], int]], mc.Engine]
ENGINES: dict[str, Opener] = {
    "a file": lambda path, clock: mc.Engine.open(path, clock=clock),
    "a log in memory": lambda path, clock: mc.Engine.memory(log=mc.MemoryLog(), clock=clock),
    "no log": lambda path, clock: mc.Engine.memory(clock=clock),
    "plain Python": lambda path, clock: mc.Engine.memory(clock=clock, machine="reference"),
}


def order(side: mc.Side, client: int = 0, time: int = 0) -> mc.NewOrder:
    return mc.NewOrder("ANA", side, 5, "1.00", account=1, client_order_id=client, time=time)


@pytest.mark.parametrize("opened", ENGINES.values(), ids=list(ENGINES))
def test_an_answer_has_the_time_of_its_command(tmp_path: Path, opened: Opener) -> None:
    ticks = iter(range(1000, 2000))
    with opened(tmp_path, lambda: next(ticks)) as engine:
        added = engine.submit(mc.AddInstrument(ANA))
        rests = engine.submit(order(mc.Side.SELL))
        (cancelled,) = engine.submit(mc.Cancel("ANA", rests.order_id, time=7)).typed()
        again = engine.submit_async(order(mc.Side.SELL)).result()
        taken = engine.submit(order(mc.Side.BUY, time=np.int64(-3)))  # type: ignore[arg-type]
        refused = engine.submit(order(mc.Side.BUY, time=2**63 - 1))
    assert (added.time, rests.time, again.time, taken.time) == (1000, 1001, 1003, -3)
    assert type(taken.time) is int and refused.time == 2**63 - 1
    assert [event.time for event in taken.typed()] == [-3, -3]
    assert taken.trades[0].time == -3 and cancelled.time == 7
    assert mc.as_plain(taken.trades[0])["time"] == -3


def test_an_awaited_answer_has_it_as_well() -> None:
    async def told() -> mc.Answer:
        engine = mc.Engine.memory(instruments=[ANA], log=mc.MemoryLog(), clock=lambda: 9)
        async with mc.AsyncEngine(engine) as exchange:
            return await exchange.submit(order(mc.Side.BUY))

    assert asyncio.run(told()).time == 9


def test_a_repeat_has_its_own_time_and_not_that_of_what_it_tells_again() -> None:
    ticks = iter(range(1000, 2000))
    log = mc.MemoryLog()
    engine = mc.Engine.memory(instruments=[ANA], log=log, clock=lambda: next(ticks))
    engine.submit(order(mc.Side.SELL))
    first, again = (engine.submit(order(mc.Side.BUY, client=4)) for _ in range(2))
    assert not first.repeat and again.repeat
    assert (first.time, first.trades[0].time) == (1002, 1002)
    assert again.trades[0].time == 0 and again.time == 1003  # whichever is asked first
    assert again.typed()[0].time == 0 and again.trades == first.trades
    times = np.concatenate([frame.commands["time"] for frame in log.frames()])
    assert times[again.first_sequence - 1] == first.time  # the log has it


def test_an_answer_of_a_fork_has_the_time_that_its_command_was_given() -> None:
    fork = mc.Engine.memory(instruments=[ANA]).fork()
    assert fork.submit(order(mc.Side.SELL)).time == 0
    taken = fork.submit(order(mc.Side.BUY, time=11))
    assert (taken.time, taken.trades[0].time) == (11, 11)


def test_a_decoded_event_has_the_time_that_is_given() -> None:
    engine = mc.Engine.memory(instruments=[ANA])
    (row,) = engine.submit_batch(mc.encode_all([order(mc.Side.SELL, time=5)], engine.instruments))
    assert mc.decode_event(row, engine.instruments).time == 0
    assert mc.decode_event(row, engine.instruments, np.int64(5)).time == 5  # type: ignore[arg-type]
    with pytest.raises(mc.InvalidArgument, match=r"^time 2\.5"):
        mc.decode_event(row, engine.instruments, 2.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(4))
def test_the_times_of_a_batch_are_those_of_its_commands(seed: int) -> None:
    machine = machine_class("cython")()
    machine.apply(definitions(mc.Instrument("ONE", "0.01"), mc.Instrument("TWO", "0.5")))
    for part in np.split(flow(seed, 900, again=0.3), 3):
        first = machine.sequence + 1
        events = machine.apply(part)
        by_sequence = dict(enumerate(part["time"].tolist(), first))
        expected = [by_sequence.get(sequence, 0) for sequence in events["sequence"].tolist()]
        assert mc.times_of(events, part).tolist() == expected
        some = events[::7]
        assert mc.times_of(some, part, first).tolist() == expected[::7]
        assert mc.times_of(some, part[::-1][:0], first).tolist() == [0] * len(some)
        with pytest.raises(ValueError, match="not all"):
            mc.times_of(some, part)
    assert (events["sequence"] < first).any()  # some were told again


def test_times_of_nothing_and_of_what_is_no_batch() -> None:
    nothing, commands = np.empty(0, mc.EVENT), np.ones(1, mc.COMMAND)
    assert mc.times_of(nothing, commands[:0]).tolist() == []
    assert mc.times_of(nothing, commands, 2**64 - 1).tolist() == []
    with pytest.raises(ValueError, match="not all"):
        mc.times_of(nothing, commands)
    with pytest.raises(TypeError, match="COMMAND"):
        mc.times_of(nothing, nothing)
    with pytest.raises(mc.InvalidArgument, match=r"^first_sequence -1"):
        mc.times_of(nothing, commands, -1)
