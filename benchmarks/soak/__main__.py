"""`python -m benchmarks.soak`, from the checkout: a feed under load for as long as one likes."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from matchcore.bench.suite import stamp
from matchcore.cli.options import json_option
from matchcore.cli.output import progress_bar, show

from .running import run


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), default=60,
              show_default=True, help="How long the engine trades.")  # fmt: skip
@click.option("--rate", type=click.FloatRange(min=1), default=2000, show_default=True,
              help="Commands a second, of 10 symbols.")  # fmt: skip
@click.option("--subscribers", type=click.IntRange(min=1), default=20, show_default=True,
              help="WebSockets with book.l2 of everything.")  # fmt: skip
@click.option("--restart", is_flag=True, help="Kill the feed half-way and start it again.")
@click.option("--directory", type=click.Path(file_okay=False, path_type=Path),
              help="Where the exchange is made and kept; else it is temporary.")  # fmt: skip
@json_option
def soak(
    minutes: float,
    rate: float,
    subscribers: int,
    restart: bool,
    directory: Path | None,
    as_json: bool,
) -> None:
    """Trade at a steady rate beside a feed with WebSocket subscribers and a line, and look on.

    \b
    Example:  python -m benchmarks.soak --minutes 60
              python -m benchmarks.soak --minutes 1 --rate 23000
              python -m benchmarks.soak --minutes 1 --rate 200 --subscribers 1000 --restart

    Every update is checked for the one before it, and at the end the books of the line's client are
    compared with the log.  Exit code 1 if anything is missing or differs.
    """
    with (
        tempfile.TemporaryDirectory() as temporary,
        progress_bar("trading", round(60 * minutes)) as progress,
    ):
        result = run(
            directory or Path(temporary),
            seconds=60 * minutes,
            rate=rate,
            subscribers=subscribers,
            restart=restart,
            progress=progress,
        )
    show({**stamp(), **result}, as_json, title="Soak of a feed")
    sys.exit(0 if not result["gaps"] and result["line_books_equal"] else 1)


if __name__ == "__main__":
    soak(prog_name="python -m benchmarks.soak")
