"""Snapshots from the log alone: at any command, beside an engine at work, and killed half-way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from engine_kit import opened, run
from flows import flow

import matchcore as mc
from matchcore.engine import recovery, snapshotting
from matchcore.journal import snapshots

WAIT_SECONDS = 120


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    monkeypatch.setattr(os, "fdatasync", lambda fd: None)


def test_a_snapshot_at_every_command_recovers_to_the_same_digest(
    tmp_path: Path, quick_disk: None
) -> None:
    commands, kept = flow(7, 250), tmp_path / "kept"
    exchange = tmp_path / "e"
    kept.mkdir()
    with opened(exchange, segment_bytes=1 << 14) as engine:
        for at in range(len(commands)):
            engine.submit_batch(commands[at : at + 1])
            file = engine.snapshot()
            file.rename(kept / file.name)
        digest, last = engine.digest(), engine.sequence
    assert len(list(kept.iterdir())) == 250
    for live in sorted(kept.iterdir()):
        taken = snapshots.read(live)
        from_log = snapshotting.take(exchange, sequence=taken.sequence)
        assert snapshots.read(from_log) == taken  # the follower says what the engine said
        with opened(exchange) as engine:
            assert engine.recovery.snapshot_sequence == taken.sequence
            assert engine.recovery.commands == last - taken.sequence
            assert engine.digest() == digest
        for file in snapshots.listing(exchange)[1:]:
            file.unlink()


def test_inside_a_batch_it_stands_before_the_batch(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        run(engine, 1, 100, 50)
    for asked, stands in ((1, 1), (2, 2), (51, 2), (52, 52), (101, 52), (102, 102)):
        file = snapshotting.take(tmp_path, sequence=asked)
        assert snapshots.read(file).sequence == stands
        file.unlink()
    with pytest.raises(mc.NotInTheLog, match=r"103: the log in .* ends with 102"):
        snapshotting.take(tmp_path, sequence=103)
    assert snapshots.listing(tmp_path) == []


def test_without_a_log_there_is_nothing_to_take(tmp_path: Path) -> None:
    with pytest.raises(mc.LogError, match="no journal"):
        snapshotting.take(tmp_path)


@pytest.mark.parametrize("policy", ["sync", "os"])
def test_trading_goes_on_while_a_snapshot_is_written(tmp_path: Path, policy: str) -> None:
    with opened(tmp_path, policy=policy) as engine:
        run(engine, 1)
        then, digest = engine.sequence, engine.digest()
        future = engine.start_snapshot()
        with pytest.raises(mc.LogError, match=f"at {then} is still being written"):
            engine.start_snapshot()
        seed = 1
        while not future.done():
            seed += 1
            run(engine, seed, 50)
        taken = snapshots.read(future.result())
        assert taken.sequence == then
        assert mc.State.from_bytes(taken.payload).digest() == digest
        second = engine.start_snapshot().result(WAIT_SECONDS)  # from the first one on
        assert snapshots.read(second).sequence == engine.sequence
        last = engine.digest()
    with opened(tmp_path) as engine:
        assert engine.recovery.snapshot_sequence == engine.sequence
        assert engine.digest() == last


def test_a_child_killed_leaves_nothing_that_hurts(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        run(engine, 1)
        future = engine.start_snapshot()
        assert engine._aside is not None
        engine._aside.process.kill()
        with pytest.raises(mc.LogFailed, match="signal 9; the log is not affected"):
            future.result(WAIT_SECONDS)
        half = tmp_path / "snapshot-00000000000000000302.unborn"
        half.write_bytes(b"MCSNAP\0\1 and no more")
        run(engine, 2)
        digest = engine.digest()
        assert engine.start_snapshot().result(WAIT_SECONDS).exists()
        assert not half.exists()
    with opened(tmp_path) as engine:
        assert engine.digest() == digest and engine.recovery.skipped == []


def test_what_is_wrong_comes_back(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        run(engine, 1)
        with (
            snapshots.turn(tmp_path),
            pytest.raises(mc.LogFailed, match=r"LogLocked: .* another process is writing"),
        ):
            engine.start_snapshot().result(WAIT_SECONDS)
        with snapshots.turn(tmp_path), pytest.raises(mc.LogLocked):
            engine.snapshot()
        run(engine, 2)
        assert recovery.read(tmp_path)[0].digest() == engine.digest()


def test_an_engine_in_memory_has_no_log_to_follow() -> None:
    with (
        mc.Engine.memory(log=mc.MemoryLog()) as engine,
        pytest.raises(mc.LogError, match="no log"),
    ):
        engine.start_snapshot()
