"""What is refused is refused before it has an effect."""

from __future__ import annotations

import asyncio
import gc
import threading
from pathlib import Path

import pytest
from engine_kit import WORLD, Held, logged, opened, order
from flows import flow

import matchcore as mc
from matchcore.engine.answers import Answer


def test_one_async_engine_serves_one_loop_after_the_other(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    front = mc.AsyncEngine(engine)

    async def work(first: int) -> list[int]:
        sent = [front.submit(order(first + n)) for n in range(5)]
        return [answer.sequence for answer in await asyncio.gather(*sent)]

    for turn in range(3):
        at = 3 + 5 * turn
        assert asyncio.run(asyncio.wait_for(work(at), 20)) == list(range(at, at + 5))
    assert len(front._boxes) == 1  # those of loops that were closed are gone
    engine.close()
    assert len(logged(tmp_path)) == 17


def test_one_async_engine_serves_loops_of_several_threads(tmp_path: Path) -> None:
    engine = opened(tmp_path, queue_depth=4)
    front, found = mc.AsyncEngine(engine), []

    async def work(number: int) -> None:
        async def one(n: int) -> int:
            return (await front.submit(order(1000 * number + n))).sequence

        found.extend(await asyncio.gather(*[one(n) for n in range(50)]))

    threads = [
        threading.Thread(target=asyncio.run, args=(work(number),), daemon=True)
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    engine.close()
    assert sorted(found) == list(range(3, 203))


def test_a_loop_that_ended_before_its_answer_hurts_nobody() -> None:
    log = Held()
    engine = mc.Engine.memory(instruments=WORLD, log=log)
    log.hold()
    front = mc.AsyncEngine(engine)

    async def leaves() -> None:
        task = asyncio.ensure_future(front.submit(order(1)))
        assert await asyncio.to_thread(log.entered.wait, 20)
        task.cancel()

    async def stays() -> int:
        return (await front.submit(order(2))).sequence

    asyncio.run(leaves())
    log.free.set()
    assert asyncio.run(asyncio.wait_for(stays(), 20)) == 4
    engine.close()


def test_instruments_of_which_one_conflicts_are_not_added(tmp_path: Path) -> None:
    opened(tmp_path).close()
    new, other = mc.Instrument("NEW", "1"), mc.Instrument("TWO", "0.25")
    with pytest.raises(mc.InstrumentConflict):
        mc.Engine.open(tmp_path, instruments=[new, other])
    assert len(logged(tmp_path)) == 2


def test_an_answer_that_cannot_be_made_sends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = opened(tmp_path)

    def refuse(*given: object) -> None:
        raise MemoryError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(Answer, "__init__", refuse)
        for send in (engine.submit, engine.submit_async):
            with pytest.raises(MemoryError):
                send(order())
    assert engine.submit(order()).sequence == 3
    engine.close()


@pytest.mark.parametrize("wrong", [1.5, "now", 2**63])
def test_a_clock_that_gives_no_time_sends_nothing(tmp_path: Path, wrong: object) -> None:
    times: list[object] = [1, 2]
    engine = opened(tmp_path, clock=lambda: times.pop(0) if times else wrong)
    for send in (lambda: engine.submit(order()), lambda: engine.submit_batch(flow(1, 5))):
        with pytest.raises((TypeError, OverflowError)):
            send()
    assert engine.sequence == 2
    times += [3, 4]
    assert engine.submit(order()).sequence == 3
    engine.close()


def test_a_thread_that_cannot_be_started_sends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = mc.Engine.open(tmp_path)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="new thread"):
            engine.end_day()
    assert engine.sequence == 0
    assert engine.end_day().sequence == 1
    engine.close()


def test_an_order_packed_while_its_tick_changes_is_packed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matchcore.engine import engine as engines

    engine, real, changed = opened(tmp_path), engines.pack, []

    def slow(command: mc.typed.Command, *given: object) -> bytes:
        record = real(command, *given)
        if isinstance(command, mc.NewOrder) and not changed:
            changed.append(engine.change_instrument(mc.Instrument("ONE", "0.02")))
        return record

    monkeypatch.setattr(engines, "pack", slow)
    engine.submit(order())
    assert engine.book("ONE").orders()["price"].tolist() == [50]
    assert str(engine.book("ONE").bids()[0].price) == "1.00"
    engine.close()


def test_an_engine_that_nobody_closed_leaves_no_thread() -> None:
    engine = mc.Engine.memory(instruments=WORLD, log=mc.MemoryLog())
    engine.submit(order())
    threads = list(engine._pipeline._threads)
    assert len(threads) == 2
    del engine
    gc.collect()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
