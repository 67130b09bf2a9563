"""Runs one contestant over a flow: `worker.py MODULE:CLASS FLOW MODE SLICES`.

A process of its own, because some hang, and with the Python of the contestant's environment:
nothing here may need matchcore.  Says a JSON line after each slice, so that whoever kills this
knows how far it came.
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import json
import os
import sys
import time
from array import array
from typing import Any

COLUMNS = 4  # of a flow file: order id, side (0: a cancel), price, quantity


def read_flow(path: str) -> list[tuple[int, ...]]:
    cells = array("q")
    with open(path, "rb") as file:
        cells.frombytes(file.read())
    rows = zip(*(cells[column::COLUMNS] for column in range(COLUMNS)), strict=True)
    return [row if row[1] else row[:1] for row in rows]


def say(**line: Any) -> None:
    print(json.dumps(line), flush=True)


def measure(contestant: Any, slices: list[list[Any]]) -> None:
    """The clock runs in `run` only; what was prepared is no business of the garbage collector."""
    gc.collect()
    gc.freeze()
    done, seconds = 0, 0.0
    for operations, prepared in slices:
        started = time.perf_counter()
        contestant.run(prepared)
        seconds += time.perf_counter() - started
        done += len(operations)
        say(done=done, seconds=seconds)


def check(contestant: Any, slices: list[list[Any]]) -> None:
    """Every fill in its order, as (price, quantity)."""
    done = trades = quantity = 0
    digest = hashlib.sha256()
    for operations, prepared in slices:
        for operation in prepared:
            for price, size in contestant.fills(operation):
                digest.update(b"%d*%d " % (price, size))
                trades += 1
                quantity += int(size)
        done += len(operations)
        say(done=done, trades=trades, quantity=quantity, sha256=digest.hexdigest())


def main(name: str, path: str, mode: str, count: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    module, _, kind = name.partition(":")
    contestant = getattr(importlib.import_module(module), kind)()
    flow = read_flow(path)
    size = -(-len(flow) // count)
    parts = [flow[at : at + size] for at in range(0, len(flow), size)]
    slices = [[part, contestant.prepare(part)] for part in parts]
    {"check": check, "measure": measure}[mode](contestant, slices)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
