"""`matchcore bench`: figures of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .options import json_option
from .output import failing_kindly, progress_bar, show, show_rows

if TYPE_CHECKING:
    from ..bench.suite import Suites

SUITES = ("neutral", "journal", "latency")

count_option = click.option(
    "--count", type=click.IntRange(1000), default=1_000_000, show_default=True,
    help="New orders of the neutral workload.",
)  # fmt: skip
rounds_option = click.option(
    "--rounds", type=click.IntRange(1), default=3, show_default=True,
    help="Times that each figure is measured.",
)  # fmt: skip


@click.command()
@click.option("--suite", "names", type=click.Choice(SUITES), multiple=True,
              default=("neutral", "journal"), show_default=True,
              help="Suite to run; can be repeated.")  # fmt: skip
@count_option
@rounds_option
@json_option
def bench(names: tuple[str, ...], count: int, rounds: int, as_json: bool) -> None:
    """Measure matchcore on this machine; show medians, minima and maxima.

    \b
    Example:  matchcore bench --suite neutral --rounds 5 --json > figures.json
    With the default count the hashes of the neutral workload are checked.  Compare figures of
    one run only.
    """
    measure(None, names, count, rounds, as_json)


def measure(
    suites: Suites | None, names: tuple[str, ...], count: int, rounds: int, as_json: bool
) -> None:
    """Takes the figures of these suites, None for those of matchcore.bench, and prints them."""
    from ..bench import suite

    with failing_kindly(as_json), progress_bar("measuring", None) as progress:
        result = suite.run_suite(
            names=names, count=count, rounds=rounds, progress=progress,
            suites=suites or suite.SUITES,
        )  # fmt: skip
    if as_json:
        show(result, True)
        return
    columns = ("suite", "what", "median", "least", "most", "unit", "note")
    rows = [[figure[name] for name in columns] for figure in result["figures"]]
    build = f"matchcore {result['version']} ({result['commit'] or 'no checkout'})"
    show_rows(columns, rows, f"{build}, {result['machine']}, {result['date']}")
