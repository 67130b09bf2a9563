"""A replicated log as the source of a standby."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.engine import Engine
from ..engine.pipeline import Pipeline
from ..engine.recovery import Recovery, Start, starts
from ..errors import LogDamaged, LogError
from ..journal import Frame, Keys, Packed, snapshots
from ..journal.stream import Address, StreamLog, StreamReader
from ..journal.stream.link import Link
from ..journal.stream.messages import head_of
from ..journal.stream.reader import state_of
from ..journal.stream.sender import message_at
from ..machine import Machine


class LeasedLog(StreamLog):
    """Takes and answers nothing while it is not known that the lease is held."""

    held: Callable[[], None]  # returns when it is, `LogFailed` once it is lost

    def append(self, commands: NDArray[np.void] | Packed, now: int, *, rules: int = 0) -> None:
        """As a `StreamLog`."""
        self.held()
        super().append(commands, now, rules=rules)

    def sync(self, *, to_disk: bool = False) -> None:
        """As a `StreamLog`: what it returns for may be answered."""
        super().sync(to_disk=to_disk)
        self.held()


class Streamed:
    """A replicated log; ``state``: the directory for snapshots, None: none are kept.

    ``held``: see `LeasedLog`.
    """

    def __init__(
        self, address: Address, state: Path | None, held: Callable[[], None] = lambda: None
    ) -> None:
        self.address, self.state, self._held = address, state, held
        self._link = Link(address)  # to ask for the end, beside what comes
        self._reader: StreamReader | None = None

    def starts(self, made: type[Machine], keys: Keys | None) -> Start:
        """As `Source` says."""
        if self.state is None:
            return Start(made(), None, [], 0)
        with StreamReader(self.address) as reader:
            identity = reader.identity

        def accept(snapshot: snapshots.Snapshot) -> str:
            if snapshot.identity == identity:
                return ""
            what = snapshots.of_another(snapshot, identity)
            raise LogDamaged(what, str(self.state), 0, snapshot.sequence)

        return starts(self.state, made, accept=accept, keys=keys)

    def reader(self, after: int, chain: bytes | None, keys: Keys | None) -> StreamReader:
        """As `Source` says."""
        self._reader = StreamReader(self.address, after=after, chain=chain)
        return self._reader

    def wait(self, seconds: float) -> None:
        """As `Source` says."""
        assert self._reader is not None
        self._reader._feed.wait(seconds)

    def end(self) -> int:
        """As `Source` says."""
        return self._link.call(self._end())

    async def _end(self) -> int:
        _, last = await state_of(self._link)
        for at in range(last, 1, -1):  # parts of a frame do not say where it ends
            message = await message_at(self._link, at)
            if message is None:
                continue
            first, size = (head := head_of(message)).first, head[3]
            if size is not None:
                return first + int(size) - 1
        return 0

    def open(
        self,
        start: Start,
        keys: Keys | None,
        on_frame: Callable[[Frame], None],
        *,
        pipeline: Pipeline | None = None,
        clock: Callable[[], int] = time.time_ns,
        **options: Any,
    ) -> Engine:
        """As `Source` says; other options are those of a log in files, and mean nothing here."""
        self._held()
        if keys is not None:
            raise LogError("a replicated log is not encrypted")
        log = LeasedLog.open(
            self.address, after=start.sequence, chain=start.chain, on_frame=on_frame, clock=clock
        )
        assert isinstance(log, LeasedLog)
        log.held = self._held
        pipeline = pipeline or Pipeline(None)
        pipeline.log = log
        recovery = Recovery(commands=log.sequence - start.sequence)
        return Engine._of(start.machine, log, pipeline, clock=clock, recovery=recovery)

    def close(self) -> None:
        """As `Source` says."""
        self._link.close()
