"""`matchcore serve`, `gateway` and `lines`: they start, say so, end in good order, and refuse."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from cli_kit import apart, run, run_json

import matchcore as mc
from matchcore._children import environment


def served(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "matchcore", *map(str, arguments), "--json"]
    return subprocess.Popen(
        command, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_engine_serves_lines_until_it_is_told_to_end(tmp_path: Path, number: int) -> None:
    line = tmp_path / "line"
    with served("serve", tmp_path / "x", "--lines", f"unix:{line}") as child:
        assert child.stderr is not None
        said = child.stderr.readline()
        assert "at sequence 0" in said and str(line) in said
        child.send_signal(number)
        result, said = child.communicate(timeout=60)
    assert (child.returncode, said, line.exists()) == (0, "", False)
    assert json.loads(result)["sequence"] == 0
    with mc.Engine.open(tmp_path / "x"):
        pass


def test_it_says_where_fix_and_ouch_are_also_with_a_port_of_the_system(tmp_path: Path) -> None:
    doors = ("--fix", 0, "--ouch", 0)
    with served("serve", tmp_path / "x", *doors, "--state", tmp_path / "state") as child:
        assert child.stderr is not None
        said = [child.stderr.readline() for _ in doors[::2]]
        for line, door in zip(said, ("FIX", "OUCH"), strict=True):
            assert f"{door} door at 127.0.0.1:" in line
            socket.create_connection(("127.0.0.1", int(line.rpartition(":")[2]))).close()
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=60)
    assert child.returncode == 0


def test_a_gateway_that_waits_for_its_engine_can_be_ended(tmp_path: Path) -> None:
    with served("gateway", "--engine", f"unix:{tmp_path}/line", "--ouch", 0) as child:
        assert child.stderr is not None
        assert "waiting for the engine" in child.stderr.readline()
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=60)
    assert child.returncode == 0


def test_a_gateway_with_another_token_says_what_the_engine_says(tmp_path: Path) -> None:
    line = f"unix:{tmp_path}/line"
    with served("serve", tmp_path / "x", "--lines", line) as engine:
        assert engine.stderr is not None
        engine.stderr.readline()
        refused = apart("gateway", "--engine", line, "--ouch", 0,
                        env=environment(MATCHCORE_ENGINE_TOKEN="other"))  # fmt: skip
        engine.send_signal(signal.SIGTERM)
        engine.communicate(timeout=60)
    assert refused.returncode == 1
    assert "another token is needed" in refused.stderr and "other" not in refused.stderr.split()


@pytest.mark.parametrize(
    "arguments, why",
    [
        (("serve", "DIR"), "nothing to serve"),
        (("serve", "DIR", "--lines", "nowhere"), "must be unix:PATH"),
        (("serve", "DIR", "--lines", "unix:" + "x" * 200), "longer than"),
        (("gateway", "--engine", "unix:x"), "nothing to open"),
        (("lines",), "say what to do"),
    ],
)
def test_wrong_usage_is_named(tmp_path: Path, arguments: tuple[str, ...], why: str) -> None:
    result = run(*(str(tmp_path / "x") if one == "DIR" else one for one in arguments))
    assert result.exit_code == 2 and why in result.stderr


def test_the_estimate_grows_with_the_rate_and_packs_better() -> None:
    code, found = run_json("lines", "--estimate", "--rate", "100000")
    _, slow = run_json("lines", "--estimate", "--rate", "1000")
    assert code == 0
    lines = {line["protocol"]: line for line in found["lines"]}
    slow_line = slow["lines"][0]
    assert [*lines] == ["engine line", "OUCH client", "FIX client", "web client"]
    engine = lines["engine line"]
    assert slow_line["up"] < engine["up"] and slow_line["up"] / 1000 > engine["up"] / 100_000
    assert 10 < engine["up"] / 100_000 < lines["OUCH client"]["up"] / 100_000
    assert lines["OUCH client"]["down"] < lines["FIX client"]["down"]
