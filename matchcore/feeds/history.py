"""What a stream has given: the newest changes from memory, older ones from the log again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

from ..errors import FeedError
from ..journal import Keys
from .stream import Changes, Mark, Stream

KEPT_CHANGES = 1_000_000  # in memory: 88 bytes each
MARK_EVERY = 1_000_000  # changes between two places from which it is derived again


class History:
    """The changes of a stream by number.  `take` everything that it gives, and its marks."""

    def __init__(self, directory: Path, *, keys: Keys | None = None, most: int = KEPT_CHANGES):
        self._directory, self._keys, self._most = directory, keys, most
        self._kept: deque[Changes] = deque()
        self._count = 0
        self._marks: list[Mark] = []
        self.last = 0  # number of the newest

    def take(self, changes: Changes) -> None:
        """The next ones."""
        self._kept.append(changes)
        self._count += len(changes.rows)
        self.last = changes.last
        while len(self._kept) > 1 and self._count - len(self._kept[0].rows) >= self._most:
            self._count -= len(self._kept.popleft().rows)

    def note(self, mark: Mark) -> None:
        """A place of the stream from which it can be derived again."""
        if not self._marks or mark.number - self._marks[-1].number >= MARK_EVERY:
            self._marks.append(mark)

    @property
    def first(self) -> int:
        """The oldest number that is in memory; behind `last` if there is none."""
        return self._kept[0].first if self._kept else self.last + 1

    def between(self, first: int, last: int) -> Iterator[Changes]:
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
            yield _cut(changes, first, last)

    def _remembered(self, first: int) -> list[Changes]:
        return [changes for changes in self._kept if changes.last >= first]

    def _derived(self, first: int) -> Iterator[Changes]:
        mark = next((one for one in reversed(self._marks) if one.number <= first), None)
        with Stream(self._directory, mark=mark, keys=self._keys) as stream:
            for changes in stream.poll():
                if changes.last >= first:
                    yield changes


def _cut(changes: Changes, first: int, last: int) -> Changes:
    skipped = max(0, first - changes.first)
    rows = changes.rows[skipped : last - changes.first + 1]
    return Changes(changes.first + skipped, changes.epoch, rows)
