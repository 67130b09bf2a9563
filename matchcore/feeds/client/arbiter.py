"""Of several lines with the same changes, each change once and in order.  No sockets, no clock.

The first line that brings a number wins, and the others are compared with it.  What is ahead of a
missing number waits for it.  A number is lost when every line that speaks has passed it, or when
patience ends: then it is asked for again, on one line after another, and when none has it only a
snapshot helps.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from ...errors import FeedError
from ..stream import Changes
from .coverage import Coverage

ANSWER_SECONDS = 10.0  # for each part of what was asked for again
SILENCE_SECONDS = 2.0  # two heartbeats
AHEAD_MAX = 262_144  # changes that wait for an earlier one
WINDOW_MAX = 65_536  # changes that were given, to compare the other lines with
ASK_MAX = 65_536  # changes in one request


class HistoryRefused(FeedError):
    """A line is of another exchange or history; ``line`` names it.  The other lines go on."""

    def __init__(self, line: str, why: str) -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line


class HistoryChanged(FeedError):
    """A line of a later epoch has other changes than those that were given: these are not the
    exchange's.  Begin again with a snapshot."""


class Ask(NamedTuple):
    """The numbers ``first`` to ``last`` are to be asked for on ``line``; "": nobody has them."""

    line: str
    first: int
    last: int


@dataclass
class LineHealth:
    """How a line does.

    ``state``: "away", "connected" or "refused"; ``error``: why it is not connected.  ``stale``:
    connected, and silent for two heartbeats.  ``number``: the next that it will bring.
    ``received`` changes, ``first`` of them before the other lines, ``repeated`` on this line;
    ``lost``: numbers that it passed.  ``lead_seconds``: by how much it was before another line, on
    average, where it was first.
    """

    name: str
    state: str = "away"
    error: str = ""
    stale: bool = False
    number: int = 0
    received: int = 0
    first: int = 0
    repeated: int = 0
    lost: int = 0
    lead_seconds: float = 0.0


@dataclass
class _Line:
    health: LineHealth
    coverage: Coverage = field(default_factory=Coverage)
    known: int = 0  # the largest number that it has spoken of
    passed: int = 0  # up to here it brings nothing by itself any more
    heard: float = 0.0  # when it last said anything
    leads: int = 0
    lead_total: float = 0.0


class _Came(NamedTuple):
    changes: Changes
    line: str
    time: float

    @property
    def first(self) -> int:
        return self.changes.first


_FIRST = attrgetter("first")


