"""How long a snapshot keeps an order waiting, with a million orders resting."""

from __future__ import annotations

import gc
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from matchcore.bench._loops import pauses
from matchcore.bench.resting import resting_orders
from matchcore.bench.throughput import BATCH, INSTRUMENT, feed
from matchcore.engine.engine import Engine
from matchcore.records.order_faces import Cancel, NewOrder
from matchcore.records.schema import Side

RESTING = 1_000_000
QUIET_SECONDS = 2.0


def groups(count: int) -> Iterator[list[tuple[Any, ...]]]:
    with tempfile.TemporaryDirectory(prefix="matchcore-bench-", dir=os.environ.get("TMPDIR")) as at:
        place = Path(at)
        yield [
            ("the machine's own pauses, worst", machine_pause, "ms"),
            (f"{RESTING} orders resting: longest submit, no snapshot",
             partial(longest, place, "none"), "ms"),
            ("the same while start_snapshot writes one", partial(longest, place, "aside"), "ms"),
            ("the same with snapshot(), which waits", partial(longest, place, "waiting"), "ms"),
        ]  # fmt: skip


def machine_pause() -> float:
    """What a loop that does nothing sees, in milliseconds."""
    return float(pauses(QUIET_SECONDS).max()) / 1e6


def longest(place: Path, how: str) -> float:
    """The longest of single submits, in milliseconds, while a snapshot is written, or is not.

    Policy "os", so that what the disk does for others is not in it: only what stops the engine.
    """
    with (
        tempfile.TemporaryDirectory(dir=place) as directory,
        Engine.open(directory, instruments=[INSTRUMENT], policy="os") as engine,
    ):
        feed(engine, resting_orders(RESTING), BATCH)
        gc.collect()
        if how == "aside":
            future = engine.start_snapshot()
            worst = _worst_submit(engine, future.done)
            future.result()
            return worst
        over = time.perf_counter() + QUIET_SECONDS
        worst = _worst_submit(engine, lambda: time.perf_counter() > over)
        if how == "waiting":
            started = time.perf_counter()
            engine.snapshot()
            worst = (time.perf_counter() - started) * 1e3
        return worst


def _worst_submit(engine: Engine, over: Callable[[], bool]) -> float:
    """New orders and their cancels, one by one, until it is over."""
    price, worst, given = INSTRUMENT.price(1), 0.0, RESTING
    while not over():
        given += 1
        for command in (
            NewOrder(INSTRUMENT.symbol, Side.BUY, 1, price, order_id=given),
            Cancel(INSTRUMENT.symbol, given),
        ):
            started = time.perf_counter()
            engine.submit(command)
            worst = max(worst, time.perf_counter() - started)
    return worst * 1e3
