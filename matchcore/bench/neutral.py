"""The neutral workload: a public benchmark flow and the hashes that conforming engines share.

Published by the repository flash1-dev/matching-engine-benchmark (arXiv 2606.01183).  It is a
yardstick nobody here chose and an oracle nobody here wrote.  The messages come out bit for bit,
which needs the C library's functions (`math`), not NumPy's vectorised ones.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..records.commands import COMMAND
from ..records.events import EVENT
from ..records.schema import EventKind, Kind, OrderType, TimeInForce

#: scenario -> (volatility, swing)
SCENARIOS = {
    "static": (0.0, 0.0),
    "normal": (0.15, 0.02),
    "swing-25": (0.50, 0.25),
    "swing-40": (0.50, 0.40),
    "flash-crash": (0.50, 0.60),
}
COUNT, SEED = 1_000_000, 23
MESSAGES = 1_996_097  # of COUNT orders, in every scenario
WORKLOAD_SHA256 = {
    "static": "c93cdd71f5fabe750a58ab72af306be5fe4a24f1fd215878120db348b81af89b",
    "normal": "0b12097cabb5902573af2b8ae17c3b0881dc3a18b2cbf36cb3c46eabb468956e",
    "swing-25": "d9d5c4c2a2e451f85ce9a8dba4371f021a8fb4c2ff8d0a214b0caaceda8b6a68",
    "swing-40": "a864928b45723d879474302700de49641dcbb6c10a0b637db79d0a5845d7a422",
    "flash-crash": "5b2ed7ddb5551165801dd5815d6372891d29178351cc1fc5fd10c487517512de",
}
REPORT_SHA256 = {
    "static": "9803843ee404fc29c9a0aa5614f8f0d5a58b5c44fcac9ef89067886fcaaa30d1",
    "normal": "e9b2e3926854410b01a035aeb25dd05f1e597c233be8263de9eb49b6713d367e",
    "swing-25": "61a84be9469661bd039e00dbc9a7c011e70b6ace37aadfe60045ea083b05f4df",
    "swing-40": "3cb0175e7982ff09ea220d1feaee3844cf9116a5ce455757879dea1d880b9b9f",
    "flash-crash": "cff8d3f94b709fc64a8b2058a6ca4fb6920364904796e46906895e362d2bb16b",
}

#: 40-byte messages as the workload's hash has them.  type: 0 new, 1 cancel, 2 modify.
MESSAGE = np.dtype(
    [
        ("type", "u1"), ("side", "u1"), ("ioc", "u1"), ("zero", "u1"), ("quantity", "<u4"),
        ("sequence", "<u8"), ("order_id", "<u8"), ("price", "<i8"), ("reserved", "<i8"),
    ]
)  # fmt: skip

TICK, START = 0.005, 167.52
LEVELS = 800
IOC_SHARE, MODIFY_SHARE, REPRICE_SHARE, CANCEL_SHARE, AGAIN_SHARE = 0.15, 0.20, 0.80, 0.95, 0.02
LIFETIME_RATE = math.log(2) / 431  # per microsecond
DRAWS_PER_ORDER = 9  # more than the arrival phase can use for one order


def messages(scenario: str, count: int = COUNT, seed: int = SEED) -> NDArray[np.void]:
    """A scenario's flow as a `MESSAGE` array: about two messages for each of `count` orders."""
    rng = np.random.RandomState(seed)
    price, quantity, level = _orders(rng, scenario, count)
    arrival = _shuffled(rng, count)
    draw = iter(rng.random_sample(DRAWS_PER_ORDER * count).tolist()).__next__
    columns = zip(price.tolist(), quantity.tolist(), level.tolist(), strict=True)
    rows = np.array(list(_arrivals(list(columns), arrival, draw)), np.int64)
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    flow = np.zeros(len(rows), MESSAGE)
    for column, name in enumerate(("type", "side", "ioc", "quantity", "order_id", "price"), 1):
        flow[name] = rows[:, column]
    flow["sequence"] = np.arange(len(flow))
    return flow


