"""Commands to torture an exchange with, and what independent machines say of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..machine import Machine, machine_class
from ..records.commands import COMMAND, INSTRUMENT, among, joined
from ..records.events import EVENT, fresh
from ..records.instruments import Instrument, write_instrument
from ..records.schema import (
    OPENING_EVENTS,
    ORDER_KINDS,
    RULES_LATEST,
    SWEEP_KINDS,
    UNPRICED_TYPES,
    EventKind,
    Flag,
    Kind,
    OrderType,
    Side,
    TimeInForce,
)

Rows = NDArray[np.void]
#: Kinds that a client sends about orders.
SENT_KINDS = sorted(ORDER_KINDS | SWEEP_KINDS)
WORLD = (Instrument("ONE", "0.01"), Instrument("TWO", "0.5", lot=3, max_quantity=999))
#: Of 100; a kind, type or time in force that is not named here has 1.
KINDS = {
    Kind.NEW: 62, Kind.CANCEL: 12, Kind.AMEND: 12, Kind.REDUCE: 9, Kind.MASS_CANCEL: 2,
    Kind.END_DAY: 2,
}  # fmt: skip
TYPES = {OrderType.LIMIT: 95, OrderType.MARKET: 5}
TIFS = {
    TimeInForce.GTC: 65, TimeInForce.DAY: 15, TimeInForce.IOC: 10, TimeInForce.FOK: 10,
}  # fmt: skip


def drawn(
    dice: np.random.Generator,
    count: int,
    codes: Sequence[int],
    weights: Mapping[Any, float],
) -> NDArray[np.int64]:
    """Codes at random: all of an enumeration, so that a new one is met as soon as it is there.

    A code without a weight has 1.
    """
    shares = np.array([weights.get(code, 1) for code in codes], float)
    return dice.choice([int(code) for code in codes], count, p=shares / shares.sum())


class Broken(Exception):
    """A promise is broken; the text says which."""


def promise(kept: bool, what: str) -> None:
    if not kept:
        raise Broken(what)


@lru_cache(maxsize=64)
def commands(seed: int, count: int) -> Rows:
    """`COMMAND` array: the instruments, then orders on few ids, accounts and prices.

    Most trade, rest or change something; some are refused.  Each has a time of its own.  One of
    ten has a session or a long client order id, which version 1 of the rules refuses.
    """
    dice = np.random.default_rng(seed)
    rows = np.zeros(count, COMMAND)
    rows["kind"] = drawn(dice, count, [*SENT_KINDS, 0], KINDS)
    rows["instrument"] = dice.integers(1, len(WORLD) + 1, count)
    rows["side"] = dice.integers(1, 3, count)
    rows["order_type"] = drawn(dice, count, [*OrderType], TYPES)
    rows["time_in_force"] = drawn(dice, count, [*TimeInForce], TIFS)
    rows["order_id"] = dice.integers(0, 40, count)
    rows["order_id"][rows["kind"] == Kind.NEW] *= dice.random(count)[rows["kind"] == Kind.NEW] < 0.1
    again = dice.random(count) < 0.15  # some of these are seen before: an answer is repeated
    rows["client_order_id"] = np.where(
        again, dice.integers(1, 20, count), dice.integers(0, 1 << 40, count)
    )
    rows["account"] = dice.integers(0, 4, count)
    rows["quantity"] = dice.integers(1, 30, count) * 3
    unpriced = among(rows["order_type"], UNPRICED_TYPES)
    rows["price"] = np.where(unpriced, 0, dice.integers(95, 106, count))
    amend = rows["kind"] == Kind.AMEND
    keeps = [0, Flag.KEEP_PRICE, Flag.KEEP_QUANTITY]
    rows["flags"][amend] = dice.choice(keeps, count)[amend]
    long = dice.random(count) < 0.1
    rows["session"][long] = dice.integers(0, 3, count)[long]
    rows["client_order_tail"][long] = dice.integers(0, 3, count)[long]
    defined = np.zeros(len(WORLD), INSTRUMENT)
    for row, instrument in zip(defined, WORLD, strict=True):
        write_instrument(row, instrument)
    defined["kind"] = Kind.ADD_INSTRUMENT
    rows[: len(WORLD)] = defined.view(COMMAND)[:count]
    rows["time"] = np.arange(1, count + 1) + 10**18
    rows.flags.writeable = False
    return rows


def check_books(machine: Machine) -> None:
    """Invariants of every book as one sees them from outside; `Broken` if one does not hold."""
    try:
        machine._check()
    except AssertionError as error:
        raise Broken(f"an invariant of the books: {error}") from None
    for number in range(1, len(machine.instruments) + 1):
        orders, best = machine.orders(number), {}
        seen = 0
        for side in (Side.BUY, Side.SELL):
            mine = orders[orders["side"] == side]
            levels = machine.levels(number, side)
            seen += len(mine)
            best[side] = int(levels["price"][0]) if len(levels) else None
            steps = np.diff(levels["price"])
            ordered = steps < 0 if side == Side.BUY else steps > 0
            promise(bool(ordered.all()), f"book {number}: levels that are not best first")
            for price, quantity, count in levels.tolist():
                there = mine[mine["price"] == price]
                total = int(there["quantity"].sum())
                promise((total, len(there)) == (quantity, count), f"book {number}: a level's total")
        bid, ask = best[Side.BUY], best[Side.SELL]
        promise(bid is None or ask is None or bid < ask, f"book {number}: crossed")
        ids = orders["order_id"].tolist()
        promise(seen == len(set(ids)) == len(ids), f"book {number}: an order twice")
        for row in orders:
            found: Any = machine.order(number, int(row["order_id"]))
            known = found is not None and found.tobytes() == row.tobytes()
            promise(known, f"book {number}: the id table does not know an order that rests")


class Ledger:
    """Open quantities worked out from events alone: nothing is made, lost or traded out of turn.

    ``trades`` counts up from 1 without a gap; first in, first out within a price.
    """

    def __init__(self) -> None:
        self.open: dict[tuple[int, int], int] = {}
        self.trades = 0
        self.sequence = 0

    def take(self, events: Rows) -> None:
        for event in fresh(events):
            number, key = int(event["instrument"]), int(event["order_id"])
            sequence, left = int(event["sequence"]), int(event["left"])
            promise(self.sequence <= sequence <= self.sequence + 1, "a command without an answer")
            self.sequence = sequence
            kind, quantity = int(event["kind"]), int(event["quantity"])
            if kind in OPENING_EVENTS:
                self.open[number, key] = left
            elif kind == EventKind.CANCELLED:
                promise(self.open.pop((number, key)) == quantity, "a quantity cancelled")
            elif kind == EventKind.TRADED:
                self.trades += 1
                promise(int(event["trade_id"]) == self.trades, "trade ids without a gap")
                taker = int(event["taker_order_id"])
                for one, rest in ((key, left), (taker, int(event["taker_left"]))):
                    promise(self.open[number, one] - quantity == rest, "a quantity traded")
                    self.open[number, one] = rest
                    if not rest:
                        del self.open[number, one]

    def agrees(self, machine: Machine) -> None:
        resting = {
            (number, int(row["order_id"])): int(row["quantity"])
            for number in range(1, len(machine.instruments) + 1)
            for row in machine.orders(number)
        }
        promise(self.open == resting, "quantities conserved: events and books differ")
        promise(machine.next_trade_id == self.trades + 1, "trade ids without a gap")


def sent(stream: Rows) -> Rows:
    """What clients sent: all of a log but the changes of the rules, which the engine makes."""
    mine: Rows = stream[stream["kind"] != Kind.UPGRADE_RULES]
    return mine


def _cut(stream: Rows) -> Iterator[tuple[Rows, int]]:
    """A stream in parts: commands with 0, or one change of the rules with its version."""
    at = 0
    for change in np.flatnonzero(stream["kind"] == Kind.UPGRADE_RULES).tolist():
        if change > at:
            yield stream[at:change], 0
        yield stream[change : change + 1], int(stream["quantity"][change])
        at = change + 1
    if at < len(stream):
        yield stream[at:], 0


def fresh_machine(which: str, begins: int) -> Machine:
    """A machine that has seen nothing, under a version of the rules."""
    machine = machine_class(which)()
    machine.begin_under(begins)
    return machine


def applied(machine: Machine, stream: Rows) -> Rows:
    """The events of a stream as a log has it: `Machine.apply` refuses a change of the rules."""
    parts = [machine.upgrade(to) if to else machine.apply(part) for part, to in _cut(stream)]
    return joined([np.empty(0, EVENT), *parts])


def digest_of(stream: Rows, begins: int = RULES_LATEST) -> str:
    """Of a compiled machine that no disk is under, after a stream.

    ``begins``: the version of the rules before its first command.
    """
    machine = fresh_machine("cython", begins)
    for part, to in _cut(stream):
        _ = machine.upgrade(to) if to else machine.replay(part)
    return machine.digest()


def reference(stream: Rows, begins: int = RULES_LATEST) -> tuple[Machine, Rows, NDArray[np.int64]]:
    """The plain-Python machine after a stream, its events, and where those of each command begin.

    Checked against the ledger of the events.
    """
    machine = fresh_machine("reference", begins)
    parts = [np.empty(0, EVENT)]
    parts += [applied(machine, stream[at : at + 1]) for at in range(len(stream))]
    events = joined(parts)
    starts = np.cumsum([len(part) for part in parts])
    ledger = Ledger()
    ledger.take(events)
    ledger.agrees(machine)
    check_books(machine)
    return machine, events, starts
