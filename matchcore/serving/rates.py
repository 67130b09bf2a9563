"""A rate that a client may keep to."""

from __future__ import annotations

import math


class Bucket:
    """Credits that fill with time: ``per_second`` of them, up to ``burst``.  It begins full.

    Times are in seconds, of any clock that never goes back.

    >>> bucket = Bucket(per_second=10, burst=2, now=0.0)
    >>> bucket.take(2, now=0.0), bucket.take(1, now=0.0)
    (True, False)
    >>> bucket.wait(1, now=0.0), bucket.take(1, now=0.1)
    (0.1, True)
    """

    __slots__ = ("_at", "_credit", "burst", "per_second")

    def __init__(self, per_second: float, burst: float, now: float) -> None:
        self.per_second, self.burst = per_second, float(burst)
        self._credit, self._at = self.burst, now

    def _fill(self, now: float) -> None:
        filled = self._credit + (now - self._at) * self.per_second
        self._credit, self._at = min(filled, self.burst), now

    def take(self, count: float, now: float) -> bool:
        """Takes so many credits; False, and nothing is taken, while there are fewer."""
        self._fill(now)
        if self._credit < count:
            return False
        self._credit -= count
        return True

    def give(self, count: float) -> None:
        """Gives back credits that were taken."""
        self._credit = min(self._credit + count, self.burst)

    def wait(self, count: float, now: float) -> float:
        """Seconds until `take` gives so many, or a whole ``burst``; infinite if it never does."""
        self._fill(now)
        missing = min(count, self.burst) - self._credit
        if missing <= 0:
            return 0.0
        return missing / self.per_second if self.per_second > 0 else math.inf

    def full(self, now: float) -> bool:
        """Whether it is as a new one."""
        self._fill(now)
        return self._credit >= self.burst
