"""`matchcore serve --web`: from the command line to an order in the log."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from cli_kit import run, without

import matchcore as mc

PASSWORD = "correct horse"


def ask(url: str, body: Any = None) -> Any:
    """JSON of one request as alice."""
    word = b64encode(f"alice:{PASSWORD}".encode()).decode()
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"Authorization": f"Basic {word}"})
    with urllib.request.urlopen(asked, timeout=20) as answer:
        return json.load(answer)


def test_an_exchange_is_served_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "e"
    mc.Engine.open(path, instruments=[mc.Instrument("ANA", "0.05")]).close()
    assert run("user", "add", path, "alice", "--account", 7).exit_code == 0
    assert run("user", "password", path, "alice", "--password", PASSWORD).exit_code == 0
    command = [sys.executable, "-m", "matchcore", "serve", str(path), "--web", "0", "--status",
               "0", "--state", str(tmp_path / "s")]  # fmt: skip
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
                urllib.request.urlopen(urls["web door"] + "/me", timeout=20)
            served.send_signal(signal.SIGTERM)
            assert served.wait(30) == 0
    with mc.Engine.at(path) as engine:
        assert len(engine.book("ANA").orders()) == 2


def test_without_the_extra_it_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "aiohttp")
    for name in [one for one in sys.modules if one.startswith("matchcore.gateways.")]:
        monkeypatch.delitem(sys.modules, name)
    for option in ("--web", "--status"):
        result = run("serve", tmp_path / "e", option, "0", "--state", tmp_path / "s")
        assert result.exit_code == 2 and "matchcore[gateway]" in result.stderr
    assert not (tmp_path / "e").exists()
