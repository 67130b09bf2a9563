"""What a market costs: the same flows in an instrument with a market and in a plain one.

Ratios are of one run: both sides take turns, piece by piece, so that what else the machine does
falls on both.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matchcore.bench import neutral
from matchcore.machine import Machine, machine_class
from matchcore.records.commands import COMMAND, INSTRUMENT
from matchcore.records.events import EVENT
from matchcore.records.instruments import Instrument, write_instrument
from matchcore.records.markets import PARAMETER, PROTECTION
from matchcore.records.parameters import PARAMETERS
from matchcore.records.schema import Kind, OrderType, Parameter, SelfTrade, Side, TimeInForce

BATCH = 4096
PIECE = 16  # batches until it is the other's turn
RESERVE = 1 << 30
SHARE = 0.10  # of the new orders are special: each of the kinds a quarter of them
ACCOUNTS, GROUPS = 64, 16  # of the flows with special orders: four accounts to a group
MIRROR = 18  # ticks from the price of most orders to the same depth on the other side
DISPLAYS = 4  # parts that an iceberg is shown in
KINDS = ("icebergs", "stops", "pegs", "self-trade groups")

Commands = NDArray[np.void]


def groups(count: int) -> Iterator[list[tuple[Any, ...]]]:
    """The neutral flow as it is; then with special orders, in two scenarios and one kind alone."""
    for scenario in neutral.SCENARIOS:
        flow = neutral.commands(neutral.messages(scenario, count))
        yield _pair(f"{scenario}, limit orders only", flow, flow)
    for scenario in ("normal", "swing-40"):
        flow = owned(neutral.commands(neutral.messages(scenario, count)))
        yield _pair(f"{scenario}, 10 % special orders", flow, special(flow, *KINDS))
        for kind in KINDS:
            alone = special(flow, kind)
            yield [(f"{scenario}, 10 % {kind}", partial(to_plain, flow, alone), "times")]


def _pair(name: str, plain: Commands, marketed: Commands) -> list[tuple[Any, ...]]:
    return [
        (f"{name}: plain", partial(rate, plain, False)),
        (f"{name}: market", partial(rate, marketed, True)),
        (f"{name}: market to plain", partial(to_plain, plain, marketed), "times"),
    ]


# ---------------------------------------------------------------------- flows


def owned(flow: Commands) -> Commands:
    """The same with an account for each order; other commands name none."""
    made: Commands = flow.copy()
    made["account"] = np.where(made["kind"] == Kind.NEW, made["order_id"] % ACCOUNTS + 1, 0)
    return made


def special(flow: Commands, *kinds: str) -> Commands:
    """The same with so much of its new orders that may rest made special, each kind alike often."""
    made: Commands = flow.copy()
    new = np.flatnonzero(made["kind"] == Kind.NEW)
    resting = new[made["time_in_force"][new] == TimeInForce.GTC]
    chosen = np.random.default_rng(5).choice(resting, int(SHARE * len(new)), replace=False)
    for kind, rows in zip(kinds, np.array_split(chosen, len(kinds)), strict=True):
        made[rows] = _CHANGED[kind](made[rows])
    return made


def _icebergs(rows: Commands) -> Commands:
    rows["display_quantity"] = rows["quantity"] // DISPLAYS + 1
    return rows


def _stops(rows: Commands) -> Commands:
    """As far behind the other side as the limit order was from it: half STOP, half STOP_LIMIT."""
    buys = rows["side"] == Side.BUY
    rows["stop_price"] = rows["price"] + np.where(buys, MIRROR, -MIRROR)
    limited = rows["order_id"] % 2 == 0
    rows["order_type"] = np.where(limited, OrderType.STOP_LIMIT, OrderType.STOP)
    rows["price"] = np.where(limited, rows["stop_price"] + np.where(buys, 2, -2), 0)
    return rows


def _pegs(rows: Commands) -> Commands:
    """To the own side's best or a tick behind it, and to the middle."""
    kinds = np.array([OrderType.PEG_PRIMARY, OrderType.PEG_PRIMARY, OrderType.PEG_MIDPOINT])
    which = rows["order_id"] % len(kinds)
    rows["order_type"] = kinds[which]
    rows["stop_price"] = np.array([0, -1, 0])[which]  # the offset
    rows["price"] = 0
    return rows


def _grouped(rows: Commands) -> Commands:
    modes = np.array([mode for mode in SelfTrade if mode])
    rows["self_trade"] = modes[rows["order_id"] % len(modes)]
    return rows


_CHANGED = dict(zip(KINDS, (_icebergs, _stops, _pegs, _grouped), strict=True))


# ---------------------------------------------------------------------- machines


def _instrument() -> Commands:
    row = np.zeros(1, INSTRUMENT)
    write_instrument(row[0], Instrument("BENCH", "0.005"))
    row["kind"] = Kind.ADD_INSTRUMENT
    return row.view(COMMAND)


def _market() -> Commands:
    """A market with everything as it is by default."""
    row = np.zeros(1, PARAMETER)
    row["kind"], row["instrument"], row["parameter"] = Kind.SET_MARKET, 1, Parameter.TRADING
    for at, value in enumerate(PARAMETERS[Parameter.TRADING], 1):
        row[f"value{at}"] = value.default
    return row.view(COMMAND)


def _self_trade_groups() -> Commands:
    rows = np.zeros(ACCOUNTS, PROTECTION)
    rows["kind"], rows["account"] = Kind.SET_PROTECTION, np.arange(1, ACCOUNTS + 1)
    rows["group"] = rows["account"] % GROUPS + 1
    return rows.view(COMMAND)


def prepared(market: bool) -> Machine:
    machine = machine_class("cython")(RESERVE)
    machine.apply(_instrument())
    if market:
        machine.apply(_market())
        machine.apply(_self_trade_groups())
    return machine


# ---------------------------------------------------------------------- figures


def _seconds(machine: Machine, rows: Commands, out: Commands) -> float:
    batches = [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]
    started = time.thread_time()  # nobody else is measured
    for batch in batches:
        machine.apply(batch, out)
    return time.thread_time() - started


def _out() -> Commands:
    """Room for the events of a batch, touched."""
    return np.zeros(4 * BATCH, EVENT)


def rate(flow: Commands, market: bool) -> float:
    """Million commands a second."""
    return len(flow) / _seconds(prepared(market), flow, _out()) / 1e6


def to_plain(plain: Commands, marketed: Commands) -> float:
    """The market's speed in those of a plain instrument."""
    sides = [(prepared(False), plain, _out()), (prepared(True), marketed, _out())]
    took = [0.0, 0.0]
    for at in range(0, len(plain), PIECE * BATCH):
        for side, (machine, flow, out) in enumerate(sides):
            took[side] += _seconds(machine, flow[at : at + PIECE * BATCH], out)
    return took[0] / took[1]
