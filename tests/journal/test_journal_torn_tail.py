"""What a crash can leave at the end of a log is cut and reported; whole frames stay."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from journal_kit import (
    closed_log,
    crashed_log,
    frame_ends,
    noise,
    only_segment,
    orders,
    read_back,
    reopen,
    same,
    write,
)
from numpy.typing import NDArray

from matchcore import LogDamaged
from matchcore.journal import FileLog, verify
from matchcore.journal.format import HEADER_BYTES, SECTOR_BYTES, FrameHeader
from matchcore.journal.segments import segment_files
from matchcore.records.commands import COMMAND

COUNTS = [1, 3, 20, 2, 17, 1]
MORE = orders(2, 99)


def whole(ends: list[int], counts: list[int], cut: int) -> int:
    """Commands in the frames that end at or before a cut."""
    return sum(count for end, count in zip(ends, counts, strict=False) if end <= cut)


@pytest.mark.parametrize("made", [closed_log, crashed_log])
def test_a_cut_at_every_byte_leaves_a_prefix_of_whole_frames(
    tmp_path: Path, quick_disk: None, made: object
) -> None:
    path = tmp_path / "log"
    commands = made(path, COUNTS)  # type: ignore[operator]
    file = only_segment(path)
    data, ends = file.read_bytes(), frame_ends(file)
    for cut in range(ends[1] - 3, min(len(data), ends[-1] + 20)):
        file.write_bytes(data[:cut])
        kept = whole(ends, COUNTS, cut)
        got, found = reopen(path, MORE)
        assert same(got, commands[:kept]), cut
        clean = max([end for end in ends if end <= cut])
        assert found.cut_bytes == (cut - clean if any(data[clean:cut]) else 0), cut
        assert same(read_back(path), np.concatenate([commands[:kept], MORE])), cut


def test_a_cut_is_seen_by_verify_and_readers_and_changed_by_neither(tmp_path: Path) -> None:
    path = tmp_path / "log"
    commands = crashed_log(path, COUNTS)
    file = only_segment(path)
    ends = frame_ends(file)
    os.truncate(file, ends[-1] - 5)
    before = file.read_bytes()
    report = verify(path)
    assert report.good and report.torn_bytes == len(before) - ends[-2]
    assert report.last_sequence == sum(COUNTS[:-1])
    assert same(read_back(path), commands[:-1])
    assert file.read_bytes() == before


def test_zeros_behind_the_last_frame_are_no_tear(tmp_path: Path) -> None:
    path = tmp_path / "log"
    commands = crashed_log(path, COUNTS)
    file = only_segment(path)
    os.truncate(file, file.stat().st_size + 5000)
    got, found = reopen(path)
    assert same(got, commands) and found.cut_bytes == 0


def sectors(start: int, end: int) -> list[tuple[int, int]]:
    """The pieces of a byte range that a disk writes whole or not at all."""
    edges = [start, *range(start - start % SECTOR_BYTES + SECTOR_BYTES, end, SECTOR_BYTES), end]
    return list(pairwise(edges))


def unsynced(path: Path, durable: list[int], last: list[NDArray], policy: str) -> tuple[Path, int]:
    """A crashed log with durable frames and then some that were never synced; where they begin."""
    live = path.with_name("live")
    log = FileLog.open(live, segment_bytes=1 << 14, policy=policy)
    write(log, durable)
    start = frame_ends(only_segment(live))[-1]
    for batch in last:
        log.append(batch, 3)
    shutil.copytree(live, path)
    log.close()
    return only_segment(path), start


@pytest.mark.parametrize("policy", ["sync", "os"])
@pytest.mark.parametrize("sizes", [[31], [2, 1, 12], [1, 1, 1, 1, 1, 1, 1], [17, 3]])
@pytest.mark.parametrize("durable", [[1], [3, 2], [2, 2, 2]])
def test_any_set_of_lost_sectors_is_a_tear(
    tmp_path: Path, quick_disk: None, policy: str, sizes: list[int], durable: list[int]
) -> None:
    path = tmp_path / "log"
    batches = [noise(size, size) for size in sizes]
    file, start = unsynced(path, durable, batches, policy)
    data, ends = file.read_bytes(), frame_ends(file)
    pieces = sectors(start, ends[-1])
    for lost in range(1, 1 << len(pieces)):
        torn, first = bytearray(data), None
        for n, (begin, end) in enumerate(pieces):
            if lost >> n & 1:
                torn[begin:end] = bytes(end - begin)
                first = begin if first is None else first
        file.write_bytes(torn)
        got, found = reopen(path)
        assert first is not None
        assert len(got) == whole(ends, durable + sizes, first), (lost, first)
        assert found.cut_bytes or not any(torn[first:])


def test_under_policy_os_a_power_cut_takes_the_last_moments_only(
    tmp_path: Path, quick_disk: None
) -> None:
    live, path = tmp_path / "live", tmp_path / "log"
    log = FileLog.open(live, policy="os")
    write(log, [16, 16, 16, 16])
    shutil.copytree(live, path)
    log.close()
    file = only_segment(path)
    data, ends = bytearray(file.read_bytes()), frame_ends(file)
    begin, end = sectors(ends[0], ends[1])[1]
    data[begin:end] = bytes(end - begin)  # pages reach the disk in any order
    file.write_bytes(data)
    assert len(reopen(path)[0]) == 16


def test_a_torn_frame_behind_a_clean_restart_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "log"
    commands = closed_log(path, [4, 20])
    file = only_segment(path)
    sealed = file.stat().st_size
    log = FileLog.open(path)
    log.append(noise(30), 1)
    torn = bytearray(file.read_bytes())
    log.close()
    torn[sealed + 600 : sealed + 2000] = bytes(1400)
    file.write_bytes(torn)
    got, found = reopen(path)
    assert same(got, commands) and found.cut_bytes > 0


def rotated() -> list[int]:
    return [20, 30, 16, 40, 16, 40, 30]


@pytest.fixture
def segments(tmp_path: Path) -> Iterator[list[Path]]:
    closed_log(tmp_path, rotated() * 3, 4096)
    files = segment_files(tmp_path)
    assert len(files) > 3
    yield files


@pytest.mark.parametrize("lost", [1, 7, 8, 100, 500])
def test_a_cut_before_the_last_segment_is_damage(
    segments: list[Path], tmp_path: Path, quick_disk: None, lost: int
) -> None:
    for file in segments[:-1]:
        data, ends = file.read_bytes(), frame_ends(file)
        cut = len(data) - lost
        file.write_bytes(data[:cut])
        clean = max([end for end in [HEADER_BYTES, *ends] if end <= cut])
        first = FrameHeader.from_bytes(data, clean).first_sequence
        with pytest.raises(LogDamaged) as caught:
            FileLog.open(tmp_path)
        error = caught.value
        assert (error.path, error.offset, error.sequence) == (str(file), clean, first)
        assert all(str(part) in str(error) for part in (file, clean, first))
        (finding, *_) = verify(tmp_path).findings
        assert (finding.path, finding.offset, finding.sequence) == (str(file), clean, first)
        file.write_bytes(data)
    reopen(tmp_path)  # nothing was changed by being refused


def test_a_lost_end_at_a_frame_boundary_before_the_last_segment_is_damage(
    segments: list[Path], tmp_path: Path
) -> None:
    file = segments[1]
    os.truncate(file, frame_ends(file)[-2])
    with pytest.raises(LogDamaged, match="does not continue"):
        FileLog.open(tmp_path)
    assert not verify(tmp_path).good


@pytest.mark.parametrize("size", [0, 1, 64, HEADER_BYTES - 1])
def test_half_a_segment_header_is_damage(tmp_path: Path, size: int) -> None:
    closed_log(tmp_path, [1])
    os.truncate(only_segment(tmp_path), size)
    with pytest.raises(LogDamaged, match=f"segment header of {size} bytes"):
        FileLog.open(tmp_path)
    assert not verify(tmp_path).good


def forged(durable: int) -> NDArray:
    """Two commands whose bytes hold a good frame header that claims everything is durable."""
    header = FrameHeader(0, 1, 96, 1, 1, durable, 1, bytes(32)).to_bytes()
    return np.frombuffer(bytes(40) + header + bytes(24), COMMAND)


def test_a_frame_header_inside_a_command_certifies_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log"
    batch = np.concatenate([forged(2**64 - 1), noise(10)])
    file, start = unsynced(path, [1], [batch], "sync")
    torn = bytearray(file.read_bytes())
    last = sectors(start, frame_ends(file)[-1])[-1]
    torn[slice(*last)] = bytes(last[1] - last[0])
    file.write_bytes(torn)
    got, found = reopen(path)
    assert len(got) == 1 and found.cut_bytes > 0
