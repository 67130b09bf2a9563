"""Syncs beside appends: who may do what while the disk is busy, and who is told of a failure."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from journal_kit import orders, read_back

from matchcore import LogFailed
from matchcore.journal import FileLog


class Held:
    """Syncs return when the test lets them."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.entered, self.free = threading.Semaphore(0), threading.Semaphore(0)
        self.calls = 0
        self.error: OSError | None = None
        self._real = os.fdatasync
        patch.setattr(os, "fdatasync", self)

    def __call__(self, fd: int) -> None:
        self.calls += 1
        self.entered.release()
        assert self.free.acquire(timeout=20)
        if self.error is not None:
            raise self.error
        self._real(fd)

    def let(self) -> None:
        """From now on all return."""
        self.free.release(1000)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    gate = Held(monkeypatch)
    yield gate
    gate.let()


def beside(work: object) -> threading.Thread:
    assert callable(work)
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_what_is_appended_during_a_sync_is_not_certified_by_it(tmp_path: Path, held: Held) -> None:
    log = FileLog.open(tmp_path)
    log.append(orders(5), 1)
    syncing = beside(log.sync)
    assert held.entered.acquire(timeout=20)
    log.append(orders(7, 1), 1)
    assert (log.sequence, log.durable) == (12, 0)
    held.free.release()
    syncing.join()
    assert (log.durable, log.on_disk) == (5, 5)
    held.let()
    log.sync()
    assert log.durable == 12
    log.close()
    assert read_back(tmp_path).tobytes() == np.concatenate([orders(5), orders(7, 1)]).tobytes()


def test_a_new_segment_waits_for_the_sync_of_the_old_one(tmp_path: Path, held: Held) -> None:
    log = FileLog.open(tmp_path, segment_bytes=4096)
    log.append(orders(150), 1)
    syncing = beside(log.sync)
    assert held.entered.acquire(timeout=20)
    rotating = beside(lambda: [log.append(orders(150, n), 1) for n in range(1, 4)])
    rotating.join(0.3)
    assert rotating.is_alive() and log.durable == 0
    held.let()
    syncing.join()
    rotating.join()
    log.sync()
    assert log.durable == 600 and len(list(tmp_path.glob("journal-*"))) > 1
    log.close()
    whole = np.concatenate([orders(150, n) for n in range(4)])
    assert read_back(tmp_path).tobytes() == whole.tobytes()


def test_no_segment_follows_one_whose_sync_has_failed(tmp_path: Path, held: Held) -> None:
    """The system has told it to the sync that waited: the fsync of the change says all is well."""
    log = FileLog.open(tmp_path, segment_bytes=4096)
    log.append(orders(150), 1)
    said: list[str] = []

    def quietly(work: Callable[[], object]) -> None:
        try:
            work()
        except LogFailed as error:
            said.append(str(error))

    held.error = OSError(errno.EIO, os.strerror(errno.EIO))
    syncing = beside(lambda: quietly(log.sync))
    assert held.entered.acquire(timeout=20)
    rotating = beside(lambda: quietly(lambda: [log.append(orders(150, n), 1) for n in range(1, 4)]))
    rotating.join(0.3)
    assert rotating.is_alive()
    held.let()
    syncing.join()
    rotating.join()
    assert len(said) == 2 and all("Input/output error" in one for one in said)
    assert log.durable == log.on_disk == 0 and len(list(tmp_path.glob("journal-*"))) == 1
    log.close()


def test_a_failure_told_to_one_sync_ends_the_one_that_waits(tmp_path: Path, held: Held) -> None:
    log = FileLog.open(tmp_path)
    said: list[str] = []

    def sync() -> None:
        try:
            log.sync()
        except LogFailed as error:
            said.append(str(error))

    log.append(orders(5), 1)
    held.error = OSError(errno.EIO, os.strerror(errno.EIO))
    first = beside(sync)
    assert held.entered.acquire(timeout=20)
    log.append(orders(7, 1), 1)
    second = beside(sync)
    held.let()
    first.join()
    second.join()
    assert held.calls == 1 and len(said) == 2 and log.durable == 0
    assert all("Input/output error" in one for one in said)


def test_zeros_go_ahead_of_frames_only_where_a_sync_follows_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = FileLog.open(tmp_path, segment_bytes=64 << 20)
    (file,) = tmp_path.glob("journal-*")
    log.append(orders(10), 1)
    grown = file.stat().st_size
    assert grown >= 64 << 10
    parts = [orders(4000, n) for n in range(1, 30)]
    before, written = log.appended_bytes, [0]
    pwrite = os.pwrite

    def counted(fd: int, data: bytes, offset: int) -> int:
        written[0] += len(data)
        return pwrite(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", counted)
    for part in parts:
        log.append(part, 1)
    assert written[0] == log.appended_bytes - before
    assert file.stat().st_size == 128 + log.appended_bytes > grown
    log.sync()
    log.append(orders(10, 50), 1)
    assert file.stat().st_size >= 128 + log.appended_bytes + (32 << 10)
    log.sync()
    log.close()
    whole = np.concatenate([orders(10), *parts, orders(10, 50)])
    assert read_back(tmp_path).tobytes() == whole.tobytes()
