"""A database that is there already: opened without making anything, read as of one moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from ...errors import SinkError
from ..opening import built_in
from ..rows.tables import TABLES
from .schema import POSITIONS, SQL_TABLES
from .store import FOREIGN, SqlStore

EMPTIED_TOGETHER = 50_000  # sequences


def open_existing(
    url: str, identity: bytes | None, shard: int, *, read_only: bool = False
) -> SqlStore:
    """The database of a URL, left as it is; `SinkError` if it has not all of our tables.

    `identity`: the exchange that it must belong to, None for any.  `read_only`: through
    connections that could not write either.
    """
    store = built_in(url, shard)
    store.read_only = read_only
    try:
        if store.url.get_backend_name() == "sqlite" and not Path(str(store.url.database)).is_file():
            raise SinkError(f"{store.shown}: there is no such file")
        with snapshot(store) as connection:
            missing = store._missing(connection)
            if read_only:  # an older schema is read as it is
                missing = store.lacking(connection, missing)
            if missing:
                raise SinkError(
                    f"{store.shown} has no tables of an exchange ({', '.join(sorted(missing))}):"
                    " matchcore follow creates them"
                )
            if identity is not None and store._owner(connection, identity, missing) is None:
                raise SinkError(f"{store.shown} has no position of shard {shard}")
    except BaseException:
        store.close()
        raise
    return store


@contextmanager
def snapshot(store: SqlStore) -> Iterator[sa.Connection]:
    """A connection that sees one moment of the database, also while a follower writes."""
    with _as_ours(store), store._connected() as connection:
        if connection.dialect.name != "sqlite":  # whose readers see nothing else
            connection.execution_options(isolation_level="REPEATABLE READ")
        connection.execution_options(reading=True)
        yield connection


@contextmanager
def transaction(store: SqlStore) -> Iterator[sa.Connection]:
    """A connection in a transaction that commits at the end."""
    with _as_ours(store), store._connected() as connection, connection.begin():
        yield connection


def empty(store: SqlStore) -> None:
    """Takes every row of the store's shard away, chunk by chunk, with the position at 0 first.

    A follower that still writes begins again from then on and is refused, and so is one that comes
    when this was cut short: instruments go last, all at once, and its first batch meets theirs.
    Doing it again helps.
    """
    with transaction(store) as connection:
        shard = POSITIONS.c.shard == store.shard
        connection.execute(sa.select(POSITIONS.c.seq).where(shard).with_for_update())
        connection.execute(sa.update(POSITIONS).where(shard).values(seq=0, epoch=0))
    last, *others = SQL_TABLES.values()
    for table in reversed(others):
        mine = table.c.shard == store.shard
        while True:
            with transaction(store) as connection:
                first = connection.execute(sa.select(sa.func.min(table.c.seq)).where(mine)).scalar()
                if first is None:
                    break
                within = table.c.seq.between(first, first + EMPTIED_TOGETHER - 1)
                connection.execute(sa.delete(table).where(mine, within))
    with transaction(store) as connection:
        connection.execute(sa.delete(last).where(last.c.shard == store.shard))


def replace(
    store: SqlStore,
    connection: sa.Connection,
    table: str,
    seqs: NDArray[np.int64],
    rows: NDArray[np.void],
) -> None:
    """Takes away the rows of these sequences, and puts others there."""
    if len(seqs):
        store._remove(connection, table, seqs)
    if len(rows):
        store._insert(connection, table, rows)


def as_stored(store: SqlStore, table: str, rows: NDArray[np.void]) -> list[tuple[Any, ...]]:
    """Rows as a query gives them: with signed values where a database has no unsigned ones."""
    columns = []
    for name, form in TABLES[table].columns.items():
        if form == "u8" and store.signed:
            columns.append(rows[name].astype(np.int64).tolist())
        elif form.startswith("S"):
            columns.append([text.decode("ascii") for text in rows[name].tolist()])
        else:
            columns.append(rows[name].tolist())
    return list(zip(*columns, strict=True))


@contextmanager
def _as_ours(store: SqlStore) -> Iterator[None]:
    try:
        yield
    except FOREIGN as error:
        raise store.ours(error) from None
