"""One case on a simulated disk: a script of work, a plan of faults, and what must hold after each.

The exchange is opened again after every crash, from what the disk kept, until the script is done.
Each life goes on with commands of its own, so that something left over from a life before shows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..engine.engine import Engine
from ..errors import InvalidCommand, LogDamaged, LogError, MatchcoreError
from ..journal import Frame, LogReader, snapshots, verify
from ..journal.segments import Walk, named_sequence, segment_files
from ..operations.archive import archive
from ..records.codec import pack, upgrade_record
from ..records.commands import COMMAND, joined
from ..records.rules import newer_rules
from ..records.schema import RULES_LATEST
from ..records.typed import decode
from .disk import CRASHES, KINDS, LIE, POWER_BEFORE, Crash, Fault, SimulatedDisk
from .flow import Broken, Rows, check_books, commands, digest_of, promise, reference
from .secrecy import Secret, lacking
from .stages import Stages

PLACE, ARCHIVE = Path("/exchange"), Path("/archive")
LIVES_MAX = 200
FLOW = 800  # commands of a life, if it lives long enough
INTERVAL_MS = 10


class Step(NamedTuple):
    """``what``: "batch" or "single" of `size` commands, a "group" of `size` submissions that share
    syncs, "wait" so many ms, "snapshot", "reopen", "archive", "drop", "upgrade" of the rules."""

    what: str
    size: int = 0


@dataclass(frozen=True)
class Plan:
    """Everything a case is made of; the same plan goes the same way.

    ``rules``: the version that its exchange begins under.
    """

    seed: int
    steps: tuple[Step, ...]
    faults: tuple[Fault, ...] = ()
    policy: str = "sync"
    sector: int = 512
    segment_bytes: int = 4096
    room: int = 0
    hash: str = "sha256"
    cipher: str = ""
    rules: int = RULES_LATEST

    def as_plain(self) -> dict[str, Any]:
        return {**self.__dict__, "steps": [*self.steps], "faults": [*self.faults]}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Plan:
        steps = tuple(Step(str(what), int(size)) for what, size in plain["steps"])
        faults = tuple(Fault(int(at), str(kind)) for at, kind in plain["faults"])
        if any(kind not in KINDS for _, kind in faults):
            raise ValueError(f"faults: one of {', '.join(KINDS)}")
        return cls(**{**plain, "steps": steps, "faults": faults})


@dataclass
class Outcome:
    """What a case has seen; ``refused``: opening said that the log is damaged, and nothing else."""

    operations: int = 0
    crashes: int = 0
    errors: int = 0
    opened: int = 0
    refused: str = ""
    disk: SimulatedDisk | None = field(default=None, repr=False)


MakeDisk = Callable[..., SimulatedDisk]


class Run:
    """Lives of one exchange on one disk."""

    def __init__(self, plan: Plan, make: MakeDisk = SimulatedDisk) -> None:
        self.plan = plan
        self.disk = make(plan.seed, plan.faults, sector=plan.sector, room=plan.room)
        self.outcome = Outcome(disk=self.disk)
        self.stream = np.zeros(0, COMMAND)  # everything given, as the exchange should have it
        self.acknowledged = 0
        self.synced = 0  # what fdatasync has returned for
        self.told: list[tuple[int, float]] = []  # ends of answers, and when they were given
        self.wrong: list[str] = []  # seen where nothing can be raised
        self.keys = Secret(plan.cipher, lambda: f"k{self.life % 2}") if plan.cipher else None
        #: by the sequence before a call: its commands, and the bytes of its events
        self.answers: dict[int, tuple[int, bytes]] = {}
        self.retained: set[str] = set()  # what may have shortened the log
        self.life = self._forgotten = 0
        self._time = 0  # of a change of the rules that is under way

    def go(self) -> Outcome:
        """Runs the plan; `Broken` when a promise is not kept."""
        todo = list(self.plan.steps)
        while self.life < LIVES_MAX:
            self.life += 1
            try:
                if self._live(todo):
                    break
            except Crash:
                self.outcome.crashes += 1
            except (MatchcoreError, OSError) as error:
                if isinstance(error, LogDamaged):
                    self._refused(error)
                    break
                self.outcome.errors += 1
                self.disk.room = 0  # its cause is mended: there is room again
            self.disk.restart()
        self._last()
        self.outcome.operations = self.disk.operations
        return self.outcome

    def _refused(self, error: LogDamaged) -> None:
        """Only a disk that lied may have damaged what was written to it."""
        promise(self.disk.lied, f"no disk lied, but opening says: {error}")
        self.outcome.refused = str(error)

    def _live(self, todo: list[Step]) -> bool:
        """From opening to the next crash or error; True when all steps are done."""
        engine = self._open()
        try:
            while todo:
                step = todo[0]
                if step.what == "reopen":
                    engine.close()
                    self.acknowledged = self.synced = len(self.stream)
                    engine = self._open()
                elif step.what == "snapshot":
                    engine.snapshot()
                elif step.what in ("archive", "drop"):
                    self._retain(engine, step.what)
                elif step.what == "upgrade":
                    self._upgrade(engine)
                elif step.what == "group":
                    self._group(engine, step.size)
                elif step.what == "wait":
                    self._wait(engine, step.size / 1e3)
                else:
                    self._submit(engine, step)
                self._note(engine)
                todo.pop(0)
            engine.close()
        except (MatchcoreError, OSError):
            self._note(engine)
            self._serves(engine)
            with suppress(Crash, LogError, OSError):  # who goes on after an error gives it back
                engine.close()
            raise
        except BaseException:
            with suppress(Crash, LogError, OSError):  # who goes on after an error gives it back
                engine.close()
            raise
        self.acknowledged = len(self.stream)
        return True

    def _open(self) -> Engine:
        plan = self.plan
        self.stages = Stages(None)
        engine = Engine._open(
            PLACE, disk=self.disk, pipeline=self.stages,
            clock=lambda: self._time or self.disk.clock(),
            policy=plan.policy, interval_ms=INTERVAL_MS, segment_bytes=plan.segment_bytes,
            hash=plan.hash, keys=self.keys, rules=plan.rules,
        )  # fmt: skip
        self.outcome.opened += 1
        self.disk.said.append(f"-- opened at {engine.sequence}")
        self._check(engine)
        return engine

    def _check(self, engine: Engine) -> None:
        """Acknowledged ⊆ recovered ⊆ given, in order, once; the state is that of those commands."""
        found = engine.sequence
        self._nothing_lost(found)
        promise(found <= len(self.stream), f"{len(self.stream)} commands were given, {found} there")
        assert engine.log is not None
        self.stream = self.stream[:found]
        first = self._is_given(engine.log.frames(), "the log")
        promise(first == 1 or bool(self.retained), f"the log begins with command {first}")
        promise(engine.digest() == self._digest(found), "the state is not that of its commands")
        check_books(engine._machine)
        self.acknowledged = self.synced = found  # an opening syncs what it accepts
        self.told.clear()
        self._forgotten = self.disk.forgotten
        self.answers = {
            at: answer for at, answer in self.answers.items() if at + answer[0] <= found
        }

    def _digest(self, upto: int) -> str:
        return digest_of(self.stream[:upto], self.plan.rules)

    def _is_given(self, frames: Iterator[Frame], what: str) -> int:
        """Frames without a gap, up to the stream's end, as it was given; the first sequence."""
        first = at = 0
        for frame in frames:
            first, at = first or frame.first_sequence, at or frame.first_sequence
            given = self.stream[at - 1 : at - 1 + frame.count]
            whole = frame.first_sequence == at and frame.commands.tobytes() == given.tobytes()
            promise(whole, f"{what} is not what was given, from command {at} on")
            at += frame.count
        promise(not at or at == len(self.stream) + 1, f"{what} ends before command {at}")
        return first or 1

    def _retain(self, engine: Engine, what: str) -> None:
        """Archives or drops what the newest snapshot makes old; without a snapshot, nothing."""
        self.retained.add(what)
        if snapshots.listing(PLACE, self.disk):
            place = ARCHIVE if what == "archive" else None
            archive(PLACE, place, drop=place is None, keep_snapshots=1, disk=self.disk)

    def _nothing_lost(self, found: int) -> None:
        """What was synced is there.  So is what was acknowledged, under `sync` always, else if
        the disk forgot nothing; under `interval` what it forgot was answered within one."""
        if self.disk.lied:
            return
        promise(found >= self.synced, f"{self.synced} commands were synced, {found} are there")
        if self.plan.policy == "sync" or self._forgotten == self.disk.forgotten:
            safe = self.acknowledged
            promise(found >= safe, f"{safe} commands were acknowledged, {found} are there")
        elif self.plan.policy == "interval":
            lost = [at for end, at in self.told if end > found]
            span = 1e3 * (lost[-1] - lost[0]) if lost else 0
            promise(span <= INTERVAL_MS, f"answers of {span:.0f} ms are lost, not {INTERVAL_MS}")

    def _upgrade(self, engine: Engine) -> None:
        """To the newest rules; nothing if a life before came so far."""
        version = newer_rules(engine.rules)
        if version is None:
            return
        at, self._time = len(self.stream), self.disk.clock()
        self.stream = joined([self.stream, upgrade_record(version, self._time)])
        try:
            answer = engine.upgrade_rules()
        finally:
            self._time = 0
        promise(answer is not None, "a newer version of the rules, and no change to it")
        assert answer is not None
        self._answered(at, 1, answer.events.tobytes())

    def _note(self, engine: Engine) -> None:
        """How far the engine says it has synced, and what could not be said where it was seen."""
        self.synced = max(self.synced, engine.on_disk)
        self.wrong += self.keys.wrong if self.keys is not None else []
        for what in self.wrong:
            raise Broken(what)

    def _serves(self, engine: Engine) -> None:
        """After an error it shows what was acknowledged; only bytes that were not synced, or by a
        disk that lied, may be unreadable."""
        try:
            durable, digest = engine.durable, engine.digest()
        except LogError as error:
            excused = self.plan.policy != "sync" or self.disk.lied
            promise(excused, f"after an error nothing is shown: {error}")
            return
        shown = self._digest(durable)
        promise(digest == shown, "after an error another state is shown than the durable one")

    def _group(self, engine: Engine, count: int) -> None:
        """Submissions, the log's turn among them: some share a frame and a sync, and some wait."""
        dice = random.Random(f"{self.plan.seed} {self.life} {len(self.stream)}")
        for _ in range(count):
            at = len(self.stream)
            given = self._given(at, dice.choice((1, 1, 1, 2, 7, 20)))
            if dice.random() < 0.2:
                self._answered(at, len(given), engine.submit_batch(given).tobytes())
            else:
                future = engine.submit_async(given)
                future.add_done_callback(partial(self._released, at, len(given)))
            if dice.random() < 0.3:
                self.stages.go()
        self.stages.go()
        engine._usable()

    def _released(self, at: int, count: int, future: Future[Rows]) -> None:
        if future.exception() is None:
            if at != self.acknowledged:
                self.wrong.append(f"answer {at + 1} came behind {self.acknowledged}")
            self._answered(at, count, future.result().tobytes())

    def _wait(self, engine: Engine, seconds: float) -> None:
        """Nobody submits; the log's thread wakes when a sync is due."""
        assert engine.log is not None
        due = engine.log.sync_due
        if due is not None and due <= seconds:
            self.disk.wait(max(0.0, due) + 1e-6)
            self.stages.go()
            engine._usable()
            promise(engine.on_disk == engine.log.sequence, "a sync was due, and was not done")
        self.disk.wait(seconds)

    def _submit(self, engine: Engine, step: Step) -> None:
        at = len(self.stream)
        given = self._given(at, step.size)
        if step.what == "batch":
            self._answered(at, len(given), engine.submit_batch(given).tobytes())
            return
        for number in range(step.size):
            row = given[number : number + 1]
            self._answered(at + number, 1, one_by_one(engine, row))

    def _given(self, at: int, count: int) -> Rows:
        given = commands(self.plan.seed + self.life, at + FLOW)[at : at + count]
        self.stream = joined([self.stream, given])
        return given

    def _answered(self, at: int, count: int, events: bytes) -> None:
        self.answers[at] = count, events
        self.acknowledged = at + count
        self.told.append((at + count, self.disk.monotonic()))

    def _last(self) -> None:
        """The plain-Python machine over everything: the same digest, the same answers."""
        if self.outcome.refused:
            return
        self.disk.faults.clear()  # those that the script was too short for
        if not self.disk.lied:
            self._reads_as_is()
        machine, events, starts = reference(self.stream, self.plan.rules)
        promise(machine.digest() == self._digest(len(self.stream)), "the two machines differ")
        for at, (count, answer) in self.answers.items():
            end = min(at + count, len(self.stream))
            there = events[starts[at] : starts[end]].tobytes()
            promise(answer == there, f"the answer to command {at + 1} is another on replay")

    def _reads_as_is(self) -> None:
        """`verify` and a reader without a lock find the same."""
        report = verify(PLACE, disk=self.disk, keys=self.keys)
        promise(report.good, f"verify says: {report.findings}")
        begin = named_sequence(segment_files(PLACE, self.disk)[0])
        with LogReader(PLACE, after=begin - 1, keys=self.keys, disk=self.disk) as reader:
            first = self._is_given(reader.read(), "what a reader sees")
        if "drop" not in self.retained:
            promise(self._archived() >= first - 1, f"nobody has commands up to {first - 1}")

    def _archived(self) -> int:
        """Commands from the first on that are in the archive, as they were given."""
        at = 1
        for file in segment_files(ARCHIVE, self.disk) if self.disk.is_dir(ARCHIVE) else ():
            with Walk.open(file, keys=self.keys, disk=self.disk) as walk:
                while (frame := walk.next()) is not None:
                    given = self.stream[at - 1 : at - 1 + frame.count]
                    whole = frame.first_sequence == at
                    whole = whole and frame.commands.tobytes() == given.tobytes()
                    promise(whole, f"the archive is not what was given, from command {at} on")
                    at += frame.count
        return at - 1


