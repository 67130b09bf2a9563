"""What is printed when its reader has gone, or it cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_kit import traded

MATCHCORE = [sys.executable, "-m", "matchcore"]
BROKEN_PIPE = 141  # 128 + SIGPIPE


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return traded(tmp_path_factory.mktemp("streams") / "e", 3000)


def test_head_ends_tail_quietly(exchange: Path) -> None:
    command = (
        f"{sys.executable} -m matchcore tail {exchange} -n 3000 | head -1; echo ${{PIPESTATUS[@]}}"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    first, codes = done.stdout.splitlines()
    assert first.split()[2] == "NewOrder" and codes == f"{BROKEN_PIPE} 0"
    assert done.stderr == ""


@pytest.mark.parametrize(
    "command",
    ["tail E", "tail E --json", "info E", "info E --json", "book E ANA", "verify E", "replay E",
     "snapshot E", "ddl sqlite", "--help", "tail --help", "--version",
     "info E/nowhere --json", "follow E --to sqlite:///x.db"],
)  # fmt: skip
def test_nobody_reads(exchange: Path, tmp_path: Path, command: str) -> None:
    arguments = [
        part.replace("E", str(exchange)) if part[0] == "E" else part for part in command.split()
    ]
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as pipe:
        done = subprocess.run(
            [*MATCHCORE, *arguments], stdout=pipe, stderr=subprocess.PIPE, text=True, timeout=120,
            cwd=tmp_path,
        )  # fmt: skip
    usage = "nowhere" in command  # click says that on standard error, which is read
    assert (done.returncode, done.stderr == "") == ((2, False) if usage else (BROKEN_PIPE, True)), (
        done.stderr
    )


def test_nobody_reads_an_error(exchange: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as pipe:
        command = [*MATCHCORE, "book", str(exchange), "NONE"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=pipe, timeout=120)
    assert (done.returncode, done.stdout) == (BROKEN_PIPE, b"")


@pytest.mark.parametrize("command", ["info", "tail"])
def test_output_that_cannot_be_written_is_an_error(exchange: Path, command: str) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*MATCHCORE, command, str(exchange)], stdout=full, stderr=subprocess.PIPE, text=True,
            timeout=120,
        )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr == (
        "matchcore: the output cannot be written: [Errno 28] No space left on device\n"
    )


def test_without_a_standard_output_the_command_still_works(exchange: Path) -> None:
    command = f"{sys.executable} -m matchcore verify {exchange} >&-"
    done = subprocess.run(["bash", "-c", command], stderr=subprocess.PIPE, timeout=120)
    assert (done.returncode, done.stderr) == (0, b"")
