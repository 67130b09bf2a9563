"""A database beside an engine: a follower in a process of its own, started and watched.

The engine never waits for it.  What it has not delivered yet is in the log, and the next one
goes on from there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ..errors import InvalidArgument
from ..records.arguments import shard_number

FOLLOWER = "matchcore.sinks.beside"  # a program, not an import: it lives on a floor above
CATCH_UP_SECONDS = 10.0
PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 0.2, 10.0
REFUSED = 2  # exit code of a follower that must not be started again
IMPORTS = str(Path(__file__).parents[1])  # the child runs this very matchcore


def place_of(where: str | tuple[str, int] | None) -> tuple[str, int] | None:
    """The URL and shard of what `Engine.open(persistence=)` is given; else `InvalidArgument`."""
    url, *rest = where if isinstance(where, tuple) and where else (where,)
    if where is not None and (not isinstance(url, str) or len(rest) > 1):
        raise InvalidArgument("persistence: a URL, or a URL and the number of a shard")
    return None if url is None else (url, shard_number(*rest) if rest else 0)


class Persistence:
    """The follower of an engine's log into the database of a URL.

    It is started again when it dies, with pauses that grow to 10 seconds, but not when it refuses
    for a reason that lasts: then `error` says why, and a new engine may try again.
    """

    def __init__(self, directory: Path, where: tuple[str, int], durable: Callable[[], int]) -> None:
        """``where``: a URL, and the number of this log's shard there."""
        self._url, self.shard = where
        self._directory, self._durable = directory, durable
        self._closing = threading.Event()
        self._child: subprocess.Popen[str] | None = None
        self.sequence = 0  # of the last command that the database is known to have
        self._known = False  # whether the database has said that
        self.error = ""
        self.set_back = ""  # how far the database was set back, the last time that it was
        self.starts = 0
        self._start()
        self._watcher = threading.Thread(target=self._watch, name="matchcore-follow", daemon=True)
        self._watcher.start()

    @property
    def lag(self) -> int | None:
        """How many durable commands the database has not got yet; waits for nothing.

        None until the database has said where it stands.
        """
        return max(0, self._durable() - self.sequence) if self._known else None

    @property
    def pid(self) -> int | None:
        """The follower's process, None between two of them."""
        child = self._child
        return child.pid if child is not None and child.returncode is None else None

    def _start(self) -> None:
        paths = [IMPORTS, *filter(None, [os.environ.get("PYTHONPATH")])]
        child = subprocess.Popen(
            [sys.executable, "-m", FOLLOWER, str(self._directory.absolute()), str(self.shard)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )  # fmt: skip
        assert child.stdin is not None
        with suppress(OSError):  # one that died at once is seen by the watcher
            child.stdin.write(self._url + "\n")  # it may hold a password: no place for arguments
            child.stdin.flush()
        self._child = child
        self.starts += 1

    def _watch(self) -> None:
        pause, code = PAUSE_SECONDS_MIN, 0
        while True:
            child = self._child
            if child is not None and child.stdout is not None:
                for line in child.stdout:
                    self._hear(line)
                    pause = PAUSE_SECONDS_MIN
                code = child.wait()
                child.stdout.close()
                self._let_go()
            if code == REFUSED or self._closing.wait(pause):
                return
            self.error = self.error or f"the follower ended with {code} and is started again"
            pause = min(2 * pause, PAUSE_SECONDS_MAX)
            try:
                self._start()
            except OSError as error:  # no memory or no process free now
                self._child, self.error = None, f"the follower cannot be started: {error}"
            if self._closing.is_set():  # `close` may have seen the one before
                self._let_go()

    def _hear(self, line: str) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            said = None
        if not isinstance(said, dict):  # a library's own words
            return
        if "sequence" in said:
            self.sequence, self._known = int(said["sequence"]), True
        self.set_back = str(said.get("set_back", self.set_back))
        self.error = str(said.get("error", ""))

    def close(self, seconds: float = CATCH_UP_SECONDS) -> None:
        """Lets it deliver what the log has, for so long at most; the rest is for the next start."""
        self._closing.set()
        child = self._child
        if child is None:
            return
        self._let_go()
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
        self._watcher.join(seconds)

    def abandon(self) -> None:
        """In a child of a fork: the follower belongs to the parent."""
        self._let_go()
        self._child = None

    def _let_go(self) -> None:
        """The end of its input tells the follower that no engine writes any more."""
        if self._child is not None and self._child.stdin is not None:
            with suppress(OSError):
                self._child.stdin.close()
