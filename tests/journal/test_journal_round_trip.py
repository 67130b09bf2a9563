"""What is appended is read back: over segments, from any place, under each policy."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journal_kit import SMALL, closed_log, noise, orders, read_back, reopen, same, write

from matchcore import LogError, LogFailed
from matchcore.journal import FileLog, LogReader, verify
from matchcore.journal.segments import named_sequence, segment_files

MANY = [1, 16, 17, 3, 200, 1, 1, 40, 64, 5, 90, 2, 300, 16, 33, 1] * 4


def test_every_codec_comes_back_from_disk(tmp_path: Path) -> None:
    log = FileLog.open(tmp_path / "log")
    sparse = orders(3000)
    sparse["account"] = np.arange(3000) == 2999
    batches = [orders(1), orders(16), orders(17), noise(50), sparse, orders(20000)]
    for batch in batches:
        log.append(batch, 7)
    log.sync()
    assert log.sequence == log.durable == sum(map(len, batches))
    log.close()
    wanted = np.concatenate(batches)
    assert same(read_back(tmp_path / "log"), wanted)
    assert same(reopen(tmp_path / "log")[0], wanted)


@given(counts=st.lists(st.integers(1, 60), min_size=1, max_size=12), seed=st.integers(0, 999))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_random_values_over_small_segments(
    tmp_path_factory: pytest.TempPathFactory, quick_disk: None, counts: list[int], seed: int
) -> None:
    path = tmp_path_factory.mktemp("log")
    log = FileLog.open(path, segment_bytes=SMALL)
    batches = [noise(count, seed + n) for n, count in enumerate(counts)]
    for batch in batches:
        log.append(batch, 1)
    log.close()
    assert same(read_back(path), np.concatenate(batches))


def test_rotation_makes_segments_that_say_where_they_begin(tmp_path: Path) -> None:
    commands = closed_log(tmp_path, MANY, SMALL)
    files = segment_files(tmp_path)
    assert len(files) > 4
    assert all(file.stat().st_size <= SMALL + 256 for file in files)
    log = FileLog.open(tmp_path, segment_bytes=SMALL)
    first = {Path(frame.path): frame.first_sequence for frame in reversed([*log.frames()])}
    log.close()
    assert first == {file: named_sequence(file) for file in files}
    report = verify(tmp_path)
    assert report.good and report.commands == report.last_sequence == len(commands)
    assert (report.segments, report.frames) == (len(files), len(MANY))


def test_reading_begins_after_any_sequence(tmp_path: Path, quick_disk: None) -> None:
    commands = closed_log(tmp_path, MANY, SMALL)
    log = FileLog.open(tmp_path, segment_bytes=SMALL)
    ends = np.cumsum(MANY)
    for after in range(0, len(commands) + 1, 7):
        begin = int(ends[ends <= after].max(initial=0))  # frames are given whole
        frames = list(log.frames(after=after))
        got = np.concatenate([commands[:0], *(frame.commands for frame in frames)])
        assert same(got, commands[begin:])
        assert same(read_back(tmp_path, after), commands[begin:])
    assert list(log.frames(after=len(commands) + 5)) == []
    log.close()


def test_recovery_hands_on_only_what_is_beyond_after(tmp_path: Path) -> None:
    commands = closed_log(tmp_path, MANY, SMALL)
    ends = np.cumsum(MANY).tolist()
    for after in (0, 1, ends[3], ends[3] + 1, ends[-2], ends[-1]):
        got = []
        log = FileLog.open(tmp_path, after=after, on_frame=got.append)
        log.close()
        begin = max([end for end in ends if end <= after], default=0)
        assert sum(frame.count for frame in got) == len(commands) - begin
        assert log.sequence == len(commands)


def test_frames_carry_time_chain_and_place(tmp_path: Path) -> None:
    log = FileLog.open(tmp_path)
    log.append(orders(2), 111)
    log.append(orders(30), 222)
    one, two = log.frames()
    assert (one.first_sequence, one.count, one.time) == (1, 2, 111)
    assert (two.first_sequence, two.count, two.time) == (3, 30, 222)
    assert one.chain != two.chain == log.chain
    assert one.path == two.path and one.offset == 128 < two.offset
    log.close()


def test_the_chain_is_of_all_commands_and_nothing_by_chance(tmp_path: Path) -> None:
    chains = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        log = FileLog.open(tmp_path / name)
        write(log, [3, 20], seed=seed)
        chains.append(log.chain)
        log.close()
    assert chains[0] == chains[1] != chains[2]


def test_each_opening_has_a_higher_epoch_and_the_same_identity(tmp_path: Path) -> None:
    seen = []
    for n in range(4):
        log = FileLog.open(tmp_path)
        seen.append((log.epoch, log.identity))
        log.append(orders(1, n), 1)
        log.close()
    assert [epoch for epoch, _ in seen] == [1, 2, 3, 4]
    assert len({identity for _, identity in seen}) == 1 and len(seen[0][1]) == 16


@pytest.mark.parametrize(("policy", "syncs"), [("sync", 3), ("os", 0)])
def test_a_policy_decides_whether_sync_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str, syncs: int
) -> None:
    log = FileLog.open(tmp_path, policy=policy)
    write(log, [1])  # the first append also makes room
    calls: list[int] = []
    monkeypatch.setattr(os, "fdatasync", calls.append)
    write(log, [1, 20, 1])
    assert len(calls) == syncs and log.durable == 23
    log.sync()
    assert len(calls) == syncs  # nothing new to wait for
    log.sync(to_disk=True)
    assert len(calls) == syncs + 1
    log.close()


def test_appended_is_not_durable_before_sync(tmp_path: Path) -> None:
    log = FileLog.open(tmp_path)
    log.append(orders(5), 1)
    assert (log.sequence, log.durable) == (5, 0)
    log.sync()
    assert log.durable == 5
    log.close()


@pytest.mark.parametrize("policy", ["", "SYNC", "none", "fsync"])
def test_an_unknown_policy_is_refused_before_anything_is_made(tmp_path: Path, policy: str) -> None:
    with pytest.raises(ValueError, match="policy"):
        FileLog.open(tmp_path / "log", policy=policy)
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("size", [SMALL - 1, 0, -1])
def test_a_segment_too_small_is_refused_before_anything_is_made(tmp_path: Path, size: int) -> None:
    with pytest.raises(ValueError, match="segment_bytes"):
        FileLog.open(tmp_path / "log", segment_bytes=size)
    assert not (tmp_path / "log").exists()


def test_a_closed_log_takes_nothing_and_closes_again(tmp_path: Path) -> None:
    log = FileLog.open(tmp_path)
    log.close()
    log.close()
    for call in (lambda: log.append(orders(1), 1), log.sync):
        with pytest.raises(LogFailed, match="closed"):
            call()


def test_a_reader_of_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="no journal here"):
        LogReader(tmp_path)
    with pytest.raises(LogError, match="no journal here"):
        verify(tmp_path)


def test_an_empty_append_changes_nothing(tmp_path: Path) -> None:
    log = FileLog.open(tmp_path)
    log.append(orders(0), 1)
    log.sync()
    assert (log.sequence, log.chain, list(log.frames())) == (0, bytes(32), [])
    log.close()
