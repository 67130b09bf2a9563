"""The rules at the edges of 64 bits, over several instruments, and after very many orders."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from flows import flow
from rules_kit import Exchange, on_both_machines

import matchcore as mc
from matchcore import COMMAND, EventKind, Kind, OrderType
from matchcore.records.schema import OPENING_EVENTS

MOST, LEAST = 2**63 - 1, -(2**63)
STATM = Path("/proc/self/statm")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

EDGES = {
    "the farthest prices rest, are the best, and trade": f"""
        buy 1 5@{LEAST}
        sell 2 5@{MOST}
        book            => {LEAST}: 1x5 / {MOST}: 2x5
        sell 3 1@{LEAST} => accepted 3 1@{LEAST}, trade 1 1@{LEAST} by 3 left 4/0
        buy 4 1@{MOST}   => accepted 4 1@{MOST}, trade 2 1@{MOST} by 4 left 4/0
        buy 5 9@market fok => accepted 5 9@0, cancelled 5 9@0 FILL_OR_KILL
        sell 6 4@market fok => accepted 6 4@0, trade 1 4@{LEAST} by 6 left 0/0
        buy 7 4@market fok => accepted 7 4@0, trade 2 4@{MOST} by 7 left 0/0
        book            => - / -
        """,
    "sides the wrong way round meet at once": f"""
        sell 1 5@{LEAST}
        buy 2 7@{MOST}  => accepted 2 7@{MOST}, trade 1 5@{LEAST} by 2 left 0/2
        sell 3 2@{LEAST} => accepted 3 2@{LEAST}, trade 2 2@{MOST} by 3 left 0/0
        """,
    "an amend goes from one end to the other": f"""
        buy 1 5@{LEAST}
        buy 2 5@0
        amend 1 @{MOST} => amended 1 5@{MOST}
        book            => {MOST}: 1x5; 0: 2x5 / -
        amend 1 @{LEAST} => amended 1 5@{LEAST}
        book            => 0: 2x5; {LEAST}: 1x5 / -
        """,
    "a level holds exactly 2^63 - 1 units": f"""
        sell 1 {MOST - 2}@7
        sell 2 3@7      => rejected LEVEL_OVERFLOW QUANTITY
        sell 2 2@7      => accepted 2 2@7
        sell 3 1@7      => rejected LEVEL_OVERFLOW QUANTITY
        amend 2 3       => rejected LEVEL_OVERFLOW QUANTITY
        sell 3 1@8
        amend 3 @7      => rejected LEVEL_OVERFLOW QUANTITY
        amend 2 1
        amend 3 @7      => amended 3 1@7
        amend 1 {MOST - 2} => amended 1 {MOST - 2}@7
        book            => - / 7: 1x{MOST - 2} 2x1 3x1
        """,
    "the overflow check does not look at what would trade first": f"""
        buy 1 {MOST}@7
        sell 2 5@6
        """.replace("sell 2 5@6", "sell 2 5@6 => accepted 2 5@6, trade 1 5@7 by 2 left "
                    f"{MOST - 5}/0"),
    "fill-or-kill adds up more than 64 bits": f"""
        sell 1 {MOST}@1
        sell 2 {MOST}@2
        sell 3 {MOST}@3
        buy 4 {MOST}@2 fok => accepted 4 {MOST}@2, trade 1 {MOST}@1 by 4 left 0/0
        buy 5 {MOST}@1 fok => accepted 5 {MOST}@1, cancelled 5 {MOST}@1 FILL_OR_KILL
        book            => - / 2: 2x{MOST}; 3: 3x{MOST}
        """,
    "ids and accounts may be any 64-bit number": f"""
        buy {2**64 - 1} 5@1 acc={2**64 - 1}
        cancel {2**64 - 1} acc={2**63} => rejected NOT_OWNER ACCOUNT
        buy 0 1@1       => accepted 1 1@1
        cancel {2**64 - 1} acc={2**64 - 1} => cancelled {2**64 - 1} 5@1 REQUESTED
        """,
}  # fmt: skip


@on_both_machines
@pytest.mark.parametrize("rule", EDGES)
def test_edge(machine: str, rule: str) -> None:
    Exchange(machine).run(EDGES[rule])


WORLD = [mc.Instrument(name, tick=1) for name in ("ONE", "TWO", "THREE")]


@on_both_machines
def test_books_and_their_ids_are_apart_and_trade_ids_are_not(machine: str) -> None:
    exchange = Exchange(machine, *WORLD)
    exchange.run(
        """
        sell 1 5@100 on=1
        sell 1 5@100 on=2
        buy 2 5@100 on=3
        buy 2 5@100 on=1   => accepted 2 5@100, trade 1 5@100 by 2 left 0/0
        buy 2 5@100 on=2   => accepted 2 5@100, trade 1 5@100 by 2 left 0/0
        sell 1 5@100 on=3  => accepted 1 5@100, trade 2 5@100 by 1 left 0/0
        """
    )
    assert exchange.trades == 3  # counted on over the books, by the checks of Exchange.send


@on_both_machines
def test_an_assigned_id_skips_only_what_is_live_in_its_own_book(machine: str) -> None:
    Exchange(machine, *WORLD).run(
        """
        buy 1 1@100 on=1
        buy 2 1@100 on=1
        buy 0 1@100 on=2   => accepted 1 1@100
        buy 0 1@100 on=1   => accepted 3 1@100
        """
    )


@on_both_machines
def test_a_mass_cancel_of_all_goes_by_instrument_number(machine: str) -> None:
    Exchange(machine, *WORLD).run(
        """
        sell 1 1@100 on=3 acc=7
        sell 2 1@100 on=1 acc=7
        buy 3 1@90 on=2 acc=8 day
        mass on=2 acc=7  => mass_cancelled 0
        mass on=0 acc=7  => cancelled 2 1@100 MASS_CANCEL, cancelled 1 1@100 MASS_CANCEL,
                            mass_cancelled 2
        endday on=3      => day_ended 0
        endday on=0      => cancelled 3 1@90 END_OF_DAY, day_ended 1
        """
    )


def resident_bytes() -> int:
    return int(STATM.read_text().split()[1]) * PAGE_BYTES


def adds_and_cancels(first_id: int, count: int, prices: np.ndarray) -> np.ndarray:
    """Each order is entered and taken off again 50 commands later, so few are ever live."""
    rows = np.zeros((count, 2), COMMAND)
    rows["instrument"], rows["time"] = 1, 1
    rows["order_id"] = np.arange(first_id, first_id + count, dtype="u8")[:, None]
    rows["kind"] = [Kind.NEW, Kind.CANCEL]
    rows["side"], rows["order_type"], rows["time_in_force"] = 1, OrderType.LIMIT, 1
    rows["price"], rows["quantity"] = prices[:, None], 10
    late = np.roll(rows[:, 1], 50)
    late[:50] = rows[-50:, 1]
    return np.concatenate([np.stack([rows[:, 0], late], 1).ravel(), rows[-50:, 1]])


@pytest.mark.skipif(not STATM.exists(), reason="reads /proc")
@pytest.mark.parametrize("far", [False, True], ids=["near", "far"])
def test_memory_does_not_grow_with_orders_that_are_gone(far: bool) -> None:
    rng, machine, step = np.random.default_rng(1), mc.Engine.memory(instruments=WORLD), 20_000
    sizes = []
    for batch in range(16):
        spread = (LEAST, MOST) if far else (0, 1000)
        prices = rng.integers(*spread, step, dtype="i8")
        machine.submit_batch(adds_and_cancels(1 + batch * step, step, prices))
        sizes.append(resident_bytes())
    assert len(machine.state().orders[0]) == 0
    assert machine.book("ONE").best_bid is None
    # 240,000 orders more, at 64 bytes and 16 of the id table each, would be 19 million bytes
    assert sizes[-1] - sizes[3] < 4_000_000, sizes
    machine._check()


@on_both_machines
def test_the_state_is_as_small_as_before_when_all_orders_are_gone(machine: str) -> None:
    engine = mc.Engine.memory(instruments=WORLD, machine=machine)
    before = len(engine.state().to_bytes())
    prices = np.random.default_rng(2).integers(LEAST, MOST, 2000, dtype="i8")
    events = engine.submit_batch(adds_and_cancels(1, 2000, prices))
    assert (events["kind"] == EventKind.CANCELLED).sum() == 2000
    assert len(engine.state().to_bytes()) == before


@on_both_machines
def test_random_flows_keep_the_promises_of_the_rule_book(machine: str) -> None:
    """Trade ids, limits, and every order's open quantity, followed by the events alone."""
    engine = mc.Engine.memory(instruments=WORLD[:2], machine=machine)
    commands = flow(17, 4000)
    events = engine.submit_batch(commands)
    trades = events[events["kind"] == EventKind.TRADED]
    assert trades["trade_id"].tolist() == list(range(1, len(trades) + 1)) and len(trades) > 300
    assert set(events["sequence"].tolist()) == set(range(3, 4003))
    assert (np.diff(events["sequence"].astype("i8")) >= 0).all()
    live = follow(events, commands, first=3)
    books = engine.state().orders
    rested = {(n, int(o["order_id"])): int(o["quantity"]) for n in (1, 2) for o in books[n - 1]}
    assert live == rested


