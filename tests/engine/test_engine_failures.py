"""When the log fails, the engine answers nothing more; opening again shows the truth."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from engine_kit import ANA, WORLD, logged, opened, replayed, run
from flows import flow

import matchcore as mc

SMALL, LARGE = 3, 5000  # below and above what is matched beside the write


@contextmanager
def broken(name: str, call: Callable[..., object] | None = None) -> Iterator[None]:
    """An os function that fails, or does what `call` does."""

    def refuse(*given: object) -> None:
        raise OSError(errno.EIO, "the disk is broken")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, name, call or refuse)
        yield


def is_final(engine: mc.Engine) -> None:
    """Nothing goes in any more."""
    sequence = engine.log.sequence if engine.log is not None else 0
    for call in (
        engine.end_day,
        engine.snapshot,
        lambda: engine.submit_batch(flow(1, SMALL)),
        lambda: engine.submit_batch(flow(1, LARGE)),
        lambda: engine.add_instrument(ANA),
    ):
        with pytest.raises(mc.LogFailed, match="the log accepts no more commands"):
            call()
    assert engine.log is not None and engine.log.sequence == sequence


@pytest.mark.parametrize("count", [SMALL, LARGE])
@pytest.mark.parametrize(("name", "kept"), [("fdatasync", True), ("pwrite", False)])
def test_a_failed_write_or_sync_releases_nothing(
    tmp_path: Path, count: int, name: str, kept: bool
) -> None:
    engine = opened(tmp_path)
    run(engine, 1)
    with broken(name), pytest.raises(mc.LogFailed, match="the disk is broken"):
        engine.submit_batch(flow(2, count))
    assert engine.log is not None and engine.log.durable == 302
    is_final(engine)
    engine.close()
    with opened(tmp_path) as again:
        assert again.sequence >= 302 and (not kept or again.sequence > 302)
        assert len(logged(tmp_path)) == again.sequence
        assert again.digest() == replayed(tmp_path)
        run(again, 3)


@pytest.mark.parametrize("count", [SMALL, LARGE])
def test_a_disk_that_takes_a_part_only_releases_nothing(tmp_path: Path, count: int) -> None:
    engine = opened(tmp_path, policy="os")
    run(engine, 1)
    digest = engine.digest()
    pwrite, sizes = os.pwrite, [150]

    def limited(fd: int, data: bytes, at: int) -> int:
        if sizes:
            return pwrite(fd, data[: sizes.pop()], at)
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    with broken("pwrite", limited), pytest.raises(mc.LogFailed, match="quota"):
        engine.submit_batch(flow(2, count))
    is_final(engine)
    engine.close()
    with opened(tmp_path) as again:
        assert again.recovery.cut_bytes == 150
        assert (again.sequence, again.digest()) == (302, digest)


@pytest.mark.parametrize("count", [SMALL, LARGE])
def test_a_failed_engine_shows_no_state_that_is_not_durable(tmp_path: Path, count: int) -> None:
    engine = opened(tmp_path)
    run(engine, 1)
    digest, book = engine.digest(), engine.book("ONE")
    orders = book.orders().tobytes()
    with broken("fdatasync"), pytest.raises(mc.LogFailed):
        engine.submit_batch(flow(2, count))
    for look, before in ((engine.digest, digest), (lambda: book.orders().tobytes(), orders)):
        try:
            assert look() == before
        except mc.LogFailed:
            assert count == LARGE  # only then was it matched already
    engine.close()


def test_a_failed_engine_names_no_sequence_that_is_not_durable(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    run(engine, 1)
    with broken("fdatasync"), pytest.raises(mc.LogFailed):
        engine.submit_batch(flow(2, LARGE))
    try:
        assert engine.sequence == 302
    except mc.LogFailed:
        pass
    finally:
        engine.close()


def test_a_failed_rotation_releases_nothing(tmp_path: Path) -> None:
    engine = opened(tmp_path, segment_bytes=4096)
    with broken("rename"), pytest.raises(mc.LogFailed, match="the disk is broken"):
        run(engine, 1, 300, 10)
    is_final(engine)
    durable = engine.log.durable if engine.log is not None else 0
    engine.close()
    with opened(tmp_path) as again:
        assert again.sequence >= durable > 2
        assert again.digest() == replayed(tmp_path)


def test_a_failed_close_still_gives_the_directory_back(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    run(engine, 1)
    digest = engine.digest()
    with broken("fsync"), pytest.raises(mc.LogFailed):
        engine.close()
    engine.close()
    with pytest.raises(mc.LogFailed):
        engine.end_day()
    with opened(tmp_path) as again:
        assert again.digest() == digest


def test_a_machine_that_breaks_ends_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = opened(tmp_path, machine="reference")

    def refuse(commands: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(engine._machine, "apply", refuse, raising=False)
    with pytest.raises(MemoryError):
        engine.end_day()
    with pytest.raises(mc.LogFailed, match="no room"):
        engine.end_day()
    engine.close()
    with opened(tmp_path) as again:
        assert again.sequence == 2  # what the machine cannot take, the log does not have


def test_a_full_log_in_memory_ends_the_engine() -> None:
    log = mc.MemoryLog(max_bytes=5000)
    engine = mc.Engine.memory(instruments=WORLD, log=log)
    answered = 2
    with pytest.raises(mc.LogFailed, match="max_bytes"):
        for seed in range(100):
            run(engine, seed, 10, 10)
            answered += 10
    assert log.sequence == log.durable == answered > 12
    with pytest.raises(mc.LogFailed, match="the log accepts no more commands"):
        engine.submit_batch(flow(1, 1))
    again = mc.Engine.memory(log=mc.MemoryLog())
    for frame in log.frames():
        again.submit_batch(frame.commands)
    assert again.sequence == answered


def test_a_clock_that_fails_sends_nothing(tmp_path: Path) -> None:
    def clock() -> int:
        raise RuntimeError("no time")

    with mc.Engine.open(tmp_path, clock=clock) as engine:
        with pytest.raises(RuntimeError, match="no time"):
            engine.end_day()
        assert engine.sequence == 0 and engine.log is not None and engine.log.sequence == 0


FULL = """
import resource, signal, sys
import matchcore as mc
from flows import flow
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
engine = mc.Engine.open(sys.argv[1], policy=sys.argv[2], instruments=[mc.Instrument("ONE", "1")])
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
answered = engine.sequence
try:
    while True:
        engine.submit_batch(flow(answered, 40))
        answered += 40
