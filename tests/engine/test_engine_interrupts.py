"""Ctrl-C, signal handlers and forks: at any moment."""

from __future__ import annotations

import dis
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
from engine_kit import logged, opened, order, replayed
from flows import flow, for_c
from numpy.typing import NDArray

import matchcore as mc

ROOT = str(Path(mc.__file__).parent)
BEHIND = ("CALL", "CALL_KW", "CALL_FUNCTION", "CALL_METHOD", "CALL_FUNCTION_EX", "RESUME")
AT = ("JUMP_BACKWARD", "JUMP_ABSOLUTE")
CALLS: dict[str, Callable[[mc.Engine, NDArray], object]] = {
    "submit": lambda engine, batch: engine.submit(order()),
    "few": lambda engine, batch: engine.submit_batch(batch[:5]),
    "many": lambda engine, batch: engine.submit_batch(batch),
    "async": lambda engine, batch: engine.submit_async(batch),
}


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
                steps[at].offset
                for at in range(1, len(steps))
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
        CALLS[name](warm, for_c(flow(7, 600)))
        interrupt.left = at
        return CALLS[name](engine, batch)
    except KeyboardInterrupt:
        assert interrupt.raised
        return None
    finally:
        sys.settrace(before)


def goes_on(engine: mc.Engine) -> tuple[str, int]:
    """What others see afterwards: their commands are answered; digest and durable sequence."""
    found: list[tuple[str, int]] = []

    def work() -> None:
        for n in range(2):
            engine.submit_batch(for_c(flow(50 + n, 5)))
            engine.submit_async(order()).result(10)
        found.append((engine.digest(), engine.durable))
        engine.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(20)
    assert found and not thread.is_alive()
    assert engine._pipeline.unanswered == 0
    return found[0]


@pytest.mark.parametrize("name", CALLS)
def test_ctrl_c_at_any_moment_ends_the_call_and_nothing_else(
    tmp_path: Path, warm: mc.Engine, name: str
) -> None:
    """The engine takes the next commands, and the log has what the machine has."""
    at = 0
    while True:
        path = tmp_path / str(at)
        engine = opened(path)
        batch = for_c(flow(7, 600))
        interrupt = Interrupt(at)
        interrupted(warm, engine, name, batch, interrupt)
        if not interrupt.raised:
            engine.close()
            break
        batch["quantity"], batch["kind"] = 1, 0  # it is the caller's again
        digest, durable = goes_on(engine)
        assert durable == len(logged(path)) and replayed(path) == digest, at
        opened(path).close()  # the log is whole
        at += 1
    assert at > 8


@pytest.mark.parametrize("policy", ["sync", "os"])
def test_sixty_times_ctrl_c_while_orders_are_sent(tmp_path: Path, policy: str) -> None:
    """From outside, at any moment: each time the engine goes on, and no command is half there."""
    engine = opened(tmp_path, policy=policy)
    dice = random.Random(1)
    main = threading.main_thread().ident
    assert main is not None
    answered: list[int] = []
    number = interrupted = 0

    def interrupt(pause: float) -> None:
        threading.Event().wait(pause)
        signal.pthread_kill(main, signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for _ in range(60):
            thread = threading.Thread(target=interrupt, args=(dice.random() / 500,))
            try:
                thread.start()
                while True:
                    number += 1
                    answered.append(engine.submit(order(number)).sequence)
            except KeyboardInterrupt:
                interrupted += 1
            thread.join()
            number += 1
            answered.append(engine.submit(order(number)).sequence)
    finally:
        signal.signal(signal.SIGINT, before)
    assert interrupted == 60
    digest, ids = engine.digest(), logged(tmp_path)["client_order_id"].tolist()[2:]
    engine.close()
    assert replayed(tmp_path) == digest
    assert ids == sorted(set(ids)) and len(answered) <= len(ids) <= len(answered) + 60
    assert {ids[sequence - 3] for sequence in answered} <= set(ids)
    assert sorted(set(answered)) == answered


HANDLERS: dict[str, Callable[[mc.Engine], object]] = {
    "submit": lambda engine: engine.submit(order(7)),
    "send": lambda engine: engine.submit_async(for_c(flow(9, 700))),
    "look": lambda engine: engine.sequence,
    "close": lambda engine: engine.close(),
}


# Each call meets half of the handlers: every moment takes an engine of its own.
PAIRS = [
    (name, handler)
    for at, name in enumerate(CALLS)
    for number, handler in enumerate(HANDLERS)
    if (at + number) % 2 == 0
]


@pytest.mark.parametrize(("name", "handler"), PAIRS)
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
        assert engine._pipeline.unanswered == 0
        assert replayed(path) == engine.digest(), at
        if not raised[0]:
            break
        at += 1
    assert at > 8


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_signal_handler_while_its_own_thread_waits_for_an_answer_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handler: str
) -> None:
    engine, said, real = opened(tmp_path), [], os.fdatasync

    def interrupting(fd: int) -> None:
        monkeypatch.setattr(os, "fdatasync", real)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        real(fd)

    def handle(number: int, frame: object) -> None:
        HANDLERS[handler](engine)
        said.append(handler)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        monkeypatch.setattr(os, "fdatasync", interrupting)
        assert engine.submit(order()).sequence == 3
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert said == [handler]
    engine.close()
    assert replayed(tmp_path) == engine.digest()


