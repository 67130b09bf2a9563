"""`matchcore tail`: the commands of a log for people, or as JSON lines."""

from __future__ import annotations

import json
from contextlib import suppress

import click

from ..journal import Keys, Place
from ..operations.tail import lines
from .options import place_argument
from .output import failing_kindly

COUNT = 20


@click.command()
@place_argument
@click.option("-n", "--count", type=click.IntRange(0), help=f"Commands to show [default: {COUNT}].")
@click.option("--sequence", type=click.IntRange(1), help="Start at this command.")
@click.option("--follow", is_flag=True, help="Continue as the log grows, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def tail(
    directory: Place, count: int | None, sequence: int | None, follow: bool, as_json: bool
) -> None:
    """Print the last commands of a log, one a line.

    \b
    Example:  matchcore tail exchange.d -n 5 --follow
              matchcore tail exchange.d --sequence 1000 --json
    Works while an engine writes the log.  Times are UTC.  An unusable record is shown with its
    fields.
    """
    if count is None and sequence is None:
        count = COUNT
    with failing_kindly(as_json), suppress(KeyboardInterrupt):
        found = lines(
            directory, count=count, sequence=sequence, follow=follow, keys=Keys.from_environment()
        )
        for line in found:
            click.echo(json.dumps(line.as_plain()) if as_json else str(line))
