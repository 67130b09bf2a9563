"""`archive` and `repair`: what changes an exchange's files, said before and after."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from ..journal import Keys, identity_of
from ..journal.position import POSITION_NAME
from ..operations.archive import KEEP_SNAPSHOTS, archive
from ..operations.repair import Plan, plan, repair
from ..sinks import open_sink
from .output import (
    DAMAGED,
    directory_argument,
    failing_kindly,
    json_option,
    out,
    progress_bar,
    show,
)


@click.command(name="archive")
@directory_argument
@click.option("--to", "place", type=click.Path(file_okay=False, path_type=Path),
              help="Directory that takes the segments; made if it is not there.")  # fmt: skip
@click.option("--drop", is_flag=True, help="Remove them instead.")
@click.option("--keep-snapshots", type=click.IntRange(1), default=KEEP_SNAPSHOTS,
              show_default=True, help="How many good snapshots must lie behind them.")  # fmt: skip
@click.option("--follower", "followers", multiple=True, metavar="URL",
              help="A database that still follows: what it needs stays.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
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
    """Move old segments out of an exchange, also while an engine has it open.

    \b
    Example:  matchcore archive exchange.d --to /backup/exchange
    Only what lies before the oldest kept snapshot goes, each copy compared first.
    To put segments back, copy them into the directory again.
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


@click.command(name="repair")
@directory_argument
@click.option("--dry-run", is_flag=True, help="Only say what a cut would lose.")
@click.option("--lose-acknowledged", is_flag=True,
              help="Cut also what somebody may have been answered.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask, with --lose-acknowledged.")
@json_option
def repair_command(
    directory: Path, dry_run: bool, lose_acknowledged: bool, yes: bool, as_json: bool
) -> None:
    """Cut a damaged log where it is still good, when no copy is left to restore.

    \b
    Example:  matchcore repair exchange.d --dry-run
    What is cut is never deleted: it goes into DIR/cut-SEQUENCE-N.
    Exit 0 good or repaired, 1 damaged (also after --dry-run) or refused.
    """
    with failing_kindly(as_json):
        keys = Keys.from_environment()
        found = plan(directory, keys=keys)
        if not as_json:
            for line in _explained(found, directory):
                out.print(line)
        if not found.good and not dry_run:
            if found.acknowledged and lose_acknowledged and not yes:
                _confirm(found)
            found = repair(directory, lose_acknowledged=lose_acknowledged, keys=keys)
            if not as_json:
                out.print(f"Cut. What lay behind is in {found.set_aside}")
    if as_json:
        show({**asdict(found), "good": found.good, "acknowledged": found.acknowledged}, True)
    raise SystemExit(DAMAGED if dry_run and not found.good else 0)


def _confirm(found: Plan) -> None:
    """The number must be typed: a habit of pressing y must not lose orders."""
    first = str(found.kept + 1)
    typed = click.prompt(f"Type {first}, the first sequence that is lost, to go on", err=True)
    if typed.strip() != first:
        raise click.UsageError("not typed: nothing was changed")


def _explained(found: Plan, directory: Path) -> list[str]:
    if found.good:
        begin = f"from the snapshot at {found.begins:,}" if found.begins else "from the beginning"
        return [f"{directory}: an open would read it {begin} to {found.kept:,}: nothing to cut"]
    lines = [
        f"{directory}: {found.what}",
        f"  at byte {found.offset:,} of {found.path}",
        f"  a cut keeps sequences up to {found.kept:,}",
    ]
    if found.lost_to > found.kept:
        lines.append(f"  it loses sequences {found.kept + 1:,} to {found.lost_to:,}")
    if found.cut_bytes:
        lines.append(f"  set aside: {found.cut_bytes:,} bytes from there to the end of the file")
    hints = [POSITION_NAME] if found.position else []
    lines += [f"  set aside: {name}" for name in [*found.segments, *found.snapshots, *hints]]
    if found.acknowledged:
        lines.append("  these commands may have been answered:")
        lines += [f"    {reason}" for reason in found.reasons]
        lines.append("  restore the file from a copy if there is one; else --lose-acknowledged")
    else:
        lines.append("  a write that a crash cut off: nobody was answered, and an open cuts it")
    return lines