@pytest.mark.parametrize("handler", ["submit", "send", "look"])
def test_a_signal_handler_while_its_own_thread_waits_for_a_look_is_served_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handler: str
) -> None:
    engine, said, real = opened(tmp_path), [], os.fdatasync
    entered, looks = threading.Event(), threading.Event()

    def held(fd: int) -> None:
        entered.set()
        assert looks.wait(20)
        real(fd)

    def interrupt() -> None:
        while not engine._pipeline.waiting:  # what a look puts there
            threading.Event().wait(0.001)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        looks.set()

    def handle(number: int, frame: object) -> None:
        try:
            HANDLERS[handler](engine)
            said.append("served")
        except mc.LogError as error:  # the wait was over
            assert "signal handler" in str(error)
            said.append("refused")

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        monkeypatch.setattr(os, "fdatasync", held)
        future = engine.submit_async(order(1))
        assert entered.wait(20)
        thread = threading.Thread(target=interrupt)
        thread.start()
        assert engine.sequence >= 3
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert future.result(20).sequence == 3 and len(said) == 1
    engine.close()
    assert replayed(tmp_path) == engine.digest()


def test_who_closes_while_another_places_waits_for_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, refused = opened(tmp_path, machine="reference"), []
    real = engine._machine.apply_one

    def close() -> None:
        try:
            engine.close()
        except mc.LogError as error:
            refused.append(error)

    closing = threading.Thread(target=close)

    def apply_one(record: bytes) -> bytes:
        closing.start()
        closing.join(0.2)
        assert closing.is_alive()
        return real(record)

    monkeypatch.setattr(engine._machine, "apply_one", apply_one, raising=False)
    assert engine.submit(order()).sequence == 3
    closing.join(20)
    assert not closing.is_alive() and not refused


def test_a_signal_handler_while_the_threads_of_the_log_are_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, start, inner = mc.Engine.open(tmp_path), threading.Thread.start, []

    def interrupted_start(thread: threading.Thread) -> None:
        if not inner:
            inner.append(None)
            inner[0] = engine.submit_async(mc.EndDay())
        start(thread)

    def work() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", interrupted_start)
            outer.append(engine.submit_async(mc.EndDay()))

    outer: list[Any] = []
    thread = threading.Thread(target=work, daemon=True)
    start(thread)
    thread.join(20)
    assert outer and outer[0].result(20) and inner[0].result(20)
    engine.close()


def test_a_signal_handler_can_not_come_between_matching_and_queueing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, said = opened(tmp_path, machine="reference"), []
    real = engine._machine.apply_one

    def handler(number: int, frame: object) -> None:
        uses: list[Callable[[], object]] = [
            lambda: engine.submit(order(7)),
            engine.digest,
            engine.close,
        ]
        for use in uses:
            try:
                use()
            except mc.LogError as error:
                said.append(str(error))

    def apply_one(record: bytes) -> bytes:
        monkeypatch.setattr(engine._machine, "apply_one", real)
        signal.raise_signal(signal.SIGUSR1)
        return real(record)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        monkeypatch.setattr(engine._machine, "apply_one", apply_one, raising=False)
        assert engine.submit(order(1)).sequence == 3
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(said) == 3 and all("signal handler" in one for one in said)
    assert engine.submit(order(2)).sequence == 4
    digest = engine.digest()
    engine.close()
    assert replayed(tmp_path) == digest


def test_a_signal_handler_during_a_look_may_look_but_not_submit(tmp_path: Path) -> None:
    engine, said = opened(tmp_path), []

    def handler(number: int, frame: object) -> None:
        said.append(str(engine.sequence))
        for use in (lambda: engine.submit(order(7)), engine.close):
            try:
                use()
            except mc.LogError as error:
                said.append(str(error))

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with engine._lock:
            signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert said[0] == "2" and len(said) == 3 and all("signal handler" in one for one in said[1:])
    assert engine.submit(order(2)).sequence == 3
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
        with pytest.raises(mc.LogFailed, match="KeyboardInterrupt"):
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
