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
* the right to release: over answering.  Callbacks of futures and the `metrics` hook run under
  it, and may use the engine: all four locks can be taken again by their holder, and nobody
  waits for this one.

Nobody is left over, because whoever puts something looks for the disk afterwards, and whoever
gives back the disk, be it after one look, looks for what was put: one of the two sees the other.
Who finds something tells a thread of the log, which takes that word before it looks.

Ctrl-C, or whatever else a signal raises, may come behind any call.  So nothing is taken out of
a queue before it is where it goes to: it may be done twice, never left out.  What a caller had
begun to match or to write is given up, and with it the engine; then a thread of the log goes on.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from .commands import joined
from .errors import LogError, QueueFull
from .journal import Log
from .submissions import LARGE_COMMANDS, Bell, Commit, Group, Submission, Waiter, committed, frames

GROUP_COMMANDS = 32_768  # for one sync: more would only make the first of them wait
QUEUE_DEPTH = 16_384  # submissions
QUEUE_BYTES = 64 << 20  # of their commands and events
NOT_WAITING = (False,)  # for a lock's `acquire`; see `write`


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
        self._appended: deque[Group] = deque()  # in it, not synced
        self._safe: deque[Submission] = deque()  # in it, or never; not answered yet
        # written under the lock and by the releaser: two counters each, so that neither waits
        self._taken = self._taken_bytes = 0
        self._answered = self._answered_bytes = 0
        self._commits: deque[Commit] = deque()  # not told yet
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
        self._starting = threading.RLock()
        self._wake = threading.Lock()
        self._wake.acquire()
        self._threads: list[threading.Thread] = []
        self._alarm = False  # one of the log's threads knows when the next sync is due
        self.placing = False  # somebody, under the lock, is between matching and queueing

    # ------------------------------------------------------------------ taking (under the lock)

    def admit(self, *, block: bool) -> bool:
        """Returns when there is room for one more, True if others came first meanwhile.

        `QueueFull` without `block`.
        """
        self._alone()
        if not self._full():
            return False
        if self._releaser == threading.get_ident():  # a callback: nobody else will make room
            while self._full() and (self._waiting or self._appended):
                self._write_all()
                self.release()
            self._look_again()
            return True
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
        return True

    def _alone(self, *, looking: bool = False) -> None:
        """The locks let a signal handler in: what it sends would be in the log out of turn."""
        placing = self.placing and mine(self.lock)
        if looking or placing or mine(self._turn) or mine(self._disk):
            raise LogError(
                "a signal handler can not use the engine while it interrupts a command on its way:"
                " let it take a note, and do the rest afterwards"
            )

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
        turn: list[bool] = []
        try:
            turn.extend(map(self._turn.acquire, NOT_WAITING))
            if True in turn:
                self._append(small=False, large=True)
        finally:
            if True in turn:
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
        waiter.gate.acquire()
        if waiter.error is not None:
            raise waiter.error

    def forsake(self, way: Submission) -> None:
        """For a caller whom Ctrl-C took out of placing or finishing; not under the lock.

        His array is his again, and he may write to it.  What he was about to do, others do.
        """
        if isinstance(way, Waiter):
            with self._turn:
                if not way.written and isinstance(way.records, np.ndarray):
                    way.records = joined([way.records])
        if self._waiting or self._appended or self._safe or self._commits:
            self.kick()
        self._make_room()

    def write(self, *, wait: bool = True) -> bool:
        """Appends what waits, and syncs what is appended; True if there may be more to do.

        While another thread syncs, which looks again when it is done, that is left to it, and
        small submissions wait, to share a frame.  Without ``wait`` so is another's appending.
        """
        # Filled by one call in C: Ctrl-C comes before a lock is taken, or when it is known to be.
        turn: list[bool] = []
        disk: list[bool] = []
        done = False
        try:
            try:
                if self._appended:  # it goes to the disk now, whoever else packs the next group
                    disk.extend(map(self._disk.acquire, NOT_WAITING))
                ready = True in disk
                turn.extend(map(self._turn.acquire, (wait and not ready,)))
                if True in turn:
                    if not ready:
                        disk.extend(map(self._disk.acquire, NOT_WAITING))
                    done = self._append(small=True in disk, large=not ready)
            finally:
                if True in turn:
                    self._turn.release()
            if True in disk and self._appended:
                if self._waiting:  # large ones: for another thread, meanwhile
                    self.kick()
                self._sync()
                done = True
        finally:
            if True in disk:
                self._disk.release()
        return done or self._is_left()

    def _write_all(self) -> None:
        """Returns when nothing waits to be written or synced."""
        with self._turn, self._disk:
            self._write_rest()

    def _write_rest(self) -> None:
        """No loop in a `with`: where it ends, Python 3.12 gives no lock back after Ctrl-C."""
        while self._waiting or self._appended:
            self.write()

    def _append(self, *, small: bool, large: bool) -> bool:
        """Puts a group of what waits into the log: small submissions, large ones, or both.

        A failure is final: no second try, ever.
        """
        assert self.log is not None
        waiting, group = self._waiting, Group()
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
                for commands, now in frames(taken):
                    self.log.append(commands, now)
            group.bytes = self.log.appended_bytes - before
            group.write_ns = time.monotonic_ns() - started
        except BaseException as error:
            self.failure = group.trouble = self.failure or error
            if taken and waiting and waiting[0] is taken[-1]:  # Ctrl-C between two lines
                waiting.popleft()
            if not isinstance(error, Exception):  # not the log's: Ctrl-C in a caller
                raise
        finally:
            if taken:
                self._appended.append(group)
        return True

    def _sync(self) -> None:
        """What is appended is safe after this, or given up."""
        assert self.log is not None
        groups = [self._appended[at] for at in range(len(self._appended))]
        started = time.monotonic_ns()
        trouble = self.failure  # whatever it was: a sync that comes after it proves nothing
        try:
            if trouble is None and groups[0].trouble is None:
                self.log.sync()
        except BaseException as error:
            self.failure = trouble = self.failure or error
            if not isinstance(error, Exception):
                raise
        finally:
            for group in groups:
                group.trouble = group.trouble or trouble
            self._note([group for group in groups if group.trouble is None], started)
            for group in groups:
                if group.trouble is not None:
                    self._give_up(group.submissions)
                self._pass_on(group.submissions)
                self._appended.popleft()

    def release(self) -> None:
        """Answers what is safe, in order; leaves it to another thread that is at it."""
        me = threading.get_ident()
        inside = self._releaser == me  # called by what is answered
        while self._safe or self._commits:
            mine: list[bool] = []
            bells: set[Bell] = set()
            try:
                mine.extend(map(self._releasing.acquire, NOT_WAITING))
                if True not in mine:
                    return
                self._releaser = me
                self._tell()
                self._answer(bells)
                for bell in bells:
                    bell()
            except BaseException:
                for bell in bells:  # perhaps once more
                    bell()
                raise
            finally:
                if True in mine:
                    self._releaser = me if inside else 0
                    self._releasing.release()
                    self._make_room()

    def _answer(self, bells: set[Bell]) -> None:
        while self._safe:
            if self._commits:  # of a sync that ended meanwhile
                self._tell()
            submission = self._safe[0]
            if not submission.told:
                submission.told = True  # before: it may call for the rest of them to be answered
                try:
                    bell = submission.done()
                except BaseException:  # perhaps before it began
                    submission.told = False
                    raise
                self._answered += 1
                self._answered_bytes += submission.size
                if bell is not None:
                    bells.add(bell)
            if self._safe and self._safe[0] is submission:
                self._safe.popleft()

    def _make_room(self) -> None:
        if self._blocked:
            with self.lock:
                self._room.notify_all()

    def drain(self) -> None:
        """Returns when nothing waits to be written; under the lock, so that nothing comes."""
        self._alone()
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
                self._note([Group()], started)
        except BaseException as error:
            self.failure = self.failure or error
            raise
        finally:
            self._look_again()

    def _give_up(self, group: list[Submission]) -> None:
        assert self.failure is not None
        for submission in group:
            submission.give_up(self.failure)

    def _pass_on(self, group: list[Submission]) -> None:
        for submission in group:
            submission.written = True
        self._safe.extend(group)

    def _note(self, groups: list[Group], started: int) -> None:
        if self._metrics is None or not groups:
            return
        took = time.monotonic_ns() - started
        self._commits.append(committed(groups, took, self.waiting - len(self._safe)))

    def _tell(self) -> None:
        while self._commits:
            commit = self._commits.popleft()
            try:
                if self._metrics is not None:
                    self._metrics(commit)
            except Exception as error:  # watching must not stop trading
                self._metrics = None
                with suppress(RuntimeWarning):  # where warnings are errors
                    what = f"metrics: no longer called: {error!r}"
                    warnings.warn(what, RuntimeWarning, stacklevel=2)

    # ------------------------------------------------------------------ the log's threads

    def kick(self) -> None:
        """Wakes one of the log's threads, which are started when they are first needed.

        Two: one packs and writes a group while the other syncs the group before.
        """
        if not self._threads:
            with self._starting:
                self._start()
        self._ring()

    def _start(self) -> None:
        while len(self._threads) < 2 and not self._closing:
            thread = threading.Thread(target=self._run, name="matchcore-log", daemon=True)
            thread.start()
            self._threads = [*self._threads, thread]  # only now: whoever sees it may join it

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
        self._alone(looking=mine(self.lock))
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
            seconds = -1 if due is None else min(max(0.0, due), threading.TIMEOUT_MAX)
            self._wake.acquire(timeout=seconds)
            try:
                self._step()
            except BaseException as error:  # a callback's, too
                self.failure = self.failure or error
                self._ring()  # now without the log, and as often as it takes
                continue
            if self._closing and not self._waiting and not self._appended:
                self._ring()  # the other one
                return

    def _is_left(self) -> bool:
        """Whether something waits, and nobody syncs, who would look again.

        Whoever puts something and finds it so, or gives back the disk, must see to it.
        """
        if not (self._waiting or self._appended):
            return False
        free: list[bool] = []
        try:
            free.extend(map(self._disk.acquire, NOT_WAITING))
        finally:
            if True in free:
                self._disk.release()
        return True in free

    def _look_again(self) -> None:
        if self._is_left() or self._safe or self._commits or self._needs_alarm():
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
            self.release()


def mine(lock: Any) -> bool:
    """Whether this thread has an RLock: what `threading.Condition` asks of one."""
    return bool(lock._is_owned())
