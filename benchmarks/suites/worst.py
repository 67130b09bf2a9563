"""Worst cases on purpose: what somebody would send who wants the machine to be slow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matchcore.bench._loops import Rig, pauses
from matchcore.bench.latency import Taken
from matchcore.bench.throughput import BATCH
from matchcore.records.commands import COMMAND
from matchcore.records.schema import Kind, OrderType, Side, TimeInForce

from .scale import resident_bytes

Commands = NDArray[np.void]

FAR = 200_000  # orders over 2^40 ticks
IDS = 500_000  # orders of ids made to collide
QUEUE = 1_000_000  # orders in one level, and fills of one command
SIDE_LEVELS, LEVEL_ORDERS, SWEEPS = 2000, 5, 50
SPREAD = 1 << 40
SMALL = 1  # the smallest buffer of a Rig: 66 events
REPEATS = 3  # a call's time is the least of so many runs: the machine pauses elsewhere each time
PAUSES_SECONDS = 0.5


def groups(count: int) -> Iterator[list[tuple[Any, ...]]]:
    """The sizes are part of the cases: `count`, of the neutral workload, changes nothing."""
    yield [("the machine's own pauses, worst", own_pause, "us")]
    yield list(_prices())
    yield [(f"ids: {name}, adds and cancels", partial(add_and_cancel, ids(name)))
           for name in ID_CHOICES]  # fmt: skip
    yield list(_queue())
    yield [(f"a side of {SIDE_LEVELS} levels swept and filled again", sweep_and_refill)]
    yield list(_one_command())
    yield list(_silent())


def orders(count: int, **fields: Any) -> Commands:
    """Limit orders to rest: sells of one lot at price 0 with ids from 1, but for what is said."""
    made = np.zeros(count, COMMAND)
    made["kind"], made["instrument"], made["side"] = Kind.NEW, 1, Side.SELL
    made["order_type"], made["time_in_force"] = OrderType.LIMIT, TimeInForce.GTC
    made["quantity"], made["order_id"] = 1, np.arange(1, count + 1)
    for name, value in fields.items():
        made[name] = value
    return made


def cancels(resting: Commands, order: NDArray[np.int64] | None = None) -> Commands:
    """A cancel of each; in no order unless one is given."""
    if order is None:
        order = np.random.default_rng(4).permutation(len(resting))
    gone = resting[order]
    gone["kind"] = Kind.CANCEL
    return gone


def loaded(*before: Commands, batch: int = BATCH) -> Rig:
    rig = Rig(batch=batch)
    for commands in before:
        rig.run(commands, BATCH)
    return rig


def rate(commands: Commands, *before: Commands) -> float:
    return len(commands) / loaded(*before).run(commands, BATCH)[0] * 1e3


def each(commands: Commands, *before: Commands) -> NDArray[np.int64]:
    return least(lambda: loaded(*before).each(commands))


def least(take: Callable[[], NDArray[np.int64]]) -> NDArray[np.int64]:
    """Of every call; what it always costs, without what the machine does beside it."""
    runs: NDArray[np.int64] = np.min([take() for _ in range(REPEATS)], axis=0)
    return runs


def own_pause() -> float:
    """The longest; one run of a call cannot be told from it when it is no longer."""
    gaps = pauses(PAUSES_SECONDS)
    return float(gaps[0]) / 1e3 if len(gaps) else 0.0


def _calls(what: str, commands: Commands, *before: Commands) -> Iterator[tuple[Any, ...]]:
    taken = Taken(partial(each, commands, *before))
    yield f"{what}, worst call", partial(taken.at, 100), "us"
    yield f"{what}, p99.99", partial(taken.last, 99.99), "us"


def _prices() -> Iterator[tuple[Any, ...]]:
    rng = np.random.default_rng(1)
    near = orders(FAR, price=rng.integers(0, 800, FAR))
    far = orders(FAR, price=rng.integers(0, SPREAD, FAR))
    yield "800 prices, adds", partial(rate, near)
    yield "800 prices, cancels", partial(rate, cancels(near), near)
    yield "prices over 2^40 ticks, adds", partial(rate, far)
    yield "prices over 2^40 ticks, cancels", partial(rate, cancels(far), far)
    yield from _calls("prices over 2^40 ticks, adds", far)
    yield from _calls("prices over 2^40 ticks, cancels", cancels(far), far)
    yield "prices over 2^40 ticks, memory of an order", partial(bytes_of_each, far), "bytes"


def bytes_of_each(resting: Commands) -> float:
    before = resident_bytes()
    rig = loaded(resting)
    grown = resident_bytes() - before
    del rig
    return grown / len(resting)


def ids(name: str) -> NDArray[np.uint64]:
    """Ids without a zero or a double, of a kind that an id table may mix badly."""
    at = np.arange(1, IDS + 1, dtype=np.uint64)
    made: NDArray[np.uint64] = ID_CHOICES[name](at)
    assert len(np.unique(made)) == IDS and made.all()
    return made


def _random(at: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """An odd factor keeps them apart, and the shift mixes them: no two alike."""
    mixed = at * np.uint64(0x9E3779B97F4A7C15)
    made: NDArray[np.uint64] = (mixed ^ mixed >> np.uint64(29)) * np.uint64(0xBF58476D1CE4E5B9)
    return made


ID_CHOICES: dict[str, Any] = {
    "random": _random,
    "one after the other": lambda at: at,
    "equal low 32 bits": lambda at: at << np.uint64(32) | np.uint64(0x5555),
    "equal high 44 bits": lambda at: at | np.uint64(0xABCDEF01234 << 20),
    "multiples of 2^16": lambda at: at << np.uint64(16),
    "multiples of 2^44": lambda at: at << np.uint64(44),
}


def add_and_cancel(order_ids: NDArray[np.uint64]) -> float:
    """All of them in, then out in no order."""
    resting = orders(len(order_ids), order_id=order_ids, price=np.arange(len(order_ids)) % 500)
    return rate(np.concatenate([resting, cancels(resting)]))


def _queue() -> Iterator[tuple[Any, ...]]:
    resting = orders(QUEUE)
    out = cancels(resting, from_the_middle(QUEUE))
    yield "a million orders in a level, cancelled from the middle", partial(rate, out, resting)
    yield (
        "a million orders in a level, cancelled in no order",
        partial(rate, cancels(resting), resting),
    )
    yield from _calls("a million orders in a level, cancels", out, resting)


def from_the_middle(count: int) -> NDArray[np.int64]:
    """Places of a queue from its middle to both ends: m, m + 1, m - 1, m + 2, …"""
    away = np.arange(count)
    return count // 2 + np.where(away % 2, 1, -1) * ((away + 1) // 2) - (count % 2 == 0)


def sweep_and_refill() -> float:
    """Orders entered and filled, all told; one taker takes the whole side each time."""
    price = np.arange(SIDE_LEVELS * LEVEL_ORDERS) % SIDE_LEVELS
    side = orders(len(price), price=price)
    taker = orders(1, side=Side.BUY, price=SIDE_LEVELS, quantity=len(side), order_id=len(side) + 1)
    flow = np.tile(np.concatenate([side, taker]), SWEEPS)
    return 2 * len(side) * SWEEPS / loaded().run(flow, BATCH)[0] * 1e3


def _one_command() -> Iterator[tuple[Any, ...]]:
    """Commands of a million events: how long they hold a caller is his buffer's size."""
    resting = orders(QUEUE)
    taker = orders(1, side=Side.BUY, quantity=QUEUE, order_id=QUEUE + 1)
    sweep = orders(1, kind=Kind.MASS_CANCEL, side=0)
    for what, command in (("a million fills", taker), ("mass cancel of a million", sweep)):
        large = partial(events_of_one, command, resting, BATCH)
        yield f"{what}, buffer of {2 * BATCH + 64} events", large
        small = partial(events_of_one, command, resting, SMALL)
        yield f"{what}, buffer of 66 events", small
        taken = Taken(partial(calls_of_one, command, resting))
        yield f"{what}, buffer of 66 events, worst call", partial(taken.at, 100), "us"
        yield f"{what}, buffer of 66 events, p99", partial(taken.last, 99), "us"


