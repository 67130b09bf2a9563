"""Errors that no command expects, failures of the machine, and a stop: codes of their own."""

from __future__ import annotations

import errno
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_kit import run, run_json, traded
from click.testing import CliRunner

from matchcore.cli.app import app
from matchcore.importers import sample_day

SAYS = "it broke at mysql://user:hunter2@host/d\nin two lines"


@pytest.fixture
def exchange(tmp_path: Path) -> Path:
    return traded(tmp_path / "e", 5)


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def describe(_: Path, **__: Any) -> dict[str, Any]:
        raise error

    monkeypatch.setattr("matchcore.operations.describe", describe)


@pytest.mark.parametrize("kind", [RuntimeError, UnicodeError, AssertionError, MemoryError])
def test_what_nothing_expects_is_one_line_and_4(
    exchange: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    failing(monkeypatch, kind(SAYS))
    result = run("info", exchange)
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr == (
        f"matchcore: unexpected: {kind.__name__}: it broke at mysql://user:***@host/d in two lines"
        " (MATCHCORE_TRACEBACK=1 shows where)\n"
    )
    code, found = run_json("info", exchange)
    assert (code, found["kind"]) == (4, kind.__name__) and "hunter2" not in found["error"]


def test_a_traceback_is_shown_to_who_asks_for_it(
    exchange: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, RuntimeError(SAYS))
    monkeypatch.setenv("MATCHCORE_TRACEBACK", "1")
    result = CliRunner().invoke(app, ["info", str(exchange), "--json"])
    assert result.exit_code == 4 and json.loads(result.stdout)["kind"] == "RuntimeError"
    assert "Traceback" in result.stderr and "hunter2" not in result.stderr


def test_a_full_disk_is_3_and_a_wrong_path_2(
    exchange: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, code in ((errno.ENOSPC, 3), (errno.EIO, 3), (errno.ENOTDIR, 2), (errno.EACCES, 2)):
        failing(monkeypatch, OSError(number, "says the system", "path"))
        assert run("info", exchange).exit_code == code


def test_a_log_that_does_not_fit_is_3(tmp_path: Path) -> None:
    """Also by the name that the log has for it; it is neither damaged nor refused."""
    command = [sys.executable, "-m", "matchcore", "import", "bme", sample_day(), tmp_path / "e"]
    small = ["sh", "-c", 'ulimit -f 200; exec "$@"', "sh"]  # blocks of 512 bytes
    found = subprocess.run([*small, *command], capture_output=True, text=True, check=False)
    assert found.returncode == 3 and "File too large" in found.stderr


def test_a_database_that_is_away_is_3(exchange: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"mysql://u:w@127.0.0.1:{probe.getsockname()[1]}/d"
        assert run("follow", exchange, "--to", url).exit_code == 3
        assert run("query", "open-orders", "--from", url).exit_code == 3


def test_a_stop_is_130(exchange: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, KeyboardInterrupt())
    for more in ([], ["--json"]):
        result = run("info", exchange, *more)
        assert (result.exit_code, result.stdout, result.stderr) == (130, "", "matchcore: stopped\n")
