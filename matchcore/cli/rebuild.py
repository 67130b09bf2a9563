"""`matchcore rebuild`: the rows of an exchange dropped and written again."""

from __future__ import annotations

import time
from pathlib import Path

import click

from ..journal import Keys, Place
from ..sinks.urls import shown
from .options import archives_option, json_option, place_argument, shard_option
from .output import failing_kindly, progress_bar, show


@click.command()
@place_argument
@click.argument("url")
@shard_option
@archives_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
def rebuild(
    directory: Place, url: str, shard: int, archives: tuple[Path, ...], yes: bool, as_json: bool
) -> None:
    """Delete all rows of an exchange from a database and write them again from the log.

    \b
    Example:  matchcore rebuild exchange.d sqlite:///exchange.db --yes
    The whole log is read and checked before anything is deleted.  For an empty database use
    `matchcore follow`.
    """
    from ..sinks.sql.rebuild import rebuild as rebuild_rows

    if not yes:
        click.confirm("Delete all rows of this exchange there and write them again?", abort=True)
    started = time.perf_counter()
    with failing_kindly(as_json), progress_bar("rebuilding", None) as progress:
        position = rebuild_rows(
            directory, url, shard=shard, archives=archives, keys=Keys.from_environment(),
            expect=progress.expect, progress=progress,
        )  # fmt: skip
    result = {
        "last_sequence": position.sequence,
        "epoch": position.epoch,
        "seconds": round(time.perf_counter() - started, 3),
        "database": shown(url),
    }
    show(result, as_json, title=f"Rebuilt from {directory}")
