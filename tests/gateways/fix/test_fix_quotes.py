"""Quotes of market makers over FIX, sent and understood by QuickFIX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fix_kit import Client, Said, Serving
from quickfix_kit import FIX44, FIXT, Trader, fix, trading

from matchcore import Engine, NewOrder, Phase, Side
from matchcore.gateways.fix.plain import build, split

VERSIONS = pytest.mark.parametrize("version", [FIX44, FIXT], ids=["FIX.4.4", "FIX.5.0SP2"])
BOTH = {132: "1.00", 134: 10, 133: "1.10", 135: 20}


def told(trader: Trader, *tags: int) -> list[str]:
    said = trader.next()
    return [said.get(tag, "") for tag in tags]


def entered(trader: Trader, count: int) -> None:
    for _ in range(count):
        assert told(trader, 35, 150) == ["8", "0"]


def book(engine: Engine, symbol: str = "ANA") -> list[tuple[str, int]]:
    found = engine.book(symbol)
    return [(str(level.price), level.quantity) for level in (*found.bids(), *found.asks())]


def mass(trader: Trader, id: str, sets: dict[str, list[dict[int, Any]]], **more: Any) -> None:
    """A MassQuote in QuickFIX's own groups."""
    message = fix.Message()
    message.getHeader().setField(35, "i")
    message.setField(117, id)
    for name, value in more.items():
        message.setField(int(name[1:]), str(value))
    for name, entries in sets.items():
        place = fix.Group(296, 302)
        place.setField(302, name)
        place.setField(304, str(len(entries)))
        for entry in entries:
            group = fix.Group(295, 299)
            for tag, value in entry.items():
                group.setField(tag, str(value))
            place.addGroup(group)
        message.addGroup(place)
    assert fix.Session.sendToTarget(message, trader.session)


@VERSIONS
def test_a_quote_lives_and_trades(tmp_path: Path, version: str) -> None:
    with (
        Serving(tmp_path / "state") as serving,
        trading(serving.port, tmp_path / "a", "ALICE", version) as alice,
    ):
        engine = serving.engine
        engine.set_market("ANA")
        alice.send("S", {117: "Q-1", 55: "ANA", 537: 1, **BOTH})
        orders = [alice.next() for _ in range(2)]
        assert [(one[11], one[54], one[44], one[38]) for one in orders] == [
            ("Q-1", "1", "1.00", "10"), ("Q-1", "2", "1.10", "20"),
        ]  # fmt: skip
        assert told(alice, 35, 117, 55, 1, 297, 58) == ["AI", "Q-1", "ANA", "1", "0", ""]
        alice.send("S", {117: "Q-2", 55: "ANA", 132: "1.05", 134: 5})
        assert [told(alice, 35, 150, 58) for _ in range(2)] == [["8", "4", "quote replaced"]] * 2
        entered(alice, 1)
        assert told(alice, 35, 117, 297) == ["AI", "Q-2", "0"]
        assert book(engine) == [("1.05", 5)]
        engine.submit(NewOrder("ANA", Side.SELL, 2, "1.00", account=9))
        assert told(alice, 35, 150, 11, 32, 31) == ["8", "F", "Q-2", "2", "1.05"]
        alice.send("S", {117: "Q-3", 55: "ANA", 132: "1.20", 134: 5, 133: "1.10", 135: 5})
        assert told(alice, 35, 117, 297, 58) == ["AI", "Q-3", "5", "quote crossed (stop price)"]
        alice.send("S", {117: "Q-2", 55: "ANA", **BOTH})
        said = alice.next()
        assert (said[35], said[117], said[297]) == ("AI", "Q-2", "5")
        assert said.get(300) == ("6" if version == FIXT else None)
        alice.send("S", {117: "Q-4", 55: "ANA"})  # without sides it goes
        assert told(alice, 35, 150, 11) == ["8", "4", "Q-2"]
        assert told(alice, 35, 117, 297) == ["AI", "Q-4", "1"]
        assert book(engine) == []


