"""Rows into three databases, and what an engine loses while a follower fills one.

    python -m benchmarks.databases > benchmarks/recorded/sql.json

Needs the servers of tests/sinks (servers.sh there), which it starts, each on the second core:
there run the follower and the server, on the first one the engine and what sends to it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from matchcore.bench import neutral
from matchcore.bench.suite import stamp
from matchcore.bench.throughput import BATCH, INSTRUMENT
from matchcore.engine.engine import Engine
from matchcore.sinks import FollowerProcess

from .suites import sql

ROUNDS = 7
MESSAGES, SENT = 200_000, 3_000_000
SIZED = 400_000  # commands whose rows are weighed
ENGINE, DATABASE = 0, 1  # cores
MEMORY = "/dev/shm"  # files that no disk is shared with


@contextmanager
def files_in(place: str | None) -> Iterator[None]:
    """Temporary files of this process go there; None: where they go by themselves."""
    before, tempfile.tempdir = tempfile.tempdir, place or tempfile.tempdir
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextmanager
def database(name: str, place: str | None = None) -> Iterator[str]:
    """The URL of an empty database with its files there; its server runs where this thread does."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "sinks"))
    with ExitStack() as stack:
        if name == "sqlite":
            made = tempfile.TemporaryDirectory(prefix="matchcore-bench-", dir=place)
            yield f"sqlite:///{stack.enter_context(made)}/x.db"
            return
        server: Any
        if name == "mysql":
            from mariadb_server import MariadbServer

            with files_in(place):
                server = stack.enter_context(closing(MariadbServer()))
        else:
            from postgres_server import PostgresServer

            with files_in(place):
                server = stack.enter_context(closing(PostgresServer()))
        server.start()
        yield server.url()


def on(core: int) -> None:
    """All threads of this process, and what they start from now on."""
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), {core})


def rates(url: str) -> tuple[list[float], list[float]]:
    """Thousand rows/s through the sink, and of the driver alone, by turns; on all cores."""
    found = sql.batches_of(MESSAGES)
    made = sql.rows_of(url, found)
    turns = [(sql.sink(url, found), sql.plain(url, made)) for _ in range(ROUNDS)]
    return [one for one, _ in turns], [other for _, other in turns]


def beside(url: str) -> tuple[list[float], list[float], float]:
    """Million commands/s of an engine alone and with a follower at work, by turns, policy sync;
    and how far the follower came, thousand commands/s."""
    commands = neutral.commands(neutral.messages("swing-40", SENT))
    alone: list[float] = []
    followed: list[float] = []
    came: list[float] = []
    for _ in range(ROUNDS):
        alone.append(throughput(commands, None)[0])
        emptied(url)
        rate, followed_rate = throughput(commands, url)
        followed.append(rate)
        came.append(followed_rate)
    return alone, followed, median(came)


def emptied(url: str) -> None:
    """Every round has an exchange of its own."""
    from matchcore.sinks.opening import built_in
    from matchcore.sinks.sql.access import transaction
    from matchcore.sinks.sql.schema import METADATA

    with closing(built_in(url)) as store, transaction(store) as connection:
        METADATA.drop_all(connection)


def throughput(commands: Any, url: str | None) -> tuple[float, float]:
    with tempfile.TemporaryDirectory(prefix="matchcore-bench-") as place:
        on(DATABASE)
        exchange = Path(place) / "e"
        engine = Engine.open(exchange, instruments=[INSTRUMENT])
        follower = FollowerProcess(exchange, url) if url is not None else None
        on(ENGINE)
        try:
            if follower is not None:
                engine.submit_batch(commands[:BATCH])
                until = time.monotonic() + 60
                while not follower.sequence:  # until it has opened the database, and is at work
                    assert time.monotonic() < until and not follower.error, follower.error
                    time.sleep(0.01)
            before = follower.sequence if follower else 0
            started = time.perf_counter()
            for at in range(BATCH, len(commands), BATCH):
                engine.submit_batch(commands[at : at + BATCH])
            seconds = time.perf_counter() - started
            came = (follower.sequence - before) / seconds / 1e3 if follower else 0.0
            if follower is not None:
                assert not follower.error, follower.error
        finally:
            if follower is not None:
                follower.close(0.0)
            engine.close()
        return (len(commands) - BATCH) / seconds / 1e6, came


def sizes(url: str) -> dict[str, dict[str, float]]:
    """Of each table: rows, and bytes of one with its indexes, as the database has them on disk."""
    import sqlalchemy as sa

    from matchcore.sinks.opening import RowSink, built_in, open_store
    from matchcore.sinks.rows.tables import TABLES
    from matchcore.sinks.sql.access import transaction

    emptied(url)
    sql.COMMANDS_MAX = SIZED
    sql.deliver(RowSink(open_store(url, sql.IDENTITY)), sql.batches_of(MESSAGES + SIZED))
    sql.COMMANDS_MAX = 100_000
    found = {}
    with closing(built_in(url)) as store, transaction(store) as connection:
        for table in TABLES:
            rows = connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one()
            if connection.dialect.name == "mysql":
                connection.execute(sa.text(f"ANALYZE TABLE {table}"))
            taken = connection.execute(sa.text(BYTES[connection.dialect.name]), {"name": table})
            found[table] = {"rows": rows, "bytes": float(taken.scalar_one() or 0) / max(rows, 1)}
    return found


#: Of a table and its indexes.
BYTES = {
    "sqlite": "SELECT sum(pgsize) FROM dbstat WHERE name IN"
    " (SELECT name FROM sqlite_master WHERE tbl_name = :name)",
    "mysql": "SELECT data_length + index_length FROM information_schema.tables"
    " WHERE table_schema = database() AND table_name = :name",
    "postgresql": "SELECT pg_total_relation_size(CAST(:name AS regclass))",
}


def main() -> None:
    rows = []
    cores = os.sched_getaffinity(0)
    for name in BYTES:
        with database(name) as url:
            sink, plain = rates(url)
            sized = sizes(url)
        on(DATABASE)
        with database(name) as url:  # a server on that core
            alone, followed, came = beside(url)
        with database(name, MEMORY) as url:
            apart = dict(zip(("alone", "followed"), beside(url)[:2], strict=True))
        for thread in os.listdir("/proc/self/task"):
            os.sched_setaffinity(int(thread), cores)
        rows.append(
            {"database": name, "sink": sink, "plain": plain, "alone": alone, "followed": followed,
             "follower": came, "rows_ratio": median(sink) / median(plain),
             "engine_ratio": median(followed) / median(alone), "apart": apart, "sizes": sized}
        )  # fmt: skip
        print(rows[-1], file=sys.stderr, flush=True)
    print(json.dumps({**stamp(), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
