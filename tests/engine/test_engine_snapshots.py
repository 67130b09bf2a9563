"""A snapshot is a shortcut only: with it, without it or with a bad one, the end is the same."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_kit import filled, opened, replayed, run, segment, spoil

import matchcore as mc
from matchcore.engine import recovery
from matchcore.engine.snapshotting import take
from matchcore.journal import identity_of, snapshots
from matchcore.journal.segments import segment_files
from matchcore.operations.repair import repair
from matchcore.operations.verify import verify


def with_snapshots(path: Path, count: int = 2) -> str:
    """Flow, snapshot, flow, snapshot, flow; the digest at the end."""
    with opened(path) as engine:
        for seed in range(count):
            run(engine, seed, 100)
            engine.snapshot()
        run(engine, 99, 100)
        return engine.digest()


@pytest.mark.parametrize("machine", ["cython", "reference"])
def test_snapshot_and_tail_are_the_whole_log(tmp_path: Path, machine: str) -> None:
    digest = with_snapshots(tmp_path)
    with opened(tmp_path, machine=machine) as engine:
        assert engine.recovery.snapshot_sequence == 202
        assert engine.recovery.commands == 100
        assert engine.digest() == digest
        engine._check()
    assert replayed(tmp_path) == replayed(tmp_path, "reference") == digest


def test_a_snapshot_at_the_very_end_needs_no_replay(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        run(engine, 1)
        file = engine.snapshot()
        assert engine.snapshot() == file
        digest = engine.digest()
    with opened(tmp_path) as engine:
        assert (engine.recovery.snapshot_sequence, engine.recovery.commands) == (302, 0)
        assert engine.digest() == digest


def test_a_snapshot_of_an_empty_exchange_is_one_too(tmp_path: Path) -> None:
    with mc.Engine.open(tmp_path) as engine:
        engine.snapshot()
    with opened(tmp_path) as engine:
        assert engine.sequence == 2 and not engine.recovery.skipped


def test_segments_before_the_snapshot_are_not_needed(tmp_path: Path) -> None:
    with opened(tmp_path, segment_bytes=4096) as engine:
        run(engine, 1, 400, 20)
        engine.snapshot()
        run(engine, 2, 200, 20)
        digest = engine.digest()
    first = sorted(tmp_path.glob("journal-*"))[0]
    first.unlink()
    with opened(tmp_path) as engine:
        assert engine.digest() == digest and engine.recovery.snapshot_sequence == 402
    assert recovery.read(tmp_path)[0].digest() == digest


def test_the_newest_few_are_kept(tmp_path: Path) -> None:
    with_snapshots(tmp_path, 6)
    kept = [snapshots.read(file).sequence for file in snapshots.listing(tmp_path)]
    assert kept == [602, 502, 402]


@pytest.mark.parametrize("cut", [False, True])
def test_a_bad_snapshot_is_skipped_for_an_older_one(tmp_path: Path, cut: bool) -> None:
    digest = with_snapshots(tmp_path)
    newest = snapshots.listing(tmp_path)[0]
    os.truncate(newest, 200) if cut else spoil(newest)
    with opened(tmp_path) as engine:
        assert engine.recovery.snapshot_sequence == 102
        assert len(engine.recovery.skipped) == 1 and str(newest) in engine.recovery.skipped[0]
        assert engine.digest() == digest


def test_without_a_good_snapshot_the_whole_log_is_replayed(tmp_path: Path) -> None:
    digest = with_snapshots(tmp_path)
    for file in snapshots.listing(tmp_path):
        spoil(file)
    assert recovery.read(tmp_path)[0].digest() == digest
    with opened(tmp_path) as engine:
        assert (engine.recovery.snapshot_sequence, engine.recovery.commands) == (0, 302)
        assert len(engine.recovery.skipped) == 2
        assert engine.digest() == digest


def test_a_snapshot_of_another_exchange_is_refused_unless_told_to_go_on(tmp_path: Path) -> None:
    digest = filled(tmp_path / "ours")
    with opened(tmp_path / "theirs") as engine:
        run(engine, 77, 100)
        foreign = engine.snapshot()
        theirs = engine.identity
    shutil.copy(foreign, tmp_path / "ours")
    with pytest.raises(mc.LogDamaged, match="files of two exchanges") as caught:
        opened(tmp_path / "ours")
    assert {theirs.hex(), identity_of(tmp_path / "ours").hex()} <= set(
        re.findall(r"[0-9a-f]{32}", str(caught.value))
    )
    with pytest.raises(mc.LogDamaged, match="files of two exchanges"):
        recovery.read(tmp_path / "ours")
    with opened(tmp_path / "ours", accept_loss=True) as engine:
        assert engine.recovery.snapshot_sequence == 0
        assert "of another exchange" in engine.recovery.skipped[0]
        assert engine.digest() == digest


def test_segments_of_another_exchange_beside_our_snapshots_are_refused(tmp_path: Path) -> None:
    """All of them: only the snapshots, and `position`, can tell."""
    for name, seed in (("ours", 1), ("theirs", 2)):
        with opened(tmp_path / name) as engine:
            run(engine, seed, 100)
            engine.snapshot()
    for file in segment_files(tmp_path / "theirs"):
        shutil.copy(file, tmp_path / "ours")
    with pytest.raises(mc.LogDamaged, match="and its snapshot of another"):
        opened(tmp_path / "ours")
    for file in snapshots.listing(tmp_path / "ours"):
        file.unlink()
    with pytest.raises(mc.LogDamaged, match="and the position beside it"):
        opened(tmp_path / "ours")
    with opened(tmp_path / "ours", accept_loss=True) as engine:
        assert engine.identity == identity_of(tmp_path / "theirs")
    opened(tmp_path / "ours").close()


def with_a_snapshot_of_another_history(path: Path) -> None:
    filled(path)
    copy = path.with_name("copy")
    shutil.copytree(path, copy)
    with opened(copy) as engine:
        run(engine, 5, 50)
        other = engine.snapshot()
    with opened(path) as engine:
        run(engine, 6, 80)
    shutil.copy(other, path)


def test_a_snapshot_of_another_history_of_this_exchange_is_damage(tmp_path: Path) -> None:
    with_a_snapshot_of_another_history(tmp_path / "ours")
    with pytest.raises(mc.LogDamaged, match="different histories"):
        opened(tmp_path / "ours")
    with pytest.raises(mc.LogError, match="pass lose_acknowledged"):
        repair(tmp_path / "ours")
    done = repair(tmp_path / "ours", lose_acknowledged=True)
    assert "different histories" in done.what and len(done.snapshots) == 1
    with opened(tmp_path / "ours") as engine:
        assert engine.sequence == 382 and engine.recovery.snapshot_sequence == 0


def test_snapshots_without_their_log_are_damage(tmp_path: Path) -> None:
    with_snapshots(tmp_path)
    segment(tmp_path).unlink()
    with pytest.raises(mc.LogDamaged, match="snapshots here, but no journal"):
        opened(tmp_path)
    assert not list(tmp_path.glob("journal-*"))
    assert len(snapshots.listing(tmp_path)) == 2


def test_bad_snapshots_without_their_log_are_damage_too(tmp_path: Path) -> None:
    with_snapshots(tmp_path)
    segment(tmp_path).unlink()
    for file in snapshots.listing(tmp_path):
        spoil(file)
    with pytest.raises(mc.LogDamaged):
        opened(tmp_path)


def cut_before_the_snapshot(path: Path) -> None:
    with_snapshots(path)
    with opened(path) as engine:
        assert engine.log is not None
        offset = next(f.offset for f in engine.log.frames() if f.first_sequence > 150)
    os.truncate(segment(path), offset)


def test_a_log_that_ends_before_its_snapshot_is_damage(tmp_path: Path) -> None:
    cut_before_the_snapshot(tmp_path)
    for _ in range(2):  # and it stays so: refusing it does not mend it
        with pytest.raises(mc.LogDamaged, match="ends before its snapshot"):
            opened(tmp_path)


@pytest.mark.parametrize("made", [cut_before_the_snapshot, with_a_snapshot_of_another_history])
def test_reading_without_a_lock_refuses_what_opening_refuses(
    tmp_path: Path, made: Callable[[Path], None]
) -> None:
    made(tmp_path / "ours")
    with pytest.raises(mc.LogDamaged):
        recovery.read(tmp_path / "ours")


def test_reading_beside_a_writer_is_the_durable_state(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        for seed in range(3):
            run(engine, seed, 60)
            machine, position = recovery.read(tmp_path)
            assert machine.digest() == engine.digest()
            assert position == (1, engine.sequence)
            if seed == 1:
                engine.snapshot()
    assert recovery.read(tmp_path, "reference")[0].digest() == engine.digest()


def test_a_snapshot_that_fails_leaves_the_engine_going(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path) as engine:
        run(engine, 1)
        with monkeypatch.context() as patch:

            def refuse(*given: object, **more: object) -> None:
                raise OSError(28, "No space left on device")

            patch.setattr(os, "rename", refuse)
            with pytest.raises(mc.LogFailed, match="the log is not affected"):
                engine.snapshot()
        run(engine, 2)
        digest = engine.digest()
        engine.snapshot()
    with opened(tmp_path) as engine:
        assert engine.digest() == digest and engine.recovery.snapshot_sequence == 602


def test_an_engine_in_memory_has_no_snapshot() -> None:
    with (
        mc.Engine.memory(log=mc.MemoryLog()) as engine,
        pytest.raises(mc.LogError, match="no directory"),
    ):
        engine.snapshot()


def test_a_state_comes_back_from_its_bytes(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        run(engine, 8, 1000)
        data = engine.state().to_bytes()
        digest = engine.digest()
    assert mc.State.from_bytes(data).digest() == digest
    for machine in ("cython", "reference"):
        made = recovery.machine_class(machine).from_state(mc.State.from_bytes(data))
        assert made.digest() == digest
        made._check()


def test_a_snapshot_before_the_first_command_of_a_log_that_goes_on_fits_the_log(
    tmp_path: Path,
) -> None:
    digest = filled(tmp_path)
    assert take(tmp_path, sequence=0).name.endswith("-00000000000000000000.mcs")
    take(tmp_path)
    with opened(tmp_path) as engine:
        assert engine.digest() == digest
    assert verify(tmp_path)["good"]
