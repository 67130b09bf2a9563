"""Notices, limits and the kill switch at the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_kit import contents, run, run_json, traded

import matchcore as mc
from matchcore.records import rules


@pytest.fixture
def exchange(tmp_path: Path) -> Path:
    return traded(tmp_path / "e", 60)


def test_a_notice_is_in_the_log(exchange: Path) -> None:
    text = "Trading is halted: " + "ü" * 40
    code, said = run_json("notice", exchange, text, "--symbol", "ANA")
    assert code == 0 and said == {"parts": 2, "sequence": 63}
    *_, line = run("tail", exchange, "-n", 2).stdout.splitlines()
    assert "Notice" in line and "ANA" in line and "part 1" in line


@pytest.mark.parametrize("text", ["", "x" * 1025, "a\nb"])
def test_what_is_no_notice_is_refused(exchange: Path, text: str) -> None:
    result = run("notice", exchange, text)
    assert result.exit_code == (1 if text == "a\nb" else 2) and result.stderr


def test_limits_are_set_shown_and_removed(exchange: Path) -> None:
    assert run_json("limits", exchange, "--account", 1)[1] == {"limits": []}
    assert "none" in run("limits", exchange, "--account", 1).stdout
    code, said = run_json(
        "limits", exchange, "--account", 1, "--max-quantity", 50, "--max-messages", 3
    )
    (one,) = said["limits"]
    assert code == 0 and (one["max_quantity"], one["window_ns"], one["symbol"]) == (50, 10**9, None)
    said = run_json("limits", exchange, "--account", 1, "--collar", 9)[1]["limits"]
    assert said == [one | {"collar": 9}]
    run("limits", exchange, "--account", 1, "--max-messages", 0, "--symbol", "ANA", "--collar", 2)
    assert "collar 9" in run("limits", exchange, "--account", 1).stdout
    assert len(run_json("limits", exchange, "--account", 1)[1]["limits"]) == 2


def test_kill_blocks_cancels_and_is_undone(exchange: Path) -> None:
    run("limits", exchange, "--account", 1, "--max-quantity", 50)
    code, said = run_json("kill", exchange, "--account", 1, "--keep-orders")
    assert code == 0 and said["cancelled"] == 0
    said = run_json("kill", exchange, "--account", 1)[1]
    assert said["cancelled"] > 0
    assert (said["limits"][0]["blocked"], said["limits"][0]["max_quantity"]) == (True, 50)
    with mc.Engine.open(exchange) as engine:
        answer = engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 1, "1.00", account=1))
        assert answer.reason == mc.Reason.ACCOUNT_BLOCKED
    said = run_json("kill", exchange, "--account", 1, "--undo")[1]
    assert said["limits"][0]["blocked"] is False and said["cancelled"] == 0


@pytest.mark.parametrize(
    "arguments",
    [["notice", "x"], ["limits", "--account", 1, "--collar", 1], ["kill", "--account", 1]],
)
def test_an_old_exchange_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[object]
) -> None:
    monkeypatch.setattr(rules, "RULES_LATEST", 1)
    exchange = traded(tmp_path / "e", 10)
    monkeypatch.setattr(rules, "RULES_LATEST", 2)
    name, *more = arguments
    result = run(name, exchange, *more)
    assert result.exit_code == 1 and "upgrade-rules" in " ".join(result.stderr.split())


@pytest.mark.parametrize("name", ["notice", "limits", "kill"])
def test_no_exchange_is_made(tmp_path: Path, name: str) -> None:
    (tmp_path / "e").mkdir()
    more = ["x"] if name == "notice" else ["--account", 1]
    result = run(name, tmp_path / "e", *more)
    assert result.exit_code == 1 and not contents(tmp_path)
