"""Where markets stand: QuickFIX asks with e and g, and is told each change."""

from __future__ import annotations

from pathlib import Path

import pytest
from fix_kit import Client, Serving
from quickfix_kit import FIX44, FIXT, Trader, trading

from matchcore import Engine, NewOrder, Phase, Side
from matchcore.gateways.fix.statuses import CODES

VERSIONS = pytest.mark.parametrize("version", [FIX44, FIXT], ids=["FIX.4.4", "FIX.5.0SP2"])


def told(trader: Trader, *tags: int) -> list[str]:
    said = trader.next()
    return [said.get(tag, "") for tag in tags]


def trade(engine: Engine, price: str) -> None:
    engine.submit(NewOrder("ANA", Side.SELL, 10, price, account=8))
    engine.submit(NewOrder("ANA", Side.BUY, 10, price, account=9))


@VERSIONS
def test_a_market_is_asked_for_and_followed(tmp_path: Path, version: str) -> None:
    with (
        Serving(tmp_path / "state") as serving,
        trading(serving.port, tmp_path / "a", "ALICE", version) as alice,
    ):
        engine = serving.engine
        what = (35, 324, 55, 325, 326, 625, 31, 58)
        alice.send("e", {324: "s0", 55: "ANA", 263: 0})
        assert told(alice, *what) == ["f", "s0", "ANA", "N", "17", "3", "", "continuous, no market"]
        alice.send("e", {324: "s1", 55: "NONE", 263: 1})
        assert told(alice, 35, 324, 326) == ["f", "s1", "20"]
        engine.set_market("ANA", reference_price="9.00")
        alice.send("e", {324: "s2", 55: "ANA", 263: 1})
        words = "continuous; reference 9.00"
        assert told(alice, *what) == ["f", "s2", "ANA", "N", "17", "3", "", words]
        trade(engine, "9.05")
        engine.set_phase("ANA", Phase.CLOSING_CALL)
        words = "closing call; reference 9.00"
        assert told(alice, *what) == ["f", "s2", "ANA", "Y", "17", "4", "9.05", words]
        trade(engine, "9.10")
        engine.set_phase("ANA", Phase.CLOSED)  # the price of the auction is the last one
        assert told(alice, 326, 625, 31) == ["18", "10", "9.10"]
        engine.set_phase("ANA", Phase.CANCEL_ONLY)
        assert told(alice, 326, 625, 340) == ["2", "7", ""]
        alice.send("e", {324: "s2", 55: "ANA", 263: 2})
        alice.send("e", {324: "s3", 55: "ANA", 263: 0})
        assert told(alice, 324, 326) == ["s3", "2"]
        engine.set_phase("ANA", Phase.CONTINUOUS)
        alice.send("e", {324: "s4", 55: "ANA", 263: 0})
        assert told(alice, 324, 326) == ["s4", "17"]


@VERSIONS
def test_the_session_is_what_most_markets_are_in(tmp_path: Path, version: str) -> None:
    with (
        Serving(tmp_path / "state") as serving,
        trading(serving.port, tmp_path / "a", "ALICE", version) as alice,
    ):
        engine = serving.engine
        what = (35, 335, 336, 325, 340, 625, 58)
        alice.send("g", {335: "g0", 263: 0})
        assert told(alice, *what) == ["h", "g0", "1", "N", "2", "3", "no markets"]
        engine.set_market("ANA")
        engine.set_market("BBVA", group=7)
        alice.send("g", {335: "g1", 336: 1, 263: 1})
        assert told(alice, *what) == ["h", "g1", "1", "N", "2", "3", "continuous 2"]
        engine.set_phase("ANA", Phase.HALTED)  # one market apart
        words = "continuous 1, halted 1"
        assert told(alice, *what) == ["h", "g1", "1", "Y", "2", "3", words]
        engine.set_phase("ANA", Phase.CLOSED)
        words = "continuous 1, closed 1"
        assert told(alice, *what) == ["h", "g1", "1", "Y", "0", "", words]
        engine.set_phase(None, Phase.CANCEL_ONLY)
        assert told(alice, *what) == ["h", "g1", "1", "Y", "1", "7", "cancel only 2"]
        alice.send("g", {335: "g2", 336: 2, 263: 1})
        assert told(alice, 35, 335, 336, 340, 567) == ["h", "g2", "2", "6", "1"]
        alice.send("g", {335: "g1", 263: 2})
        alice.send("g", {335: "g3", 1300: 5, 263: 0}) if version == FIXT else None
        if version == FIXT:
            assert told(alice, 335, 1300, 340, 567) == ["g3", "5", "6", "1"]
            alice.send("g", {335: "g4", 1300: 7, 263: 0})
            assert told(alice, 335, 1300, 340, 58) == ["g4", "7", "1", "cancel only 1"]
        engine.set_phase(None, Phase.CLOSED)
        alice.send("g", {335: "g5", 263: 0})
        assert told(alice, 335, 340) == ["g5", "3"]


