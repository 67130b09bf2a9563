"""Callbacks of futures and the `metrics` hook: they end badly, use the engine, share an array."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import pytest
from engine_kit import WORLD, Held, opened, order
from flows import flow

import matchcore as mc
from matchcore.engine.pipeline import Pipeline


def test_a_callback_that_wants_to_end_the_program_ends_the_engine_and_all_are_answered() -> None:
    log = Held()
    engine = mc.Engine.memory(instruments=WORLD, log=log)
    log.hold()
    futures = [engine.submit_async(order(n)) for n in range(8)]
    for future in futures[:6]:
        future.add_done_callback(lambda done: sys.exit(3))
    log.free.set()
    assert not wait(futures, 20).not_done
    with pytest.raises(mc.LogFailed):
        engine.submit(order())
    engine.close()


def test_a_hook_may_use_the_engine_while_others_look(tmp_path: Path) -> None:
    told: list[int] = []
    box: list[mc.Engine] = []

    def hook(commit: mc.Commit) -> None:
        if box:
            told.append(box[0].sequence)

    box.append(opened(tmp_path, metrics=hook))
    done = threading.Event()

    def work() -> None:
        for n in range(100):
            box[0].submit(order())
            if n % 5 == 0:
                assert box[0].digest()
                box[0].snapshot()
        done.set()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert told and done.is_set()
    box[0].close()


def test_callbacks_that_share_an_array_while_the_queue_is_full() -> None:
    """Making room for one answers others, whose callbacks write to what is being sent."""
    log = Held()
    engine = mc.Engine._of(mc.Machine(), log, Pipeline(log, depth=2))
    engine._add_missing(WORLD)
    log.hold()
    shared, later = flow(0, 600), []
    wanted = [flow(n, 600) for n in range(1, 7)]

    def back(done: Future[Any]) -> None:
        while wanted:
            shared[:] = wanted.pop()
            later.append(engine.submit_async(shared))

    first = [engine.submit_async(order(n)) for n in (1, 2)]
    for future in first:
        future.add_done_callback(back)
    log.free.set()
    wait(first, 20)
    wait(later, 20)
    engine.close()
    digest = engine.digest()
    machine = mc.Machine()
    for frame in log.frames():
        machine.apply(frame.commands)
    assert later and machine.digest() == digest


def many_answers_at_once(
    path: Path, count: int, back: Any, **options: Any
) -> tuple[mc.Engine, list[Future[Any]]]:
    """Futures with a callback that are all safe before the first callback runs."""
    engine, free = opened(path, policy="os", **options), threading.Event()
    engine.submit_async(order()).add_done_callback(lambda done: free.wait(20))
    futures = [engine.submit_async(order()) for _ in range(count)]
    for future in futures:
        future.add_done_callback(lambda done: back(engine))
    free.set()
    return engine, futures


def test_callbacks_that_submit_while_thousands_of_answers_wait(tmp_path: Path) -> None:
    """They run one after the other, and never one inside the other."""
    sent: list[mc.Answer] = []
    depths: list[int] = []

    def back(engine: mc.Engine) -> None:
        depths.append(1)
        sent.append(engine.submit(order()))
        assert sum(depths) == 1
        depths.clear()

    engine, futures = many_answers_at_once(tmp_path, 3000, back)
    assert not wait(futures, 60).not_done
    engine.submit(order())  # it goes on
    engine.close()
    assert len(sent) == 3000
    with mc.Engine.open(tmp_path) as again:
        assert again.digest() == engine.digest()


def test_a_callback_cannot_wait_for_room_and_hears_of_it_before_all_memory_is_taken(
    tmp_path: Path,
) -> None:
    refused: list[mc.QueueFull] = []

    def back(engine: mc.Engine) -> None:
        try:
            for _ in range(5000):
                engine.submit_async(order())
        except mc.QueueFull as full:
            refused.append(full)

    engine, futures = many_answers_at_once(tmp_path, 3, back, queue_depth=4)
    assert not wait(futures, 60).not_done
    engine.submit(order())
    engine.close()
    assert refused


def test_a_callback_closes_the_engine_while_answers_wait(tmp_path: Path) -> None:
    engine, futures = many_answers_at_once(tmp_path, 50, mc.Engine.close)
    assert not wait(futures, 20).not_done
    assert [future.exception() for future in futures] == [None] * 50
    engine.close()


def test_close_waits_for_log_threads_that_were_started_and_do_not_run_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free, run, make_room = threading.Event(), Pipeline._run, Pipeline.make_room

    def late(pipeline: Pipeline) -> None:
        assert free.wait(20)
        run(pipeline)

    def made(pipeline: Pipeline) -> None:
        make_room(pipeline)
        free.set()

    engine = opened(tmp_path)
    engine.close()
    engine = mc.Engine.open(tmp_path)
    monkeypatch.setattr(Pipeline, "_run", late)
    monkeypatch.setattr(Pipeline, "make_room", made)
    future = engine.submit_async(order())
    engine.close()
    assert future.done() and future.exception() is None


def test_a_large_batch_that_fails_while_it_is_matched_wakes_those_behind_it() -> None:
    class Bad(mc.Machine):
        def apply(self, commands: Any, out: Any = None, now: int = 0) -> Any:
            if len(commands) >= 512:
                raise ZeroDivisionError("as an exception of a signal handler")
            return super().apply(commands, out, now)

    log = Held()
    engine = mc.Engine(Bad(), log)
    engine._add_missing(WORLD)
    log.hold()
    engine.submit_async(order())
    assert log.entered.wait(20)

    def send() -> None:
        with pytest.raises(ZeroDivisionError):
            engine.submit_batch(flow(1, 600))

    threads = [threading.Thread(target=send, daemon=True)]
    threads[0].start()
    while engine._pipeline.failure is None:
        threads[0].join(0.001)
    threads.append(threading.Thread(target=engine.close, daemon=True))
    threads[1].start()
    while not any(not each.count for each in list(engine._pipeline.waiting)):
        threads[1].join(0.001)
    log.free.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