def events_of_one(command: Commands, resting: Commands, batch: int) -> float:
    """Million events a second."""
    took, written = loaded(resting, batch=batch).run(command, 1)
    return written / took * 1e3


def calls_of_one(command: Commands, resting: Commands) -> NDArray[np.int64]:
    return least(lambda: loaded(resting, batch=SMALL).calls(command))


def _silent() -> Iterator[tuple[Any, ...]]:
    """Commands that look at much and say little: no full buffer interrupts them."""
    rng = np.random.default_rng(6)
    far = orders(FAR, price=rng.integers(0, SPREAD, FAR))
    wish = orders(1, side=Side.BUY, price=SPREAD, quantity=SPREAD, order_id=0,
                  time_in_force=TimeInForce.FOK)  # fmt: skip
    near = orders(QUEUE, price=rng.integers(0, 5000, QUEUE))
    nobody = orders(1, kind=Kind.MASS_CANCEL, side=0, account=1)
    named = orders(1, side=Side.BUY, price=-1, order_id=0)
    yield f"fill-or-kill that looks at {FAR:,} far levels", partial(one_call, wish, far), "us"
    yield "mass cancel that finds nobody among a million", partial(one_call, nobody, near), "us"
    yield "an id asked for behind a million live ids", partial(one_call, named, near), "us"


def one_call(command: Commands, *before: Commands) -> float:
    return float(each(command, *before)[0]) / 1e3
