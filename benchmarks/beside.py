"""matchcore beside another program or another build of matchcore, in pairs, as ratios.

    python -m benchmarks.beside --scenario swing-40 --pairs 5 -- ./yardstick {flow} 3
    python -m benchmarks.beside --build ../base/.venv/bin/python --figure add --figure replay

A program is run on the neutral workload, with {flow} replaced by a file of the 40-byte messages;
the last line that it prints is JSON with its rate under "million_per_s_median".  Each pair is one
run of the program and one of each of our figures, so that both meet the same machine.

A build is given by the Python of an environment that has it installed.  Each pair is a process
of either build for every figure.  A ratio over 1 means that this build is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from matchcore.bench import journal, neutral, sharing, throughput

from . import builds

Figures = dict[str, Callable[[], float]]


def figures(commands: np.ndarray, place: Path, cores: set[int]) -> Figures:
    """Those of the log may use these cores, to match beside a sync or read; the others take one."""
    journal.write_log(commands, place / "log")
    several = partial(_median_of, 3)
    return {
        "C calls, batches of 4096": several(partial(throughput.native, commands, 4096)),
        "C calls, one by one": several(partial(throughput.native, commands, 1)),
        "submit_batch of 4096": several(partial(throughput.batches, commands, 4096)),
        "submit_batch of 256": several(partial(throughput.batches, commands, 256)),
        "submit_batch of 4096, policy sync": _on_all(
            cores, several(partial(journal.durable, commands, place, "sync", 4096))
        ),
        "submit_async of 4096, policy sync": _on_all(
            cores, several(partial(sharing.pipelined, commands, place, 4096))
        ),
        "replay of a journal from disk": _on_all(
            cores, several(partial(journal.recover, place / "log", len(commands)))
        ),
    }


def _median_of(times: int, take: Callable[[], float]) -> Callable[[], float]:
    """The median of some runs, as the program beside us tells its own."""
    return lambda: statistics.median(take() for _ in range(times))


def _on_all(cores: set[int], take: Callable[[], float]) -> Callable[[], float]:
    def taken() -> float:
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores)
        try:
            return take()
        finally:
            os.sched_setaffinity(0, mine)

    return taken


def rate_of(command: list[str]) -> float:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.strip().splitlines()[-1])["million_per_s_median"])


def compare(
    scenario: str, pairs: int, command: list[str], cores: set[int]
) -> dict[str, dict[str, float]]:
    flow = neutral.messages(scenario)
    with tempfile.TemporaryDirectory() as place:
        ours = figures(neutral.commands(flow), Path(place), cores)
        rates: dict[str, list[float]] = {name: [] for name in ours}
        ratios: dict[str, list[float]] = {name: [] for name in ours}
        path = Path(place) / "flow.bin"
        flow.tofile(path)
        command = [part.replace("{flow}", str(path)) for part in command]
        for _ in range(pairs):
            theirs = rate_of(command)
            for name, take in ours.items():
                rates[name].append(take())
                ratios[name].append(rates[name][-1] / theirs)
    return {
        name: {
            "million_per_s": round(statistics.median(rates[name]), 2),
            "ratio": round(statistics.median(ratios[name]), 3),
            "least": round(min(ratios[name]), 3),
            "most": round(max(ratios[name]), 3),
        }
        for name in ours
    }


def beside_program(given: argparse.Namespace) -> None:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})  # the program inherits it
    found = {}
    for scenario in given.scenario or list(neutral.SCENARIOS):
        _progress(scenario)
        found[scenario] = compare(scenario, given.pairs, given.command, cores)
    print(json.dumps(found, indent=1))


def beside_build(given: argparse.Namespace) -> None:
    found = builds.compare(
        given.build,
        given.figure or list(builds.FIGURES),
        pairs=given.pairs,
        size=builds.Size(count=given.count, scenario=(given.scenario or ["swing-40"])[0]),
        progress=_progress,
    )
    print(json.dumps(found, indent=1) if given.json else builds.table(found))


def _progress(name: str) -> None:
    if sys.stderr.isatty():
        print(f"{name} …", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument(
        "--scenario",
        action="append",
        choices=list(neutral.SCENARIOS),
        help="of the workload, one for a build (default: swing-40), else all",
    )
    build = parser.add_argument_group("another build")
    build.add_argument("--build", type=Path, metavar="PYTHON", help="the Python that imports it")
    build.add_argument(
        "--figure",
        action="append",
        choices=list(builds.FIGURES),
        metavar="NAME",
        help=f"one of {', '.join(builds.FIGURES)}; all of them without",
    )
    build.add_argument("--count", type=int, default=builds.Size.count,
                       help="new orders of the workload (default: %(default)s)")  # fmt: skip
    build.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument("command", nargs="*", help="another program and its arguments")
    given = parser.parse_args()
    if bool(given.build) == bool(given.command):
        parser.error("either --build, or a program after --")
    if given.build and len(given.scenario or []) > 1:
        parser.error("--scenario: one of them with --build")
    try:
        (beside_build if given.build else beside_program)(given)
    except builds.Problem as problem:
        sys.exit(f"no figures: {problem}")


if __name__ == "__main__":
    main()