def test_an_interruption_says_why(tmp_path: Path) -> None:
    with (
        Serving(tmp_path / "state") as serving,
        trading(serving.port, tmp_path / "a") as alice,
    ):
        engine = serving.engine
        engine.set_market("ANA", dynamic_range=1, volatility_ns=10**9)
        trade(engine, "9.00")
        alice.send("e", {324: "s", 55: "ANA", 263: 1})
        assert told(alice, 326, 31) == ["17", "9.00"]
        trade(engine, "12.00")  # not within a hundredth of the last one
        assert told(alice, 326, 625, 31, 58) == ["2", "9", "9.00", "volatility call: volatility"]


@pytest.mark.parametrize(
    ("kind", "fields", "kind_back", "says"),
    [
        ("e", {324: "s", 263: 0}, "3", "tag 55 is missing"),
        ("e", {324: "s", 55: "ANA", 263: 3}, "3", "SubscriptionRequestType"),
        ("e", {55: "ANA", 263: 0}, "3", "tag 324 is missing"),
        ("e", {324: "s", 55: "ANA", 263: 2}, "j", "no such subscription"),
        ("e", {324: "old", 55: "ANA", 263: 1}, "j", "there already"),
        ("g", {335: "s"}, "3", "tag 263 is missing"),
        ("g", {335: "s", 1300: "x", 263: 0}, "3", "MarketSegmentID"),
        ("g", {335: "s", 263: 2}, "j", "no such subscription"),
    ],
)
def test_questions_without_an_answer(
    tmp_path: Path, kind: str, fields: dict[int, str], kind_back: str, says: str
) -> None:
    with Serving(tmp_path / "state") as serving, Client(serving.port) as client:
        client.log_on()
        client.send("e", {324: "old", 55: "ANA", 263: 1})
        client.next("f")
        client.send(kind, fields)
        said = client.next(kind_back)
        assert says in said[58]
        if kind_back == "j":
            assert said[379] == fields[324 if kind == "e" else 335]


def test_a_client_that_comes_again_asks_again(tmp_path: Path) -> None:
    with Serving(tmp_path / "state") as serving:
        serving.engine.set_market("ANA")
        with Client(serving.port) as client:
            client.log_on()
            client.send("e", {324: "s", 55: "ANA", 263: 1})
            client.next("f")
            client.send("5")
            client.next("5")
        with Client(serving.port) as client:
            client.log_on(4)
            serving.engine.set_phase("ANA", Phase.HALTED)
            client.send("2", {7: 1, 16: 0})
            assert client.next("4")[36] == "5"  # no status is sent again
            client.send("e", {324: "s", 55: "ANA", 263: 1})
            assert client.next("f")[326] == "2"


def test_every_phase_has_its_codes() -> None:
    assert set(CODES) == set(Phase)


def test_the_page_has_the_codes() -> None:
    page = (Path(__file__).parents[3] / "docs" / "gateways" / "fix.md").read_text()
    shown: dict[str, tuple[str, ...]] = {}
    rows = page.partition("| [phase](../markets/phases.md) | 340 |")[2].partition("\n\n")[0]
    for row in rows.splitlines()[2:]:
        names, *cells = (cell.strip() for cell in row.strip("|").split("|"))
        codes = tuple(cell.split()[0] for cell in cells)
        for name in names.replace(", and without a market", "").split(","):
            shown[name.split()[1]] = codes
    assert shown == {
        phase.name: tuple(code.decode() for code in codes) for phase, codes in CODES.items()
    }
