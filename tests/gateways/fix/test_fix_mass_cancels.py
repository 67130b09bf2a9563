"""Mass cancels by price range and by session, asked for by QuickFIX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fix_kit import Client, Serving, users
from quickfix_kit import FIX44, FIXT, Trader, fix, now, trading

from matchcore import NewOrder, Phase, Side

VERSIONS = pytest.mark.parametrize("version", [FIX44, FIXT], ids=["FIX.4.4", "FIX.5.0SP2"])


def rest(trader: Trader, *prices: str, side: int = 1, account: int = 1) -> None:
    for price in prices:
        trader.order(f"{account}-{side}-{price}", _44=price, _54=side, _1=account)
        assert trader.next()[150] == "0"


def cancelled(trader: Trader) -> tuple[list[str], dict[int, str]]:
    """The prices that were cancelled, and the report behind them."""
    prices = []
    while (said := trader.next())[35] == "8":
        assert said[150] == "4"
        prices.append(said[44])
    assert said[35] == "r" and said[533] == str(len(prices))
    return prices, said


@VERSIONS
def test_by_price_range(tmp_path: Path, version: str) -> None:
    with (
        Serving(tmp_path / "state") as serving,
        trading(serving.port, tmp_path / "a", "ALICE", version) as alice,
    ):
        serving.engine.set_market("ANA")
        rest(alice, "1.00", "1.05", "1.10", "1.15", "1.20")
        rest(alice, "2.00", "2.05", side=2)
        alice.send("q", {11: "c1", 530: 1, 55: "ANA", 333: "1.05", 332: "1.10", 60: now()})
        prices, said = cancelled(alice)
        assert sorted(prices) == ["1.05", "1.10"]
        assert [said[tag] for tag in (11, 530, 531, 55)] == ["c1", "1", "1", "ANA"]
        alice.send("q", {11: "c2", 530: 1, 55: "ANA", 333: "1.20", 54: 1, 60: now()})
        assert cancelled(alice)[0] == ["1.20"]
        alice.send("q", {11: "c3", 530: 1, 55: "ANA", 332: "0.50", 60: now()})
        assert cancelled(alice)[0] == []
        alice.send("q", {11: "c4", 530: 1, 55: "ANA", 60: now()})
        assert len(cancelled(alice)[0]) == 4


@VERSIONS
def test_by_session(tmp_path: Path, version: str) -> None:
    everybody = users(accounts=frozenset({1}))
    with (
        Serving(tmp_path / "state", known=everybody) as serving,
        trading(serving.port, tmp_path / "a", "ALICE", version) as alice,
        trading(serving.port, tmp_path / "b", "BOB", version) as bob,
    ):
        serving.engine.set_market("ANA")
        serving.engine.submit(NewOrder("ANA", Side.BUY, 10, "0.90", account=1))
        rest(alice, "1.00")
        rest(bob, "1.05")
        target = fix.Message()
        target.getHeader().setField(35, "q")
        for tag, value in {11: "c1", 530: 7, 1: 1, 60: now()}.items():
            target.setField(tag, str(value))
        group = fix.Group(1461, 1462)
        group.setField(1462, "ALICE")
        group.setField(1464, "55")
        target.addGroup(group)
        assert fix.Session.sendToTarget(target, alice.session)
        prices, said = cancelled(alice)
        assert prices == ["1.00"] and said[530] == "7"
        assert len(serving.engine.book("ANA").bids()) == 2
        bob.send("q", {11: "c2", 530: 7, 1: 1, 60: now()})
        assert bob.next()[44] == "1.05"
        said = bob.next()
        assert (said[35], said[533]) == ("r", "2")  # the other one is no session's


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({530: 7, 333: "1.00"}, "of one Symbol"),
        ({530: 1, 55: "ANA", 333: "1.01"}, r"LowPx (333) is not on a tick"),
        ({530: 1, 55: "ANA", 333: "2", 332: "1"}, "above HighPx"),
        ({530: 1, 55: "BBVA", 333: "2"}, "no market"),
        ({530: 1, 55: "BBVA", 1461: 1, 1462: "ALICE", 1464: 55}, "no market"),
        ({530: 7, 1461: 1, 1462: "BOB", 1464: 55}, "SenderCompID"),
        ({530: 7, 1461: 1, 1462: "ALICE", 1464: 36}, "SenderCompID"),
        ({530: 7, 1461: 2, 1462: "ALICE", 1464: 55}, "SenderCompID"),
    ],
)
def test_refusals(tmp_path: Path, fields: dict[int, Any], says: str) -> None:
    with Serving(tmp_path / "state") as serving, Client(serving.port) as client:
        serving.engine.set_market("ANA")
        client.log_on()
        client.order("1")
        client.next("8")
        client.send("q", {11: "c", **fields})
        said = client.next("r")
        assert (said[531], said[532]) == ("0", "99") and says in said[58]


def test_the_exchange_refuses_in_a_phase_without_cancels(tmp_path: Path) -> None:
    with Serving(tmp_path / "state") as serving, Client(serving.port) as client:
        serving.engine.set_market("ANA")
        serving.engine.set_phase("ANA", Phase.QUIET)
        client.log_on()
        client.send("q", {11: "c", 530: 1, 55: "ANA", 332: "1.00"})
        said = client.next("r")
        assert (said[531], said[58]) == ("0", "bad phase (kind)")


def test_a_range_without_any_market_is_refused(tmp_path: Path) -> None:
    with Serving(tmp_path / "state") as serving, Client(serving.port) as client:
        client.log_on()
        client.send("q", {11: "c", 530: 7, 1461: 1, 1462: "ALICE", 1464: 55})
        assert "no instrument has a market" in client.next("r")[58]
