"""Public changes: both machines say the same, and a book is what its changes make of it."""

from __future__ import annotations

import numpy as np
import pytest
from flows import definitions, flow
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from matchcore import COMMAND, Instrument, Kind, Machine, OrderType, Side, TimeInForce
from matchcore.machine.reference import Machine as Reference
from matchcore.records.changes import CHANGE, ChangeFlag, ChangeKind
from matchcore.records.schema import BOOK_CHANGES

WORLD = (
    Instrument("ONE", "0.01", max_orders=15),
    Instrument("TWO", "0.5", lot=3, max_quantity=999),
)


def pair() -> tuple[Machine, Reference]:
    machines = Machine(), Reference()
    assert (
        machines[0].changes(definitions(*WORLD)).tobytes()
        == machines[1].changes(definitions(*WORLD)).tobytes()
    )
    return machines


def timed(commands: NDArray, first: int) -> NDArray:
    commands = commands.copy()
    orders = commands["kind"] < Kind.ADD_INSTRUMENT
    commands["time"][orders] = 10**18 + first + np.flatnonzero(orders)
    return commands


def levels(machine: Machine) -> dict[tuple[int, int, int], tuple[int, int]]:
    return {
        (number, int(side), int(row["price"])): (int(row["quantity"]), int(row["orders"]))
        for number in range(1, len(machine.instruments) + 1)
        for side in Side
        for row in machine.levels(number, side)
    }


class Follower:
    """Keeps orders and levels by the changes alone."""

    def __init__(self) -> None:
        self.levels: dict[tuple[int, int, int], tuple[int, int]] = {}
        self.orders: dict[tuple[int, int], list[int]] = {}

    def take(self, changes: NDArray) -> None:
        for row in changes:
            if row["kind"] not in BOOK_CHANGES:
                continue
            order = int(row["instrument"]), int(row["order_id"])
            side, price, left = (int(row[name]) for name in ("side", "price", "left"))
            if row["kind"] == ChangeKind.ADDED:
                assert order not in self.orders and row["quantity"] == left
                self.orders[order] = [side, price, left]
            else:
                before = self.orders[order]
                assert before == [side, price, left + int(row["quantity"])]
                before[2] = left
                if not left:
                    del self.orders[order]
            level = order[0], side, price
            self.levels[level] = int(row["level_quantity"]), int(row["level_orders"])
            if not row["level_orders"]:
                assert not row["level_quantity"]
                del self.levels[level]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.integers(1, 400), st.booleans(), st.integers(1, 90))
def test_both_machines_and_a_follower_agree(
    seed: int, count: int, extreme: bool, step: int
) -> None:
    fast, slow = pair()
    follower = Follower()
    commands = timed(flow(seed, count, extreme=extreme, again=0.2), 1)
    for at in range(0, count, step):
        said = fast.changes(commands[at : at + step])
        assert said.dtype == CHANGE
        assert said.tobytes() == slow.changes(commands[at : at + step]).tobytes()
        follower.take(said)
        assert follower.levels == levels(fast)
    assert fast.digest() == slow.digest()
    fast._check()
    kept = {(n + 1, int(o["order_id"])) for n in range(2) for o in fast.orders(n + 1)}
    assert follower.orders.keys() == kept


def order(order_id: int, side: Side, price: int, quantity: int, **more: int) -> NDArray:
    row = np.zeros(1, COMMAND)
    row["kind"], row["instrument"], row["side"] = Kind.NEW, 1, side
    row["order_type"], row["time_in_force"] = OrderType.LIMIT, TimeInForce.GTC
    row["order_id"], row["price"], row["quantity"] = order_id, price, quantity
    for name, value in more.items():
        row[name] = value
    return row


@pytest.mark.parametrize("left", [0, 7])
def test_one_command_may_change_more_than_a_buffer_holds(left: int) -> None:
    machines = Machine(), Reference()
    said = []
    for machine in machines:
        machine.apply(definitions(Instrument("ONE", "0.01")))
        crowd = [order(i, Side.SELL, 100 + i % 3, 1) for i in range(1, 2001)]
        machine.apply(np.concatenate(crowd))
        said.append(machine.changes(order(9999, Side.BUY, 200, 2000 + left, time=77)))
    assert said[0].tobytes() == said[1].tobytes()
    assert (said[0]["kind"] == ChangeKind.EXECUTED).sum() == 2000
    assert (said[0]["time"] == 77).all() and (said[0]["sequence"] == 2002).all()
    assert len(said[0]) == 2000 + bool(left)


def test_sweeps_larger_than_a_buffer() -> None:
    machine = Machine()
    machine.apply(definitions(Instrument("ONE", "0.01")))
    day = {"time_in_force": TimeInForce.DAY}
    machine.apply(np.concatenate([order(i, Side.SELL, i, 1, **day) for i in range(1, 3001)]))
    end = np.zeros(3, COMMAND)
    end["kind"], end["time"] = Kind.END_DAY, [5, 6, 7]
    changes = machine.changes(end)
    assert (changes["kind"] == ChangeKind.DELETED).sum() == 3000
    assert changes["kind"][-3:].tolist() == [ChangeKind.DAY_ENDED] * 3
    assert changes["time"].tolist() == [5] * 3001 + [6, 7]


def test_an_amend_that_loses_its_place_is_marked() -> None:
    machine = Machine()
    machine.apply(definitions(Instrument("ONE", "0.01")))
    machine.apply(np.concatenate([order(1, Side.SELL, 10, 5), order(2, Side.BUY, 8, 9)]))
    amend = order(2, Side.BUY, 10, 9)
    amend["kind"] = Kind.AMEND
    changes = machine.changes(amend)
    shown = [(int(row["kind"]), int(row["order_id"]), int(row["flags"])) for row in changes]
    assert shown == [
        (ChangeKind.DELETED, 2, ChangeFlag.REPLACING),
        (ChangeKind.EXECUTED, 1, 0),
        (ChangeKind.ADDED, 2, ChangeFlag.REPLACING),
    ]


@pytest.mark.parametrize("kind", [Machine, Reference])
def test_what_changes_nothing_says_nothing(kind: type[Machine] | type[Reference]) -> None:
    machine = kind()
    assert len(machine.changes(np.zeros(0, COMMAND))) == 0
    assert len(machine.changes(order(1, Side.BUY, 1, 1))) == 0  # of no instrument
    with pytest.raises(TypeError):
        machine.changes(np.zeros(1, CHANGE))


def test_changes_are_only_written_when_asked_for() -> None:
    machine = Machine()
    machine.changes(definitions(Instrument("ONE", "0.01")))
    assert len(machine.apply(order(1, Side.BUY, 1, 1))) == 1
    assert len(machine.changes(order(2, Side.BUY, 1, 1))) == 1
