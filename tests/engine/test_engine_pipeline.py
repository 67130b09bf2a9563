"""Group commit: what is answered is in the log, in order, and each command is there once."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, wait
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_kit import WORLD, logged, opened, order, replayed, run
from flows import flow
from numpy.typing import NDArray

import matchcore as mc
from matchcore.bench import neutral, throughput
from matchcore.engine.pipeline import Pipeline
from matchcore.journal import FileLog

THREADS = 64


class HeldLog(mc.MemoryLog):
    """A log whose sync returns when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()
        self.free.set()
        self.entered = threading.Semaphore(0)
        self.error: BaseException | None = None

    def sync(self, *, to_disk: bool = False) -> None:
        self.entered.release()
        assert self.free.wait(20)
        if self.error is not None:
            raise self.error
        super().sync(to_disk=to_disk)


def held(**more: object) -> tuple[mc.Engine, HeldLog]:
    """An engine whose next sync waits."""
    log = HeldLog()
    engine = mc.Engine.memory(instruments=WORLD, log=log, **more)  # type: ignore[arg-type]
    log.free.clear()
    log.entered = threading.Semaphore(0)
    return engine, log


def test_nothing_is_answered_before_its_sync_and_matching_goes_on_meanwhile() -> None:
    engine, log = held()
    first = engine.submit_async(order())
    assert log.entered.acquire(timeout=20)
    later = [engine.submit_async(flow(n, 600)) for n in range(3)]  # matched: these return
    assert not first.done() and not any(future.done() for future in later)
    assert engine.durable == 2
    log.free.set()
    assert first.result(20).sequence == 3
    events = [future.result(20) for future in later]
    assert [int(e["sequence"][0]) for e in events] == [4, 604, 1204]
    whole = mc.Engine.memory(instruments=WORLD)
    whole.submit(order())
    assert np.concatenate(events).tobytes() == b"".join(
        whole.submit_batch(flow(n, 600)).tobytes() for n in range(3)
    )
    assert engine.digest() == whole.digest()


def test_futures_are_set_in_the_order_of_the_log() -> None:
    engine, log = held()
    seen: list[int] = []
    futures = [engine.submit_async(order(n)) for n in range(200)]
    for future in futures:
        future.add_done_callback(lambda done: seen.append(done.result().sequence))
    log.free.set()
    wait(futures, 20)
    assert seen == list(range(3, 203))


def test_a_look_waits_until_all_it_shows_is_safe() -> None:
    engine, log = held()
    future = engine.submit_async(order())
    shown: list[int] = []
    looker = threading.Thread(target=lambda: shown.append(engine.sequence))
    looker.start()
    looker.join(0.05)
    assert not shown and not future.done()
    log.free.set()
    looker.join(20)
    assert shown == [3] and future.result(20).sequence == 3


def test_one_sync_is_for_all_that_wait(tmp_path: Path) -> None:
    commits: list[mc.Commit] = []
    engine, log = held()
    engine._pipeline._metrics = commits.append
    futures: list[Future[mc.Answer]] = [engine.submit_async(order())]
    assert log.entered.acquire(timeout=20)
    futures += [engine.submit_async(order(n)) for n in range(50)]
    log.free.set()
    wait(futures, 20)
    assert [(c.submissions, c.commands) for c in commits] == [(1, 1), (50, 50)]
    assert commits[0].waiting == 50 and commits[1].waiting == 0
    assert commits[0].bytes > 128 + 96
    assert len(list(log.frames(3))) == 1


class Hearing:
    """A hook that counts what it has heard of, and callbacks that look whether it had."""

    def __init__(self, engine: mc.Engine) -> None:
        self.heard = self.answered = 0
        self.late: list[int] = []
        engine._pipeline._metrics = self.hook

    def hook(self, commit: mc.Commit) -> None:
        self.heard += commit.submissions

    def back(self, done: Future[Any]) -> None:
        self.answered += 1
        if self.answered > self.heard:
            self.late.append(self.answered)


def test_the_hook_hears_of_a_sync_that_a_callback_asked_for() -> None:
    """And of the sync before it, of which not all is answered yet."""
    engine, log = held()
    hearing = Hearing(engine)

    def back(done: Future[Any]) -> None:
        hearing.back(done)
        later = engine.submit_async(order(9))
        later.add_done_callback(hearing.back)
        assert engine.sequence > 2 and later.done()

    futures = [engine.submit_async(order(0))]
    assert log.entered.acquire(timeout=20)
    futures += [engine.submit_async(order(n)) for n in (1, 2, 3)]
    futures[1].add_done_callback(back)
    futures[3].add_done_callback(hearing.back)
    log.free.set()
    assert not wait(futures, 20).not_done
    engine.close()
    assert hearing.answered == 3 and hearing.heard == 5 and not hearing.late


