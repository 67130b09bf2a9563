"""Suites of figures of matchcore on this machine: what `matchcore bench` runs.

A figure is work that returns a value; the figures of a group are taken in turns, so that what
else the machine does falls on all of them, and the median of the rounds is told with the least
and the most.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from .._version import VERSION
from . import journal, latency, throughput

MILLION_A_SECOND = "million/s"


@dataclass(frozen=True)
class Figure:
    """One line of the report: `take` measures once and returns the value in `unit`."""

    what: str
    take: Callable[[], float]
    unit: str = MILLION_A_SECOND
    note: str = ""


Group = list[Figure]

#: name -> the groups of figures of a flow of `count` new orders, and whether one core is enough
Suites = dict[str, tuple[Callable[[int], Iterable[list[tuple[Any, ...]]]], bool]]

SUITES: Suites = {
    "neutral": (throughput.groups, True),
    "journal": (journal.groups, False),
    "latency": (latency.groups, True),
}


def run_suite(
    *,
    names: Iterable[str],
    count: int,
    rounds: int,
    progress: Callable[[int], None],
    suites: Suites = SUITES,
) -> dict[str, Any]:
    """Takes every figure of the suites of these names `rounds` times."""
    figures = []
    for name in names:
        groups, single = suites[name]
        with _on_one_core() if single else nullcontext():
            for group in groups(count):
                for figure, values in _taken([Figure(*one) for one in group], rounds):
                    figures.append(
                        {
                            "suite": name,
                            "what": figure.what,
                            "median": _short(statistics.median(values)),
                            "least": _short(min(values)),
                            "most": _short(max(values)),
                            "unit": figure.unit,
                            "note": figure.note,
                        }
                    )
                progress(1)
    return {
        **stamp(),
        "rounds": rounds,
        "figures": figures,
    }


def _taken(group: Group, rounds: int) -> Iterator[tuple[Figure, list[float]]]:
    taken: list[list[float]] = [[] for _ in group]
    for _ in range(rounds):
        for figure, values in zip(group, taken, strict=True):
            values.append(figure.take())
    return zip(group, taken, strict=True)


def _short(value: float) -> float:
    """Four digits: more would be noise."""
    return float(f"{value:.4g}")


@contextmanager
def _on_one_core() -> Iterator[None]:
    """Pins this thread to the last core, which gets the fewest interrupts as a rule."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def stamp() -> dict[str, str | None]:
    """What figures belong to: version, commit, machine and date."""
    return {"version": VERSION, "commit": commit(), "machine": machine(), "date": str(date.today())}


def machine() -> str:
    """Processor, number of cores and Python, for people."""
    return (
        f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()},"
        f" Python {platform.python_version()}"
    )


def commit(sources: Path = Path(__file__).parents[2]) -> str | None:
    """Of the checkout that this runs from, with `-dirty` if files differ; None outside of one."""
    if not (sources / ".git").exists():  # a checkout further up is somebody else's
        return None
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    asked = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        said = subprocess.run(asked, cwd=sources, env=clean, capture_output=True, text=True)
    except OSError:  # no git
        return None
    return said.stdout.strip() or None


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()
