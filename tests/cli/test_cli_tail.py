"""`tail`: every command with its names, as they were when it came."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_kit import ANA, run

import matchcore as mc
from matchcore.journal.segments import segment_files
from matchcore.operations.tail import last_sequence, lines

T = 1_558_429_200 * 10**9
LIMITS = f"max quantity {2**63 - 1} max orders 10000000"


def varied(path: Path) -> Path:
    with mc.Engine.open(path, instruments=[ANA], clock=lambda: T) as engine:
        engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 30, "95.70", account=7, client_order_id=9))
        engine.submit(mc.NewOrder("ANA", mc.Side.SELL, 5))
        engine.amend("ANA", 1, 20)
        engine.reduce("ANA", 1, 3)
        engine.cancel("ANA", 1)
        engine.change_instrument(mc.Instrument("ANA", "0.10"))
        engine.submit(mc.NewOrder("ANA", mc.Side.SELL, 5, "95.70"))
        odd = mc.encode(mc.EndDay(), engine.instruments).copy()
        odd["kind"], odd["quantity"] = 77, 3
        engine.submit_batch(odd)
        engine.mass_cancel(account=7)
    return path


def test_each_command_is_a_line(tmp_path: Path) -> None:
    result = run("tail", varied(tmp_path / "e"))
    assert result.exit_code == 0
    shown = [" ".join(line.split()) for line in result.stdout.splitlines()]
    when = "2019-05-21T09:00:00.000000000Z"
    assert shown == [
        f"1 {when} AddInstrument ANA tick 0.05 lot 1 {LIMITS}",
        f"2 {when} NewOrder ANA BUY 30 @ 95.70 time in force GTC account 7 client order id 9",
        f"3 {when} NewOrder ANA SELL 5 @ market time in force IOC",
        f"4 {when} Amend ANA 20 @ same order id 1",
        f"5 {when} Reduce ANA order id 1 quantity 3",
        f"6 {when} Cancel ANA order id 1",
        f"7 {when} ChangeInstrument ANA tick 0.1 lot 1 {LIMITS}",
        f"8 {when} NewOrder ANA SELL 5 @ 95.7 time in force GTC",
        f"9 {when} record time={T} quantity=3 kind=77",
        f"10 {when} MassCancel all account 7",
    ]


def told(*arguments: object) -> list[dict[str, Any]]:
    result = run("tail", *arguments, "--json")
    assert result.exit_code == 0 and result.stderr == ""
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_json_lines_have_the_same(tmp_path: Path) -> None:
    exchange = varied(tmp_path / "e")
    found = told(exchange, "-n", 100)
    assert [one["sequence"] for one in found] == list(range(1, 11))
    assert found[1] | {"epoch": 0} == {
        "sequence": 2, "epoch": 0, "type": "NewOrder", "symbol": "ANA", "side": "BUY",
        "quantity": 30, "price": "95.70", "time_in_force": "GTC", "account": 7, "order_id": 0,
        "client_order_id": 9, "post_only": False, "time": T, "session": 0,
        "client_order_tail": 0, "order_type": None, "stop_price": None, "offset": None,
        "trailing_percent": None, "display_quantity": 0, "minimum_quantity": 0, "expiry": 0,
        "self_trade": "ALLOWED", "hidden": False, "slide": False, "linked_order_id": 0,
    }  # fmt: skip
    assert found[7]["price"] == "95.7"


@pytest.mark.parametrize("segment_bytes", [4096, 1 << 20])
def test_from_anywhere_it_is_the_same(tmp_path: Path, segment_bytes: int) -> None:
    with mc.Engine.open(tmp_path, instruments=[ANA], segment_bytes=segment_bytes) as engine:
        for at in range(60):
            engine.submit(mc.NewOrder("ANA", mc.Side.BUY, at + 1, "95.05"))
            if at == 30:
                engine.snapshot()
        everything = told(tmp_path, "-n", 100)
        assert len(everything) == 61 == last_sequence(tmp_path)
        assert told(tmp_path) == everything[-20:]
        assert told(tmp_path, "-n", 0) == []
        assert told(tmp_path, "--sequence", 41) == everything[40:]
        assert told(tmp_path, "--sequence", 10, "-n", 7) == everything[9:16]
        assert told(tmp_path, "--sequence", 62) == []
    late = run("tail", tmp_path, "--sequence", 63)
    assert late.exit_code == 2 and "sequence 63: the log" in late.stderr
    assert "ends with 61" in late.stderr


def test_without_what_was_archived_records_are_shown(tmp_path: Path) -> None:
    with mc.Engine.open(tmp_path, instruments=[ANA], segment_bytes=4096) as engine:
        for _ in range(60):
            engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 4, "95.05"))
    segment_files(tmp_path)[0].unlink()
    last = next(iter(lines(tmp_path, count=1)))
    assert (last.command, last.record["quantity"], last.record["instrument"]) == (None, 4, 1)


def test_damage_is_said_behind_what_is_good(tmp_path: Path) -> None:
    exchange = varied(tmp_path / "e")
    (file,) = segment_files(exchange)
    data = bytearray(file.read_bytes())
    data[-600] ^= 1
    file.write_bytes(data)
    result = run("tail", exchange, "--sequence", 1)
    assert result.exit_code == 1 and "sequence 9" in result.stderr
    assert len(result.stdout.splitlines()) == 8
    assert run("tail", exchange).exit_code == 1


def test_following_shows_what_comes_and_ends_well(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "matchcore", "tail", str(tmp_path), "--follow", "--json"]
    with (
        mc.Engine.open(tmp_path, instruments=[ANA]) as engine,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child,
    ):
        assert child.stdout is not None and child.stderr is not None
        assert json.loads(child.stdout.readline())["type"] == "AddInstrument"
        engine.submit(mc.EndDay())
        assert json.loads(child.stdout.readline())["type"] == "EndDay"
        child.send_signal(signal.SIGINT)
        assert (child.wait(60), child.stderr.read()) == (0, b"")
