"""From a directory to a machine: newest good snapshot, then the rest of the log.

`open_for_writing` is what the engine does; `look` gives the same machine, or an earlier one,
without a lock and without changing a byte, also while an engine is writing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import (
    InvalidArgument,
    LogDamaged,
    LogError,
    NotInTheLog,
    UnknownRules,
)
from ..journal import (
    DEFAULT_SEGMENT_BYTES,
    DISK,
    INTERVAL_MS_DEFAULT,
    Batch,
    Disk,
    FileLog,
    Frame,
    Keys,
    Log,
    Place,
    Position,
    Where,
    despite_archiving,
    first_sequence,
    has_log,
    open_reader,
    place_of,
    published,
    take_lock,
    unencrypted,
    writer_alive,
)
from ..journal.copies import check_open, refuse_copy
from ..journal.disk import make_directories, refusals
from ..machine import Machine, machine_class
from ..records.arguments import UINT64_MAX, integer
from ..records.commands import COMMAND
from ..records.rules import newer_rules
from ..records.times import Moment, nanoseconds, text_of
from .starts import Start, of_this_log, snapshot_files, starts

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from ..journal.stream import Address, StreamLog

REPLAY_COMMANDS = 32768  # of a step: handing one over wakes a thread
REPLAY_AHEAD = 2  # steps read and not replayed yet: what memory they take has a limit


@dataclass(slots=True)
class Recovery:
    """What opening an exchange found and did.

    - ``segments``, ``frames``: read from the log; ``commands``: replayed from it.
    - ``cut_bytes``: of an incomplete last write, truncated.
    - ``snapshot_sequence``: of the snapshot that was loaded; 0: none.
    - ``skipped``: bad snapshots, with reasons.
    - ``not_there``: first and last sequence that were on disk and are missing; None: none.
    - ``rules``: version of the rules; ``rules_possible``: a newer one that
      `Engine.upgrade_rules` would change to, None if there is none.
    - ``seconds``: duration.
    """

    segments: int = 0
    frames: int = 0
    commands: int = 0
    cut_bytes: int = 0
    snapshot_sequence: int = 0
    skipped: list[str] = field(default_factory=list)
    not_there: tuple[int, int] | None = None
    seconds: float = 0.0
    rules: int = 1
    rules_possible: int | None = None

    def note_rules(self, machine: Machine) -> None:
        """Takes over the version that a machine has."""
        self.rules, self.rules_possible = machine.rules, newer_rules(machine.rules)


def replay(machine: Machine, part: Frame | Batch, *, upto: int | None = None) -> int:
    """Applies what a machine has not seen of a part of a log, but nothing behind `upto`; returns
    the number of events.

    A machine that has seen nothing takes the version of the rules that the log begins under.
    `UnknownRules` for a version, there or in a change, that this matchcore does not know.
    """
    commands = _unseen(machine, part, upto)
    return len(upgrade(machine, part)) if part.rules and len(commands) else machine.replay(commands)


def apply(machine: Machine, part: Frame | Batch, *, upto: int | None = None) -> NDArray[np.void]:
    """As `replay`; returns the events, an `EVENT` array."""
    commands = _unseen(machine, part, upto)
    return upgrade(machine, part) if part.rules and len(commands) else machine.apply(commands)


def upgrade(machine: Machine, part: Frame | Batch) -> NDArray[np.void]:
    """Changes to the version of the rules that a marked frame names; returns its one event."""
    with _placed(part):
        return machine.upgrade(part.rules)


def follow_rules(machine: Machine, part: Frame | Batch) -> None:
    """Before a machine applies a part of a log: it must be under the rules of that part.

    A machine that has seen nothing takes them; for another one others are damage.
    """
    if not machine.sequence:
        with _placed(part):
            machine.begin_under(part.under)
    if machine.rules != part.under:
        raise LogDamaged(
            f"commands under version {part.under} of the rules, behind a state of version"
            f" {machine.rules}", part.path, part.offset, part.first_sequence,
        )  # fmt: skip


@contextmanager
def _placed(part: Frame | Batch) -> Iterator[None]:
    """Has `UnknownRules` say where."""
    try:
        yield
    except UnknownRules as error:
        place = f"{part.path} at byte {part.offset}, sequence {part.first_sequence}"
        raise UnknownRules(f"{place}: {error}") from None


def _unseen(machine: Machine, part: Frame | Batch, upto: int | None) -> NDArray[np.void]:
    known = machine.sequence + 1 - part.first_sequence
    if known < 0:
        raise _missing(part)
    end = None if upto is None else max(0, upto + 1 - part.first_sequence)
    commands = part.commands[known:end]
    if len(commands) or not machine.sequence:
        follow_rules(machine, part)
    return commands


def _missing(frame: Frame | Batch) -> LogDamaged:
    what = "commands are missing before"
    return LogDamaged(what, frame.path, frame.offset, frame.first_sequence)


class Replaying:
    """Replays frames in a thread of its own while the next ones are read and verified.

    Both let go of the GIL where they work, and to get it again from the other takes long: so
    frames are unpacked side by side into one array, which is replayed in one call.  A short log
    is replayed without a thread, at the end.
    """

    def __init__(self, machine: Machine, progress: Callable[[int], None]) -> None:
        self._machine = machine
        self._progress = progress
        self._next = machine.sequence + 1  # sequence that is not in any array yet
        self._room = np.empty(0, COMMAND)
        self._count = 0  # of commands gathered there
        self._rooms: list[NDArray[np.void]] = []  # not in use
        self._thread: ThreadPoolExecutor | None = None
        self._under_way: deque[tuple[Future[int], NDArray[np.void]]] = deque()

    def take(self, frame: Frame) -> None:
        """Replays a frame behind those it was given before, soon."""
        if frame.first_sequence != self._next:  # a snapshot stands between two frames
            raise _missing(frame)
        if self._next == 1:
            follow_rules(self._machine, frame)
        if frame.rules:
            self._finish()
            upgrade(self._machine, frame)
            self._progress(1)
            self._next += 1
            return
        end = self._count + frame.count
        if end > len(self._room):
            self._hand_over()
            self._room = self._rooms.pop() if self._rooms else self._room[:0]
            if len(self._room) < frame.count:
                self._room = np.empty(max(frame.count, REPLAY_COMMANDS), COMMAND)
            end = frame.count
        frame.unpack(self._room[self._count : end])
        self._count = end
        self._next += frame.count

    def _hand_over(self) -> None:
        if not self._count:
            return
        if self._thread is None:
            from concurrent.futures import ThreadPoolExecutor  # late: few logs are so long

            self._thread = ThreadPoolExecutor(1, "matchcore-replay")
        if len(self._under_way) >= REPLAY_AHEAD:
            self._wait()
        step = self._thread.submit(self._apply, self._room[: self._count])
        self._under_way.append((step, self._room))
        self._count = 0

    def _wait(self) -> None:
        step, room = self._under_way.popleft()
        self._progress(step.result())
        self._rooms.append(room)

    def _apply(self, commands: NDArray[np.void]) -> int:
        self._machine.replay(commands)
        return len(commands)

    def _finish(self) -> None:
        """Returns when all that was taken is replayed."""
        while self._under_way:
            self._wait()
        if self._count:
            self._progress(self._apply(self._room[: self._count]))
            self._count = 0

    def __enter__(self) -> Replaying:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            if self._thread is not None:
                self._thread.shutdown(cancel_futures=True)


def open_for_writing(
    place: Place,
    made: type[Machine],
    *,
    policy: str = "sync",
    interval_ms: int = INTERVAL_MS_DEFAULT,
    segment_bytes: int = DEFAULT_SEGMENT_BYTES,
    progress: Callable[[int], None] = lambda step: None,
    hash: str | None = None,
    keys: Keys | None = None,
    accept_loss: bool = False,
    rules: int | None = None,
    disk: Disk = DISK,
    reserve: int = 0,
    start: Start | None = None,
    on_frame: Callable[[Frame], None] | None = None,
    held: Callable[[], None] | None = None,
) -> tuple[FileLog | StreamLog, Machine, Recovery]:
    """The log at a place, open for appending, and a machine at its end.

    ``start``: a machine that has followed this log already; None: from the newest snapshot.
    ``on_frame``: applies each frame behind it to that machine; None: they are replayed.
    ``held``: of a replicated log; see `LeasedLog`.
    With `accept_loss` a snapshot of another exchange is skipped like a bad one, and a log that
    ends before what `position` says was on disk is taken.  A snapshot beyond the log's end is
    refused always: the log was on disk before the snapshot was written.
    """
    began = time.perf_counter()
    if isinstance(place, Path):
        refuse_copy(place, disk)
        if reserve and has_log(place, disk):  # who is in the way is told before memory is taken
            disk.close(take_lock(place, disk))
        opened: Callable[..., FileLog | StreamLog] = partial(
            FileLog.open, place, policy=policy, interval_ms=interval_ms,
            segment_bytes=segment_bytes, keys=keys, accept_loss=accept_loss, rules=rules, disk=disk,
        )  # fmt: skip
    else:
        opened = _stream_log(place, policy, keys, disk, held)
    if start is None:
        accept = of_this_log(place, disk, accept_loss=accept_loss)
        start = starts(place, made, accept=accept, disk=disk, keys=keys, reserve=reserve)
    if isinstance(place, Path) and not has_log(place, disk) and snapshot_files(place, disk):
        raise LogDamaged("there are snapshots here, but no journal", str(place), 0, 1)
    log: FileLog | StreamLog | None = None
    try:
        with Replaying(start.machine, progress) as replaying:
            log = opened(
                after=start.sequence, chain=start.chain, on_frame=on_frame or replaying.take,
                hash=hash,
            )  # fmt: skip
            check_open(log.epoch - 1, str(place))
    except BaseException:
        if log is not None:
            log.abandon("its replay failed")
        raise
    if not log.sequence:
        start.machine.begin_under(log.rules)
    return log, start.machine, _found(log, start, began)


def _found(log: FileLog | StreamLog, start: Start, began: float) -> Recovery:
    """What opening a log has found, behind a start."""
    found = log.recovered
    return Recovery(
        segments=found.segments,
        frames=found.frames,
        commands=log.sequence - start.sequence,
        cut_bytes=found.cut_bytes,
        snapshot_sequence=start.sequence,
        skipped=start.skipped,
        not_there=found.not_there,
        seconds=time.perf_counter() - began,
    )


def _stream_log(
    place: Address,
    policy: str,
    keys: Keys | None,
    disk: Disk,
    held: Callable[[], None] | None,
) -> Callable[..., StreamLog]:
    """Opens a replicated log, which has one policy and is not encrypted here."""
    if policy not in ("sync", "replicated"):
        raise InvalidArgument(
            f"policy {policy!r}: a replicated log always waits for a majority; leave policy out"
        )
    if keys is not None:
        raise unencrypted(place)
    from ..journal.stream import StreamLog
    from ..journal.stream.leased import LeasedLog

    if place.state is not None:
        with refusals(place.state):
            make_directories(disk, place.state)
    if held is not None:
        return partial(LeasedLog.open_leased, place, held)
    return partial(StreamLog.open, place)


@dataclass(frozen=True, slots=True)
class Look:
    """A machine that stands somewhere in a log, where that is, and what it took to get there."""

    machine: Machine
    position: Position
    recovery: Recovery


def look(
    path: Where,
    machine: str = "cython",
    *,
    sequence: int | None = None,
    keys: Keys | None = None,
) -> Look:
    """The machine behind one command of a log, or at its durable end.  Changes nothing.

    `NotInTheLog` for a sequence that the log has not come to.
    """
    place, made = place_of(path), machine_class(machine)
    if sequence is not None:
        sequence = integer(sequence, "sequence", most=UINT64_MAX)
    return despite_archiving(place, lambda: _look(place, made, sequence, keys))


def _look(place: Place, made: type[Machine], sequence: int | None, keys: Keys | None) -> Look:
    began = time.perf_counter()
    if sequence is not None and sequence < 0:
        raise NotInTheLog(f"sequence {sequence}: the first command is 1, and 0 is before it")
    start = starts(place, made, at_most=sequence, accept=of_this_log(place), keys=keys)
    found = Recovery(snapshot_sequence=start.sequence, skipped=start.skipped)
    at, driven = start.sequence, start.machine
    epoch = start.snapshot.epoch if start.snapshot else 0
    seen: set[str] = set()
    with open_reader(place, after=at, chain=start.chain, keys=keys) as reader:
        if not at:  # there may be no frame to say it
            driven.begin_under(reader.rules)
        for frame in reader.read() if sequence is None or at < sequence else ():
            seen.add(frame.path)
            found.frames += 1
            replay(driven, frame, upto=sequence)
            epoch = frame.epoch
            if driven.sequence == sequence:
                break
        found.cut_bytes = reader.torn_bytes
        if sequence is None and isinstance(place, Path) and not writer_alive(place):
            hint = published(place)
            if hint.on_disk > driven.sequence and hint.identity == reader.identity:
                found.not_there = driven.sequence + 1, hint.on_disk
    if sequence is not None and driven.sequence < sequence:
        ends = driven.sequence
        raise NotInTheLog(f"sequence {sequence}: the log in {place} ends with {ends}")
    found.segments, found.commands = len(seen), driven.sequence - at
    found.seconds = time.perf_counter() - began
    found.note_rules(driven)
    return Look(driven, Position(epoch, driven.sequence), found)


def read(
    path: Where, machine: str = "cython", keys: Keys | None = None
) -> tuple[Machine, Position]:
    """The machine at the durable end of a log, and where that is.  Changes nothing."""
    found = look(path, machine, keys=keys)
    return found.machine, found.position


def recorded(
    place: Place, keys: Keys | None, disk: Disk = DISK
) -> Callable[[int], Iterator[Frame]]:
    """The durable frames of a log that hold sequences beyond the one it is called with."""

    def frames(after: int) -> Iterator[Frame]:
        with open_reader(place, after=after, keys=keys, disk=disk) as reader:
            yield from reader.read()

    return frames


def sequence_at(path: Where, moment: Moment, *, keys: Keys | None = None) -> int:
    """The last command whose time is at or before a moment (what counts as one: `nanoseconds`).

    0 if there is none.  Times come with the commands and need not be in order, so this reads
    the whole log.  `NotInTheLog` if the log no longer holds what came so early.
    """
    place, limit = place_of(path), nanoseconds(moment)
    return despite_archiving(place, lambda: _sequence_at(place, limit, keys))


def _sequence_at(place: Place, limit: int, keys: Keys | None) -> int:
    found, earliest = 0, None
    first = first_sequence(place)
    with open_reader(place, after=first - 1, keys=keys) as reader:
        for frame in reader.read():
            times = frame.commands["time"]
            early = np.flatnonzero(times <= limit)
            if len(early):
                found = frame.first_sequence + int(early[-1])
            earliest = int(times[0]) if earliest is None else earliest
    if not found and first > 1:
        raise NotInTheLog(
            f"{text_of(limit)}: the log in {place} begins later, with sequence {first}"
            + (f" of {text_of(earliest)}" if earliest is not None else "")
        )
    return found


def at_durable(
    log: Log, made: type[Machine], place: Place | None = None, disk: Disk = DISK
) -> Machine:
    """A machine at the durable end of a log that has failed; ``place``: where snapshots may be."""
    durable = log.durable
    start = Start(made(), None, [], 0)
    if place is not None:
        accept = of_this_log(place, disk, accept_loss=True)  # its opening has decided that
        start = starts(place, made, durable, accept, disk, log.keys)
    if start.sequence < durable:
        for frame in log.frames(start.sequence):
            replay(start.machine, frame)
            if start.machine.sequence >= durable:
                break
    if start.machine.sequence != durable:
        raise LogError(f"the log gives sequence {start.machine.sequence}, not {durable}")
    if not durable:  # no frame has said it
        start.machine.begin_under(_begins_under(log, place, disk))
    return start.machine


def _begins_under(log: Log, place: Place | None, disk: Disk) -> int:
    """The version of the rules that a log begins with; its end may be under a newer one."""
    if not isinstance(place, Path):
        return log.rules
    with open_reader(place, keys=log.keys, disk=disk) as reader:
        return reader.rules
