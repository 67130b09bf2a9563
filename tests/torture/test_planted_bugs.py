"""A bench that cannot fail proves nothing: each bug that is planted here must be found.

The disks leave out what the log asks of them, as a writer would that forgot to ask; the patches
are readers and writers with one check or one step less.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from matchcore.engine.engine import Engine
from matchcore.journal import FileLog
from matchcore.journal import format as journal_format
from matchcore.journal.format import FrameHeader
from matchcore.journal.segments import Walk
from matchcore.machine.reference import Machine
from matchcore.records.schema import Kind
from matchcore.torture import flips
from matchcore.torture.bench import Bench
from matchcore.torture.disk import POWER_BEFORE, Fault, SimulatedDisk
from matchcore.torture.flips import Target, small
from matchcore.torture.flow import Broken, check_books
from matchcore.torture.plans import SCRIPT, Plan, Run, any_faults, every_operation


class AnswersBeforeSyncing(SimulatedDisk):
    """As if a log gave its answer and synced later."""

    def fdatasync(self, fd: int) -> None:
        self._alive()


class NeverSyncsDirectories(SimulatedDisk):
    def sync_directory(self, directory: Path) -> None:
        self._alive()


class NeverSyncsNewFiles(SimulatedDisk):
    """As if a segment were renamed into place before its header is on disk."""

    def fsync(self, fd: int) -> None:
        self._alive()


class NeverWritesAgain(SimulatedDisk):
    """As if recovery trusted what it reads after a sync that failed."""

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        if self.pread(fd, len(data), offset) == data:
            return len(data)
        return super().pwrite(fd, data, offset)


class NeverCutsTails(SimulatedDisk):
    """As if recovery appended behind a torn frame without cutting it off."""

    def ftruncate(self, fd: int, size: int) -> None:
        self._alive()

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        return super().pwrite(fd, data, max(offset, self.size(fd) if offset > 128 else 0))


def finds(make: Callable[..., SimulatedDisk], plans: int = 400) -> str:
    """What the bench says of a planted bug, among faults at every operation and at random."""
    try:
        every = list(every_operation(1, make))
        for number in range(plans):
            plan = any_faults(number) if number % 2 else every[number * 7919 % len(every)]
            Run(plan, make).go()
    except Broken as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "make",
    [AnswersBeforeSyncing, NeverSyncsDirectories, NeverSyncsNewFiles, NeverCutsTails],
)
def test_a_disk_that_is_not_asked_enough_is_found(make: type[SimulatedDisk]) -> None:
    assert finds(make)


def test_trusting_what_a_failed_sync_left_is_found() -> None:
    def found(make: Callable[..., SimulatedDisk]) -> int:
        broken = 0
        for at in range(46, 70):
            faults = (Fault(at, "eio"), Fault(at + 6, POWER_BEFORE))
            try:
                Run(Plan(at, SCRIPT, faults), make).go()
            except Broken:
                broken += 1
        return broken

    assert found(NeverWritesAgain) > 0 == found(SimulatedDisk)


def test_an_append_that_is_done_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    append = FileLog.append

    def twice(log: FileLog, commands: NDArray[np.void], now: int, *, rules: int = 0) -> None:
        append(log, commands, now, rules=rules)
        if log.sequence > 150:
            append(log, commands, now, rules=rules)

    monkeypatch.setattr(FileLog, "append", twice)
    assert finds(SimulatedDisk, 5)


def test_an_answer_that_comes_out_of_turn_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    submit = Engine.submit_batch

    def other(engine: Engine, commands: NDArray[np.void]) -> NDArray[np.void]:
        events = submit(engine, commands).copy()
        events["trade_id"] += events["trade_id"] > 0
        return events

    monkeypatch.setattr(Engine, "submit_batch", other)
    assert "is another on replay" in finds(SimulatedDisk, 5)


def flips_found(target: Target) -> str:
    for at in range(0, target.size, 3):
        try:
            target.flip(at, 1 << at % 8)
        except Broken as error:
            return str(error)
    return ""


def test_a_reader_that_takes_a_wrong_digest_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    target = small(1)
    assert not flips_found(target)
    monkeypatch.setattr(FrameHeader, "chain_after", lambda header, *given: header.chain)
    assert "another frame was read" in flips_found(target)


def test_an_opening_that_breaks_down_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(engine: Engine) -> None:
        raise ZeroDivisionError("nobody thought of it")

    monkeypatch.setattr(Engine, "snapshot", breaks)
    (failure,) = Bench(1).run(cases={"faults": 50}).failures
    assert "ZeroDivisionError: nobody thought of it" in failure.what
    for file in Path(failure.kept).iterdir():
        file.unlink()
    Path(failure.kept).rmdir()


def test_a_reader_that_cuts_whatever_is_bad_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    target = small(1)
    monkeypatch.setattr(Walk, "can_be_torn", lambda walk: True)
    assert "taken for a torn write" in flips_found(target)


def quiet(seed: int, count: int) -> NDArray[np.void]:
    """Commands that hardly differ: planes of zeros with a small byte now and then."""
    rows = flips_commands(seed, count).copy()
    rows[2:] = rows[2]
    rows["kind"][2:] = Kind.MASS_CANCEL
    rows["time"] = 10**18 + np.arange(count)
    steps = np.random.default_rng(seed).integers(260, 500, count)
    rows["account"] = np.searchsorted(np.cumsum(steps), np.arange(count))
    return rows


flips_commands = flips.commands


def test_a_payload_one_bit_away_from_a_tear_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flips, "commands", quiet)

    def taken_for_a_tear() -> int:
        found = 0
        for seed in range(1):
            target = Target(seed, [2, 100, 3000], 1 << 20)
            data = target.contents[target.segments[-1]]
            start = target._stands[target.segments[-1]][-2].offset
            for offset in range(start, len(data.rstrip(b"\0"))):
                try:
                    target.flip(offset, data[offset] or 1)  # the byte becomes 0
                except Broken:
                    found += 1
        return found

    assert taken_for_a_tear() == 0
    monkeypatch.setattr(journal_format, "_ZEROS", 512)
    assert taken_for_a_tear() > 0


def test_books_that_are_crossed_or_miscounted_are_found() -> None:
    machine = Machine()
    machine.apply(flips_commands(5, 300))
    check_books(machine)
    book = next(book for book in machine._books if len(book.live) > 1)
    order = next(iter(book.live.values()))
    del book.live[order.order_id]
    with pytest.raises(Broken):
        check_books(machine)


def test_what_a_disk_that_lied_can_not_show_is_no_broken_promise() -> None:
    plan = {
        "seed": 4870649128022679462,
        "steps": [["archive", 0], ["batch", 15], ["group", 6]],
        "faults": [[1, "lie"], [21, "eio"]],
        **{"policy": "sync", "sector": 512, "segment_bytes": 4096, "room": 0},
        **{"hash": "sm3", "cipher": "sm4-gcm"},
    }
    Run(Plan.from_plain(plan)).go()
