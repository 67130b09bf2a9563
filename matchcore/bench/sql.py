"""Rows a second into a database, durable per batch, and what the driver alone could do.

``MATCHCORE_BENCH_SQL``: URL of an empty database to measure; without it SQLite in a temporary
directory.  The tables are dropped and made again for every figure.
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

from ..engine import Engine
from ..journal import Position
from ..sinks import Rows, RowSink, open_store
from . import neutral
from .throughput import BATCH, INSTRUMENT

IDENTITY = bytes(16)
COMMANDS_MAX = 100_000
UNIT = "thousand rows/s"
Batches = list[tuple[int, NDArray[np.void], NDArray[np.void]]]


def groups(count: int) -> Iterator[list[tuple[Any, ...]]]:
    commands = neutral.commands(neutral.messages("swing-40", count))[:COMMANDS_MAX]
    batches: Batches = []
    with Engine.memory(instruments=[INSTRUMENT]) as engine:
        for at in range(0, len(commands), BATCH):
            part = commands[at : at + BATCH]
            batches.append((engine.sequence, part, engine.submit_batch(part)))
    with tempfile.TemporaryDirectory(prefix="matchcore-bench-") as place:
        url = os.environ.get("MATCHCORE_BENCH_SQL") or f"sqlite:///{Path(place)}/x.db"
        note = f"{url.partition(':')[0]}, {BATCH} commands a transaction"
        made = rows_of(url, batches)
        yield [
            ("through the sink: rows computed, written, position moved",
             partial(sink, url, batches), UNIT, note),
            ("the driver's fastest bulk load of the same rows, in the same transactions",
             partial(plain, url, made), UNIT, note),
        ]  # fmt: skip


def fresh(url: str) -> Any:
    """A store of new tables."""
    from ..sinks.schema import METADATA

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
    """The first position is that of the instrument, whose command is not measured."""
    with closing(sink):
        for at, commands, events in batches:
            shift = at - batches[0][0]
            moved = events.copy()
            moved["sequence"] -= batches[0][0]
            sink.write(Position(1, shift + len(commands)), commands, moved)


def sink(url: str, batches: Batches) -> float:
    store = _Kept(fresh(url))
    started = time.perf_counter()
    deliver(RowSink(store), batches)
    return size(store.rows) / (time.perf_counter() - started) / 1e3


def plain(url: str, batches: list[Rows]) -> float:
    """A loop over the bulk path: no rows to compute, none to take away, no position."""
    with closing(fresh(url)) as store:
        started = time.perf_counter()
        for rows in batches:
            with store._speaking() as connection, connection.begin():
                for name, new in rows.new.items():
                    there = np.isin(new["seq"], rows.gone.get(name, ()))
                    if not there.all():
                        store._insert(connection, name, new[~there])
        seconds = time.perf_counter() - started
    return sum(inserted(rows) for rows in batches) / seconds / 1e3


def size(batches: list[Rows]) -> int:
    return sum(inserted(rows) for rows in batches)


def inserted(rows: Rows) -> int:
    """Rows that were not there before."""
    return sum(
        int((~np.isin(new["seq"], rows.gone.get(name, ()))).sum()) for name, new in rows.new.items()
    )
