"""`matchcore bench`: figures of this machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from .options import json_option
from .output import failing_kindly, progress_bar, show, show_rows

CHECKOUT = Path(__file__).parents[2]

SUITES = ("neutral", "journal", "latency", "scale", "snapshot", "sql", "worst")


@click.command()
@click.option("--suite", "suites", type=click.Choice((*SUITES, "peers")), multiple=True,
              default=("neutral", "journal"), show_default=True,
              help="What to measure; give it again for more.")  # fmt: skip
@click.option("--count", type=click.IntRange(1000), default=1_000_000, show_default=True,
              help="New orders of the neutral workload.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True,
              help="How often each figure is taken.")  # fmt: skip
@json_option
def bench(suites: tuple[str, ...], count: int, rounds: int, as_json: bool) -> None:
    """Measure matchcore on this machine: medians, with the least and the most.

    \b
    Example:  matchcore bench --suite neutral --rounds 5 --json > figures.json
    Hashes of the neutral workload are checked for the default count.  Machines are
    noisy: compare figures of one run only.  `peers` measures what else could be
    installed from PyPI; it goes alone, and from a checkout only.
    """
    if "peers" in suites:
        raise SystemExit(_peers(suites, rounds, as_json))
    from ..bench.suite import run_suite

    with failing_kindly(as_json), progress_bar("measuring", None) as progress:
        result = run_suite(names=suites, count=count, rounds=rounds, progress=progress)
    if as_json:
        show(result, True)
        return
    columns = ("suite", "what", "median", "least", "most", "unit", "note")
    rows = [[figure[name] for name in columns] for figure in result["figures"]]
    build = f"matchcore {result['version']} ({result['commit'] or 'no checkout'})"
    show_rows(columns, rows, f"{build}, {result['machine']}, {result['date']}")


def _peers(suites: tuple[str, ...], rounds: int, as_json: bool) -> int:
    """The comparison lives with the sources, as it installs other people's packages."""
    if suites != ("peers",):
        raise click.UsageError("the suite peers goes alone")
    if not (CHECKOUT / "benchmarks" / "peers").is_dir():
        raise click.UsageError("the suite peers needs a checkout of matchcore's sources")
    command = [sys.executable, "-m", "benchmarks.peers", "--rounds", str(rounds)]
    return subprocess.run([*command, *["--json"] * as_json], cwd=CHECKOUT).returncode
