"""Rounds of faults under a running flow of orders, and what is checked after each."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from .._children import environment
from .._closing import Closing
from ..errors import LogFailed
from ..journal import batches, published
from .attacks import Attacks
from .cluster import SYMBOL, TICK, Cluster
from .faults import Fault, planned
from .history import Answers, Broken, History, done_twice, lost
from .processes import wait_until

RATE = 200.0  # requests a second of all clients
BATCH = 8192
SECONDS_MAX = 90.0  # for the exchange to be well again
HOLD_SECONDS = 0.5, 2.5  # what is frozen or cut stays so for so long behind the next answer
REPAIR_SECONDS = 1.5  # before what stands still is repaired


class Flow(Closing):
    """The process of the clients, and what they were told."""

    def __init__(self, cluster: Cluster, seed: int, rate: float = RATE) -> None:
        file = cluster.place / "answers.jsonl"
        file.unlink(missing_ok=True)
        self.answers = Answers(file)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "matchcore.drills.sender"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(),
        )  # fmt: skip
        self._say(json.dumps({
            "tokens": cluster.tokens, "places": cluster.doors, "symbol": SYMBOL, "tick": TICK,
            "rate": rate, "seed": seed, "out": str(file), "first": time.time_ns() // 10**6,
        }))  # fmt: skip

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def pause(self) -> None:
        """Returns when every request that was begun is answered."""
        assert self._process.stdout is not None
        self._say("pause")
        if not self._process.stdout.readline():
            raise LogFailed("the clients of the drill have ended")

    def go(self) -> None:
        """Has them go on."""
        self._say("go")

    def first_answer(self, after: int) -> int:
        """When the first try that began after a moment was answered, once one was."""
        found: list[int] = []

        def there() -> bool:
            self.answers.read()
            found[:] = [row["answered"] for row in self.answers.rows if row["asked"] > after]
            return bool(found)

        wait_until("an answer after a fault", there, SECONDS_MAX)
        return min(found)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@dataclass
class Round:
    """What was seen of one fault.  Times in milliseconds.

    ``rto``: from the fault, or the repair of one that stops everything, to the first answer of a
    try that began behind it; ``silence``: the longest time without any answer until all was well
    again; ``lost``: answered commands that the log lacks; ``copy_behind`` and
    ``copy_ms``: what the remote copy would have lost with the city at that moment; ``epochs``: by
    how much the epoch of the log rose: by one with each takeover.
    """

    fault: str
    parts: list[str]
    rto: float = 0.0
    silence: float = 0.0
    lost: int = 0
    rpo: float = 0.0
    copy_behind: int | None = None
    copy_ms: float | None = None
    epochs: int = 0
    answered: int = 0
    sequence: int = 0
    digest: str = ""


@dataclass
class Report:
    """Everything that a drill has seen.

    ``broken``: the promise that was not kept, and where; ``interrupted``: by Ctrl-C, which ends it
    with the rounds that were done.
    """

    seed: int
    rounds: list[Round] = field(default_factory=list)
    broken: str = ""
    left_out: list[str] = field(default_factory=list)
    interrupted: bool = False

    @property
    def good(self) -> bool:
        return not self.broken

    def table(self) -> list[dict[str, Any]]:
        """By fault: rounds, lost commands, and median, 99th percentile and most of the RTO."""
        faults = list(dict.fromkeys(one.fault for one in self.rounds))
        return [
            _row(name, [one for one in self.rounds if one.fault == name]) for name in faults
        ] + ([_row("all", self.rounds)] if len(faults) > 1 else [])

    def as_plain(self) -> dict[str, Any]:
        return {"good": self.good, "seed": self.seed, "broken": self.broken,
                "left_out": self.left_out, "interrupted": self.interrupted, "table": self.table(),
                "rounds": [asdict(one) for one in self.rounds]}  # fmt: skip


def _silence(rows: Sequence[dict[str, Any]], begin: int, end: int) -> float:
    """The longest time without an answer, in ms."""
    times: list[int] = sorted(row["answered"] for row in rows if begin <= row["answered"] <= end)
    spans = [after - before for before, after in pairwise([begin, *times, end])]
    return float(max(spans)) / 1e6


def _behind(rows: Sequence[dict[str, Any]], moment: int, copied: int) -> tuple[int, float]:
    """Of what was answered before a moment, what a copy did not have; for how long, in ms."""
    late = [
        row["answered"]
        for row in rows
        if row["answered"] <= moment
        and row["exec_id"]
        and int(row["exec_id"].partition("-")[0]) > copied
    ]
    return len(late), (moment - min(late)) / 1e6 if late else 0.0


def _row(name: str, rounds: Sequence[Round]) -> dict[str, Any]:
    times = sorted(one.rto for one in rounds)
    behind = sorted(one.copy_behind for one in rounds if one.copy_behind is not None)
    waited = [one.copy_ms for one in rounds if one.copy_ms is not None]
    return {
        "fault": name, "rounds": len(rounds),
        "lost": sum(one.lost for one in rounds), "rpo_ms": max(one.rpo for one in rounds),
        "rto_ms_median": percentile(times, 50), "rto_ms_p99": percentile(times, 99),
        "rto_ms_max": times[-1], "silence_ms_max": max(one.silence for one in rounds),
        "copy_behind_median": percentile(behind, 50) if behind else None,
        "copy_behind_max": max(behind, default=None), "copy_ms_max": max(waited, default=None),
    }  # fmt: skip


def percentile(ordered: Sequence[float], percent: int) -> float:
    """The smallest value that so many of a hundred are not above."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


