"""The changes between two flushes, by instrument."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...records.changes import CHANGE
from ...records.schema import BOOK_CHANGES, ChangeKind

_LAST_BOOK_CHANGE = max(BOOK_CHANGES)
EXECUTED = int(ChangeKind.EXECUTED)  # an enumeration compares slowly


class Batch:
    """Changes and their numbers, sorted by instrument; a column is gathered once for all."""

    def __init__(self, rows: NDArray[np.void], numbers: NDArray[np.int64]) -> None:
        kinds = rows["kind"]
        self.ended: dict[int, int] = {}  # number of the last end of a day, by instrument; 0: of all
        if kinds.max(initial=0) > _LAST_BOOK_CHANGE:
            ends = np.flatnonzero(kinds == ChangeKind.DAY_ENDED)
            instruments = rows["instrument"][ends].tolist()
            self.ended = dict(zip(instruments, numbers[ends].tolist(), strict=True))
            of_books = kinds <= _LAST_BOOK_CHANGE
            rows, numbers = rows[of_books], numbers[of_books]
        instruments = rows["instrument"]
        self._order = np.argsort(instruments, kind="stable")
        self._rows, self._numbers = rows, numbers[self._order]
        self._columns: dict[str, NDArray[Any]] = {}
        ordered = instruments[self._order]
        cuts = [0, *(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1).tolist(), len(rows)]
        #: Of each instrument with a change of its book.
        self.windows = {
            int(ordered[begin]): Window(self, begin, end)
            for begin, end in pairwise(cuts)
            if end > begin
        }

    def column(self, name: str, begin: int, end: int) -> list[int]:
        """A field of the changes at these places."""
        known = self._columns.get(name)
        if known is None:
            known = self._columns[name] = self._rows[name][self._order]
        found: list[int] = known[begin:end].tolist()
        return found

    def number(self, at: int) -> int:
        return int(self._numbers[at])

    def rows(self, begin: int, end: int) -> NDArray[np.void]:
        found: NDArray[np.void] = self._rows[self._order[begin:end]]
        return found


class Window:
    """The changes of one book, in order.  ``day_ended``: as in `Batch`, 0 without one."""

    __slots__ = ("_batch", "_begin", "_end", "_kinds", "day_ended")

    def __init__(self, batch: Batch, begin: int, end: int, day_ended: int = 0) -> None:
        self._batch, self._begin, self._end = batch, begin, end
        self._kinds: list[int] | None = None
        self.day_ended = day_ended

    def column(self, name: str) -> list[int]:
        return self._batch.column(name, self._begin, self._end)

    def tuples(self, names: tuple[str, ...]) -> Iterable[tuple[Any, ...]]:
        """These fields of each change."""
        return zip(*map(self.column, names), strict=True)

    @property
    def last(self) -> int:
        """The number of the last change; 0 without one."""
        return self._batch.number(self._end - 1) if self._end > self._begin else 0

    @property
    def rows(self) -> NDArray[np.void]:
        """All of them, a `CHANGE` array."""
        return self._batch.rows(self._begin, self._end)

    @property
    def executed(self) -> list[int]:
        """Places of the executions among them."""
        if self._kinds is None:
            self._kinds = self.column("kind")
        return [at for at, kind in enumerate(self._kinds) if kind == EXECUTED]

    @property
    def last_executed(self) -> int:
        """The number of the last execution; 0 without one."""
        executed = self.executed
        return self._batch.number(self._begin + executed[-1]) if executed else 0


NOTHING = Window(Batch(np.empty(0, CHANGE), np.empty(0, np.int64)), 0, 0)
