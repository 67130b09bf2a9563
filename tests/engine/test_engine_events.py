"""`Engine.events`: everything that is durable, once and in order, from any place on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from engine_kit import WORLD, Held, filled, logged, opened, order
from flows import flow
from hypothesis import given, settings
from hypothesis import strategies as st

import matchcore as mc
from matchcore.engine.streaming import Stream
from matchcore.engine.taps import Logged
from matchcore.machine import machine_class
from matchcore.records.commands import COMMAND
from matchcore.records.events import EVENT


def taken(stream: mc.Events, upto: int) -> list[Logged]:
    """What comes, until a sequence."""
    found: list[Logged] = []
    while not found or found[-1].last < upto:
        part = stream.read(20)
        assert part is not None, f"nothing behind {found[-1].last if found else 'the start'}"
        found.append(part)
    return found


def put_together(parts: list[Logged], after: int) -> tuple[np.ndarray, np.ndarray]:
    """Commands and events; asserts that the parts follow each other."""
    for part in parts:
        assert part.first == after + 1
        after = part.last
    commands = np.concatenate([np.empty(0, COMMAND), *(part.commands for part in parts)])
    events = np.concatenate([np.empty(0, EVENT), *(part.events for part in parts)])
    return commands, events


def expected(engine: mc.Engine, after: int) -> tuple[np.ndarray, np.ndarray]:
    """What a machine of its own makes of the log, beyond a sequence."""
    machine, commands, events = machine_class("cython")(), [], []
    assert engine.log is not None
    for frame in engine.log.frames():
        if not machine.sequence:
            machine.begin_under(frame.under)
        rows = frame.commands
        if frame.rules:
            said = [machine.upgrade(frame.rules)]
        else:
            said = [machine.apply(rows[at : at + 1]) for at in range(len(rows))]
        for at, (row, one) in enumerate(zip(rows, said, strict=True), frame.first_sequence):
            if at > after:
                commands.append(row)
                events.append(one)
    return np.array(commands, COMMAND), np.concatenate([np.empty(0, EVENT), *events])


def agrees(engine: mc.Engine, parts: list[Logged], after: int) -> None:
    commands, events = put_together(parts, after)
    wanted_commands, wanted_events = expected(engine, after)
    assert commands.tobytes() == wanted_commands.tobytes()
    assert events.tobytes() == wanted_events.tobytes()


@pytest.fixture(params=["file", "memory"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[mc.Engine]:
    if request.param == "file":
        made = opened(tmp_path / "x")
    else:
        made = mc.Engine.memory(instruments=WORLD, log=mc.MemoryLog())
    with made:
        yield made


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(st.sampled_from([1, 2, 40, 511, 512, 1500]), min_size=1, max_size=8),
    ways=st.integers(0, 2**16),
    after=st.integers(0, 600),
    begins=st.integers(0, 8),
    most=st.sampled_from([1, 5000, 1 << 26]),
    seed=st.integers(0, 99),
)
def test_all_comes_once_and_in_order(
    steps: list[int], ways: int, after: int, begins: int, most: int, seed: int
) -> None:
    """Whatever the sizes, however they are sent, wherever it begins, and however slow it is."""
    commands, at = flow(seed, sum(steps)), 0
    with mc.Engine.memory(instruments=WORLD, log=mc.MemoryLog()) as engine:
        stream, found, futures = None, [], []
        for number, step in enumerate(steps):
            if number == min(begins, len(steps) - 1):
                after = min(after, engine.sequence)
                stream = Stream(engine, after, lambda: None, most=most)
            part = commands[at : at + step]
            at += step
            if ways >> 2 * number & 1:
                futures.append(engine.submit_async(part))
            else:
                engine.submit_batch(part)
            if stream is not None and ways >> 2 * number & 2:
                found += stream.poll()
        for future in futures:
            future.result(20)
        assert stream is not None
        while stream.sequence < engine.sequence:
            found += stream.poll()
        assert stream.poll() == []
        agrees(engine, found, after)


def test_it_reads_what_was_before_and_gets_what_comes(engine: mc.Engine) -> None:
    engine.submit_batch(flow(1, 300))
    with engine.events(after=7) as stream:
        found = taken(stream, engine.sequence)
        engine.submit(order(1))
        engine.submit_batch(flow(2, 20))
        engine.submit_batch(flow(3, 2000))
        engine.submit_async(flow(4, 700)).result(20)
        found += taken(stream, engine.sequence)
        assert stream.read(0) is None
        agrees(engine, found, 7)


def test_a_change_of_rules_and_a_repeat_are_parts_like_others(tmp_path: Path) -> None:
    with opened(tmp_path) as engine, engine.events() as stream:
        engine.submit(order(5))
        engine.submit(order(5))
        found = taken(stream, engine.sequence)
        agrees(engine, found, 0)
        assert engine.submit(order(5)).repeat


def test_an_array_that_its_owner_changes_at_once_is_handed_on_as_it_was(engine: mc.Engine) -> None:
    with engine.events(after=engine.sequence) as stream:
        for count in (3, 600):
            mine = flow(5, count)
            sent = engine.submit_async(mine)
            mine["quantity"] = 1 << 40
            sent.result(20)
            engine.submit_batch(flow(6, count))
        found = taken(stream, engine.sequence)
        agrees(engine, found, found[0].first - 1)


def test_nothing_is_handed_on_before_it_is_durable() -> None:
    log = Held()
    engine = mc.Engine.memory(instruments=WORLD, log=log)
    with engine, engine.events(after=engine.sequence) as stream:
        log.hold()
        sent = engine.submit_async(order(1))
        assert log.entered.wait(20)
        assert stream.read(0) is None
        log.free.set()
        sent.result(20)
        part = stream.read(0)
        assert part is not None and len(part.commands) == 1, "handed on before the answer"


def test_a_slow_follower_reads_the_log_and_costs_no_memory(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        stream = Stream(engine, engine.sequence, lambda: None, most=10_000)
        after = stream.sequence
        for seed in range(30):
            engine.submit_batch(flow(seed, 50))
        assert stream.reads
        found = stream.poll()
        while stream.sequence < engine.sequence:
            found += stream.poll()
        assert stream.poll() == [] and not stream.reads
        engine.submit(order(1))
        found += stream.poll()
        agrees(engine, found, after)
        stream.close()


def test_awaited_it_is_the_same(engine: mc.Engine) -> None:
    async def follow() -> list[Logged]:
        found, asynchronous = [], mc.AsyncEngine(engine)
        async with asynchronous.events(after=3) as stream:
            await asynchronous.submit_batch(flow(2, 30))
            async for part in stream:
                found.append(part)
                if part.last == engine.sequence:
                    if len(found) > 3:
                        break
                    await asynchronous.submit(order(len(found)))
        return found

    engine.submit_batch(flow(1, 300))
    agrees(engine, asyncio.run(follow()), 3)


def test_a_task_that_is_cancelled_leaves_what_it_read_to_the_next(engine: mc.Engine) -> None:
    async def follow() -> list[Logged]:
        found: list[Logged] = []
        async with mc.AsyncEngine(engine).events() as stream:
            while not found or found[-1].last < engine.sequence:
                asked = asyncio.ensure_future(anext(stream))
                await asyncio.sleep(0)  # it is in the other thread, or done
                if asked.done() or not asked.cancel():
                    found.append(await asked)
                await asyncio.sleep(0.001)
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            waiting.cancel()
        return found

    for seed in range(4):
        engine.submit_batch(flow(seed, 3000))
    agrees(engine, asyncio.run(follow()), 0)


def test_awaited_it_ends_when_the_engine_is_closed(engine: mc.Engine) -> None:
    async def follow() -> int:
        asynchronous = mc.AsyncEngine(engine)
        stream = asynchronous.events(after=engine.sequence)
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        await asynchronous.close()
        return len([part async for part in stream]) + isinstance(
            await asyncio.gather(waiting, return_exceptions=True), list
        )

    assert asyncio.run(follow()) == 1


def test_it_ends_when_the_engine_is_closed(engine: mc.Engine) -> None:
    stream, parts = engine.events(), []
    reader = threading.Thread(target=lambda: parts.extend(stream))
    reader.start()
    engine.submit_batch(flow(1, 100))
    engine.close()
    reader.join(20)
    assert not reader.is_alive()
    agrees(engine, parts, 0)


def test_a_failed_log_is_told_behind_what_it_has() -> None:
    class Failing(mc.MemoryLog):
        fails = False

        def sync(self, *, to_disk: bool = False) -> None:
            if self.fails:
                raise OSError("no more room")
            super().sync()

    log = Failing()
    engine = mc.Engine.memory(instruments=WORLD, log=log)
    stream = engine.events(after=engine.sequence)
    engine.submit(order(1))
    log.fails = True
    with pytest.raises(mc.LogFailed):
        engine.submit(order(2))
    assert len(next(stream).commands) == 1
    with pytest.raises(mc.LogFailed, match="grows no more: no more room"):
        next(stream)


def test_an_engine_without_a_log_is_followed_from_now_on() -> None:
    engine = mc.Engine.memory(instruments=WORLD)
    engine.submit(order(1))
    with pytest.raises(mc.NotInTheLog, match="begins with sequence"):
        engine.events()
    with engine, engine.events(after=engine.sequence) as stream:
        first = engine.sequence + 1
        events = engine.submit_batch(flow(1, 30))
        part = next(stream)
        assert part.first == first and part.events.tobytes() == events.tobytes()
    assert engine.durability.policy == "memory"


@pytest.mark.parametrize("after, why", [(10**6, "ends with"), (-1, "at least 0"), ("x", "whole")])
def test_places_that_there_are_not(tmp_path: Path, after: object, why: str) -> None:
    with opened(tmp_path) as engine, pytest.raises((mc.NotInTheLog, mc.InvalidArgument), match=why):
        engine.events(after=after)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(mc.LogError, match="closed"):
        engine.events()


def test_reopened_it_goes_on_where_a_follower_stands(tmp_path: Path) -> None:
    filled(tmp_path)
    with opened(tmp_path) as engine, engine.events(after=100) as stream:
        engine.submit(order(1))
        agrees(engine, taken(stream, engine.sequence), 100)
    assert len(logged(tmp_path)) == engine.recovery.commands + 1
