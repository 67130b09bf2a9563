"""QuickFIX, an engine of others, trades through the door, and checks each message it gets."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from fix_kit import Serving
from quickfix_kit import FIX44, FIXT, Trader, fix, now, trading

from matchcore.gateways.fix import Settings


@pytest.mark.parametrize("version", [FIX44, FIXT], ids=["FIX.4.4", "FIX.5.0SP2"])
def test_an_order_lives_and_dies(tmp_path: Path, version: str) -> None:
    with (
        Serving(tmp_path / "state") as serving,
        trading(serving.port, tmp_path / "a", "ALICE", version) as alice,
        trading(serving.port, tmp_path / "b", "BOB", version) as bob,
    ):
        alice.order("A-1", _38=30)
        told = alice.next()
        assert [told[tag] for tag in (35, 150, 39, 151, 14)] == ["8", "0", "0", "30", "0"]
        bob.order("B-1", _54=2, _38=10, _44="0.95")
        assert bob.next()[150] == "0"
        told = bob.next()
        assert [told[tag] for tag in (150, 39, 31, 32, 6)] == ["F", "2", "1.00", "10", "1.00"]
        told = alice.next()
        assert [told[tag] for tag in (150, 39, 151, 14)] == ["F", "1", "20", "10"]
        change = {11: "A-2", 41: "A-1", 21: 1, 55: "ANA", 54: 1, 40: 2, 59: 1, 60: now()}
        alice.send("G", {**change, 38: 25, 44: "1.00"})
        told = alice.next()
        assert [told[tag] for tag in (150, 39, 38, 151, 14, 41)] == [
            "5",
            "1",
            "25",
            "15",
            "10",
            "A-1",
        ]
        alice.send("G", {**change, 11: "A-3", 41: "A-2", 38: 25, 44: "1.05"})
        told = alice.next()
        assert [told[tag] for tag in (150, 38, 44, 151)] == ["5", "25", "1.05", "15"]
        alice.send("H", {11: "A-3", 55: "ANA", 54: 1, 790: "s1"})
        told = alice.next()
        assert [told[tag] for tag in (150, 39, 790, 17)] == ["I", "1", "s1", "0"]
        alice.send("AF", {584: "m1", 585: 7})
        told = alice.next()
        assert [told[tag] for tag in (150, 584, 911, 912)] == ["I", "m1", "1", "Y"]
        alice.send("F", {11: "A-4", 41: "A-3", 55: "ANA", 54: 1, 38: 25, 60: now()})
        told = alice.next()
        assert [told[tag] for tag in (150, 39, 151, 14, 41)] == ["4", "4", "0", "10", "A-3"]
        alice.send("F", {11: "A-5", 41: "A-3", 55: "ANA", 54: 1, 38: 25, 60: now()})
        told = alice.next()
        assert [told[tag] for tag in (35, 434, 102, 39, 41)] == ["9", "1", "0", "4", "A-4"]
        alice.send("F", {11: "A-6", 41: "never", 55: "ANA", 54: 1, 38: 25, 60: now()})
        told = alice.next()
        assert [told[tag] for tag in (35, 102, 39, 37, 41)] == ["9", "1", "8", "NONE", "never"]
        alice.order("A-7")
        alice.next()
        alice.send("q", {11: "A-8", 530: 7, 60: now()})
        assert alice.next()[150] == "4"
        told = alice.next()
        assert [told[tag] for tag in (35, 11, 531, 533)] == ["r", "A-8", "7", "1"]


@pytest.mark.parametrize("version", [FIX44, FIXT], ids=["FIX.4.4", "FIX.5.0SP2"])
def test_refusals_are_understood(tmp_path: Path, version: str) -> None:
    with (
        Serving(tmp_path / "state") as serving,
        trading(serving.port, tmp_path / "a", "ALICE", version) as alice,
    ):
        for number, (fields, reason) in enumerate(
            [({"_55": "NONE"}, "1"), ({"_44": "1.01"}, "99"), ({"_40": "P"}, "11"),
             ({"_59": "6"}, "11"), ({"_38": "0"}, "13"), ({"_55": "BBVA", "_38": "7"}, "13"),
             ({"_1": "2"}, "99"),
             ({"_11": "x" * 21}, "99"), ({"_110": "5"}, "11")]
        ):  # fmt: skip
            alice.order(
                **{"id": f"R-{number}", **fields} if "_11" not in fields else {"id": fields["_11"]}
            )
            told = alice.next()
            assert [told[tag] for tag in (35, 150, 39, 103)] == ["8", "8", "8", reason], (
                fields,
                told,
            )
        alice.order("twice")
        assert alice.next()[150] == "0"
        alice.order("twice")
        told = alice.next()
        assert [told[tag] for tag in (150, 103)] == ["8", "6"]


def test_what_is_missed_is_told_at_the_next_logon(tmp_path: Path) -> None:
    with Serving(tmp_path / "state") as serving:
        with trading(serving.port, tmp_path / "b", "BOB") as bob:
            bob.order("B-1", _54=2, _38=50)
            bob.next()
        with trading(serving.port, tmp_path / "a") as alice:
            for number in range(5):
                alice.order(f"A-{number}")
                assert alice.next()[150] == "0"
                assert alice.next()[150] == "F"
        with trading(serving.port, tmp_path / "b", "BOB") as bob:
            told = [bob.next() for _ in range(5)]
            assert [one[14] for one in told] == ["10", "20", "30", "40", "50"]
            assert len({one[17] for one in told}) == 5


def test_quickfix_asks_for_what_it_has_lost(tmp_path: Path) -> None:
    with Serving(tmp_path / "state") as serving:
        with trading(serving.port, tmp_path / "a") as alice:
            for number in range(5):
                alice.order(f"A-{number}")
                alice.next()
            alice.forget(7)
        with trading(serving.port, tmp_path / "a") as alice:
            told = [alice.next() for _ in range(5)]
            assert [one[11] for one in told] == [f"A-{number}" for number in range(5)]
            assert all(one[43] == "Y" for one in told)
            alice.order("A-5")
            assert alice.next()[11] == "A-5"


def test_quickfix_fills_a_gap_of_its_own(tmp_path: Path) -> None:
    with Serving(tmp_path / "state") as serving, trading(serving.port, tmp_path / "a") as alice:
        alice.order("A-1")
        alice.next()
        session = fix.Session.lookupSession(alice.session)
        session.setNextSenderMsgSeqNum(20)
        alice.order("A-2")
        alice.next_admin("2")
        assert alice.next()[11] == "A-2"


def test_quickfix_begins_again(tmp_path: Path) -> None:
    with Serving(tmp_path / "state", Settings(reset=True)) as serving:
        for number in range(3):
            more = "ResetOnLogon=Y\n"
            with trading(serving.port, tmp_path / f"a{number}", more=more) as alice:
                alice.order(f"A-{number}")
                assert alice.next()[11] == f"A-{number}"


def test_quickfix_says_what_it_expects(tmp_path: Path) -> None:
    more = "SendNextExpectedMsgSeqNum=Y\n"
    with Serving(tmp_path / "state") as serving:
        with trading(serving.port, tmp_path / "a", more=more) as alice:
            for number in range(3):
                alice.order(f"A-{number}")
                alice.next()
            alice.forget(5)
        with trading(serving.port, tmp_path / "a", more=more) as alice:
            assert [alice.next()[11] for _ in range(3)] == ["A-0", "A-1", "A-2"]


def test_the_state_of_the_gateway_is_lost(tmp_path: Path) -> None:
    """QuickFIX keeps its numbers; every report of the day comes again, as possibly resent."""
    with Serving(tmp_path / "state") as serving:
        with trading(serving.port, tmp_path / "a") as alice:
            for number in range(3):
                alice.order(f"A-{number}")
                alice.next()
        for file in (tmp_path / "state").iterdir():
            file.unlink()
        with trading(serving.port, tmp_path / "a") as alice:
            told = [alice.next() for _ in range(3)]
            assert [one[11] for one in told] == ["A-0", "A-1", "A-2"]
            assert all(one[97] == "Y" for one in told)
            alice.order("A-3")
            told = alice.next()
            assert told[11] == "A-3" and 97 not in told


def test_a_day_of_orders(tmp_path: Path) -> None:
    """What each session is told adds up to what the exchange has done."""
    chosen = random.Random(7)
    with (
        Serving(tmp_path / "state") as serving,
        trading(serving.port, tmp_path / "a", "ALICE") as alice,
        trading(serving.port, tmp_path / "b", "BOB", FIXT) as bob,
    ):
        traders = {"ALICE": alice, "BOB": bob}
        live: dict[str, list[tuple[str, int]]] = {"ALICE": [], "BOB": []}
        for number in range(400):
            user = chosen.choice(("ALICE", "BOB"))
            act(traders[user], chosen, f"{user}-{number}", live[user])
        filled: dict[str, int] = {}
        left: dict[str, int] = {}
        trades: dict[str, set[str]] = {user: set() for user in traders}
        for end in ("end", "last"):  # orders of one that come behind the end of the other fill his
            for trader in traders.values():
                trader.send("H", {11: end, 55: "ANA", 54: 1, 790: end})
            for user, trader in traders.items():
                while (told := trader.next()).get(790) != end:
                    add(told, trades[user], filled, left)
        assert sum(left.values()) == serving.engine.book("ANA").orders()["quantity"].sum()
        assert sum(filled.values()) % 2 == 0


def add(
    told: dict[int, str], trades: set[str], filled: dict[str, int], left: dict[str, int]
) -> None:
    """One more report of a session: its trades once, its quantities those of its trades."""
    if told[35] != "8":
        return
    if told[150] == "F":
        assert told[17] not in trades
        trades.add(told[17])
        order = told[37]
        filled[order] = filled.get(order, 0) + int(told[32])
    assert int(told[14]) == filled.get(told[37], 0)
    left[told[37]] = int(told[151])
    if told[39] in "012" and told[150] != "8":
        assert int(told[38]) == int(told[14]) + int(told[151])


def act(trader: Trader, chosen: random.Random, id: str, live: list[tuple[str, int]]) -> None:
    """An order, or a cancel or replace of one of the last."""
    side, price = chosen.randint(1, 2), f"{1 + 0.05 * chosen.randint(0, 4):.2f}"
    what = chosen.random()
    if what < 0.6 or not live:
        trader.order(
            id, _54=side, _44=price, _38=10 * chosen.randint(1, 5), _59=chosen.choice("013")
        )
        live.append((id, side))
        return
    original, side = live.pop(chosen.randrange(max(0, len(live) - 10), len(live)))
    about = {11: id, 41: original, 55: "ANA", 54: side, 38: 10 * chosen.randint(1, 5), 60: now()}
    if what < 0.8:
        trader.send("F", about)
    else:
        trader.send("G", {**about, 21: 1, 40: 2, 44: price, 59: 1})
        live.append((id, side))
