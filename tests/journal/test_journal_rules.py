"""Frames that change the version of the rules."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from matchcore import COMMAND, MemoryLog
from matchcore.errors import LogDamaged
from matchcore.journal import FileLog, LogReader, verify
from matchcore.journal.format import HEADER_BYTES, BadBytes, FrameHeader, SegmentHeader
from matchcore.journal.segments import headers_of
from matchcore.records import rules
from matchcore.records.schema import Kind


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that knows version 1 only."""
    monkeypatch.setattr(rules, "RULES_LATEST", 1)


def upgrade() -> np.ndarray:
    row = np.zeros(1, COMMAND)
    row["kind"], row["quantity"], row["time"] = Kind.UPGRADE_RULES, 2, 5
    return row


def orders(count: int) -> np.ndarray:
    rows = np.zeros(count, COMMAND)
    rows["kind"], rows["time"] = Kind.CANCEL, 7
    return rows


def test_a_frame_says_which_version_its_command_changes_to(tmp_path: Path, old: None) -> None:
    log = FileLog.open(tmp_path)
    for commands, to in ((orders(3), 0), (upgrade(), 2), (orders(40), 0)):
        log.append(commands, 1, rules=to)
    log.close()
    with LogReader(tmp_path) as reader:
        frames = list(reader.read())
    assert [(frame.rules, frame.count) for frame in frames] == [(0, 3), (2, 1), (0, 40)]
    assert [frame.under for frame in frames] == [1, 1, 2]
    assert frames[1].commands.tobytes() == upgrade().tobytes()


def test_so_does_a_log_in_memory(old: None) -> None:
    log = MemoryLog()
    log.append(orders(1), 1)
    log.append(upgrade(), 1, rules=2)
    log.append(orders(1), 1)
    assert [(frame.rules, frame.under) for frame in log.frames()] == [(0, 1), (2, 1), (0, 2)]


@pytest.mark.parametrize("count", [0, 2])
def test_only_a_frame_of_one_command_may_say_so(count: int) -> None:
    header = FrameHeader(0, count, 96 * count, 1, 1, 0, 1, bytes(32), 2).to_bytes()
    assert len(header) == HEADER_BYTES
    with pytest.raises(BadBytes, match="impossible"):
        FrameHeader.from_bytes(header)


def test_every_segment_says_under_which_version_it_begins(tmp_path: Path, old: None) -> None:
    log = FileLog.open(tmp_path, segment_bytes=4096)
    for commands, to in ((orders(30), 0), (upgrade(), 2), (orders(60), 0)):
        for at in range(len(commands)):
            log.append(commands[at : at + 1], 1, rules=to)
    log.close()
    said = [header.rules for _, header in headers_of(tmp_path)]
    assert said == sorted(said) and {said[0], said[-1]} == {1, 2} and len(said) > 3
    first, *_, last = sorted(tmp_path.glob("journal-*"))
    assert first.read_bytes()[20:24] == bytes(4) and last.read_bytes()[20:24] == bytes([2, 0, 0, 0])
    assert verify(tmp_path).rules == 2 and verify(tmp_path).good
    log = FileLog.open(tmp_path)
    assert log.rules == 2
    log.close()
    with LogReader(tmp_path, after=85) as reader:
        assert {frame.under for frame in reader.read()} == {2} and reader.rules == 2


def test_a_segment_under_another_version_than_the_one_before_is_damage(tmp_path: Path) -> None:
    log = FileLog.open(tmp_path, segment_bytes=4096)
    for _ in range(60):
        log.append(orders(1), 1)
    log.close()
    file = sorted(tmp_path.glob("journal-*"))[1]
    data = file.read_bytes()
    other = replace(SegmentHeader.from_bytes(data), rules=2)
    file.write_bytes(other.to_bytes() + data[HEADER_BYTES:])
    what = "begins under version 2 of the rules, and the one before it ended under version 3"
    with pytest.raises(LogDamaged, match=what):
        FileLog.open(tmp_path)
    with LogReader(tmp_path) as reader, pytest.raises(LogDamaged, match=what):
        list(reader.read())
    assert what in verify(tmp_path).findings[0].what


@pytest.mark.parametrize("stored", [1, 2**16, 2**32 - 1])
def test_a_header_with_a_version_that_none_is_written_as_is_refused(stored: int) -> None:
    data = bytearray(SegmentHeader(1, bytes(16), 1, 1, 1, bytes(32)).to_bytes())
    data[20:24] = stored.to_bytes(4, "little")
    data[124:] = zlib.crc32(data[:124]).to_bytes(4, "little")
    with pytest.raises(BadBytes, match="values"):
        SegmentHeader.from_bytes(bytes(data))
