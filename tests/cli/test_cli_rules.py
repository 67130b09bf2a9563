"""Versions of the rules at the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_kit import HEADER, contents, run, run_json, traded

from matchcore.records import rules


@pytest.fixture
def exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of 201 commands, under version 1, and a build that knows no other."""
    monkeypatch.setattr(rules, "RULES_LATEST", 1)
    return traded(tmp_path / "e")


def test_info_says_the_version_and_what_is_possible(
    exchange: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run_json("info", exchange)[1]
    assert (found["rules"], found["rules_possible"]) == (1, None)
    monkeypatch.setattr(rules, "RULES_LATEST", 2)
    found = run_json("info", exchange)[1]
    assert (found["rules"], found["rules_possible"]) == (1, 2)
    assert "rules possible" in run("info", exchange).stdout


def test_upgrade_rules_changes_once_and_says_so(
    exchange: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, found = run_json("upgrade-rules", exchange)
    assert (code, found["changed"], found["rules"], found["sequence"]) == (0, False, 1, 201)
    assert "nothing was written" in run("upgrade-rules", exchange).stdout
    monkeypatch.setattr(rules, "RULES_LATEST", 2)
    code, found = run_json("upgrade-rules", exchange)
    assert code == 0 and found == {
        "rules_before": 1, "rules": 2, "changed": True, "sequence": 202,
    }  # fmt: skip
    assert run_json("upgrade-rules", exchange)[1]["changed"] is False
    (line,) = run("tail", exchange, "-n", 1).stdout.splitlines()
    assert line.split()[-3:] == ["all", "version", "2"] and "UpgradeRules" in line


def test_upgrade_rules_makes_no_exchange(tmp_path: Path) -> None:
    (tmp_path / "e").mkdir()
    result = run("upgrade-rules", tmp_path / "e")
    assert result.exit_code == 1 and "no journal here" in result.stderr
    assert not contents(tmp_path)


@pytest.mark.parametrize("command", ["info", "replay", "verify", "snapshot", "tail"])
def test_an_unknown_version_is_refused_by_name(
    exchange: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(rules, "RULES_LATEST", 2)
    run("upgrade-rules", exchange)
    monkeypatch.setattr(rules, "RULES_LATEST", 1)
    result = run(command, exchange)
    assert result.exit_code == 1
    said = " ".join(result.stderr.split())
    assert "version 2 of the rules is not known" in said and "up to version 1" in said


def test_an_import_begins_and_goes_on_behind_an_upgrade(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "RULES_LATEST", 1)
    file = tmp_path / "orders-ana-1.csv"
    row = "new;{0};True;5;90;2019-05-21 09:00:{0:02}"
    file.write_text("\n".join([HEADER, *(row.format(uid) for uid in range(1, 9)), ""]))
    exchange = tmp_path / "e"
    assert run_json("import", "bme", file, exchange)[1]["sent"] == 8
    monkeypatch.setattr(rules, "RULES_LATEST", 2)
    assert run_json("upgrade-rules", exchange)[1]["changed"] is True
    code, found = run_json("import", "bme", file, exchange)
    assert (code, found["sent"], found["already_there"]) == (0, 0, 8)
    assert run_json("info", exchange)[1]["rules"] == 2