def test_what_the_caller_does_to_his_array_later_changes_nothing() -> None:
    engine, log = held()
    commands = flow(3, 700)
    wanted = commands.tobytes()
    engine.submit_async(order())
    future = engine.submit_async(commands)
    commands["quantity"] = 7
    log.free.set()
    future.result(20)
    assert list(log.frames())[-1].commands.tobytes() == wanted


@pytest.mark.parametrize("limits", [{"depth": 3}, {"size": 400}])
def test_a_full_queue_blocks_or_raises(limits: dict[str, int]) -> None:

    log = HeldLog()
    engine = mc.Engine._of(mc.Machine(), log, Pipeline(log, **limits))
    engine._add_missing(WORLD)
    log.free.clear()
    futures = []
    with pytest.raises(mc.QueueFull, match="wait for the log"):
        for n in range(100):
            futures.append(engine.submit_async(order(n), block=False))
    assert 1 < len(futures) <= 3
    sent: list[mc.Answer] = []
    blocked = threading.Thread(target=lambda: sent.append(engine.submit(order())))
    blocked.start()
    blocked.join(0.05)
    assert blocked.is_alive() and engine._machine.sequence == 2 + len(futures)
    log.free.set()
    blocked.join(20)
    assert sent[0].sequence == 3 + len(futures) and len(wait(futures, 20).done) == len(futures)
    assert engine._pipeline.unanswered == 0


def test_limits_are_at_least_one(tmp_path: Path) -> None:
    for wrong in ({"queue_depth": 0}, {"queue_bytes": 0}, {"interval_ms": 0}):
        with pytest.raises(ValueError, match="at least 1"):
            opened(tmp_path, **wrong)


def test_callbacks_may_use_the_engine() -> None:
    engine, log = held()
    done: list[object] = []
    told = threading.Event()

    def back(future: Future[mc.Answer]) -> None:
        answer = engine.submit(order(1))
        later = engine.submit_async(order(2))
        done.extend([answer.sequence, engine.sequence, later])
        told.set()

    engine.submit_async(order()).add_done_callback(back)
    engine.submit_async(order())
    log.free.set()
    assert told.wait(20)
    assert done[0] == 5 and done[1] == 6
    assert done[2].result(20).sequence == 6  # type: ignore[attr-defined]


def test_a_look_waits_for_what_callbacks_send_meanwhile() -> None:
    engine, log = held()
    left, done = list(range(20)), threading.Event()

    def back(future: Future[mc.Answer]) -> None:
        if left:
            engine.submit_async(order(left.pop())).add_done_callback(back)
        else:
            done.set()

    engine.submit_async(order()).add_done_callback(back)
    shown: list[tuple[int, int]] = []
    looker = threading.Thread(target=lambda: shown.append((engine.sequence, engine.durable)))
    looker.start()
    log.free.set()
    looker.join(20)
    assert not looker.is_alive() and 3 <= shown[0][0] <= shown[0][1]
    assert done.wait(20)  # the look need not have waited for the last of them
    engine.close()
    machine = mc.Machine()
    for frame in log.frames():
        machine.apply(frame.commands)
    assert machine.digest() == engine.digest() and engine.sequence == 23


def test_a_future_can_not_be_called_back() -> None:
    engine, log = held()
    future = engine.submit_async(order())
    assert not future.cancel()
    log.free.set()
    assert future.result(20).sequence == 3


def test_what_can_not_be_a_record_is_its_callers_affair() -> None:
    engine, log = held()
    first = engine.submit_async(order())
    with pytest.raises(mc.PriceError):
        engine.submit_async(mc.NewOrder("ONE", mc.Side.BUY, 1, "1.001"))
    with pytest.raises(TypeError, match="dtype"):
        engine.submit_async(np.zeros(3))  # type: ignore[arg-type]
    second = engine.submit_async(order())
    log.free.set()
    assert (first.result(20).sequence, second.result(20).sequence) == (3, 4)


