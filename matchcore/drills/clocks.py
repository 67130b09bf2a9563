"""Clocks that jump: each process sees a time of day of its own.  Needs no root.

That is the one clock that people and programs set.  The processes run `skewed.py`, which reads from
a file how far theirs is ahead.  The servers of the log have the machine's clock.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("skewed.py")


class Clocks:
    """Of processes by name, in a folder of small files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def command(self, name: str, *arguments: str) -> list[str]:
        """The command line of a matchcore that sees the clock of that name."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self._file(name).exists():
            self._file(name).write_bytes(bytes(8))
        return [sys.executable, str(SCRIPT), str(self._file(name)), *arguments]

    def _file(self, name: str) -> Path:
        return self._folder / name

    def put(self, name: str, seconds: int) -> None:
        """It jumps to so many seconds ahead of the machine's clock, or behind."""
        with self._file(name).open("r+b") as file:  # the same file: it is being looked at
            file.write(struct.pack("<q", seconds * 10**9))
