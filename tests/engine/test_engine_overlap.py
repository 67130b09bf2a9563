"""Group commit while the disk is busy: large batches are written meanwhile, small ones gather."""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_kit import WORLD, opened, order, replayed
from flows import flow

import matchcore as mc


class HeldLog(mc.MemoryLog):
    """Its syncs return one for one, as the test lets them."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.free = threading.Semaphore(0), threading.Semaphore(1000)

    def sync(self, *, to_disk: bool = False) -> None:
        upto = self.sequence
        self.entered.release()
        assert self.free.acquire(timeout=20)
        self.durable = upto

    def hold(self) -> None:
        self.entered, self.free = threading.Semaphore(0), threading.Semaphore(0)


@pytest.fixture
def log() -> HeldLog:
    return HeldLog()


@pytest.fixture
def engine(log: HeldLog) -> mc.Engine:
    engine = mc.Engine.memory(instruments=WORLD, log=log)
    log.hold()
    return engine


def comes_to(log: HeldLog, sequence: int) -> bool:
    for _ in range(2000):
        if log.sequence == sequence:
            return True
        threading.Event().wait(0.005)
    return False


def test_large_batches_are_in_the_log_before_the_sync_of_the_first_ends(
    log: HeldLog, engine: mc.Engine
) -> None:
    before = log.sequence
    futures = [engine.submit_async(flow(0, 600))]
    assert log.entered.acquire(timeout=20)
    futures += [engine.submit_async(flow(n, 600)) for n in (1, 2)]
    assert comes_to(log, before + 1800)
    assert not any(future.done() for future in futures) and log.durable == before
    log.free.release()
    assert log.entered.acquire(timeout=20)  # one more, for both
    wait(futures[:1], 20)
    assert futures[0].done() and not futures[1].done()
    log.free.release(1000)
    wait(futures, 20)
    assert log.durable == before + 1800 and not log.entered.acquire(timeout=0.05)


def test_single_commands_gather_while_the_disk_is_busy(log: HeldLog, engine: mc.Engine) -> None:
    frames = len(list(log.frames()))
    first = engine.submit_async(order())
    assert log.entered.acquire(timeout=20)
    later = [engine.submit_async(order()) for _ in range(40)]
    assert not comes_to_soon(log, 40)
    log.free.release(1000)
    wait([first, *later], 20)
    assert [frame.count for frame in log.frames()][frames:] == [1, 40]


def comes_to_soon(log: HeldLog, more: int) -> bool:
    at = log.sequence
    threading.Event().wait(0.1)
    return log.sequence >= at + more


def test_a_large_batch_never_overtakes_a_single_command(log: HeldLog, engine: mc.Engine) -> None:
    sent: list[Future[Any]] = [engine.submit_async(order())]
    assert log.entered.acquire(timeout=20)
    sent += [engine.submit_async(flow(1, 600)), engine.submit_async(order())]
    sent += [engine.submit_async(flow(2, 600))]
    log.free.release(1000)
    wait(sent, 20)
    kept = np.concatenate([frame.commands for frame in log.frames()])
    alone = mc.Engine.memory(instruments=WORLD)
    alone.submit_batch(kept[len(WORLD) :])
    assert alone.digest() == engine.digest()


@pytest.mark.parametrize("count", [600, 5])
def test_a_thread_that_waits_is_served_while_others_keep_the_disk_busy(
    log: HeldLog, engine: mc.Engine, count: int
) -> None:
    """Whoever is found at it looks again: nobody is left over."""
    log.free.release(100_000)
    done = threading.Event()

    def busy() -> None:
        while not done.is_set():
            engine.submit_async(order()).result(20)

    others = [threading.Thread(target=busy) for _ in range(3)]
    for thread in others:
        thread.start()
    for n in range(60):
        assert len(engine.submit_batch(flow(n, count))) >= count
    done.set()
    for thread in others:
        thread.join(20)
        assert not thread.is_alive()


@pytest.mark.parametrize("policy", ["sync", "interval", "os"])
def test_all_ways_at_once_leave_one_history(tmp_path: Path, policy: str) -> None:
    engine = opened(tmp_path, policy=policy, segment_bytes=1 << 16, interval_ms=1)

    def work(number: int) -> None:
        for n in range(25):
            size = (1, 5, 600, 4096)[(n + number) % 4]
            batch = flow(100 * number + n, size)
            if n % 3:
                futures.append(engine.submit_async(batch))
            else:
                engine.submit_batch(batch)
            if n % 7 == 0:
                assert engine.sequence <= engine.durable
            if n == 12:
                engine.snapshot()

    futures: list[Future[Any]] = []
    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    wait(futures, 20)
    digest = engine.digest()
    engine.close()
    assert replayed(tmp_path) == digest


def test_a_callback_is_answered_together_with_another_thread(
    log: HeldLog, engine: mc.Engine
) -> None:
    """Only the thread that it runs in can answer it."""
    answers: list[mc.Answer] = []
    others: list[threading.Thread] = []
    done = threading.Event()

    def send() -> None:
        answers.append(engine.submit(order()))

    def back(future: Future[mc.Answer]) -> None:
        others.append(threading.Thread(target=send, daemon=True))
        others[0].start()
        send()
        done.set()

    engine.submit_async(order()).add_done_callback(back)
    log.free.release(1000)
    assert done.wait(20)
    others[0].join(20)
    assert sorted(answer.sequence for answer in answers) == [len(WORLD) + 2, len(WORLD) + 3]
