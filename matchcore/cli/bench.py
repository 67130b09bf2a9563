"""`matchcore bench`: the main figures on this machine."""

from __future__ import annotations

import click

from .output import failing_kindly, json_option, progress_bar, show, show_rows


@click.command()
@click.option("--count", type=click.IntRange(1000), default=1_000_000, show_default=True,
              help="New orders of the neutral workload.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@json_option
def bench(count: int, rounds: int, as_json: bool) -> None:
    """Measure the main figures: the neutral workload, the log, recovery, single orders.

    \b
    Example:  matchcore bench --json > figures.json
    Medians over the rounds; hashes are checked for the default count.  Machines are
    noisy: compare figures of one run only.
    """
    from ..bench.suite import run_suite

    with failing_kindly(as_json), progress_bar("measuring", None) as progress:
        result = run_suite(count=count, rounds=rounds, progress=progress)
    if as_json:
        show(result, True)
        return
    rows = [
        [f["what"], f["million_per_s"], f["least"], f["most"], f["note"]] for f in result["figures"]
    ]
    show_rows(
        ["figure", "M/s", "least", "most", "note"], rows, f"{result['machine']}, {result['date']}"
    )
