"""The log that a standby follows and may take over."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from ..engine.engine import Engine
from ..engine.recovery import Start, of_this_log, starts
from ..journal import Frame, Growth, Keys, LogReader, published, writer_alive
from ..machine import Machine


class Reader(Protocol):
    """What gives the frames of a log; `LogReader` is one."""

    @property
    def identity(self) -> bytes: ...
    @property
    def hash(self) -> int: ...
    @property
    def rules(self) -> int: ...
    def read(self) -> Iterator[Frame]: ...
    def sync(self) -> None: ...
    def close(self) -> None: ...


class Source(Protocol):
    """A log, and where snapshots of it are: ``state``, None: nowhere."""

    state: Path | None

    def starts(self, made: type[Machine], keys: Keys | None) -> Start:
        """The newest snapshot that is good, or an empty machine."""

    def reader(self, after: int, chain: bytes | None, keys: Keys | None) -> Reader:
        """The log behind a sequence, where it must have a chain."""

    def wait(self, seconds: float) -> None:
        """Returns when there may be more, at the latest after so many ``seconds``."""

    def end(self) -> int:
        """The last durable sequence of the log."""

    def open(
        self, start: Start, keys: Keys | None, on_frame: Callable[[Frame], None], **options: Any
    ) -> Engine:
        """The engine whose machine stands at ``start``.

        ``on_frame`` applies what the log has beyond; ``options`` are those of `Engine.open`.
        """

    def close(self) -> None: ...


class Directory:
    """A log in files: a standby on the same machine, or the same disk."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.state: Path | None = self.path
        self._growth = Growth(self.path)

    def starts(self, made: type[Machine], keys: Keys | None) -> Start:
        """As `Source` says."""
        return starts(self.path, made, accept=of_this_log(self.path), keys=keys)

    def reader(self, after: int, chain: bytes | None, keys: Keys | None) -> LogReader:
        """As `Source` says."""
        return LogReader(self.path, after=after, chain=chain, keys=keys)

    def wait(self, seconds: float) -> None:
        """As `Source` says."""
        self._growth.wait(seconds)

    def end(self) -> int:
        """As `Source` says."""
        return published(self.path).durable

    def open(
        self, start: Start, keys: Keys | None, on_frame: Callable[[Frame], None], **options: Any
    ) -> Engine:
        """As `Source` says; `LogLocked` if another engine has it."""
        return Engine._open(self.path, start=start, keys=keys, on_frame=on_frame, **options)

    def close(self) -> None:
        """As `Source` says."""
        self._growth.close()


class Lock:
    """The right to write a log in files: its lock, which the system gives and takes.

    An engine that is paused keeps it: only one that has ended makes room.
    """

    wanted = lost = lost_for_good = ""

    def __init__(self, path: str | os.PathLike[str], name: str) -> None:
        self.name, self._path = name, Path(path)

    @property
    def holder(self) -> str:
        """Somebody, or nobody: the lock does not say who."""
        return "(has the lock)" if writer_alive(self._path) else ""

    def is_free(self) -> bool:
        """True while no engine has the log open."""
        return not writer_alive(self._path)

    def take(self) -> bool:
        """Opening the log takes it."""
        return True

    def held(self) -> None:
        """While the log is open, it is."""

    def give_up(self, to: str = "") -> None:
        """Closing the log gives it up."""

    def lose(self, why: str) -> None:
        """Nothing to do."""
