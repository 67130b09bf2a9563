"""The engine: gives each command its place in the log, and answers when it is safe there.

Open is the only way in, for a new exchange, after a clean close and after a disaster alike:
newest good snapshot, then the rest of the log.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from . import snapshots
from .answers import Answer, BookView, Machine
from .commands import COMMAND, Side, joined
from .encoding import pack
from .errors import InstrumentConflict, LogError, LogFailed, ReadOnly
from .events import EVENT
from .instruments import Directory, Instrument, Price
from .journal import DEFAULT_SEGMENT_BYTES, DISK, Disk, Log, MemoryLog
from .recovery import Recovery, look, machine_class, open_for_writing, sequence_at
from .snapshotting import SNAPSHOTS_KEPT, Aside
from .state import State
from .typed import (
    AddInstrument,
    Amend,
    Cancel,
    ChangeInstrument,
    Command,
    EndDay,
    MassCancel,
    Reduce,
)

OVERLAP_COMMANDS = 512  # below this a thread costs more than matching during the write saves


class Engine:
    """One exchange: instruments, books and their log.

    All methods may be called from any thread; calls take turns.  An answer is given when its
    command is as durable as the log's policy says.

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
        path: Path | None = None,
        recovery: Recovery | None = None,
        clock: Callable[[], int] = time.time_ns,
        disk: Disk = DISK,
    ) -> None:
        self._machine = machine
        self._log = log
        self._disk = disk
        self._clock = clock
        self._lock = threading.RLock()
        self._turn = _Turn(self)
        self._matcher: ThreadPoolExecutor | None = None
        self._failure: BaseException | None = None  # why nothing is taken: closed, or worse
        self._aside: Aside | None = None  # the last snapshot that was started
        self._ahead = False  # the machine has seen commands that the log may have lost
        self.path = path
        self.recovery = recovery or Recovery()

    # ------------------------------------------------------------------ opening and closing

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        instruments: Iterable[Instrument] = (),
        machine: str = "cython",
        policy: str = "sync",
        segment_bytes: int = DEFAULT_SEGMENT_BYTES,
        clock: Callable[[], int] = time.time_ns,
        progress: Callable[[int], None] = lambda step: None,
        disk: Disk = DISK,
    ) -> Engine:
        """Opens the exchange in a directory, making it if it is not there.

        ``instruments`` that the log does not know are added to it; one that differs from the
        log raises `InstrumentConflict` (use `change_instrument`).  ``policy``: "sync" (an answer
        means fdatasync has returned) or "os" (handed to the operating system).  ``clock`` gives
        nanoseconds for commands without a time.  ``progress`` is told how many commands each
        step of the replay has applied.  ``disk``: what files are read and written through.
        Raises `LogLocked` while another engine has it open,
        `LogDamaged` when bytes before the end are not what was written, OSError without rights.
        """
        wanted = _distinct(instruments)
        directory = Path(path)
        log, driven, recovery = open_for_writing(
            directory, machine_class(machine), policy=policy, segment_bytes=segment_bytes,
            progress=progress, disk=disk,
        )  # fmt: skip
        engine = cls(driven, log, path=directory, recovery=recovery, clock=clock, disk=disk)
        return engine._with_instruments(wanted)

    @classmethod
    def memory(
        cls,
        *,
        instruments: Iterable[Instrument] = (),
        machine: str = "cython",
        log: MemoryLog | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> Engine:
        """An engine for tests and simulation: its log is in memory, or nowhere with None.

        A `MemoryLog` that holds something is replayed first.
        """
        wanted = _distinct(instruments)
        driven = machine_class(machine)()
        for frame in log.frames() if log is not None else ():
            driven.replay(frame.commands)
        return cls(driven, log, clock=clock)._with_instruments(wanted)

    @classmethod
    def at(
        cls,
        path: str | os.PathLike[str],
        *,
        sequence: int | None = None,
        time: int | datetime | None = None,
        machine: str = "cython",
    ) -> Engine:
        """The exchange as it was, to look at: also while another engine has it open.

        ``sequence``: behind this command; ``time``: behind the last command whose time is at
        or before it (nanoseconds, or a datetime with a time zone); neither: the durable end.
        From the newest snapshot before it, then the log.  A command raises `ReadOnly`;
        `NotInTheLog` for what is beyond the log's end, or no longer in it.
        """
        directory = Path(path)
        if time is not None:
            if sequence is not None:
                raise ValueError("sequence or time, not both")
            sequence = sequence_at(directory, time)
        found = look(directory, machine, sequence=sequence)
        engine = cls(found.machine, None, path=directory, recovery=found.recovery)
        engine._failure = ReadOnly(
            f"this is {directory} at sequence {engine.sequence}, to look at only: commands are"
            " for an engine of Engine.open"
        )
        return engine

    def close(self) -> None:
        """Seals and closes the log.  Closing twice does nothing."""
        with self._lock:
            if self._matcher is not None:
                self._matcher.shutdown()
                self._matcher = None
            if self._log is not None:
                self._log.close()
            self._failure = self._failure or LogError("this engine is closed")

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ------------------------------------------------------------------ commands

    def submit(self, command: Command) -> Answer:
        """Sends one typed command (`NewOrder`, `Cancel`, …) and waits for its answer.

        Raises `InvalidCommand`, `PriceError` or `UnknownInstrument` for what can not be written
        as a record: nothing was sent then.  A refusal by the rules is an answer, not an error.
        """
        with self._lock:
            if self._failure is not None:
                self._usable()
            machine, log = self._machine, self._log
            directory = machine.instruments
            if log is None:
                return Answer(machine.apply_one(pack(command, directory)), directory)
            now = self._clock()
            record = pack(command, directory, now)
            with self._fatal():
                _write(log, np.frombuffer(record, COMMAND), now)
                return Answer(machine.apply_one(record), directory)

    def submit_batch(self, commands: NDArray[np.void]) -> NDArray[np.void]:
        """Sends a 1-D `COMMAND` array of any length; returns its events as an `EVENT` array.

        All events come back together, when all commands are durable.  Commands with time 0 get
        the time of the call.  TypeError or ValueError for another dtype or shape; `LogFailed`
        when the log can not take them: then none is answered, and opening the directory again
        shows which of them are in the log.
        """
        if getattr(commands, "dtype", None) != COMMAND:
            raise TypeError("commands: a NumPy array of dtype matchcore.COMMAND")
        if commands.ndim != 1:
            raise ValueError(f"commands: one dimension, not {commands.ndim}")
        with self._lock:
            return self._commit(commands)

    def cancel(self, symbol: str, order_id: int, *, account: int = 0) -> Answer:
        return self.submit(Cancel(symbol, order_id, account))

    def amend(
        self,
        symbol: str,
        order_id: int,
        quantity: int | None = None,
        price: Price | None = None,
        *,
        account: int = 0,
    ) -> Answer:
        """A new open quantity and/or price.  The same price and no more quantity keep the
        place in the queue; anything else goes to the back and may trade."""
        return self.submit(Amend(symbol, order_id, quantity, price, account))

    def reduce(self, symbol: str, order_id: int, quantity: int, *, account: int = 0) -> Answer:
        """Takes a quantity off; the order keeps its place."""
        return self.submit(Reduce(symbol, order_id, quantity, account))

    def mass_cancel(
        self, symbol: str | None = None, *, account: int = 0, side: Side | None = None
    ) -> Answer:
        """Cancels every order that matches; without arguments, all there are."""
        return self.submit(MassCancel(symbol, account, side))

    def end_day(self, symbol: str | None = None) -> Answer:
        """Cancels the DAY orders of one instrument, or of all."""
        return self.submit(EndDay(symbol))

    def add_instrument(self, instrument: Instrument) -> int:
        """Adds an instrument; returns its number.  `InstrumentConflict` if the symbol is taken."""
        answer = self.submit(AddInstrument(instrument))
        if answer.rejected:
            raise InstrumentConflict(f"{instrument.symbol}: refused, {answer.reason.name}")
        return int(answer.events["instrument"][0])

    def add_missing(self, instruments: Iterable[Instrument]) -> None:
        """Adds the instruments that are not there; `InstrumentConflict` if one there differs."""
        with self._lock:
            for instrument in instruments:
                known = self.instruments.get(instrument.symbol)
                if known is None:
                    self.add_instrument(instrument)
                elif known != instrument:
                    raise InstrumentConflict(
                        f"the log has {known}, not {instrument}: use change_instrument"
                    )

    def change_instrument(self, instrument: Instrument) -> Answer:
        """New parameters for a symbol.  Another tick is refused while orders rest."""
        return self.submit(ChangeInstrument(instrument))

    # ------------------------------------------------------------------ looking

    @property
    def instruments(self) -> Directory:
        """By symbol and by number; change them through commands only."""
        with self._turn:
            return self._machine.instruments

    @property
    def sequence(self) -> int:
        """Of the last command; 0 before the first."""
        with self._turn:
            return self._machine.sequence

    @property
    def log(self) -> Log | None:
        return self._log

    @property
    def identity(self) -> bytes:
        """16 bytes that name this exchange for good; empty without a log."""
        return self._log.identity if self._log is not None else b""

    def book(self, symbol: str) -> BookView:
        """A look into one instrument's book."""
        return BookView(self._machine, self.instruments.number(symbol), self._turn)

    def state(self) -> State:
        """The whole state as fresh arrays."""
        with self._turn:
            return self._machine.state()

    def digest(self) -> str:
        """SHA-256 of the whole state: equal for live, replayed, restored and reference."""
        return self.state().digest()

    def snapshot(self) -> Path:
        """Writes a snapshot beside the log, and keeps the newest few; returns its file.

        Nothing is matched meanwhile: `start_snapshot` is for an exchange at work.
        """
        with self._lock:
            self._usable()
            if self.path is None or self._log is None:
                raise LogError("an engine in memory has no directory for a snapshot; use state()")
            with self._fatal():
                self._log.sync(to_disk=True)  # else a power cut could leave it behind its snapshot
            with snapshots.turn(self.path, self._disk):
                written = snapshots.write(
                    self.path,
                    sequence=self.sequence,
                    epoch=self._log.epoch,
                    chain=self._log.chain,
                    identity=self._log.identity,
                    payload=self._machine.state().to_bytes(),
                    disk=self._disk,
                )
                snapshots.prune(self.path, keep=SNAPSHOTS_KEPT, disk=self._disk)
                return written

    def start_snapshot(self) -> Future[Path]:
        """Has another process write a snapshot of this moment, while trading goes on.

        It replays the log from the newest snapshot on; the future gets the file, or `LogFailed`,
        which leaves this engine as it is.  `LogError` while the one before is being written.
        """
        with self._lock:
            self._usable()
            if self.path is None or self._log is None:
                raise LogError("an engine in memory has no log to take a snapshot from")
            if self._aside is not None and not self._aside.result.done():
                raise LogError(f"a snapshot at {self._aside.sequence} is still being written")
            self._aside = Aside(self.path, self._log.durable)
            return self._aside.result

    def _check(self) -> None:
        """Asserts every invariant of the machine."""
        with self._lock:
            self._machine._check()

    # ------------------------------------------------------------------ the way through the log

    def _usable(self) -> None:
        if isinstance(self._failure, ReadOnly):
            raise self._failure
        if self._failure is not None:
            raise LogFailed(f"nothing is taken any more: {self._failure}") from self._failure

    @contextmanager
    def _fatal(self) -> Iterator[None]:
        """Whatever goes wrong between log and machine ends this engine: they may differ now."""
        try:
            yield
        except BaseException as error:
            self._failure = error
            self._ahead = self._log is not None and self._machine.sequence > self._log.durable
            raise

    def _commit(self, commands: NDArray[np.void]) -> NDArray[np.void]:
        """Writes and applies, at once if that pays; the events, when both are done."""
        self._usable()
        if not len(commands):
            return np.empty(0, EVENT)
        log = self._log
        if log is None:  # times are for the log: the machine does not look at them
            return self._machine.apply(commands)
        now = self._clock()
        commands = _stamped(commands, now)
        with self._fatal():
            if len(commands) < OVERLAP_COMMANDS:
                _write(log, commands, now)
                return self._machine.apply(commands)
            if self._matcher is None:
                self._matcher = ThreadPoolExecutor(1, thread_name_prefix="matchcore-match")
            matching = self._matcher.submit(self._machine.apply, commands)
            try:  # the write is the longer part, so it is not the one that waits for a thread
                _write(log, commands, now)
            finally:
                events = matching.result()
            return events

    def _with_instruments(self, wanted: Sequence[Instrument]) -> Engine:
        try:
            self.add_missing(wanted)
        except BaseException:
            self.close()
            raise
        return self


class _Turn:
    """A look at the machine: one at a time, and none when it may hold what the log does not."""

    __slots__ = ("_engine",)

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __enter__(self) -> None:
        self._engine._lock.acquire()
        if self._engine._ahead:
            self._engine._lock.release()
            self._engine._usable()

    def __exit__(self, *_: object) -> None:
        self._engine._lock.release()


def _distinct(instruments: Iterable[Instrument]) -> list[Instrument]:
    wanted = list(instruments)
    Directory(wanted)  # raises for a symbol given twice, before anything is touched
    return wanted


def _write(log: Log, commands: NDArray[np.void], now: int) -> None:
    log.append(commands, now)
    log.sync()


def _stamped(commands: NDArray[np.void], now: int) -> NDArray[np.void]:
    missing = commands["time"] == 0
    if missing.any():
        commands = joined([commands])
        commands["time"][missing] = now
    return commands
