"""Frames that change the version of the rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from matchcore import COMMAND, MemoryLog
from matchcore.journal import FileLog, LogReader
from matchcore.journal.format import HEADER_BYTES, BadBytes, FrameHeader
from matchcore.records.schema import Kind


def upgrade() -> np.ndarray:
    row = np.zeros(1, COMMAND)
    row["kind"], row["quantity"], row["time"] = Kind.UPGRADE_RULES, 2, 5
    return row


def orders(count: int) -> np.ndarray:
    rows = np.zeros(count, COMMAND)
    rows["kind"], rows["time"] = Kind.CANCEL, 7
    return rows


def test_a_frame_says_which_version_its_command_changes_to(tmp_path: Path) -> None:
    log = FileLog.open(tmp_path)
    for commands, rules in ((orders(3), 0), (upgrade(), 2), (orders(40), 0)):
        log.append(commands, 1, rules=rules)
    log.close()
    with LogReader(tmp_path) as reader:
        frames = list(reader.read())
    assert [(frame.rules, frame.count) for frame in frames] == [(0, 3), (2, 1), (0, 40)]
    assert frames[1].commands.tobytes() == upgrade().tobytes()


def test_so_does_a_log_in_memory() -> None:
    log = MemoryLog()
    log.append(orders(1), 1)
    log.append(upgrade(), 1, rules=2)
    assert [frame.rules for frame in log.frames()] == [0, 2]


@pytest.mark.parametrize("count", [0, 2])
def test_only_a_frame_of_one_command_may_say_so(count: int) -> None:
    header = FrameHeader(0, count, 96 * count, 1, 1, 0, 1, bytes(32), 2).to_bytes()
    assert len(header) == HEADER_BYTES
    with pytest.raises(BadBytes, match="impossible"):
        FrameHeader.from_bytes(header)
