"""What somebody would send who wants the machine slow, wrong or fat: it is none of these."""

from __future__ import annotations

import resource
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flows import definitions
from numpy.typing import NDArray
from test_agreement import agree

import matchcore as mc
from matchcore import COMMAND, EVENT, EventKind, Kind, OrderType, Reason, Side, TimeInForce
from matchcore.journal import LogReader
from matchcore.machine.reference import Machine as Reference

A, B = mc.Instrument("A", "1"), mc.Instrument("B", "1")
SPREAD = 2**40


def orders(count: int, **fields: Any) -> NDArray:
    """Limit sells of one lot at price 0, GTC, ids from 1, but for what is said."""
    made = np.zeros(count, COMMAND)
    made["kind"], made["instrument"], made["side"] = Kind.NEW, 1, Side.SELL
    made["order_type"], made["time_in_force"] = OrderType.LIMIT, TimeInForce.GTC
    made["quantity"], made["order_id"] = 1, np.arange(1, count + 1)
    for name, value in fields.items():
        made[name] = value
    return made


def cancels(of: NDArray, kind: Kind = Kind.CANCEL) -> NDArray:
    made = of.copy()
    made["kind"] = kind
    return made


def machine() -> mc.Machine:
    made = mc.Machine()
    made.apply(definitions(A, B))
    return made


def pair() -> tuple[mc.Machine, Reference]:
    slow = Reference()
    slow.apply(definitions(A, B))
    return machine(), slow


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


# ------------------------------------------------------------------ far prices


@pytest.mark.parametrize("room", [4, 64, 4096])
def test_far_prices_agree(room: int) -> None:
    rng = np.random.default_rng(room)
    fast, slow = pair()
    live = orders(0)
    for first in range(1, 3001, 300):
        price = rng.integers(-SPREAD, SPREAD, 300)
        fresh = orders(300, order_id=np.arange(first, first + 300), price=price)
        fresh["side"] = np.where(price < 0, Side.BUY, Side.SELL)
        live = rng.permutation(np.concatenate([live, fresh]))
        agree(fast, slow, np.concatenate([rng.permutation(fresh), cancels(live[:200])]), room)
        live = live[200:]
    agree(fast, slow, orders(1, order_type=OrderType.MARKET, quantity=10**6, order_id=0), room)
    agree(fast, slow, orders(1, kind=Kind.MASS_CANCEL, side=0), room)
    assert not len(fast.orders(1))


