"""What waits for the log: futures, groups of submissions, and what one sync did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import LogFailed
from ..journal import Packed
from ..records.commands import COMMAND, stamped
from ._queue import LARGE_COMMANDS, Submission

Bell = Callable[[], None]


class Promise(Submission):
    """For a future.  It cannot be cancelled: the command is under way."""

    __slots__ = ("future",)

    def __init__(self) -> None:
        self.future: Future[Any] = Future()
        self.future.set_running_or_notify_cancel()

    def done(self) -> None:
        with suppress(InvalidStateError):  # its owner has set it
            if self.error is None:
                self.future.set_result(self.result)
            else:
                self.future.set_exception(self.error)


class Commit(NamedTuple):
    """The result of one sync, for a ``metrics`` hook.

    - ``submissions``, ``commands``: numbers of those that it answered.
    - ``bytes``: appended to the log. ``write_ns``, ``sync_ns``: nanoseconds of writing and syncing.
    - ``waiting``: number of submissions that arrived meanwhile.
    """

    submissions: int
    commands: int
    bytes: int  # appended to the log, frame headers and fill included
    write_ns: int  # packing, digest and write
    sync_ns: int  # until as safe as the policy says
    waiting: int  # submissions that came meanwhile, in the log already or not


class Group:
    """What was appended at once."""

    __slots__ = (
        "bytes", "commands", "count", "first", "submissions", "to_disk", "trouble", "under",
        "write_ns",
    )  # fmt: skip

    def __init__(
        self, submissions: list[Submission], count: int, commands: int, to_disk: bool
    ) -> None:
        """``count``: of submissions that have commands; the others wait for those before them."""
        self.submissions, self.count, self.commands = submissions, count, commands
        self.to_disk = to_disk
        self.bytes = self.write_ns = 0
        self.first = 0  # sequence of its first command, if it is to be handed on
        self.under = 0  # version of the rules there
        self.trouble: BaseException | None = None  # why it is not in the log


def committed(groups: list[Group], sync_ns: int, unanswered: int) -> Commit:
    """``unanswered``: submissions, those of the groups among them."""
    count = sum(group.count for group in groups)
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


def not_answered(failure: BaseException) -> LogFailed:
    error = LogFailed(f"not answered: {reason(failure)}")
    error.__cause__ = failure
    return error


def frames(group: list[Submission]) -> Iterator[tuple[NDArray[np.void] | Packed, int, int]]:
    """What to append, its time, and the version of the rules that it changes to (0: none).

    Small submissions side by side are one.
    """
    small: list[Any] = []
    now = 0
    for submission in group:
        if not submission.count:  # somebody waits for those before
            continue
        if submission.count < LARGE_COMMANDS and not submission.rules:
            now = now if small else submission.now
            records = submission.records
            if isinstance(records, np.ndarray):
                records = stamped(records, submission.now)
            small.append(records)
            continue
        if small:
            yield np.frombuffer(b"".join(small), COMMAND), now, 0
            small = []
        yield submission.records, submission.now, submission.rules
    if small:
        yield np.frombuffer(b"".join(small), COMMAND), now, 0
