"""Ctrl-C, signal handlers, callbacks that end badly or use the engine, forks: at any moment."""

from __future__ import annotations

import dis
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
import pytest
from engine_kit import WORLD, logged, opened, replayed
from flows import flow
from numpy.typing import NDArray

import matchcore as mc
from matchcore.pipeline import Pipeline

ROOT = str(Path(mc.__file__).parent)
BEHIND = ("CALL", "CALL_KW", "CALL_FUNCTION", "CALL_METHOD", "CALL_FUNCTION_EX", "RESUME")
AT = ("JUMP_BACKWARD", "JUMP_ABSOLUTE")
CALLS: dict[str, Callable[[mc.Engine, NDArray], object]] = {
    "submit": lambda engine, batch: engine.submit(order()),
    "few": lambda engine, batch: engine.submit_batch(batch[:5]),
    "many": lambda engine, batch: engine.submit_batch(batch),
    "async": lambda engine, batch: engine.submit_async(batch),
}


def order(n: int = 0) -> mc.NewOrder:
    return mc.NewOrder("ONE", mc.Side.BUY, 1, "1.00", client_order_id=n)


class Interrupt:
    """Raises once, at the moment of this number where the interpreter would look for signals.

    Or does what a signal handler of `act` would.
    """

    def __init__(self, at: int, act: Callable[[], object] | None = None) -> None:
        self.left, self.raised, self._act = at, False, act
        self._places: dict[CodeType, set[int]] = {}

    def __call__(self, frame: FrameType, event: str, given: Any) -> Any:
        if not frame.f_code.co_filename.startswith(ROOT):
            return None
        frame.f_trace_opcodes = True
        return self._local

    def _local(self, frame: FrameType, event: str, given: Any) -> Any:
        if event == "opcode" and not self.raised and frame.f_lasti in self._of(frame.f_code):
            self.raised = self.left == 0
            self.left -= 1
            if self.raised and self._act is None:
                raise KeyboardInterrupt
            if self.raised and self._act is not None:
                self._act()
        return self._local

    def _of(self, code: CodeType) -> set[int]:
        if code not in self._places:
            steps = list(dis.get_instructions(code))
            self._places[code] = {
                steps[at].offset for at in range(1, len(steps))
                if steps[at - 1].opname in BEHIND or steps[at].opname in AT
            }
        return self._places[code]


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mc.Engine]:
    """For `interrupted`."""
    with opened(tmp_path_factory.mktemp("warm")) as engine:
        yield engine


def interrupted(
    warm: mc.Engine, engine: mc.Engine, name: str, batch: NDArray, interrupt: Interrupt
) -> Any:
    """Makes the call while `interrupt` watches; its result, None if it was interrupted.

    Before that on another engine: Python 3.12 and later show all opcodes only of what they have
    traced before.
    """
    at, before = interrupt.left, sys.gettrace()
    interrupt.left = 1 << 30
    sys.settrace(interrupt)
    try:
        CALLS[name](warm, flow(7, 600))
        interrupt.left = at
        return CALLS[name](engine, batch)
    except KeyboardInterrupt:
        assert interrupt.raised
        return None
    finally:
        sys.settrace(before)


def goes_on(engine: mc.Engine) -> tuple[str, int]:
    """What others see afterwards: answers, or why there are none; digest and durable sequence."""
    found: list[tuple[str, int]] = []

    def work() -> None:
        for n in range(2):
            try:
                engine.submit_batch(flow(50 + n, 5))
                engine.submit_async(order()).result(10)
            except mc.LogFailed:
                assert engine._pipeline.failure is not None
        found.append((engine.digest(), engine.durable))
        engine.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(20)
    assert found and not thread.is_alive()
    assert engine._pipeline.waiting == 0
    return found[0]


