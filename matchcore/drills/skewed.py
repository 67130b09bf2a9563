"""A script, not a module: `python skewed.py FILE ARGUMENTS` is `matchcore ARGUMENTS` whose time of
day is ahead by the nanoseconds in FILE (8 bytes, signed), which another process changes under way.

The clocks by which one waits are left alone: nobody sets those.
"""

from __future__ import annotations

import mmap
import runpy
import struct
import sys
import time
from collections.abc import Callable


def skew(ahead: mmap.mmap) -> None:
    """Has everybody in this process see that clock."""
    true_ns: Callable[[], int] = time.time_ns

    def skewed_ns() -> int:
        return true_ns() + int(struct.unpack_from("<q", ahead)[0])

    time.time_ns = skewed_ns
    time.time = lambda: skewed_ns() / 1e9


def main() -> None:
    """Replaces the clock before anything of matchcore is there, which keeps what it finds."""
    file, *arguments = sys.argv[1:]
    with open(file, "rb") as opened:
        ahead = mmap.mmap(opened.fileno(), 8, access=mmap.ACCESS_READ)
    del sys.path[0]  # this folder is none of modules
    sys.argv = ["matchcore", *arguments]
    skew(ahead)
    runpy.run_module("matchcore", run_name="__main__")


if __name__ == "__main__":
    main()
