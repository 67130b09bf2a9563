"""Snapshots of an engine at work."""

from __future__ import annotations

from abc import abstractmethod
from concurrent.futures import Future
from pathlib import Path

from ..errors import LogError
from ..journal import Disk, Log, Place, snapshots
from ..machine import Machine
from .pipeline import Pipeline
from .snapshotting import SNAPSHOTS_KEPT, Aside


class Stored:
    """An engine whose state can be kept beside its log."""

    path: Path | None
    place: Place | None
    _machine: Machine
    _log: Log | None
    _pipeline: Pipeline
    _disk: Disk
    _aside: Aside | None  # the last snapshot that was started

    @abstractmethod
    def _usable(self) -> None:
        """Raises why nothing is taken any more."""

    def snapshot(self) -> Path:
        """Writes a snapshot beside the log, deletes the oldest ones, and returns the new file.

        No command is matched meanwhile; use `start_snapshot` while trading goes on.  `LogError` in
        memory, `LogFailed` if the system refuses the file.
        """
        with self._pipeline:
            self._usable()
            if self.path is None or self._log is None:
                raise LogError(
                    "this engine has no directory for a snapshot: use state(), or open a replicated"
                    " log with state=DIRECTORY"
                )
            self._all_to_disk(self._log)  # else a power cut could leave the log behind its snapshot
            with snapshots.turn(self.path, self._disk):
                log, data = self._log, self._machine.state().to_bytes()
                written = snapshots.write(
                    self.path, sequence=self._machine.sequence, epoch=log.epoch, chain=log.chain,
                    identity=log.identity, payload=data, hash=log.hash, keys=log.keys,
                    disk=self._disk,
                )  # fmt: skip
                snapshots.prune(self.path, keep=SNAPSHOTS_KEPT, disk=self._disk)
                return written

    def _all_to_disk(self, log: Log) -> None:
        """Under the lock."""
        self._pipeline.settle(to_disk=True)
        while self._machine.sequence > log.on_disk:  # see `_seen`
            self._usable()
            self._pipeline.settle(to_disk=True)
        self._usable()

    def start_snapshot(self) -> Future[Path]:
        """Starts another process that writes a snapshot of this moment, while trading goes on.

        The process replays the log from the newest snapshot.  The future has the file, or
        `LogFailed`, which does not affect this engine.  `LogError` in memory, and while another
        snapshot is being written.  `KeyRefused` unless the keys are those of `Keys.from_file`.
        """
        with self._pipeline:
            self._usable()
            if self.place is None or self.path is None or self._log is None:
                raise LogError("this engine has no directory, or no log, to take a snapshot from")
            if self._aside is not None and not self._aside.result.done():
                raise LogError(f"a snapshot at {self._aside.sequence} is still being written")
            self._pipeline.settle()
            self._usable()
            self._aside = Aside(self.place, self._log.durable, self._log.keys)
            return self._aside.result
