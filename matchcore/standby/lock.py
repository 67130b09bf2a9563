"""The right to write a log in files."""

from __future__ import annotations

import os
from pathlib import Path

from ..journal import writer_alive


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