def one_by_one(engine: Engine, row: Rows) -> bytes:
    """Sends one record as a typed command, if it can be one; the bytes of its events."""
    try:
        face = decode(row[0], engine.instruments)
        typed = pack(face, engine.instruments) == row.tobytes()
    except InvalidCommand:
        typed = False
    return engine.submit(face).events.tobytes() if typed else engine.submit_batch(row).tobytes()


# -------------------------------------------------------------------- which plans there are

#: Rotation (segments of 4 KiB), snapshots, pruning, retention, a clean close, single commands,
#: batches, groups that share syncs, and time that goes by.
SCRIPT = (
    Step("batch", 5), Step("single", 3), Step("snapshot"), Step("batch", 30), Step("batch", 17),
    Step("single", 2), Step("snapshot"), Step("archive"), Step("batch", 40), Step("reopen"),
    Step("batch", 9), Step("snapshot"), Step("single", 1), Step("group", 9), Step("wait", 4),
    Step("group", 7), Step("wait", 12), Step("batch", 60), Step("snapshot"),
    Step("archive"), Step("batch", 25), Step("snapshot"), Step("batch", 70), Step("snapshot"),
    Step("drop"), Step("batch", 12), Step("single", 2),
)  # fmt: skip
SHAPES = (
    *(Plan(0, SCRIPT, policy=policy, sector=sector)
      for policy in ("sync", "os", "interval") for sector in (512, 4096)),
    Plan(0, SCRIPT, hash="sm3", cipher="sm4-gcm"),
    Plan(0, SCRIPT, policy="interval", sector=4096, cipher="aes-256-gcm"),
)  # fmt: skip


