"""Group commit: what was submitted waits here until the log has it, and is answered in order.

Submissions are matched and queued under one lock (`Queue`), so that sequence, log and machine have
one order.  Two threads of the log do the rest; callers only wait:

* the leader appends all that waits, syncs once for all of it, and answers it, in the order of
  the log.  What comes meanwhile is the next group;
* the helper appends large batches while the leader syncs.

A second lock, the turn, is over append.  No user code runs under it.  Callbacks of futures and
the `metrics` hook run in the leader, without a lock, and may use the engine: where they have to
wait for the log, the leader goes on with its work (`Queue.finish`), and calls no other one.

Ctrl-C ends a caller's wait and nothing else: signal handlers run in the main thread, and that
never does the log's work.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import get_ident

from ..errors import LogFailed, ReadOnly
from ._queue import Queue, Submission
from .submissions import Commit, Group, committed, frames, not_answered, reason
from .taps import Tap, logged, own_copies

GROUP_COMMANDS = 32_768  # for one sync: more would only make the first of them wait
QUEUE_DEPTH = 16_384  # submissions
QUEUE_BYTES = 64 << 20  # of their commands and events
FORKED = "this process is a fork, and the engine belongs to its parent"


class Pipeline(Queue):
    """The queue between an engine and its log.  `log` None: nothing ever waits."""

    def __init__(
        self,
        log: object,
        *,
        depth: int = QUEUE_DEPTH,
        size: int = QUEUE_BYTES,
        metrics: Callable[[Commit], object] | None = None,
    ) -> None:
        if depth < 1 or size < 1:
            raise ValueError(f"queue of {depth} submissions and {size} bytes: at least 1 of each")
        super().__init__(depth, size)
        self.log = log
        self._metrics = metrics
        self._appended: deque[Group] = deque()  # in the log, not synced
        self._trouble: BaseException | None = None  # why the log takes nothing more
        self._taps: tuple[Tap, ...] = ()
        self._closing = False
        self._no_threads()

    def _no_threads(self) -> None:
        self._turn = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._roles = [self._help, self._lead]

    def renew(self) -> None:
        """As in a process that was just forked: no lock is held, and no thread runs.

        Takes nothing any more if the log is the parent's, or if threads that are not
        here were inside the machine or had commands in their hands.
        """
        was_busy = self.unanswered > 0 or self.owner not in (0, get_ident())
        abandon: Callable[[str], None] | None = getattr(self.log, "abandon", None)
        super().renew()
        self._no_threads()
        self._taps = ()
        if self.log is not None and (was_busy or abandon is not None):
            self.fail(LogFailed(FORKED))
            self.has_ended = self.has_diverged = True
            if abandon is not None:
                abandon(FORKED)

    # ------------------------------------------------------------------ followers

    def tap(self, tap: Tap) -> None:
        """From now on ``tap`` is given what becomes durable, before it is answered."""
        self.start()
        with self._turn:
            tap.begin(self.log.sequence + 1)
            self._taps = (*self._taps, tap)
        if self.failure is not None:
            tap.end(self._trouble)

    def untap(self, tap: Tap) -> None:
        """``tap`` is given nothing more."""
        with self._turn:
            self._taps = tuple(one for one in self._taps if one is not tap)

    def _hand_on(self, groups: list[Group]) -> None:
        """To the taps, in the order of the log."""
        parts = []
        for group in groups:
            if not group.first:  # appended before there was a tap, which reads it in the log
                continue
            if any(way.result is None and way.count for way in group.submissions):
                with self:  # it was queued before it is matched: then it is
                    pass
            if self.has_diverged:
                break
            parts += logged(group.submissions, group.first, self.log.epoch, group.under)
        for tap in self._taps:
            tap.give(parts)

    def _end_taps(self) -> None:
        for tap in self._taps:
            tap.end(self._trouble)

    # ------------------------------------------------------------------ taking

    def start(self) -> None:
        """Starts the log's threads if they do not run; before anything is placed."""
        if len(self._threads) < 2 and self.log is not None and self.failure is None:
            for _ in self._roles.copy():
                threading.Thread(target=self._run, name="matchcore-log", daemon=True).start()

    def _run(self) -> None:
        try:
            role = self._roles.pop()
        except IndexError:  # another caller has started them as well
            return
        me = threading.current_thread()
        self._threads.append(me)
        try:
            role()
        finally:
            self._threads.remove(me)

    @property
    def has_thread(self) -> bool:
        return bool(self._threads)

    @property
    def unanswered(self) -> int:
        """Submissions taken and not answered."""
        return self.taken - self.answered

    @property
    def is_lost(self) -> bool:
        """What the log does not have, it never will."""
        return self._trouble is not None or self.has_ended

    def refusal(self) -> Exception:
        """Why nothing is taken, to be raised."""
        failure = self.failure
        if isinstance(failure, ReadOnly):
            return failure
        assert failure is not None
        error = LogFailed(f"the log accepts no more commands: {reason(failure)}")
        error.__cause__ = failure
        return error

    def fail(self, error: BaseException) -> BaseException:
        """Nothing is taken any more, and the log is asked for nothing; returns the first reason."""
        self.failure = self.failure or error
        self._trouble = self._trouble or error
        self._end_taps()
        return self._trouble

    def settle(self, to_disk: bool = False) -> None:
        self.start()
        super().settle(to_disk)

    # ------------------------------------------------------------------ the log's work

    def work_once(self) -> bool:
        """Appends what waits, syncs what is appended and answers that; True if there is more.

        The leader's, as everything below but `_append`.
        """
        self.ring_now()
        ready = bool(self._appended)  # goes to the disk now, even if the helper has the turn
        if self._turn.acquire(blocking=not ready):
            try:
                self._append(small=True, large=not ready)
            finally:
                self._turn.release()
        if self._appended:
            self._sync()
        self.answer()
        return bool(self.waiting or self._appended)

    def _append(self, *, small: bool, large: bool) -> bool:
        """Puts a group of what waits into the log: small submissions, large ones, or both.

        A failure is final: no second try, ever.
        """
        group = Group(*self.head(small, large, GROUP_COMMANDS))
        if not group.submissions:
            return False
        before, started = self.log.appended_bytes, time.monotonic_ns()
        group.trouble = self._trouble
        if self._taps and group.commands:
            own_copies(group.submissions)
            group.first, group.under = self.log.sequence + 1, self.log.rules
        try:
            if group.trouble is None:
                for commands, now, rules in frames(group.submissions):
                    self.log.append(commands, now, rules=rules)
        except BaseException as error:
            group.trouble = self.fail(error)
            if not isinstance(error, Exception):
                raise
        finally:
            self.mark_written(group.submissions)
            group.bytes = self.log.appended_bytes - before
            group.write_ns = time.monotonic_ns() - started
            self._appended.append(group)
        return True

    def _sync(self) -> None:
        """What is appended is safe after this, or given up."""
        groups = list(self._appended)
        to_disk = any(group.to_disk for group in groups)
        started = time.monotonic_ns()
        trouble = self._trouble  # whatever it was: a sync that comes after it proves nothing
        if trouble is None:
            self.syncing = True
            if self.waiting:
                self.ring_helper()
            try:
                self.log.sync(to_disk=to_disk)
            except Exception as error:
                trouble = self.fail(error)
            except BaseException as error:  # what was appended is given up in the next turn
                self.fail(error)
                raise
            finally:
                self.syncing = False
        took, unanswered = time.monotonic_ns() - started, self.unanswered - len(self.safe)
        if self._taps and trouble is None:
            self._hand_on([group for group in groups if group.trouble is None])
        good = []
        for group in groups:
            trouble = group.trouble or trouble
            if trouble is not None:
                self._give_up(group.submissions, trouble)
            elif group.count or group.to_disk:
                good.append(group)
            self._pass_on(group.submissions)
            self._appended.popleft()
        if good:
            self._tell(good, took, unanswered)

    def _give_up(self, submissions: list[Submission], trouble: BaseException) -> None:
        for submission in submissions:
            submission.error = not_answered(trouble)

    def _pass_on(self, submissions: list[Submission]) -> None:
        self.pass_on(submissions)

    def _tell(self, groups: list[Group], sync_ns: int, unanswered: int) -> None:
        if self._metrics is None:
            return
        try:
            self._metrics(committed(groups, sync_ns, unanswered))
        except Exception as error:  # watching must not stop trading
            self._metrics = None
            with suppress(RuntimeWarning):  # where warnings are errors
                what = f"metrics: no longer called: {error!r}"
                warnings.warn(what, RuntimeWarning, stacklevel=2)

    def sync_due(self) -> float | None:
        """Seconds until the policy wants a sync to disk; None: it wants none."""
        return None if self._trouble is not None else self.log.sync_due

    def sync_if_due(self) -> None:
        due = self.sync_due()
        if due is not None and due <= 0:
            started = time.monotonic_ns()
            self.log.sync(to_disk=True)
            self._tell([], time.monotonic_ns() - started, self.unanswered)

    # ------------------------------------------------------------------ the log's threads

    def _lead(self) -> None:
        self.claim()
        while not self.has_ended:
            self.rest(self.sync_due())
            try:
                while self.work_once():
                    pass
                self.sync_if_due()
            except BaseException as error:  # a callback's, too
                self.fail(error)
                self.ring()  # now without the log, and as often as it takes
                continue
            if self._closing:
                with self:  # nothing comes meanwhile
                    self.has_ended = not (self.unanswered or self.waiting or self._appended)
        self._end_taps()
        self.ring_now()
        self.ring_helper()

    def _help(self) -> None:
        while not self.has_ended:
            self.await_help()
            while self._append_large():
                self.ring()

    def _append_large(self) -> bool:
        with self._turn:
            return self._append(small=False, large=True)

    def stop(self, why: Exception) -> None:
        """Nothing is taken any more; returns when what was taken is answered, the threads ended.

        In a callback: when it is safe; the answers and the end come after the callback.
        """
        self.refuse_handlers()
        with self:
            self.failure = self.failure or why
            self._closing = True
            self.make_room()
            if self.unanswered or self.waiting:  # a thread that was started may not run yet
                super().settle()
        if self.leader == threading.get_ident():
            return
        self.ring()
        for thread in self._threads.copy():
            thread.join()
        self.has_ended = True
        self._end_taps()

    def let_go(self) -> None:
        """For an engine that nobody has any more, and nobody closed: its threads end."""
        self._closing = True
        self.ring()
