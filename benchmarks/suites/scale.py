"""Many instruments, many orders, two cores."""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matchcore.bench import neutral
from matchcore.bench._loops import Rig
from matchcore.bench.resting import resting_orders, zipf
from matchcore.bench.throughput import BATCH
from matchcore.records.commands import COMMAND
from matchcore.records.schema import Kind, Side

CHECKOUT = Path(__file__).parents[2]
INSTRUMENTS = 10_000
RESTING = 4_000_000
RESERVE = 1 << 30
FLOW = 2_000_000
ROUNDS = 8  # of each of two machines side by side: one alone is over before both are awake


def groups(count: int) -> Iterator[list[tuple[Any, ...]]]:
    yield [
        ("an empty book", empty_book_bytes, "bytes"),
        (f"a resting order, all told, of {RESTING} in a book", order_bytes, "bytes"),
    ]
    one = neutral.commands(neutral.messages("static", count))
    yield [
        ("one instrument, neutral static", partial(single, one)),
        (f"{INSTRUMENTS} instruments (Zipf), {RESTING} orders resting", partial(market, one)),
        ("the same, 1 GiB reserved", partial(market, one, RESERVE)),
        (f"{INSTRUMENTS} instruments, every second command cancels any order at random", many),
        ("the same cancels, 1 GiB reserved", partial(many, RESERVE)),
    ]
    yield [
        ("two machines on two threads, to one", partial(two_threads, one), "times"),
        ("the same, memory reserved", partial(two_threads, one, RESERVE), "times"),
        ("two machines in two processes, to one", two_processes, "times"),
    ]


def churn(resting: NDArray[np.void], count: int, seed: int = 8) -> NDArray[np.void]:
    """As many cancels of random resting orders as new orders, in turns."""
    rng = np.random.default_rng(seed)
    fresh = resting_orders(count // 2, int(resting["instrument"].max()), seed)
    fresh["order_id"] += len(resting)
    gone = resting[rng.choice(len(resting), count // 2, replace=False)].copy()
    gone["kind"] = Kind.CANCEL
    flow = np.empty(2 * len(fresh), COMMAND)
    flow[0::2], flow[1::2] = fresh, gone
    return flow


def single(commands: NDArray[np.void]) -> float:
    return len(commands) / Rig().run(commands, BATCH)[0] * 1e3


def many(reserve: int = 0) -> float:
    resting = resting_orders(RESTING, INSTRUMENTS)
    rig = Rig(instruments=INSTRUMENTS, reserve=reserve)
    rig.run(resting, BATCH)
    flow = churn(resting, FLOW)
    return len(flow) / rig.run(flow, BATCH)[0] * 1e3


def crowd_around(one: NDArray[np.void], count: int, instruments: int) -> NDArray[np.void]:
    """Orders that rest on both sides of a flow's prices and leave room for it."""
    crowd = resting_orders(count, instruments)
    aside = np.where(crowd["side"] == Side.BUY, -20, 20)
    crowd["price"] += int(np.median(one["price"])) - 100_000 + aside
    return crowd


def spread(one: NDArray[np.void], instruments: int) -> NDArray[np.void]:
    """A flow of one instrument with each order of another one."""
    rng = np.random.default_rng(9)
    flow = one.copy()
    flow["instrument"] = zipf(rng, int(one["order_id"].max()) + 1, instruments)[one["order_id"]]
    return flow


def market(one: NDArray[np.void], reserve: int = 0) -> float:
    """The neutral flow, spread over the instruments, in front of a crowd that stays."""
    rig = Rig(instruments=INSTRUMENTS, reserve=reserve)
    rig.run(crowd_around(one, RESTING, INSTRUMENTS), BATCH)
    flow = spread(one, INSTRUMENTS)
    rates = []
    for _ in range(3):  # the first time, its pages are still fresh
        flow["order_id"] += 2 * RESTING
        rates.append(len(flow) / rig.run(flow, BATCH)[0] * 1e3)
    return rates[-1]


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


CHILD_BYTES = """
import sys
from benchmarks.suites import scale
print(scale.{}())
"""


def empty_book_bytes() -> float:
    """Of 10,000, in a process of its own, whose memory nobody has used before."""
    return _alone("_empty_book_bytes")


def order_bytes() -> float:
    return _alone("_order_bytes")


def _alone(what: str) -> float:
    child = [sys.executable, "-c", CHILD_BYTES.format(what)]
    done = subprocess.run(child, cwd=CHECKOUT, check=True, capture_output=True, text=True)
    return float(done.stdout)


def _empty_book_bytes() -> float:
    before = resident_bytes()
    rig = Rig(instruments=INSTRUMENTS)
    grown = resident_bytes() - before
    del rig
    return grown / INSTRUMENTS


def _order_bytes() -> float:
    orders = resting_orders(RESTING)
    rig = Rig()
    before = resident_bytes()
    rig.run(orders, BATCH)
    grown = resident_bytes() - before
    del rig
    return grown / RESTING


def two_threads(commands: NDArray[np.void], reserve: int = 0) -> float:
    """Commands a second of two threads, each with its machine, to those of one.

    Memory that one of them gives back or takes while it works, the other has to hear of.
    """
    share = reserve // (2 * ROUNDS)
    return _together(commands, 2, share) / _together(commands, 1, share)


def _together(commands: NDArray[np.void], threads: int, reserve: int) -> float:
    rigs = [[Rig(reserve=reserve) for _ in range(ROUNDS)] for _ in range(threads)]
    gate = threading.Barrier(threads + 1)

    def work(mine: list[Rig]) -> None:
        gate.wait()
        for rig in mine:
            rig.run(commands, BATCH)

    running = [threading.Thread(target=work, args=(mine,)) for mine in rigs]
    for thread in running:
        thread.start()
    gate.wait()
    started = time.perf_counter()
    for thread in running:
        thread.join()
    return threads * ROUNDS * len(commands) / (time.perf_counter() - started)


CHILD = """
import sys
from matchcore.bench import neutral
from benchmarks.suites import scale
flow = neutral.commands(neutral.messages("normal", 300_000))
print("ready", flush=True)
sys.stdin.readline()
print(sum(scale.single(flow) for _ in range(8)) / 8)
"""


def two_processes() -> float:
    """Commands a second of two processes at the same time, to those of one alone."""
    return sum(_processes(2)) / sum(_processes(1))


def _processes(count: int) -> list[float]:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    for child in running:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
    rates = []
    for child in running:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in running:
        rates.append(float(child.communicate()[0]))
    return rates
