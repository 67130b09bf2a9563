"""`matchcore replay`: a whole log again, compared with its snapshots."""

from __future__ import annotations

import click

from ..journal import Keys, Place
from ..machine import MACHINES
from .options import json_option, place_argument
from .output import DAMAGED, failing_kindly, out, progress_bar, show


@click.command()
@place_argument
@click.option("--machine", type=click.Choice(list(MACHINES)), default="cython", show_default=True,
              help="Implementation of the rules.")  # fmt: skip
@json_option
def replay(directory: Place, machine: str, as_json: bool) -> None:
    """Replay a log from its first command and compare the state with its snapshots.

    \b
    Example:  matchcore replay exchange.d
    Exit 1 if the log is damaged, or a snapshot differs or belongs to another log.
    """
    from ..operations.replay import replay as replay_log

    with failing_kindly(as_json), progress_bar("replaying", None) as progress:
        keys = Keys.from_environment()
        result = replay_log(directory, machine, keys=keys, progress=progress)
    show(result, as_json, title=f"Replay of {directory}")
    if not as_json:
        for one in result["snapshots_that_differ"]:
            out.print(f"  differs from the replay: {one}")
    if result["snapshots_that_differ"]:
        raise SystemExit(DAMAGED)
