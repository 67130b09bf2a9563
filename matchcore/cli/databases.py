"""The commands that look after a database: its DDL, reconcile and rebuild."""

from __future__ import annotations

from pathlib import Path

import click

from ..records.arguments import SHARD_MAX
from . import output
from .output import failing_kindly, json_option, progress_bar, show

_directory = click.argument(
    "directory", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
_shard = click.option(
    "--shard", type=click.IntRange(0, SHARD_MAX), default=0, show_default=True,
    help="The number of this log where several share a database.",
)  # fmt: skip
_archives = click.option(
    "--archive", "archives", type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True, metavar="PLACE", help="Where archived segments are; may be given again.",
)  # fmt: skip


@click.command()
@_directory
@click.argument("url")
@_shard
@_archives
@click.option("--repair", is_flag=True, help="Rewrite what differs from the journal.")
@json_option
def reconcile(
    directory: Path, url: str, shard: int, archives: tuple[Path, ...], repair: bool, as_json: bool
) -> None:
    """Compare a database with the journal, row by row, up to the database's position.

    \b
    Example:  matchcore reconcile exchange.d sqlite:///exchange.db
    Exit 0 equal or repaired, 1 different, with the first differences shown, 2 wrong usage.
    """
    from .reconciling import reconciled

    with failing_kindly(as_json), progress_bar("reconciling", None) as progress:
        result, report = reconciled(
            directory, url, shard=shard, repair=repair, archives=archives, progress=progress
        )
    show(result, as_json, title=f"{directory} and its database")
    if not as_json:
        for one in report.differences:
            output.out.print(f"  {one}")
    raise SystemExit(output.GOOD if report.equal or repair else output.DAMAGED)


@click.command()
@_directory
@click.argument("url")
@_shard
@_archives
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def rebuild(
    directory: Path, url: str, shard: int, archives: tuple[Path, ...], yes: bool, as_json: bool
) -> None:
    """Drop every row of an exchange from a database, and fill it again from the journal.

    \b
    Example:  matchcore rebuild exchange.d sqlite:///exchange.db --yes
    The whole log is read and checked before anything is dropped.  Into an empty database
    `matchcore follow` does the same.
    """
    from .reconciling import rebuilt

    if not yes:
        click.confirm("Drop all rows of this exchange there and write them again?", abort=True)
    with failing_kindly(as_json):
        result = rebuilt(directory, url, shard=shard, archives=archives)
    show(result, as_json, title=f"Rebuilt from {directory}")


@click.command("ddl")
@click.argument("kind", type=click.Choice(["sqlite", "mysql", "postgresql"]))
@click.option("--layout", default="plain", show_default=True,
              help="plain, or of mysql: partitions, polardbx, drds.")  # fmt: skip
@click.option("--partitions", type=click.IntRange(1, 8192), default=16, show_default=True)
@click.option("--tbpartitions", type=click.IntRange(0, 8192), default=0,
              help="Tables in each database of drds.")  # fmt: skip
@json_option
def ddl_command(kind: str, layout: str, partitions: int, tbpartitions: int, as_json: bool) -> None:
    """Print the statements that make the tables, for somebody else to run them.

    \b
    Example:  matchcore ddl mysql --layout drds > tables.sql
    A follower that finds all tables needs no right to make any.
    """
    from .reconciling import statements

    with failing_kindly(as_json):
        made = statements(kind, layout, partitions, tbpartitions)
    if as_json:
        show({"statements": made}, as_json)
    else:
        click.echo("".join(f"{statement};\n" for statement in made), nl=False)
