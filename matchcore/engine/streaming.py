"""All durable commands and events in the order of the log: what it has, and then as it grows.

A follower in the engine's process gets what the engine has matched (`taps`).  One that begins
earlier, or is slow, reads the log and matches again until it has caught up.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from .._closing import Closing
from ..errors import LogFailed, NotInTheLog
from ..journal import (
    Batch,
    Disk,
    Frame,
    Log,
    Place,
    Reader,
    batches,
    first_sequence,
    open_reader,
)
from ..journal.memory import Unwritten
from ..machine import Machine
from ..records.arguments import UINT64_MAX, integer
from .pipeline import Pipeline
from .recovery import apply, recorded, replay
from .starts import Start, of_this_log, starts
from .submissions import reason
from .taps import NO_EVENTS, WAITING_BYTES_MAX, Logged, Tap

BUNDLE_COMMANDS = 8192  # of one part that is read in the log


class Followed:
    """An engine whose log can be followed."""

    _log: Log | None
    _pipeline: Pipeline
    _machine: Machine
    _disk: Disk
    place: Place | None

    @property
    def failure(self) -> BaseException | None:
        """Why the engine takes no more commands: it failed or was closed.  None while it does."""
        return self._pipeline.failure

    def events(self, *, after: int = 0) -> Events:
        """All durable commands and events in log order, beyond the sequence ``after``.

        An iterator of `Logged` that waits at the log's end, until the engine is closed; `read`
        waits for a time, or not at all.  Close it to stop following.  A follower that is slow
        costs 64 MiB at most.  An engine without a log has nothing but what comes from now on: no
        other thread may submit during this call.

        `NotInTheLog` if the log ends before ``after`` or begins later; reading raises `LogFailed`
        when the engine has failed, and what `Engine.open` raises.
        """
        return Events(self, after)

    def _to_follow(self) -> tuple[Log, Pipeline]:
        """The log; a log that keeps nothing from now on, where there was none."""
        pipeline = self._pipeline
        if pipeline.failure is not None:
            raise pipeline.refusal()
        log = self._log
        if log is None:
            with pipeline:
                log = self._log = pipeline.log = Unwritten(
                    self._machine.sequence, self._machine.rules
                )
        return log, pipeline


def first_followed(engine: Followed) -> int:
    """Sequence of the first command that the engine's log has."""
    log, _ = engine._to_follow()
    return _first(log, engine.place, engine._disk, 1)


def _first(log: Log, place: Place | None, disk: Disk, otherwise: int) -> int:
    if isinstance(log, Unwritten):
        return log.first
    return otherwise if place is None else first_sequence(place, disk)


