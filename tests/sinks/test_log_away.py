"""Reads of the log that are refused for a while: a follower asks again and loses nothing."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flows import flow
from sink_kit import WORLD, contents, expected, logged

import matchcore as mc
from matchcore.cli.follow import _follow_into as follow_into
from matchcore.journal import LogReader, identity_of
from matchcore.sinks import open_sink

#: five reads of a journal fail; the first part of each is there, as with a bad sector
REFUSING = """
import errno, os
real, count = os.pread, 0
def pread(fd, size, offset):
    global count
    if count > 20 or "journal-" not in os.readlink(f"/proc/self/fd/{fd}"):
        return real(fd, size, offset)
    count += 1
    if count % 4 == 1:
        return real(fd, max(1, size // 2), offset)
    if count % 4 == 2:
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return real(fd, size, offset)
os.pread = pread
"""


def filled(path: Path) -> mc.Engine:
    """Many small segments."""
    engine = mc.Engine.open(path, instruments=WORLD, policy="os", segment_bytes=4096)
    for seed in range(10):
        engine.submit_batch(flow(seed, 60))
    return engine


def again(step: Callable[[], int], refused: list[str]) -> int:
    while True:
        try:
            return step()
        except mc.LogFailed as error:
            refused.append(str(error))


def test_a_step_that_could_not_read_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside an engine, where a frame that is cut off would be damage."""
    exchange, database = tmp_path / "e", tmp_path / "x.db"
    with filled(exchange) as engine:
        refused: list[str] = []
        monkeypatch.setattr(os, "pread", os.pread)  # to be put back
        exec(REFUSING, {})
        sink = open_sink(f"sqlite:///{database}", engine.identity)
        made: list[mc.Follower] = []
        again(lambda: made.append(mc.Follower(exchange, sink)) or 0, refused)
        with made[0] as follower:
            while again(follower.step, refused):
                pass
            assert follower.position.sequence == engine.sequence
    assert refused and all("Input/output error" in text for text in refused)
    assert contents(exchange, database) == expected(*logged(exchange))


def test_follow_forever_reads_again_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    exchange, database = tmp_path / "e", tmp_path / "x.db"
    filled(exchange).close()
    monkeypatch.setattr(os, "pread", os.pread)  # to be put back

    def progress(step: int) -> None:
        if not step:
            raise KeyboardInterrupt

    identity = identity_of(exchange)  # at the start a path that is wrong is refused at once
    exec(REFUSING, {})
    monkeypatch.setattr("matchcore.cli.follow.identity_of", lambda path: identity)
    said = follow_into(exchange, f"sqlite:///{database}", shard=0, forever=True, progress=progress)
    assert said["last_sequence"] == 602
    told = capfd.readouterr().err
    assert "Input/output error" in told and "the log is read again" in told


def test_a_failed_sync_of_the_log_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system says it once: the next one would prove nothing."""
    filled(tmp_path).close()
    left = [1]

    def fsync(fd: int, real: Any = os.fsync) -> None:
        if left:
            left.pop()
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    with LogReader(tmp_path) as reader:
        for _ in range(3):
            with pytest.raises(mc.LogFailed, match="Input/output error"):
                list(reader.read())
        with mc.Engine.open(tmp_path):  # writes again what nobody vouches for
            assert sum(frame.count for frame in reader.read()) == 602


def test_the_follower_beside_an_engine_reads_again(tmp_path: Path) -> None:
    exchange, database = tmp_path / "e", tmp_path / "x.db"
    with filled(exchange) as engine:
        program = REFUSING + (
            "import sys\nfrom matchcore.sinks import beside\nsys.exit(beside.main(sys.argv[1:]))"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program, str(exchange), "0"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as child:  # fmt: skip
            assert child.stdin is not None and child.stdout is not None
            child.stdin.write(json.dumps(f"sqlite:///{database}") + "\n")
            child.stdin.flush()
            said = []
            for line in child.stdout:
                said.append(json.loads(line))
                if said[-1].get("sequence") == engine.sequence:
                    break
            child.stdin.close()
            child.stdout.read()
        assert any("Input/output error" in each.get("error", "") for each in said)
        assert said[-1].get("sequence") == engine.sequence
        assert child.returncode == 0
    assert contents(exchange, database) == expected(*logged(exchange))
