"""`matchcore instrument` with the address of a replicated log."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from click.testing import CliRunner
from standby_kit import EngineProcess, wait_until

from matchcore.cli.app import app


def ran(*words: str) -> tuple[int, Any]:
    done = CliRunner().invoke(app, ["instrument", *words, "--json"])
    return done.exit_code, json.loads(done.stdout)


def test_the_first_instrument_makes_the_log_and_others_follow(
    where: str, engine: Callable[..., EngineProcess]
) -> None:
    code, said = ran("add", where, "ANA", "--tick", "0.05")
    assert code == 0 and said["new_exchange"]
    code, said = ran("add", where, "TEF", "--tick", "0.01")
    assert code == 0 and not said["new_exchange"] and said["number"] == 2
    assert ran("change", where, "TEF", "--lot", "10")[0] == 0
    code, said = ran("list", where)
    assert [one["symbol"] for one in said["instruments"]] == ["ANA", "TEF"]
    primary = engine(where, "one", "standby")
    wait_until(lambda: primary.role == "primary")
    code, said = ran("add", where, "BBVA", "--tick", "0.01")
    assert code and "one is primary: name the directory of its --state" in said["error"]
    assert primary.role == "primary"
