"""The engine: gives each command its place in the log, and answers when it is safe there.

Open is the only way in, for a new exchange, after a clean close and after a disaster alike:
newest good snapshot, then the rest of the log.
"""

from __future__ import annotations

import operator
import os
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ..errors import LogError, LogFailed, ReadOnly
from ..journal import (
    DEFAULT_SEGMENT_BYTES,
    DISK,
    INTERVAL_MS_DEFAULT,
    Disk,
    FileLog,
    Keys,
    Log,
    MemoryLog,
    Packed,
    snapshots,
)
from ..machine import Machine, machine_class
from ..machine.state import newer_rules
from ..records.arguments import integer
from ..records.codec import pack
from ..records.commands import COMMAND, checked, joined
from ..records.instruments import Instrument, distinct
from ..records.times import Moment
from ..records.typed import Command
from ._queue import LARGE_COMMANDS, Submission, Waiter
from .answers import IN_MEMORY, Answer, Durability
from .calls import Calls
from .forks import Fork, Frames
from .lifetime import Living
from .pipeline import QUEUE_BYTES, QUEUE_DEPTH, Pipeline
from .reads import Reads
from .recovery import Recovery, at_durable, look, open_for_writing, recorded, replay, sequence_at
from .snapshotting import SNAPSHOTS_KEPT, Aside
from .submissions import Commit, Promise
from .upgrading import Upgrading

#: what a crash can take, by policy; "interval" has a bound of its own
DURABILITY = {"sync": Durability("sync", 0.0, True), "os": Durability("os", None, True)}