class Arbiter:
    """Puts the lines ``names`` together, from the number ``first`` on; 0: from a snapshot on.

    ``identity``: the exchange's; None: that of the line that greets first.  ``patience``: seconds
    for a number that a line has passed and another not; endless for lines that lose nothing.
    ``order_seconds``: for which a missing number may just be late, on lines that keep no order.
    Times are seconds of any clock that does not go back.
    """

    def __init__(
        self,
        names: Iterable[str],
        *,
        first: int = 0,
        identity: bytes | None = None,
        patience: float = math.inf,
        order_seconds: float = 0.0,
    ) -> None:
        self._lines = {name: _Line(LineHealth(name)) for name in names}
        self.next = first  # the number that is given next; 0 before a snapshot
        self.epoch = 0
        self.identity = identity
        self._patience, self._order_seconds = patience, order_seconds
        self._ahead: list[_Came] = []  # by first number
        self._ahead_count = 0
        self._given: deque[_Came] = deque()
        self._given_count = 0
        self._noticed: float | None = None  # when the missing number was
        self._asked: set[str] = set()  # lines that were asked for it
        self._asking: Ask | None = None  # what has not been answered
        self._answer_until = 0.0

    # ------------------------------------------------------------------ what lines say

    def greet(self, name: str, identity: bytes, epoch: int, following: int, now: float) -> None:
        """A line connected: it is of this exchange and epoch and has ``following`` next.

        `HistoryRefused` for another exchange, or an earlier history that has gone on.
        """
        if self.identity is None:
            self.identity = identity
        if identity != self.identity:
            self.refuse(name, f"exchange {identity.hex()}, and not {self.identity.hex()}")
        if epoch and epoch < self.epoch and following > self.next:
            self.refuse(name, self._older(epoch, following - 1))
        line = self._lines[name]
        line.health.state, line.health.error = "connected", ""
        self._heard(line, following - 1, now)

    def begin(self, name: str, number: int) -> None:
        """A line that greeted sends from ``number`` on."""
        line = self._lines[name]
        line.coverage.start(number)
        line.passed = number - 1

    def away(self, name: str, why: str) -> None:
        """A line is not connected any more."""
        health = self._lines[name].health
        if health.state != "refused":
            health.state, health.error = "away", why

    def refuse(self, name: str, why: str) -> None:
        """A line is of no use for good; `HistoryRefused`, always."""
        self._mark_refused(name, why)
        raise HistoryRefused(name, why)

    def refused(self, name: str) -> str:
        """Why a line is; "" if it is not."""
        health = self._lines[name].health
        return health.error if health.state == "refused" else ""

    def beat(self, name: str, last: int, now: float) -> None:
        """A line says the number of its last change."""
        line = self._lines[name]
        self._heard(line, last, now)
        line.passed = max(line.passed, last)

    def paused(self, now: float) -> None:
        """Nobody listens at the moment, so silence says nothing about the lines."""
        for line in self._lines.values():
            line.heard = now

    def silent(self, name: str, now: float) -> float:
        """For how many seconds a line has said nothing."""
        return now - self._lines[name].heard

    def restart(self, number: int, epoch: int) -> None:
        """A snapshot that is good for ``number`` was taken: the changes behind it come next.

        ``epoch``: of that change; 0 if nobody knows.  `FeedError` if it is older than what was
        given.
        """
        if number + 1 < self.next or 0 < epoch < self.epoch:
            raise FeedError(f"a snapshot of number {number}, and {self.next} comes next")
        self.next, self.epoch = number + 1, max(self.epoch, epoch)
        self._given.clear()
        self._given_count = 0
        self._noticed = self._asking = None
        self._asked.clear()
        for line in self._lines.values():
            line.known = min(line.known, number)  # it says again what it has

    def take(self, name: str, changes: Changes, now: float) -> list[Changes]:
        """A line brought changes; returns what comes next by now, in order and without a gap.

        `HistoryRefused` if they contradict what was given, `HistoryChanged` if it is they that are
        right.
        """
        line = self._lines[name]
        fresh = line.coverage.add(changes.first, changes.last)
        line.health.received += len(changes.rows)
        line.health.repeated += len(changes.rows) - fresh
        self._heard(line, changes.last, now)
        line.passed = max(line.passed, changes.last)
        came = _Came(changes, name, now)
        if not self._fits(came):
            raise HistoryRefused(name, self.refused(name))
        if changes.last < self.next or not self.next:
            return []
        self._keep(came)
        return self._ready(now)

    def not_here(self, name: str, last: int) -> None:
        """A line has not what is up to ``last``, which it was asked for or was to begin with."""
        line = self._lines[name]
        line.passed = max(line.passed, last)
        if self._asking is not None and self._asking.line == name:
            self._asking = None

    # ------------------------------------------------------------------ what it wants

    def due(self, now: float) -> Ask | None:
        """What is to be asked for now.  Ask often: it says the same thing once."""
        last = self._missing()
        if not self.next or last < self.next:
            self._noticed = self._asking = None
            return None
        if self._noticed is None:
            self._noticed = now
        if self._asking is not None and now < self._answer_until:
            return None
        if now - self._noticed < self._order_seconds:
            return None
        connected = [name for name, line in self._lines.items() if line.health.state == "connected"]
        coming = any(self._brings(self._lines[name], now) for name in connected)
        if not connected or (coming and now - self._noticed < self._patience):
            return None
        return self._ask(connected, min(last, self.next + ASK_MAX - 1), now)

    def health(self, now: float) -> list[LineHealth]:
        """How each line does at this time."""
        for line in self._lines.values():
            health = line.health
            health.number, health.lost = line.coverage.at, line.coverage.lost
            health.stale = health.state == "connected" and now - line.heard >= SILENCE_SECONDS
            health.lead_seconds = line.lead_total / line.leads if line.leads else 0.0
        return [line.health for line in self._lines.values()]

    @property
    def waits(self) -> bool:
        """Whether a number is missing: `due` has something to say, now or soon."""
        return bool(self.next) and self._missing() >= self.next

    # ------------------------------------------------------------------ inside

    def _brings(self, line: _Line, now: float) -> bool:
        """Whether the next number may still come on a line by itself."""
        return line.passed < self.next and now - line.heard < SILENCE_SECONDS

    def _ask(self, connected: list[str], last: int, now: float) -> Ask | None:
        """The line that was not asked and knows most, and one that may still bring it last; when
        all were, nobody.  None while a line has not been reached for the first time, and may have
        it."""
        left = [name for name in connected if name not in self._asked]

        def rank(name: str) -> tuple[bool, int]:
            line = self._lines[name]
            return not self._brings(line, now), line.known

        name = max(left, key=rank, default="")
        health = [line.health for line in self._lines.values()]
        if not name and any(one.state == "away" and not one.error for one in health):
            return None
        if name:
            self._asked.add(name)
        else:
            self._asked.clear()
        self._asking, self._answer_until = Ask(name, self.next, last), now + ANSWER_SECONDS
        return self._asking

    def _missing(self) -> int:
        """The last number of the gap that begins with the next one; less if there is none."""
        if self._ahead:
            return self._ahead[0][0].first - 1
        return max((line.known for line in self._lines.values()
                    if line.health.state != "refused"), default=0)  # fmt: skip

    def _heard(self, line: _Line, last: int, now: float) -> None:
        line.heard = now
        line.known = max(line.known, last)

    def _keep(self, came: _Came) -> None:
        """Among those that wait; what is too far ahead is left out and asked for later."""
        changes, count = came.changes, len(came.changes.rows)
        if changes.first > self.next and self._ahead_count + count > AHEAD_MAX:
            return
        at = bisect_right(self._ahead, changes.first, key=_FIRST)
        if at and self._ahead[at - 1].changes.last >= changes.last:
            return  # nothing new
        self._ahead.insert(at, came)
        self._ahead_count += count

    def _ready(self, now: float) -> list[Changes]:
        """What follows the last one that was given."""
        ready: list[Changes] = []
        while self._ahead and self._ahead[0].first <= self.next:
            came = self._ahead.pop(0)
            waiting = came.changes
            self._ahead_count -= len(waiting.rows)
            if waiting.last < self.next or not self._fits(came):
                continue
            if waiting.epoch < self.epoch:
                self._mark_refused(came.line, self._older(waiting.epoch, waiting.last))
                continue
            changes = waiting.between(self.next, waiting.last)
            self._remember(_Came(changes, came.line, came.time))
            ready.append(changes)
        if ready:
            self._progressed(now)
        return ready

    def _progressed(self, now: float) -> None:
        self._noticed, self._answer_until = None, now + ANSWER_SECONDS
        if self._asking is None or self._asking.last < self.next:
            self._asking = None
            self._asked.clear()

    def _remember(self, given: _Came) -> None:
        changes = given.changes
        self.next, self.epoch = changes.last + 1, changes.epoch
        self._lines[given.line].health.first += len(changes.rows)
        self._given.append(given)
        self._given_count += len(changes.rows)
        while len(self._given) > 1 and (
            self._given_count - len(self._given[0].changes.rows) >= WINDOW_MAX
        ):
            self._given_count -= len(self._given.popleft().changes.rows)

    def _fits(self, came: _Came) -> bool:
        """Whether it says the same as what was given under the same numbers; else it is refused,
        or `HistoryChanged`."""
        changes, line = came.changes, came.line
        at = max(0, bisect_right(self._given, changes.first, key=_FIRST) - 1)
        while at < len(self._given) and self._given[at].first <= changes.last:
            given = self._given[at]
            at += 1
            first = max(given.first, changes.first)
            last = min(given.changes.last, changes.last)
            if first > last:
                continue
            mine, theirs = given.changes.between(first, last), changes.between(first, last)
            if mine.rows.tobytes() != theirs.rows.tobytes() or mine.epoch != theirs.epoch:
                self._contradicted(line, first, theirs.epoch, mine.epoch)
                return False
            if given.line != line and last == given.changes.last:
                self._lines[given.line].leads += 1
                self._lines[given.line].lead_total += came.time - given.time
        return True

    def _contradicted(self, name: str, number: int, theirs: int, mine: int) -> None:
        if theirs > mine:
            raise HistoryChanged(
                f"line {name} of epoch {theirs} has other changes from number {number} on than were"
                f" given of epoch {mine}: those are not in the exchange's log; take a snapshot"
            )
        self._mark_refused(
            name, f"other changes at number {number}, of epoch {theirs}, than were given: another"
            " history"
        )  # fmt: skip

    def _older(self, epoch: int, number: int) -> str:
        return (
            f"number {number} is of epoch {epoch}, and number {self.next - 1} was of {self.epoch}:"
            " another history"
        )

    def _mark_refused(self, name: str, why: str) -> None:
        """Nothing of it counts any more."""
        health = self._lines[name].health
        health.state, health.error = "refused", why
        self._ahead = [one for one in self._ahead if one.line != name]
        self._ahead_count = sum(len(one.changes.rows) for one in self._ahead)
