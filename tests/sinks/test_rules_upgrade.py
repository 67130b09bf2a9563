"""A database follows a log across a change of the rules: no rows, but the position moves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from flows import flow
from sink_kit import DAY, contents, expected, filled, followed, logged, sink_of

import matchcore as mc
from matchcore.cli.app import app
from matchcore.errors import UnknownRules
from matchcore.records import rules
from matchcore.records.commands import joined
from matchcore.sinks.sql.reconcile import reconcile

AT = 303  # of the upgrade


@pytest.fixture
def upgraded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of 302 commands, the upgrade, and 300 more."""
    monkeypatch.setattr(rules, "RULES_LATEST", 1)
    exchange = filled(tmp_path / "e", 1, 300)
    monkeypatch.setattr(rules, "RULES_LATEST", 2)
    with mc.Engine.open(exchange) as engine:
        assert engine.upgrade_rules() is not None
        more = flow(2, 300)
        more["time"] = more["time"] * (DAY // 150) + 3 * DAY
        engine.submit_batch(more)
    return exchange


def test_a_database_has_all_across_it(upgraded: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{followed(upgraded, tmp_path / 'x.db')}"
    commands, _ = logged(upgraded)
    machine = mc.Machine(rules=1)
    parts = [machine.apply(commands[: AT - 1]), machine.upgrade(2), machine.apply(commands[AT:])]
    assert contents(upgraded, tmp_path / "x.db") == expected(commands, joined(parts))
    with closing(sink_of(upgraded, tmp_path / "x.db")) as sink:
        position = sink.position()
    assert position is not None and position.sequence == 603
    report = reconcile(upgraded, url)
    assert report.equal and report.position.sequence == report.log_end == 603


@pytest.mark.parametrize("at", [AT - 1, AT])
def test_a_database_that_stands_beside_it_goes_on(
    upgraded: Path, tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle of 1 has the database stand on every batch in turn."""
    monkeypatch.setattr("matchcore.engine.follower.BUNDLE_COMMANDS", 1)
    database = tmp_path / "x.db"
    stop_at(at, upgraded, database)
    followed(upgraded, database)
    whole = followed(upgraded, tmp_path / "whole.db")
    assert contents(upgraded, database) == contents(upgraded, whole)
    assert reconcile(upgraded, f"sqlite:///{database}").equal


class Stopping:
    """A sink that ends behind a sequence."""

    def __init__(self, sink: mc.Sink, last: int) -> None:
        self.sink, self.last = sink, last
        self.position, self.close = sink.position, sink.close

    def write(self, position: mc.Position, commands: object, events: object) -> None:
        if position.sequence > self.last:
            raise InterruptedError
        self.sink.write(position, commands, events)  # type: ignore[arg-type]


def stop_at(sequence: int, exchange: Path, database: Path) -> None:
    """Follows an exchange up to a sequence, or to the last batch before it."""
    follower = mc.Follower(exchange, Stopping(sink_of(exchange, database), sequence))
    with follower, pytest.raises(InterruptedError):
        follower.run()


def test_reconcile_stops_where_the_database_does(upgraded: Path, tmp_path: Path) -> None:
    database = tmp_path / "x.db"
    stop_at(AT, upgraded, database)
    report = reconcile(upgraded, f"sqlite:///{database}")
    assert report.equal and report.behind == 603 - report.position.sequence > 0


def test_rebuild_makes_the_same(upgraded: Path, tmp_path: Path) -> None:
    database = followed(upgraded, tmp_path / "x.db")
    before = contents(upgraded, database)
    arguments = ["rebuild", str(upgraded), f"sqlite:///{database}", "--yes", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert contents(upgraded, database) == before


def test_an_unknown_version_is_refused(
    upgraded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = followed(upgraded, tmp_path / "x.db")
    monkeypatch.setattr(rules, "RULES_LATEST", 1)
    asks: list[Callable[[], object]] = [
        lambda: reconcile(upgraded, f"sqlite:///{database}"),
        lambda: followed(upgraded, tmp_path / "y.db"),
    ]
    for ask in asks:
        with pytest.raises(UnknownRules, match=r"version 2 .*knows up to version 1"):
            ask()
    with closing(sink_of(upgraded, tmp_path / "y.db")) as sink:
        position = sink.position()
    assert position is not None and position.sequence == AT - 1  # all that came before it
