"""`feed` and `feed-token`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from cli_kit import run, traded, without

from matchcore.feeds.web.tokens import Tokens, digest_of


def test_it_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    path, state = traded(tmp_path / "e"), tmp_path / "s"
    command = [sys.executable, "-m", "matchcore", "feed", str(path), "--web", "0", "--state",
               str(state)]  # fmt: skip
    for _ in range(2):  # the second time from its state
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as served:
            assert served.stderr is not None
            assert "Ctrl-C ends it" in served.stderr.readline()
            url = served.stderr.readline().split()[-1]
            with urllib.request.urlopen(f"{url}api/status/ANA") as answer:
                assert json.load(answer)["trades"] > 0
            served.send_signal(signal.SIGINT)
            assert served.wait(20) == 0
            assert served.stderr.read() == ""
        assert (state / "feed.json").exists()


def test_wrong_use_is_said(tmp_path: Path) -> None:
    path = traded(tmp_path / "e")
    result = run("feed", path)
    assert result.exit_code == 2 and "name at least one face" in result.stderr
    (tmp_path / "x").write_text("x")
    result = run("feed", path, "--web", 0, "--tls-cert", tmp_path / "x")
    assert result.exit_code == 2 and "both, or none" in result.stderr
    result = run("feed", path, "--web", 0, "--tls-cert", tmp_path / "x", "--tls-key",
                 tmp_path / "x")  # fmt: skip
    assert result.exit_code == 2 and "no certificate with its key" in result.stderr
    result = run("feed", path, "--web", 0, "--tokens", tmp_path / "x")
    assert result.exit_code == 2 and "not a file of tokens" in result.stderr


def test_without_the_extra_it_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = traded(tmp_path / "e")
    without(monkeypatch, "picows")
    for name in [one for one in sys.modules if one.startswith("matchcore.feeds.web")]:
        monkeypatch.delitem(sys.modules, name)
    result = run("feed", path, "--web", 0)
    assert result.exit_code == 2 and "matchcore[feed]" in result.stderr


def test_a_token_is_shown_once(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    result = run("feed-token", file, "desk", "--channel", "trades", "--symbol", "ANA",
                 "--expires", "2199-01-01T00:00:00Z")  # fmt: skip
    assert result.exit_code == 0
    token = result.stdout.strip()
    assert token not in file.read_text()
    rights = Tokens(file).rights(digest_of(token))
    assert rights is not None and rights.allow("trades", "ANA")
    assert not rights.allow("trades", "BBB") and not rights.allow("book.l2", "ANA")
    other = run("feed-token", file, "all").stdout.strip()
    assert Tokens(file).rights(digest_of(other)) is not None
    assert Tokens(file).rights(digest_of(token)) is not None
    result = run("feed-token", file, "desk", "--expires", "soon")
    assert result.exit_code == 2 and "--expires" in result.stderr
