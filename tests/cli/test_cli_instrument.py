"""Instruments and the end of a day at the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_kit import run, run_json

import matchcore as mc


def test_the_first_instrument_makes_the_exchange(tmp_path: Path) -> None:
    place = tmp_path / "new.d"
    code, said = run_json("instrument", "add", place, "ANA", "--tick", "0.05")
    assert code == 0 and (said["number"], said["tick"], said["new_exchange"]) == (1, "0.05", True)
    code, said = run_json("instrument", "add", place, "TEF", "--tick", "0.0010", "--lot", 10)
    assert (said["number"], said["tick"], said["lot"], said["new_exchange"]) == (
        2, "0.001", 10, False,
    )  # fmt: skip
    code, said = run_json("instrument", "list", place)
    assert [(one["number"], one["symbol"]) for one in said["instruments"]] == [
        (1, "ANA"),
        (2, "TEF"),
    ]
    assert "TEF" in run("instrument", "list", place).stdout
    with mc.Engine.open(place) as engine:
        assert engine.instruments["TEF"] == mc.Instrument("TEF", "0.001", lot=10)


def test_a_change_leaves_what_is_not_named(tmp_path: Path) -> None:
    place = tmp_path / "new.d"
    run("instrument", "add", place, "ANA", "--tick", "0.05", "--max-quantity", 500)
    code, said = run_json("instrument", "change", place, "ANA", "--lot", 10, "--max-orders", 7)
    assert code == 0
    assert (said["tick"], said["lot"], said["max_quantity"], said["max_orders"]) == (
        "0.05", 10, 500, 7,
    )  # fmt: skip
    with mc.Engine.open(place) as engine:
        engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 10, "95.70"))
    refused = run("instrument", "change", place, "ANA", "--tick", "0.01")
    assert refused.exit_code == 1 and "BOOK_NOT_EMPTY, TICK" in refused.stderr
    assert run_json("instrument", "list", place)[1]["instruments"][0]["tick"] == "0.05"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "ANA", "--tick", "0.05"), "DUPLICATE_SYMBOL"),
        (("add", "A B", "--tick", "1"), "no spaces"),
        (("add", "TEF", "--tick", "0"), "above zero"),
        (("add", "TEF", "--tick", "half"), "half"),
        (("add", "TEF", "--tick", "1", "--lot", "9", "--max-quantity", "8"), "max_quantity"),
        (("change", "ANA"), "nothing to change"),
        (("change", "SAN", "--lot", "2"), "unknown instrument 'SAN'"),
    ],
)
def test_what_cannot_be_traded_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    place = tmp_path / "new.d"
    run("instrument", "add", place, "ANA", "--tick", "0.05")
    what, *rest = arguments
    result = run("instrument", what, place, *rest)
    assert result.exit_code == 2 and said in result.stderr
    assert len(run_json("instrument", "list", place)[1]["instruments"]) == 1


def test_a_wrong_instrument_makes_no_exchange(tmp_path: Path) -> None:
    assert run("instrument", "add", tmp_path / "new.d", "ANA", "--tick", "0").exit_code == 2
    assert not (tmp_path / "new.d").exists()
    assert run("instrument", "change", tmp_path / "new.d", "ANA", "--lot", 2).exit_code == 2
    (tmp_path / "empty.d").mkdir()
    assert run("instrument", "list", tmp_path / "empty.d").exit_code != 0
    assert not [*(tmp_path / "empty.d").iterdir()]


def test_the_end_of_a_day_cancels_its_orders(tmp_path: Path) -> None:
    place = tmp_path / "new.d"
    for symbol in ("ANA", "TEF"):
        run("instrument", "add", place, symbol, "--tick", "0.05")
    with mc.Engine.open(place) as engine:
        for symbol in ("ANA", "TEF"):
            for tif in (mc.TimeInForce.DAY, mc.TimeInForce.GTC):
                engine.submit(mc.NewOrder(symbol, mc.Side.BUY, 10, "95.70", tif))
    assert run_json("end-day", place, "--symbol", "ANA") == (0, {"cancelled": 1, "sequence": 7})
    assert run_json("end-day", place) == (0, {"cancelled": 1, "sequence": 8})
    assert run("end-day", place, "--symbol", "SAN").exit_code == 2
