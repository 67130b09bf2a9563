"""Which numbers of a run have come, and which are missing in it."""

from __future__ import annotations

from bisect import bisect_left

HOLES_MAX = 1024


class Coverage:
    """Numbers that a line has given: all from the first to `at`, but for holes.

    At most `HOLES_MAX` holes are kept; the oldest beyond count as lost for good.
    """

    def __init__(self) -> None:
        self.at = 0  # behind the largest that came; 0 before the first
        self._holes: list[tuple[int, int]] = []  # first and last, in order
        self._given_up = 0

    @property
    def lost(self) -> int:
        """How many numbers are missing."""
        return self._given_up + sum(last - first + 1 for first, last in self._holes)

    def start(self, number: int) -> None:
        """It goes on with ``number``: what is before was not asked of it."""
        self.at = max(self.at, number)

    def add(self, first: int, last: int) -> int:
        """These came, ``last`` included; returns how many of them had not come before."""
        if not self.at:
            self.at = first
        fresh = max(0, last + 1 - max(first, self.at))
        if first > self.at:
            self._holes.append((self.at, first - 1))
            if len(self._holes) > HOLES_MAX:
                gone_first, gone_last = self._holes.pop(0)
                self._given_up += gone_last - gone_first + 1
        elif first < self.at and self._holes:
            fresh += self._fill(first, last)
        self.at = max(self.at, last + 1)
        return fresh

    def _fill(self, first: int, last: int) -> int:
        at = max(0, bisect_left(self._holes, (first, 0)) - 1)
        end, left, filled = at, [], 0
        while end < len(self._holes) and self._holes[end][0] <= last:
            start, stop = self._holes[end]
            inside = range(max(start, first), min(stop, last) + 1)
            filled += len(inside)
            if not inside:
                left.append((start, stop))
            else:
                left += [one for one in ((start, inside[0] - 1), (inside[-1] + 1, stop))
                         if one[0] <= one[1]]  # fmt: skip
            end += 1
        self._holes[at:end] = left
        return filled
