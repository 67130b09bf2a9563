"""Who takes part, and how they are compared: same flow, same run, rounds in turn."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matchcore.bench.suite import stamp

from ..flow import KNOWN_CASE, Operation, book_flow, parsed
from . import environment

SLICES = 25
FOR_EVER_S = 1e6
STOPPED = "stopped at the limit"
ADDS = " without cancels"
WORKER = Path(__file__).with_name("worker.py")


Said = tuple[list[dict[str, Any]], str]  # what a worker has said, and why it ended early


@dataclass
class Contestant:
    """One row of the table."""

    name: str
    runs: str  # module:class of the adapter
    requirement: str = ""  # from PyPI; nothing: runs in the environment of matchcore
    what: str = "matching"
    problem: str = ""  # why it does not take part
    note: str = ""
    given: str = ""  # the whole flow, or ADDS
    verdicts: dict[str, str] = field(default_factory=dict)  # by flow: do the fills agree?
    operations: int = 0  # of the flow, or as far as it came
    rates: list[float] = field(default_factory=list)  # thousand operations a second

    def row(self) -> dict[str, Any]:
        rates = [round(rate, 1) for rate in self.rates]
        return {
            "name": self.name,
            "version": self.requirement.partition("==")[2],
            "what": self.what,
            "thousand_per_s": round(statistics.median(rates), 1) if rates else None,
            "least": min(rates, default=None),
            "most": max(rates, default=None),
            "agrees": self.verdicts.get("flow", ""),
            "known_case": self.verdicts.get("case", ""),
            "operations": self.operations,
            "note": f"not installed: {self.problem}" if self.problem else self.note,
        }


def contestants() -> list[Contestant]:
    return [
        Contestant("matchcore Engine.submit_batch, no log", "ours:Batch"),
        Contestant("matchcore OrderBook", "ours:OrderBook"),
        Contestant("matchcore Engine.submit, no log", "ours:Submit"),
        Contestant("matchcore reference machine", "ours:Reference",
                   note="plain Python, every rule checked"),
        Contestant("plain Python over sortedcontainers", "ours:Plain"),
        Contestant("order-book", "external:OrderBookStructure", "order-book==1.1.0",
                   what="structure only", note="C; sorts and keeps, matches nothing"),
        Contestant("orderly-chaos", "external:OrderlyChaos", "orderly-chaos==0.2.0",
                   note="C++ through ctypes"),
        Contestant("obook", "external:Obook", "obook==0.1.0", note="Go through ctypes"),
        Contestant("liquibook", "external:Liquibook", "liquibook==2.0.1", note="C++ through SWIG"),
        Contestant("matching-engine", "external:MatchingEngine", "matching-engine==0.1.1",
                   note="plain Python"),
        Contestant("nanobook", "external:Nanobook", "nanobook==0.19.2", given=ADDS,
                   note="Rust; new orders only, since it has hung"),
        Contestant("lightmatchingengine", "external:LightMatchingEngine",
                   "lightmatchingengine==2019.1.4"),
        Contestant("pyorderbook", "external:PyOrderBook", "pyorderbook==0.4.9"),
        Contestant("order-matching", "external:OrderMatching", "order-matching[polars]==0.12.0"),
        Contestant("the loop alone", "ours:Loop", what="nothing"),
    ]  # fmt: skip


@dataclass
class Contest:
    """A flow in its files, and what the reference machine makes of it."""

    directory: Path
    python: Path
    limit_s: float

    def flow_file(self, name: str, flow: Sequence[Operation]) -> None:
        cells = array("q")
        for operation in flow:
            cells.extend(operation if len(operation) == 4 else (operation[0], 0, 0, 0))
        (self.directory / name).write_bytes(cells.tobytes())

    def run(
        self, contestant: Contestant, flow: str, mode: str, *, slices: int = SLICES,
        limit_s: float | None = None,
    ) -> Said:  # fmt: skip
        """The lines the worker has said, and why it ended early: "", STOPPED or its error."""
        python = self.python if contestant.requirement else Path(sys.executable)
        command = python, WORKER, contestant.runs, self.directory / flow, mode, slices
        try:
            done = subprocess.run(
                list(map(str, command)), capture_output=True, timeout=limit_s or self.limit_s
            )
            said, problem = done.stdout, ""
            if done.returncode:
                last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
                problem = "".join(last) or f"ended with {done.returncode}"
        except subprocess.TimeoutExpired as stopped:
            said, problem = stopped.stdout or b"", STOPPED
        lines = said.decode().split("\n")[:-1]  # the last may be half a line
        return [json.loads(line) for line in lines], problem


def compare(
    *, count: int, rounds: int, limit_s: float, cache: Path | None, progress: Callable[[int], None]
) -> dict[str, Any]:
    """Installs, checks and measures all; a JSON-ready result with a row for each contestant."""
    field_ = contestants()
    with _place(cache) as directory:
        contest = Contest(directory, environment.make_environment(directory / "venv"), limit_s)
        for one in field_:
            if one.requirement:
                one.problem = environment.install(contest.python, one.requirement)
            progress(1)
        _judge(contest, field_, count, progress)
        _race(contest, field_, rounds, progress)
    return {
        **stamp(),
        "operations": count,
        "rounds": rounds,
        "limit_s": limit_s,
        "rows": [one.row() for one in field_],
    }


def steps(rounds: int) -> int:
    """How often `compare` calls its progress."""
    return len(contestants()) * (3 + rounds)


def _judge(
    contest: Contest, field_: list[Contestant], count: int, progress: Callable[[int], None]
) -> None:
    """Who gives the fills of the reference machine, in the known case and in the flow."""
    judge = next(one for one in field_ if one.runs == "ours:Reference")
    flows = ("case", parsed(KNOWN_CASE), 1), ("flow", book_flow(count), SLICES)
    for name, flow, slices in flows:
        contest.flow_file(name, flow)
        contest.flow_file(name + ADDS, [operation for operation in flow if len(operation) == 4])
        right = {
            end: contest.run(judge, name + end, "check", slices=slices, limit_s=FOR_EVER_S)
            for end in ("", ADDS)
        }
        for one in field_:
            progress(1)
            if one.problem or one.what == "nothing":
                continue
            said = contest.run(one, name + one.given, "check", slices=slices)
            one.verdicts[name] = (
                _verdict(said, right[one.given]) if one.what == "matching" else one.what
            )


def _verdict(said: Said, right: Said) -> str:
    """Compares as far as the contestant came."""
    lines, problem = said
    if problem not in ("", STOPPED):
        return f"fails: {problem}"
    if not lines:
        return "no: nothing within the limit"
    return "yes" if lines == right[0][: len(lines)] else "no"


def _race(
    contest: Contest, field_: list[Contestant], rounds: int, progress: Callable[[int], None]
) -> None:
    """Each round every contestant in turn, so that a slow minute of the machine hits all."""
    for _ in range(rounds):
        for one in field_:
            progress(1)
            if one.problem:
                continue
            lines, problem = contest.run(one, "flow" + one.given, "measure")
            if lines:
                one.operations = lines[-1]["done"]
                one.rates.append(one.operations / lines[-1]["seconds"] / 1000)
            if problem:
                one.note = _joined(one.note, f"ended early: {problem}")


def _joined(note: str, more: str) -> str:
    return "; ".join(part for part in (note, more if more not in note else "") if part)


@contextmanager
def _place(cache: Path | None) -> Iterator[Path]:
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
        yield cache
        return
    with tempfile.TemporaryDirectory(prefix="matchcore-peers-") as made:
        yield Path(made)
