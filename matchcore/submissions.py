"""What waits for the log, and for whom: a thread, a future; a task has its own in `aio`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any

Bell = Callable[[], None]


class Submission:
    """Commands on their way: records (bytes, a contiguous `COMMAND` array, or packed), a result."""

    __slots__ = ("count", "error", "now", "records", "result", "size", "written")

    def __init__(self) -> None:
        self.records: Any = b""  # a time of 0 is `now`
        self.count = 0  # commands
        self.size = 0  # bytes that wait: commands, and events if they were matched before; fixed
        self.now = 0  # nanoseconds
        self.result: Any = None
        self.error: BaseException | None = None
        self.written = False  # or failed

    def queued(self, kick: Callable[[], None]) -> None:
        """Called without the lock when it waits for the log: somebody must write it."""
        kick()

    def done(self) -> Bell | None:
        """Hands out result or error.  What it returns is called once when the group is done."""
        raise NotImplementedError

    def at_once(self) -> None:
        """For what no log has to take."""
        self.written = True
        bell = self.done()
        if bell is not None:
            bell()


class Waiter(Submission):
    """For a thread that waits."""

    __slots__ = ("gate",)

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Lock()
        self.gate.acquire()

    def queued(self, kick: Callable[[], None]) -> None:
        """`Pipeline.finish` writes it, or has it written."""

    def done(self) -> None:
        self.gate.release()


class Promise(Submission):
    """For a future.  It can not be cancelled: the command is under way."""

    __slots__ = ("future",)

    def __init__(self) -> None:
        super().__init__()
        self.future: Future[Any] = Future()
        self.future.set_running_or_notify_cancel()

    def done(self) -> None:
        with suppress(InvalidStateError):  # somebody else has set it: his affair
            if self.error is None:
                self.future.set_result(self.result)
            else:
                self.future.set_exception(self.error)