@pytest.mark.parametrize("name", CALLS)
def test_ctrl_c_at_any_moment_leaves_nobody_waiting_and_log_and_machine_equal(
    tmp_path: Path, warm: mc.Engine, name: str
) -> None:
    at = 0
    while True:
        path = tmp_path / str(at)
        engine = opened(path)
        batch = flow(7, 600)
        interrupt = Interrupt(at)
        interrupted(warm, engine, name, batch, interrupt)
        if not interrupt.raised:
            engine.close()
            break
        batch["quantity"], batch["kind"] = 1, 0  # it is the caller's again
        digest, durable = goes_on(engine)
        machine = mc.Machine()
        machine.apply(np.ascontiguousarray(logged(path)[:durable]))
        assert machine.digest() == digest, at
        opened(path).close()  # the log is whole
        at += 3
    assert at > 44


HANDLERS: dict[str, Callable[[mc.Engine], object]] = {
    "submit": lambda engine: engine.submit(order(7)),
    "send": lambda engine: engine.submit_async(flow(9, 600)),
    "look": lambda engine: engine.sequence,
    "close": lambda engine: engine.close(),
}


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("name", CALLS)
def test_a_signal_handler_that_uses_the_engine_at_any_moment_is_served_or_refused(
    tmp_path: Path, warm: mc.Engine, name: str, handler: str
) -> None:
    """It never waits for the thread that it stopped, and takes nobody's answer away."""
    at = 0
    while True:
        path = tmp_path / str(at)
        engine = opened(path)
        said: list[str] = []

        def act(engine: mc.Engine = engine, said: list[str] = said) -> None:
            try:
                HANDLERS[handler](engine)
            except mc.LogError as error:
                said.append(str(error))

        raised: list[bool] = []

        def work(engine: mc.Engine = engine, raised: list[bool] = raised, moment: int = at) -> None:
            interrupt = Interrupt(moment, act)
            try:
                answer = interrupted(warm, engine, name, flow(7, 600), interrupt)
                assert not isinstance(answer, Future) or answer.result(20) is not None
            except mc.LogFailed:
                assert handler == "close"
            finally:
                raised.append(interrupt.raised)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(20)
        assert raised, at
        assert all("signal handler" in one for one in said), said
        engine.close()
        assert engine._pipeline.waiting == 0
        assert replayed(path) == engine.digest(), at
        if not raised[0]:
            break
        at += 3
    assert at > 44


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("call", ["fdatasync", "pwrite"])
def test_a_signal_handler_during_its_own_thread_s_write_or_sync_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, handler: str
) -> None:
    engine, said, real = opened(tmp_path), [], getattr(os, call)

    def interrupted(*given: Any) -> Any:
        monkeypatch.setattr(os, call, real)
        try:
            HANDLERS[handler](engine)
        except mc.LogError as error:
            said.append(str(error))
        return real(*given)

    monkeypatch.setattr(os, call, interrupted)
    answers: list[mc.Answer] = []
    thread = threading.Thread(target=lambda: answers.append(engine.submit(order())), daemon=True)
    thread.start()
    thread.join(20)
    assert answers and answers[0].sequence == 3
    assert len(said) == 1 and "signal handler" in said[0]
    assert engine.submit(order(1)).sequence == 4
    engine.close()
    assert replayed(tmp_path) == engine.digest()


def test_who_closes_while_another_places_is_no_signal_handler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, real, refused = opened(tmp_path), Pipeline.put, []

    def close() -> None:
        try:
            engine.close()
        except mc.LogError as error:
            refused.append(error)

    closing = threading.Thread(target=close)

    def put(self: Pipeline, way: Any) -> None:
        closing.start()
        closing.join(0.2)
        assert closing.is_alive()  # it waits for its turn
        real(self, way)

    monkeypatch.setattr(Pipeline, "put", put)
    assert engine.submit(order()).sequence == 3
    closing.join(20)
    assert not closing.is_alive() and not refused


def test_a_signal_handler_while_the_threads_of_the_log_are_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, start, inner = opened(tmp_path), threading.Thread.start, []

    def interrupted_start(thread: threading.Thread) -> None:
        if not inner:
            inner.append(None)
            inner[0] = engine.submit_async(order(2))
        start(thread)

    def work() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", interrupted_start)
            outer.append(engine.submit_async(order(1)))

    outer: list[Any] = []
    thread = threading.Thread(target=work, daemon=True)
    start(thread)
    thread.join(20)
    assert outer and outer[0].result(20) and inner[0].result(20)
    engine.close()


