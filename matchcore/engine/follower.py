"""A follower reads a log, applies it to its own machine, and delivers to a sink exactly once.

The sink stores the position in the transaction of its rows.  A follower may die at any moment: the
next one reads the position from the sink and continues there.  If the sink was set back, for
example a database restored from a backup, delivery continues from its earlier position.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .._closing import Closing
from ..errors import LogFailed, SinkError
from ..journal import Growing, Keys, Position, Where, batches, open_reader, place_of
from ..machine import machine_class
from .recovery import apply, replay
from .starts import of_this_log, starts

GATHER_SECONDS = 0.01  # after the log has grown: what comes meanwhile shares the transaction
SINK_LOOK_SECONDS = 1.0  # between two looks at where an idle sink stands
BUNDLE_COMMANDS = 4096  # handed on together, when that many are waiting


class SinkBehind(SinkError):
    """A sink is at an earlier ``position`` than the commands that it was given.

    ``first``: the first sequence that it was given.  A `Follower` continues from ``position``.
    """

    def __init__(self, position: Position, first: int) -> None:
        super().__init__(f"the sink is at sequence {position.sequence}, {first} does not follow")
        self.position = position


class Sink(Protocol):
    """The destination of a follower.  Each `write` is one transaction of rows and position."""

    def position(self) -> Position | None:
        """The last position written; None if there is none yet."""

    def write(
        self, position: Position, commands: NDArray[np.void], events: NDArray[np.void]
    ) -> None:
        """Stores commands and events, and the position, in one transaction.

        - ``position``: epoch and sequence of the last command.
        - ``commands``: a `COMMAND` array, ending with that command.
        - ``events``: their events, an `EVENT` array.

        Raises `SinkBehind` if the sink was set back since the last write.
        """

    def close(self) -> None:
        """Releases what the sink holds."""


def set_back(before: Position, now: Position) -> str:
    """A message about how far a sink was set back."""
    return (
        f"the database stands at sequence {now.sequence}, and stood at {before.sequence} before:"
        f" {before.sequence - now.sequence} commands are delivered again"
    )


class Follower(Closing):
    """Delivers the log of an exchange to a sink, also while an engine writes the log.

    It starts at the sink's position, with the newest snapshot before it, and again when the sink
    was set back.  Only one thread may use it.

    - ``path``: the directory of the exchange, or the address of a replicated log.
    - ``sink``: a `Sink`.
    - ``machine``, ``keys``: as for `Engine.open`.
    - ``went_back``: called with the earlier and the new position when the sink was set back.

    `SinkError` if the sink is ahead of the log; `LogDamaged`, `KeyRefused` as `Engine.open`;
    `UnknownRules` at a version of the rules that this matchcore does not know, after everything
    before it was delivered; `LogFailed` if the system refuses a file of the log: that may pass,
    and `step` may be called again.
    """

    def __init__(
        self,
        path: Where,
        sink: Sink,
        *,
        machine: str = "cython",
        keys: Keys | None = None,
        went_back: Callable[[Position, Position], object] = lambda before, now: None,
    ) -> None:
        self._place, self._sink, self._keys = place_of(path), sink, keys
        self._made, self._went_back = machine_class(machine), went_back
        self._growth: Growing | None = None
        self._refused = ""  # what the sink said when it did not take a batch
        self._told = False  # whether the sink has ever said a position
        self._again: Position | None = None  # where to begin again
        self._begin(sink.position() or Position(0, 0))

    def _begin(self, at: Position) -> None:
        """Moves machine and reader to the position of the sink."""
        accept = of_this_log(self._place, accept_loss=True)  # the sink knows the exchange
        start = starts(self._place, self._made, at.sequence, accept, keys=self._keys)
        self._machine = start.machine
        self._reader = open_reader(
            self._place, after=start.sequence, chain=start.chain, keys=self._keys
        )
        if self._growth is not None:
            self._growth.close()
        self._growth = self._reader.growth()
        self._again = None
        self._behind = at.sequence  # delivered before: applied, not handed on
        self.position = at
        self._told |= at.sequence > 0
        self._looks_at = time.monotonic() + SINK_LOOK_SECONDS

    def step(self) -> int:
        """Delivers the commands that the log has now; returns their number, 0 if there are none."""
        if self._refused:
            raise SinkError(f"stopped after {self.position}: {self._refused}; make a new follower")
        while True:
            try:
                if self._again is not None:
                    self._begin_again(self._again)
                delivered = self._deliver()
                if not delivered:
                    self._look()
                return delivered
            except SinkBehind as behind:
                self._go_back(behind)

    def _go_back(self, behind: SinkBehind) -> None:
        if behind.position.sequence >= self.position.sequence:
            self._refused = str(behind)
            raise behind
        self._again = behind.position
        self._reader.close()
        self._went_back(self.position, behind.position)

    def _begin_again(self, at: Position) -> None:
        try:
            self._begin(at)
        except LogFailed:  # it may pass
            raise
        except BaseException as error:
            self._refused = str(error) or type(error).__name__
            raise

    def _look(self) -> None:
        """`SinkBehind` if an idle sink was set back; ignores sinks that keep no position."""
        if time.monotonic() < self._looks_at:
            return
        at = self._sink.position() or Position(0, 0)
        self._told |= at.sequence > 0
        self._looks_at = time.monotonic() + SINK_LOOK_SECONDS
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
                f"the sink is at sequence {self._behind}, but the log ends at"
                f" {self._machine.sequence}: the sink belongs to another exchange or log"
            )
        return delivered

    def run(
        self,
        *,
        forever: bool = False,
        stop: Callable[[], bool] = lambda: False,
        progress: Callable[[int], None] = lambda step: None,
    ) -> Position:
        """Delivers up to the log's end and returns the position.

        - ``forever``: continues at the log's end and waits for more, until ``stop``.
        - ``stop``: called before each step; True ends the run.
        - ``progress``: called after each step with the number of commands delivered.

        Raises what `step` raises.
        """
        while not stop():
            step = self.step()
            progress(step)
            if not step:
                if not forever:
                    break
                self.wait()
        return self.position

    def wait(self) -> None:
        """Returns when the log may have more, and then a moment later; after some 60 ms always."""
        assert self._growth is not None
        self._growth.wait()
        time.sleep(GATHER_SECONDS)

    def close(self) -> None:
        """Closes the reader and the sink."""
        if self._growth is not None:
            self._growth.close()
        self._reader.close()
        self._sink.close()
