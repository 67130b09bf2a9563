"""Copies a replicated log into a directory of another region, as it grows."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from .._closing import Closing
from ..journal.copies import CopyLog
from ..journal.format import FrameHeader
from ..journal.stream import Address, StreamReader
from .ends import End
from .lag import Lag

SYNC_BYTES = 4 << 20  # that are written before they are synced, while more is there
NOTE_SECONDS = 1.0  # between two notes of how far the source is


class Copier(Closing):
    """Writes the frames of the log at ``source`` into ``path``, unchanged, and follows it.

    `step`, `wait` and `close` are for one thread, `measure` for another one.  Raises what
    `CopyLog` and `StreamReader` raise; after `LogFailed` of the servers `step` may be called again.
    """

    def __init__(self, source: Address, path: Path, segment_bytes: int) -> None:
        self.source, self.lag = source, Lag()
        self.log = CopyLog(path, str(source), segment_bytes)
        try:
            self._reader = self._opened()
        except BaseException:
            self.log.close()
            raise
        self._growth, self._end = self._reader.growth(), End(source)
        self._unsynced = 0
        self._notes_at = 0.0
        self.bytes = 0  #: written
        self.lag.reached(self.log.sequence)

    def _opened(self) -> StreamReader:
        """Behind what is there; from the beginning where it is not seen what comes next."""
        log = self.log
        if log.is_empty:
            reader = StreamReader(self.source)
        else:
            reader = StreamReader(self.source, after=log.sequence, chain=log.at.chain)
        try:
            assert reader.walk.header is not None
            log.begin(reader.walk.header)
        except BaseException:
            reader.close()
            raise
        reader.walk.raw = self._take
        return reader

    def _take(self, frame: bytes) -> None:
        header = FrameHeader.from_bytes(frame)
        if self.log.knows(header):
            return
        self.log.append(frame)
        self.bytes += len(frame)
        self._unsynced += len(frame)
        if self._unsynced > SYNC_BYTES:
            self._sync()

    def _sync(self) -> None:
        self.log.sync()
        self._unsynced = 0
        self.lag.reached(self.log.sequence)

    def step(self) -> int:
        """Copies what the source has now; returns the number of commands, 0 if there are none."""
        before = self.log.sequence
        for _ in self._reader.read():
            pass
        if self._unsynced:
            self._sync()
        self._note()
        return self.log.sequence - before

    def _note(self) -> None:
        """Where the source is: a promotion tells from it what is lost."""
        if self.lag.heard and time.monotonic() > self._notes_at and self.log.mark is not None:
            self._notes_at = time.monotonic() + NOTE_SECONDS
            end = max(self.lag.end, self.log.sequence)
            self.log.note(replace(self.log.mark, end=end, heard=time.time_ns()))

    def wait(self, seconds: float) -> None:
        """Returns when there may be more, at the latest after so many ``seconds``."""
        self._growth.wait(seconds)

    def measure(self) -> None:
        """Asks the source for its end: `lag` is measured against it."""
        self.lag.ends(self._end)

    def close(self) -> None:
        """Ends it."""
        self._growth.close()
        self._reader.close()
        self._end.close()
        self.log.close()
