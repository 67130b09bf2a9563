"""A follower: reads a log, drives its own machine, and hands both to a sink, each thing once.

The sink keeps the position in the same transaction as its rows, so a follower can die anywhere:
the next one asks the sink where it stood and goes on from there.  A sink that is set back, such as
a database restored from a backup, is followed from its earlier position again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .._closing import Closing
from ..errors import SinkError
from ..journal import Keys, LogReader, Position, batches
from ..machine import machine_class
from .recovery import apply, of_this_log, replay, starts

POLL_SECONDS = 0.02
LOOK_SECONDS = 1.0  # between two looks at where an idle sink stands
BUNDLE_COMMANDS = 4096  # handed on together, when that many are waiting


class SinkBehind(SinkError):
    """A sink stands at an earlier `position` than what it was given would follow.

    A `Follower` goes back there by itself.
    """

    def __init__(self, position: Position, first: int) -> None:
        super().__init__(f"the sink is at sequence {position.sequence}, {first} does not follow")
        self.position = position


class Sink(Protocol):
    """Where a follower delivers.  `write` is one transaction: the rows and the position.

    `write` raises `SinkBehind` when the sink was set back since it took what came before.
    """

    def position(self) -> Position | None:
        """The last position written, None when there is none yet."""

    def write(
        self, position: Position, commands: NDArray[np.void], events: NDArray[np.void]
    ) -> None:
        """Takes the commands up to and including a position (`COMMAND`) and their `EVENT`s."""

    def close(self) -> None: ...


def set_back(before: Position, now: Position) -> str:
    """How far back a sink was set, as people read it."""
    return (
        f"the database stands at sequence {now.sequence}, and stood at {before.sequence} before:"
        f" {before.sequence - now.sequence} commands are delivered again"
    )


class Follower(Closing):
    """Follows the log in a directory into a sink, also while an engine writes it.

    Starts at the sink's position, from the newest snapshot before it; does so again when the sink
    was set back, and `went_back` hears from which position to which.  Not for two threads.
    Raises `SinkError` when the sink is ahead of the log, `LogDamaged` as recovery does,
    `UnknownRules` behind all that came before a version that this matchcore does not know.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        sink: Sink,
        *,
        machine: str = "cython",
        keys: Keys | None = None,
        went_back: Callable[[Position, Position], object] = lambda before, now: None,
    ) -> None:
        self._directory, self._sink, self._keys = Path(path), sink, keys
        self._made, self._went_back = machine_class(machine), went_back
        self._refused = ""  # what the sink said when it did not take a batch
        self._told = False  # whether the sink has ever said a position
        self._begin(sink.position() or Position(0, 0))

    def _begin(self, at: Position) -> None:
        """Takes the machine and the reader to where the sink stands."""
        accept = of_this_log(self._directory, accept_loss=True)  # the sink knows the exchange
        start = starts(self._directory, self._made, at.sequence, accept, keys=self._keys)
        self._machine = start.machine
        self._reader = LogReader(
            self._directory, after=start.sequence, chain=start.chain, keys=self._keys
        )
        self._behind = at.sequence  # delivered before: applied, not handed on
        self.position = at
        self._told |= at.sequence > 0
        self._looks_at = time.monotonic() + LOOK_SECONDS

    def step(self) -> int:
        """Delivers what the log has now; returns the number of commands (0: up to date)."""
        if self._refused:
            raise SinkError(f"stopped behind {self.position}: {self._refused}; make a new follower")
        while True:
            try:
                delivered = self._deliver()
                if not delivered:
                    self._look()
                return delivered
            except SinkBehind as behind:
                self._go_back(behind)

    def _go_back(self, behind: SinkBehind) -> None:
        self._refused = str(behind)  # until there is a machine of that position
        if behind.position.sequence >= self.position.sequence:
            raise behind
        self._went_back(self.position, behind.position)
        self._reader.close()
        self._begin(behind.position)
        self._refused = ""

    def _look(self) -> None:
        """`SinkBehind` if an idle sink was set back; one that keeps no position never is."""
        if time.monotonic() < self._looks_at:
            return
        at = self._sink.position() or Position(0, 0)
        self._told |= at.sequence > 0
        self._looks_at = time.monotonic() + LOOK_SECONDS
        if self._told and at.sequence < self.position.sequence:
            raise SinkBehind(at, self.position.sequence + 1)

    def _deliver(self) -> int:
        delivered = 0
        for batch in batches(self._reader.read(), BUNDLE_COMMANDS):
            replay(self._machine, batch, upto=self._behind)
            commands = batch.commands[self._machine.sequence + 1 - batch.first_sequence :]
            if len(commands):
                events = apply(self._machine, batch)
                position = Position(batch.epoch, self._machine.sequence)
                try:
                    self._sink.write(position, commands, events)
                except SinkBehind:
                    raise
                except BaseException as error:
                    self._refused = str(error) or type(error).__name__
                    raise
                self.position = position
                delivered += len(commands)
        if not delivered and self._machine.sequence < self._behind:
            raise SinkError(
                f"the sink stands at sequence {self._behind}, the log ends at"
                f" {self._machine.sequence}: it belongs to another history"
            )
        return delivered

    def run(
        self,
        *,
        forever: bool = False,
        stop: Callable[[], bool] = lambda: False,
        progress: Callable[[int], None] = lambda step: None,
    ) -> Position:
        """Delivers until the log's end, or with `forever` until `stop()`; returns where it is."""
        while not stop():
            step = self.step()
            progress(step)
            if not step:
                if not forever:
                    break
                time.sleep(POLL_SECONDS)
        return self.position

    def close(self) -> None:
        """Closes the reader and the sink."""
        self._reader.close()
        self._sink.close()
