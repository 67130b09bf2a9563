"""Processes that are killed, frozen and ended, and names for them that stay true."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

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


def test_nobody_at_a_port_is_no_answer() -> None:
    (port,) = free_ports(1)
    assert asked(f"127.0.0.1:{port}", "/ready") == (0, {})


def test_what_was_waited_for_is_named() -> None:
    with pytest.raises(LogFailed, match="a miracle: not within 0 s"):
        wait_until("a miracle", lambda: False, 0.1)
