"""What a stream has given: the newest changes from memory, older ones from the log again."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator, Iterator
from operator import attrgetter

import numpy as np

from ..errors import FeedError
from ..journal import Keys, Place
from ..records.changes import CHANGE
from .stream import Changes, Mark, Stream

KEPT_CHANGES = 1_000_000  # in memory: 88 bytes each
MARK_EVERY = 1_000_000  # changes between two places from which it is derived again
FORGOTTEN_MAX = 1024  # places of the list that may be empty

_FORGOTTEN = Changes(0, 0, np.empty(0, CHANGE))
_FIRST = attrgetter("first")


class History:
    """The changes of a stream by number.  `take` everything that it gives, and its marks.

    ``directory``: or address, of the log that older ones are derived from; None: there are none.
    """

    def __init__(
        self, directory: Place | None, *, keys: Keys | None = None, most: int = KEPT_CHANGES
    ) -> None:
        self._directory, self._keys, self._most = directory, keys, most
        self._kept: list[Changes] = []  # from `_from` on; what is before is forgotten
        self._from = 0
        self._count = 0
        self._marks: list[Mark] = []
        self.last = 0  # number of the newest
        self.epoch = 0  # of the newest; 0 if that is not known

    def take(self, changes: Changes) -> None:
        """The next ones."""
        kept = self._kept
        kept.append(changes)
        self._count += len(changes.rows)
        self.last, self.epoch = changes.last, changes.epoch
        while self._from < len(kept) - 1 and (
            self._count - len(kept[self._from].rows) >= self._most
        ):
            self._count -= len(kept[self._from].rows)
            kept[self._from] = _FORGOTTEN
            self._from += 1
        if self._from > FORGOTTEN_MAX and 2 * self._from > len(kept):
            del kept[: self._from]
            self._from = 0

    def note(self, mark: Mark) -> None:
        """A place of the stream from which it can be derived again."""
        if not self._marks or mark.number - self._marks[-1].number >= MARK_EVERY:
            self._marks.append(mark)

    @property
    def first(self) -> int:
        """The oldest number that is in memory; behind `last` if there is none."""
        return self._kept[self._from].first if self._kept else self.last + 1

    @property
    def derives(self) -> bool:
        """Whether those that are not in memory can be had all the same."""
        return self._directory is not None

    @property
    def oldest(self) -> int:
        """The oldest number that may be asked for; of a log whose beginning is archived, an
        attempt shows."""
        return 1 if self.derives else self.first

    def between(self, first: int, last: int) -> Generator[Changes, None, None]:
        """The changes with these numbers, ``last`` included.

        Those that are not in memory are derived from the log, which takes its time: not for the
        thread of an event loop if ``first`` is before `History.first`.  `FeedError` for numbers
        that there are not yet, or no longer (the log's beginning is archived).
        """
        if not 1 <= first <= self.last + 1 or last > self.last:
            raise FeedError(f"numbers {first} to {last}: there are 1 to {self.last}")
        found = self._remembered(first) if first >= self.first else self._derived(first)
        for changes in found:
            if changes.first > last:
                return
            yield changes.between(first, last)

    def _remembered(self, first: int) -> Iterator[Changes]:
        """Not disturbed by a `take` between two of them: numbers stay, places do not."""
        number = first
        while number <= self.last:
            at = bisect_right(self._kept, number, self._from, key=_FIRST) - 1
            if at < self._from:
                raise FeedError(f"number {number} is too old by now: memory begins at {self.first}")
            changes = self._kept[at]
            number = changes.last + 1
            yield changes

    def _derived(self, first: int) -> Iterator[Changes]:
        if self._directory is None:
            raise FeedError(f"number {first} is too old: memory begins at {self.first}")
        mark = next((one for one in reversed(self._marks) if one.number <= first), None)
        with Stream(self._directory, mark=mark, keys=self._keys) as stream:
            for changes in stream.poll():
                if changes.last >= first:
                    yield changes