def test_a_callback_that_wants_to_end_the_program_ends_the_engine_and_all_are_answered() -> None:
    entered, free = threading.Event(), threading.Event()

    class Held(mc.MemoryLog):
        def sync(self, *, to_disk: bool = False) -> None:
            entered.set()
            assert free.wait(20)
            super().sync()

    log = Held()
    free.set()
    engine = mc.Engine.memory(instruments=WORLD, log=log)
    free.clear()
    futures = [engine.submit_async(order(n)) for n in range(8)]
    for future in futures[:6]:
        future.add_done_callback(lambda done: sys.exit(3))
    free.set()
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
    log = mc.MemoryLog()
    engine = mc.Engine(mc.Machine(), log, pipeline=Pipeline(log, depth=2))
    engine.add_missing(WORLD)
    shared, later = flow(0, 600), []
    wanted = [flow(n, 600) for n in range(1, 7)]

    def back(done: Future[Any]) -> None:
        while wanted:
            shared[:] = wanted.pop()
            later.append(engine.submit_async(shared))

    with engine._lock:  # until both are there
        first = [engine.submit_async(order(n)) for n in (1, 2)]
        for future in first:
            future.add_done_callback(back)
    wait(first, 20)
    wait(later, 20)
    engine.close()
    digest = engine.digest()
    machine = mc.Machine()
    for frame in log.frames():
        machine.apply(frame.commands)
    assert later and machine.digest() == digest


def test_a_signal_handler_can_not_come_between_matching_and_queueing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, said, real = opened(tmp_path), [], Pipeline.put

    def handler(number: int, frame: object) -> None:
        for use in (lambda: engine.submit(order(7)), lambda: engine.digest()):
            try:
                use()
            except mc.LogError as error:
                said.append(str(error))

    def put(self: Pipeline, way: Any) -> None:
        monkeypatch.setattr(Pipeline, "put", real)
        signal.raise_signal(signal.SIGUSR1)
        real(self, way)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        monkeypatch.setattr(Pipeline, "put", put)
        assert engine.submit(order(1)).sequence == 3
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(said) == 2 and all("signal handler" in one for one in said)
    assert engine.submit(order(2)).sequence == 4
    digest = engine.digest()
    engine.close()
    assert replayed(tmp_path) == digest


def test_a_fork_during_a_sync_can_look_in_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = opened(tmp_path)
    entered, free, real = threading.Event(), threading.Event(), os.fdatasync

    def held(fd: int) -> None:
        entered.set()
        free.wait(20)
        real(fd)

    monkeypatch.setattr(os, "fdatasync", held)
    future = engine.submit_async(order())
    assert entered.wait(20)
    child = os.fork()
    if child == 0:
        signal.alarm(15)
        os._exit(7 if engine.sequence == 2 else 1)
    free.set()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert future.result(20).sequence == 3
    engine.close()


def test_a_sync_after_an_interrupted_one_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system may have told the interrupted one that the bytes are lost, and tells once."""
    engine = opened(tmp_path)
    calls: list[int] = []

    def stopped(fd: int) -> None:
        calls.append(fd)
        if len(calls) == 1:
            large = threading.Thread(target=engine.submit_async, args=[flow(1, 600)])
            large.start()  # it may be written meanwhile
            large.join(20)
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", stopped)
        with pytest.raises(KeyboardInterrupt):
            engine.submit(order())
        with pytest.raises(mc.LogFailed):
            engine.submit(order())
        assert (engine.durable, engine.on_disk, engine.sequence) == (2, 2, 2)
        engine.close()
        assert len(calls) == 1  # nor does closing seal it
    with opened(tmp_path) as again:
        assert again.sequence >= 2 and again.digest() == replayed(tmp_path)


def test_an_interval_of_ages_ends_no_thread(tmp_path: Path) -> None:
    engine = opened(tmp_path, policy="interval", interval_ms=10**15)
    for n in range(3):
        assert engine.submit_async(order(n)).result(20).sequence == 3 + n
    assert all(thread.is_alive() for thread in engine._pipeline._threads)
    engine.close()