def every_operation(seed: int, make: MakeDisk = SimulatedDisk) -> Iterator[Plan]:
    """Each kind of fault at each operation of the script, with a power cut soon behind a lie."""
    shapes = [shape for shape in SHAPES if not lacking(shape.hash, shape.cipher)]
    counts = [Run(replace(shape, seed=seed), make).go().operations for shape in shapes]
    for kind in KINDS:
        for shape, count in zip(shapes, counts, strict=True):
            for at in range(1, count + 1):
                faults = [Fault(at, kind)]
                if kind not in CRASHES:
                    faults.append(Fault(at + 1 + at % 5, POWER_BEFORE))
                yield replace(shape, seed=seed + at, faults=tuple(faults))


def any_faults(seed: int) -> Plan:
    """A script, and a few faults near each other, so that they meet recoveries too."""
    dice = random.Random(seed)
    steps = []
    for _ in range(dice.randint(3, 18)):
        work = ("batch", "batch", "group", "wait", "single", "snapshot", "snapshot", "reopen")
        what = dice.choice((*work, "archive", "drop"))
        most = {"batch": 90, "single": 4, "group": 12, "wait": 20}.get(what, 0)
        steps.append(Step(what, dice.randint(1, most) if most else 0))
    kinds: tuple[str, ...] = CRASHES if dice.random() < 0.5 else KINDS
    if dice.random() < 0.7:
        kinds = tuple(kind for kind in kinds if kind != LIE)
    at, faults = 0, []
    for _ in range(dice.randint(1, 9)):
        at += dice.choice((1, dice.randint(1, 6), dice.randint(1, 60)))
        faults.append(Fault(at, dice.choice(kinds)))
    policy = dice.choice(("sync", "sync", "os", "interval"))
    room = dice.choice((0, 0, 0, dice.randint(300, 40_000)))
    sector, segment = dice.choice((512, 4096)), dice.choice((4096, 4096, 20_000))
    hash, cipher = dice.choice(
        (("sha256", ""), ("sha256", ""), ("sm3", ""), ("sm3", "sm4-gcm"), ("sha256", "aes-256-gcm"))
    )
    return Plan(seed, tuple(steps), tuple(faults), policy, sector, segment, room, hash, cipher)


