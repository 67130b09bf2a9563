"""`python -m benchmarks.peers`, from the checkout: the comparison as a table or as JSON."""

from __future__ import annotations

from pathlib import Path

import click

from matchcore.cli.options import json_option
from matchcore.cli.output import progress_bar, show, show_rows

from .contest import compare, steps


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--count", type=click.IntRange(1000), default=300_000, show_default=True,
              help="Operations of the flow.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--limit", type=click.FloatRange(1), default=30.0, show_default=True,
              help="Seconds for one contestant in one round.")  # fmt: skip
@click.option("--cache", type=click.Path(file_okay=False, path_type=Path),
              help="Keep the peers' environment there; default: a temporary one.")  # fmt: skip
@json_option
def peers(count: int, rounds: int, limit: float, cache: Path | None, as_json: bool) -> None:
    """Measure what a Python user could install instead of matchcore, and check its fills.

    \b
    Example:  python -m benchmarks.peers --rounds 3 --json > peers.json
    Installs the peers from PyPI into an environment of their own.  Everyone gets the same
    flow, in a process of its own on one core; whoever is not through at the limit is judged
    by as much as it did.  Compare figures of one run only.
    """
    with progress_bar("installing, checking, measuring", steps(rounds)) as progress:
        result = compare(count=count, rounds=rounds, limit_s=limit, cache=cache, progress=progress)
    if as_json:
        show(result, True)
        return
    rows = [
        [f"{row['name']} {row['version']}".strip(), row["thousand_per_s"],
         f"{row['least']} to {row['most']}" if row["most"] else "",
         row["agrees"], row["known_case"], row["note"]]
        for row in result["rows"]
    ]  # fmt: skip
    show_rows(
        ["", "thousand/s", "range", "agrees", "known case", "note"], rows,
        f"{result['machine']}, {result['date']}",
    )  # fmt: skip


if __name__ == "__main__":
    peers(prog_name="python -m benchmarks.peers")