def _orders(
    rng: np.random.RandomState, scenario: str, count: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Price in ticks, quantity and depth level of each order: buys first, then sells."""
    draws = rng.random_sample(4 * count)
    weights, total = [], 0.0
    for k in range(LEVELS):
        total += math.pow(k + 1, -2.23) + 5 * math.exp(-0.5 * (k - 8) ** 2)
        weights.append(total)
    level = np.minimum(np.searchsorted(weights, draws[2::4] * total), LEVELS - 1)
    quantity = 1 + np.floor(100 * draws[3::4]).astype(np.int64)
    mid = np.fromiter(_mids(scenario, draws[0::4], draws[1::4]), np.int64, count)
    buys = np.arange(count) < count // 2
    price = np.maximum(np.where(buys, mid - (level + 1), mid + (level + 1)), 1)
    return price, quantity, level


def _mids(scenario: str, first: NDArray[np.float64], second: NDArray[np.float64]) -> Iterator[int]:
    volatility, swing = SCENARIOS[scenario]
    step = (swing / volatility) ** 2 / len(first) if volatility else 0.0
    sigma = volatility * math.sqrt(step)
    drift, turn, mid = -0.5 * sigma * sigma, 2 * math.pi, START
    log, cos, exp, sqrt, floor = math.log, math.cos, math.exp, math.sqrt, math.floor
    for one, two in zip(first.tolist(), second.tolist(), strict=True):
        normal = sqrt(-2 * log(one)) * cos(turn * two)
        mid = mid * exp(drift + sigma * normal)
        yield floor(mid / TICK + 0.5)


def _shuffled(rng: np.random.RandomState, count: int) -> list[int]:
    """Fisher-Yates from the last place down."""
    order = list(range(count))
    for at, draw in zip(
        range(count - 1, 0, -1), rng.random_sample(count - 1).tolist(), strict=True
    ):
        other = int(draw * (at + 1))
        order[at], order[other] = order[other], order[at]
    return order


def _arrivals(
    orders: list[tuple[int, int, int]], arrival: list[int], draw: Callable[[], float]
) -> Iterator[tuple[int, ...]]:
    """(microsecond, type, side, ioc, quantity, order id, price) of each message, unsorted."""
    half, now = len(orders) // 2, 0
    for index in arrival:
        price, quantity, level = orders[index]
        side, order_id = (0 if index < half else 1), index + 1
        if draw() < IOC_SHARE:
            yield now, 0, side, 1, quantity, order_id, price
            now += 1
            continue
        yield now, 0, side, 0, quantity, order_id, price
        modified = draw() < MODIFY_SHARE
        if modified:
            now += 30 + int(70 * draw())
            if draw() < REPRICE_SHARE:
                price += 1 if side == 0 else -1
            yield now, 2, side, 0, quantity + 1, order_id, price
        cancelled = draw() < CANCEL_SHARE
        if cancelled:
            now += int(-math.log(draw()) / (LIFETIME_RATE / math.sqrt(1 + level)))
            original = orders[index][0]
            yield now, 1, side, 0, quantity, order_id, original
            if draw() < AGAIN_SHARE:
                now += 1 + int(20 * draw())
                yield now, 1, side, 0, quantity, order_id, original
        if modified and cancelled and draw() < AGAIN_SHARE:
            now += 1 + int(20 * draw())
            yield now, 2, side, 0, quantity + 1, order_id, price
        now += 1


def commands(flow: NDArray[np.void], instrument: int = 1) -> NDArray[np.void]:
    """The messages as a `COMMAND` array for an instrument whose tick is the workload's."""
    made = np.zeros(len(flow), COMMAND)
    made["kind"] = np.array([Kind.NEW, Kind.CANCEL, Kind.AMEND], "u1")[flow["type"]]
    made["instrument"] = instrument
    made["side"] = flow["side"] + 1
    made["order_type"] = OrderType.LIMIT
    made["time_in_force"] = np.where(flow["ioc"] == 1, TimeInForce.IOC, TimeInForce.GTC)
    for name in ("order_id", "price", "quantity"):
        made[name] = flow[name]
    made["time"] = flow["sequence"] + 1
    return made


_CODES = {
    EventKind.ACCEPTED: 0,
    EventKind.TRADED: 1,
    EventKind.CANCELLED: 2,
    EventKind.AMENDED: 3,
    EventKind.REJECTED: 4,
}


def report_hash(flow: NDArray[np.void], events: NDArray[np.void], first_sequence: int) -> str:
    """SHA-256 of the report stream: `events` of the `commands` whose first has `first_sequence`."""
    assert events.dtype == EVENT
    lookup = np.full(len(EventKind) + 1, 255, "u1")
    for kind, code in _CODES.items():
        lookup[kind] = code
    index = (events["sequence"] - np.uint64(first_sequence)).astype(np.int64)
    code = lookup[events["kind"]].astype(np.int64)
    code += (code == 4) & (flow["type"][index] == 2)  # a modify that was refused
    order = np.lexsort((np.arange(len(events)), code, index))
    names = ["order_id", "price", "quantity", "taker_order_id"]
    columns = [code[order].tolist(), index[order].tolist(), (events["side"][order] - 1).tolist()]
    columns += [events[name][order].tolist() for name in names]
    digest, rows = hashlib.sha256(), zip(*columns, strict=True)
    separator = ""
    while block := [_line(*row) for row in islice(rows, 65536)]:
        digest.update((separator + "\n".join(block)).encode())
        separator = "\n"
    return digest.hexdigest()


def _line(
    code: int, index: int, side: int, order: int, price: int, quantity: int, taker: int
) -> str:
    if code in (0, 3):
        return f"{code},{index},{side},{order},{price},{quantity}"
    if code == 1:
        return f"1,{index},{price},{quantity},{order},{taker}"
    if code == 2:
        return f"2,{index},{side},{order},{price}"
    return f"{code},{index},{order}"
