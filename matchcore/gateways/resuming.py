"""What a desk keeps in a directory: its next start reads only the end of the log.

Reports and their spool, the last entries about users and presences, whose orders are whose, where
the markets stand, and what the way needs.  All of it follows from the log and may be deleted,
unless the beginning of the log is archived.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import NotInTheLog, ReportsError
from ..records.commands import COMMAND
from ..records.events import EVENT
from .absences import Absences
from .presence import TOPICS, commands_of
from .reports import InUse, Reports
from .standing import Standing
from .users.entries import GONE, Entry, entries_in
from .users.entries import TOPICS as USER_TOPICS
from .ways import DIGEST_BYTES, Past, Reached, Resumable, Take, digests

LOG = logging.getLogger("matchcore.gateways")
SAVE_SECONDS = 600.0  # from one save to the next: then in the first quiet second,
LATEST_SECONDS = 3600.0  # or at the latest
DESKS_MAX = 16  # gateways with the same directory
RECENT = 1000  # commands whose digests show that the log is of the same history
#: What a way needs, digests, entries of the register, pairs of sessions and accounts, and where the
#: markets stand.
PARTS = IMAGE, RECENT_PART, ENTRIES, PAIRS, MARKETS = "way", "recent", "entries", "pairs", "markets"


class Resuming:
    """Starts a way behind what was saved in ``directory``, and saves.

    If another process has that, it takes ``directory`` with -2 behind its name, and so on: what is
    kept is the same for all gateways.
    ``follow``: takes commands and events that say something of users and presences.
    """

    def __init__(
        self,
        directory: Path,
        way: Resumable,
        reports: Reports,
        absences: Absences,
        standing: Standing,
        follow: Take,
    ) -> None:
        self.directory = directory
        self._way, self._reports, self._absences, self._follow = way, reports, absences, follow
        self._standing = standing
        self._entries: dict[tuple[int, int], Entry] = {}
        self._recent: deque[NDArray[np.void]] = deque()
        self._count = 0  # of the commands in it
        self._older = b""  # digests of commands before those
        self._saved = 0  # sequence that was saved last
        self._seen = 0  # sequence at the last beat
        self._wait()
        self._saving: asyncio.Task[None] | None = None

    async def start(self, take: Take, down: Callable[[str], None]) -> None:
        """As `Way.start`, but from behind what was saved, if that fits the log.

        `NotInTheLog` if it does not, and the log has no beginning.
        """
        reached = await self._way.reach()
        try:
            why = self._load(reached)
            sequence = self._reports.sequence
            if not why:
                try:
                    await self._way.resume(self._past())
                    await self._way.start(partial(self._take_on, take), down)
                    self._restore()
                    return
                except (ReportsError, NotInTheLog) as error:
                    if self._reports.sequence != sequence or not sequence:
                        raise
                    why = str(error)
                self._forget()
            if sequence or "there is none" not in why:
                LOG.warning("the state in %s is not used: %s", self.directory, why)
            await self._way.resume(None)
            await self._way.start(take, down)
            self._due = self._latest = 0.0  # that took its time
        except NotInTheLog as error:
            raise NotInTheLog(
                f"{error}. Sessions cannot be told what they missed without the beginning of the"
                f" log, and the state in {self.directory} is not used: {why}. Restore the archived"
                " segments and start once; they may be archived again after that. Or copy the"
                " directory of another server or gateway of this exchange there, which must not run"
            ) from error

    def _load(self, reached: Reached) -> str:
        """Takes over reports that fit; if there are none, why."""
        if not reached.identity:
            return "there is none"
        reports = self._reports
        try:
            self._keep_in_free(reached.identity)
        except ReportsError as error:
            return f"{error}, and nothing is saved"
        why = reports.rebuilt
        if not why and not reports.sequence:
            why = "there is none"
        elif not why and not set(PARTS) - {MARKETS} <= reports.beside.keys():
            why = "it is of reports alone, without a desk"
        elif not why and reports.markets and MARKETS not in reports.beside:
            why = "it does not say where the markets stand"
        elif not why and reports.epoch > reached.epoch:
            why = f"it is of epoch {reports.epoch}, and the log is of {reached.epoch}"
        elif not why and reports.sequence > reached.durable:
            why = f"it ends with sequence {reports.sequence}, and the log with {reached.durable}"
        if why:
            self._forget()
        return why

    def _keep_in_free(self, identity: bytes) -> None:
        name = self.directory.name
        for number in range(2, DESKS_MAX + 2):
            try:
                self._reports.keep_in(self.directory, identity=identity)
                return
            except InUse:
                if number > DESKS_MAX:
                    raise
                self.directory = self.directory.with_name(f"{name}-{number}")

    def _past(self) -> Past:
        beside = self._reports.beside
        return Past(self._reports.sequence, beside[RECENT_PART], beside[IMAGE])

    def _take_on(self, take: Take, commands: NDArray[np.void], events: NDArray[np.void]) -> None:
        self._restore()
        take(commands, events)

    def _restore(self) -> None:
        """Once it is known that the log goes on from there."""
        beside = self._reports.beside
        if not beside:
            return
        commands = np.frombuffer(beside[ENTRIES], COMMAND)
        events = np.zeros(1, EVENT)  # nothing of it was refused
        self._note(commands, events)
        self._follow(commands, events)
        self._absences.know(np.frombuffer(beside[PAIRS], np.uint64).reshape(-1, 2))
        self._standing.restore(beside.get(MARKETS, b""))
        self._saved = self._reports.sequence
        self._older = beside[RECENT_PART]
        self._reports.beside = {}

    def _forget(self) -> None:
        self._reports.discard()

    # ------------------------------------------------------------------ while it runs

    def took(self, commands: NDArray[np.void], events: NDArray[np.void]) -> None:
        """Notes what is saved beside the reports."""
        self._recent.append(commands[-RECENT:])
        self._count += len(self._recent[-1])
        while self._count - len(self._recent[0]) >= RECENT:
            self._count -= len(self._recent.popleft())
        self._note(commands, events)

    def _note(self, commands: NDArray[np.void], events: NDArray[np.void]) -> None:
        for entry in entries_in(commands, events, (*USER_TOPICS, *TOPICS)):
            key = entry.topic, entry.key
            if entry.topic in TOPICS or entry.data == GONE:
                self._entries.pop(key, None)  # of presences the last to be written is the last
            if entry.data != GONE:
                self._entries[key] = entry  # a user's stays where it is: the first has the name

    def beat(self) -> None:
        """Saves now and then, while others go on."""
        now, sequence = time.monotonic(), self._reports.sequence
        is_quiet, self._seen = sequence == self._seen, sequence
        if now < (self._due if is_quiet else self._latest) or self._saving is not None:
            return
        self._wait()
        if sequence != self._saved:
            self._saving = asyncio.ensure_future(self.save())

    def _wait(self) -> None:
        self._due = time.monotonic() + SAVE_SECONDS
        self._latest = time.monotonic() + LATEST_SECONDS

    async def save(self) -> None:
        """Writes the state of this moment; in another thread, but for taking the picture."""
        try:
            sequence = self._reports.sequence
            write, done = self._reports.saving(epoch=self._way.epoch, beside=self._beside())
            try:
                await asyncio.get_running_loop().run_in_executor(None, write)
            finally:
                done()
            self._saved = sequence
        except ReportsError as error:
            LOG.error("the state of this desk is not saved: %s", error)
        finally:
            self._saving = None

    def _beside(self) -> dict[str, bytes]:
        recent = self._older + b"".join(map(digests, self._recent))
        return {
            IMAGE: self._way.image(),
            RECENT_PART: recent[-RECENT * DIGEST_BYTES :],
            ENTRIES: commands_of(self._entries.values()).tobytes(),
            PAIRS: self._absences.known().tobytes(),
            MARKETS: self._standing.image(),
        }

    async def end(self) -> None:
        """Saves what was taken last, and closes the reports."""
        if self._saving is not None:
            await asyncio.wait({self._saving})
        if self._reports.sequence != self._saved:
            await self.save()
        self._reports.close()
