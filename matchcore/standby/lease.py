"""The lease: which of several engines is primary, for speed and so that an old one stops.

It makes nothing safe: the log refuses a second writer by itself.  No clock is compared with
another.  The holder writes a new revision of one record again and again.  Whoever watches may take
the lease when the revision has not changed for its time, by his own clock, while it could be read.
It is taken by compare-and-set, so one of several gets it.  The holder counts from before it asked,
and so it stops before anybody else may begin.
"""

from __future__ import annotations

import json
import math
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from .._closing import Closing
from ..errors import LogFailed
from ..journal.stream.register import Changed

LEASE_KEY = "lease"  # of its record
LEASE_SECONDS = 1.0
LEASE_SECONDS_MAX = 3600.0
PATIENCE_SECONDS = 30.0  # as a replicated log has: for the servers to change their leader
NAME_MAX = 64
RECORD_BYTES_MAX = 4096
_RENEWALS, _LOOKS = 4, 8  # in the time of a lease
_HELD = 0.9  # of it, for the holder: clocks do not run at quite the same rate


class Register(Protocol):
    """One small record that several machines share.  Both calls raise `LogFailed`."""

    def read(self, seconds: float) -> tuple[int, bytes]:
        """Revision and bytes; 0 and nothing if there is no record."""

    def write(self, record: bytes, revision: int, seconds: float) -> int:
        """Writes the record in the place of a revision; returns the new one.

        `Changed` if it has another.  After `LogFailed` it may be written or not.
        """


