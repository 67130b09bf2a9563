"""The engine: gives each command its place in the log, and answers when it is durable.

`Engine.open` loads the newest good snapshot and then the rest of the log.  It is the same for a
new exchange, after a clean close and after a crash.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from operator import index
from types import MappingProxyType
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ..errors import LogError, LogFailed, ReadOnly
from ..journal import (
    DEFAULT_SEGMENT_BYTES,
    DISK,
    INTERVAL_MS_DEFAULT,
    Disk,
    Keys,
    Log,
    MemoryLog,
    Packed,
    Place,
    Where,
    snapshots_of,
    stated,
)
from ..machine import Machine, machine_class
from ..records.arguments import integer
from ..records.codec import pack
from ..records.commands import COMMAND, checked, joined
from ..records.instruments import Instrument, distinct
from ..records.market import Market
from ..records.order_faces import MassCancel
from ..records.order_records import sweeps_as_it_says
from ..records.times import Moment
from ..records.typed import Command
from ._queue import LARGE_COMMANDS, Submission, Waiter
from .answers import IN_MEMORY, Answer, durability_of
from .calls import Calls
from .forks import Fork, Frames
from .lifetime import Living
from .orders import Named
from .pipeline import QUEUE_BYTES, QUEUE_DEPTH, Pipeline
from .reads import Reads
from .recovery import Recovery, at_durable, look, open_for_writing, recorded, replay, sequence_at
from .snapshotting import Aside
from .storing import Stored
from .submissions import Commit, Promise
from .upgrading import upgraded


class Engine(Reads, Named, Calls, Stored, Living):
    """One exchange: instruments, books and their log.

    All methods may be called from any thread.  Answers are given in log order, each when its
    command is as durable as the log's policy requires.  Reads (`book`, `state`, `digest`,
    `sequence`) wait until everything they show is that durable.  ``durability``: what a crash can
    lose; ``path``: the directory, None in memory and of a replicated log without ``state``;
    ``recovery``: what opening found.

    Arguments of `open`, `memory` and `at`:

    - ``path``: the directory of the exchange, or the address of a replicated log:
      ``nats://HOST:PORT,HOST:PORT,HOST:PORT/NAME``.
    - ``state``: of a replicated log: a directory for snapshots; None: it is replayed from its
      beginning.
    - ``instruments``: instruments to add if the log does not have them.
    - ``markets``: a `Market` by symbol, to set if the instrument has none.
    - ``machine``: "cython", or "reference" for the implementation in plain Python.
    - ``policy``: what an answer means. "sync": fdatasync has returned. "interval": everything
      older than ``interval_ms`` milliseconds is synced. "os": the operating system has it.  A
      replicated log has one of its own, "replicated": a majority of the servers has synced it.
    - ``queue_depth``, ``queue_bytes``: limits of the submissions, and of the bytes of commands and
      events, that wait for their answer; beyond them `submit` waits.
    - ``metrics``: called with a `Commit` after each sync and before its answers; must be quick.
    - ``segment_bytes``: size at which the log starts a new file.
    - ``clock``: returns nanoseconds since 1970 UTC, for commands with time 0.
    - ``progress``: called with the number of commands of each step of the replay.
    - ``hash``: "sha256" or "sm3"; fixed when the log is created.
    - ``keys``: `Keys` of encrypted files; everything written is encrypted with them.
    - ``accept_loss``: opens a log whose end is missing, or that has files of another exchange.
    - ``reserve``: bytes of memory for books and orders, allocated at the start.

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
        self, machine: Machine, log: Log | None, *, clock: Callable[[], int] = time.time_ns
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
        place: Place | None = None,
        recovery: Recovery | None = None,
        disk: Disk = DISK,
    ) -> None:
        self._machine, self._log, self._disk, self._clock = machine, log, disk, clock
        self._pipeline = self._lock = pipeline
        self._keys: Keys | None = None  # of a log to read only
        self._aside: Aside | None = None  # the last snapshot that was started
        self.durability = durability_of(log)
        self.place, self.recovery = place, recovery or Recovery()
        self.path = None if place is None else snapshots_of(place)
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
        path: Where,
        *,
        state: str | os.PathLike[str] | None = None,
        instruments: Iterable[Instrument] = (),
        markets: Mapping[str, Market] = MappingProxyType({}),
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
        """Opens the exchange in a directory or a replicated log, or creates it.

        `Engine` lists the arguments.

        - `InstrumentConflict`: one of ``instruments`` or ``markets`` differs from the log; use
          `change_instrument` or `set_market`.
        - `LogLocked`: another engine has the log open.  A replicated log is taken over from an
          engine that does not write at the moment; that one ends.
        - `LogDamaged`: bytes before the end differ from what was written; or, without
          ``accept_loss``, the end is missing or files of another exchange are beside the log.
        - `KeyRefused`: a key is missing or wrong.
        - `UnknownRules`: the log needs newer rules than this matchcore has.
        - `LogFailed`: the system refuses a file, or servers cannot be reached.
        """
        wanted, place = distinct(instruments), stated(path, state)
        depth, size = integer(queue_depth, "queue_depth", 1), integer(queue_bytes, "queue_bytes", 1)
        pipeline = Pipeline(None, depth=depth, size=size, metrics=metrics)
        engine = cls._open(
            place, machine=machine, pipeline=pipeline, clock=clock, policy=policy,
            interval_ms=integer(interval_ms, "interval_ms"),
            segment_bytes=integer(segment_bytes, "segment_bytes"), progress=progress, hash=hash,
            keys=keys, reserve=integer(reserve, "reserve", None, None), accept_loss=accept_loss,
        )  # fmt: skip
        return engine._with(wanted, markets)

    @classmethod
    def _open(
        cls,
        place: Place,
        *,
        disk: Disk = DISK,
        machine: str = "cython",
        pipeline: Pipeline | None = None,
        clock: Callable[[], int] = time.time_ns,
        **options: Any,
    ) -> Engine:
        """As `open`, through a disk and with a pipeline that may be simulated ones."""
        log, driven, recovery = open_for_writing(
            place, machine_class(machine), disk=disk, **options
        )
        pipeline = pipeline or Pipeline(None)
        pipeline.log = log
        return cls._of(
            driven, log, pipeline, clock=clock, place=place, recovery=recovery, disk=disk
        )

    @classmethod
    def memory(
        cls,
        *,
        instruments: Iterable[Instrument] = (),
        markets: Mapping[str, Market] = MappingProxyType({}),
        machine: str = "cython",
        log: MemoryLog | None = None,
        clock: Callable[[], int] = time.time_ns,
        reserve: int = 0,
    ) -> Engine:
        """An engine without files, for tests and simulation.

        ``log``: a `MemoryLog`, whose commands are replayed first; None: commands are not stored.
        `Engine` lists the other arguments.
        """
        wanted, driven = distinct(instruments), machine_class(machine)(reserve)
        if log is not None and not log.sequence:
            driven.begin_under(log.rules)
        for frame in log.frames() if log is not None else ():
            replay(driven, frame)
        return cls(driven, log, clock=clock)._with(wanted, markets)

    @classmethod
    def at(
        cls,
        path: Where,
        *,
        state: str | os.PathLike[str] | None = None,
        sequence: int | None = None,
        time: Moment | None = None,
        machine: str = "cython",
        keys: Keys | None = None,
    ) -> Engine:
        """A read-only engine with the exchange at an earlier moment; another may have it open.

        - ``path``, ``state``, ``machine``, ``keys``: as for `open`.
        - ``sequence``: the state after this command.
        - ``time``: the state after the last command whose time is at or before it. Nanoseconds, a
          datetime or pandas Timestamp with a time zone, a datetime64 (UTC), or a text such as
          2019-05-21T09:00+02:00. Without ``sequence`` and ``time``: the durable end.

        Commands raise `ReadOnly`.  `NotInTheLog` for a moment after the log's end, or before its
        beginning if segments were archived.  ValueError for both ``sequence`` and ``time``.
        """
        place = stated(path, state)
        if time is not None:
            if sequence is not None:
                raise ValueError("give sequence or time, not both")
            sequence = sequence_at(place, time, keys=keys)
        found = look(place, machine, sequence=sequence, keys=keys)
        none = Pipeline(None)
        engine = cls._of(found.machine, None, none, place=place, recovery=found.recovery)
        engine._keys = keys
        engine._pipeline.failure = ReadOnly(
            f"this engine shows {place} at sequence {engine.sequence} and is read-only: send"
            " commands to an engine of Engine.open"
        )
        return engine

    def close(self) -> None:
        """Answers all pending commands and closes the log.  Later commands raise `LogError`."""
        self._pipeline.stop(LogError("this engine is closed"))
        with self._lock:
            if self._log is not None:
                self._log.close()

    def submit(self, command: Command) -> Answer:
        """Sends one typed ``command`` (`NewOrder`, `Cancel`, …) and waits for its answer.

        `InvalidCommand`, `PriceError` or `UnknownInstrument` if it has no form as a record; then
        nothing was sent.  `LogFailed` if the log failed.  A refusal by the rules is an answer, not
        an error.  Ctrl-C ends the wait; the command is either in the log or was not sent.
        """
        if self._log is None:
            with self._lock:
                if self._pipeline.failure is not None:
                    self._usable()
                directory, now = self._machine.instruments, index(self._clock())
                if type(command) is MassCancel:
                    sweeps_as_it_says(command, self._machine.rules)
                events = self._machine.apply_one(pack(command, directory, now))
                return Answer(events, directory, IN_MEMORY, index(command.time or now))
        waiter = Waiter()
        self._place(command, waiter)
        answer: Answer = waiter.result
        return answer

    def submit_batch(self, commands: NDArray[np.void]) -> NDArray[np.void]:
        """Sends ``commands``, a 1-D `COMMAND` array; returns its events, an `EVENT` array.

        Waits until all are durable.  Commands with time 0 get the time of the call.  TypeError or
        ValueError for another dtype or shape.  `LogFailed` if the log failed; opening it again
        shows which of the commands it has.
        """
        checked(commands)
        if self._log is None:
            with self._lock:
                self._usable()
                return self._machine.apply(commands, None, index(self._clock()))
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
        """As `submit` or `submit_batch`, but returns a future as soon as the command is queued.

        ``commands``: a typed command or a `COMMAND` array.  While the queue is full it waits, or
        without ``block`` raises `QueueFull`.  A thread of the log completes futures in log order: a
        callback must be quick and must not wait for other threads that submit.  It may exceed the
        limits by 1,024 submissions or to twice the bytes.  A future cannot be cancelled.
        """
        promise = Promise()
        self._place(commands, promise, block=block)
        return promise.future

    def _place(
        self, commands: Command | NDArray[np.void], way: Submission, *, block: bool = True
    ) -> None:
        """Gives commands their sequence and matches them; all submit methods call it.

        Returns when a `Waiter` is completed, for any other submission at once.
        Ctrl-C takes effect before the commands are queued or after.  Only the plain-Python machine,
        and commands that no order is in, run bytecode between; there it may end the engine.
        """
        if isinstance(commands, np.ndarray):
            self._place_batch(checked(commands), way, block)
            return
        pipeline, machine = self._pipeline, self._machine
        pipeline.start()
        placed = False
        while not placed:
            directory, then = machine.instruments, machine.instruments.then
            way.result = Answer(b"", directory, self.durability)
            if type(commands) is MassCancel:
                sweeps_as_it_says(commands, machine.rules)
            record = pack(commands, directory)
            placed = pipeline.place(machine, way, record, then, self._clock, block)

    def upgrade_rules(self) -> Answer | None:
        """Changes to the newest version of the rules that this matchcore knows, permanently.

        It is a command in the log.  Returns its answer, or None if the exchange has that version;
        then nothing is written.  Raises what `submit` raises.  Ctrl-C while it is being queued may
        end the engine.
        """
        with self._lock:
            self._usable()
            machine = self._seen()
        events = upgraded(machine, self._pipeline, self._clock)
        return None if events is None else Answer(events, machine.instruments, self.durability)

    def _ring(self) -> None:
        """Wakes the log's thread for submissions with `rings_later`."""
        self._pipeline.ring()

    def _place_batch(self, commands: NDArray[np.void], way: Submission, block: bool) -> None:
        pipeline, waits = self._pipeline, isinstance(way, Waiter)
        pipeline.start()
        large = len(commands) >= LARGE_COMMANDS
        way.count = len(commands)
        if commands.dtype is not COMMAND or type(commands) is not np.ndarray:
            commands = np.asarray(commands).view(COMMAND)  # which the machine knows at once
        again: Callable[[int], Packed] | None = None
        # a caller who does not wait may write to his array before the log has it
        if not commands.flags.c_contiguous or not (waits or large):
            way.records = commands = joined([commands])
        elif waits:
            way.records, way.is_borrowed = commands, True
        else:
            again, way.now = partial(Packed, commands), index(self._clock())
            way.records = again(way.now)
        way.size = way.records.nbytes
        first = waits and large
        pipeline.place_batch(self._machine, way, commands, again, self._clock, first, block)

    # ------------------------------------------------------------------ looking

    @property
    def durable(self) -> int:
        """Sequence of the last command that is as safe as the policy requires; does not wait."""
        return self._machine.sequence if self._log is None else self._log.durable

    @property
    def on_disk(self) -> int:
        """Sequence of the last command that fdatasync has returned for; does not wait."""
        return 0 if self._log is None else self._log.on_disk

    @property
    def log(self) -> Log | None:
        """The log, for its attributes; None without one.  Do not append to it."""
        return self._log

    @property
    def identity(self) -> bytes:
        """The 16 bytes that name this exchange permanently; empty without a log."""
        return self._log.identity if self._log is not None else b""

    def fork(self) -> Fork:
        """Makes an exchange in memory that continues from this state with own orders.

        This engine and its log do not change.  An engine of `Engine.at` can be forked too.
        `Fork.replay` executes the commands that the log recorded next.
        """
        log, place = self._log, self.place
        frames: Frames | None = log.frames if log is not None else None
        if place is not None:  # not through the log, which is not to be read beside appending
            frames = recorded(place, log.keys if log is not None else self._keys)
        with self._lock:
            machine = self._seen()
            state = machine.state()
        return Fork(type(machine), state, frames)

    def _check(self) -> None:
        """Asserts every invariant of the machine."""
        with self._lock:
            self._machine._check()

    def _usable(self) -> None:
        if self._pipeline.failure is not None:
            raise self._pipeline.refusal()

    def _seen(self) -> Machine:
        """The machine, once the log has all that it shows; called under the lock.

        After a failure it may stay ahead of the log.  Then a new one is built from the log.
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
                machine = at_durable(log, type(machine), self.place, self._disk)
            except (LogError, OSError) as error:
                raise LogFailed(f"the log failed and cannot be read either: {error}") from error
            self._machine, pipeline.has_diverged = machine, False
        return machine

    @property
    def _has_thread(self) -> bool:
        """True while the threads of the log run."""
        return self._pipeline.has_thread

    def _forked(self) -> None:
        """Called in a forked child."""
        self._pipeline.renew()

    def _with(self, wanted: Sequence[Instrument], markets: Mapping[str, Market]) -> Engine:
        try:
            self.recovery.note_rules(self._machine)
            self._add_missing(wanted)  # last: what is refused has added none
            self._add_markets(markets)
        except BaseException:
            self.close()
            raise
        return self
