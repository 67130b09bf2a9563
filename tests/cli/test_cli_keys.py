"""Encrypted exchanges on the command line: keys come from the file that MATCHCORE_KEYS names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from matchcore import Engine, Instrument, Keys, LogFailed, NewOrder, Side
from matchcore.cli.app import app

KEY = bytes(range(32)).hex()


@pytest.fixture
def exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An encrypted exchange with a snapshot; no keys in the environment."""
    file = tmp_path / "keys"
    file.write_text(f"k1 aes-256-gcm {KEY}\n")
    file.chmod(0o600)
    monkeypatch.delenv("MATCHCORE_KEYS", raising=False)
    keys, path = Keys.from_file(file), tmp_path / "exchange.d"
    with Engine.open(path, keys=keys, instruments=[Instrument("A", tick=1)]) as engine:
        engine.submit(NewOrder("A", Side.BUY, 5, 7))
        engine.snapshot()
        engine.submit(NewOrder("A", Side.BUY, 5, 8))
    return path


def run(*arguments: object) -> tuple[int, dict[str, object]]:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert KEY not in result.output
    return result.exit_code, json.loads(result.stdout)


COMMANDS = (("info",), ("replay",), ("book", "A"), ("snapshot",))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_commands_need_keys_and_work_with_them(
    exchange: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, *rest = command
    code, said = run(name, exchange, *rest, "--json")
    assert code == 1 and said["kind"] == "KeyRefused" and "MATCHCORE_KEYS" in str(said["error"])
    monkeypatch.setenv("MATCHCORE_KEYS", str(exchange.with_name("keys")))
    assert run(name, exchange, *rest, "--json")[0] == 0


def test_verify_says_when_it_checked_the_structure_only(
    exchange: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = run("verify", exchange, "--json")
    assert (code, said["good"], said["structure_only"], said["snapshots"]) == (0, True, 1, 1)
    text = CliRunner().invoke(app, ["verify", str(exchange)]).stdout
    assert "1 segments checked in structure and chain only" in text
    monkeypatch.setenv("MATCHCORE_KEYS", str(exchange.with_name("keys")))
    code, said = run("verify", exchange, "--json")
    assert (code, said["good"], said["structure_only"]) == (0, True, 0)


def test_a_snapshot_aside_takes_the_keys_of_the_environment(
    exchange: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = Keys.from_file(exchange.with_name("keys"))
    with Engine.open(exchange, keys=keys) as engine:
        with pytest.raises(LogFailed, match="MATCHCORE_KEYS"):
            engine.start_snapshot().result(60)
        monkeypatch.setenv("MATCHCORE_KEYS", str(exchange.with_name("keys")))
        assert engine.start_snapshot().result(60).name.endswith("3.mcs")
        digest = engine.digest()
    with Engine.open(exchange, keys=keys) as engine:
        assert engine.recovery.snapshot_sequence == 3 and engine.digest() == digest
