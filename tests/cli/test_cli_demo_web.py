"""`demo --web`: the sample day goes into a page, and Ctrl-C ends everything."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from cli_kit import apart, contents, run, without

from matchcore.cli import demo as demo_module

SECONDS_MAX = 60.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def asked(port: int, path: str) -> bytes:
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=SECONDS_MAX) as answer:
        found: bytes = answer.read()
        return found


def test_the_day_comes_to_its_end_and_ctrl_c_ends_all(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "matchcore", "demo", "--web", str(port), "--speed", "1e6"]
    with subprocess.Popen(
        [*command, "--dir", tmp_path / "d", "--json"], stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            said: dict[str, Any] = json.loads("".join(iter(child.stdout.readline, "}\n")) + "}")
            assert said["commands"] == 20_969 and urlsplit(said["url"]).port == port
            assert b'src="app.js"' in asked(port, "/")
            for name in ("app.js", "page.css", "lib/uplot.js", "lib/NOTICES.txt"):
                assert asked(port, f"/{name}")
            end, status = time.monotonic() + SECONDS_MAX, {}
            while status.get("trades") != 796:
                assert time.monotonic() < end, status
                status = json.loads(asked(port, "/api/status/ANA"))
            assert status["volume"] == 44_041
            child.send_signal(signal.SIGINT)
            assert child.wait(SECONDS_MAX) == 0
        finally:
            child.kill()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_port_in_use_is_said_before_anything_is_served(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = apart("demo", "--web", port, "--dir", tmp_path / "d")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "Address already in use" in ended.stderr


def test_a_missing_extra_is_said_before_a_directory_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "picows")
    result = run("demo", "--web", free_port(), "--dir", tmp_path / "d")
    assert result.exit_code == 2 and "pip install 'matchcore[feed]'" in result.stderr
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("speed", ["0", "-1", "nan", "fast"])
def test_a_speed_is_above_zero(tmp_path: Path, speed: str) -> None:
    result = run("demo", "--web", free_port(), f"--speed={speed}", "--dir", tmp_path / "d")
    assert result.exit_code == 2 and "--speed" in result.stderr
    assert contents(tmp_path) == {}


def test_without_a_number_the_port_is_8080() -> None:
    (option,) = [one for one in demo_module.demo.params if one.name == "port"]
    assert option.flag_value == 8080
