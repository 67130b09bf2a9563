"""A follower: reads a log, drives its own machine, and hands both to a sink, each thing once.

The sink keeps the position in the same transaction as its rows, so a follower can die anywhere:
the next one asks the sink where it stood and goes on from there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .closing import Closing
from .commands import joined
from .errors import LogDamaged, SinkError
from .journal import Keys, LogReader, Position
from .recovery import machine_class, of_this_log, starts

POLL_SECONDS = 0.02
BUNDLE_COMMANDS = 4096  # handed on together, when that many are waiting


class Sink(Protocol):
    """Where a follower delivers.  `write` is one transaction: the rows and the position."""

    def position(self) -> Position | None:
        """The last position written, None when there is none yet."""

    def write(
        self, position: Position, commands: NDArray[np.void], events: NDArray[np.void]
    ) -> None:
        """Takes the commands up to and including a position (`COMMAND`) and their `EVENT`s."""

    def close(self) -> None: ...


class Follower(Closing):
    """Follows the log in a directory into a sink, also while an engine writes it.

    Starts at the sink's position, from the newest snapshot before it.  Not for two threads.
    Raises `SinkError` when the sink is ahead of the log, `LogDamaged` as recovery does.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        sink: Sink,
        *,
        machine: str = "cython",
        keys: Keys | None = None,
    ) -> None:
        directory = Path(path)
        self._sink = sink
        at = sink.position() or Position(0, 0)
        accept = of_this_log(directory, accept_loss=True)  # the sink knows the exchange
        start = starts(directory, machine_class(machine), at.sequence, accept, keys=keys)
        self._machine = start.machine
        self._reader = LogReader(directory, after=start.sequence, chain=start.chain, keys=keys)
        self._refused = ""  # what the sink said when it did not take a bundle
        self._behind = at.sequence  # delivered before: applied, not handed on
        self.position = at

    def step(self) -> int:
        """Delivers what the log has now; returns the number of commands (0: up to date)."""
        if self._refused:
            raise SinkError(f"stopped behind {self.position}: {self._refused}; make a new follower")
        delivered = 0
        for epoch, commands in self._bundles():
            known = max(0, self._behind - self._machine.sequence)
            self._machine.apply(commands[:known])
            if known < len(commands):
                events = self._machine.apply(commands[known:])
                position = Position(epoch, self._machine.sequence)
                try:
                    self._sink.write(position, commands[known:], events)
                except BaseException as error:
                    self._refused = str(error) or type(error).__name__
                    raise
                self.position = position
                delivered += len(commands) - known
        if not delivered and self._machine.sequence < self._behind:
            raise SinkError(
                f"the sink stands at sequence {self._behind}, the log ends at"
                f" {self._machine.sequence}: it belongs to another history"
            )
        return delivered

    def _bundles(self) -> Iterator[tuple[int, NDArray[np.void]]]:
        """What the machine has not seen, frames put together: one transaction for many commands.

        Damage is raised only behind everything that came before it.
        """
        waiting: list[NDArray[np.void]] = []
        epoch, reached, size = 0, self._machine.sequence, 0
        try:
            for frame in self._reader.read():
                commands = frame.commands[max(0, reached + 1 - frame.first_sequence) :]
                if waiting and size + len(commands) > BUNDLE_COMMANDS:
                    yield epoch, joined(waiting)
                    waiting, size = [], 0
                waiting.append(commands)
                epoch, reached, size = frame.epoch, reached + len(commands), size + len(commands)
        except LogDamaged:
            if waiting:
                yield epoch, joined(waiting)
            raise
        if waiting:
            yield epoch, joined(waiting)

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
