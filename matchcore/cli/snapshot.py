"""`matchcore snapshot`: a snapshot from the log."""

from __future__ import annotations

import click

from ..journal import Keys, Place
from ..journal.snapshots import sequence_of
from .options import json_option, place_argument
from .output import failing_kindly, progress_bar, show


@click.command()
@place_argument
@click.option("--at", "sequence", type=click.IntRange(0), metavar="SEQUENCE",
              help="After the last batch up to this command (default: the end).")  # fmt: skip
@json_option
def snapshot(directory: Place, sequence: int | None, as_json: bool) -> None:
    """Write a snapshot from the log.

    \b
    Example:  matchcore snapshot exchange.d
    Works while an engine has the exchange open, without stopping it.
    """
    from ..engine.snapshotting import take

    with failing_kindly(as_json), progress_bar("following", None) as progress:
        file = take(directory, sequence=sequence, keys=Keys.from_environment(), progress=progress)
    show({"sequence": sequence_of(file), "path": str(file), "bytes": file.stat().st_size}, as_json,
         title=f"Snapshot of {directory}")  # fmt: skip