class Engine(Reads, Calls, Living):
    """One exchange: instruments, books and their log.

    All methods may be called from any thread; commands get their sequence in turn, and share
    syncs.  An answer is given when its command is as durable as the log's policy says, and in
    the order of the log; a look (book, state, digest, sequence) waits until all it shows is so.

    >>> from matchcore import Engine, Instrument, NewOrder, Side
    >>> engine = Engine.memory(instruments=[Instrument("ANA", tick="0.05")])
    >>> resting = engine.submit(NewOrder("ANA", Side.SELL, 74, "95.70"))
    >>> taken = engine.submit(NewOrder("ANA", Side.BUY, 30, "95.75"))
    >>> taken.status.name, [(str(t.price), t.quantity) for t in taken.trades]
    ('FILLED', [('95.70', 30)])
    >>> engine.book("ANA").best_ask.quantity
    44
    """

    def __init__(
        self,
        machine: Machine,
        log: Log | None,
        *,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """For a machine that stands where the log ends; see `open` and `memory`."""
        self._begin(machine, log, Pipeline(log), clock=clock)

    def _begin(
        self,
        machine: Machine,
        log: Log | None,
        pipeline: Pipeline,
        *,
        clock: Callable[[], int] = time.time_ns,
        path: Path | None = None,
        recovery: Recovery | None = None,
        disk: Disk = DISK,
    ) -> None:
        self._machine = machine
        self._log = log
        self._disk = disk
        self._clock = clock
        self._pipeline = pipeline
        self._lock = self._pipeline
        self._keys: Keys | None = None  # of a log to read only
        self._aside: Aside | None = None  # the last snapshot that was started
        self.durability = durability_of(log)
        self.path, self.recovery = path, recovery or Recovery()
        weakref.finalize(self, self._pipeline.let_go).atexit = False
        self._register()

    @classmethod
    def _of(cls, machine: Machine, log: Log | None, pipeline: Pipeline, **more: Any) -> Engine:
        """An engine of given parts; ``more`` as `_begin` takes it."""
        engine = cls.__new__(cls)
        engine._begin(machine, log, pipeline, **more)
        return engine

    # ------------------------------------------------------------------ opening and closing

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        instruments: Iterable[Instrument] = (),
        machine: str = "cython",
        policy: str = "sync",
        interval_ms: int = INTERVAL_MS_DEFAULT,
        queue_depth: int = QUEUE_DEPTH,
        queue_bytes: int = QUEUE_BYTES,
        metrics: Callable[[Commit], object] | None = None,
        segment_bytes: int = DEFAULT_SEGMENT_BYTES,
        clock: Callable[[], int] = time.time_ns,
        progress: Callable[[int], None] = lambda step: None,
        hash: str | None = None,
        keys: Keys | None = None,
        accept_loss: bool = False,
        reserve: int = 0,
    ) -> Engine:
        """Opens the exchange in a directory, making it if it is not there.

        ``instruments`` that the log does not know are added to it; one that differs from the
        log raises `InstrumentConflict` (use `change_instrument`).  ``policy``: "sync" (an answer
        means fdatasync has returned), "interval" (everything older than ``interval_ms`` was
        synced) or "os" (handed to the operating system); `durability` says what that is worth.
        At most ``queue_depth`` submissions, or ``queue_bytes`` of commands and events, are taken
        and not answered; then `submit` waits.  ``metrics`` is called with a `Commit` after each
        sync, before its answers: it must be quick.  ``clock`` gives nanoseconds for
        commands without a time.  ``progress`` is told how many commands each step of the replay
        has applied.  ``reserve``: bytes of memory for books and orders, taken beforehand.
        ``hash``: "sha256" or "sm3", for life.  ``keys``: encrypts all that is written from now on.
        `KeyRefused` if one is missing, `LogLocked` while another engine has it open, `LogDamaged`
        if bytes before the end differ, or the end is missing, or files of another exchange are
        beside the log (``accept_loss``: goes on without), `LogFailed` if the system refuses a file,
        `UnknownRules` if the log needs a newer matchcore.
        """
        wanted, directory = distinct(instruments), Path(path)
        depth, size = integer(queue_depth, "queue_depth", 1), integer(queue_bytes, "queue_bytes", 1)
        pipeline = Pipeline(None, depth=depth, size=size, metrics=metrics)
        engine = cls._open(
            directory, machine=machine, pipeline=pipeline, clock=clock, policy=policy,
            interval_ms=integer(interval_ms, "interval_ms"),
            segment_bytes=integer(segment_bytes, "segment_bytes"), progress=progress, hash=hash,
            keys=keys, reserve=integer(reserve, "reserve", None, None), accept_loss=accept_loss,
        )  # fmt: skip
        return engine._with_instruments(wanted)

    @classmethod
    def _open(
        cls,
        path: Path,
        *,
        disk: Disk = DISK,
        machine: str = "cython",
        pipeline: Pipeline | None = None,
        clock: Callable[[], int] = time.time_ns,
        **options: Any,
    ) -> Engine:
        """As `open`, through a disk and with a pipeline that may be simulated ones."""
        log, driven, recovery = open_for_writing(path, machine_class(machine), disk=disk, **options)
        pipeline = pipeline or Pipeline(None)
        pipeline.log = log
        return cls._of(driven, log, pipeline, clock=clock, path=path, recovery=recovery, disk=disk)

    @classmethod
    def memory(
        cls,
        *,
        instruments: Iterable[Instrument] = (),
        machine: str = "cython",
        log: MemoryLog | None = None,
        clock: Callable[[], int] = time.time_ns,
        reserve: int = 0,
    ) -> Engine:
        """An engine for tests and simulation: its log is in memory, or nowhere with None.

        A `MemoryLog` that holds something is replayed first.
        """
        wanted = distinct(instruments)
        driven = machine_class(machine)(reserve)
        for frame in log.frames() if log is not None else ():
            replay(driven, frame)
        return cls(driven, log, clock=clock)._with_instruments(wanted)

    @classmethod
    def at(
        cls,
        path: str | os.PathLike[str],
        *,
        sequence: int | None = None,
        time: Moment | None = None,
        machine: str = "cython",
        keys: Keys | None = None,
    ) -> Engine:
        """The exchange as it was, to look at: also while another engine has it open.

        ``sequence``: behind this command; ``time``: behind the last command whose time is at
        or before it; neither: the durable end.  A time is nanoseconds, a datetime or pandas
        Timestamp with a time zone, a datetime64 (UTC) or a text like 2019-05-21T09:00+02:00.
        From the newest snapshot before it, then the log.  A command raises `ReadOnly`;
        `NotInTheLog` for what is beyond the log's end, or no longer in it.
        """
        directory = Path(path)
        if time is not None:
            if sequence is not None:
                raise ValueError("sequence or time, not both")
            sequence = sequence_at(directory, time, keys=keys)
        found = look(directory, machine, sequence=sequence, keys=keys)
        engine = cls._of(
            found.machine, None, Pipeline(None), path=directory, recovery=found.recovery
        )
        engine._keys = keys
        engine._pipeline.failure = ReadOnly(
            f"this is {directory} at sequence {engine.sequence}, to look at only: commands are"
            " for an engine of Engine.open"
        )
        return engine

    def close(self) -> None:
        """Answers what was taken, and closes the log."""
        self._pipeline.stop(LogError("this engine is closed"))
        with self._lock:
            if self._log is not None:
                self._log.close()

    def submit(self, command: Command) -> Answer:
        """Sends one typed command (`NewOrder`, `Cancel`, …) and waits for its answer.

        Raises `InvalidCommand`, `PriceError` or `UnknownInstrument` for what can not be written
        as a record: nothing was sent then.  A refusal by the rules is an answer, not an error.
        Ctrl-C ends the wait: the command stays sent, or was not sent at all.
        """
        if self._log is None:
            with self._lock:
                self._usable()
                directory, now = self._machine.instruments, operator.index(self._clock())
                events = self._machine.apply_one(pack(command, directory, now))
                return Answer(events, directory, IN_MEMORY, operator.index(command.time or now))
        waiter = Waiter()
        self._place(command, waiter)
        answer: Answer = waiter.result
        return answer

    def submit_batch(self, commands: NDArray[np.void]) -> NDArray[np.void]:
        """Sends a 1-D `COMMAND` array; its events as an `EVENT` array, when all are durable.

        Time 0 becomes that of the call.  TypeError or ValueError for another dtype or shape;
        `LogFailed` when the log can not take them: opening again shows which of them it has.
        """
        checked(commands)
        if self._log is None:
            with self._lock:
                self._usable()
                return self._machine.apply(commands)
        waiter = Waiter()
        self._place_batch(commands, waiter, block=True)
        events: NDArray[np.void] = waiter.result
        return events

    @overload
    def submit_async(self, commands: Command, *, block: bool = True) -> Future[Answer]: ...

    @overload
    def submit_async(
        self, commands: NDArray[np.void], *, block: bool = True
    ) -> Future[NDArray[np.void]]: ...

    def submit_async(self, commands: Any, *, block: bool = True) -> Future[Any]:
        """As `submit` or `submit_batch`, but returns when the commands have their place.

        The future has the result when it may be given; futures are set in the order of the log,
        by a thread of the log, so a callback must be quick and must not wait for other threads
        that submit.  A future can not be cancelled.  Waits while the queue is full, or without
        ``block`` raises `QueueFull`.
        """
        promise = Promise()
        self._place(commands, promise, block=block)
        return promise.future

    def _place(
        self, commands: Command | NDArray[np.void], way: Submission, *, block: bool = True
    ) -> None:
        """Gives commands their sequence and matches them; ``way`` is done when they are safe.

        What the submits are made of.  Returns when a `Waiter` is done, any other way at once.
        Ctrl-C comes before the commands have their place or after it.  Only the plain-Python
        machine, and commands that define instruments, run bytecode between: it may end the engine.
        """
        if isinstance(commands, np.ndarray):
            self._place_batch(checked(commands), way, block)
            return
        pipeline, machine = self._pipeline, self._machine
        pipeline.start()
        placed = False
        while not placed:
            directory = machine.instruments
            then = directory.then
            way.result = Answer(b"", directory, self.durability)
            record = pack(commands, directory)
            placed = pipeline.place(machine, way, record, then, self._clock, block)

    def upgrade_rules(self) -> Answer | None:
        """Changes to the newest version of the rules that this matchcore knows, for good.

        It is a command in the log, answered as others are, and raises what they raise.  None if
        the exchange has that version: nothing is written then.  Ctrl-C while it gets its place
        may end the engine.
        """
        with self._lock:
            self._usable()
            machine, directory = self._seen(), self._machine.instruments
            version = newer_rules(machine.rules)
            if version is None:
                return None
            if self._log is None:
                return Answer(machine.upgrade(version).tobytes(), directory)
        self._pipeline.start()
        step = Upgrading(machine, version, operator.index(self._clock()))
        self._pipeline.place_batch(step, step.way, step.way.records, None, False, True)
        if not step.way.count:
            return None
        return Answer(step.way.result.tobytes(), directory, self.durability)

    def _ring(self) -> None:
        """Has the log's thread take what was placed by ways with `rings_later`."""
        self._pipeline.ring()

    def _place_batch(self, commands: NDArray[np.void], way: Submission, block: bool) -> None:
        pipeline, waits = self._pipeline, isinstance(way, Waiter)
        pipeline.start()
        large = len(commands) >= LARGE_COMMANDS
        way.count, way.now = len(commands), operator.index(self._clock())
        if commands.dtype is not COMMAND or type(commands) is not np.ndarray:
            commands = np.asarray(commands).view(COMMAND)  # which the machine knows at once
        again: Callable[[], Packed] | None = None
        # a caller who does not wait may write to his array before the log has it
        if not commands.flags.c_contiguous or not (waits or large):
            way.records = commands = joined([commands])
        elif waits:
            way.records, way.is_borrowed = commands, True
        else:
            again = partial(Packed, commands, way.now)
            way.records = again()
        way.size = way.records.nbytes
        pipeline.place_batch(self._machine, way, commands, again, waits and large, block)

    # ------------------------------------------------------------------ looking

    @property
    def durable(self) -> int:
        """Sequence of the last command as safe as the policy says; waits for nothing."""
        return self._machine.sequence if self._log is None else self._log.durable

    @property
    def on_disk(self) -> int:
        """Sequence of the last command that fdatasync has returned for; waits for nothing."""
        return 0 if self._log is None else self._log.on_disk

    @property
    def log(self) -> Log | None:
        return self._log

    @property
    def identity(self) -> bytes:
        """16 bytes that name this exchange for good; empty without a log."""
        return self._log.identity if self._log is not None else b""

    def fork(self) -> Fork:
        """A what-if: an exchange in memory that goes on from here, with own orders in it.

        It takes commands also where this engine takes none (`Engine.at`), and leaves this one and
        its log as they are.  See `Fork.replay` for what the log recorded next.
        """
        log, path = self._log, self.path
        frames: Frames | None = log.frames if log is not None else None
        if path is not None:  # not through the log, which is not to be read beside appending
            frames = recorded(path, log.keys if log is not None else self._keys)
        with self._lock:
            machine = self._seen()
            state = machine.state()
        return Fork(type(machine), state, frames)

    def snapshot(self) -> Path:
        """Writes a snapshot beside the log, and keeps the newest few; returns its file.

        Nothing is matched meanwhile: `start_snapshot` is for an exchange at work.
        """
        with self._lock:
            self._usable()
            if self.path is None or self._log is None:
                raise LogError("an engine in memory has no directory for a snapshot; use state()")
            self._all_to_disk(self._log)  # else a power cut could leave the log behind its snapshot
            with snapshots.turn(self.path, self._disk):
                log, data = self._log, self._machine.state().to_bytes()
                written = snapshots.write(
                    self.path, sequence=self.sequence, epoch=log.epoch, chain=log.chain,
                    identity=log.identity, payload=data, hash=log.hash, keys=log.keys,
                    disk=self._disk,
                )  # fmt: skip
                snapshots.prune(self.path, keep=SNAPSHOTS_KEPT, disk=self._disk)
                return written

    def _all_to_disk(self, log: Log) -> None:
        """Under the lock."""
        self._pipeline.settle(to_disk=True)
        while self._machine.sequence > log.on_disk:  # see `_seen`
            self._usable()
            self._pipeline.settle(to_disk=True)
        self._usable()

    def start_snapshot(self) -> Future[Path]:
        """Has another process write a snapshot of this moment, while trading goes on.

        It replays the log from the newest snapshot on; the future gets the file, or `LogFailed`,
        which leaves this engine as it is.  `LogError` while the one before is being written;
        `KeyRefused` if that process could not have the keys: they must come from a file.
        """
        with self._lock:
            self._usable()
            if self.path is None or self._log is None:
                raise LogError("an engine in memory has no log to take a snapshot from")
            if self._aside is not None and not self._aside.result.done():
                raise LogError(f"a snapshot at {self._aside.sequence} is still being written")
            self._pipeline.settle()
            self._usable()
            self._aside = Aside(self.path, self._log.durable, self._log.keys)
            return self._aside.result

    def _check(self) -> None:
        """Asserts every invariant of the machine."""
        with self._lock:
            self._machine._check()

    def _usable(self) -> None:
        if self._pipeline.failure is not None:
            raise self._pipeline.refusal()

    def _seen(self) -> Machine:
        """The machine, when the log has all that it shows; under the lock.

        After a failure it may be ahead for good.  Then the log's durable part makes a new one.
        """
        machine, log, pipeline = self._machine, self._log, self._pipeline
        if log is None:
            return machine
        # more than once: callbacks, and a handler in this thread, send while this waits
        while machine.sequence > log.durable or pipeline.has_diverged:
            is_lost = pipeline.is_lost
            pipeline.settle()
            if not is_lost:
                continue
            try:
                machine = at_durable(log, type(machine), self.path, self._disk)
            except (LogError, OSError) as error:
                raise LogFailed(f"the log failed and can not be read either: {error}") from error
            self._machine, pipeline.has_diverged = machine, False
        return machine

    @property
    def _has_thread(self) -> bool:
        return self._pipeline.has_thread

    def _forked(self) -> None:
        """In a child of the process that opened this: the log is the parent's."""
        self._pipeline.renew()
        if isinstance(self._log, FileLog):
            why = "this engine belongs to the process that opened it, and this is a fork"
            self._pipeline.fail(LogFailed(why))
            self._pipeline.has_ended = True
            self._pipeline.has_diverged = True  # another thread may have been inside the machine
            self._log.abandon(why)

    def _with_instruments(self, wanted: Sequence[Instrument]) -> Engine:
        try:
            if not self.sequence:
                self.upgrade_rules()
            self.recovery.note_rules(self._machine)
            self._add_missing(wanted)  # last: what is refused has added none
        except BaseException:
            self.close()
            raise
        return self


def durability_of(log: Log | None) -> Durability:
    if not isinstance(log, FileLog):
        return IN_MEMORY
    return DURABILITY.get(log.policy) or Durability(log.policy, float(log.interval_ms), True)
