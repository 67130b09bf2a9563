"""One writer at a time: the second is told, and a dead one holds nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from journal_kit import closed_log, orders, read_back, reopen

from matchcore import LogDamaged, LogLocked
from matchcore.journal import FileLog, verify

HOLD = """
import sys, time
from matchcore.journal import FileLog
log = FileLog.open(sys.argv[1])
print("open", flush=True)
time.sleep(60)
"""
TRY = """
import sys
from matchcore import LogLocked
from matchcore.journal import FileLog
try:
    FileLog.open(sys.argv[1])
except LogLocked as error:
    print(error)
    sys.exit(7)
"""
NO_RIGHTS = """
import os, sys
from matchcore import LogFailed
from matchcore.journal import FileLog
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    FileLog.open(sys.argv[1])
except LogFailed as error:
    sys.exit(7 * (f"Permission denied: '{sys.argv[1]}/lock'" in str(error)))
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "open\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_second_writer_in_the_process_is_told_who_has_it(tmp_path: Path) -> None:
    log = FileLog.open(tmp_path)
    with pytest.raises(LogLocked, match=f"process {os.getpid()}"):
        FileLog.open(tmp_path)
    log.append(orders(1), 1)  # and the first goes on
    log.close()
    FileLog.open(tmp_path).close()


def test_a_second_process_is_told_who_has_it(tmp_path: Path) -> None:
    log = FileLog.open(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", TRY, str(tmp_path)], capture_output=True, text=True, check=False
    )
    log.close()
    assert done.returncode == 7, done.stderr
    assert f"process {os.getpid()}" in done.stdout


def test_a_writer_killed_without_a_word_holds_nothing(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        with pytest.raises(LogLocked, match=f"process {process.pid}"):
            FileLog.open(tmp_path)
        process.send_signal(signal.SIGKILL)
        process.wait()
        FileLog.open(tmp_path).close()


def test_the_lock_is_given_back_when_opening_fails(tmp_path: Path) -> None:
    closed_log(tmp_path, [1])
    (file,) = tmp_path.glob("*.mcj")
    good = file.read_bytes()
    file.write_bytes(good[:10])
    with pytest.raises(LogDamaged):
        FileLog.open(tmp_path)
    file.write_bytes(good)
    assert len(reopen(tmp_path)[0]) == 1


def test_readers_and_verify_need_no_lock(tmp_path: Path) -> None:
    log = FileLog.open(tmp_path)
    log.append(orders(3), 1)
    log.sync()
    assert len(read_back(tmp_path)) == 3
    assert verify(tmp_path).good
    log.close()


def test_opening_leaves_no_descriptors_behind(tmp_path: Path) -> None:
    FileLog.open(tmp_path).close()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        log = FileLog.open(tmp_path)
        log.append(orders(20), 1)
        with pytest.raises(LogLocked):
            FileLog.open(tmp_path)
        list(log.frames())
        log.close()
    for _ in range(20):
        reopen(tmp_path, orders(1))
        read_back(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_without_rights_opening_names_the_file_and_the_reason() -> None:
    with tempfile.TemporaryDirectory() as made:
        os.chmod(made, 0o755)
        held = Path(made) / "log"
        closed_log(held, [1])
        os.chmod(held, 0o555)
        for file in held.iterdir():
            os.chmod(file, 0o444)
        done = subprocess.run(
            [sys.executable, "-c", NO_RIGHTS, str(held)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        os.chmod(held, 0o755)
    assert done.returncode == 7, done.stderr
