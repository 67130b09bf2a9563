"""`Client`: the same for a program without an event loop."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from ..._closing import Closing
from ...records.instruments import Directory
from ..books import Books
from ..states import States
from .arbiter import LineHealth
from .following import Merged
from .view import Item, View

T = TypeVar("T")


class Client(Closing):
    """`AsyncClient` for a program without an event loop: its arguments, items and errors.

    A thread of its own reads the lines, so that a program that works for a while loses nothing; it
    keeps a bounded number of changes, and the feeds wait then.  Not for two threads at once.
    """

    def __init__(
        self,
        *lines: str,
        first: int = 0,
        identity: bytes | None = None,
        token: str = "",
        tls: ssl.SSLContext | None = None,
        login: tuple[str, str] = ("", ""),
        glimpse: str = "",
    ) -> None:
        self._merged = Merged(*lines, first=first, identity=identity, token=token, tls=tls,
                              login=login, glimpse=glimpse)  # fmt: skip
        self._view = View(first, by_order=self._merged.by_order)
        self._loop = asyncio.new_event_loop()
        self._awaited: Future[Item] | None = None  # the next item, which nobody has taken
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._loop.call_soon_threadsafe(self._merged.start)

    def close(self) -> None:
        """Ends every connection."""
        if self._loop.is_closed():
            return
        if self._awaited is not None:
            self._awaited.cancel()
        self._run(self._merged.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def next(self, timeout: float | None = None) -> Item | None:
        """The next item; None if none comes within ``timeout`` seconds (None: waits)."""
        if self._awaited is None:
            self._awaited = asyncio.run_coroutine_threadsafe(self._merged.next(), self._loop)
        # It is awaited as long as it takes, over many calls: one who is told to stop may have taken
        # the item already, and it would be lost.
        wait({self._awaited}, timeout)
        if not self._awaited.done():
            return None
        done, self._awaited = self._awaited, None
        item = done.result()
        return self._view.apply(item)

    def __iter__(self) -> Iterator[Item]:
        while True:
            item = self.next()
            assert item is not None
            yield item

    @property
    def number(self) -> int:
        """As `AsyncClient.number`."""
        return self._view.number

    @property
    def books(self) -> Books:
        """As `AsyncClient.books`."""
        return self._view.books

    @property
    def instruments(self) -> Directory:
        """As `AsyncClient.instruments`."""
        return self._view.instruments

    @property
    def states(self) -> States:
        """As `AsyncClient.states`."""
        return self._view.states

    @property
    def identity(self) -> bytes | None:
        """As `AsyncClient.identity`."""
        return self._merged.arbiter.identity

    @property
    def session(self) -> str:
        """As `AsyncClient.session`."""
        return self._merged.session

    def health(self) -> list[LineHealth]:
        """As `AsyncClient.health`."""
        return self._run(self._health())

    async def _health(self) -> list[LineHealth]:
        return self._merged.health()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
