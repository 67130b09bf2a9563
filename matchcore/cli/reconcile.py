"""`matchcore reconcile`: a database compared with the journal."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..journal import Keys, Place
from ..sinks.urls import shown
from .options import archives_option, json_option, place_argument, shard_option
from .output import DAMAGED, GOOD, failing_kindly, out, progress_bar, show

if TYPE_CHECKING:
    from ..sinks.sql.reconcile import Report


@click.command()
@place_argument
@click.argument("url")
@shard_option
@archives_option
@click.option("--repair", is_flag=True, help="Rewrite the rows that differ from the log.")
@json_option
def reconcile(
    directory: Place, url: str, shard: int, archives: tuple[Path, ...], repair: bool, as_json: bool
) -> None:
    """Compare a database with the log, row by row, up to the database's position.

    \b
    Example:  matchcore reconcile exchange.d sqlite:///exchange.db
    Exit 0 equal or repaired, 1 different (the first differences are shown), 2 wrong usage.
    """
    from ..sinks.sql.reconcile import reconcile as compare

    started = time.perf_counter()
    with failing_kindly(as_json), progress_bar("reconciling", None) as progress:
        report = compare(
            directory, url, shard=shard, repair=repair, archives=archives,
            keys=Keys.from_environment(), progress=progress,
        )  # fmt: skip
    seconds = time.perf_counter() - started
    show(_shown(report, seconds, url), as_json, title=f"{directory} and its database")
    if not as_json:
        for one in report.differences:
            out.print(f"  {one}")
    raise SystemExit(GOOD if report.equal or repair else DAMAGED)


def _shown(report: Report, seconds: float, url: str) -> dict[str, Any]:
    return {
        "equal": report.equal,
        "epoch": report.position.epoch,
        "sequence": report.position.sequence,
        "log_end": report.log_end,
        "behind": report.behind,
        "rows": sum(report.rows.values()),
        "different_rows": report.different,
        "chunks_not_looked_into": report.chunks_left,
        "sequences_rewritten": report.repaired,
        "seconds": round(seconds, 3),
        "database": shown(url),
        "differences": [
            {"table": one.table, "key": one.key, "what": one.what, "column": one.column,
             "journal": one.journal, "database": one.database}
            for one in report.differences
        ],
    }  # fmt: skip
