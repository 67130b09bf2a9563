"""An exchange that is being served is changed by its server, with the same commands."""

from __future__ import annotations

import json
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import Certificates
from cli_kit import ANA, run, run_json

import matchcore as mc
from matchcore._children import environment
from matchcore.gateways.administration import asking


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An exchange with a server, in a folder whose name is too long for a socket."""
    path = tmp_path_factory.mktemp("x" * 100) / "e"
    with mc.Engine.open(path, instruments=[ANA]) as engine:
        engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 5, "9.00", account=7))
    with serving(path) as server:
        yield path
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    assert not (path / asking.SOCKET_NAME).exists()


def serving(path: Path) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "matchcore", "serve", str(path), "--lines", "127.0.0.1:0"]
    server = subprocess.Popen(line, env=environment(), text=True, stderr=subprocess.PIPE)
    assert server.stderr is not None
    assert "Ctrl-C" in server.stderr.readline()
    return server


def test_users_are_changed(served: Path) -> None:
    code, found = run_json("user", "add", served, "alice", "--account", 7)
    assert (code, found) == (0, {"user": "alice", "session": 1, "served": True})
    assert run("user", "password", served, "alice", "--password", "correct horse").exit_code == 0
    token = run("user", "token", served, "alice").stdout.strip()
    assert len(token) > 30
    assert run_json("user", "grant", served, "alice", "--account", "8-9", "--symbol", "ANA")[0] == 0
    (one,) = run_json("user", "list", served)[1]["users"]
    assert (len(one["secrets"]), len(one["grants"])) == (2, 2)
    assert run_json("user", "revoke", served, "alice", "--secret", 1)[1]["served"]
    assert len(run_json("user", "list", served)[1]["users"][0]["secrets"]) == 1
    again = run("user", "add", served, "alice")
    assert again.exit_code == 2 and "there is one already" in again.stderr


def test_the_exchange_is_changed(served: Path) -> None:
    assert run_json("notice", served, "halted")[1]["served"]
    assert run_json("limits", served, "--account", 7, "--collar", 9)[1]["limits"][0]["collar"] == 9
    code, found = run_json("kill", served, "--account", 7)
    assert (code, found["cancelled"], found["served"]) == (0, 1, True)
    code, found = run_json("instrument", "add", served, "BBVA", "--tick", "0.010")
    assert (code, found["number"], found["tick"]) == (0, 2, "0.01")
    code, found = run_json("instrument", "change", served, "BBVA", "--lot", 10)
    assert (code, found["lot"], found["tick"]) == (0, 10, "0.01")
    assert run("instrument", "add", served, "BBVA", "--tick", "0.01").exit_code == 2
    assert run("instrument", "change", served, "CAF", "--lot", 2).exit_code == 2
    assert run("notice", served, "x", "--symbol", "NONE").exit_code == 2
    code, found = run_json("end-day", served)
    assert code == 0 and found["sequence"] == mc.Engine.at(served).sequence
    assert run_json("upgrade-rules", served)[1]["changed"] is False


@pytest.mark.parametrize(
    "said",
    [b"\n", b"x" * 100_000, b"[]\n", b'{"act": "kill"}\n', b'{"act": "kill", "with": {}}\n',
     b'{"act": "none", "with": {}}\n', b'{"act": [], "with": {}}\n', b"[" * 30_000 + b"\n",
     b'{"act": "limits", "with": {"account": "7", "symbol": null, "changes": {"collar": "x"}}}\n',
     b'{"act": "limits", "with": {"account": 7, "symbol": 7, "changes": {"blocked": 1}}}\n'],
)  # fmt: skip
def test_other_requests_are_refused(served: Path, said: bytes) -> None:
    before = mc.Engine.at(served).sequence
    with socket.socket(socket.AF_UNIX) as line, asking.socket_path(served) as path:
        line.settimeout(30)
        line.connect(path)
        line.sendall(said)
        with line.makefile("rb") as file:
            assert "error" in json.loads(file.readline())
    assert mc.Engine.at(served).sequence == before
    assert stat.S_IMODE((served / asking.SOCKET_NAME).stat().st_mode) == 0o600


def test_the_socket_of_a_server_that_was_killed_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "e"
    with mc.Engine.open(path, instruments=[ANA]):
        pass
    with serving(path) as server:
        server.kill()
    assert (path / asking.SOCKET_NAME).exists()
    code, found = run_json("limits", path, "--account", 7, "--collar", 9)
    assert code == 0 and "served" not in found
    with serving(path) as server:
        assert run_json("limits", path, "--account", 7, "--collar", 8)[1]["served"]
        server.kill()
    with mc.Engine.open(path):
        refused = run("limits", path, "--account", 7, "--collar", 7)
    assert refused.exit_code == 1 and "open for writing" in refused.stderr


def test_a_certificate_is_bound(served: Path, tmp_path: Path) -> None:
    papers = Certificates(tmp_path / "papers")
    file, _ = papers.client("dora")
    assert run("user", "add", served, "dora").exit_code == 0
    code, found = run_json("user", "certificate", served, "dora", file)
    assert code == 0 and len(found["fingerprint"]) == 64
    (one,) = [u for u in run_json("user", "list", served)[1]["users"] if u["user"] == "dora"]
    assert one["secrets"] == ["0: certificate"]
    again = run("user", "certificate", served, "dora", file)
    assert again.exit_code == 2 and "has it already" in again.stderr
    assert run("user", "certificate", served, "dora", papers.key).exit_code == 2
