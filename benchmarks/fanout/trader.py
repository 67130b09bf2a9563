"""An engine that takes orders at a steady rate.

`python -m benchmarks.fanout.trader DIR RATE SECONDS`, of an exchange that has its instruments.
Every order makes one change, so a change's number is its command's sequence.  When each answer was
durable is written to DIR.npz.
"""

from __future__ import annotations

import os
import sys
import time

import numpy as np
from numpy.typing import NDArray

import matchcore as mc
from matchcore.records.commands import COMMAND
from matchcore.records.schema import Kind, OrderType, TimeInForce

from .market import CLIENT_CORE, INSTRUMENTS

RESTING = 2000  # orders, before the first one is cancelled


def flow(count: int, start: int = 0) -> NDArray[np.void]:
    """Orders that rest on 20 levels of each side, and leave again; from number ``start`` on."""
    rng, rows = np.random.default_rng(3 + start), np.zeros(count, COMMAND)
    at = np.arange(start, start + count)
    ids = np.where(at < RESTING, at + 1, RESTING + 1 + (at - RESTING) // 2)
    gone = (at >= RESTING) & ((at - RESTING) % 2 == 1)
    ids[gone] = (at[gone] - RESTING) // 2 + 1
    rows["order_id"], rows["instrument"] = ids, ids % INSTRUMENTS + 1
    rows["kind"] = np.where(gone, Kind.CANCEL, Kind.NEW)
    rows["side"] = ids // INSTRUMENTS % 2 + 1
    rows["order_type"], rows["time_in_force"] = OrderType.LIMIT, TimeInForce.GTC
    away = rng.integers(1, 21, count)
    rows["price"] = 20_000 + np.where(rows["side"] == 1, -away, away)
    rows["quantity"] = rng.integers(1, 200, count)
    return rows


def main(path: str, rate: str, seconds: str) -> None:
    os.sched_setaffinity(0, {CLIENT_CORE})
    commands = flow(int(float(rate) * float(seconds)))
    done, answered = 0, np.zeros(len(commands), np.int64)
    with mc.Engine.open(path, policy="sync") as engine:
        first = engine.sequence + 1
        started = time.monotonic_ns()
        while done < len(commands):
            due = int((time.monotonic_ns() - started) * float(rate) / 1e9)
            if due <= done:
                time.sleep(0.0005)
                continue
            engine.submit_batch(commands[done:due])
            answered[done:due] = time.monotonic_ns()
            done = min(due, len(commands))
    np.savez(f"{path}.npz", first=first, answered=answered, instrument=commands["instrument"])


if __name__ == "__main__":
    main(*sys.argv[1:])