@VERSIONS
def test_a_mass_quote_is_acknowledged(tmp_path: Path, version: str) -> None:
    with (
        Serving(tmp_path / "state") as serving,
        trading(serving.port, tmp_path / "a", "ALICE", version) as alice,
    ):
        engine = serving.engine
        engine.set_market("ANA")
        engine.set_market("BBVA")
        fine: dict[str, list[dict[int, Any]]] = {
            "s": [{299: "1", 55: "ANA", **BOTH}, {299: "2", 55: "BBVA", **BOTH}]
        }
        mass(alice, "M-1", fine)
        entered(alice, 2)
        assert told(alice, 35, 117, 297) == ["AI", "M-1/1", "0"]
        entered(alice, 2)
        assert told(alice, 35, 117, 297) == ["AI", "M-1/2", "0"]
        assert told(alice, 35, 117, 297, 296) == ["b", "M-1", "0", ""]
        assert len(book(engine, "ANA")) == len(book(engine, "BBVA")) == 2
        several: dict[str, list[dict[int, Any]]] = {
            "s": [{299: "1", 55: "ANA", 132: "1.00"}, {299: "2", 55: "NONE", **BOTH}],
            "t": [{299: "3", 55: "BBVA", 132: "1.001", 134: 7},  # no whole lot
                  {299: "4", 55: "ANA", 132: "1.01", 134: 7}],
        }  # fmt: skip
        mass(alice, "M-2", several, _293=30)
        said: list[dict[int, str]] = []
        while not said or said[-1][35] != "b":
            said.append(alice.next())
        reports = [(one[117], one[297]) for one in said if one[35] == "AI"]
        assert reports == [("M-2/1", "0"), ("M-2/3", "5")]
        last = said[-1]
        assert (last[297], last[296]) == ("0", "2")
        assert "QuoteEntryID 2: Symbol is not known" in last[58]
        assert book(engine, "ANA") == [("1.00", 30)] and len(book(engine, "BBVA")) == 2
        mass(alice, "M-3", {"s": [{299: "1", 55: "NONE", **BOTH}]})
        assert told(alice, 35, 297, 300, 296) == ["b", "5", "1", "1"]
        mass(alice, "M-4", {"s": [{299: "1", 55: "NONE"}, {299: "1", 55: "ANA"}]})
        assert told(alice, 35, 117, 297, 300) == ["b", "M-4", "5", "99"]
        mass(alice, "M-1", fine)  # these ids were used
        assert told(alice, 35, 117, 297, 300) == ["b", "M-1", "5", "6"]


@VERSIONS
def test_quotes_are_cancelled(tmp_path: Path, version: str) -> None:
    with (
        Serving(tmp_path / "state") as serving,
        trading(serving.port, tmp_path / "a", "ALICE", version) as alice,
    ):
        engine = serving.engine
        for symbol in ("ANA", "BBVA"):
            engine.set_market(symbol)
        entries = [{299: "1", 55: "ANA", **BOTH}, {299: "2", 55: "BBVA", **BOTH}]
        mass(alice, "M-1", {"s": entries}, _301=1)  # only what was refused is acknowledged
        for _ in range(2):
            entered(alice, 2)
            assert told(alice, 35, 297) == ["AI", "0"]
        alice.order("keep", _44="0.50")
        entered(alice, 1)
        cancel = fix.Message()
        cancel.getHeader().setField(35, "Z")
        cancel.setField(117, "C-1")
        cancel.setField(298, "1")
        group = fix.Group(295, 55)
        group.setField(55, "BBVA")
        cancel.addGroup(group)
        assert fix.Session.sendToTarget(cancel, alice.session)
        assert [told(alice, 35, 150, 55) for _ in range(2)] == [["8", "4", "BBVA"]] * 2
        assert told(alice, 35, 117, 55, 297) == ["AI", "C-1", "BBVA", "1"]
        alice.send("Z", {117: "C-2", 298: 4})
        assert [told(alice, 35, 150, 55) for _ in range(2)] == [["8", "4", "ANA"]] * 2
        assert told(alice, 35, 117, 55, 297) == ["AI", "C-2", "ANA", "1"]
        assert book(engine) == [("0.50", 10)]
        alice.send("F", {11: "gone", 41: "keep", 55: "ANA", 54: 1, 38: 10, 60: "20260101-00:00:00"})
        assert told(alice, 35, 150) == ["8", "4"]
        alice.send("Z", {117: "C-3", 298: 4})
        assert told(alice, 35, 117, 297, 55) == ["AI", "C-3", "9", "[N/A]"]


def raw(client: Client, kind: str, pairs: list[tuple[int, Any]]) -> None:
    """A message whose tags may come several times."""
    empty = client.message(kind)
    body = "".join(f"{tag}={value}\x01" for tag, value in pairs).encode()
    begin = empty.index(b"35=")
    client.socket.sendall(build(client.begin.encode(), empty[begin:-7] + body))


ENTRY = [(299, "1"), (55, "ANA"), (132, "1.00"), (134, 10)]
MASS = [(117, "M"), (296, 1), (302, "s"), (304, 1), (295, 1), *ENTRY]


