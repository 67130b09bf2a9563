"""`matchcore verify`: every byte of a log and its snapshots."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import LogDamaged
from ..journal import Keys, Place, bytes_there
from .options import json_option, place_argument
from .output import DAMAGED, GOOD, failing_kindly, out, progress_bar, show


@click.command()
@place_argument
@click.option("--replay", "replaying", is_flag=True,
              help="Also replay the log and compare the state at each snapshot.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N",
              help="Processes to read with (default: one for every 128 MiB).")  # fmt: skip
@json_option
def verify(directory: Place, replaying: bool, jobs: int | None, as_json: bool) -> None:
    """Check every byte of a log and its snapshots; change nothing.

    \b
    Example:  matchcore verify exchange.d && echo good
              matchcore verify exchange.d --replay --jobs 4
    If the beginning of the log is archived, the replay starts at the oldest usable snapshot.
    Exit 0 good (also with a torn tail, which was never acknowledged), 1 damaged, 2 wrong usage.
    """
    from ..operations.verify import verify as verify_all
    from ..operations.verify import verify_states

    with failing_kindly(as_json):
        keys = Keys.from_environment()
        there = bytes_there(directory.glob("journal-*")) if isinstance(directory, Path) else None
        with progress_bar("verifying", there) as progress:
            result = verify_all(directory, jobs=jobs or 0, keys=keys, progress=progress)
        if replaying:
            with progress_bar("replaying", None) as progress:
                result = verify_states(directory, result, keys=keys, progress=progress)
    show(result, as_json, title=f"Verification of {directory}")
    if not as_json:
        if result["structure_only"]:
            out.print(
                f"  encrypted, no keys: {result['structure_only']} segments checked in structure"
                " and chain only (MATCHCORE_KEYS names a file of keys)"
            )
        if result["not_there"] and result["good"]:
            out.print(
                f"  missing: {result['not_there']:,} more commands were answered and not synced;"
                " a power cut lost them (policy os or interval)"
            )
        for finding in result["findings"]:
            out.print(f"  damaged: {LogDamaged(**finding)}")
    raise SystemExit(GOOD if result["good"] else DAMAGED)
