"""What the commands that look after a database do, without click."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from ..follower import Follower
from ..journal import Keys, identity_of
from ..sinks import open_sink
from ..sinks.access import empty, open_existing
from ..sinks.opening import built_in, open_store, without_password
from ..sinks.reconcile import Report, whole_log
from ..sinks.reconcile import reconcile as compare
from .output import progress_bar


def reconciled(
    directory: Path, url: str, *, shard: int, repair: bool, progress: Callable[[int], None]
) -> tuple[dict[str, Any], Report]:
    """Compares, and repairs if asked to; what to show, and the whole report."""
    started = time.perf_counter()
    keys = Keys.from_environment()
    report = compare(directory, url, shard=shard, repair=repair, keys=keys, progress=progress)
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
        "database": without_password(url),
        "differences": [
            {"table": one.table, "key": one.key, "what": one.what, "column": one.column,
             "journal": one.journal, "database": one.database}
            for one in report.differences
        ],
    }  # fmt: skip
    return result, report


def rebuilt(directory: Path, url: str, *, shard: int) -> dict[str, Any]:
    """Drops the rows of a shard and follows the log from its beginning to its end.

    The whole log is read before: what can not be made again is not dropped.
    """
    started = time.perf_counter()
    identity, keys = identity_of(directory), Keys.from_environment()
    with closing(whole_log(directory, keys)) as reader:
        count = sum(frame.count for frame in reader.read())
    built_in(url, shard).close()  # a plug-in's is refused before it is opened
    open_store(url, identity, shard).close()  # whose it is, and the tables
    with closing(open_existing(url, identity, shard)) as store:
        empty(store)
    with (
        progress_bar("rebuilding", count) as progress,
        Follower(directory, open_sink(url, identity, shard=shard), keys=keys) as follower,
    ):
        position = follower.run(progress=progress)
    return {
        "last_sequence": position.sequence,
        "epoch": position.epoch,
        "seconds": round(time.perf_counter() - started, 3),
        "database": without_password(url),
    }
