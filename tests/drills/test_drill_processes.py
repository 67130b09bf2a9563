"""Processes that are killed, frozen and ended, and names for them that stay true."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from matchcore._children import environment
from matchcore.drills import processes
from matchcore.drills.processes import Child, asked, beginning, exists, free_ports, wait_until
from matchcore.errors import LogFailed

SLEEPS = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(600)"]


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_frozen_child_lives_and_ends(tmp_path: Path) -> None:
    child = Child(SLEEPS, log=tmp_path / "log")
    try:
        wait_until("output", lambda: (tmp_path / "log").read_text() == "here\n")
        child.freeze()
        wait_until("a stop", lambda: state(child.pid) == "T")
        assert child.lives
        child.thaw()
        wait_until("going on", lambda: state(child.pid) != "T")
        child.freeze()
    finally:
        child.end()
    assert not child.lives


def test_a_killed_child_is_started_again_and_is_another_process(tmp_path: Path) -> None:
    child = Child(SLEEPS)
    try:
        first = child.pid, beginning(child.pid)
        child.kill()
        assert not child.lives and not exists(*first)
        child.start()
        assert child.lives and (child.pid, beginning(child.pid)) != first
        assert not processes.send(*first, signal.SIGKILL)
        assert child.lives
    finally:
        child.end()


PARENT = """
import sys, threading
from matchcore.drills.processes import Child
children = [Child(sys.argv[1:]), Child(sys.argv[1:])]
children[1].freeze()
print(*(child.pid for child in children), flush=True)
threading.Event().wait()
"""


def test_children_end_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, *SLEEPS], stdout=subprocess.PIPE, env=environment()
    ) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        began = [beginning(pid) for pid in pids]
        assert len(pids) == 2 and all(began)
        parent.kill()
    for one in zip(pids, began, strict=True):
        wait_until("the end of a child", lambda one=one: not exists(*one))


def test_a_guard_that_was_released_ends_nobody() -> None:
    child = Child(SLEEPS)
    for _ in range(2):
        child._release()
    assert child.lives
    child.end()


def test_nobody_at_a_port_is_no_answer() -> None:
    (port,) = free_ports(1)
    assert asked(f"127.0.0.1:{port}", "/ready") == (0, {})


def test_what_was_waited_for_is_named() -> None:
    with pytest.raises(LogFailed, match="a miracle: not within 0 s"):
        wait_until("a miracle", lambda: False, 0.1)
