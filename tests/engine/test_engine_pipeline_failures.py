"""What a broken disk, a kill, a fork or a close in full flow do to commands that are under way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from itertools import chain
from pathlib import Path

import pytest
from engine_kit import WORLD, logged, opened, order, replayed, run
from flows import flow

import matchcore as mc

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(
    [str(Path(__file__).parents[1] / "machine"), str(Path(mc.__file__).parents[1])]
)}  # fmt: skip


def outcomes(futures: list[Future[mc.Answer]]) -> list[int | str]:
    """Sequences, and "failed" for what the log did not take."""
    found: list[int | str] = []
    for future in futures:
        error = future.exception(20)
        assert error is None or "the disk is broken" in str(error)
        assert error is None or isinstance(error, mc.LogFailed)
        found.append("failed" if error else future.result().sequence)
    return found


@pytest.mark.parametrize("name", ["fdatasync", "pwrite"])
def test_after_a_failed_write_or_sync_nothing_is_tried_again_and_looks_are_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    engine = opened(tmp_path)
    run(engine, 1)
    engine.snapshot()
    run(engine, 2, 40)
    digest, book = engine.digest(), engine.book("ONE")
    orders = book.orders().tobytes()
    entered, go, calls = threading.Event(), threading.Event(), []
    real: Callable[..., int] = getattr(os, name)

    def fails(*given: object) -> None:
        calls.append(given)
        entered.set()
        go.wait(20)
        raise OSError(5, "the disk is broken")

    with monkeypatch.context() as patch:
        patch.setattr(os, name, fails)
        futures = [engine.submit_async(order(1))]
        assert entered.wait(20)
        futures += [engine.submit_async(order(n)) for n in range(20)]  # matched: it runs ahead
        assert engine._machine.sequence == 342 + 21
        go.set()
        assert outcomes(futures) == ["failed"] * 21
        assert len(calls) == 1
        for _ in range(2):
            assert (engine.sequence, engine.digest(), engine.durable) == (342, digest, 342)
            assert book.orders().tobytes() == orders
            with pytest.raises(mc.LogFailed, match=r"the log accepts no more commands: .*disk"):
                engine.submit(order())
    assert getattr(os, name) is real and len(calls) == 1
    engine.close()
    assert engine.digest() == digest  # and after it too
    with opened(tmp_path) as again:  # what the disk really has
        assert 342 <= again.sequence <= 363 and again.digest() == replayed(tmp_path)


def test_a_failure_frees_all_that_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = opened(tmp_path, queue_depth=4)
    answered: list[int] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            while True:
                answered.append(engine.submit(order()).sequence)
        except mc.LogFailed as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(24)]
    for thread in threads:
        thread.start()
    while len(answered) < 100:
        threading.Event().wait(0.002)

    def fails(fd: int) -> None:
        raise OSError(5, "the disk is broken")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fails)
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
    assert len(failed) == 24 and all("the disk is broken" in str(error) for error in failed)
    durable = engine.durable
    assert sorted(answered) == list(range(3, durable + 1)) and engine.sequence == durable
    engine.close()
    with opened(tmp_path) as again:
        assert again.sequence >= durable


def test_a_machine_that_breaks_shows_the_durable_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = opened(tmp_path, machine="reference")
    run(engine, 1, 40)
    digest = engine.digest()

    def refuse(commands: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(engine._machine, "apply", refuse, raising=False)
    with pytest.raises(MemoryError):
        engine.submit_async(order())
    with pytest.raises(mc.LogFailed, match="no room"):
        engine.submit_async(order())
    assert engine.digest() == digest
    engine.close()


@pytest.mark.parametrize("policy", ["sync", "os"])
def test_closing_answers_what_was_taken(tmp_path: Path, policy: str) -> None:
    engine = opened(tmp_path, policy=policy)
    kept: list[list[Future[mc.Answer]]] = [[] for _ in range(8)]
    gate = threading.Barrier(9)

    def work(mine: list[Future[mc.Answer]]) -> None:
        gate.wait()
        try:
            for n in range(2000):
                mine.append(engine.submit_async(order(n)))
        except mc.LogError as error:
            assert "closed" in str(error)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in kept]
    for thread in threads:
        thread.start()
    gate.wait()
    threading.Event().wait(0.05)
    engine.close()
    for thread in threads:
        thread.join(20)
    assert not engine._has_thread
    assert all(future.done() for future in chain.from_iterable(kept))
    sequences = sorted(future.result().sequence for future in chain.from_iterable(kept))
    assert sequences == list(range(3, 3 + len(sequences)))
    assert len(logged(tmp_path)) == 2 + len(sequences)


LOAD = """
import sys, threading
import matchcore as mc
engine = mc.Engine.open(sys.argv[1], instruments=[mc.Instrument("ONE", "0.01")])
def work(n):
    for k in range(1 << 30):
        order = mc.NewOrder("ONE", mc.Side.BUY, 1, "1.00", client_order_id=n << 32 | k)
        if k % 2:
            answer = engine.submit_async(order).result()
        else:
            answer = engine.submit(order)
        sys.stdout.write(f"{answer.sequence} {n << 32 | k}\\n")
        sys.stdout.flush()
