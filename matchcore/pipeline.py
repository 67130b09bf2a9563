"""Group commit: what was submitted waits here until the log has it, and is answered in order.

Submissions are matched and queued under one lock, so sequence, log and machine have one order.
Whoever has the turn takes what waits, appends it, and syncs once for all of it: the log's own
thread, or a caller that finds nobody at it, who thereby saves two changes of threads.  What is
matched meanwhile is the next group.  Three locks, taken in this order and never in another:

* ``lock``, the engine's: over matching and queueing, and over a look at the machine;
* the turn: over append and sync; no code of users runs under it, so the engine's lock may be
  held while waiting for it;
* the right to release: over answering.  Callbacks of futures run under it, and may use the
  engine: all three locks can be taken again by their holder, and nobody waits for this one.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .answers import IN_MEMORY, Durability
from .commands import COMMAND, joined, stamped
from .errors import LogFailed, QueueFull
from .journal import FileLog, Log

GROUP_COMMANDS = 32_768  # for one sync: more would only make the first of them wait
LARGE_BYTES = 512 * COMMAND.itemsize  # a frame of its own; smaller ones side by side share one
QUEUE_DEPTH = 16_384  # submissions
QUEUE_BYTES = 64 << 20  # of their commands and events
#: what a crash can take, by policy; "interval" has a bound of its own
DURABILITY = {"sync": Durability("sync", 0.0, True), "os": Durability("os", None, True)}
Bell = Callable[[], None]


class Commit(NamedTuple):
    """What one sync did, for the `metrics` hook: counts, bytes of the log, nanoseconds."""

    submissions: int
    commands: int
    bytes: int  # appended to the log, frame headers and fill included
    write_ns: int  # packing, digest and write
    sync_ns: int  # until as safe as the policy says
    waiting: int  # submissions that came meanwhile


class Submission:
    """Commands on their way: records (bytes or a contiguous `COMMAND` array), then the result."""

    __slots__ = ("count", "error", "now", "records", "result", "size", "written")

    def __init__(self) -> None:
        self.records: Any = b""  # a time of 0 is `now`
        self.count = 0  # commands
        self.size = 0  # bytes that wait: commands, and events if they were matched before; fixed
        self.now = 0  # nanoseconds
        self.result: Any = None
        self.error: BaseException | None = None
        self.written = False  # or failed

    def queued(self, pipeline: Pipeline) -> None:
        """Called without the lock when it waits for the log: somebody must write it."""
        pipeline.kick()

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

    def queued(self, pipeline: Pipeline) -> None:
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


class Pipeline:
    """The queue between an engine and its log.  `log` None: nothing ever waits."""

    def __init__(
        self,
        log: Log | None,
        *,
        depth: int = QUEUE_DEPTH,
        size: int = QUEUE_BYTES,
        metrics: Callable[[Commit], object] | None = None,
    ) -> None:
        if depth < 1 or size < 1:
            raise ValueError(f"queue of {depth} submissions and {size} bytes: at least 1 of each")
        self.log = log
        self.failure: BaseException | None = None  # why nothing is taken: closed, or worse
        self._depth, self._size = depth, size
        self._metrics = metrics
        self._waiting: deque[Submission] = deque()  # not in the log yet
        self._safe: deque[Submission] = deque()  # in it, or never; not answered yet
        # written under the lock and by the releaser: two counters each, so that neither waits
        self._taken = self._taken_bytes = 0
        self._answered = self._answered_bytes = 0
        self._closing = False
        self.renew()

    def renew(self) -> None:
        """Locks that nobody holds, and no thread: as in a process that was just forked."""
        self.lock = threading.RLock()
        self._room = threading.Condition(self.lock)
        self._blocked = 0  # threads that wait for room
        self._turn = threading.RLock()
        self._releasing = threading.RLock()
        self._releaser = 0  # thread
        self._starting = threading.Lock()
        self._wake = threading.Lock()
        self._wake.acquire()
        self._thread: threading.Thread | None = None
        self._alarm = False  # the log's thread knows when the next sync is due

    # ------------------------------------------------------------------ taking (under the lock)

    def admit(self, *, block: bool) -> None:
        """Returns when there is room for one more; `QueueFull` without `block`."""
        if not self._full():
            return
        if self._releaser == threading.get_ident():  # a callback: nobody else will make room
            while self._full() and self._waiting:
                self.write()
                self.release()
            return
        if not block:
            raise QueueFull(
                f"{self.waiting} submissions wait for the log: send again when some are answered"
            )
        self._blocked += 1
        try:
            while self._full() and self.failure is None:
                self.kick()
                self._room.wait()
        finally:
            self._blocked -= 1

    def put(self, submission: Submission) -> None:
        """Queues one; follow up with `kick` or `finish`."""
        self._taken += 1
        self._taken_bytes += submission.size
        self._waiting.append(submission)

    @property
    def waiting(self) -> int:
        """Submissions taken and not answered."""
        return self._taken - self._answered

    def _full(self) -> bool:
        return self.waiting >= self._depth or self._taken_bytes - self._answered_bytes >= self._size

    # ------------------------------------------------------------------ writing and answering

    def finish(self, waiter: Waiter) -> None:
        """Returns when a submission is safe; `LogFailed` if it is not to be.

        Not under the lock: what is answered before it may want that.
        """
        if not waiter.written:
            callback = self._releaser == threading.get_ident()
            if self._turn.acquire(blocking=callback):
                try:
                    self.write()
                    while callback and not waiter.written:
                        self.write()
                finally:  # Ctrl-C here must not leave the others waiting
                    self._turn.release()
                    self.release()
                    if self._waiting or self._needs_alarm():
                        self.kick()
            else:
                self.kick()
        try:
            waiter.gate.acquire()
        except BaseException:  # Ctrl-C: his array is the caller's again, and he may write to it
            with self._turn:
                if not waiter.written and isinstance(waiter.records, np.ndarray):
                    waiter.records = joined([waiter.records])
            raise
        if waiter.error is not None:
            raise waiter.error

    def write(self) -> None:
        """Appends and syncs a group of what waits.  A failure is final: no second try, ever."""
        log = self.log
        assert log is not None
        with self._turn:
            group = self._group()
            if not group:
                return
            if self.failure is not None:
                self._give_up(group)
                return
            try:
                started, before = time.monotonic_ns(), log.appended_bytes
                for commands, now in _frames(group):
                    log.append(commands, now)
                appended = time.monotonic_ns()
                log.sync()
                self._tell(group, started, appended, log.appended_bytes - before)
            except BaseException as error:
                self.failure = error
                self._give_up(group)
                if not isinstance(error, Exception):  # not the log's: Ctrl-C in a caller
                    raise
            else:
                self._pass_on(group)

    def release(self) -> None:
        """Answers what is safe, in order; leaves it to another thread that is at it."""
        while self._safe and self._releasing.acquire(blocking=False):
            outer, self._releaser = self._releaser, threading.get_ident()
            bells: set[Bell] = set()
            try:
                while self._safe:
                    submission = self._safe.popleft()
                    self._answered += 1
                    self._answered_bytes += submission.size
                    bell = submission.done()
                    if bell is not None:
                        bells.add(bell)
                for bell in bells:
                    bell()
            finally:
                self._releaser = outer
                self._releasing.release()
            if self._blocked:
                with self.lock:
                    self._room.notify_all()

    def drain(self) -> None:
        """Returns when nothing waits to be written; under the lock, so that nothing comes."""
        try:
            with self._turn:
                while self._waiting:
                    self.write()
        finally:
            if self._safe or self._needs_alarm():
                self.kick()

    def to_disk(self) -> None:
        """After this everything appended is on disk, whatever the policy."""
        assert self.log is not None
        with self._turn:
            try:
                started = time.monotonic_ns()
                self.log.sync(to_disk=True)
                self._tell([], started, started, 0)
            except BaseException as error:
                self.failure = self.failure or error
                raise

    def _group(self) -> list[Submission]:
        group: list[Submission] = []
        count = 0
        while self._waiting and count < GROUP_COMMANDS:
            submission = self._waiting.popleft()
            count += submission.count
            group.append(submission)
        return group

    def _give_up(self, group: list[Submission]) -> None:
        assert self.failure is not None
        for submission in group:
            submission.error = LogFailed(f"not answered: {reason(self.failure)}")
            submission.error.__cause__ = self.failure
        self._pass_on(group)

    def _pass_on(self, group: list[Submission]) -> None:
        for submission in group:
            submission.written = True
        self._safe.extend(group)

    def _tell(self, group: list[Submission], started: int, appended: int, size: int) -> None:
        if self._metrics is None:
            return
        commit = Commit(
            len(group), sum(submission.count for submission in group), size,
            appended - started, time.monotonic_ns() - appended, len(self._waiting),
        )  # fmt: skip
        try:
            self._metrics(commit)
        except Exception as error:  # watching must not stop trading
            self._metrics = None
            warnings.warn(f"metrics: no longer called: {error!r}", RuntimeWarning, stacklevel=2)

    # ------------------------------------------------------------------ the log's thread

    def kick(self) -> None:
        """Wakes the log's thread, which is started when it is first needed."""
        if self._thread is None:
            with self._starting:
                if self._thread is None and not self._closing:
                    thread = threading.Thread(target=self._run, name="matchcore-log", daemon=True)
                    thread.start()
                    self._thread = thread  # only now: whoever sees it may join it
        if self._wake.locked():  # else it is awake already, or will be
            with suppress(RuntimeError):  # somebody else was faster
                self._wake.release()

    @property
    def has_thread(self) -> bool:
        return self._thread is not None

    def stop(self, why: Exception) -> None:
        """Nothing is taken any more; returns when what was taken is answered, the thread ended.

        Not under the lock: what is answered may want it.
        """
        with self.lock:
            if self.log is not None:
                self.drain()
            self.failure = self.failure or why
            self._closing = True
            self._room.notify_all()
        self.release()
        with self._starting:  # no thread comes after that
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            with suppress(RuntimeError):
                self._wake.release()
            thread.join()
        with self._releasing:  # whoever is at it has answered all
            self._thread = None

    def _run(self) -> None:
        assert self.log is not None
        while True:
            self._alarm = False  # whoever sees that kicks, so that nothing falls in between
            due = self.log.sync_due
            self._alarm = due is not None
            self._wake.acquire(timeout=-1 if due is None else max(0.0, due))
            try:
                self._step()
            except BaseException as error:
                self.failure = self.failure or error
                self._step()  # now without the log: nobody is left waiting
            if self._closing and not self._waiting:
                return

    def _needs_alarm(self) -> bool:
        return not self._alarm and self.log is not None and self.log.sync_due is not None

    def _step(self) -> None:
        while self._waiting:
            self.write()
            self.release()
        self.release()
        due = self.log.sync_due if self.log is not None else None
        if due is not None and due <= 0 and self.failure is None:
            self.to_disk()


def durability_of(log: Log | None) -> Durability:
    if not isinstance(log, FileLog):
        return IN_MEMORY
    return DURABILITY.get(log.policy) or Durability(log.policy, float(log.interval_ms), True)


def reason(failure: BaseException) -> str:
    return str(failure) or type(failure).__name__


def _frames(group: list[Submission]) -> Iterator[tuple[NDArray[np.void], int]]:
    """`COMMAND` arrays to append, and their times: small submissions side by side are one."""
    small: list[Any] = []
    now = 0
    for submission in group:
        if submission.count * COMMAND.itemsize < LARGE_BYTES:
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