@pytest.mark.parametrize("far", [2**62, -(2**63), 2**63 - 1, 64**4, 65, 1000])
def test_a_tree_that_a_far_price_made_tall_comes_down_again(far: int) -> None:
    rng = np.random.default_rng(9)
    fast, slow = pair()
    agree(fast, slow, orders(3, price=[0, far, 5]))
    agree(fast, slow, orders(1, kind=Kind.CANCEL, order_id=2))
    for turn in range(3):  # leaves become idle until the far one goes
        near = orders(40, order_id=np.arange(40) + 100, price=rng.permutation(40) * 64 + turn)
        agree(fast, slow, np.concatenate([near, cancels(rng.permutation(near))]))
    agree(fast, slow, orders(2, order_id=[2, 7], price=[far, far // 2]))
    agree(fast, slow, orders(2, side=Side.BUY, order_id=[8, 9], price=[-9, 2**63 - 1], quantity=9))


def test_far_prices_that_come_and_go_cost_no_memory() -> None:
    rng = np.random.default_rng(2)
    count, busy = 2000, machine()
    rounds = [orders(count, order_id=np.arange(count) + 1 + count * (turn % 2),
                     price=rng.integers(0, SPREAD, count)) for turn in range(40)]  # fmt: skip
    gone = [cancels(one) for one in rounds]
    busy.replay(rounds[0])
    sizes = []
    for before, fresh in zip(gone, rounds[1:], strict=False):
        busy.replay(fresh)
        busy.replay(before)
        sizes.append(resident_bytes())
    busy._check()  # at most 32 idle leaves, and no node without a child
    assert len(busy.levels(1, Side.SELL)) == len(np.unique(rounds[-1]["price"]))
    # 39 rounds of 2000 prices would be 270 MB if they were kept
    assert sizes[-1] - sizes[4] < 4 << 20
    busy.replay(gone[-1])
    busy._check()
    assert not len(busy.orders(1))


@pytest.mark.parametrize("count", [700_000, 800_000], ids=["while it moves", "at rest"])
@pytest.mark.parametrize("how", ["one by one", "mass cancel"])
def test_an_id_table_that_was_large_gives_its_memory_back(how: str, count: int) -> None:
    # 16 MiB of buckets, of which most have been filled
    busy = machine()
    resting, other = orders(count), orders(280_000, kind=Kind.CANCEL, order_id=2**63)
    gone = cancels(resting) if how == "one by one" else orders(1, kind=Kind.MASS_CANCEL, side=0)
    busy.replay(resting)
    full = resident_bytes()
    assert busy.replay(gone) == len(gone) + (0 if how == "one by one" else count)
    busy.replay(other)  # the old table goes bit by bit with the commands
    assert full - resident_bytes() > 14 << 20
    busy._check()
    busy.replay(resting[:1000])
    busy._check()


# ------------------------------------------------------------------ ids chosen to collide

CHOSEN = {
    "sequential": lambda at: at,
    "equal low bits": lambda at: at << 40 | 0x123456789A,
    "equal high bits": lambda at: at | 0xFFFFFFFFF << 28,
    "multiples of 2^20": lambda at: at << 20,
    "multiples of 2^52": lambda at: at << 52,
    "from the top down": lambda at: 2**64 - at,
    "a factor of the golden ratio": lambda at: at * 0x9E3779B97F4A7C15 % 2**64,
}


@pytest.mark.parametrize("chosen", CHOSEN.values(), ids=CHOSEN.keys())
def test_ids_chosen_to_collide_are_ids(chosen: Any) -> None:
    rng = np.random.default_rng(3)
    ids = np.array([chosen(at) for at in range(1, 2001)], "u8")
    fast, slow = pair()
    resting = orders(2000, order_id=ids, price=rng.integers(0, 20, 2000))
    agree(fast, slow, resting, 64)
    again = agree(fast, slow, resting[:100], 64)
    assert (again["reason"] == Reason.DUPLICATE_ORDER).all()
    mixed = rng.permutation(resting)
    agree(fast, slow, cancels(mixed[:1500]), 64)
    agree(fast, slow, cancels(mixed[:1700], Kind.REDUCE), 64)
    agree(fast, slow, rng.permutation(np.concatenate([resting[:700], cancels(mixed[600:])])), 64)


# ------------------------------------------------------------------ deep queues and whole sides


def test_a_long_queue_cancelled_from_the_middle_keeps_its_order() -> None:
    count = 50_000
    busy, resting = machine(), orders(count, quantity=np.arange(1, count + 1))
    busy.apply(resting)
    away = np.arange(count)
    middle_out = (count // 2 + np.where(away % 2, 1, -1) * ((away + 1) // 2)) % count
    for part in np.array_split(middle_out, 5):
        events = busy.apply(cancels(resting[part]))
        assert (events["kind"] == EventKind.CANCELLED).all()
        assert (events["quantity"] == resting["quantity"][part]).all()
        resting["kind"][part] = 0
        left = resting[resting["kind"] != 0]
        assert (busy.orders(1)["order_id"] == left["order_id"]).all()
        if len(left):
            assert busy.levels(1, 2).tolist() == [(0, int(left["quantity"].sum()), len(left))]
        busy._check()
    assert not len(left) and not len(busy.levels(1, 2))


def test_a_deep_side_swept_and_filled_again() -> None:
    rng = np.random.default_rng(5)
    levels, turns = 3000, 6
    busy, trades = machine(), 0
    for turn in range(turns):
        price = rng.permutation(np.arange(levels) * (1 if turn % 2 else 10**9))
        side = orders(levels, price=price, quantity=price % 7 + 1)
        busy.apply(side)
        total = int(side["quantity"].sum())
        taker = orders(1, side=Side.BUY, price=SPREAD * 8, quantity=total + 5, order_id=10**6)
        events = busy.apply(taker)
        assert events["kind"][0] == EventKind.ACCEPTED and len(events) == levels + 1
        fills = events[1:]
        assert (fills["kind"] == EventKind.TRADED).all()
        assert (fills["price"] == np.sort(price)).all() and (fills["left"] == 0).all()
        assert (fills["taker_left"] == total + 5 - np.cumsum(fills["quantity"])).all()
        assert (fills["trade_id"] == trades + 1 + np.arange(levels)).all()
        trades += levels
        assert busy.levels(1, 1).tolist() == [(SPREAD * 8, 5, 1)]
        busy._check()
        busy.apply(cancels(taker))
    assert busy.next_trade_id == trades + 1 and not len(busy.orders(1))


# ------------------------------------------------------------------ one command, many events

FILLS = 700
LARGE = {
    "limit that rests": {"quantity": 2 * FILLS},
    "limit that fits": {"quantity": FILLS},
    "limit of less": {"quantity": FILLS - 1},
    "immediate": {"quantity": 2 * FILLS, "time_in_force": TimeInForce.IOC},
    "fill or kill": {"quantity": FILLS, "time_in_force": TimeInForce.FOK},
    "market": {"quantity": 2 * FILLS, "order_type": OrderType.MARKET, "price": 0},
    "amend": {"kind": Kind.AMEND, "quantity": FILLS + 1, "order_id": 5000},
    "mass cancel": {"kind": Kind.MASS_CANCEL, "side": 0},
    "mass cancel of one": {"kind": Kind.MASS_CANCEL, "side": Side.SELL, "account": 2},
    "mass cancel of all": {"kind": Kind.MASS_CANCEL, "side": 0, "instrument": 0, "account": 2},
    "end of day": {"kind": Kind.END_DAY, "instrument": 0},
}


def many_from_one(what: str) -> NDArray:
    """A book of one-lot sells and a far buy; then the command, between others in its batch."""
    at = np.arange(FILLS)
    side = orders(FILLS, price=at // 50, account=1 + at % 3, time_in_force=1 + at // 2 % 2)
    far = orders(2, order_id=[5000, 5001], side=Side.BUY, price=-9, quantity=3)
    far["instrument"] = [1, 2]
    large = orders(1, **({"side": Side.BUY, "price": 100, "order_id": 6000} | LARGE[what]))
    after = orders(3, order_id=[7000, 7001, 5000], price=7, kind=[1, 1, 2])
    return np.concatenate([side, far, large, after])


@pytest.mark.parametrize("last", [False, True], ids=["in a batch", "at its end"])
@pytest.mark.parametrize("what", LARGE)
def test_a_full_buffer_changes_no_event(bridge: Any, what: str, last: bool) -> None:
    commands = many_from_one(what)[: -3 if last else None]
    fast, slow = pair()
    expected = agree(fast, slow, commands)
    assert len(expected) > len(commands) + 200
    for room in range(4, 65):
        again = machine()
        apply_in_parts = [again.apply(commands[:-5], np.empty(room, EVENT)),
                          again.apply(commands[-5:], np.empty(room, EVENT))]  # fmt: skip
        assert np.concatenate(apply_in_parts).tobytes() == expected.tobytes(), room
        again._check()
        assert again.digest() == fast.digest()
        events, sequence, _ = bridge.apply(commands.tobytes(), 2, room)
        assert events == expected.tobytes() and sequence == fast.sequence, room


@pytest.mark.parametrize("what", LARGE)
def test_an_engine_gives_all_events_of_one_command(what: str) -> None:
    commands = many_from_one(what)
    said = []
    for kind in ("cython", "reference"):
        with mc.Engine.memory(instruments=[A, B], machine=kind) as engine:
            events = [engine.submit_batch(part) for part in np.array_split(commands, 3)]
            engine._check()
            said.append((np.concatenate(events).tobytes(), engine.digest()))
    assert said[0] == said[1]


def test_a_sweep_looks_at_each_order_once_however_small_the_buffer(bridge: Any) -> None:
    """Passing over the others again for every buffer would be five thousand million steps."""
    others, mine = 200_000, 50_000
    account = np.repeat([1, 2], [others, mine])
    sweep = orders(1, kind=Kind.MASS_CANCEL, side=0, account=2)
    commands = np.concatenate([orders(others + mine, account=account), sweep])
    began = time.process_time()
    events = np.frombuffer(bridge.apply(commands.tobytes(), 1, 4)[0], EVENT)
    assert time.process_time() - began < 5
    gone = events[others + mine : -1]
    assert (gone["order_id"] == np.arange(others + 1, others + mine + 1)).all()
    assert events["kind"][-1] == EventKind.MASS_CANCELLED and events["quantity"][-1] == mine


# ------------------------------------------------------------------ recovery


@pytest.mark.parametrize("kind", ["cython", "reference"])
@pytest.mark.parametrize("what", ["limit that rests", "amend", "mass cancel of one", "end of day"])
def test_recovery_goes_through_one_command_of_many_events(
    what: str, kind: str, tmp_path: Path
) -> None:
    commands = many_from_one(what)
    live = tmp_path / "live"
    with mc.Engine.open(live, instruments=[A, B]) as engine:
        engine.submit_batch(commands[:-4])
        snapshot = engine.snapshot()
        events, digest = engine.submit_batch(commands[-4:]), engine.digest()
        # A copy of the files while the engine is at work is all that a crash leaves behind.
        for name in ("whole log", "from snapshot"):
            shutil.copytree(live, tmp_path / name)
    (tmp_path / "whole log" / snapshot.name).unlink()
    for name, begins in (("whole log", 0), ("from snapshot", len(commands) + 2 - 4)):
        with mc.Engine.open(tmp_path / name, machine=kind) as back:
            assert back.recovery.snapshot_sequence == begins
            assert back.digest() == digest
            back._check()
    with LogReader(tmp_path / "whole log") as reader:
        logged = np.concatenate([frame.commands for frame in reader.read()])
    again = mc.Machine() if kind == "cython" else Reference()
    again.apply(logged[:-4])
    assert again.apply(logged[-4:]).tobytes() == events.tobytes()
    assert again.digest() == digest