for n in range(16):
    threading.Thread(target=work, args=(n,), daemon=True).start()
threading.Event().wait()
"""


def test_killed_under_load_all_that_was_answered_is_there_once(tmp_path: Path) -> None:
    answered: dict[int, int] = {}
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", LOAD, str(tmp_path / "exchange")],
            stdout=subprocess.PIPE, env=ENVIRONMENT, text=True,
        )  # fmt: skip
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(150)]
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.read().split("\n")[:-1]  # a line may be cut by the kill
        child.wait()
        child.stdout.close()
        for line in lines:
            sequence, number = map(int, line.split())
            assert sequence not in answered
            answered[sequence] = number
        commands = logged(tmp_path / "exchange")
        for sequence, number in answered.items():
            assert int(commands["client_order_id"][sequence - 1]) == number
        with mc.Engine.open(tmp_path / "exchange") as engine:
            assert engine.sequence == len(commands) >= max(answered)
            assert engine.digest() == replayed(tmp_path / "exchange")


FORKS = """
import os, sys
import matchcore as mc
from flows import flow
engine = mc.Engine.open(sys.argv[1], instruments=[mc.Instrument("ONE", "0.01")])
futures = [engine.submit_async(flow(n, 600)) for n in range(20)]
child = os.fork()
if child == 0:
    try:
        engine.submit(mc.NewOrder("ONE", mc.Side.BUY, 1, "1.00"))
    except mc.LogFailed as error:
        assert "fork" in str(error)
    else:
        os._exit(1)
    at = engine.sequence
    assert 1 <= at <= 12001 and len(engine.digest()) == 64
    engine.close()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
simulated = mc.Engine.memory(instruments=[mc.Instrument("ONE", "0.01")])
child = os.fork()
if child == 0:
    os._exit(8 if simulated.end_day().sequence == 2 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 8
for future in futures:
    future.result()
engine.submit_async(flow(1, 600))
print(engine.durable)  # and the interpreter ends with the engine open
"""


def test_a_fork_takes_nothing_and_an_exit_closes(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS, str(tmp_path / "exchange")],
        capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 12001
    with mc.Engine.open(tmp_path / "exchange") as engine:
        assert engine.sequence == 12601 and engine.recovery.cut_bytes == 0


def test_a_hook_that_raises_is_left_out_and_trading_goes_on(tmp_path: Path) -> None:
    def hook(commit: mc.Commit) -> None:
        raise ZeroDivisionError("no figures today")

    with pytest.warns(RuntimeWarning, match="no figures today"):
        engine = opened(tmp_path, metrics=hook)
    assert engine.submit(order()).sequence == 3
    assert len(engine.submit_batch(flow(1, 600))) >= 600
    engine.close()


def test_the_world_is_added_once_by_many_threads(tmp_path: Path) -> None:
    engine = mc.Engine.open(tmp_path)
    threads = [threading.Thread(target=engine._add_missing, args=(WORLD,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [instrument.symbol for instrument in engine.instruments] == ["ONE", "TWO"]
    engine.close()


@pytest.mark.parametrize("count", [3, 600])  # matched before they are queued, and after
def test_after_ctrl_c_the_array_is_the_callers_and_the_log_has_what_was_matched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    engine = opened(tmp_path)
    run(engine, 1)
    entered, go, real = threading.Event(), threading.Event(), os.fdatasync
    commands = flow(3, count)

    def held(fd: int) -> None:
        entered.set()
        go.wait(20)
        real(fd)

    def interrupts() -> None:
        while engine._machine.sequence < until:
            threading.Event().wait(0.002)
        threading.Event().wait(0.1)  # matched, it waits
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        go.set()

    until = engine.sequence + 20 + count
    monkeypatch.setattr(os, "fdatasync", held)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        first = engine.submit_async(flow(2, 20))  # holds the log's thread
        entered.wait(20)
        helper = threading.Thread(target=interrupts)
        helper.start()
        with pytest.raises(KeyboardInterrupt):
            engine.submit_batch(commands)
    finally:
        signal.signal(signal.SIGINT, before)
        go.set()
    helper.join()
    first.result(20)
    commands["quantity"] = 0
    commands["kind"] = 0
    digest = engine.digest()
    engine.close()
    assert replayed(tmp_path) == digest
