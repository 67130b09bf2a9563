"""The disk of the bench: what a sync carries over, what a power cut takes, and that it repeats."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from matchcore.journal.disk import CREATE, READ
from matchcore.torture.disk import (
    DEATH_AFTER,
    EIO,
    ENOSPC,
    LIE,
    POWER_AFTER,
    Crash,
    Fault,
    SimulatedDisk,
)
from matchcore.torture.plans import Run, any_faults

A, B = Path("/a"), Path("/b")


def put(disk: SimulatedDisk, data: bytes, path: Path = A) -> int:
    fd = disk.open(path, CREATE)
    disk.pwrite(fd, data, 0)
    return fd


def content(disk: SimulatedDisk, path: Path = A) -> bytes:
    return disk.contents().get(path, b"nothing")


def outcomes(size: int, sector: int = 512) -> set[bytes]:
    """What a power cut can leave of a write that was not synced, over zeros that were."""
    seen = set()
    for seed in range(200):
        disk = SimulatedDisk(seed, sector=sector)
        fd = put(disk, bytes(size))
        disk.fsync(fd)
        disk.sync_directory(Path("/"))
        disk.pwrite(fd, b"x" * size, 0)
        disk.cut_power()
        seen.add(content(disk))
    return seen


def test_any_set_of_sectors_may_be_there() -> None:
    seen = outcomes(3 * 512)
    whole = [bytes(512), b"x" * 512]
    assert seen == {a + b + c for a in whole for b in whole for c in whole}
    assert outcomes(1024, 4096) == {bytes(1024), b"x" * 1024}


def test_what_was_synced_stays_and_what_was_not_may_go() -> None:
    names, sizes = set(), set()
    for seed in range(50):
        disk = SimulatedDisk(seed)
        fd = put(disk, b"x" * 700)
        disk.fsync(fd)
        put(disk, b"y" * 700, B)
        disk.sync_directory(Path("/"))
        disk.rename(A, Path("/c"))
        disk.cut_power()
        there = disk.contents()
        assert there.get(A, there.get(Path("/c"))) == b"x" * 700
        assert (A in there) != (Path("/c") in there)
        names.add(A in there)
        sizes.add(len(there[B]))
    assert names == {True, False} and sizes == {0, 700}


def test_a_process_that_dies_loses_nothing_and_a_machine_what_was_not_synced() -> None:
    for kind, kept in ((DEATH_AFTER, {b"x" * 9}), (POWER_AFTER, {b"x" * 9, b"nothing", b""})):
        seen = set()
        for seed in range(40):
            disk = SimulatedDisk(seed, (Fault(2, kind),))
            with pytest.raises(Crash):
                put(disk, b"x" * 9)
            with pytest.raises(Crash):
                disk.names(Path("/"))
            disk.restart()
            seen.add(content(disk))
        assert seen == kept or (b"\0" * 9 in seen and seen - {b"\0" * 9} == kept)


def test_errors_are_those_of_a_system() -> None:
    disk = SimulatedDisk(1, (Fault(2, EIO), Fault(3, ENOSPC)))
    fd = disk.open(A, CREATE)
    with pytest.raises(OSError) as caught:
        disk.pwrite(fd, b"x" * 9, 0)
    assert caught.value.errno == errno.EIO
    try:
        assert disk.pwrite(fd, b"x" * 9, 0) < 9
    except OSError as error:
        assert error.errno == errno.ENOSPC
    for call in (lambda: disk.open(B, READ), lambda: disk.unlink(B), lambda: disk.names(B)):
        with pytest.raises(FileNotFoundError):
            call()


def test_a_failed_sync_is_not_made_good_by_the_next() -> None:
    lost = 0
    for seed in range(40):
        disk = SimulatedDisk(seed, (Fault(3, EIO),))
        fd = put(disk, b"x" * 600)
        with pytest.raises(OSError, match="Input/output"):
            disk.fsync(fd)
        disk.fsync(fd)
        disk.sync_directory(Path("/"))
        disk.cut_power()
        lost += content(disk) != b"x" * 600
    assert lost > 10


def test_a_lie_is_a_sync_that_did_nothing() -> None:
    disk = SimulatedDisk(1, (Fault(3, LIE),))
    fd = put(disk, b"x" * 600)
    disk.fsync(fd)
    assert disk.lied
    node = disk._live[A]
    assert node is not None and node.live and not node.durable


def test_the_room_of_a_disk_is_used_up() -> None:
    disk = SimulatedDisk(1, room=1000)
    fd = put(disk, b"x" * 700)
    assert disk.pwrite(fd, b"x" * 700, 700) == 300
    with pytest.raises(OSError, match="No space"):
        disk.pwrite(fd, b"x", 1000)
    assert disk.pwrite(fd, b"y" * 500, 0) == 500  # over what is there


def test_the_same_plan_goes_the_same_way() -> None:
    for seed in range(12):
        first, second = Run(any_faults(seed)), Run(any_faults(seed))
        first.go(), second.go()
        assert first.disk.said == second.disk.said
        assert first.disk.contents() == second.disk.contents()
