"""Two builds of matchcore, the same figures of both in turns in one run.

Each take is a process of its own, `worker.py` under the Python of a build, so that neither finds
the other's modules, memory or caches.  Both are given the same files of commands.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matchcore.bench import neutral
from matchcore.bench.suite import stamp

from .. import repeats
from ..flow import book_flow
from ..suites import scale
from .worker import FIGURES, Figure

WORKER = Path(__file__).with_name("worker.py")
LIMIT_S = 300  # of one take
#: Variables that would let a build find other modules, or compile its own at every start.
NOT_OURS = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
CLIPPED = 200  # characters of a problem


class Problem(Exception):
    """A figure that a build does not give, and why."""


@dataclass(frozen=True)
class Size:
    """How much work a figure is."""

    count: int = 500_000  # new orders of the neutral flow
    operations: int = 100_000  # on a book, one by one
    crowd: int = 1_000_000  # orders that rest in the books of many instruments
    instruments: int = 10_000
    scenario: str = "swing-40"


def compare(
    other: Path,
    figures: Iterable[str] = tuple(FIGURES),
    *,
    pairs: int = 5,
    size: Size | None = None,
    progress: Callable[[str], None] = lambda name: None,
) -> dict[str, Any]:
    """The figures of this build and of the one that the Python ``other`` imports.

    A ratio over 1 means that this build is faster.  A figure that a build does not give has a
    "problem" instead; `Problem` is raised where a build gives none.
    """
    names = list(figures)
    found = []
    with tempfile.TemporaryDirectory(prefix="matchcore-builds-") as at:
        place = Path(at)
        write_inputs(place, names, size or Size())
        builds = {"this": Path(sys.executable), "other": other.absolute()}
        versions = {which: str(run(python, place, "version")) for which, python in builds.items()}
        for name in names:
            progress(name)
            found.append({"name": name, **_row(FIGURES[name], builds, place, name, pairs)})
    return {**stamp(), "versions": versions, "pairs": pairs, "figures": found}


def _row(
    figure: Figure, builds: dict[str, Path], place: Path, name: str, pairs: int
) -> dict[str, Any]:
    row: dict[str, Any] = {"what": figure.what, "unit": figure.unit}
    taken: dict[str, list[float]] = {which: [] for which in builds}
    for number in range(pairs):
        order = list(builds)
        for which in order if number % 2 else reversed(order):  # who is first changes
            try:
                taken[which].append(float(run(builds[which], place, name)))
            except Problem as problem:
                return row | {"problem": f"{which} build: {problem}"}
    pair = zip(taken["this"], taken["other"], strict=True)
    ratios = [mine / theirs if figure.more_is_faster else theirs / mine for mine, theirs in pair]
    return row | {
        "this": _short(statistics.median(taken["this"])),
        "other": _short(statistics.median(taken["other"])),
        "ratio": round(statistics.median(ratios), 3),
        "least": round(min(ratios), 3),
        "most": round(max(ratios), 3),
    }


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def run(python: Path, place: Path, name: str) -> Any:
    """What the worker says under a build's Python."""
    environment = {key: value for key, value in os.environ.items() if key not in NOT_OURS}
    try:
        done = subprocess.run(
            [str(python), str(WORKER), name, str(place)],
            cwd=place,  # the worker finds what is installed, not a checkout around it
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
    except OSError as error:
        raise Problem(f"{python} cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise Problem(f"{name} took longer than {LIMIT_S} s") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise Problem(last[:CLIPPED])
    return json.loads(done.stdout)


def write_inputs(place: Path, names: Iterable[str], size: Size) -> None:
    """The files that the figures read."""
    inputs = Inputs(size)
    for name in {need for figure in names for need in FIGURES[figure].needs}:
        np.save(place / f"{name}.npy", getattr(inputs, name)(), allow_pickle=False)


class Inputs:
    """What the builds are given: a method for each name in `Figure.needs`."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self._flow: NDArray[np.void] | None = None

    def flow(self) -> NDArray[np.void]:
        """The neutral workload."""
        if self._flow is None:
            messages = neutral.messages(self.size.scenario, self.size.count)
            self._flow = neutral.commands(messages)
        return self._flow

    def one_account(self) -> NDArray[np.void]:
        return repeats.with_ids(self.flow())["one account"]

    def many_accounts(self) -> NDArray[np.void]:
        return repeats.with_ids(self.flow())["many accounts"]

    def crowd(self) -> NDArray[np.void]:
        """Orders that stay, of many instruments."""
        return scale.crowd_around(self.flow(), self.size.crowd, self.size.instruments)

    def spread(self) -> NDArray[np.void]:
        """The neutral workload in front of them, each order of another instrument."""
        return scale.spread(self.flow(), self.size.instruments)

    def book(self) -> NDArray[np.int64]:
        """Order id, side (0: a cancel), price and quantity of operations on one book."""
        flow = book_flow(self.size.operations)
        return np.array([row if len(row) == 4 else (*row, 0, 0, 0) for row in flow], np.int64)


def table(found: dict[str, Any]) -> str:
    """The figures as text, this build's first."""
    rows = [["", "this", "other", "unit", "ratio", "least", "most"]]
    for figure in found["figures"]:
        if "problem" in figure:
            rows.append([figure["what"], "", "", figure["unit"], "", "", figure["problem"]])
            continue
        rows.append(
            [figure["what"], f"{figure['this']:g}", f"{figure['other']:g}", figure["unit"]]
            + [f"{figure[key]:.3f}" for key in ("ratio", "least", "most")]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:6], widths[1:]), row[6]])
        for row in rows
    )