def follow(events: np.ndarray, commands: np.ndarray, first: int) -> dict[tuple[int, int], int]:
    """Open quantities by (instrument, id) as the events tell them; asserts that they fit."""
    live: dict[tuple[int, int], int] = {}
    limits: dict[tuple[int, int], tuple[int, int] | None] = {}
    for event in events:
        number, kind = int(event["instrument"]), int(event["kind"])
        key, quantity = (number, int(event["order_id"])), int(event["quantity"])
        if kind in OPENING_EVENTS:
            live[key] = quantity
            command = commands[int(event["sequence"]) - first]
            market = kind == EventKind.ACCEPTED and command["order_type"] == OrderType.MARKET
            limits[key] = None if market else (int(event["side"]), int(event["price"]))
        elif kind == EventKind.TRADED:
            taker, price = (number, int(event["taker_order_id"])), int(event["price"])
            for who, left in ((key, event["left"]), (taker, event["taker_left"])):
                live[who] -= quantity
                assert live[who] == left >= 0
                live = live if left else {k: v for k, v in live.items() if k != who}
            assert limits[key] == (int(event["side"]), price)
            limit = limits[taker]
            assert limit is None or (price <= limit[1] if limit[0] == 1 else price >= limit[1])
        elif kind == EventKind.CANCELLED:
            assert live.pop(key) == quantity
    return live
