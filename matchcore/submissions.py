"""What waits for the log, and for whom: a thread, a future; a task has its own in `aio`."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .commands import COMMAND, stamped
from .errors import LogFailed
from .journal import Packed

#: A frame of its own; smaller ones side by side share one.  Below this, a thread costs more than
#: matching during the write saves.
LARGE_COMMANDS = 512
Bell = Callable[[], None]


class Submission(ABC):
    """Commands on their way: records (bytes, a contiguous `COMMAND` array, or packed), a result."""

    __slots__ = ("count", "error", "now", "records", "result", "size", "told", "written")

    def __init__(self) -> None:
        self.records: Any = b""  # a time of 0 is `now`
        self.count = 0  # commands
        self.size = 0  # bytes that wait: commands, and events if they were matched before; fixed
        self.now = 0  # nanoseconds
        self.result: Any = None
        self.error: BaseException | None = None
        self.written = False  # or failed
        self.told = False

    def queued(self, kick: Callable[[], None]) -> None:
        """Called without the lock when it waits for the log: somebody must write it."""
        kick()

    @abstractmethod
    def done(self) -> Bell | None:
        """Hands out result or error; once more changes nothing.

        What it returns is called when the group is done, seldom twice.
        """

    def give_up(self, failure: BaseException) -> None:
        self.error = LogFailed(f"not answered: {reason(failure)}")
        self.error.__cause__ = failure

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
        if self.gate.locked():
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


class Commit(NamedTuple):
    """What one sync did, for the `metrics` hook: counts, bytes of the log, nanoseconds."""

    submissions: int
    commands: int
    bytes: int  # appended to the log, frame headers and fill included
    write_ns: int  # packing, digest and write
    sync_ns: int  # until as safe as the policy says
    waiting: int  # submissions that came meanwhile, in the log already or not


class Group:
    """What was appended at once."""

    __slots__ = ("bytes", "commands", "submissions", "trouble", "write_ns")

    def __init__(self) -> None:
        self.submissions: list[Submission] = []
        self.commands = self.bytes = self.write_ns = 0
        self.trouble: BaseException | None = None  # why it is not in the log


def committed(groups: list[Group], sync_ns: int, unanswered: int) -> Commit:
    """``unanswered``: submissions, those of the groups among them."""
    count = sum(len(group.submissions) for group in groups)
    return Commit(
        count,
        sum(group.commands for group in groups),
        sum(group.bytes for group in groups),
        sum(group.write_ns for group in groups),
        sync_ns,
        max(0, unanswered - count),
    )


def reason(failure: BaseException) -> str:
    return str(failure) or type(failure).__name__


def frames(group: list[Submission]) -> Iterator[tuple[NDArray[np.void] | Packed, int]]:
    """What to append, and its time: small submissions side by side are one."""
    small: list[Any] = []
    now = 0
    for submission in group:
        if submission.count < LARGE_COMMANDS:
            now = now if small else submission.now
            records = submission.records
            if isinstance(records, np.ndarray):
                records = stamped(records, submission.now)
            small.append(records)
            continue
        if small:
            yield np.frombuffer(b"".join(small), COMMAND), now
            small = []
        yield submission.records, submission.now
    if small:
        yield np.frombuffer(b"".join(small), COMMAND), now
