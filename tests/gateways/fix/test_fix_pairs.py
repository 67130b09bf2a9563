"""Pairs of orders of which one cancels the other, sent as a NewOrderList by QuickFIX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fix_kit import Client, Serving
from quickfix_kit import FIX44, FIXT, Trader, fix, now, trading
from test_fix_quotes import raw

from matchcore import Engine, NewOrder, Phase, Side

VERSIONS = pytest.mark.parametrize("version", [FIX44, FIXT], ids=["FIX.4.4", "FIX.5.0SP2"])
STOP = {40: 3, 44: None, 99: "0.90"}


def pair(trader: Trader, id: str, *orders: dict[int, Any]) -> None:
    message = fix.Message()
    message.getHeader().setField(35, "E")
    for tag, value in {66: id, 394: 3, 68: len(orders), 1385: 1}.items():
        message.setField(tag, str(value))
    for place, order in enumerate(orders, 1):
        group = fix.Group(73, 11)
        usual = {11: f"{id}-{place}", 67: place, 55: "ANA", 54: 2, 38: 10, 40: 2, 44: "1.10", 59: 1}
        for tag, value in {**usual, 60: now(), **order}.items():
            if value is not None:
                group.setField(tag, str(value))
        message.addGroup(group)
    assert fix.Session.sendToTarget(message, trader.session)


def told(trader: Trader, *tags: int) -> list[str]:
    said = trader.next()
    return [said.get(tag, "") for tag in tags]


def trade(engine: Engine, price: str) -> None:
    engine.submit(NewOrder("ANA", Side.BUY, 1, price, account=9))
    engine.submit(NewOrder("ANA", Side.SELL, 1, price, account=8))


@VERSIONS
def test_one_cancels_the_other(tmp_path: Path, version: str) -> None:
    with (
        Serving(tmp_path / "state") as serving,
        trading(serving.port, tmp_path / "a", "ALICE", version) as alice,
    ):
        engine = serving.engine
        engine.set_market("ANA")
        trade(engine, "1.00")
        pair(alice, "L", {}, STOP)  # a profit to take, and a loss to stop
        assert told(alice, 150, 11, 40) == ["0", "L-1", "2"]
        assert told(alice, 150, 11, 40) == ["0", "L-2", "3"]
        trade(engine, "0.90")
        triggered = ["L", ""] if version == FIXT else ["D", "8"]  # FIX 4.4 has no L
        assert told(alice, 150, 378, 11) == [*triggered, "L-2"]
        ends = [told(alice, 150, 11, 58) for _ in range(2)]
        assert ["4", "L-1", "one cancels other"] in ends
        pair(alice, "M", {}, {44: "1.20"})
        assert [told(alice, 150)[0] for _ in range(2)] == ["0", "0"]
        engine.submit(NewOrder("ANA", Side.BUY, 4, "1.10", account=9))
        assert told(alice, 150, 11, 151) == ["F", "M-1", "6"]
        assert told(alice, 150, 11, 58) == ["4", "M-2", "one cancels other"]
        pair(alice, "N", {}, {44: "1.12"})  # off the tick
        assert [told(alice, 150, 39, 11) for _ in range(2)] == [
            ["8", "8", f"N-{n}"] for n in (1, 2)
        ]


ORDER = [(11, "1"), (67, 1), (55, "ANA"), (54, 1), (38, 10), (40, 2), (44, "1.00"), (59, 1)]


def second(**change: Any) -> list[tuple[int, Any]]:
    values = {**dict(ORDER), 11: "2", 67: 2, 44: "0.95"}
    values.update({int(name[1:]): value for name, value in change.items()})
    return list(values.items())


def order_list(*more: list[tuple[int, Any]], **change: Any) -> list[tuple[int, Any]]:
    values: dict[int, Any] = {66: "L", 394: 3, 68: 2, 1385: 1}
    values.update({int(name[1:]): value for name, value in change.items()})
    head = [(tag, value) for tag, value in values.items() if value is not None]
    return [*head, (73, 1 + len(more)), *ORDER, *(one for order in more for one in order)]


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        (order_list(second(), _1385=2), "ContingencyType (1385)"),
        (order_list(second(), _1385=None), "ContingencyType (1385)"),
        (order_list(second(), _433=3), "ListExecInstType (433)"),
        (order_list(_68=1), "a pair has two orders"),
        (order_list(second(), _68=5), "a pair has two orders"),
        (order_list(second(_11="1")), "each order has its own"),
        (order_list(second(_55="BBVA", _44="1.000")), "one Symbol"),
        (order_list(second(_111=5)), "not of the second order"),
        (order_list(second(_54=5)), "Side 5 is not supported"),
        (order_list(second(_55="NONE")), "Symbol is not known"),
        (order_list(second(_1=2)), "one Symbol and one Account"),
    ],
)
def test_both_are_refused(tmp_path: Path, pairs: list[tuple[int, Any]], says: str) -> None:
    with Serving(tmp_path / "state") as serving, Client(serving.port) as client:
        serving.engine.set_market("ANA")
        client.log_on()
        raw(client, "E", pairs)
        for id in [value for tag, value in pairs if tag == 11]:
            said = client.next("8")
            assert (said[150], said[39], said[11]) == ("8", "8", id) and says in said[58]
        assert not serving.engine.book("ANA").bids()


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        ([(66, "L")], "tag 73 is missing"),
        (order_list(second(), _66=None), "tag 66 is missing"),
        ([*order_list(second()), (11, "3")], "there are 3 entries"),
        ([*order_list(second()), (54, "1")], "more than once in an entry"),
        (order_list(second(_38="x")), "OrderQty"),
    ],
)
def test_a_list_that_breaks_its_layout(
    tmp_path: Path, pairs: list[tuple[int, Any]], says: str
) -> None:
    with Serving(tmp_path / "state") as serving, Client(serving.port) as client:
        client.log_on()
        raw(client, "E", pairs)
        assert says in client.next("3")[58]


def test_an_instrument_without_a_market_takes_none_of_both(tmp_path: Path) -> None:
    with Serving(tmp_path / "state") as serving, Client(serving.port) as client:
        client.log_on()
        raw(client, "E", order_list(second()))
        for _ in range(2):
            assert "no market" in client.next("8")[58]


def test_what_the_exchange_refuses_stands_alone(tmp_path: Path) -> None:
    with Serving(tmp_path / "state") as serving, Client(serving.port) as client:
        serving.engine.set_market("ANA")
        client.log_on()
        serving.engine.set_phase("ANA", Phase.QUIET)
        raw(client, "E", order_list(second()))
        for id in "12":
            said = client.next("8")
            assert (said[150], said[11]) == ("8", id)
        serving.engine.set_phase("ANA", Phase.CONTINUOUS)
        serving.engine.submit(NewOrder("ANA", Side.SELL, 10, "1.00", account=9))
        pairs = [(tag, f"{value}0" if tag == 11 else value) for tag, value in order_list(second())]
        raw(client, "E", pairs)  # the first one trades whole
        assert [client.next("8")[150] for _ in range(2)] == ["0", "F"]
        said = client.next("8")
        assert (said[150], said[11], said[58]) == ("8", "20", "bad link (display quantity)")


def test_a_pair_that_comes_again_is_there_once(tmp_path: Path) -> None:
    with Serving(tmp_path / "state") as serving, Client(serving.port) as client:
        serving.engine.set_market("ANA")
        client.log_on()
        raw(client, "E", order_list(second()))
        assert [client.next("8")[150] for _ in range(2)] == ["0", "0"]
        raw(client, "E", [(97, "Y"), *order_list(second())])
        assert [client.next("8")[150] for _ in range(2)] == ["I", "I"]
        raw(client, "E", order_list(second()))
        assert [client.next("8")[103] for _ in range(2)] == ["6", "6"]
        assert len(serving.engine.book("ANA").bids()) == 2
