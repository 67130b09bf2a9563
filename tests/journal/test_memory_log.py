"""The log in memory behaves like the one on disk, up to its limit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from journal_kit import noise, orders, same

from matchcore import LogFailed, MemoryLog
from matchcore.journal import FileLog

COUNTS = [1, 16, 17, 300]


def test_frames_come_back(tmp_path: Path) -> None:
    log = MemoryLog()
    batches = [orders(count, count) for count in COUNTS]
    for time, batch in enumerate(batches):
        log.append(batch, time)
    frames = list(log.frames())
    assert [frame.time for frame in frames] == [0, 1, 2, 3]
    assert [frame.first_sequence for frame in frames] == [1, 2, 18, 35]
    assert same(np.concatenate([frame.commands for frame in frames]), np.concatenate(batches))
    assert [frame.first_sequence for frame in log.frames(after=17)] == [18, 35]
    assert [frame.first_sequence for frame in log.frames(after=18)] == [18, 35]
    assert list(log.frames(after=334)) == []


def test_it_is_durable_at_sync_and_readable_after_close() -> None:
    log = MemoryLog()
    log.append(noise(5), 1)
    assert (log.sequence, log.durable) == (5, 0)
    log.sync()
    assert log.durable == 5
    log.close()
    assert len(list(log.frames())) == 1


def test_every_log_has_its_own_identity() -> None:
    one, two = MemoryLog(), MemoryLog()
    assert len(one.identity) == 16 and one.identity != two.identity


def test_a_large_batch_is_many_frames() -> None:
    log = MemoryLog()
    batch = orders(70_000)
    log.append(batch, 1)
    assert [frame.count for frame in log.frames()] == [8192] * 8 + [70_000 - 8 * 8192]
    assert same(np.concatenate([frame.commands for frame in log.frames()]), batch)


def test_a_full_log_refuses_and_keeps_what_it_has() -> None:
    log = MemoryLog(max_bytes=1000)
    log.append(noise(3), 1)
    chain = log.chain
    with pytest.raises(LogFailed, match="max_bytes"):
        log.append(noise(10), 1)
    assert (log.sequence, log.chain, len(list(log.frames()))) == (3, chain, 1)


def test_the_chain_is_that_of_the_log_on_disk(tmp_path: Path) -> None:
    memory, disk = MemoryLog(), FileLog.open(tmp_path)
    for count in COUNTS:
        for log in (memory, disk):
            log.append(orders(count, count), 5)
            log.sync()
    assert memory.chain == disk.chain
    disk.close()


def test_frames_carry_the_chain_up_to_them() -> None:
    log = MemoryLog()
    chains = []
    for count in COUNTS:
        log.append(orders(count), 1)
        chains.append(log.chain)
    assert [frame.chain for frame in log.frames()] == chains
