"""`matchcore archive`: old segments out of an exchange."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from ..journal import identity_of
from ..operations.archive import KEEP_SNAPSHOTS, archive
from ..sinks import open_sink
from .options import directory_argument, json_option
from .output import failing_kindly, out, progress_bar, show


@click.command(name="archive")
@directory_argument
@click.option("--to", "place", type=click.Path(file_okay=False, path_type=Path),
              help="Directory for the segments; created if missing.")  # fmt: skip
@click.option("--drop", is_flag=True, help="Delete the segments instead.")
@click.option("--keep-snapshots", type=click.IntRange(1), default=KEEP_SNAPSHOTS,
              show_default=True, help="Good snapshots to keep.")  # fmt: skip
@click.option("--follower", "followers", multiple=True, metavar="URL",
              help="A database that follows the log; keep the segments it needs.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only show which segments would go.")
@json_option
def archive_command(
    directory: Path,
    place: Path | None,
    drop: bool,
    keep_snapshots: int,
    followers: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Archive or delete the segments that no kept snapshot needs.

    \b
    Example:  matchcore archive exchange.d --to /backup/exchange
    Works while an engine has the exchange open.  Each copy is compared before its segment is
    removed.  To restore segments, copy them into the directory.
    """
    if (place is None) != drop:
        raise click.UsageError("either --to PLACE or --drop")
    if place is not None and place.exists() and place.samefile(directory):
        raise click.BadParameter(f"{place} is the exchange itself", param_hint="--to")
    with failing_kindly(as_json), progress_bar("archiving", None) as progress:
        result = archive(
            directory, place, drop=drop, keep_snapshots=keep_snapshots,
            needed=_slowest(directory, followers), dry_run=dry_run, progress=progress,
        )  # fmt: skip
    title = f"{'Would go' if dry_run else 'Gone'} from {directory}: {len(result.segments)} segments"
    show(asdict(result), as_json, title=title)
    if not as_json:
        for name in result.segments:
            out.print(f"  {name}")


def _slowest(directory: Path, followers: tuple[str, ...]) -> int | None:
    """The least position of these databases; 0 for one that has not begun."""
    positions = []
    for url in followers:
        sink = open_sink(url, identity_of(directory))
        try:
            position = sink.position()
        finally:
            sink.close()
        positions.append(position.sequence if position else 0)
    return min(positions, default=None)
