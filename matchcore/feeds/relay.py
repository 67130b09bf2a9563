"""A feed that follows other feeds: the same changes under the same numbers, any depth."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import suppress

from ..errors import FeedError
from ..records.instruments import Directory
from .books import Books
from .client.following import Merged
from .client.view import Snapshot, View
from .notices import Notices
from .saving import from_bytes
from .statistics import Statistics
from .stream import SESSION_CHARACTERS, Changes, Mark

LOOK_SECONDS = 0.05  # in which a feed comes back to its other work


class Upstream:
    """What a relay has in the place of a log: `await Upstream.connected(...)`, then a `Feed`.

    It begins with a snapshot, so it has no older numbers.  `FeedError` from `poll` when the feeds
    that it follows have numbers no more that it lacks: a relay started anew has a new snapshot, and
    its clients go on with another line meanwhile.
    """

    def __init__(self, merged: Merged, snapshot: Snapshot) -> None:
        assert merged.arbiter.identity is not None
        self._merged, self._view = merged, View(0)
        self._view.apply(snapshot)
        self._said = snapshot.statistics
        self.identity = merged.arbiter.identity
        self.number, self.epoch = snapshot.number + 1, snapshot.epoch

    @classmethod
    async def connected(
        cls, *lines: str, token: str = "", tls: ssl.SSLContext | None = None
    ) -> Upstream:
        """Waits for the first of ``lines`` that gives a snapshot; arguments as `AsyncClient`."""
        merged = Merged(*lines, token=token, tls=tls, statistics=True)
        merged.start()
        try:
            snapshot = await merged.next()
        except BaseException:
            await merged.close()
            raise
        assert isinstance(snapshot, Snapshot)
        merged.snapshots = False  # numbers that are left out would be missing downstream
        return cls(merged, snapshot)

    @property
    def session(self) -> str:
        """As `Stream.session`."""
        return self.identity.hex()[:SESSION_CHARACTERS].upper()

    @property
    def instruments(self) -> Directory:
        """The instruments behind the last change."""
        return self._view.instruments

    def books(self) -> Books:
        """The books behind the last change, which goes into them no more; they share the
        instruments."""
        return self._view.books

    def before(self) -> tuple[Statistics, Notices] | None:
        """Statistics and notices of the feed that gave the snapshot; None if it said none."""
        return from_bytes(self._said, self.instruments) if self._said else None

    def poll(self) -> Iterator[Changes]:
        """What has come since; `FeedError` when no more can come."""
        for item in self._merged.ready():
            if isinstance(item, Snapshot):
                raise FeedError(f"the feeds of this relay lack numbers from {self.number} on")
            self._view.define(item)
            self.number, self.epoch = item.last + 1, item.epoch
            yield item

    async def grown(self) -> None:
        """Waits until `poll` has more, for a moment at most."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._merged.more(), LOOK_SECONDS)

    def mark(self) -> Mark | None:
        """None: it begins with a snapshot every time."""
        return None

    def close(self) -> None:
        """Ends the connections."""
        self._merged.stop()
