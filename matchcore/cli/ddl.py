"""`matchcore ddl`: the statements that make the tables."""

from __future__ import annotations

import click

from .options import json_option
from .output import failing_kindly, show


@click.command("ddl")
@click.argument("kind", type=click.Choice(["sqlite", "mysql", "postgresql"]))
@click.option("--layout", default="plain", show_default=True,
              help="plain; for mysql also partitions, polardbx, drds.")  # fmt: skip
@click.option("--partitions", type=click.IntRange(1, 8192), default=16, show_default=True,
              help="Partitions of each table.")  # fmt: skip
@click.option("--tbpartitions", type=click.IntRange(0, 8192), default=0,
              help="Tables in each database (drds).")  # fmt: skip
@json_option
def ddl_command(kind: str, layout: str, partitions: int, tbpartitions: int, as_json: bool) -> None:
    """Print the SQL statements that create the tables and views.

    \b
    Example:  matchcore ddl mysql --layout drds > tables.sql
    A follower needs no right to create tables if they exist.
    """
    from ..sinks.sql.ddl import statements

    with failing_kindly(as_json):
        made = statements(kind, layout, partitions, tbpartitions)
    if as_json:
        show({"statements": made}, as_json)
    else:
        click.echo("".join(f"{statement};\n" for statement in made), nl=False)
