"""The average that a closing price is: against a sum over all trades of the day, and its state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from market_flows import SECOND, parameter, phase, world
from numpy.typing import NDArray

from matchcore import COMMAND, Kind, Machine, OrderType, Side, SnapshotDamaged, TimeInForce
from matchcore.machine.reference import Machine as Reference
from matchcore.records.schema import EventKind, Parameter, Phase

MILLISECOND = 10**6
Rows = NDArray[np.void]
MACHINES = Machine, Reference


def day_of_trades(seed: int, count: int) -> Rows:
    """Orders that trade at scattered prices and times: some at the same, some at an earlier one."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, COMMAND)
    rows["kind"], rows["instrument"] = Kind.NEW, 1
    rows["order_id"] = np.arange(1, count + 1)
    rows["order_type"], rows["time_in_force"] = OrderType.LIMIT, TimeInForce.IOC
    rows["time_in_force"][::2] = TimeInForce.GTC
    rows["side"] = np.where(np.arange(count) % 2, Side.BUY, Side.SELL)
    rows["price"] = rng.integers(-3, 12, count)
    rows["price"][1::2] = 12
    rows["quantity"] = rng.integers(1, 50, count)
    steps = rng.choice([0, 1, 400_000, MILLISECOND, SECOND // 3, -MILLISECOND], count)
    rows["time"] = np.cumsum(steps) - 2 * SECOND
    return rows


def machine_with(made: Any, **closing: int) -> Any:
    machine = made()
    machine.apply(world())
    machine.apply(parameter(1, Parameter.CLOSING, from_ns=-(2**63), **closing))
    return machine


def average(trades: list[tuple[int, int, int]], window: int) -> int:
    """Of (milliseconds, price, quantity): those near the last one, rounded half up.

    A time before that of an earlier trade counts as that one.
    """
    times = np.maximum.accumulate([time for time, _, _ in trades]).tolist()
    near = [one for time, one in zip(times, trades, strict=True) if time >= times[-1] - window]
    volume = sum(quantity for _, _, quantity in near)
    return (2 * sum(price * quantity for _, price, quantity in near) + volume) // (2 * volume)


@pytest.mark.parametrize("rule", [0, 1])
@pytest.mark.parametrize("window_ms", [1, 2, 700, 4_000, 600_000])
def test_it_is_that_of_the_trades_near_the_last_one(window_ms: int, rule: int) -> None:
    rows = day_of_trades(window_ms, 250)
    window_ns = min(window_ms * MILLISECOND + 5, 600 * SECOND)
    fast, slow = (machine_with(made, rule=rule, window_ns=window_ns) for made in MACHINES)
    trades: list[tuple[int, int, int]] = []
    first, step = int(slow.sequence) + 1, 25
    for at in range(0, len(rows), step):
        events = slow.apply(rows[at : at + step])
        assert fast.apply(rows[at : at + step]).tobytes() == events.tobytes()
        fast._check()
        assert fast.state().to_bytes() == slow.state().to_bytes()
        for event in events[events["kind"] == EventKind.TRADED]:
            time = int(rows["time"][int(event["sequence"]) - first])
            trades.append((time // MILLISECOND, int(event["price"]), int(event["quantity"])))
        fast, slow = Machine.from_state(slow.state()), Reference.from_state(fast.state())
        for machine in MACHINES:
            forked = machine.from_state(slow.state())
            forked.apply(phase(1, Phase.CLOSED))
            state = forked.market(1)
            assert state is not None
            assert int(state[1]["closing_price"]) == average(trades, window_ms), (machine, at)
    assert len(trades) > 200 and len({time for time, _, _ in trades}) > 50


@pytest.mark.parametrize("made", MACHINES)
def test_the_end_of_the_day_forgets_it(made: Any) -> None:
    machine = machine_with(made, rule=1, window_ns=SECOND)
    machine.apply(day_of_trades(1, 50))
    assert len(machine.state().market_trades)
    row = np.zeros(1, COMMAND)
    row["kind"] = Kind.END_DAY
    machine.apply(row)
    state = machine.state()
    assert len(state.market_trades) == 0 == state.markets["close_volume"][0]


def test_a_window_has_bounds() -> None:
    for machine in (made() for made in MACHINES):
        machine.apply(world())
        for window_ns, kind in (
            (-1, EventKind.REJECTED),
            (600 * SECOND, EventKind.MARKET_SET),
            (600 * SECOND + 1, EventKind.REJECTED),
        ):
            events = machine.apply(parameter(1, Parameter.CLOSING, rule=1, window_ns=window_ns))
            assert events["kind"].tolist() == [kind]


def broken(rows: Rows, name: str, value: int, at: int = 0) -> Rows:
    changed: Rows = rows.copy()
    changed[name][at] = value
    return changed


DAMAGES: dict[str, Callable[[Rows], Rows]] = {
    "of nothing": lambda rows: broken(rows, "volume", 0),
    "less than nothing": lambda rows: broken(rows, "volume", -5),
    "more than the market": lambda rows: broken(rows, "volume", 10_000),
    "another turnover": lambda rows: broken(rows, "turnover", 7),
    "another high half": lambda rows: broken(rows, "turnover_high", 1),
    "of no market": lambda rows: broken(rows, "instrument", 2),
    "bytes that mean nothing": lambda rows: broken(rows, "reserved", 1),
    "not in order": lambda rows: rows[::-1],
    "twice": lambda rows: np.concatenate([rows, rows]),
    "too far from the last one": lambda rows: broken(rows, "time_ms", -(2**40)),
    "none": lambda rows: rows[:0],
}


@pytest.mark.parametrize("made", MACHINES)
@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_state_is_refused(what: str, made: Any) -> None:
    machine = machine_with(made, rule=1, window_ns=600 * SECOND)
    machine.apply(day_of_trades(3, 60))
    state = machine.state()
    assert len(state.market_trades) > 1
    made.from_state(state)
    with pytest.raises(SnapshotDamaged, match=r"counted trades|counts other trades"):
        made.from_state(replace(state, market_trades=DAMAGES[what](state.market_trades)))
