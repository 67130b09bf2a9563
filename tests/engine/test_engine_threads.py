"""Threads that submit at once take turns: every command once, in one order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from engine_kit import WORLD, logged, opened, replayed
from flows import flow
from numpy.typing import NDArray

import matchcore as mc

THREADS = 8


def together(work: Callable[[int], None]) -> None:
    """Runs `work(n)` in threads that start at one moment; raises what they raise."""
    gate, errors = threading.Barrier(THREADS), []

    def body(n: int) -> None:
        gate.wait()
        try:
            work(n)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=body, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors


def test_each_command_has_its_own_sequence(tmp_path: Path) -> None:
    sequences: list[list[int]] = [[] for _ in range(THREADS)]
    with opened(tmp_path, policy="os") as engine:

        def work(n: int) -> None:
            for k in range(40):
                order = mc.NewOrder("ONE", mc.Side.BUY, 1, "1.00", client_order_id=100 * n + k)
                sequences[n].append(engine.submit(order).sequence)

        together(work)
        digest = engine.digest()
    assert sorted(chain.from_iterable(sequences)) == list(range(3, 3 + 40 * THREADS))
    commands = logged(tmp_path)
    for n, mine in enumerate(sequences):
        assert mine == sorted(mine)
        assert commands["client_order_id"][np.array(mine) - 1].tolist() == list(
            range(100 * n, 100 * n + 40)
        )
    assert replayed(tmp_path) == digest


@pytest.mark.parametrize("size", [30, 700])
def test_batches_are_not_mixed(tmp_path: Path, size: int) -> None:
    answers: list[tuple[NDArray, NDArray]] = []
    with opened(tmp_path, policy="os") as engine:

        def work(n: int) -> None:
            for k in range(4):
                commands = flow(10 * n + k, size)
                answers.append((commands, engine.submit_batch(commands)))

        together(work)
        engine._check()
        digest = engine.digest()
    log = logged(tmp_path)
    for commands, events in answers:
        first, last = int(events["sequence"][0]), int(events["sequence"][-1])
        assert last - first == size - 1
        assert log[first - 1 : last].tobytes() == commands.tobytes()
    assert replayed(tmp_path) == digest
    answers.sort(key=lambda pair: int(pair[1]["sequence"][0]))
    again = mc.Engine.memory(instruments=WORLD)
    assert all(again.submit_batch(c).tobytes() == e.tobytes() for c, e in answers)


def test_looking_and_snapshots_beside_submitting(tmp_path: Path) -> None:
    with opened(tmp_path, policy="os") as engine:

        def work(n: int) -> None:
            for k in range(6):
                if n % 4 == 0:
                    assert engine.state().sequence >= 2
                    book = engine.book("ONE")
                    bid, ask = book.best_bid, book.best_ask
                    assert bid is None or bid.quantity > 0
                    assert ask is None or ask.quantity > 0
                elif n % 4 == 1:
                    engine.snapshot()
                else:
                    engine.submit_batch(flow(10 * n + k, 600 if n % 2 else 50))

        together(work)
        digest = engine.digest()
    with opened(tmp_path) as engine:
        assert engine.digest() == digest == replayed(tmp_path)
        assert not engine.recovery.skipped


def test_closing_beside_submitting_refuses_or_answers(tmp_path: Path) -> None:
    engine, answered = opened(tmp_path, policy="os"), []

    def work(n: int) -> None:
        if n == 0:
            engine.close()
            return
        try:
            for k in range(50):
                answered.append(engine.submit_batch(flow(k, 5))["sequence"].max())
        except mc.LogError:
            pass

    together(work)
    with opened(tmp_path) as again:
        assert again.sequence == max([2, *answered])


def test_what_was_answered_leaves_its_room(tmp_path: Path) -> None:
    """A log faster than the matching answers a batch before its events are there."""
    with opened(tmp_path, policy="os") as engine:
        for seed in range(40):
            engine.submit_batch(flow(seed, 2000))
        assert engine._pipeline.unanswered == 0
        assert engine._pipeline.taken_bytes == engine._pipeline.answered_bytes
