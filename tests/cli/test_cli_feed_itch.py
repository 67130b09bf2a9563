"""`matchcore feed` with ITCH, as a process of its own, and `matchcore feed-login`."""

from __future__ import annotations

import json
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_kit import run, traded
from click.testing import CliRunner

from matchcore.cli.app import app
from matchcore.feeds.itch import Logins

HOST = "127.0.0.1"


def login(path: Path, user: str, password: str) -> tuple[int, str]:
    """Types the password twice."""
    result = CliRunner().invoke(
        app, ["feed-login", str(path), user], input=f"{password}\n{password}\n"
    )
    return result.exit_code, result.stderr


def test_logins_are_hashed_and_only_the_owner_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "logins.json"
    assert login(path, "alice", "correct-1")[0] == 0
    assert login(path, "bob", "other")[0] == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "correct" not in path.read_text()
    known = Logins(path)
    assert known.fits("alice", "correct-1") and known.fits("bob", "other")
    for user, password in [("alice", "other"), ("carol", "other"), ("", ""), ("bob", "othe")]:
        assert not known.fits(user, password)
    assert login(path, "bob", "new")[0] == 0
    assert Logins(path).fits("bob", "new") and not Logins(path).fits("bob", "other")


@pytest.mark.parametrize(
    ("user", "password", "what"),
    [("alice7x", "x", "1 to 6"), ("a b", "x", "1 to 6"), ("alice", "x" * 11, "1 to 10")],
)
def test_what_a_login_packet_has_no_room_for(
    tmp_path: Path, user: str, password: str, what: str
) -> None:
    code, said = login(tmp_path / "logins.json", user, password)
    assert code == 2 and what in said
    assert not (tmp_path / "logins.json").exists()


@pytest.mark.parametrize("text", ["", "[]", '{"alice": "x"}', '{"a b": ""}', "{}"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    traded(tmp_path / "e")
    path = tmp_path / "logins.json"
    path.write_text(text)
    result = run("feed", tmp_path / "e", "--soup", "0", "--logins", path)
    assert result.exit_code != 0 and "logins.json" in result.stderr


def test_options_that_do_not_fit(tmp_path: Path) -> None:
    traded(tmp_path / "e")
    for options, what in [
        (["--soup", "1"], "need --logins"),
        (["--soup", "x"], "must be [HOST:]PORT"),
        (["--mold", "239.1.1.1:70000"], "must be ADDRESS:PORT"),
        (["--mold", "nowhere:1"], "MoldUDP64 to nowhere"),
    ]:
        result = run("feed", tmp_path / "e", *options)
        assert result.exit_code == 2 and what in result.stderr, result.stderr


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        port: int = taken.getsockname()[1]
        return port


def test_a_feed_of_its_own(tmp_path: Path) -> None:
    traded(tmp_path / "e")
    path, port = tmp_path / "logins.json", free_port()
    assert login(path, "alice", "correct-1")[0] == 0
    line = [sys.executable, "-m", "matchcore", "feed", str(tmp_path / "e"), "--logins", str(path),
            "--soup", str(port), "--glimpse", "0", "--mold", f"{HOST}:9", "--mold-requests", "0",
            "--state", str(tmp_path / "state")]  # fmt: skip
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as feed:
        deadline = time.monotonic() + 30
        while True:
            try:
                subscriber = socket.create_connection((HOST, port), 30)
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline and feed.poll() is None
                time.sleep(0.05)
        with subscriber:
            fields = b"alice " + b"correct-1 " + b" " * 10 + b"1".rjust(20)
            subscriber.sendall(b"\x00\x2fL" + fields)
            data = b""
            while len(data) < 3 + 30 + 2 + 40:
                data += subscriber.recv(4096)
            assert data[2:3] == b"A" and data[35:37] == b"SR"
            feed.send_signal(signal.SIGTERM)
            while got := subscriber.recv(1 << 16):
                data += got
        assert data.endswith(b"\x00\x01Z")
        assert feed.wait(30) == 0
        assert feed.stderr is not None and "feed of session" in feed.stderr.read()
    assert json.loads((tmp_path / "state" / "feed.json").read_text())["number"] > 1
    assert (tmp_path / "state" / "itch.npz").exists()
