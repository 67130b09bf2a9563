"""One process that serves a market: it follows the log and hands the changes to its outlets."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, cast

from ..errors import LogFailed
from ..journal import Keys, Place, is_address, place_of
from ..records.instruments import Directory
from .books import Books
from .history import History
from .notices import Notices
from .saving import added, load, load_mark, packed, save
from .statistics import Statistics
from .stream import Changes, Mark, Stream

TURN_SECONDS = 0.002  # of deriving, before the connections have their turn
BEAT_SECONDS = 1.0
LOG = logging.getLogger("matchcore.feeds")
SAVE_SECONDS = 30.0  # between two saved places


class Source(Protocol):
    """Where a feed has its changes from: the log's `Stream`, or another feed (`Upstream`)."""

    identity: bytes
    number: int  # of the next change
    epoch: int  # of the last one; 0 if that is not known

    @property
    def session(self) -> str: ...
    @property
    def instruments(self) -> Directory: ...
    def books(self) -> Books: ...
    def before(self) -> tuple[Statistics, Notices] | None: ...
    def poll(self) -> Iterator[Changes]: ...
    async def grown(self) -> None: ...
    def mark(self) -> Mark | None: ...
    def close(self) -> None: ...


class Outlet(Protocol):
    """One face of a feed, for example a WebSocket server.  Everything runs in one event loop."""

    async def start(self, feed: Feed) -> None:
        """Begins to serve: the stream has come to the log's end."""

    def take(self, changes: Changes, live: bool) -> None:
        """The next changes; not ``live`` while the feed catches up, before `start`.

        The feed's history, books and statistics have them already.  Must not wait for a subscriber.
        """

    def beat(self) -> None:
        """Called every `BEAT_SECONDS` once it has started."""

    async def close(self) -> None:
        """Says the end of the session to its subscribers, and closes."""


class Feed:
    """Follows a log and serves it through outlets.

    ``source``: the log's directory or address, or what takes the place of its `Stream`, as a
    relay's `Upstream`, which is closed at the end.  ``state``: a directory for the place that it
    has come to and the statistics there, so that the next start need not derive everything again;
    None: none is kept.

    `FeedError` as `Stream`, and for a state whose files do not belong together.
    """

    def __init__(
        self,
        source: Place | Source,
        outlets: Sequence[Outlet],
        *,
        state: Path | None = None,
        keys: Keys | None = None,
    ) -> None:
        self._state, self._saved = state, load_mark(state)
        place = place_of(source) if isinstance(source, Path) or is_address(source) else None
        self.stream: Source = (
            Stream(place, mark=self._saved, keys=keys)
            if place is not None
            else cast("Source", source)
        )
        self.history = History(place, keys=keys)
        self.history.last, self.history.epoch = self.stream.number - 1, self.stream.epoch
        #: What the changes so far make of the books, and of the day.
        self.books, before = self.stream.books(), self.stream.before()
        self.statistics, self.notices = before or (Statistics(self.stream.instruments), Notices())
        if self._state is not None and self._saved is not None:
            self.statistics, self.notices, self.books = load(self._state, self._saved, self.books)
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
            await self._save()
        finally:
            for outlet in started:
                await outlet.close()
            self.stream.close()

    async def _serve(self, stop: asyncio.Event) -> None:
        beat = saved = time.monotonic()
        while not stop.is_set():
            await self._poll(live=True)
            now = time.monotonic()
            if now - beat >= BEAT_SECONDS:
                beat = now
                for outlet in self._outlets:
                    outlet.beat()
            if now - saved >= SAVE_SECONDS:
                saved = now
                await self._save()
            await self.stream.grown()

    async def _poll(self, *, live: bool) -> None:
        """Hands on what the log has now; other tasks have their turns between."""
        turn = time.monotonic()
        try:
            for changes in self.stream.poll():
                self.history.take(changes)
                self.books.apply(changes.rows)
                self.statistics.apply(changes.rows)
                self.notices.apply(changes)
                for outlet in self._outlets:
                    outlet.take(changes, live)
                if time.monotonic() - turn > TURN_SECONDS:
                    await asyncio.sleep(0)
                    turn = time.monotonic()
        except LogFailed:  # it may pass
            await asyncio.sleep(BEAT_SECONDS)
            return
        mark = self.stream.mark()
        if mark is not None:
            self.history.note(mark)

    async def _save(self) -> None:
        mark = self.stream.mark()
        if self._state is not None and mark is not None and mark != self._saved:
            arrays = packed(self.statistics, self.notices) | added(self.books)
            try:
                await asyncio.to_thread(save, self._state, mark, arrays)
            except OSError as error:  # a full disk: the earlier state is as good, and later
                LOG.warning("matchcore: the feed's state is not saved: %s; it serves on", error)
                return
            self._saved = mark
