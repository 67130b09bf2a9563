"""Waiting for a log to grow without looking at it all the time."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from .._closing import Closing
from .position import POSITION_NAME

if TYPE_CHECKING:
    import asyncio

    from inotify_simple import INotify

#: The longest time between two looks: a network's file system does not say what others write.
LOOK_SECONDS = 0.05
# Of inotify: a file was written, written and closed, moved here, made.
_MODIFY, _CLOSE_WRITE, _MOVED_TO, _CREATE = 0x2, 0x8, 0x80, 0x100


class Growth(Closing):
    """Tells whoever reads the log in a directory when there may be more of it.

    Wait, and then read: what is written after the first wait began ends the next one at once.
    Where the system can watch no more directories, each wait takes its whole time.  Not for two
    threads.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._begun = False
        self._notify: INotify | None = None

    def wait(self, seconds: float = LOOK_SECONDS) -> None:
        """Returns when there may be more, at the latest after so many ``seconds``."""
        if self._begins():
            return
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._notify is None:
                time.sleep(left)
            elif self._grew(1 + int(left * 1000)):
                return

    async def grown(self, seconds: float = LOOK_SECONDS) -> None:
        """The same in an event loop, where other tasks have their turn meanwhile."""
        import asyncio  # takes its time, and other readers do without

        loop = asyncio.get_running_loop()
        over = loop.create_future()
        timer = loop.call_later(0 if self._begins() else seconds, _finish, over)
        if self._notify is not None:
            loop.add_reader(self._notify.fileno(), self._told, over)
        try:
            await over
        finally:
            timer.cancel()
            if self._notify is not None:
                loop.remove_reader(self._notify.fileno())

    def _begins(self) -> bool:
        """Begins to watch.  True for the first wait: what came before it is not known."""
        if self._begun:
            return False
        self._begun = True
        from inotify_simple import INotify  # engines do without it

        with suppress(OSError):  # not allowed here, or too many watches
            notify = INotify(nonblocking=True)
            try:
                notify.add_watch(self._path, _MODIFY | _CLOSE_WRITE | _MOVED_TO | _CREATE)
            except OSError:
                notify.close()
                raise
            self._notify = notify
        return True

    def _told(self, over: asyncio.Future[None]) -> None:
        if self._grew(0):
            _finish(over)

    def _grew(self, timeout_ms: int) -> bool:
        """Whether something came that counts: frames do when their writer says that they are safe,
        and files when they come or somebody has finished with them."""
        assert self._notify is not None
        events = self._notify.read(timeout_ms)
        return any(one.mask != _MODIFY or one.name == POSITION_NAME for one in events)

    def close(self) -> None:
        """Ends the watch."""
        if self._notify is not None:
            self._notify.close()
            self._notify = None


def _finish(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)
