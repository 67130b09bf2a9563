"""`matchcore repair`: a damaged log cut where it is still good; says what that loses first."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from ..journal import Keys
from ..journal.position import POSITION_NAME
from ..operations.repair import Plan, plan, repair
from .options import directory_argument, json_option
from .output import DAMAGED, failing_kindly, out, show


@click.command(name="repair")
@directory_argument
@click.option("--dry-run", is_flag=True, help="Only show what a cut would lose.")
@click.option("--lose-acknowledged", is_flag=True,
              help="Also cut commands that may have been acknowledged.")  # fmt: skip
@click.option("--yes", is_flag=True, help="With --lose-acknowledged: do not ask for confirmation.")
@json_option
def repair_command(
    directory: Path, dry_run: bool, lose_acknowledged: bool, yes: bool, as_json: bool
) -> None:
    """Cut a damaged log before the damage, if no good copy exists.

    \b
    Example:  matchcore repair exchange.d --dry-run
    Nothing is deleted: the rest goes into DIR/cut-SEQUENCE-N.
    Exit 0 good or repaired, 1 damaged (also with --dry-run) or refused.
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
                out.print(f"Cut.  The rest is in {found.set_aside}")
    if as_json:
        show({**asdict(found), "good": found.good, "acknowledged": found.acknowledged}, True)
    raise SystemExit(DAMAGED if dry_run and not found.good else 0)


def _confirm(found: Plan) -> None:
    """The number must be typed: a habit of pressing y must not lose orders."""
    first = str(found.kept + 1)
    typed = click.prompt(f"Type {first}, the first lost sequence, to continue", err=True)
    if typed.strip() != first:
        raise click.UsageError("another number was typed: nothing was changed")


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
        lines.append("  restore the file from a good copy; without one use --lose-acknowledged")
    else:
        lines.append("  a write cut off by a crash: it was never acknowledged, and an open cuts it")
    return lines
