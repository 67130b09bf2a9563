"""How long answers took, in any number and in fixed memory."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

SHARE = 64  # buckets of a doubling: 1.1 % apart
BUCKETS = 64 * SHARE
SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "p99.99": 0.9999}


class Histogram:
    """Counts of latencies in buckets 1.1 % apart."""

    def __init__(self) -> None:
        self.counts = np.zeros(BUCKETS, np.int64)
        self.largest = 0

    def add(self, ns: NDArray[np.int64]) -> None:
        """Adds latencies in nanoseconds."""
        if len(ns):
            at = (np.log2(np.maximum(ns, 1)) * SHARE).astype(np.int64)
            self.counts += np.bincount(at, minlength=BUCKETS)[:BUCKETS]
            self.largest = max(self.largest, int(ns.max()))

    def take(self, other: Histogram) -> None:
        """Adds the counts of another one."""
        self.counts += other.counts
        self.largest = max(self.largest, other.largest)

    def at(self, share: float) -> float:
        """The latency in nanoseconds that this share of all does not exceed; 0 without any."""
        total = int(self.counts.sum())
        if not total:
            return 0.0
        place = int(np.searchsorted(np.cumsum(self.counts), math.ceil(share * total)))
        return min(float(2 ** ((place + 1) / SHARE)), float(self.largest))

    def microseconds(self) -> dict[str, float]:
        """The usual figures, in microseconds."""
        figures = {name: round(self.at(share) / 1000, 1) for name, share in SHARES.items()}
        return {**figures, "max": round(self.largest / 1000, 1)}
