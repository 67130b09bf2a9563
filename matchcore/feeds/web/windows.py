"""The changes between two flushes, by instrument."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ...records.changes import CHANGE
from ...records.schema import BOOK_CHANGES, ChangeKind
from ..rings import joined
from ..states import KINDS
from ..stream import Changes
from ._texts import last_executed

_LAST_BOOK_CHANGE = int(max(BOOK_CHANGES))  # an enumeration compares slowly


@dataclass(slots=True)
class Window:
    """The changes of one book, in order, and their numbers.

    ``status``: the number of the last end of a day, or change of the state of the market, that
    concerns it; 0 without one.
    """

    rows: NDArray[np.void]
    numbers: NDArray[np.int64]
    status: int = 0

    @property
    def last(self) -> int:
        """The number of the last change; 0 without one."""
        return int(self.numbers[-1]) if len(self.numbers) else 0

    @property
    def last_executed(self) -> int:
        """The number of the last execution; 0 without one."""
        at = last_executed(self.rows)
        return int(self.numbers[at]) if at >= 0 else 0

    def parts(self, most: int) -> list[Window]:
        """The same as windows of at most so many changes."""
        if len(self.rows) <= most:
            return [self]
        places = range(0, len(self.rows), most)
        return [Window(self.rows[at : at + most], self.numbers[at : at + most]) for at in places]


def windows_of(rows: NDArray[np.void], numbers: NDArray[np.int64]) -> dict[int, Window]:
    """Of each instrument with a change.  The end of a day of all instruments is at 0."""
    instruments, kinds = rows["instrument"], rows["kind"]
    ended: dict[int, int] = {}
    if kinds.max(initial=0) > _LAST_BOOK_CHANGE:
        ends = np.flatnonzero((kinds == ChangeKind.DAY_ENDED) | np.isin(kinds, KINDS))
        ended = dict(zip(instruments[ends].tolist(), numbers[ends].tolist(), strict=True))
        of_books = kinds <= _LAST_BOOK_CHANGE
        rows, numbers = rows.compress(of_books), numbers[of_books]
        instruments = rows["instrument"]
    order = np.argsort(instruments, kind="stable")
    rows, numbers, instruments = rows.take(order), numbers[order], instruments[order]
    cuts = np.flatnonzero(instruments[1:] != instruments[:-1]) + 1
    places = pairwise([0, *cuts.tolist(), len(rows)])
    found = {
        int(instruments[begin]): Window(rows[begin:end], numbers[begin:end])
        for begin, end in places
        if end > begin
    }
    for number, last in ended.items():
        found.setdefault(number, Window(*_NOTHING)).status = last
    return found


_NOTHING = np.empty(0, CHANGE), np.empty(0, np.int64)
NOTHING = Window(*_NOTHING)


def windows_since(pending: Sequence[Changes], followed: Iterable[int]) -> dict[int, Window]:
    """Those of several parts in a row.  What concerns all instruments is in each ``followed``."""
    rows = joined([changes.rows for changes in pending])
    windows = windows_of(rows, np.arange(pending[0].first, pending[0].first + len(rows)))
    everybody = windows.pop(0, NOTHING).status
    if everybody:
        for number in followed:
            window = windows.setdefault(number, Window(*_NOTHING))
            window.status = max(window.status, everybody)
    return windows
