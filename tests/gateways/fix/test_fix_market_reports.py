"""What QuickFIX is told of orders in a market: codes that its dictionary has."""

from __future__ import annotations

from pathlib import Path

import pytest
from fix_kit import Serving
from quickfix_kit import FIX44, FIXT, Trader, now, trading

from matchcore import NewOrder, OrderType, Phase, Side, TimeInForce


def told(trader: Trader, *tags: int) -> list[str]:
    said = trader.next()
    return [said.get(tag, "") for tag in tags]


@pytest.mark.parametrize("version", [FIX44, FIXT], ids=["FIX.4.4", "FIX.5.0SP2"])
def test_every_kind_of_report(tmp_path: Path, version: str) -> None:
    modern = version == FIXT
    with (
        Serving(tmp_path / "state") as serving,
        trading(serving.port, tmp_path / "a", "ALICE", version) as alice,
    ):
        engine = serving.engine
        engine.set_market("ANA")
        alice.order("A-1", _59="B")  # waits for the call
        assert told(alice, 150, 59) == ["0", "B" if modern else ""]
        engine.set_phase("ANA", Phase.CLOSING_CALL)
        assert told(alice, 150, 378) == (["L", ""] if modern else ["D", "8"])
        engine.submit(NewOrder("ANA", Side.SELL, 4, "1.00", account=9))
        engine.set_phase("ANA", Phase.CLOSED)
        trade = told(alice, 150, 31, 32, 851)
        assert trade == ["F", "1.00", "4", "4" if modern else ""]
        assert told(alice, 150, 39, 58) == ["C", "C", "auction over"]
        engine.set_phase("ANA", Phase.CONTINUOUS)
        alice.order("A-3", _44="0.90")
        assert told(alice, 150) == ["0"]
        peg = {11: "A-4", 55: "ANA", 54: 1, 38: 5, 40: "P", 1094: 5, 211: 0, 59: 0, 60: now()}
        alice.send("D", peg)
        assert told(alice, 150, 40, 44) == ["0", "P", "0.90"]
        alice.order("A-5", _44="0.95")
        assert told(alice, 150) == ["0"]
        assert told(alice, 150, 378, 44) == ["D", "3", "0.95"]
        # entered elsewhere in the name of this session: types that FIX has no name for
        kinds = [OrderType.BEST_FIVE_LIMIT, OrderType.OWN_BEST, OrderType.COUNTERPARTY_BEST]
        engine.submit(NewOrder("ANA", Side.SELL, 1, "3.00", account=8))
        for kind in kinds:
            engine.submit(
                NewOrder("ANA", Side.SELL, 1, None, TimeInForce.DAY, order_type=kind, account=1,
                         session=1)
            )  # fmt: skip
        seen: dict[str, str] = {}
        while len(seen) < len(kinds):
            said = alice.next()
            if said[150] == "0" and said[54] == "2":
                seen[said[37]] = said[40]
        assert list(seen.values()) == ["K", "2", "1"]
