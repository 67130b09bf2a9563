"""A follower whose machine can become that of an engine, at the end of the log."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._closing import Closing
from ..engine.engine import Engine
from ..engine.reads import Reads
from ..engine.recovery import apply, replay
from ..engine.snapshotting import SNAPSHOTS_KEPT
from ..engine.starts import Start, of_this_log, starts
from ..errors import LogError
from ..journal import (
    DISK,
    Batch,
    Frame,
    Keys,
    Position,
    Where,
    batches,
    open_reader,
    snapshots,
    snapshots_of,
    stated,
)
from ..journal.copies import check_open
from ..journal.disk import make_directories, refusals
from ..journal.format import NO_CHAIN
from ..machine import Machine, machine_class
from .ends import End
from .lag import Lag

BUNDLE_COMMANDS = 8192  # applied together
WAIT_SECONDS = 0.05  # at the log's end, at most
Take = Callable[[NDArray[np.void], NDArray[np.void]], object]


class Standby(Reads, Closing):
    """Applies a log as it grows, and becomes the engine of the exchange when it is told to.

    Reads show the exchange at `position`, which may be behind the log.  `step` and what changes
    the standby are for one thread; reads are for any.

    - ``path``, ``state``, ``machine``, ``keys``: as for `Engine.open`.
    - ``snapshots_every``: commands between two snapshots beside the log, or in ``state``; 0: none.
    - ``take``: is given all commands and events, from the first command on; without it the standby
      begins with the newest snapshot.

    Raises what `Follower` raises.
    """

    def __init__(
        self,
        path: Where,
        *,
        state: str | os.PathLike[str] | None = None,
        machine: str = "cython",
        keys: Keys | None = None,
        snapshots_every: int = 0,
        take: Take | None = None,
    ) -> None:
        self._lock = threading.RLock()
        self.place, self._keys, self._take = stated(path, state), keys, take
        made = machine_class(machine)
        if take is not None:
            start = Start(made(), None, [], 0)
        else:
            start = starts(self.place, made, accept=of_this_log(self.place), keys=keys)
        self._driven: Machine | None = start.machine
        self._reader = open_reader(self.place, after=start.sequence, chain=start.chain, keys=keys)
        self._growth = self._reader.growth()
        self._end = End(self.place)
        if not start.sequence:
            start.machine.begin_under(self._reader.rules)
        self.skipped = start.skipped  #: bad snapshots, with reasons
        self._chain = start.chain or NO_CHAIN
        epoch = start.snapshot.epoch if start.snapshot is not None else 0
        self.position = Position(epoch, start.sequence)  #: what it has applied
        self.lag = Lag(start.sequence)
        self._every, self._noted = snapshots_every, start.sequence
        self._writer = ThreadPoolExecutor(1, "matchcore-snapshot")
        self._written: Future[Path] | None = None  # the newest
        self.snapshot_failure = ""  #: why the last snapshot was not written

    @property
    def identity(self) -> bytes:
        """The 16 bytes that name the exchange."""
        return self._reader.identity

    def _seen(self) -> Machine:
        if self._driven is None:
            raise LogError("this standby is closed, or has become an engine: ask that one")
        return self._driven

    # ------------------------------------------------------------------ following

    def step(self) -> int:
        """Applies what the log has now; returns the number of commands, 0 if there are none."""
        before = self.position.sequence
        for batch in batches(self._reader.read(), BUNDLE_COMMANDS):
            self._apply(batch)
        check_open(self._reader.epoch, str(self.place))
        due = self._every and self.position.sequence >= self._noted + self._every
        if due and (self._written is None or self._written.done()):
            self.start_snapshot()
        return self.position.sequence - before

    def _apply(self, part: Batch | Frame) -> None:
        with self._lock:
            machine = self._seen()
            if self._take is None:
                replay(machine, part)
            else:
                commands = part.commands[max(0, machine.sequence + 1 - part.first_sequence) :]
                self._take(commands, apply(machine, part))
            self.position = Position(part.epoch, machine.sequence)
            self._chain = part.chain
        self.lag.reached(machine.sequence)

    def wait(self, seconds: float = WAIT_SECONDS) -> None:
        """Returns when the log may have more, at the latest after so many ``seconds``."""
        self._growth.wait(seconds)

    def measure(self) -> None:
        """Asks the log for its end: `lag` is measured against it."""
        self.lag.ends(self._end)

    # ------------------------------------------------------------------ snapshots

    def start_snapshot(self) -> None:
        """Has a snapshot of now written by another thread, behind one that is being written.

        One that still waits is left out for it.  A failure is noted in `snapshot_failure`, and
        following goes on.  Nothing happens before the first command, and without a directory.
        """
        directory = snapshots_of(self.place)
        if directory is None or not self.position.sequence:
            return
        self._reader.sync()  # a power cut must not leave the log behind its snapshot
        with self._lock:
            data, (epoch, sequence) = self._seen().state().to_bytes(), self.position
        self._noted = sequence
        said: dict[str, Any] = {
            "sequence": sequence, "epoch": epoch, "chain": self._chain, "payload": data,
            "identity": self.identity, "hash": self._reader.hash, "keys": self._keys,
        }  # fmt: skip
        if self._written is not None:
            self._written.cancel()  # does nothing to one that is being written
        self._written = self._writer.submit(_write, directory, said)
        self._written.add_done_callback(self._note)

    def _note(self, written: Future[Path]) -> None:
        if not written.cancelled():
            error = written.exception()
            self.snapshot_failure = "" if error is None else str(error)

    # ------------------------------------------------------------------ taking over

    def take_over(self, **options: Any) -> Engine:
        """The engine of this exchange: the log is opened for writing behind this machine.

        What the log has beyond is applied first; nothing is replayed twice.  ``options``: those of
        `Engine._open`; ``held``: see `LeasedLog`.  The standby is at its end, unless this raises:
        `LogLocked` if another engine was quicker, `LogFailed` as `step`; then following goes on.
        """
        while self.step():
            pass
        with self._lock:
            machine, (epoch, sequence) = self._seen(), self.position
            past = snapshots.Snapshot(sequence, epoch, self._chain, self.identity, b"")
            start = Start(machine, past if sequence else None, [], sequence)
            engine = Engine._open(
                self.place, start=start, keys=self._keys, on_frame=self._apply, **options
            )
            self._driven = None
        self.close()
        return engine

    def close(self) -> None:
        """Ends following; snapshots that were started are finished."""
        self._driven = None
        self._growth.close()
        self._reader.close()
        self._end.close()
        self._writer.shutdown()


def _write(directory: Path, said: dict[str, Any]) -> Path:
    with refusals(directory):
        make_directories(DISK, directory)
    with snapshots.turn(directory):
        file = snapshots.write(directory, **said)
        snapshots.prune(directory, keep=SNAPSHOTS_KEPT)
    return file
