"""Rows a second into a database, durable per batch, and what the driver alone could do.

``MATCHCORE_BENCH_SQL``: URLs of empty databases to measure, with blanks between them; without it
SQLite in a temporary directory.  The tables are dropped and made again for every figure.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matchcore.bench import neutral
from matchcore.bench.throughput import BATCH, INSTRUMENT
from matchcore.engine.engine import Engine
from matchcore.journal import Position
from matchcore.sinks import Rows, RowSink, open_store

from . import loaders

IDENTITY = bytes(16)
COMMANDS_MAX = 100_000
UNIT = "thousand rows/s"
Batches = list[tuple[int, NDArray[np.void], NDArray[np.void]]]


def groups(count: int) -> Iterator[list[tuple[Any, ...]]]:
    found = batches_of(count)
    with tempfile.TemporaryDirectory(prefix="matchcore-bench-") as place:
        urls = os.environ.get("MATCHCORE_BENCH_SQL") or f"sqlite:///{Path(place)}/x.db"
        for url in urls.split():
            scheme = url.partition(":")[0]
            made = rows_of(url, found)
            note = f"{BATCH} commands a transaction, {size(made):,} rows"
            yield [
                (f"{scheme}: through the sink: rows computed, written, position moved",
                 partial(sink, url, found), UNIT, note),
                (f"{scheme}: the driver's fastest bulk load of the same rows, in the same"
                 " transactions", partial(plain, url, made), UNIT, note),
            ]  # fmt: skip


def batches_of(count: int) -> Batches:
    """What a follower hands on.  Sequences are counted without the instrument's."""
    commands = neutral.commands(neutral.messages("swing-40", count))[:COMMANDS_MAX]
    batches: Batches = []
    with Engine.memory(instruments=[INSTRUMENT]) as engine:
        for at in range(0, len(commands), BATCH):
            part = commands[at : at + BATCH]
            events = engine.submit_batch(part)
            events["sequence"] -= 1
            batches.append((at, part, events))
    return batches


def fresh(url: str) -> Any:
    """A store of new tables."""
    from matchcore.sinks.sql.schema import METADATA

    store: Any = open_store(url, IDENTITY)
    with store._speaking() as connection:
        connection.rollback()
        with connection.begin():
            METADATA.drop_all(connection)
    store.close()
    return open_store(url, IDENTITY)


class _Kept:
    """A store that keeps what is written, before it passes it on."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.rows: list[Rows] = []

    def write(self, shard: int, epoch: int, first: int, last: int, rows: Rows) -> None:
        self.rows.append(rows)
        self.store.write(shard, epoch, first, last, rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


def rows_of(url: str, batches: Batches) -> list[Rows]:
    kept = _Kept(fresh(url))
    deliver(RowSink(kept), batches)
    return kept.rows


def deliver(sink: RowSink, batches: Batches) -> None:
    with closing(sink):
        for at, commands, events in batches:
            sink.write(Position(1, at + len(commands)), commands, events)


def sink(url: str, batches: Batches) -> float:
    store = _Kept(fresh(url))
    started = time.perf_counter()
    deliver(RowSink(store), batches)
    return size(store.rows) / (time.perf_counter() - started) / 1e3


def plain(url: str, batches: list[Rows]) -> float:
    """The driver alone: no rows to compute, none to take away, no position."""
    import sqlalchemy as sa

    fresh(url).close()
    waiting = [new_ones(rows) for rows in batches]
    started = time.perf_counter()
    loaders.load(sa.make_url(url), waiting)
    return size(batches) / (time.perf_counter() - started) / 1e3


def new_ones(rows: Rows) -> dict[str, NDArray[np.void]]:
    """Rows that were not there before."""
    kept = {
        name: new[~np.isin(new["seq"], rows.gone.get(name, ()))] for name, new in rows.new.items()
    }
    return {name: new for name, new in kept.items() if len(new)}


def size(batches: list[Rows]) -> int:
    return sum(len(new) for rows in batches for new in new_ones(rows).values())
