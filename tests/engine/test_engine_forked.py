"""What a process that was forked can do with the engines of its parent."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from engine_kit import WORLD, opened, order

import matchcore as mc


class SlowToAppend(mc.MemoryLog):
    """A log whose appends wait, from `hold` on, until the test lets them go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.free = threading.Event(), threading.Event()
        self.free.set()

    def append(self, commands: Any, now: int, *, rules: int = 0) -> None:
        self.entered.set()
        assert self.free.wait(20)
        super().append(commands, now, rules=rules)


def ends_well(child: int) -> bool:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


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
    assert ends_well(child)
    assert future.result(20).sequence == 3
    engine.close()


def test_a_fork_while_a_log_in_memory_is_written_can_be_closed_in_the_child() -> None:
    log = SlowToAppend()
    engine = mc.Engine.memory(instruments=WORLD, log=log)
    log.entered.clear()
    log.free.clear()
    future = engine.submit_async(order())
    assert log.entered.wait(20)
    child = os.fork()
    if child == 0:
        signal.alarm(15)
        with suppress(mc.LogFailed):
            engine.submit(order())
            os._exit(1)
        shown = engine.sequence
        engine.close()
        os._exit(7 if shown == 2 else 2)
    log.free.set()
    assert ends_well(child)
    assert future.result(20).sequence == 3
    engine.close()


def test_a_fork_of_an_idle_engine_in_memory_goes_on_in_the_child() -> None:
    engine = mc.Engine.memory(instruments=WORLD, log=mc.MemoryLog())
    engine.submit(order())
    child = os.fork()
    if child == 0:
        signal.alarm(15)
        sequence = engine.submit(order()).sequence
        engine.close()
        os._exit(7 if sequence == 4 else 1)
    assert ends_well(child)
    assert engine.submit(order()).sequence == 4
    engine.close()
