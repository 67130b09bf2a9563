"""`matchcore serve --web`: from the command line to an order in the log."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cli_kit import run, without

import matchcore as mc

PASSWORD = "correct horse"


def ask(url: str, body: Any = None, word: str = PASSWORD) -> Any:
    """JSON of one request as alice."""
    word = b64encode(f"alice:{word}".encode()).decode()
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"Authorization": f"Basic {word}"})
    with urllib.request.urlopen(asked, timeout=20) as answer:
        return json.load(answer)


def serve(path: Path, state: Path) -> list[str]:
    return [sys.executable, "-m", "matchcore", "serve", str(path), "--web", "0", "--state",
            str(state)]  # fmt: skip


@contextmanager
def served(path: Path, state: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server and the address of its web door; killed at the end."""
    with subprocess.Popen(serve(path, state), stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            url = ""
            for line in server.stderr:
                assert "is not used" not in line
                if " at http" in line:
                    url = line.partition(" at ")[2].strip()
                if "Ctrl-C ends it" in line:
                    break
            yield server, url
        finally:
            server.kill()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_an_exchange_is_served_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "e"
    mc.Engine.open(path, instruments=[mc.Instrument("ANA", "0.05")]).close()
    assert run("user", "add", path, "alice", "--account", 7).exit_code == 0
    assert run("user", "password", path, "alice", "--password", PASSWORD).exit_code == 0
    command = [sys.executable, "-m", "matchcore", "serve", str(path), "--web", "0", "--status",
               "0", "--state", str(tmp_path / "s"), "--events",
               str(tmp_path / "events")]  # fmt: skip
    for name in ("first", "second"):
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as served:
            assert served.stderr is not None
            urls: dict[str, str] = {}
            for line in served.stderr:
                if " at http" in line:
                    what, _, url = line.removeprefix("matchcore: ").partition(" at ")
                    urls[what] = url.strip()
                if "Ctrl-C ends it" in line:
                    break
            order = {"client_order_id": name, "symbol": "ANA", "side": "buy", "quantity": 5,
                     "price": "95.00"}  # fmt: skip
            said = ask(urls["web door"] + "/orders", order)
            assert (said["order"]["status"], said["order"]["account"]) == ("new", 7)
            open_orders = ask(urls["web door"] + "/orders")["orders"]
            assert open_orders[-1]["client_order_id"] == name
            assert len(open_orders) == ("first", "second").index(name) + 1
            with urllib.request.urlopen(urls["status"] + "/metrics", timeout=20) as answer:
                assert b"matchcore_gateway_commands_total" in answer.read()
            with pytest.raises(urllib.error.HTTPError, match="401"):
                ask(urls["web door"] + "/me", word="wrong")
            served.send_signal(signal.SIGTERM)
            assert served.wait(30) == 0
    with mc.Engine.at(path) as engine:
        assert len(engine.book("ANA").orders()) == 2
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert [one["event"] for one in events] == ["login_refused"] * 2
    assert PASSWORD not in (tmp_path / "events").read_text()


def test_a_server_that_was_killed_goes_on_without_the_beginning_of_the_log(tmp_path: Path) -> None:
    path, old, state = tmp_path / "e", tmp_path / "old", tmp_path / "s"
    with mc.Engine.open(path, instruments=[mc.Instrument("ANA", "0.05")], segment_bytes=4096):
        pass
    assert run("user", "add", path, "alice", "--account", 7).exit_code == 0
    assert run("user", "password", path, "alice", "--password", PASSWORD).exit_code == 0
    told: list[Any] = []
    for name in ("first", "second", "third"):
        with served(path, state) as (server, url):
            order = {"client_order_id": name, "symbol": "ANA", "side": "buy", "quantity": 5,
                     "price": "95.00"}  # fmt: skip
            ask(url + "/orders", order)
            found = ask(url + "/orders")["orders"]
            assert found[:-1] == told and found[-1]["client_order_id"] == name
            told = found
            until(lambda: (state / "desk" / "state").exists())
            server.kill()
            assert server.wait(30) == -signal.SIGKILL
            assert server.stderr is not None and "is not used" not in server.stderr.read()
        with mc.Engine.open(path, segment_bytes=4096) as engine:
            for _ in range(60):
                engine.submit(mc.NewOrder("ANA", mc.Side.SELL, 1, "99.00", account=8))
        if name != "first":  # the state is behind the snapshot that stays
            continue
        assert run("snapshot", path).exit_code == 0
        with served(path, state) as (server, _):
            server.terminate()
            assert server.wait(30) == 0
        assert run("snapshot", path).exit_code == 0
        assert run("archive", path, "--to", old).exit_code == 0
        assert any(old.iterdir())
    shutil.rmtree(state)
    refused = subprocess.run(serve(path, state), capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2 and "Restore the archived" in refused.stderr


def test_without_the_extra_it_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "aiohttp")
    for name in [one for one in sys.modules if one.startswith("matchcore.gateways.")]:
        monkeypatch.delitem(sys.modules, name)
    for option in ("--web", "--status"):
        result = run("serve", tmp_path / "e", option, "0", "--state", tmp_path / "s")
        assert result.exit_code == 2 and "matchcore[gateway]" in result.stderr
    assert not (tmp_path / "e").exists()
