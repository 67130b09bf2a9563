"""`matchcore demo --market`: a day under the rules of an exchange, killed inside its calls."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from matchcore.cli.app import app
from matchcore.cli.demo_market import MARKETS
from matchcore.traffic.market_stream import commands_of

pytest.importorskip("matplotlib", reason="the [plot] extra is missing")


def test_a_day_of_shanghai_is_killed_in_its_calls_and_nothing_is_lost(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["demo", "--market", "sse", "--orders", "3000", "--dir", str(tmp_path / "d"), "--json"]
    )
    assert done.exit_code == 0, done.output
    said = json.loads(done.output)
    assert said["nothing_lost_or_doubled"] and said["digests_equal"]
    assert said["kills_in_calls"] == 3  # the opening call, its locked part, the closing call
    assert said["opening_quantity"] > 0 and said["closing_quantity"] > 0
    assert {"BEST_FIVE", "BEST_FIVE_LIMIT", "OWN_BEST", "COUNTERPARTY_BEST"} <= set(
        said["order_types"]
    )
    assert said["trades_in_sqlite"] == said["trades"] > 500
    assert Path(said["picture"]).read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("name", sorted(MARKETS))
def test_the_same_seed_is_the_same_day(name: str) -> None:
    day = MARKETS[name]()
    first, stretches = commands_of(day, day.instrument("X"), 7, 300)
    again, _ = commands_of(day, day.instrument("X"), 7, 300)
    assert first.tobytes() == again.tobytes()
    assert (first["time"][1:] >= first["time"][:-1]).all()
    assert len(stretches) == len(day.timetable)
