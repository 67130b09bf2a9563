"""Markets at the command line: shown, changed, and their phases, also while they are served."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_kit import run, run_json

import matchcore as mc
from matchcore._children import environment

WORLD = [mc.Instrument("ANA", "0.05"), mc.Instrument("TEF", "0.01")]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "e"
    with mc.Engine.open(path, instruments=WORLD):
        pass
    return path


def test_parameters_are_set_and_shown(place: Path) -> None:
    code, said = run_json("market", "show", place, "ANA")
    assert (code, said) == (0, {"symbol": "ANA", "market": None})
    assert "no market" in run("market", "show", place, "ANA").stdout
    line = ("order_types=LIMIT,market", "limit_up=10", "reference_price=9.50", "pro_rata=yes",
            "tick_table=0:0.05,10:0.1", "cage=refuse")  # fmt: skip
    code, said = run_json("market", "set", place, "ANA", *line)
    assert (code, said["commands"], said["phase"]) == (0, 7, "CONTINUOUS")
    market = said["market"]
    assert (market["order_types"], market["limit_up"], market["cage"]) == (
        ["LIMIT", "MARKET"], "10", "REFUSE",
    )  # fmt: skip
    code, said = run_json("market", "set", place, "ANA", "pro_rata=no", "limit_down=5.5")
    assert (code, said["commands"]) == (0, 2)
    assert said == {"symbol": "ANA", "commands": 2, **run_json("market", "show", place, "ANA")[1]}
    with mc.Engine.open(place) as engine:
        assert engine.market("ANA") == mc.Market(
            order_types=frozenset({mc.OrderType.LIMIT, mc.OrderType.MARKET}), limit_up=10,
            limit_down="5.5", reference_price="9.50", cage=mc.CageMode.REFUSE,
            tick_table=[("0", "0.05"), ("10", "0.1")],
        )  # fmt: skip
    shown = run("market", "show", place, "ANA").stdout
    assert "0.00:0.05, 10.00:0.10" in shown and "LIMIT, MARKET" in shown and "pro rata" not in shown


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [(("ANA", "colour=red"), "colour", 2), (("ANA", "limit_up"), "NAME=VALUE", 2),
     (("ANA", "limit_up=much"), "limit_up", 2), (("ANA", "reference_price=9.51"), "tick", 2),
     (("ANA", "cage=perhaps"), "OFF, REFUSE, PARK", 2), (("SAN", "limit_up=1"), "SAN", 2),
     (("TEF", "limit_up=1"), "BOOK_NOT_EMPTY", 2)],
)  # fmt: skip
def test_what_is_no_parameter_changes_nothing(
    place: Path, arguments: tuple[str, ...], said: str, code: int
) -> None:
    with mc.Engine.open(place) as engine:
        engine.submit(mc.NewOrder("TEF", mc.Side.BUY, 1, "9"))
        digest = engine.digest()
    result = run("market", "set", place, *arguments)
    assert result.exit_code == code and said in result.stderr
    if "BOOK_NOT_EMPTY" not in said:
        assert mc.Engine.at(place).digest() == digest
    assert run_json("market", "show", place, arguments[0])[1].get("market") is None


def test_phases_and_an_auction(place: Path) -> None:
    for symbol in ("ANA", "TEF"):
        run("market", "set", place, symbol, f"group={len(symbol)}")
    code, said = run_json("market", "phase", place, "closed")
    assert (code, said["phase"], said["markets"]) == (0, "CLOSED", ["ANA", "TEF"])
    assert run_json("market", "phase", place, "OPENING_CALL", "--symbol", "ANA")[0] == 0
    with mc.Engine.open(place) as engine:
        engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 30, "9.50"))
        engine.submit(mc.NewOrder("ANA", mc.Side.SELL, 20, "9.00"))
    found = run_json("market", "show", place, "ANA")[1]
    assert found["indicative"]["price"] == "9.50" and found["indicative"]["imbalance"] == 10
    code, said = run_json("market", "phase", place, "CONTINUOUS", "--group", 3)
    assert (said["markets"], said["trades"], said["quantity"]) == (["ANA", "TEF"], 1, 20)
    found = run_json("market", "show", place, "ANA")[1]
    assert (found["open_price"], found["auction_price"], found["indicative"]) == (
        "9.50", "9.50", None,
    )  # fmt: skip
    code, said = run_json(
        "market", "phase", place, "HALTED", "--symbol", "ANA", "--cancel-orders", "--until",
        "2026-11-27T10:30+08:00",
    )  # fmt: skip
    assert (code, said["cancelled"]) == (0, 1)
    assert run_json("market", "show", place, "ANA")[1]["until"] == 1795746600000000000
    refused = run("market", "phase", place, "BREAK", "--group", 9)
    assert refused.exit_code == 1 and "NO_MARKET, GROUP" in refused.stderr
    assert run("market", "phase", place, "LUNCH").exit_code == 2
    assert run("market", "phase", place, "HALTED", "--until", "noon").exit_code == 2


def test_the_server_of_an_exchange_does_it(place: Path) -> None:
    line = [sys.executable, "-m", "matchcore", "serve", str(place), "--lines", "127.0.0.1:0"]
    with subprocess.Popen(line, env=environment(), text=True, stderr=subprocess.PIPE) as server:
        assert server.stderr is not None and "Ctrl-C" in server.stderr.readline()
        code, said = run_json("market", "set", place, "ANA", "limit_up=10")
        assert (code, said["served"], said["market"]["limit_up"]) == (0, True, "10")
        code, said = run_json("market", "phase", place, "BREAK", "--symbol", "ANA")
        assert (code, said["served"], said["markets"]) == (0, True, ["ANA"])
        assert run_json("market", "show", place, "ANA")[1]["phase"] == "BREAK"
        wrong = run("market", "set", place, "ANA", "limit_up=x")
        assert wrong.exit_code == 2 and "limit_up" in wrong.stderr
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0


def test_the_commands_of_markets_in_the_tail(place: Path) -> None:
    with mc.Engine.open(place, markets={"ANA": mc.Market(limit_up=10)}) as engine:
        engine.submit(mc.NewOrder("ANA", mc.Side.SELL, 10, "9.50", display_quantity=2))
        engine.submit(
            mc.NewOrder("ANA", mc.Side.BUY, 5, order_type=mc.OrderType.STOP, stop_price="9.60")
        )
        engine.amend("ANA", 1, total_quantity=8)
        engine.quote("ANA", 7, "9.00", 10)
        engine.set_phase(None, mc.Phase.BREAK)
    said = [" ".join(line.split()[2:]) for line in run("tail", place, "-n", 6).stdout.splitlines()]
    assert said == [
        "SetMarket ANA LIMITS up 1000 down 0 special_up 0 special_down 0 free_days 0",
        "NewOrder ANA SELL 10 @ 9.50 time in force GTC display quantity 2",
        "NewOrder ANA BUY stop 5 @ market time in force GTC stop price 9.60",
        "Amend ANA 8 in all @ same order id 1",
        "Quote ANA account 7 bid 9.00 bid quantity 10",
        "SetPhase all phase BREAK",
    ]