@pytest.mark.parametrize("log", [None, mc.MemoryLog])
def test_without_a_disk_the_calls_are_the_same(log: type[mc.MemoryLog] | None) -> None:
    engine = mc.Engine.memory(instruments=WORLD, log=log() if log else None)
    assert engine.submit_async(order()).result(20).sequence == 3
    assert len(engine.submit_async(flow(1, 700)).result(20)) >= 700
    assert len(engine.submit_async(flow(1, 0)).result(20)) == 0
    assert engine.durability == mc.Durability("memory", None, False)
    assert not engine.submit(order()).durable
    engine.close()
    with pytest.raises(mc.LogFailed, match="closed"):
        engine.submit_async(order())


@pytest.mark.parametrize("policy", ["sync", "os", "interval"])
def test_many_threads_one_order(tmp_path: Path, policy: str) -> None:
    sequences: list[list[int]] = [[] for _ in range(THREADS)]
    with opened(tmp_path, policy=policy) as engine:

        def work(n: int) -> None:
            for k in range(10):
                if k % 5 == 4:
                    future = engine.submit_async(order(100 * n + k))
                    sequences[n].append(future.result(60).sequence)
                else:
                    sequences[n].append(engine.submit(order(100 * n + k)).sequence)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        digest = engine.digest()
        assert engine._pipeline.unanswered == 0
    assert sorted(chain.from_iterable(sequences)) == list(range(3, 3 + 10 * THREADS))
    commands = logged(tmp_path)
    for n, mine in enumerate(sequences):
        ids = commands["client_order_id"][np.array(mine) - 1].tolist()
        assert ids == list(range(100 * n, 100 * n + 10))
    assert replayed(tmp_path) == digest


def test_tasks_share_syncs_and_wake_the_loop_once_for_each(tmp_path: Path) -> None:
    commits: list[mc.Commit] = []
    engine = opened(tmp_path, metrics=commits.append)
    begun = len(commits)
    rung = 0

    async def work(front: mc.AsyncEngine, n: int) -> list[int]:
        return [(await front.submit(order(100 * n + k))).sequence for k in range(10)]

    async def all_of_them() -> list[list[int]]:
        nonlocal rung
        loop = asyncio.get_running_loop()
        soon = loop.call_soon_threadsafe

        def counted(*given: object, **more: object) -> object:
            nonlocal rung
            rung += 1
            return soon(*given, **more)  # type: ignore[arg-type]

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign, assignment]
        front = mc.AsyncEngine(engine)
        got = await asyncio.gather(*[work(front, n) for n in range(THREADS)])
        loop.call_soon_threadsafe = soon  # type: ignore[method-assign]
        events = await front.submit_batch(flow(1, 1000))
        assert int(events["sequence"][-1]) == 2 + 640 + 1000
        await front.close()
        return got

    sequences = asyncio.run(all_of_them())
    assert sorted(chain.from_iterable(sequences)) == list(range(3, 643))
    assert all(mine == sorted(mine) for mine in sequences)
    assert 0 < rung <= len(commits) - begun - 1 < 640
    assert logged(tmp_path)["client_order_id"][2:642].tolist() == [
        next(100 * n + mine.index(s) for n, mine in enumerate(sequences) if s in mine)
        for s in range(3, 643)
    ]


def test_a_cancelled_task_leaves_its_command_and_a_full_queue_keeps_no_loop() -> None:

    log = HeldLog()
    engine = mc.Engine._of(mc.Machine(), log, Pipeline(log, depth=2))
    engine._add_missing(WORLD)
    log.free.clear()

    async def work() -> list[int]:
        front = mc.AsyncEngine(engine)
        tasks = [asyncio.create_task(front.submit(order(n))) for n in range(6)]
        await asyncio.sleep(0.02)
        assert engine._machine.sequence == 4  # the others wait, and the loop runs
        tasks[0].cancel()
        log.free.set()
        got = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(got[0], asyncio.CancelledError)
        return [answer.sequence for answer in got[1:] if isinstance(answer, mc.Answer)]

    assert asyncio.run(work()) == [4, 5, 6, 7, 8]
    assert engine.sequence == 8 and log.durable == 8


@pytest.mark.parametrize("log", [None, mc.MemoryLog])
def test_tasks_without_a_disk(log: type[mc.MemoryLog] | None) -> None:
    async def work() -> int:
        made = mc.Engine.memory(instruments=WORLD, log=log() if log else None)
        async with mc.AsyncEngine(made) as front:
            await front.submit_batch(flow(2, 600))
            return (await front.submit(order())).sequence

    assert asyncio.run(asyncio.wait_for(work(), 20)) == 603


