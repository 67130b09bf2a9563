"""Processes of our own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

#: Ends a process when the one that started it has ended, in whatever way, before `release`.
_GUARD = 'read -r told || kill -9 "$1"'
IMPORTS = str(Path(__file__).parents[1])


def environment(**more: str) -> dict[str, str]:
    """The environment of a child process that imports this very matchcore; with ``more`` in it."""
    paths = [IMPORTS, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **more, "PYTHONPATH": os.pathsep.join(paths)}


class Guard:
    """Has the process ``pid`` killed when this one ends before `release`, however it ends.

    The system tells a shell that its input has ended; nothing here has to run for that.  Unlike
    the signal that Linux sends at a parent's death it does not hang on the thread that started the
    process, and it survives what runs a command in another namespace.
    """

    def __init__(self, pid: int) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", str(pid)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip

    def release(self) -> None:
        """Of a process that has ended: its number may be given again.  Also twice."""
        if self._shell.returncode is None:
            self._shell.communicate(b"ended\n")
