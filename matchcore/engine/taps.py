"""What the log's thread hands on when it is durable, and what one follower has not taken of it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..journal import Packed
from ..records.commands import joined, stamped
from ..records.events import EVENT
from ._queue import Submission
from .answers import Answer
from .submissions import frames

WAITING_BYTES_MAX = 64 << 20  # of one follower; one that is further behind reads the log


class Logged(NamedTuple):
    """Durable commands in a row, and their events.

    - ``first``: sequence of the first command; ``last``: of the last one.
    - ``epoch``: of the engine that wrote them.
    - ``under``: version of the rules that they were applied under.
    - ``rules``: 0, or the version of the rules that the only command changes to.
    - ``commands``: a `COMMAND` array, as the log has them; do not write to it.
    - ``events``: all their events, an `EVENT` array; empty where only commands are followed.
    """

    first: int
    epoch: int
    under: int
    rules: int
    commands: NDArray[np.void]
    events: NDArray[np.void]

    @property
    def last(self) -> int:
        """The sequence of the last command."""
        return self.first + len(self.commands) - 1

    def between(self, first: int, last: int) -> Logged:
        """Those of them that have these sequences, ``last`` included."""
        if first <= self.first and last >= self.last:
            return self
        begin, end = max(0, first - self.first), max(0, last - self.first + 1)
        # the events of a repeat are those of the first answer, with its sequence
        causes = np.maximum.accumulate(self.events["sequence"])
        ends = np.searchsorted(causes, [self.first + begin, self.first + end])
        commands, events = self.commands[begin:end], self.events[slice(*ends)]
        return self._replace(first=self.first + begin, commands=commands, events=events)


NO_EVENTS = np.empty(0, EVENT)


class Tap:
    """One follower's share: filled by the log's thread, emptied by the follower.

    Beyond ``most`` bytes everything is dropped, and the follower reads the log instead.
    ``bell`` is called in the log's thread when there may be more; it must be quick.
    """

    def __init__(self, bell: Callable[[], object], most: int = WAITING_BYTES_MAX) -> None:
        self.bell = bell
        self._most = most
        self._lock = threading.Lock()
        self._waiting: deque[Logged] = deque()
        self._bytes = 0
        self._next = 0  # sequence from which on it has been given everything
        self.ended = False
        self.failure: BaseException | None = None  # why it ended, if not by closing

    def begin(self, sequence: int) -> None:
        """It will be given everything from ``sequence`` on."""
        self._next = sequence

    def give(self, parts: Sequence[Logged]) -> None:
        """What is durable now; without parts it only rings."""
        with self._lock:
            for part in parts:
                self._waiting.append(part)
                self._bytes += part.commands.nbytes + part.events.nbytes
            if self._bytes > self._most:
                self._next = self._waiting[-1].last + 1
                self._waiting.clear()
                self._bytes = 0
        self.bell()

    def end(self, failure: BaseException | None) -> None:
        """Nothing more comes; ``failure``: why, None for a log that was closed."""
        if not self.ended:
            self.failure = failure
            self.ended = True
            self.bell()

    def has(self, after: int) -> bool:
        """True if it has, or will be given, everything beyond ``after``."""
        with self._lock:
            return self._follows(after)

    def _follows(self, after: int) -> bool:
        return after + 1 >= (self._waiting[0].first if self._waiting else self._next)

    def take(self, after: int) -> list[Logged] | None:
        """All that it has beyond ``after``; None if that does not follow: the log has it."""
        with self._lock:
            if not self._follows(after):
                return None
            found = [part.between(after + 1, part.last) for part in self._waiting
                     if part.last > after]  # fmt: skip
            if self._waiting:
                self._next = self._waiting[-1].last + 1
            self._waiting.clear()
            self._bytes = 0
            return found


def own_copies(submissions: Sequence[Submission]) -> None:
    """Makes records the queue's own that their owner may change before they are handed on."""
    for way in submissions:
        if way.is_borrowed:
            way.records = joined([way.records])


def logged(submissions: list[Submission], first: int, epoch: int, under: int) -> list[Logged]:
    """What one group has put into the log from ``first`` on; all its results are there."""
    parts = [(_commands(records, now), rules) for records, now, rules in frames(submissions)]
    results: list[Any] = [_events(way.result) for way in submissions if way.count]
    events: NDArray[np.void] = np.frombuffer(b"".join(results), EVENT)
    all_commands = joined([commands for commands, _ in parts]) if parts[1:] else parts[0][0]
    whole = Logged(first, epoch, under, 0, all_commands, events)
    if not any(rules for _, rules in parts):
        return [whole]
    found = []
    for commands, rules in parts:
        part = whole.between(first, first + len(commands) - 1)
        found.append(part._replace(under=under, rules=rules))
        first, under = first + len(commands), rules or under
    return found


def _commands(records: NDArray[np.void] | Packed, now: int) -> NDArray[np.void]:
    return records.commands() if isinstance(records, Packed) else stamped(records, now)


def _events(result: Answer | NDArray[np.void]) -> bytes | NDArray[np.void]:
    return result if isinstance(result, np.ndarray) else result.records
