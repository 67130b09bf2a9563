"""The bench: kinds of cases in turn until the time is over, and a report of what was seen."""

from __future__ import annotations

import json
import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from .disk import SimulatedDisk
from .flips import Target, encrypted, large, small
from .flow import Broken
from .kills import Aside, Chain, LeftOut, Together, digests, file_limit, full_disk, stopped
from .plans import MakeDisk, Plan, Run, any_faults, crossing, every_operation, shrunk
from .secrecy import lacking

FLIPS_A_CASE = 500  # so that a case is worth a line
STRIDE = 1_000_003  # a prime: cases of a finite kind come in an order that reaches all parts soon


@dataclass
class Tally:
    """What one kind of case has seen.  ``of``: cases there are, 0 if there is no end of them."""

    kind: str
    of: int = 0
    cases: int = 0
    crashes: int = 0
    errors: int = 0
    cuts: int = 0
    flips: int = 0
    kills: int = 0
    refused: int = 0
    losses: int = 0
    seconds: float = 0.0

    @property
    def done(self) -> bool:
        return 0 < self.of <= self.cases


@dataclass
class Failure:
    """A promise that was broken, and how to see it again."""

    case: str
    what: str
    repeat: str
    kept: str = ""


@dataclass
class Report:
    seed: int
    tallies: list[Tally] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    interrupted: bool = False
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        return not self.failures

    def as_plain(self) -> dict[str, Any]:
        total = Tally("all")
        for tally in self.tallies:
            for name, value in asdict(tally).items():
                if name not in ("kind", "of"):
                    setattr(total, name, getattr(total, name) + value)
        kinds = [asdict(tally) for tally in (*self.tallies, total)]
        for kind in kinds:
            kind["seconds"] = round(kind["seconds"], 1)
        return {
            "good": self.good,
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "interrupted": self.interrupted,
            "left_out": self.left_out,
            "kinds": kinds,
            "failures": [asdict(failure) for failure in self.failures],
        }


