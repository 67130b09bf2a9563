"""Kill and freeze anything amid traffic over all protocols: everybody is told what the log says."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from missing import missing

from matchcore.cli.app import app
from matchcore.traffic import drills
from matchcore.traffic.drills import COPY, Drill, DrillFailed
from matchcore.traffic.ledger import HEARD

PATIENCE = 20.0
ROUNDS = int(os.environ.get("MATCHCORE_DRILLS", "20"))
SEED = int(os.environ.get("MATCHCORE_DRILLS_SEED", "1"))


@pytest.fixture(scope="module")
def drill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    if shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        missing("haproxy", "haproxy")
    made = Drill(tmp_path_factory.mktemp("d"), SEED)
    try:
        made.start()
        yield made
    finally:
        made.end()


@pytest.mark.parametrize("number", range(1, ROUNDS + 1))
def test_everybody_is_told_what_the_log_says(drill: Drill, number: int) -> None:
    drill.round(number)


@pytest.mark.parametrize("user", ["u1", "u2", "u3", COPY])
def test_a_report_that_is_missing_or_comes_twice_is_noticed(drill: Drill, user: str) -> None:
    drill.compare(PATIENCE)
    record = drill.record(user)
    good = record.read_bytes()
    size = HEARD.itemsize
    try:
        for bad in (good[:-size], good[size:], good[:size] + good,
                    good[size : 2 * size] + good[:size] + good[2 * size :]):  # fmt: skip
            record.write_bytes(bad)
            with pytest.raises(DrillFailed, match=f"{user}, .*was told"):
                drill.compare(0.0)
    finally:
        record.write_bytes(good)
    drill.compare(0.0)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = False

    def run(place: Path, seed: int, rounds: int, told: object) -> dict[str, int]:
        if broken:
            raise DrillFailed("u1 was told nonsense")
        return {"seed": seed, "rounds": rounds}

    monkeypatch.setattr(drills, "run", run)
    line = ["drill-gateways", "--seed", "5", "--rounds", "2", "--dir", str(tmp_path / "new")]
    ran = CliRunner().invoke(app, line)
    assert ran.exit_code == 0 and "Every promise was kept" in ran.output
    broken = True
    ran = CliRunner().invoke(app, line)
    assert ran.exit_code == 1 and "nonsense" in ran.output
    monkeypatch.undo()
    (tmp_path / "new" / "x").write_text("here")
    assert CliRunner().invoke(app, line).exit_code == 2