class Drill:
    """Rounds on a cluster that runs; ``progress``: called after each."""

    def __init__(
        self,
        cluster: Cluster,
        attacks: Attacks,
        seed: int,
        progress: Callable[[Round], object] = lambda one: None,
    ) -> None:
        self._cluster, self._attacks = cluster, attacks
        self._dice, self._progress = random.Random(seed), progress
        self.report = Report(seed)
        self._history = History()
        self._checked = 0  # answers
        self._done = 0  # rounds

    def run(self, faults: Sequence[Fault], rounds: int) -> Report:
        """Until so many rounds are done, or a promise is broken."""
        with ExitStack() as stack:
            flow = stack.enter_context(Flow(self._cluster, self.report.seed))
            try:
                for fault in planned(faults, rounds, self._dice):
                    self._round(flow, fault)
            except (Broken, LogFailed) as error:
                self.report.broken = f"{type(error).__name__}: {error}"
            except KeyboardInterrupt:
                self.report.interrupted = True
                del self.report.rounds[self._done :]
        return self.report

    def _round(self, flow: Flow, fault: Fault) -> None:
        cluster = self._cluster
        flow.first_answer(time.monotonic_ns())  # it runs
        time.sleep(self._dice.uniform(0.1, 0.6))
        done = Round(fault.name, fault.who(cluster, self._dice))
        self.report.rounds.append(done)
        copied = published(cluster.copy).durable if cluster.copy else None
        epoch = cluster.epoch()
        began = time.monotonic_ns()
        with self._attacks.under(fault.how, done.parts):
            if fault.stops:
                time.sleep(REPAIR_SECONDS)
            else:
                struck = time.monotonic_ns()  # what was answered meanwhile does not count
                done.rto = (flow.first_answer(struck) - began) / 1e6
                if fault.how != "kill":
                    time.sleep(fault.hold or self._dice.uniform(*HOLD_SECONDS))
        since = began
        if fault.stops:
            since = time.monotonic_ns()
            done.rto = (flow.first_answer(since) - since) / 1e6
        cluster.wait_until_well(SECONDS_MAX)
        ends = time.monotonic_ns()
        done.epochs = cluster.epoch() - epoch
        flow.pause()
        flow.answers.read()
        done.silence = _silence(flow.answers.rows, since, ends)
        self._check(flow, done, began, copied)
        flow.go()
        self._done = len(self.report.rounds)
        self._progress(done)

    def _read(self) -> None:
        """The log, as far as its primary has it: what servers show a moment later may be less."""
        cluster, history = self._cluster, self._history
        wanted = cluster.sequence()

        def there() -> bool:
            with cluster.reader(history.sequence) as reader:
                history.take(batches(reader.read(), BATCH))
            return history.sequence >= wanted

        wait_until(f"the log up to sequence {wanted}, where its primary is", there, SECONDS_MAX)

    def _all_read(self) -> dict[str, str]:
        """Reads the log to its end; the digests that the others have there."""
        while True:
            self._read()
            digests = self._cluster.digests_at(self._history.sequence, SECONDS_MAX)
            if digests:
                return digests

    def _check(self, flow: Flow, done: Round, began: int, copied: int | None) -> None:
        history, digests = self._history, self._all_read()
        rows = flow.answers.rows
        missing = set(lost(rows[self._checked :], history))
        self._checked = len(rows)
        done.answered, done.sequence = len(rows), history.sequence
        done.lost, done.digest = len(missing), history.digest()
        gone = [row["answered"] for row in rows if row["name"] in missing]
        done.rpo = max(0.0, (began - min(gone)) / 1e6) if gone else 0.0
        if copied is not None:
            done.copy_behind, done.copy_ms = _behind(rows, began, copied)
        if missing:
            raise Broken(f"{len(missing)} answered requests are not in the log: "
                         f"{sorted(missing)[:5]}")  # fmt: skip
        if twice := done_twice(history):
            raise Broken(f"{len(twice)} requests were done twice: {twice[:5]}")
        for name, digest in digests.items():
            if digest != done.digest:
                raise Broken(f"{name} has the digest {digest} at sequence {done.sequence}, and the"
                             f" reference machine {done.digest}")  # fmt: skip