def awake_seconds() -> float:
    """A clock that nobody sets, and that goes on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Record:
    """What the register has.

    - ``name``, ``key``: of the holder; ``seconds``: the time of the lease.
    - ``free``: it was given up, to the engine named ``to``, or to any if that is empty.
    - ``wanted``: the holder is asked to give it up: to this engine, or "*" to any.
    """

    name: str = ""
    key: str = ""
    seconds: float = LEASE_SECONDS
    free: bool = True
    to: str = ""
    wanted: str = ""

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Record:
        """Bytes that are no record are of an unknown holder, who may be gone."""
        try:
            said: dict[str, Any] = json.loads(data[:RECORD_BYTES_MAX]) if data else {}
            record = cls(**said)
            texts = record.name, record.key, record.to, record.wanted
            good = all(isinstance(text, str) and len(text) <= NAME_MAX for text in texts)
            if not (good and 0 < float(record.seconds) <= LEASE_SECONDS_MAX):
                raise ValueError
        except (ValueError, TypeError):
            return cls(name="(unreadable)", free=False)
        return record


class Lease(Closing):
    """One engine's view of the lease.

    ``name`` tells people who it is.  A thread of its own renews the lease while it is held and
    looks at it while it is not.  Everything may be called from any thread.
    """

    def __init__(
        self,
        register: Register,
        name: str,
        *,
        seconds: float = LEASE_SECONDS,
        patience: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = awake_seconds,
    ) -> None:
        self.name, self.seconds, self._clock = name, seconds, clock
        self._patience = patience
        self._register = register
        self._mine = Record(name, secrets.token_hex(8), seconds, free=False)
        self._asking = threading.Lock()  # one question to the register at a time
        self._turn = threading.Condition()
        self._record, self._revision = Record(), -1  # as last seen; never yet
        self._since = self._looked = -math.inf  # it has not changed, and was read
        self._until = -math.inf  # held
        self._holds, self._lost, self._closing = False, "", False
        self.failure = ""  #: why the register cannot be reached; empty while it can
        self.wanted = ""  #: the engine that should have the lease instead; "*": any
        self._thread = threading.Thread(target=self._run, name="matchcore-lease", daemon=True)

    def start(self) -> Lease:
        """Begins to look."""
        self._thread.start()
        return self

    # ------------------------------------------------------------------ who has it

    @property
    def holder(self) -> str:
        """The name of the holder as last seen; empty if nobody has it."""
        return "" if self._record.free else self._record.name

    @property
    def left(self) -> float:
        """Seconds for which it is held here at least; 0.0 if it is not, or that is not known."""
        return max(0.0, self._until - self._clock()) if self._holds else 0.0

    @property
    def lost(self) -> str:
        """Why nothing may be told now; empty while the lease is held.

        For good, or until a renewal says that nobody else has taken it.
        """
        if self._lost:
            return self._lost
        if not self._holds:
            return f"{self.name} has no lease"
        if self._clock() >= self._until:
            why = self.failure or "this engine was paused"
            return f"the lease of {self.name} was not renewed in time: {why}"
        return ""

    @property
    def lost_for_good(self) -> str:
        """Why it is lost and cannot come back; empty if it is not."""
        return self._lost

    def is_free(self) -> bool:
        """True if `take` may get it now."""
        with self._turn:
            record, now = self._record, self._clock()
            if self._holds or self._revision < 0:
                return False
            given = record.free and self._revision and record.to in ("", self.name)
            if given and record.key != self._mine.key:
                return True
            return now - self._since >= record.seconds and self._is_fresh(now)

    def _is_fresh(self, now: float) -> bool:
        return now - self._looked <= self._record.seconds / 2

    def held(self) -> None:
        """Returns when it is known that the lease is held; `LogFailed` once it is lost.

        It waits while the register cannot be reached, for nobody else can take it then either; but
        not longer than its ``patience`` in seconds.
        """
        until = self._clock() + self._patience
        while why := self.lost:
            if self._clock() >= until:
                self.lose(f"{why}; nothing came for {self._patience:g} s")
            with self._turn:
                if self._lost or self._closing or not self._holds:
                    raise LogFailed(self._lost or f"{self.name} has given up its lease")
                self._turn.notify_all()  # renews at once
                self._turn.wait(self.seconds / _LOOKS)

    # ------------------------------------------------------------------ taking and giving

    def take(self) -> bool:
        """Tries to get it; False if somebody else was quicker.  `LogFailed`: it is not known."""
        with self._asking:
            if self._revision < 0:
                return False
            sent = self._clock()
            try:
                written = self._register.write(self._mine.to_bytes(), self._revision, self.seconds)
            except Changed:
                return False
            with self._turn:
                self._see(written, self._mine)
                self._lost = self.wanted = ""
                self._holds, self._until = True, sent + _HELD * self.seconds
                self._turn.notify_all()
        return True

    def give_up(self, to: str = "") -> None:
        """Lets somebody else take it at once; ``to``: the engine that should, "": any.

        Whether or not that could be written, nothing is held any more.
        """
        with self._asking:
            with self._turn:
                was_held, self._holds = self._holds, False
            if not was_held:
                return
            free = replace(self._mine, free=True, to=to)
            try:
                written = self._register.write(free.to_bytes(), self._revision, self.seconds)
            except (Changed, LogFailed):
                return  # it ends by itself
            with self._turn:
                self._see(written, free)

    def ask_for(self, to: str) -> None:
        """Asks the holder to give it up to the engine ``to``; "*": to any.  `LogFailed`.

        `Changed` if it has changed hands or was renewed meanwhile: try again.
        """
        with self._asking:
            revision, data = self._register.read(self.seconds)
            asked = replace(Record.from_bytes(data), wanted=to)
            self._register.write(asked.to_bytes(), revision, self.seconds)

    def lose(self, why: str) -> None:
        """The log has another writer: nothing may be told any more."""
        with self._turn:
            self._lost, self._holds = self._lost or why, False
            self._turn.notify_all()

    # ------------------------------------------------------------------ the thread

    def _run(self) -> None:
        while not self._closing:
            self.beat()
            with self._turn:
                if not self._closing:
                    self._turn.wait(self.seconds / (_RENEWALS if self._holds else _LOOKS))

    def beat(self) -> None:
        """Renews it, or looks at it, once."""
        with self._asking:
            try:
                if self._holds:
                    self._renew()
                else:
                    self._look()
                self.failure = ""
            except LogFailed as error:
                self.failure = str(error)

    def _renew(self) -> None:
        try:
            self._renew_as(self._revision)
        except Changed:
            revision = self._find_out()
            if not revision:
                return
            try:
                self._renew_as(revision)
            except Changed:
                return  # the next time will tell

    def _renew_as(self, revision: int) -> None:
        sent = self._clock()
        written = self._register.write(self._mine.to_bytes(), revision, self.seconds)
        with self._turn:
            if self._holds:
                self._see(written, self._mine)
                self._until = sent + _HELD * self.seconds
            self._turn.notify_all()

    def _find_out(self) -> int:
        """Who has written a revision: somebody who took it; somebody who asks for it; or a renewal
        of our own that seemed to have failed.  The revision if it is still held, else 0."""
        revision, data = self._register.read(self.seconds)
        record = Record.from_bytes(data)
        if revision and revision < self._revision:  # by a server that is behind
            return self._revision
        if record.key == self._mine.key and not record.free:
            self.wanted = record.wanted or self.wanted
            return revision
        with self._turn:
            taken = f"{record.name} has taken the lease" if revision else "its record is gone"
            self._lost, self._holds = f"{self.name} is not primary any more: {taken}", False
            self._see(revision, record)
            self._turn.notify_all()
        return 0

    def _look(self) -> None:
        revision, data = self._register.read(self.seconds)
        if revision and revision < self._revision:
            return  # by a server that is behind
        with self._turn:
            if not self._holds:
                self._see(revision, Record.from_bytes(data))

    def _see(self, revision: int, record: Record) -> None:
        now = self._clock()
        if revision != self._revision or not self._is_fresh(now):
            self._since = now
        self._record, self._revision, self._looked = record, revision, now

    def close(self) -> None:
        """Gives it up, if it is held, and looks no more."""
        self.give_up()
        with self._turn:
            self._closing = True
            self._turn.notify_all()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()