class Bench:
    """``make``: the disk of simulated cases; another one plants a bug, to see it found."""

    def __init__(self, seed: int, make: MakeDisk = SimulatedDisk) -> None:
        self.seed = seed
        self._make = make
        self._plans: list[Plan] = []
        self._targets: dict[str, Target] = {}
        self.report = Report(seed)
        self._tallies = {kind: Tally(kind) for kind in KINDS}

    # ------------------------------------------------------------------ running

    def run(
        self,
        seconds: float = float("inf"),
        cases: Mapping[str, int] | None = None,
        progress: Callable[[float], None] = lambda seconds: None,
    ) -> Report:
        """Runs until the time is over, `cases` of each kind are done, or a promise is broken.

        An interrupt (Ctrl-C) ends it with the report so far.
        """
        began = time.monotonic()
        self.report.tallies = list(self._tallies.values())
        try:
            with self._noting_interrupts():
                self._until(began + seconds, cases, progress)
        except KeyboardInterrupt:
            self.report.interrupted = True
        self.report.seconds = time.monotonic() - began
        return self.report

    def _until(
        self, end: float, cases: Mapping[str, int] | None, progress: Callable[[float], None]
    ) -> None:
        last = time.monotonic()
        while last < end and self.report.good and not self.report.interrupted:
            waiting = [
                tally for kind, tally in self._tallies.items()
                if not tally.done and (cases is None or tally.cases < cases.get(kind, 0))
            ]  # fmt: skip
            if not waiting:
                break
            # the one that had the least of its share of the time
            tally = min(waiting, key=lambda each: each.seconds / KINDS[each.kind][0])
            self.one(tally.kind, tally.cases)
            now = time.monotonic()
            progress(now - last)
            last = now

    @contextmanager
    def _noting_interrupts(self) -> Iterator[None]:
        """Notes Ctrl-C as well as raising it: a library may swallow what it did not expect, as
        NumPy does where it asks the other side of a comparison for its attributes."""
        before = signal.getsignal(signal.SIGINT)
        ours = before is signal.default_int_handler
        if not ours or threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, frame: FrameType | None) -> None:
            self.report.interrupted = True
            signal.default_int_handler(number, frame)

        signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def one(self, kind: str, number: int) -> None:
        """Runs a case; a broken promise is noted, shrunk and kept."""
        tally = self._tallies[kind]
        if tally not in self.report.tallies:
            self.report.tallies.append(tally)
        began = time.monotonic()
        try:
            KINDS[kind][1](self, tally, number)
        except LeftOut as error:
            self._leave_out(str(error))
            tally.of = tally.cases + 1  # not again
        except Exception as error:  # also one that nobody promised: it is no answer either
            self._unless_interrupted()
            tally.losses += 1
            self._note(f"{kind}-{number}", said(error))
        tally.cases += 1
        tally.seconds += time.monotonic() - began

    def _unless_interrupted(self) -> None:
        """What goes wrong after Ctrl-C may be its work."""
        if self.report.interrupted:
            raise KeyboardInterrupt

    def _leave_out(self, what: str) -> None:
        if what not in self.report.left_out:
            self.report.left_out.append(what)

    def _note(self, case: str, what: str) -> None:
        repeat = f"matchcore torture --seed {self.seed} --case {case}"
        self.report.failures.append(Failure(case, what, repeat))

    def _dice(self, kind: str, number: int) -> random.Random:
        return random.Random(f"{self.seed} {kind} {number}")

    # ------------------------------------------------------------------ simulated disks

    def operations(self, tally: Tally, number: int) -> None:
        if not self._plans:
            self._plans = list(every_operation(self.seed, self._make))
        tally.of = len(self._plans)
        self.plan(self._plans[number * STRIDE % tally.of], f"operations-{number}", tally)

    def faults(self, tally: Tally, number: int) -> None:
        seed = self._dice("faults", number).getrandbits(63)
        self.plan(any_faults(seed), f"faults-{number}", tally)

    def rules(self, tally: Tally, number: int) -> None:
        """A log that begins under the first rules and is upgraded half-way."""
        seed = self._dice("rules", number).getrandbits(63)
        self.plan(crossing(seed), f"rules-{number}", tally)

    def plan(self, plan: Plan, case: str, tally: Tally | None = None) -> None:
        """Runs a plan; one that breaks a promise is made smaller, and kept with its disk."""
        tally = tally or self._tallies["faults"]
        if lacks := lacking(plan.hash, plan.cipher):
            self._leave_out(lacks)
            return
        try:
            outcome = Run(plan, self._make).go()
        except Exception as error:
            self._unless_interrupted()
            tally.losses += 1
            self._note(case, said(error))  # before: making it smaller takes time, and Ctrl-C
            least = shrunk(plan, lambda smaller: bool(_fails(smaller, self._make)))
            self.report.failures[-1].kept = _keep(least, self._make)
            return
        tally.crashes += outcome.crashes
        tally.errors += outcome.errors
        tally.refused += bool(outcome.refused)

    # ------------------------------------------------------------------ bytes

    def _target(self, kind: str, make: Callable[[int], Target]) -> Target:
        if kind not in self._targets:
            self._targets[kind] = make(self.seed & 0xFFFFFFFF)
        return self._targets[kind]

    def cut_bytes(self, tally: Tally, number: int) -> None:
        """Each byte of the small log and its snapshots."""
        target = self._target("small", small)
        tally.of = target.size
        target.cut(number * STRIDE % target.size)
        tally.cuts += 1

    def flip_bits(self, tally: Tally, number: int) -> None:
        """Each bit of the small log and its snapshots, one byte a case; each bit goes quickly,
        and one of eight the whole way as well."""
        target = self._target("small", small)
        tally.of = target.size
        at = number * STRIDE % target.size
        for bit in range(8):
            target.flip(at, 1 << bit)
        if number % 8 == 0:
            target.flip(at, 1 << number // 8 % 8, whole_way=True)
        tally.flips += 8

    def break_encrypted(self, tally: Tally, number: int) -> None:
        """Each bit of a small encrypted log with SM3, and a cut before each of its bytes."""
        if lacks := lacking("sm3", "sm4-gcm"):
            raise LeftOut(lacks)
        target = self._target("encrypted", encrypted)
        tally.of = target.size
        at = number * STRIDE % target.size
        for bit in range(8):
            target.flip(at, 1 << bit, whole_way=number % 8 == bit)
        if number % 4 == 0:  # each goes the whole way, and the key is derived for each file
            target.cut(at)
            tally.cuts += 1
        tally.flips += 8

    def flip_large(self, tally: Tally, number: int) -> None:
        """Bits and bytes anywhere in the larger log."""
        target, dice = self._target("large", large), self._dice("large", number)
        for _ in range(FLIPS_A_CASE):
            mask = 1 << dice.randrange(8) if dice.random() < 0.7 else dice.randrange(1, 256)
            target.flip(dice.randrange(target.size), mask)
        tally.flips += FLIPS_A_CASE

    # ------------------------------------------------------------------ processes

    def kill(self, tally: Tally, number: int) -> None:
        tally.kills += Chain(self.seed % 2**32 + number).run()

    def kill_together(self, tally: Tally, number: int) -> None:
        tally.kills += Together(self.seed % 2**32 + number).run()

    def kill_aside(self, tally: Tally, number: int) -> None:
        tally.kills += Aside(self.seed % 2**32 + number).run(kills=4)

    def stop(self, tally: Tally, number: int) -> None:
        tally.kills += stopped(self.seed % 2**32 + number)

    def full(self, tally: Tally, number: int) -> None:
        full_disk(self.seed % 2**32 + number)

    def limit(self, tally: Tally, number: int) -> None:
        file_limit(self.seed % 2**32 + number)

    def same_digest(self, tally: Tally, number: int) -> None:
        _, left_out = digests(self.seed % 2**32 + number)
        for what in left_out:
            self._leave_out(what)


Case = Callable[[Bench, Tally, int], None]
#: Each kind: its share of the time, and what a case of it does.
KINDS: dict[str, tuple[float, Case]] = {
    "digests": (0.04, Bench.same_digest),
    "cuts": (0.1, Bench.cut_bytes),
    "flips": (0.1, Bench.flip_bits),
    "encrypted": (0.05, Bench.break_encrypted),
    "operations": (0.2, Bench.operations),
    "kills": (0.14, Bench.kill),
    "threads": (0.1, Bench.kill_together),
    "aside": (0.06, Bench.kill_aside),
    "stops": (0.03, Bench.stop),
    "full": (0.04, Bench.full),
    "limits": (0.03, Bench.limit),
    "large": (0.12, Bench.flip_large),
    "faults": (0.08, Bench.faults),
    "rules": (0.06, Bench.rules),
}


def said(error: Exception) -> str:
    """What is broken, and the kind of error where it is not a promise that says so."""
    return str(error) if isinstance(error, Broken) else f"{type(error).__name__}: {error}"


def _fails(plan: Plan, make: MakeDisk) -> str:
    """What breaks in a plan, "" for nothing."""
    try:
        Run(plan, make).go()
    except Exception as error:
        return said(error)
    return ""


def _keep(plan: Plan, make: MakeDisk) -> str:
    """The plan, what its disk was told and what is on it, in a directory of its own."""
    made = Path(tempfile.mkdtemp(prefix="matchcore-torture-"))
    run, broken = Run(plan, make), ""
    try:
        run.go()
    except Exception as error:
        broken = said(error)
    (made / "plan.json").write_text(json.dumps(plan.as_plain(), indent=1))
    (made / "operations.txt").write_text("\n".join([*run.disk.said, broken, ""]))
    for path, data in run.disk.contents().items():
        (made / path.name).write_bytes(data)
    return str(made)