@pytest.mark.parametrize("machine", ["cython", "reference"])
def test_pipelined_or_not_is_one_history(tmp_path: Path, machine: str) -> None:
    flows = [flow(n, size) for n, size in enumerate((1, 40, 700, 16, 513, 2000))]
    straight = mc.Engine.memory(instruments=WORLD)
    wanted = b"".join(straight.submit_batch(part).tobytes() for part in flows)
    with opened(tmp_path, machine=machine, segment_bytes=1 << 16) as engine:
        futures = [engine.submit_async(part) for part in flows]
        assert b"".join(future.result(60).tobytes() for future in futures) == wanted
        assert engine.digest() == straight.digest()
    assert replayed(tmp_path) == straight.digest()


def test_the_neutral_workload_through_the_pipeline_has_the_same_events(tmp_path: Path) -> None:
    commands = neutral.commands(neutral.messages("swing-40", 40_000))
    batches = [commands[at : at + 4096] for at in range(0, len(commands), 4096)]
    with mc.Engine.memory(instruments=[throughput.INSTRUMENT]) as engine:
        wanted = [engine.submit_batch(batch).tobytes() for batch in batches]
    with mc.Engine.open(tmp_path, instruments=[throughput.INSTRUMENT]) as engine:
        futures = [engine.submit_async(batch) for batch in batches]
        got: list[NDArray] = [future.result(60) for future in futures]
    assert [events.tobytes() for events in got] == wanted


def test_an_interval_is_kept_and_said(tmp_path: Path) -> None:
    with opened(tmp_path, policy="interval", interval_ms=60_000) as engine:
        on_disk = engine.on_disk
        answer = engine.submit(order())
        assert (answer.durable, answer.durability.loss_ms_max) == (False, 60_000)
        assert (engine.durable, engine.on_disk) == (3, on_disk)
        log = engine.log
        assert isinstance(log, FileLog)
        due = log.sync_due
        assert due is not None and 0 < due <= 60
        log._since = -1e9  # as if a minute had gone by
        answer = engine.submit(order())  # before it is given, what came first is on disk
        assert engine.on_disk == answer.sequence == 4 and log.sync_due is None
    with opened(tmp_path) as engine:
        assert engine.submit(order()).durable and engine.on_disk == 5


def test_an_interval_ends_without_another_command(tmp_path: Path) -> None:
    with opened(tmp_path, policy="interval", interval_ms=1) as engine:
        run(engine, 1, 100)
        for _ in range(2000):
            if engine.on_disk == 102:
                break
            threading.Event().wait(0.005)
        assert engine.on_disk == 102


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), MemoryError("no room")])
def test_whatever_ends_a_sync_leaves_nobody_waiting(error: BaseException) -> None:
    engine, log = held()
    log.error = error
    caught: list[BaseException] = []

    def work() -> None:
        try:
            engine.submit(order())
        except BaseException as found:
            caught.append(found)

    threads = [threading.Thread(target=work) for _ in range(12)]
    threads[0].start()  # finds nobody at it, and syncs for himself
    assert log.entered.acquire(timeout=20)
    for thread in threads[1:]:
        thread.start()
    futures = [engine.submit_async(order()) for _ in range(3)]
    log.free.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert all(isinstance(future.exception(20), mc.LogFailed) for future in futures)
    assert len(caught) == 12 and log.durable == 2
    with pytest.raises(mc.LogFailed):
        engine.submit(order())
    assert engine.sequence == 2
    engine.close()


@pytest.mark.parametrize("count", [1, 600])
def test_an_order_of_a_loop_that_is_closed_before_its_next_round_is_written(count: int) -> None:
    log = mc.MemoryLog()
    engine = mc.Engine.memory(instruments=WORLD, log=log)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # its tasks are destroyed while they wait

    async def last_round() -> None:
        task = loop.create_task(mc.AsyncEngine(engine).submit_batch(flow(0, count)))
        loop.call_soon(loop.stop)
        await task

    task = loop.create_task(last_round())
    loop.run_forever()
    assert log.sequence == 2 and not task.done()
    loop.close()
    for _ in range(2000):
        if log.sequence == 2 + count:
            break
        threading.Event().wait(0.005)
    assert log.sequence == 2 + count
    engine.close()
