"""`python -m benchmarks.suites`, from the checkout: these suites as a table or as JSON."""

from __future__ import annotations

import click

from matchcore.cli.bench import count_option, measure, rounds_option
from matchcore.cli.options import json_option

from . import SUITES


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("names", metavar="NAME...", type=click.Choice(list(SUITES)), nargs=-1,
                required=True)  # fmt: skip
@count_option
@rounds_option
@json_option
def suites(names: tuple[str, ...], count: int, rounds: int, as_json: bool) -> None:
    """Measure what is of use to who develops matchcore: feeds, sizes, snapshots, SQL, worst cases.

    \b
    Example:  python -m benchmarks.suites scale worst --json > figures.json
    """
    measure(SUITES, names, count, rounds, as_json)


if __name__ == "__main__":
    suites(prog_name="python -m benchmarks.suites")