@pytest.mark.parametrize(
    ("kind", "pairs", "back", "says"),
    [
        ("S", [(117, "Q")], "3", "tag 55 is missing"),
        ("S", [(117, "Q"), (55, "ANA"), (134, 5)], "3", "tag 132 is missing"),
        ("S", [(117, "Q"), (55, "ANA"), (132, "x"), (134, 5)], "3", "BidPx: a decimal number"),
        ("S", [(117, "Q"), (55, "NONE"), (132, 1), (134, 5)], "AI", "Symbol is not known"),
        ("S", [(117, "Q"), (55, "ANA"), (132, 1)], "AI", "BidSize (134)"),
        ("S", [(117, "Q"), (55, "ANA"), (132, "1.01"), (134, 5)], "AI", "BidPx (132) is not on"),
        ("S", [(117, "Q"), (55, "ANA"), (537, 0)], "AI", "QuoteType (537)"),
        ("S", [(117, "Q"), (55, "ANA"), (62, "x")], "AI", "ValidUntilTime (62)"),
        ("S", [(117, "Q"), (55, "ANA"), (2964, 9)], "AI", "(2964)"),
        ("S", [(117, "x" * 21), (55, "ANA")], "AI", "QuoteID has 21 characters"),
        ("S", [(117, "Q"), (55, "ANA"), (1, 2), (132, 1), (134, 5)], "AI", "no right to account 2"),
        ("S", [(117, "Q"), (55, "BBVA"), (132, 1), (134, 10)], "AI", "no market"),
        ("Z", [(117, "Q"), (298, 5)], "AI", "QuoteCancelType (298)"),
        ("Z", [(117, "Q"), (298, 1)], "3", "tag 295 is missing"),
        ("Z", [(117, "Q"), (298, 1), (295, 2), (55, "ANA")], "3", "there are 1 entries"),
        ("i", [(117, "M")], "3", "tag 296 is missing"),
        ("i", [(117, "M"), (296, 0)], "b", "1 to 100 entries"),
        ("i", [*MASS, *ENTRY], "3", "there are 2 entries"),
        ("i", [(117, "M"), (296, 1), (304, 1), (302, "s")], "3", "begins with tag 302"),
        ("i", [*MASS, (55, "BBVA")], "3", "more than once in an entry"),
        ("i", [*MASS, (97, "Y"), (97, "Y")], "3", "more than once"),
        ("i", [(537, 2), *MASS], "b", "QuoteType (537)"),
        ("i", [(1, 2), *MASS], "b", "no right to account 2"),
    ],
)
def test_refusals(
    tmp_path: Path, kind: str, pairs: list[tuple[int, Any]], back: str, says: str
) -> None:
    with Serving(tmp_path / "state") as serving, Client(serving.port) as client:
        serving.engine.set_market("ANA")
        client.log_on()
        raw(client, kind, pairs)
        said = client.next(back)
        assert says in said[58]
        if back != "3":
            assert said[297] == "5"


def test_quotes_that_come_again_are_done_once(tmp_path: Path) -> None:
    fields = {117: "Q", 55: "ANA", **BOTH}

    def kinds(count: int) -> list[str]:
        return [client.receive()[35] for _ in range(count)]

    with Serving(tmp_path / "state") as serving, Client(serving.port) as client:
        serving.engine.set_market("ANA")
        client.log_on()
        client.send("S", fields)
        assert kinds(3) == ["8", "8", "AI"]
        client.send("S", fields, resent=True)
        said = client.next("AI")
        assert said[297] == "0" and "in sequence" in said[58]
        raw(client, "i", MASS)
        assert kinds(5) == ["8", "8", "8", "AI", "b"]
        raw(client, "i", [(97, "Y"), *MASS])
        said = client.next("b")
        assert (said[117], said[297]) == ("M", "0")
        assert len(book(serving.engine)) == 1
        client.send("2", {7: 1, 16: 0})
        again: list[Said] = []
        while not again or int(again[-1].get(36, again[-1][34])) < 11:
            again.append(client.receive())
        assert " ".join(one[35] for one in again) == "4 8 8 AI AI 8 8 8 AI b b"
        assert all(one[43] == "Y" for one in again)


def test_a_phase_without_orders_refuses_each_entry(tmp_path: Path) -> None:
    with Serving(tmp_path / "state") as serving, Client(serving.port) as client:
        serving.engine.set_market("ANA")
        serving.engine.set_phase("ANA", Phase.QUIET)
        client.log_on()
        raw(client, "i", MASS)
        assert client.next("AI")[58] == "bad phase (kind)"
        said = client.next("b")
        assert (said[297], said[300], said[368]) == ("5", "2", "2")


def test_tags_of_orders_stay_single() -> None:
    text = b"8=FIX.4.4\x019=5\x0135=%b\x0155=A\x0155=B\x0110=000\x01"
    assert split(text % b"i").fault is None
    assert split(text % b"i").pairs[-2:] == [(55, b"A"), (55, b"B")]
    fault = split(text % b"D").fault
    assert fault is not None and fault.tag == 55
    assert split(text % b"D").pairs == []