class Stream(Closing):
    """The log of ``engine`` beyond the sequence ``after``, taken without waiting.

    ``bell``: called in another thread when there may be more to `poll`; must be quick.  ``most``:
    bytes that wait for this follower; beyond that it reads the log.  Without ``matched`` the parts
    that are read in the log have no events.  Not for two threads.  `NotInTheLog` as `events`.
    """

    def __init__(
        self,
        engine: Followed,
        after: int,
        bell: Callable[[], object],
        *,
        most: int = WAITING_BYTES_MAX,
        matched: bool = True,
    ) -> None:
        self.sequence = integer(after, "after", 0, UINT64_MAX)  #: of the last command given
        self._log, self._pipeline = engine._to_follow()
        self._place, self._disk, self._made = engine.place, engine._disk, type(engine._machine)
        self._matched = matched
        self._machine: Machine | None = None  # while it reads the log
        self._reader: Reader | None = None
        self._parts: Iterator[Batch] | None = None
        self._tap = Tap(bell, most)
        self._pipeline.tap(self._tap)
        try:
            self._check(self.sequence)
        except BaseException:
            self.close()
            raise

    def _check(self, after: int) -> None:
        if after > self._log.sequence:
            raise NotInTheLog(f"after {after}: the log ends with sequence {self._log.sequence}")
        first = _first(self._log, self._place, self._disk, after + 1)
        if after + 1 < first:
            raise NotInTheLog(
                f"after {after}: the log begins with sequence {first}: restore archived segments,"
                f" or follow it after {first - 1}"
            )

    @property
    def reads(self) -> bool:
        """True if the next `poll` may read files, and take its time."""
        return self._parts is not None or not self._tap.has(self.sequence)

    @property
    def ended(self) -> bool:
        """True once no more will come than `poll` gives."""
        return self._tap.ended

    def poll(self) -> list[Logged]:
        """What is there now; nothing at the log's end.

        `LogFailed` at the end of a log that has failed, and what reading a log raises.
        """
        ended = self._tap.ended  # before looking: what it was given before is taken first
        found = self._tap.take(self.sequence)
        if found is None:
            found = self._read()
        elif self._parts is not None:
            self._stop_reading()
        if found:
            self.sequence = found[-1].last
        elif ended and (failure := self._tap.failure) is not None:
            raise LogFailed(f"the log grows no more: {reason(failure)}") from failure
        return found

    def _read(self) -> list[Logged]:
        batch = next(self._parts, None) if self._parts is not None else None
        if batch is None:  # the log may have grown since those were looked for
            self._parts = batches(self._frames(), BUNDLE_COMMANDS)
            batch = next(self._parts, None)
        if batch is None:
            return []
        known = max(0, self.sequence + 1 - batch.first_sequence)
        events = self._events(batch) if self._matched else NO_EVENTS
        first, commands = batch.first_sequence + known, batch.commands[known:]
        return [Logged(first, batch.epoch, batch.under, batch.rules, commands, events)]

    def _frames(self) -> Iterator[Frame]:
        if self._place is not None:
            if self._reader is None:
                self._reader = open_reader(
                    self._place, after=self.sequence, keys=self._log.keys, disk=self._disk
                )
            yield from self._reader.read()
            return
        durable = self._log.durable
        for frame in self._log.frames(self.sequence):
            if frame.first_sequence + frame.count - 1 > durable:
                return
            yield frame

    def _events(self, batch: Batch) -> NDArray[np.void]:
        if self._machine is None:
            self._machine = self._machine_at(self.sequence)
        return apply(self._machine, batch)

    def _machine_at(self, sequence: int) -> Machine:
        """A machine behind a command that is durable."""
        start = Start(self._made(), None, [], 0)
        frames: Callable[[int], Iterator[Frame]] = self._log.frames
        if self._place is not None:  # not through the log, which is not to be read beside appending
            accept = of_this_log(self._place, self._disk, accept_loss=True)
            start = starts(self._place, self._made, sequence, accept, self._disk, self._log.keys)
            frames = recorded(self._place, self._log.keys, self._disk)
        if start.sequence < sequence:
            for frame in frames(start.sequence):
                replay(start.machine, frame, upto=sequence)
                if start.machine.sequence >= sequence:
                    break
        return start.machine

    def _stop_reading(self) -> None:
        self._parts = self._machine = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def close(self) -> None:
        """Stops following."""
        self._pipeline.untap(self._tap)
        self._stop_reading()


class Events(Stream):
    """An iterator over the log of an engine; see `Engine.events`.  For one thread.

    >>> from matchcore import Engine, Instrument, MemoryLog, NewOrder, Side
    >>> engine = Engine.memory(instruments=[Instrument("ANA", "0.05")], log=MemoryLog())
    >>> order = engine.submit(NewOrder("ANA", Side.BUY, 10, "95.70"))
    >>> with engine.events(after=2) as stream:
    ...     part = next(stream)
    >>> part.first, part.commands["quantity"].tolist(), part.events["order_id"].tolist()
    (3, [10], [1])
    """

    def __init__(self, engine: Followed, after: int) -> None:
        self._rung = threading.Event()
        self._ready: deque[Logged] = deque()
        super().__init__(engine, after, self._rung.set)

    def __iter__(self) -> Events:
        return self

    def __next__(self) -> Logged:
        found = self.read()
        if found is None:
            raise StopIteration
        return found

    def read(self, timeout: float | None = None) -> Logged | None:
        """The next part; None if there is none within ``timeout`` seconds, or at the end.

        Without a timeout it waits until the engine is closed.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while not self._ready:
            self._rung.clear()
            ended = self.ended
            self._ready.extend(self.poll())
            if self._ready:
                break
            left = None if until is None else until - time.monotonic()
            if ended or (left is not None and left <= 0) or not self._rung.wait(left):
                return None
        return self._ready.popleft()
