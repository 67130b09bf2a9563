"""A database beside an engine: a follower in a process of its own, started and watched.

No engine waits for it, or knows of it.  What it has not delivered yet is in the log, and the next
one goes on from there.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from .._children import environment
from ..engine.lifetime import Living
from ..errors import InvalidArgument
from ..journal import Where, hint_of, identity_of, place_of
from ..journal.position import NO_HINT
from ..records.arguments import shard_number

FOLLOWER = "matchcore.sinks.beside"
CATCH_UP_SECONDS = 10.0
PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 0.2, 10.0
REFUSED = 2  # exit code of a follower that must not be started again


class FollowerProcess(Living):
    """A process that keeps the database of a URL equal to a log, started and watched.

    It needs no engine: whichever process has the log open, it delivers what is durable there.  It
    is started again when it dies, with pauses that grow to 10 seconds, but not when it refuses for
    a reason that lasts: then `error` says why.  It ends with `close`, and with this process.
    `InvalidArgument` for a wrong URL or shard; `LogError` without a log in the directory.
    """

    def __init__(self, path: Where, url: str, shard: int = 0) -> None:
        """``url`` may hold a password: it is in no list of processes; ``shard``: the number of
        this log, where several share the database."""
        if not isinstance(url, str):
            raise InvalidArgument(f"url: the URL of a database is text, not {type(url).__name__}")
        self._url, self.shard = url, shard_number(shard)
        self._place = place_of(path)
        identity_of(self._place)
        self._closing = threading.Event()
        self._child: subprocess.Popen[str] | None = None
        #: of the last command that the database is known to have
        self.sequence = 0
        self._known = False  # whether the database has said that
        #: why it waits or has ended; "" when all is well
        self.error = ""
        #: how far the database was set back, the last time that it was
        self.set_back = ""
        #: how many processes there were
        self.starts = 0
        self._start()
        self._watcher = threading.Thread(target=self._watch, name="matchcore-follow", daemon=True)
        self._watcher.start()
        self._register()

    @property
    def lag(self) -> int | None:
        """How many durable commands the database has not got yet; waits for nothing.

        None until the database has said where it stands, while the log's directory has no file
        ``position``, which an engine writes there, and of a replicated log.
        """
        hint = hint_of(self._place)
        if not self._known or hint == NO_HINT:
            return None
        return max(0, hint.durable - self.sequence)

    @property
    def pid(self) -> int | None:
        """The follower's process, None between two of them."""
        child = self._child
        return child.pid if child is not None and child.returncode is None else None

    def _start(self) -> None:
        if isinstance(self._place, Path):
            where, secrets = str(self._place.absolute()), {}
        else:
            where, secrets = self._place.url, self._place.environment()
        child = subprocess.Popen(
            [sys.executable, "-m", FOLLOWER, where, str(self.shard)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
            env=environment(**secrets),
        )  # fmt: skip
        self._child = child
        _say(child, self._url)  # not as an argument, which all users of the machine can read
        self.starts += 1

    def _watch(self) -> None:
        pause, code = PAUSE_SECONDS_MIN, 0
        while True:
            child = self._child
            if child is not None and child.stdout is not None:
                for line in child.stdout:
                    before = self.sequence
                    self._hear(line)
                    if self.sequence > before:  # it makes progress
                        pause = PAUSE_SECONDS_MIN
                code = child.wait()
                child.stdout.close()
                _let_go(child)
            if code == REFUSED or self._closing.wait(pause):
                return
            self.error = self.error or f"the follower ended with {code} and is started again"
            pause = min(2 * pause, PAUSE_SECONDS_MAX)
            try:
                self._start()
            except OSError as error:  # no memory or no process free now
                self._child, self.error = None, f"the follower cannot be started: {error}"
            if self._closing.is_set():  # `close` may have seen the one before
                _let_go(self._child)

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
        """Lets it deliver what is durable now, for so long at most, and ends it.

        What is left then is delivered by the next one.
        """
        self._closing.set()
        child = self._child
        if child is None:
            return
        _say(child, seconds)
        _let_go(child)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
        self._watcher.join(seconds)

    @property
    def _has_thread(self) -> bool:
        return not self._closing.is_set() and self._watcher.is_alive()

    def _forked(self) -> None:
        """The process and the thread that watches it are the parent's."""
        _let_go(self._child)
        self._child, self._closing = None, threading.Event()
        self.error = "this follower belongs to the process that started it, and this is a fork"


def _say(child: subprocess.Popen[str], what: object) -> None:
    assert child.stdin is not None
    with suppress(OSError, ValueError):  # one that died is seen by the watcher
        child.stdin.write(json.dumps(what) + "\n")
        child.stdin.flush()


def _let_go(child: subprocess.Popen[str] | None) -> None:
    """The end of its input tells a follower to deliver what is there, and to end."""
    if child is not None and child.stdin is not None:
        with suppress(OSError):
            child.stdin.close()