def crossing(seed: int) -> Plan:
    """As `any_faults`, of an exchange that begins under version 1 and is upgraded half-way."""
    plan = any_faults(seed)
    half = len(plan.steps) // 2
    steps = (*plan.steps[:half], Step("upgrade"), *plan.steps[half:])
    return replace(plan, steps=steps, rules=1)


def shrunk(plan: Plan, fails: Callable[[Plan], bool], tries: int = 300) -> Plan:
    """A smaller plan that fails too: fewer and earlier faults, fewer and smaller steps."""
    smaller = True
    while smaller and tries > 0:
        smaller = False
        for candidate in _smaller(plan):
            tries -= 1
            if tries < 0:
                break
            if fails(candidate):
                plan, smaller = candidate, True
                break
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    for at in range(len(plan.faults)):
        yield replace(plan, faults=plan.faults[:at] + plan.faults[at + 1 :])
    for end in (len(plan.steps) // 2, len(plan.steps) - 1):
        yield replace(plan, steps=plan.steps[:end])
    for at, step in enumerate(plan.steps):
        yield replace(plan, steps=plan.steps[:at] + plan.steps[at + 1 :])
        if step.size > 1:
            less = (step._replace(size=step.size // 2),)
            yield replace(plan, steps=plan.steps[:at] + less + plan.steps[at + 1 :])
    for at, fault in enumerate(plan.faults):
        for sooner in sorted({fault.at * 2 // 3, fault.at - 1} - {0, fault.at}):
            moved = (fault._replace(at=sooner),)
            yield replace(plan, faults=plan.faults[:at] + moved + plan.faults[at + 1 :])
    if plan.room:
        yield replace(plan, room=0)
    if plan.cipher or plan.hash != "sha256":
        yield replace(plan, cipher="", hash="sha256")
