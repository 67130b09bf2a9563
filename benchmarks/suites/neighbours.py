"""What a dead, a slow and a hostile subscriber cost the good ones."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from ..fanout import delay

SUBSCRIBERS = 100
PERCENTILES = (50, 99)


class Compared:
    """Delays without and with bad neighbours: the first figure of a round measures."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._number = directory, count()
        self._found: tuple[delay.Beside, delay.Beside]

    def measured(self, beside: bool, percentile: float) -> float:
        self._found = delay.beside(self._directory / str(next(self._number)), SUBSCRIBERS)
        return self.last(beside, percentile)

    def last(self, beside: bool, percentile: float) -> float:
        """In microseconds."""
        return float(np.percentile(self._found[beside].nanoseconds, percentile)) / 1e3

    def ratio(self, percentile: float) -> float:
        return self.last(True, percentile) / self.last(False, percentile)

    def cost(self) -> float:
        """Percent of a core."""
        return 100 * (self._found[True].core - self._found[False].core)


def groups(orders: int) -> Iterator[list[tuple[Any, ...]]]:
    """The market is always the same: `orders`, of the neutral workload, changes nothing."""
    with tempfile.TemporaryDirectory() as directory:
        found = Compared(Path(directory))
        what = f"{SUBSCRIBERS} subscribers, {delay.RATE:,} changes/s"
        yield [
            *((f"{what}{', bad neighbours' * beside}, p{percentile}",
               partial(found.last if beside or at else found.measured, beside, percentile), "us")
              for beside in (False, True) for at, percentile in enumerate(PERCENTILES)),
            *((f"with bad neighbours to without, p{percentile}",
               partial(found.ratio, percentile), "x") for percentile in PERCENTILES),
            ("more work of the feed with bad neighbours", found.cost, "% of a core"),
        ]  # fmt: skip
