"""SQLite: the embedded default.  Write-ahead mode with full sync: readers are not blocked."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from ..errors import SinkError
from .store import SqlStore
from .tables import TABLES

BUSY_SECONDS = 5.0


class SqliteStore(SqlStore):
    """One file; its parent directory must be there."""

    def __init__(self, url: sa.URL, shard: int = 0) -> None:
        if not url.database or url.host or url.query:
            raise SinkError(f"{str(url)!r}: sqlite:///relative.db or sqlite:////absolute.db")
        self.path = Path(url.database).absolute()
        self._busy = BUSY_SECONDS
        super().__init__(url, shard)

    def _connector(self) -> sa.Engine:
        engine = sa.create_engine("sqlite://", creator=self._connect, poolclass=sa.NullPool)
        sa.event.listen(engine, "begin", _begin)
        return engine

    def _connect(self) -> sqlite3.Connection:
        address = f"{self.path.as_uri()}?mode={'ro' if self.read_only else 'rwc'}"
        connection = sqlite3.connect(address, timeout=self._busy, isolation_level=None, uri=True)
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def prepare(self, identity: bytes) -> None:
        if not self.path.parent.is_dir():
            raise SinkError(f"{self.path}: the directory {self.path.parent} is not there")
        self._look_without_writing(identity)
        super().prepare(identity)
        with self._speaking() as connection:
            connection.rollback()
            driver: Any = connection.connection
            driver.execute("PRAGMA journal_mode = WAL")

    def _look_without_writing(self, identity: bytes) -> None:
        """Refuses what is not ours through a connection that can not write.

        Closing the last connection that could write moves what waits in the write-ahead log
        into the file, and a refused file is to keep its bytes.
        """
        if not self.path.is_file():
            return
        address = f"{self.path.as_uri()}?mode=ro"
        engine = sa.create_engine(
            "sqlite://", creator=lambda: sqlite3.connect(address, uri=True), poolclass=sa.NullPool
        )
        # Only a writer can roll back what a crash left half-done: `prepare` looks first then.
        with suppress(sa.exc.OperationalError):
            try:
                with engine.connect() as connection:
                    missing = self._missing(connection)
                    if "positions" in missing:
                        self._look_for_views(connection)
                    else:
                        self._owner(connection, identity, missing)
            except sa.exc.DatabaseError as error:
                if isinstance(error, sa.exc.OperationalError):
                    raise
                raise SinkError(f"{self.shown}: {error.orig}") from None

    def _insert(self, connection: sa.Connection, table: str, rows: NDArray[np.void]) -> None:
        marks = ", ".join("?" * len(TABLES[table].columns))
        connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({marks})", plain(table, rows))

    def _remove(self, connection: sa.Connection, table: str, seqs: NDArray[np.int64]) -> None:
        statement = f"DELETE FROM {table} WHERE shard = ? AND seq = ?"
        connection.exec_driver_sql(statement, [(self.shard, seq) for seq in seqs.tolist()])

    def _away(self, error: sa.exc.DBAPIError) -> bool:
        return "locked" in str(error.orig)


def _begin(connection: sa.Connection) -> None:
    """SQLite takes its only lock at once: it has no rows to lock."""
    reading = connection.get_execution_options().get("reading")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def plain(table: str, rows: NDArray[np.void]) -> list[tuple[Any, ...]]:
    """Rows as tuples; unsigned values as the signed ones of the same bits, symbols as text."""
    columns = TABLES[table].columns
    signed = np.dtype([(name, f"<{form.replace('u8', 'i8')}") for name, form in columns.items()])
    found: list[tuple[Any, ...]] = rows.view(signed).tolist()
    if any(form.startswith("S") for form in columns.values()):
        return [tuple(v.decode("ascii") if isinstance(v, bytes) else v for v in r) for r in found]
    return found
