"""What a call costs: the indicative price after each order, and the trades at the end of it.

Ratios are of one run: both sides take turns, so that what else the machine does falls on both.
Times are those of the processor, which other work on the machine changes less.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matchcore.machine import Machine, machine_class
from matchcore.records.commands import COMMAND, INSTRUMENT
from matchcore.records.events import EVENT
from matchcore.records.instruments import Instrument, write_instrument
from matchcore.records.markets import PARAMETER, PHASE
from matchcore.records.parameters import PARAMETERS
from matchcore.records.schema import (
    EventKind,
    Kind,
    OrderType,
    Parameter,
    Phase,
    Side,
    TimeInForce,
)

ORDERS = 1_000_000
LEVELS = 10_000
BATCH = 4096
RESERVE = 1 << 30
LOWEST = 100_000  # ticks
OFF = -1  # the interval of a market that tells no indicative price

Commands = NDArray[np.void]


def groups(count: int) -> Iterator[list[tuple[Any, ...]]]:
    """The sizes are part of the cases: `count`, of the neutral workload, changes nothing."""
    for name, orders in (("over all prices", spread()), ("near the cross", near())):
        yield [
            (f"{ORDERS} orders of a call, {name}, no indicative price",
             partial(entered, orders, OFF)),
            ("the same with one after each", partial(entered, orders, 0)),
            ("time with to without, batch by batch", partial(indicative_cost, orders), "times"),
        ]  # fmt: skip
    orders = spread()
    yield [
        (f"uncrossing {ORDERS} orders over {LEVELS} prices", partial(uncross_ms, orders), "ms"),
        ("to the same trades in continuous trading of the market",
         partial(uncross_cost, orders, True), "times"),
        ("to the same trades of a plain instrument", partial(uncross_cost, orders, False), "times"),
    ]  # fmt: skip


# ---------------------------------------------------------------------- flows


def spread() -> Commands:
    """Buys and sells over all prices alike: the price lies in the middle, a half of them trades."""
    return _orders(np.random.default_rng(1).integers(0, LEVELS, ORDERS))


def near() -> Commands:
    """Most buys below the sells, as in a market that agrees about the price."""
    rng = np.random.default_rng(2)
    away = rng.normal(0, LEVELS / 12, ORDERS).astype(np.int64)
    side = rng.integers(1, 3, ORDERS)
    centre = LEVELS // 2 + np.where(side == Side.BUY, -LEVELS // 12, LEVELS // 12)
    return _orders(np.clip(centre + away, 0, LEVELS - 1), side)


def _orders(prices: NDArray[np.int64], side: NDArray[np.int64] | None = None) -> Commands:
    rng = np.random.default_rng(3)
    rows = np.zeros(len(prices), COMMAND)
    rows["kind"], rows["instrument"], rows["time"] = Kind.NEW, 1, 1
    rows["order_type"], rows["time_in_force"] = OrderType.LIMIT, TimeInForce.GTC
    rows["order_id"], rows["account"] = np.arange(1, len(rows) + 1), 1
    rows["price"], rows["quantity"] = LOWEST + prices, rng.integers(1, 100, len(rows))
    rows["side"] = rng.integers(1, 3, len(rows)) if side is None else side
    return rows


def _instrument() -> Commands:
    row = np.zeros(1, INSTRUMENT)
    write_instrument(row[0], Instrument("BENCH", "0.01"))
    row["kind"] = Kind.ADD_INSTRUMENT
    return row.view(COMMAND)


def _market(interval: int) -> Commands:
    """A market that tells indicative prices so often, in nanoseconds."""
    row = np.zeros(1, PARAMETER)
    row["kind"], row["instrument"], row["parameter"] = Kind.SET_MARKET, 1, Parameter.AUCTION
    names = [one.name for one in PARAMETERS[Parameter.AUCTION]]
    row[f"value{names.index('interval_ns') + 1}"] = interval
    return row.view(COMMAND)


def _phases(*codes: Phase) -> Commands:
    rows = np.zeros(len(codes), PHASE)
    rows["kind"], rows["instrument"], rows["time"], rows["phase"] = Kind.SET_PHASE, 1, 1, codes
    return rows.view(COMMAND)


def in_call(interval: int) -> Machine:
    machine = machine_class("cython")(RESERVE)
    machine.apply(_instrument())
    machine.apply(_market(interval))
    machine.apply(_phases(Phase.CLOSED, Phase.OPENING_CALL))
    return machine


# ---------------------------------------------------------------------- figures


def _batches(commands: Commands) -> list[Commands]:
    return [commands[at : at + BATCH] for at in range(0, len(commands), BATCH)]


def _seconds(machine: Machine, commands: Commands, out: Commands) -> float:
    started = time.thread_time()
    machine.apply(commands, out)
    return time.thread_time() - started


def _out(count: int) -> Commands:
    """Room for events, touched."""
    out = np.empty(count, EVENT)
    out.view(np.uint8).fill(0)
    return out


def entered(orders: Commands, interval: int) -> float:
    """Million orders a second into a call."""
    machine, out = in_call(interval), _out(3 * BATCH)
    return len(orders) / sum(_seconds(machine, part, out) for part in _batches(orders)) / 1e6


def indicative_cost(orders: Commands) -> float:
    """Entering orders with an indicative price after each, in times of entering them without."""
    machines, out = (in_call(0), in_call(OFF)), _out(3 * BATCH)
    took = [[_seconds(machine, part, out) for machine in machines] for part in _batches(orders)]
    told, silent = np.array(took).T
    return float(told.sum() / silent.sum())


def _uncross(orders: Commands) -> tuple[float, Commands]:
    """How long it takes, and its trades."""
    machine, out = in_call(0), _out(ORDERS + ORDERS // 2)
    for part in _batches(orders):
        machine.apply(part, out)
    started = time.thread_time()
    events = machine.apply(_phases(Phase.CONTINUOUS), out)
    took = time.thread_time() - started
    return took, events[events["kind"] == EventKind.TRADED]


def uncross_ms(orders: Commands) -> float:
    return _uncross(orders)[0] * 1e3


def uncross_cost(orders: Commands, market: bool) -> float:
    """Uncrossing, in times of the same trades one order after the other: sells rest, buys come in.

    Only the buys are timed, in the order of the auction; those that trade nothing are left out.
    """
    took, trades = _uncross(orders)
    quantities = np.zeros(len(orders) + 1, np.int64)
    np.add.at(quantities, trades["order_id"], trades["quantity"])
    np.add.at(quantities, trades["taker_order_id"], trades["quantity"])
    rest = orders[(orders["side"] == Side.SELL) & (quantities[orders["order_id"]] > 0)]
    first = np.sort(np.unique(trades["order_id"], return_index=True)[1])
    buys = orders[trades["order_id"][first] - 1]
    for rows in (rest, buys):
        rows["quantity"] = quantities[rows["order_id"]]
    buys["price"] = LOWEST + LEVELS
    machine, out = machine_class("cython")(RESERVE), _out(3 * ORDERS)
    machine.apply(_instrument())
    if market:
        machine.apply(_market(OFF))
    machine.apply(rest, out)
    alone = _seconds(machine, buys, out)
    assert machine.next_trade_id == len(trades) + 1
    return took / alone
