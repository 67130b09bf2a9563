"""What a client order id on every new order costs the matcher: `python -m benchmarks.repeats`.

The same flow with and without ids, in turns, so that the ratio is of one run.  "one account":
its window of 1,024 answers is full at once; "many": each order is one of 1,000 accounts', whose
answers fill the window of all.
"""

from __future__ import annotations

import json
import statistics
import time

import numpy as np
from numpy.typing import NDArray

import matchcore as mc
from matchcore.bench import neutral

BATCH, ROUNDS, MESSAGES, ACCOUNTS = 4096, 7, 1_000_000, 1_000
SCENARIOS = ("normal", "flash-crash")


def with_ids(plain: NDArray) -> dict[str, NDArray]:
    """The flow as it is, and with ids of one account and of many."""
    new = plain["kind"] == mc.Kind.NEW
    one, many = plain.copy(), plain.copy()
    for rows in (one, many):
        rows["client_order_id"][new] = np.arange(1, new.sum() + 1)
    owners = np.random.default_rng(1).integers(1, ACCOUNTS + 1, int(plain["order_id"].max()) + 1)
    many["account"] = owners[many["order_id"]]  # who cancels an order is who sent it
    return {"no ids": plain, "one account": one, "many accounts": many}


def seconds(commands: NDArray) -> float:
    engine = mc.Engine.memory(instruments=[mc.Instrument("BENCH", "0.005")])
    batches = [commands[at : at + BATCH] for at in range(0, len(commands), BATCH)]
    began = time.perf_counter()
    for batch in batches:
        engine.submit_batch(batch)
    return time.perf_counter() - began


def measured(scenario: str) -> dict[str, dict[str, float]]:
    """Medians: million commands a second, and the ratio to the run without ids beside it."""
    given = with_ids(neutral.commands(neutral.messages(scenario, MESSAGES)))
    took: dict[str, list[float]] = {name: [] for name in given}
    for _ in range(ROUNDS):
        for name, commands in given.items():
            took[name].append(seconds(commands))
    plain = took["no ids"]
    return {
        name: {
            "million_per_s": round(MESSAGES / statistics.median(times) / 1e6, 2),
            "ratio": round(statistics.median(a / b for a, b in zip(plain, times, strict=True)), 3),
        }
        for name, times in took.items()
    }


if __name__ == "__main__":
    print(json.dumps({scenario: measured(scenario) for scenario in SCENARIOS}, indent=1))
