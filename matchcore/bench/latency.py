"""From arrival to event written, in an open loop: nobody waits for the machine to be ready.

The machine that it runs on pauses as it likes; matchcore does the same for the same command each
time.  So besides what one pass sees there is the least that each command took in several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import neutral
from ._loops import Rig, first_touches
from .resting import resting_orders

RATES = (125_000, 250_000, 500_000, 1_000_000, 2_000_000, 3_000_000, 4_000_000, 5_000_000)
PERCENTILES = (50, 99, 99.99, 100)
BATCH = 256
SECONDS_MAX = 2.0
PASSES, GROWING_PASSES = 7, 3
RESERVE, GROWING_RESERVE = 1 << 28, 1 << 30
ORDERS = 5_000_000
ORDER_BYTES = 81  # a resting order, all told


def groups(count: int) -> Iterator[list[tuple[Any, ...]]]:
    commands = neutral.commands(neutral.messages("normal", count))
    nothing = np.zeros_like(commands)  # refused at the first look: the loop with nothing to do
    for rate in RATES:
        what, run = f"{rate / 1e6:g} million/s", partial(open_loop, commands, rate)
        yield [
            *_least(what, PASSES, run, RESERVE),
            *_percentiles(f"{what}, nothing to do", partial(open_loop, nothing, rate)),
        ]
    yield [
        *_least("each of 5 million new orders", GROWING_PASSES, growing, GROWING_RESERVE),
        *_percentiles("each first touch of a page of memory", touching),
    ]


def least_of(passes: int, take: Callable[[], NDArray[np.int64]]) -> NDArray[np.int64]:
    """Of each command the shortest time in so many passes, each from the start: `take()` is one.

    What comes again at the same command in every pass stays; what does not, the machine's pauses
    and the waiting behind them, goes.
    """
    return reduce(np.minimum, (take() for _ in range(passes)))


class Taken:
    """One measurement that several figures are read from: the first of them takes it."""

    def __init__(self, take: Callable[[], NDArray[np.int64]]) -> None:
        self._take = take
        self._values: NDArray[np.int64] = np.zeros(1, np.int64)

    def at(self, percentile: float) -> float:
        self._values = self._take()
        return self.last(percentile)

    def last(self, percentile: float) -> float:
        """In microseconds."""
        return float(np.percentile(self._values, percentile, method="inverted_cdf")) / 1e3


def _least(
    what: str, passes: int, take: Callable[..., NDArray[np.int64]], reserve: int
) -> list[tuple[Any, ...]]:
    """As it comes, and what comes each time, without and with memory taken beforehand."""
    ready = partial(take, reserve=reserve)
    return [
        *_percentiles(what, take),
        *_percentiles(f"{what}, least of {passes}", partial(least_of, passes, take)),
        *_percentiles(f"{what}, the same, memory reserved", partial(least_of, passes, ready)),
    ]


def _percentiles(what: str, take: Callable[[], NDArray[np.int64]]) -> list[tuple[Any, ...]]:
    taken = Taken(take)
    return [
        (f"{what}, {'worst' if percentile == 100 else f'p{percentile:g}'}",
         partial(taken.last if at else taken.at, percentile), "us")
        for at, percentile in enumerate(PERCENTILES)
    ]  # fmt: skip


def open_loop(commands: NDArray[np.void], rate: float, reserve: int = 0) -> NDArray[np.int64]:
    """Nanoseconds of each command, the first tenth left out: caches and clock are cold there."""
    commands = commands[: int(rate * SECONDS_MAX)]
    return Rig(batch=BATCH, reserve=reserve).arrivals(commands, rate, BATCH)[len(commands) // 10 :]


def growing(reserve: int = 0) -> NDArray[np.int64]:
    """Nanoseconds of every command while a book grows from nothing to five million orders."""
    return Rig(reserve=reserve).each(resting_orders(ORDERS))


def touching() -> NDArray[np.int64]:
    """The same for the system alone: as many pages as such a book takes."""
    return first_touches(ORDERS * ORDER_BYTES // 4096)
