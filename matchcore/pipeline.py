"""Group commit: what was submitted waits here until the log has it, and is answered in order.

Submissions are matched and queued under one lock, so sequence, log and machine have one order.
Whoever finds nobody at it appends what waits and syncs once for all of it: one of the log's own
threads, or a caller, who thereby saves two changes of threads.  What comes meanwhile is the next
group: it is matched, and if it is large also packed and written, while the disk is busy.  Whoever
syncs looks again when he is done, so nobody waits for the disk but by being answered.
Four locks, taken in this order and never in another:

* ``lock``, the engine's: over matching and queueing, and over a look at the machine;
* the turn: over append; no code of users runs under it, so the engine's lock may be held while
  waiting for it;
* the disk: over sync, and over passing on what is safe, in the order of the log;
* the right to release: over answering.  Callbacks of futures run under it, and may use the
  engine: all four locks can be taken again by their holder, and nobody waits for this one.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .answers import IN_MEMORY, Durability
from .commands import COMMAND, joined, stamped
from .errors import LogFailed, QueueFull
from .journal import FileLog, Log, Packed
from .submissions import Bell, Submission, Waiter

GROUP_COMMANDS = 32_768  # for one sync: more would only make the first of them wait
#: A frame of its own; smaller ones side by side share one.  Below this, a thread costs more than
#: matching during the write saves.
LARGE_COMMANDS = 512
QUEUE_DEPTH = 16_384  # submissions
QUEUE_BYTES = 64 << 20  # of their commands and events
#: what a crash can take, by policy; "interval" has a bound of its own
DURABILITY = {"sync": Durability("sync", 0.0, True), "os": Durability("os", None, True)}


class Commit(NamedTuple):
    """What one sync did, for the `metrics` hook: counts, bytes of the log, nanoseconds."""

    submissions: int
    commands: int
    bytes: int  # appended to the log, frame headers and fill included
    write_ns: int  # packing, digest and write
    sync_ns: int  # until as safe as the policy says
    waiting: int  # submissions that came meanwhile, in the log already or not


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
        self._appended: deque[_Group] = deque()  # in it, not synced
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
        self._disk = threading.RLock()
        self._releasing = threading.RLock()
        self._releaser = 0  # thread
        self._starting = threading.Lock()
        self._wake = threading.Lock()
        self._wake.acquire()
        self._threads: list[threading.Thread] = []
        self._alarm = False  # one of the log's threads knows when the next sync is due

    # ------------------------------------------------------------------ taking (under the lock)

    def admit(self, *, block: bool) -> None:
        """Returns when there is room for one more; `QueueFull` without `block`."""
        if not self._full():
            return
        if self._releaser == threading.get_ident():  # a callback: nobody else will make room
            while self._full() and (self._waiting or self._appended):
                self._write_all()
                self.release()
            self._look_again()
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

    def write_early(self) -> None:
        """Appends what waits if nobody is at it; for who has more to do before he finishes it."""
        if self._turn.acquire(blocking=False):
            try:
                self._append(small=False, large=True)
            finally:
                self._turn.release()

    def finish(self, waiter: Waiter) -> None:
        """Returns when a submission is safe; `LogFailed` if it is not to be.

        Not under the lock: what is answered before it may want that.
        """
        inside = self._releaser == threading.get_ident()  # a callback: nobody else answers it
        if inside or not waiter.written:
            try:
                if inside:
                    self._write_all()
                else:
                    self.write(wait=False)
                self.release()
            finally:  # Ctrl-C here must not leave the others waiting
                self._look_again()
        try:
            waiter.gate.acquire()
        except BaseException:  # Ctrl-C: his array is the caller's again, and he may write to it
            with self._turn:
                if not waiter.written and isinstance(waiter.records, np.ndarray):
                    waiter.records = joined([waiter.records])
            raise
        if waiter.error is not None:
            raise waiter.error

    def write(self, *, wait: bool = True) -> bool:
        """Appends what waits, and syncs what is appended; True if there may be more to do.

        While another thread syncs, which looks again when it is done, that is left to it, and
        small submissions wait, to share a frame.  Without ``wait`` so is another's appending.
        """
        turn = disk = done = False
        try:
            try:
                # what is appended goes to the disk now, whoever else is packing the next group
                disk = bool(self._appended) and self._disk.acquire(blocking=False)
                turn = self._turn.acquire(blocking=wait and not disk)
                if turn:
                    ready = disk
                    disk = disk or self._disk.acquire(blocking=False)
                    done = self._append(small=disk, large=not ready)
            finally:
                if turn:
                    self._turn.release()
            if disk and self._appended:
                if self._waiting:  # large ones: for another thread, meanwhile
                    self.kick()
                self._sync()
                done = True
        finally:
            if disk:
                self._disk.release()
        return done or self._is_left()

    def _write_all(self) -> None:
        """Returns when nothing waits to be written or synced."""
        with self._turn, self._disk:
            while self._waiting or self._appended:
                self.write()

    def _append(self, *, small: bool, large: bool) -> bool:
        """Puts a group of what waits into the log: small submissions, large ones, or both.

        A failure is final: no second try, ever.
        """
        assert self.log is not None
        waiting, group = self._waiting, _Group()
        taken = group.submissions
        before, started = self.log.appended_bytes, time.monotonic_ns()
        try:
            while waiting and group.commands < GROUP_COMMANDS:
                if not (large if waiting[0].count >= LARGE_COMMANDS else small):
                    break
                taken.append(waiting[0])
                waiting.popleft()
                group.commands += taken[-1].count
            if not taken:
                return False
            group.trouble = self.failure
            if group.trouble is None:
                for commands, now in _frames(taken):
                    self.log.append(commands, now)
        except BaseException as error:
            self.failure = group.trouble = self.failure or error
            if taken and waiting and waiting[0] is taken[-1]:  # Ctrl-C between two lines
                waiting.popleft()
            if not isinstance(error, Exception):  # not the log's: Ctrl-C in a caller
                raise
        finally:
            group.bytes = self.log.appended_bytes - before
            group.write_ns = time.monotonic_ns() - started
            if taken:
                self._appended.append(group)
        return True

    def _sync(self) -> None:
        """What is appended is safe after this, or given up."""
        assert self.log is not None
        groups = [self._appended[at] for at in range(len(self._appended))]
        started = time.monotonic_ns()
        try:
            if groups[0].trouble is None:
                self.log.sync()
        except BaseException as error:
            self.failure = self.failure or error
            for group in groups:
                group.trouble = group.trouble or error
            if not isinstance(error, Exception):
                raise
        finally:
            took = time.monotonic_ns() - started
            for group in groups:
                self._appended.popleft()
                if group.trouble is None:
                    self._pass_on(group.submissions)
                else:
                    self._give_up(group.submissions)
        self._tell([group for group in groups if group.trouble is None], took)

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
            self._write_all()
        finally:
            self._look_again()

    def to_disk(self, *, if_due: bool = False) -> None:
        """After this everything appended is on disk, whatever the policy.

        With ``if_due`` only if the policy wants that now.
        """
        assert self.log is not None
        try:
            with self._turn, self._disk:
                if if_due and not self._is_due():
                    return
                started = time.monotonic_ns()
                self.log.sync(to_disk=True)
                self._tell([_Group()], time.monotonic_ns() - started)
        except BaseException as error:
            self.failure = self.failure or error
            raise
        finally:
            self._look_again()

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

    def _tell(self, groups: list[_Group], sync_ns: int) -> None:
        if self._metrics is None or not groups:
            return
        commit = Commit(
            sum(len(group.submissions) for group in groups),
            sum(group.commands for group in groups),
            sum(group.bytes for group in groups),
            sum(group.write_ns for group in groups),
            sync_ns,
            max(0, self.waiting - len(self._safe)),
        )
        try:
            self._metrics(commit)
        except Exception as error:  # watching must not stop trading
            self._metrics = None
            warnings.warn(f"metrics: no longer called: {error!r}", RuntimeWarning, stacklevel=2)

    # ------------------------------------------------------------------ the log's threads

    def kick(self) -> None:
        """Wakes one of the log's threads, which are started when they are first needed.

        Two: one packs and writes a group while the other syncs the group before.
        """
        if not self._threads:
            with self._starting:
                if not self._threads and not self._closing:
                    threads = [
                        threading.Thread(target=self._run, name="matchcore-log", daemon=True)
                        for _ in range(2)
                    ]
                    for thread in threads:
                        thread.start()
                    self._threads = threads  # only now: whoever sees them may join them
        self._ring()

    def _ring(self) -> None:
        if self._wake.locked():  # else one is awake already, or will be
            with suppress(RuntimeError):  # somebody else was faster
                self._wake.release()

    @property
    def has_thread(self) -> bool:
        return bool(self._threads)

    def stop(self, why: Exception) -> None:
        """Nothing is taken any more; returns when what was taken is answered, the threads ended.

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
            threads = self._threads
        self._ring()
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()
        with self._releasing:  # whoever is at it has answered all
            self._threads = []

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
            if self._closing and not self._waiting and not self._appended:
                self._ring()  # the other one
                return

    def _is_left(self) -> bool:
        """Whether something waits, and nobody syncs, who would look again.

        Whoever puts something and finds it so, or gives back the disk, must see to it.
        """
        if not (self._waiting or self._appended) or not self._disk.acquire(blocking=False):
            return False
        self._disk.release()
        return True

    def _look_again(self) -> None:
        if self._is_left() or self._safe or self._needs_alarm():
            self.kick()

    def _needs_alarm(self) -> bool:
        return not self._alarm and self.log is not None and self.log.sync_due is not None

    def _is_due(self) -> bool:
        due = self.log.sync_due if self.log is not None else None
        return due is not None and due <= 0 and self.failure is None

    def _step(self) -> None:
        while self.write():
            self.release()
        self.release()
        if self._is_due():
            self.to_disk(if_due=True)


class _Group:
    """What was appended at once."""

    __slots__ = ("bytes", "commands", "submissions", "trouble", "write_ns")

    def __init__(self) -> None:
        self.submissions: list[Submission] = []
        self.commands = self.bytes = self.write_ns = 0
        self.trouble: BaseException | None = None  # why it is not in the log


def durability_of(log: Log | None) -> Durability:
    if not isinstance(log, FileLog):
        return IN_MEMORY
    return DURABILITY.get(log.policy) or Durability(log.policy, float(log.interval_ms), True)


def reason(failure: BaseException) -> str:
    return str(failure) or type(failure).__name__


def _frames(group: list[Submission]) -> Iterator[tuple[NDArray[np.void] | Packed, int]]:
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
