"""Encrypted exchanges on the command line: keys come from the file that MATCHCORE_KEYS names."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from matchcore import Engine, Instrument, KeyRefused, Keys, LogFailed, NewOrder, Side
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


COMMANDS = (
    ("info",), ("replay",), ("book", "A"), ("snapshot",), ("tail", "-n1"), ("verify", "--replay"),
)  # fmt: skip


def test_reconcile_and_rebuild_need_keys_and_work_with_them(
    exchange: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{exchange.with_name('x.db')}"
    for name, *rest in (("rebuild", "--yes"), ("reconcile",)):
        monkeypatch.delenv("MATCHCORE_KEYS", raising=False)
        code, said = run(name, exchange, url, *rest, "--json")
        assert code == 1 and said["kind"] == "KeyRefused"
        monkeypatch.setenv("MATCHCORE_KEYS", str(exchange.with_name("keys")))
        assert run(name, exchange, url, *rest, "--json")[0] == 0


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_commands_need_keys_and_work_with_them(
    exchange: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, *rest = command
    code, said = run(name, exchange, *rest, "--json")
    assert code == 1 and said["kind"] == "KeyRefused" and "MATCHCORE_KEYS" in str(said["error"])
    monkeypatch.setenv("MATCHCORE_KEYS", str(exchange.with_name("keys")))
    assert run(name, exchange, *rest, "--json")[0] == 0


def test_a_picture_needs_keys_and_is_drawn_with_them(
    exchange: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("draw", exchange, "A", "--out", tmp_path / "x.png", "--json")
    code, said = run(*command)
    assert code == 1 and said["kind"] == "KeyRefused" and not (tmp_path / "x.png").exists()
    monkeypatch.setenv("MATCHCORE_KEYS", str(exchange.with_name("keys")))
    assert run(*command)[0] == 0


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


def many_segments(tmp_path: Path, keys: Keys) -> Path:
    path = tmp_path / "many.d"
    with Engine.open(path, keys=keys, instruments=[Instrument("A", 1)], segment_bytes=4096) as e:
        for at in range(60):
            e.submit(NewOrder("A", Side.BUY, 5, 7))
            if at in (30, 50):
                e.snapshot()
    return path


@pytest.mark.parametrize("with_keys", [False, True])
def test_archive_takes_no_keys_and_loses_nothing(
    exchange: Path, tmp_path: Path, with_keys: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = Keys.from_file(exchange.with_name("keys"))
    path = many_segments(tmp_path, keys)
    with Engine.open(path, keys=keys) as engine:
        digest = engine.digest()
    if with_keys:
        monkeypatch.setenv("MATCHCORE_KEYS", str(exchange.with_name("keys")))
    place = tmp_path / "place"
    code, said = run("archive", path, "--to", place, "--json")
    assert code == 0 and said["segments"] == sorted(file.name for file in place.iterdir())
    assert run("verify", path, "--json")[0] == 0
    with Engine.open(path, keys=keys) as engine:
        assert engine.digest() == digest
    for file in place.iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    monkeypatch.setenv("MATCHCORE_KEYS", str(exchange.with_name("keys")))
    assert run("replay", path, "--json")[1]["digest"] == digest


@pytest.mark.parametrize("name", ["snapshot-*.mcs", "journal-*.mcj"])
def test_archive_finds_damage_without_keys(exchange: Path, tmp_path: Path, name: str) -> None:
    path = many_segments(tmp_path, Keys.from_file(exchange.with_name("keys")))
    file = min(path.glob(name))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    before = sorted(path.glob("journal-*.mcj"))
    code, said = run("archive", path, "--drop", "--json")
    assert code == 1 and file.name in str(said["error"])
    assert sorted(path.glob("journal-*.mcj")) == before


def test_a_snapshot_aside_reads_the_file_of_keys(
    exchange: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = exchange.with_name("keys")
    keys = Keys.from_file(file)
    with Engine.open(exchange, keys=keys) as engine:
        engine.submit(NewOrder("A", Side.BUY, 5, 9))
        engine.start_snapshot().result(60)  # their own file
    by_hand = Keys(lambda key_id: bytes.fromhex(KEY), "k1")
    with Engine.open(exchange, keys=by_hand) as engine:
        engine.submit(NewOrder("A", Side.BUY, 5, 9))
        with pytest.raises(KeyRefused, match=r"cannot call .* Keys\.from_file.* MATCHCORE_KEYS"):
            engine.start_snapshot()
        engine.submit(NewOrder("A", Side.BUY, 5, 9))  # nothing else has happened
        monkeypatch.setenv("MATCHCORE_KEYS", str(file))
        assert engine.start_snapshot().result(60).name.endswith("6.mcs")
        digest = engine.digest()
    with Engine.open(exchange, keys=keys) as engine:
        assert engine.recovery.snapshot_sequence == 6 and engine.digest() == digest


def test_an_encrypted_engine_whose_log_failed_still_shows_what_is_durable(
    exchange: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = Keys(lambda key_id: bytes.fromhex(KEY), "k1")
    engine = Engine.open(exchange, keys=keys)
    digest, durable = engine.digest(), engine.durable

    def refuse(fd: int) -> None:
        raise OSError(5, "the disk is broken")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", refuse)
        with pytest.raises(LogFailed, match="the disk is broken"):
            engine.submit(NewOrder("A", Side.BUY, 5, 9))
    assert (engine.digest(), engine.durable) == (digest, durable)
    engine.close()
