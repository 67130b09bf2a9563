"""A disk that is full, refuses or breaks: `LogFailed`, and nothing acknowledged is missing."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from journal_kit import noise, orders, read_back, reopen, same, write

from matchcore import LogFailed
from matchcore.journal import FileLog, verify

KIT = str(Path(__file__).parent)
WRITER = f"""
import sys
sys.path.insert(0, {KIT!r})
from journal_kit import noise
from matchcore import LogFailed
from matchcore.journal import FileLog, LogReader, verify

def fill(path, policy, size, segment_bytes):
    log = FileLog.open(path, policy=policy, segment_bytes=segment_bytes)
    sent = acknowledged = 0
    try:
        for n in range(2000):
            batch = noise(size + n % 7, n)
            sent += len(batch)
            log.append(batch, 1)
            log.sync()
            acknowledged = sent
        sys.exit("the disk never got full")
    except LogFailed:
        pass
    for again in (lambda: log.append(noise(1), 1), log.sync):
        try:
            again()
            sys.exit("a failed log took something")
        except LogFailed:
            pass
    log.close()
    return acknowledged

def check(path, acknowledged, size):
    got = b"".join(f.commands.tobytes() for f in LogReader(path).read())
    wanted = b"".join(noise(size + n % 7, n).tobytes() for n in range(2000))
    assert len(got) >= 96 * acknowledged > 0, (len(got), acknowledged)
    assert wanted.startswith(got)
    assert verify(path).good
"""
LIMITED = (
    WRITER
    + """
import resource, signal
path, policy, size, segment_bytes, limit = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
acknowledged = fill(path, policy, size, segment_bytes)
check(path, acknowledged, size)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log = FileLog.open(path)
assert log.sequence >= acknowledged
log.append(noise(3), 1)
log.close()
"""
)
TINY = (
    WRITER
    + """
import os
path, policy, size, segment_bytes = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
open(path + "/ballast", "wb").write(bytes(600_000))
acknowledged = fill(path + "/log", policy, size, segment_bytes)
check(path + "/log", acknowledged, size)
os.unlink(path + "/ballast")
log = FileLog.open(path + "/log", policy=policy, segment_bytes=segment_bytes)
assert log.sequence >= acknowledged
log.append(noise(3), 1)
log.close()
"""
)
TINY_DISK = 'mount -t tmpfs -o size=1m none "$1" && exec "$0" -c "$2" "$1" "$3" "$4" "$5"'


def run(arguments: list[str]) -> None:
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("policy", ["sync", "os"])
@pytest.mark.parametrize(("size", "limit"), [(1, 100_000), (30, 150_001), (30, 300_007)])
def test_a_file_size_limit_ends_the_log_and_loses_nothing(
    tmp_path: Path, policy: str, size: int, limit: int
) -> None:
    where = str(tmp_path / "log")
    segment = str(1 << 20)
    run([sys.executable, "-c", LIMITED, where, policy, str(size), segment, str(limit)])


@pytest.mark.skipif(
    subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
    ).returncode,
    reason="no right to mount a small disk",
)
@pytest.mark.parametrize("policy", ["sync", "os"])
@pytest.mark.parametrize("segment_bytes", [1 << 16, 1 << 22])
def test_a_full_disk_ends_the_log_and_loses_nothing(
    tmp_path: Path, policy: str, segment_bytes: int
) -> None:
    script = [TINY_DISK, sys.executable, str(tmp_path), TINY, policy, "30", str(segment_bytes)]
    run(["unshare", "-m", "sh", "-c", *script])


def fail(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def refuse(*given: object) -> None:
        raise OSError(errno.EIO, "the disk is broken")

    monkeypatch.setattr(os, name, refuse)


@pytest.mark.parametrize("name", ["fdatasync", "pwrite"])
def test_a_broken_call_ends_the_log_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    log = FileLog.open(tmp_path)
    (first,) = write(log, [4])
    with monkeypatch.context() as patch:
        fail(patch, name)
        with pytest.raises(LogFailed, match="the disk is broken"):
            write(log, [2])
    for call in (lambda: log.append(orders(1), 1), log.sync):
        with pytest.raises(LogFailed, match="the log accepts no more commands"):
            call()
    assert log.durable == 4
    log.close()
    got, _ = reopen(tmp_path)
    assert same(got[:4], first) and len(got) == (6 if name == "fdatasync" else 4)


@pytest.mark.parametrize("name", ["ftruncate", "fsync", "rename", "open"])
def test_a_rotation_that_fails_ends_the_log_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    log = FileLog.open(tmp_path, segment_bytes=4096)
    (first,) = write(log, [16])
    log.append(noise(16), 1)
    with monkeypatch.context() as patch:
        fail(patch, name)
        with pytest.raises(LogFailed):
            log.append(noise(16), 1)
    log.close()
    got, _ = reopen(tmp_path, orders(1))
    assert same(got[:16], first) and len(got) == 32
    assert len(read_back(tmp_path)) == 33


@pytest.mark.parametrize("name", ["fdatasync", "fsync", "pwrite", "ftruncate"])
def test_a_close_that_fails_still_gives_the_lock_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    log = FileLog.open(tmp_path)
    write(log, [5])
    with monkeypatch.context() as patch:
        fail(patch, name)
        with pytest.raises(LogFailed):
            log.close()
    assert len(reopen(tmp_path)[0]) == 5
    assert verify(tmp_path).good


def after_a_short_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str, written: int
) -> None:
    """A frame of 1672 bytes at offset 360 of which only some bytes were written."""
    log = FileLog.open(tmp_path, policy=policy)
    (first,) = write(log, [1])
    pwrite, left = os.pwrite, [written]

    def limited(fd: int, data: bytes, at: int) -> int:
        if not left:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return pwrite(fd, data[: left.pop()], at) if left[0] else limited(fd, data, left.pop())

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", limited)
        with pytest.raises(LogFailed, match="File too large"):
            log.append(orders(16), 1)
    log.close()
    got, found = reopen(tmp_path, orders(2))
    assert same(got, first)
    assert bool(found.cut_bytes) == bool(written)
    assert len(read_back(tmp_path)) == 3


@pytest.mark.parametrize("policy", ["sync", "os"])
@pytest.mark.parametrize("written", [0, 512 - 360, 1024 - 360, 1536 - 360])
def test_after_a_write_cut_at_a_sector_the_log_opens_with_what_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str, written: int
) -> None:
    after_a_short_write(tmp_path, monkeypatch, policy, written)


def test_after_a_write_cut_anywhere_past_the_end_of_the_file_the_log_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick_disk: None
) -> None:
    for written in range(1, 1672, 13):
        after_a_short_write(tmp_path / str(written), monkeypatch, "os", written)


@pytest.mark.parametrize("written", [1, 40, 127, 1536])
def test_after_a_write_cut_inside_a_sector_the_log_opens_with_what_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    after_a_short_write(tmp_path, monkeypatch, "sync", written)
