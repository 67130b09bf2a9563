"""One process that serves a market: it follows the log and hands the changes to its outlets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ..errors import LogFailed
from ..journal import Keys
from .history import History
from .stream import Changes, Mark, Stream

POLL_SECONDS = 0.0005  # between two looks at an idle log
TURN_SECONDS = 0.002  # of deriving, before the connections have their turn
BEAT_SECONDS = 1.0
MARK_SECONDS = 10.0  # between two saved places
MARK_FILE = "feed.json"


class Outlet(Protocol):
    """One face of a feed, for example a WebSocket server.  Everything runs in one event loop."""

    async def start(self, feed: Feed) -> None:
        """Begins to serve: the stream has come to the log's end."""

    def take(self, changes: Changes, live: bool) -> None:
        """The next changes; not ``live`` while the feed catches up, before `start`.

        Must not wait for a subscriber.
        """

    def beat(self) -> None:
        """Called every `BEAT_SECONDS` once it has started."""

    async def close(self) -> None:
        """Says the end of the session to its subscribers, and closes."""


class Feed:
    """Follows the log in ``directory`` and serves it through outlets.

    ``state``: a directory for the place that it has come to, so that the next start need not
    derive everything again; None: none is kept.
    """

    def __init__(
        self,
        directory: Path,
        outlets: Sequence[Outlet],
        *,
        state: Path | None = None,
        keys: Keys | None = None,
    ) -> None:
        self._state = state / MARK_FILE if state else None
        mark = Mark.load(self._state) if self._state and self._state.exists() else None
        self.stream = Stream(directory, mark=mark, keys=keys)
        self.history = History(directory, keys=keys)
        self.history.last = self.stream.number - 1
        self._outlets = outlets

    async def run(self, stop: asyncio.Event) -> None:
        """Catches up with the log, starts the outlets, and serves until ``stop`` is set."""
        started: list[Outlet] = []
        try:
            await self._poll(live=False)
            for outlet in self._outlets:
                await outlet.start(self)
                started.append(outlet)
            await self._serve(stop)
        finally:
            for outlet in started:
                await outlet.close()
            self._save()
            self.stream.close()

    async def _serve(self, stop: asyncio.Event) -> None:
        beat = saved = time.monotonic()
        while not stop.is_set():
            found = await self._poll(live=True)
            now = time.monotonic()
            if now - beat >= BEAT_SECONDS:
                beat = now
                for outlet in self._outlets:
                    outlet.beat()
            if now - saved >= MARK_SECONDS:
                saved = now
                self._save()
            await asyncio.sleep(0 if found else POLL_SECONDS)

    async def _poll(self, *, live: bool) -> bool:
        """Hands on what the log has now; other tasks have their turns between."""
        found, turn = False, time.monotonic()
        try:
            for changes in self.stream.poll():
                found = True
                self.history.take(changes)
                for outlet in self._outlets:
                    outlet.take(changes, live)
                if time.monotonic() - turn > TURN_SECONDS:
                    await asyncio.sleep(0)
                    turn = time.monotonic()
        except LogFailed:  # it may pass
            await asyncio.sleep(BEAT_SECONDS)
            return found
        self.history.note(self.stream.mark())
        return found

    def _save(self) -> None:
        if self._state is not None:
            self._state.parent.mkdir(parents=True, exist_ok=True)
            self.stream.mark().save(self._state)
