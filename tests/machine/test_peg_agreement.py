"""Many pegs beside few other orders, in the compiled machine and the reference.

Each best price is left and taken again all the while, so pegs of every kind, side, offset and bound
move, stand or go, oldest first.
"""

from __future__ import annotations

import numpy as np
import pytest
from market_flows import phase
from numpy.typing import NDArray
from test_market_agreement import SMALL, agree, both, same, same_state

from matchcore import COMMAND, EventKind, Kind, Machine, OrderType, TimeInForce
from matchcore.machine.reference import Machine as Reference
from matchcore.records.schema import PEG_TYPES, Flag, Phase, SelfTrade, Side

SECOND = 1_000_000_000
LIVE = 36  # orders that may be there at a time: the instrument takes 40


def pegs_and_few_others(seed: int, count: int) -> NDArray:
    """`count` commands for the first instrument of `world`."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, COMMAND)
    rows["instrument"] = 1
    rows["time"] = SECOND + np.arange(count) * SECOND // 10
    sent: list[int] = []  # that may still be there
    for at, row in enumerate(rows):
        draw = rng.random()
        row["order_id"] = at + 1
        if len(sent) < LIVE and draw < 0.6:
            (_peg if draw < 0.25 else _limit)(rng, row)
            sent.append(at + 1)
        elif sent:
            which = int(rng.integers(len(sent)))
            row["order_id"] = sent[which]
            _change(rng, row)
            if row["kind"] == Kind.CANCEL:
                sent.pop(which)
        row["account"] = row["order_id"] % 5 + 1
    return rows


def _peg(rng: np.random.Generator, row: np.void) -> None:
    row["kind"], row["side"] = Kind.NEW, rng.choice([int(side) for side in Side])
    row["order_type"] = rng.choice([int(kind) for kind in PEG_TYPES])
    row["quantity"], row["stop_price"] = rng.integers(1, 6), rng.integers(-4, 2)
    row["self_trade"] = rng.choice([int(mode) for mode in SelfTrade])
    row["time_in_force"] = TimeInForce.GTC
    if rng.random() < 0.1:
        row["time_in_force"] = TimeInForce.GTD
        row["expiry"] = row["time"] + rng.integers(1, 4) * SECOND
    if rng.random() < 0.2:
        row["flags"] |= Flag.HIDDEN
    if rng.random() < 0.3:
        row["flags"] |= Flag.PROTECTED
        row["price"] = rng.integers(97, 104)


def _limit(rng: np.random.Generator, row: np.void) -> None:
    """Near the middle, and mostly on its own side of it."""
    buys = rng.random() < 0.5
    row["kind"], row["side"] = Kind.NEW, Side.BUY if buys else Side.SELL
    row["order_type"], row["time_in_force"] = OrderType.LIMIT, TimeInForce.GTC
    away = rng.integers(0, 5) if rng.random() < 0.9 else -1
    row["price"], row["quantity"] = 100 - away if buys else 101 + away, rng.integers(1, 8)
    if rng.random() < 0.15:
        row["display_quantity"] = 1
    elif rng.random() < 0.1:
        row["flags"] = Flag.HIDDEN


def _change(rng: np.random.Generator, row: np.void) -> None:
    row["kind"] = rng.choice(
        [int(Kind.CANCEL), int(Kind.AMEND), int(Kind.REDUCE)], p=[0.6, 0.3, 0.1]
    )
    if row["kind"] == Kind.CANCEL:
        return
    row["quantity"] = rng.integers(1, 8)
    if row["kind"] == Kind.AMEND:
        row["price"] = rng.integers(96, 105)
        row["flags"] = rng.choice([0, int(Flag.KEEP_PRICE), int(Flag.KEEP_QUANTITY)])


@pytest.mark.parametrize("seed", range(20))
def test_pegs_agree_after_each_command(seed: int) -> None:
    """Machines made from each other's states go on alike; so does a market that has stood still."""
    fast, slow = both()
    rng = np.random.default_rng(seed)
    repriced = 0
    for command in np.split(pegs_and_few_others(seed, 400), 400):
        said = agree(fast, slow, command, int(rng.choice(SMALL)))
        repriced += int((said["kind"] == EventKind.REPRICED).sum())
        if rng.random() < 0.02:
            fast, slow = Machine.from_state(slow.state()), Reference.from_state(fast.state())
        if rng.random() < 0.02:
            agree(fast, slow, phase(1, Phase.VOLATILITY_CALL))
        if rng.random() < 0.3:
            agree(fast, slow, phase(1, Phase.CONTINUOUS))
    assert repriced >= 40


@pytest.mark.parametrize("seed", range(4))
def test_changes_of_pegs_agree(seed: int) -> None:
    fast, slow = both()
    for step in np.array_split(pegs_and_few_others(seed, 600), 40):
        same(fast.changes(step), slow.changes(step))
    same_state(fast, slow)