except mc.LogFailed:
    print(answered)
"""


@pytest.mark.parametrize("policy", ["sync", "os"])
def test_a_full_disk_loses_nothing_that_was_answered(tmp_path: Path, policy: str) -> None:
    flows = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "machine")}
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "exchange"), policy],
        capture_output=True, text=True, check=False, env=flows,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answered = int(done.stdout)
    assert answered > 100
    with mc.Engine.open(tmp_path / "exchange") as engine:
        assert engine.sequence >= answered
        assert engine.digest() == replayed(tmp_path / "exchange")
        engine.end_day()
    first = logged(tmp_path / "exchange")[1:41]
    first["time"] = flow(1, 40)["time"]
    assert first.tobytes() == flow(1, 40).tobytes()


NO_RIGHTS = """
import os, sys
import matchcore as mc
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    mc.Engine.open(sys.argv[1])
except mc.LogFailed as error:
    sys.exit(7 * (sys.argv[1] in str(error) and "Permission denied" in str(error)))
"""


@pytest.mark.parametrize("there", [False, True])
def test_without_rights_opening_names_the_file_and_the_reason(there: bool) -> None:
    with tempfile.TemporaryDirectory() as made:
        os.chmod(made, 0o755)
        path = Path(made) / "exchange"
        if there:
            mc.Engine.open(path).close()
            for file in (*path.iterdir(), path):
                os.chmod(file, 0o555)
        else:
            os.chmod(made, 0o555)
        done = subprocess.run(
            [sys.executable, "-c", NO_RIGHTS, str(path)], capture_output=True, check=False
        )
        for file in (Path(made), *Path(made).iterdir()):
            os.chmod(file, 0o755)
    assert done.returncode == 7, done.stderr


def test_events_of_a_failed_batch_never_come_out_later(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    run(engine, 1)
    with broken("fdatasync"), pytest.raises(mc.LogFailed):
        engine.submit_batch(flow(2, LARGE))
    with pytest.raises(mc.LogFailed):
        engine.submit_batch(np.zeros(1, mc.COMMAND))
    engine.close()
    assert len(logged(tmp_path)) > 302
