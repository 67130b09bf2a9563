"""Public changes of markets: what every face makes of them is what the machine's books show."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from market_flows import market_flow, world
from numpy.typing import NDArray

from matchcore import EventKind, Machine
from matchcore.feeds.books import Books, books_of
from matchcore.feeds.itch import Decoder, Encoder
from matchcore.feeds.itch._messages import REFERENCE
from matchcore.feeds.states import States
from matchcore.feeds.statistics import Statistics
from matchcore.feeds.web import _texts, frames
from matchcore.machine.reference import Machine as Reference
from matchcore.records.changes import CHANGE, unseen
from matchcore.records.events import fresh
from matchcore.records.markets import ANY_BUY, ANY_SELL
from matchcore.records.schema import BOOK_CHANGES, ChangeFlag, ChangeKind, Phase, Side

MACHINES = pytest.mark.parametrize("kind", [Reference, Machine], ids=["reference", "compiled"])
Levels = dict[tuple[int, int], tuple[int, int]]  # side, price -> quantity, orders


def levels_of(machine: Any, number: int) -> Levels:
    return {
        (int(side), price): (quantity, orders)
        for side in Side
        for price, quantity, orders in machine.levels(number, side).tolist()
    }


def of_book(rows: NDArray[np.void], number: int) -> NDArray[np.void]:
    mine = (rows["instrument"] == number) & np.isin(rows["kind"], [*BOOK_CHANGES])
    return rows[mine]


class Told:
    """A book as a subscriber of levels knows it, from JSON and from binary records."""

    def __init__(self, tick: tuple[int, int]) -> None:
        self.tick, self.levels, self.binary = tick, {}, {}

    def hear(self, rows: NDArray[np.void]) -> None:
        said = json.loads("{" + _texts.levels(rows, self.tick[0], -self.tick[1]).decode() + "}")
        for side, name in ((1, "bids"), (2, "asks")):
            for price, quantity, orders in said[name]:
                self._set(self.levels, (side, self._ticks(side, price)), int(quantity), orders)
        for row in np.frombuffer(frames.last_levels(rows), frames.LEVEL):
            place = int(row["side"]), int(row["price"])
            self._set(self.binary, place, int(row["quantity"]), int(row["orders"]))

    def _ticks(self, side: int, price: str | None) -> int:
        if price is None:
            return ANY_BUY if side == Side.BUY else ANY_SELL
        mantissa, exponent = self.tick
        return int(Decimal(price) / mantissa / Decimal(10) ** exponent)

    def _set(self, levels: Levels, place: tuple[int, int], quantity: int, orders: int) -> None:
        levels.pop(place, None)
        if quantity:
            levels[place] = quantity, orders


def check(kind: Any, seed: int, count: int, step: int) -> NDArray[np.void]:
    """Everything that the changes of a flow make, after every part of it; all changes."""
    machine = kind()
    books, statistics = Books(machine.instruments), Statistics(machine.instruments)
    everything = []
    flow = market_flow(seed, count)
    parts = [one.reshape(1) for one in world()] + [
        flow[at : at + step] for at in range(0, len(flow), step)
    ]
    told: dict[int, Told] = {}
    encoder, decoder = None, Decoder()
    itch = Books(decoder.instruments)
    for part in parts:
        rows = machine.changes(part).copy()
        everything.append(rows)
        books.apply(rows)
        statistics.apply(rows)
        encoder = encoder or Encoder(machine.instruments)
        heard = decoder.changes(encoder.blocks(rows))
        itch.complete(heard)
        for number in range(1, len(machine.instruments) + 1):
            tick = machine.instruments[number].tick_parts
            told.setdefault(number, Told(tick)).hear(of_book(rows, number))
            wanted = levels_of(machine, number)
            assert levels_of(books, number) == wanted
            assert levels_of(itch, number) == wanted
            assert told[number].levels == told[number].binary == wanted
        compare_heard(rows, heard)
    fresh_books = books_of(machine)
    for number in range(1, len(machine.instruments) + 1):
        one, other = books.orders(number), fresh_books.orders(number)
        assert one.tobytes() == other.tobytes()
    return np.concatenate([np.empty(0, CHANGE), *everything])


def compare_heard(rows: NDArray[np.void], heard: NDArray[np.void]) -> None:
    """What ITCH says of states and of trades that no book shows is what was said."""
    assert len(rows) == len(heard) and (rows["kind"] == heard["kind"]).all()
    hidden = unseen(rows)
    for name in ("price", "quantity", "trade_id", "side", "flags", "instrument"):
        assert (rows[name][hidden] == heard[name][hidden]).all(), name
    one, other = States(rows), States(heard)
    for number in np.unique(rows["instrument"]).tolist():
        if number:
            assert one[number] == other[number]


@MACHINES
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), count=st.integers(1, 250), step=st.integers(1, 40))
def test_every_face_shows_what_the_machine_has(kind: Any, seed: int, count: int, step: int) -> None:
    check(kind, seed, count, step)


@pytest.mark.parametrize("seed", range(4))
def test_both_machines_say_the_same(seed: int) -> None:
    assert check(Reference, seed, 500, 50).tobytes() == check(Machine, seed, 500, 50).tobytes()


def test_the_flows_meet_every_change() -> None:
    """The checks above are worth something only if the flows get everywhere."""
    rows = np.concatenate([check(Reference, seed, 700, 100) for seed in range(5)])
    assert set(rows["kind"].tolist()) >= set(ChangeKind) - {ChangeKind.NOTICE}
    flags = int(np.bitwise_or.reduce(rows["flags"][rows["kind"] == ChangeKind.EXECUTED]))
    assert flags == ChangeFlag.UNSEEN | ChangeFlag.CROSS
    added = rows[rows["kind"] == ChangeKind.ADDED]
    assert {ANY_BUY, ANY_SELL} <= set(added["price"].tolist())
    phases = rows[rows["kind"] == ChangeKind.PHASE]
    assert len(set(phases["level_orders"].tolist()) & set(Phase)) > 6
    assert (phases["quantity"] > 0).any()


def test_every_trade_is_counted_once() -> None:
    commands = np.concatenate([world(), market_flow(5, 1200)])
    machine, other = Reference(), Reference()
    events = fresh(machine.apply(commands))
    rows = other.changes(commands)
    traded = events[events["kind"] == EventKind.TRADED]
    executed = rows[rows["kind"] == ChangeKind.EXECUTED]
    for name in ("trade_id", "price", "quantity", "instrument"):
        assert executed[name].tolist() == traded[name].tolist()
    statistics = Statistics(machine.instruments)
    statistics.apply(rows[rows["kind"] != ChangeKind.DEFINED])
    counted = {number: int(statistics[number].trades.last(10**6)["trade_id"].size)
               for number in (1, 2, 3)}  # fmt: skip
    for number, count in counted.items():
        assert count == min(500, int((traded["instrument"] == number).sum()))
    crossed = (executed["flags"] & ChangeFlag.CROSS) != 0
    assert crossed.any()
    said = json.loads(
        "{" + _texts.executions(executed[executed["instrument"] == 1], 1, 2).decode() + "}"
    )
    sides = [one["side"] for one in said["trades"]]
    assert [side is None for side in sides] == crossed[executed["instrument"] == 1].tolist()


@pytest.mark.parametrize("seed", [8, 22, 49])
def test_reference_numbers_name_one_order_each(seed: int) -> None:
    machine = Reference()
    machine.apply(world())
    encoder, other = Encoder(machine.instruments), Books(machine.instruments)
    rows = machine.changes(market_flow(seed, 600))
    encoder.blocks(rows)
    other.apply(rows)
    found = encoder.references()
    assert found.dtype == REFERENCE and len(set(found["reference"].tolist())) == len(found) > 5
    snapshot = other.snapshot()
    named = {
        (int(row["instrument"]), int(row["order_id"])): int(row["sequence"]) for row in snapshot
    }
    assert named == {
        (int(row["instrument"]), int(row["order_id"])): int(row["reference"]) for row in found
    }
