"""`matchcore bench`: figures of this machine."""

from __future__ import annotations

import click

from .output import failing_kindly, json_option, progress_bar, show, show_rows

SUITES = ("neutral", "journal", "latency", "scale", "worst")


@click.command()
@click.option("--suite", "suites", type=click.Choice(SUITES), multiple=True,
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
    noisy: compare figures of one run only.
    """
    from ..bench.suite import run_suite

    with failing_kindly(as_json), progress_bar("measuring", None) as progress:
        result = run_suite(names=suites, count=count, rounds=rounds, progress=progress)
    if as_json:
        show(result, True)
        return
    columns = ("suite", "what", "median", "least", "most", "unit", "note")
    rows = [[figure[name] for name in columns] for figure in result["figures"]]
    show_rows(columns, rows, f"{result['machine']}, {result['date']}")
