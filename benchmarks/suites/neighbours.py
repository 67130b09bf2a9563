"""What a dead, a slow and a hostile subscriber cost the good ones.

Slices of half a second without and with them take turns.  A pair gives one ratio of its p99; of
those the median is told, and between which bounds it is with 95 % (bootstrap over the pairs).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..fanout import delay

SUBSCRIBERS = 100
PERCENTILES = (50, 99)
RESAMPLES = 4000
BOUNDS = (2.5, 97.5)  # percent


class Compared:
    """Delays without and with bad neighbours: the first figure of a round measures."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._number = directory, count()
        self._slices: list[delay.Slice] = []

    def measured(self, beside: bool, percentile: float) -> float:
        self._slices = delay.beside(self._directory / str(next(self._number)), SUBSCRIBERS)
        return self.last(beside, percentile)

    def last(self, beside: bool, percentile: float) -> float:
        """The median of the slices, in microseconds."""
        return float(np.median(self._of_slices(beside, percentile))) / 1e3

    def ratio(self, percentile: float) -> float:
        return float(np.median(self._ratios(percentile)))

    def bound(self, percentile: float, at: float) -> float:
        """Of the median ratio."""
        ratios = self._ratios(percentile)
        drawn = np.random.default_rng(1).choice(ratios, (RESAMPLES, len(ratios)))
        return float(np.percentile(np.median(drawn, axis=1), at))

    def cost(self) -> float:
        """Percent of a core."""
        there, without = (np.mean([one.core for one in self._slices if one.there == beside])
                          for beside in (True, False))  # fmt: skip
        return float(100 * (there - without))

    def _of_slices(self, beside: bool, percentile: float) -> NDArray[np.float64]:
        return np.array([np.percentile(one.nanoseconds, percentile) for one in self._slices
                         if one.there == beside])  # fmt: skip

    def _ratios(self, percentile: float) -> NDArray[np.float64]:
        """Of each pair."""
        return self._of_slices(True, percentile) / self._of_slices(False, percentile)


def groups(orders: int) -> Iterator[list[tuple[Any, ...]]]:
    """The market is always the same: `orders`, of the neutral workload, changes nothing."""
    with tempfile.TemporaryDirectory() as directory:
        found = Compared(Path(directory))
        what = f"{SUBSCRIBERS} subscribers, {delay.BESIDE_RATE:,} changes/s"
        between = "with bad neighbours to without"
        yield [
            *((f"{what}{', bad neighbours' * beside}, p{percentile}",
               partial(found.last if beside or at else found.measured, beside, percentile), "us")
              for beside in (False, True) for at, percentile in enumerate(PERCENTILES)),
            *((f"{between}, p{percentile}", partial(found.ratio, percentile), "x")
              for percentile in PERCENTILES),
            *((f"{between}, p99, {bound} of 95 %", partial(found.bound, 99, at), "x")
              for bound, at in zip(("least", "most"), BOUNDS, strict=True)),
            ("more work of the feed with bad neighbours", found.cost, "% of a core"),
        ]  # fmt: skip
