"""What the commands that look after a database do, without click."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

from ..engine.follower import Follower
from ..errors import MissingExtra, SinkError
from ..journal import Keys, LogReader, identity_of
from ..sinks import open_sink
from ..sinks.opening import built_in, open_store
from ..sinks.sql.access import empty, open_existing
from ..sinks.sql.reconcile import Report
from ..sinks.sql.reconcile import reconcile as compare
from ..sinks.sql.whole import whole_log
from ..sinks.urls import shown
from .output import progress_bar


def reconciled(
    directory: Path,
    url: str,
    *,
    shard: int,
    repair: bool,
    archives: Sequence[Path],
    progress: Callable[[int], None],
) -> tuple[dict[str, Any], Report]:
    """Compares, and repairs if asked to; what to show, and the whole report."""
    started = time.perf_counter()
    keys = Keys.from_environment()
    report = compare(
        directory, url, shard=shard, repair=repair, archives=archives, keys=keys,
        progress=progress,
    )  # fmt: skip
    result = {
        "equal": report.equal,
        "epoch": report.position.epoch,
        "sequence": report.position.sequence,
        "log_end": report.log_end,
        "behind": report.behind,
        "rows": sum(report.rows.values()),
        "different_rows": report.different,
        "chunks_not_looked_into": report.chunks_left,
        "sequences_rewritten": report.repaired,
        "seconds": round(time.perf_counter() - started, 3),
        "database": shown(url),
        "differences": [
            {"table": one.table, "key": one.key, "what": one.what, "column": one.column,
             "journal": one.journal, "database": one.database}
            for one in report.differences
        ],
    }  # fmt: skip
    return result, report


def rebuilt(directory: Path, url: str, *, shard: int, archives: Sequence[Path]) -> dict[str, Any]:
    """Drops the rows of a shard and follows the log from its beginning to its end.

    The whole log is read before: what can not be made again is not dropped.
    """
    started = time.perf_counter()
    identity, keys = identity_of(directory), Keys.from_environment()
    with whole_log(directory, archives) as whole:
        with closing(LogReader(whole, keys=keys)) as reader:
            count = sum(frame.count for frame in reader.read())
        built_in(url, shard).close()  # a plug-in's is refused before it is opened
        open_store(url, identity, shard).close()  # whose it is, and the tables
        with closing(open_existing(url, identity, shard)) as store:
            empty(store)
        with (
            progress_bar("rebuilding", count) as progress,
            Follower(whole, open_sink(url, identity, shard=shard), keys=keys) as follower,
        ):
            position = follower.run(progress=progress)
    return {
        "last_sequence": position.sequence,
        "epoch": position.epoch,
        "seconds": round(time.perf_counter() - started, 3),
        "database": shown(url),
    }


def statements(kind: str, layout: str, partitions: int, sub: int) -> list[str]:
    """The tables and views of a kind of database, in the order in which they must be made."""
    try:
        dialects = import_module(f"sqlalchemy.dialects.{kind}")
    except ImportError:
        raise MissingExtra("matchcore ddl", "sql") from None
    from ..sinks.sql import views
    from ..sinks.sql.schema import Layout, check_layout, ddl

    check_layout(layout)
    if layout != "plain" and kind != "mysql":
        raise SinkError(f"layout {layout!r} is one of mysql, not of {kind}")
    dialect = dialects.dialect()
    return [*ddl(dialect, Layout(layout, partitions, sub)), *views.ddl(dialect).values()]
