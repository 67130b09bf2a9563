"""The outlet of a feed that speaks ITCH: every change is encoded once, for all of its faces."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import FeedError
from ...journal import Keys
from ...journal import Place as LogPlace
from ..serving import LOG, Feed
from ..stream import Changes
from ._messages import Encoder
from .deriving import STATE_FILE, Log, Place
from .glimpse import Glimpse, Moment
from .mold import MoldPublisher, MoldRequests
from .sequenced import Parts, SoupFeed
from .tape import KEPT_BYTES, Tape

SAVE_BEATS = 60  # between two saved places

Face = MoldPublisher | MoldRequests | SoupFeed | Glimpse


class ItchOutlet:
    """Serves the stream of the log in ``directory`` through ``faces``; an `Outlet`.

    ``directory`` None: a relay, which has only what has come since its snapshot.  ``state``:
    a directory for the reference numbers of resting orders, so that the next start need not derive
    everything again; None: none is kept.
    """

    def __init__(
        self,
        directory: LogPlace | None,
        *faces: Face,
        state: Path | None = None,
        keys: Keys | None = None,
    ) -> None:
        self._log = None if directory is None else Log(directory, keys)
        self._state = state / STATE_FILE if state and directory else None
        self._place = Place()
        self._faces = faces
        self._started: list[Face] = []
        self._beats = 0
        self._saving: asyncio.Task[None] | None = None
        self._time = 0  # of the newest change
        self._encoder: Encoder | None = None

    async def start(self, feed: Feed) -> None:
        """`FeedError` for a state that does not fit the log, and as the faces."""
        if self._state and self._state.exists():
            self._place = Place.load(self._state)
        self._feed = feed
        number = feed.stream.number
        if self._log is None:
            self._tape = Tape(number, KEPT_BYTES)
            self._encoder = _of_snapshot(feed)
        else:
            self._tape = Tape(self._place.number, KEPT_BYTES)
            references = await asyncio.to_thread(self._catch_up, self._log, number)
            self._encoder = Encoder(feed.stream.instruments, references)
        try:
            await self._start_faces(feed.stream.session.encode(), self._encoder)
        except BaseException:
            await self._close_faces()
            raise

    async def _start_faces(self, session: bytes, encoder: Encoder) -> None:
        for face in self._faces:
            self._started.append(face)
            if isinstance(face, SoupFeed):
                await face.start(session, self._tape, self._older if self._log else None)
            elif isinstance(face, Glimpse):
                await face.start(session, encoder, self._moment)
            else:
                await face.start(session, self._tape)

    def _catch_up(self, log: Log, number: int) -> NDArray[np.void] | None:
        """Puts all messages before that number on the tape; the reference numbers there."""
        encoder = None
        for encoder, changes in log.messages(self._place):
            if changes.first >= number:
                break
            rows = changes.rows[: number - changes.first]
            self._tape.take(encoder.blocks(rows), len(rows))
            self._time = int(rows[-1]["time"])
        return self._place.references if encoder is None else encoder.references()

    def _older(self, number: int, bytes_max: int) -> Parts:
        place = self._place if self._place.number <= number else Place()
        assert self._log is not None
        return self._log.parts(place, number, bytes_max)

    def take(self, changes: Changes, live: bool) -> None:
        if self._encoder is None:  # before the start, which derives them itself
            return
        blocks = self._encoder.blocks(changes.rows)
        self._tape.take(blocks, len(changes.rows))
        self._time = int(changes.rows[-1]["time"])
        for face in self._faces:
            face.publish(changes.first, blocks)

    def beat(self) -> None:
        for face in self._faces:
            face.beat()
        self._beats += 1
        if self._state and self._beats % SAVE_BEATS == 0:
            self._saving = asyncio.ensure_future(_saved(self._here(), self._state))

    async def close(self) -> None:
        await self._close_faces()
        if self._saving is not None:
            await self._saving
        if self._state and self._encoder is not None:
            await _saved(self._here(), self._state)

    async def _close_faces(self) -> None:
        for face in self._started:
            await face.close()

    def _here(self) -> Place:
        assert self._encoder is not None
        return Place(self._feed.stream.mark(), self._encoder.references())

    def _moment(self) -> Moment:
        rows = self._feed.books.snapshot()
        rows["time"], rows["flags"] = self._time, 0
        states = self._feed.statistics.states.rows()
        return Moment(self._tape.next, self._time, states, rows)


async def _saved(place: Place, path: Path) -> None:
    try:
        await asyncio.to_thread(place.save, path)
    except OSError as error:  # a full disk: the earlier place is as good, and later
        LOG.warning("matchcore: the place of ITCH is not saved: %s; it serves on", error)


def _of_snapshot(feed: Feed) -> Encoder:
    """Knows the orders that rest; `FeedError` if nobody said the sequences that added them."""
    encoder, rows = Encoder(feed.stream.instruments), feed.books.snapshot()
    if not rows["sequence"].all():
        raise FeedError(
            "ITCH needs the sequences of the resting orders, and the upstream's snapshot has none:"
            " it is of an earlier version, or its state is"
        )
    encoder.blocks(rows)
    return encoder
