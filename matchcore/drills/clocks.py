"""Clocks that jump: each process sees a time of day of its own.  Needs no root.

That is the one clock that people and programs set.  Processes of matchcore run `skewed.py`, which
reads from a file how far theirs is ahead.  A log server takes the time from the processor, without
any library that could be replaced; so it runs in QEMU's emulation of a processor, whose own clock
is replaced by that of `ahead.c`.
"""

from __future__ import annotations

import platform
import struct
import sys
from pathlib import Path

from .programs import find, needs, run

SCRIPT = Path(__file__).with_name("skewed.py")
SOURCE = Path(__file__).with_name("ahead.c")
WHAT = "clocks of servers"


class Clocks:
    """Of processes by name, in a folder of small files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._library: Path | None = None

    def command(self, name: str, *arguments: str) -> list[str]:
        """The command line of a matchcore that sees the clock of that name."""
        return [sys.executable, str(SCRIPT), str(self._made(name)), *arguments]

    def emulate(self) -> None:
        """From now on `emulated` gives something; `LeftOut` where that is not possible."""
        emulator = _emulator()
        needs(WHAT, {emulator: "qemu-user", "gcc": "gcc"}, root=False)
        self._folder.mkdir(parents=True, exist_ok=True)
        library = self._folder / "ahead.so"
        run("gcc", "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl")
        self._library = library

    def emulated(self, name: str) -> list[str]:
        """What goes before the command line of a program that is to see the clock of that name."""
        if self._library is None:
            return []
        loaded = f"LD_PRELOAD={self._library}", f"MATCHCORE_AHEAD={self._made(name)}"
        return ["env", *loaded, find(_emulator())]

    def _made(self, name: str) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self._file(name).exists():
            self._file(name).write_bytes(bytes(8))
        return self._file(name)

    def _file(self, name: str) -> Path:
        return self._folder / name

    def put(self, name: str, seconds: int) -> None:
        """It jumps to so many seconds ahead of the machine's clock, or behind."""
        with self._file(name).open("r+b") as file:  # the same file: it is being looked at
            file.write(struct.pack("<q", seconds * 10**9))


def _emulator() -> str:
    return f"qemu-{platform.machine()}"
