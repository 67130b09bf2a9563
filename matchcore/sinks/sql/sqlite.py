"""SQLite: the embedded default.  Write-ahead mode with full sync: readers are not blocked."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from ...errors import SinkError
from ..interface import SinkAway
from ..rows.tables import TABLES
from ..urls import shown
from .store import SqlStore

BUSY_SECONDS = 5.0


class SqliteStore(SqlStore):
    """One file; its parent directory must be there."""

    def __init__(self, url: sa.URL, shard: int = 0) -> None:
        if not url.database or url.host or url.query:
            raise SinkError(
                f"{shown(url.render_as_string(hide_password=False))!r}:"
                " sqlite:///relative.db or sqlite:////absolute.db"
            )
        self.path = Path(url.database).absolute()
        self._busy = BUSY_SECONDS
        self._file: tuple[int, int] | None = None  # which one the connection is to
        self._wal: tuple[int, int] | None = None  # and its write-ahead log
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
            raise SinkError(f"{self.path}: the directory {self.path.parent} does not exist")
        super().prepare(identity)

    def _connected(self) -> sa.Connection:
        if self._identity is not None:
            self._forget_the_old_file()
            self._look_without_writing(self._identity)
            self._file = _file(self.path)  # None: the connection makes it
        return super()._connected()

    def _settle(self, connection: sa.Connection, identity: bytes) -> None:
        super()._settle(connection, identity)
        driver: Any = connection.connection
        try:
            driver.execute("PRAGMA journal_mode = WAL")
            driver.execute("SELECT 1 FROM positions").fetchall()  # from then on the log is there
        except sqlite3.OperationalError as error:
            raise SinkAway(f"{self.shown}: {error}") from None
        if self._gone():
            raise SinkAway(f"{self.shown}: the file was replaced while it was opened")
        self._file, self._wal = _file(self.path), _file(self._beside("-wal"))

    def _gone(self) -> bool:
        return self._file is not None and _file(self.path) != self._file

    def _forget_the_old_file(self) -> None:
        """Takes away the log of a file that was replaced: SQLite would read it into the new one."""
        wal = self._beside("-wal")
        if self._gone() and self._wal is not None and _file(wal) == self._wal:
            wal.unlink(missing_ok=True)
            self._beside("-shm").unlink(missing_ok=True)

    def _beside(self, end: str) -> Path:
        return self.path.with_name(self.path.name + end)

    def _look_without_writing(self, identity: bytes) -> None:
        """Refuses what is not ours through a connection that cannot write.

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

    def _lasts(self, error: sa.exc.DBAPIError) -> bool:
        """A damaged file, and rows that are refused; a full disk or a lock passes."""
        return isinstance(error, sa.exc.DatabaseError) and not isinstance(
            error, sa.exc.OperationalError | sa.exc.InternalError
        )


def _file(path: Path) -> tuple[int, int] | None:
    """Which file a path leads to, None if to none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


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
