"""Looks at a market and its orders: both machines show what a state has."""

from __future__ import annotations

import numpy as np
import pytest
from market_flows import market_flow, world

from matchcore.machine import machine_class
from matchcore.records.markets import MARKET_ORDER


@pytest.mark.parametrize("made", ["cython", "reference"])
@pytest.mark.parametrize("seed", range(4))
def test_a_look_at_a_market_shows_what_its_state_has(made: str, seed: int) -> None:
    machine = machine_class(made)()
    machine.apply(world())
    shown = 0
    for part in np.array_split(market_flow(seed, 200), 8):
        machine.apply(part)
        state, at = machine.state(), 0
        markets = {int(row["instrument"]): row for row in state.markets}
        for number, orders in enumerate(state.orders, 1):
            found = machine.market(number)
            assert (found is None) == (number not in markets)
            assert machine.market_order(number, 0) is None
            if found is None:
                for order_id in orders["order_id"].tolist():
                    assert machine.market_order(number, order_id) is None
                continue
            values, row = found
            mine = state.market_values[state.market_values["instrument"] == number]
            assert values.tolist() == mine.tolist() and row == markets[number]
            for order in orders.tolist():
                more = machine.market_order(number, order[0])
                assert more is not None and more.dtype == MARKET_ORDER
                assert more == state.market_orders[at]
                at, shown = at + 1, shown + 1
    assert shown > 20
