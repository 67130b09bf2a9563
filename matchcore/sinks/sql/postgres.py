"""PostgreSQL and what speaks its protocol: RDS, Aurora, Cloud SQL.  Driver: psycopg 3.

The bulk path is a binary COPY, whose bytes NumPy makes (`binary_copy`).
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from ...errors import MissingExtra
from ..rows.tables import TABLES
from .binary_copy import encode
from .store import SqlStore

SECONDS_MAX = 30  # for a connection, and for a dead network to be noticed
#: What is known to last, by state; all else is asked again.
_LASTS = (
    "28", "42501",  # passwords, rights
    "3D", "3F",  # no such database or schema
    "21", "22", "23",  # rows that are refused for what they are
    "XX001", "XX002",  # damaged tables and indexes
)  # fmt: skip
#: Of an error without a state, while a connection is made: the words of libpq and of the server.
_LASTS_TEXT = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|permission denied"
    r"|does not exist|no such (user|database)|certificate|private key"
    r"|invalid (connection option|port|integer value|\"?\w+\"? value)|bad value for"
    r"|could not match \d+ |could not parse network address|weak sslmode",
    re.IGNORECASE,
)
_KEEPALIVES = {
    "connect_timeout": SECONDS_MAX,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": SECONDS_MAX * 1000,
}
#: A pooler may give a session to somebody else after each transaction, so nothing is left in it: no
#: statement is prepared, and what is set is set for one transaction.  Text comes as text, whatever
#: the encoding of the database.
_SESSION = {"prepare_threshold": None, "client_encoding": "utf8"}
#: A commit is durable, whatever the role's or the database's default: a stronger one stays.
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', true)"
    " WHERE current_setting('synchronous_commit') = 'off'"
)


class PostgresStore(SqlStore):
    """URL: ``postgresql://user:word@host:5432/database?sslmode=verify-full``.

    ``views=no`` makes no views.  The other options of the URL go to libpq, such as ``sslmode``,
    ``sslrootcert`` and ``application_name`` (see `urls.OPTIONS`).
    """

    def _connector(self) -> sa.Engine:
        given = {name: value for name, value in _KEEPALIVES.items() if name not in self.url.query}
        try:
            engine = sa.create_engine(
                self.url.set(drivername="postgresql+psycopg"),
                poolclass=sa.NullPool,
                isolation_level="READ COMMITTED",  # said with each BEGIN
                connect_args={**given, **_SESSION},
            )
        except ImportError:
            raise MissingExtra("a postgresql:// sink", "postgres") from None
        sa.event.listen(engine, "connect", _any_bytes)
        sa.event.listen(engine, "begin", _begin)
        return engine

    def _insert(self, connection: sa.Connection, table: str, rows: NDArray[np.void]) -> None:
        columns = TABLES[table].columns
        fields = [
            rows[name].view(np.int64) if form == "u8" else rows[name]
            for name, form in columns.items()
        ]
        self._copy(connection, f"COPY {table} ({', '.join(columns)})", encode(fields))

    def _copy(self, connection: sa.Connection, head: str, data: bytes) -> None:
        """A COPY past SQLAlchemy, its errors as SQLAlchemy's."""
        driver: Any = connection.connection.driver_connection
        statement = f"{head} FROM STDIN (FORMAT binary)"
        base: Any = connection.dialect.dbapi
        try:
            with driver.cursor().copy(statement) as copy:
                copy.write(data)
        except base.Error as error:
            raise sa.exc.DBAPIError.instance(
                statement, None, error, base.Error,
                connection_invalidated=connection.dialect.is_disconnect(error, None, None),
                dialect=connection.dialect,
            ) from error  # fmt: skip

    def _remove(self, connection: sa.Connection, table: str, seqs: NDArray[np.int64]) -> None:
        connection.exec_driver_sql(
            f"DELETE FROM {table} WHERE shard = %s AND seq = ANY(%s::bigint[])",
            (self.shard, seqs.tolist()),
        )

    def _lasts(self, error: sa.exc.DBAPIError) -> bool:
        state = getattr(error.orig, "sqlstate", None)
        if state is None:
            return bool(_LASTS_TEXT.search(str(error.orig)))
        return bool(state.startswith(_LASTS))


def _any_bytes(connection: Any, _: object) -> None:
    """A database in SQL_ASCII holds bytes of no encoding: in this one all of them are text."""
    if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
        connection.execute("SET client_encoding = 'LATIN1'")
        connection.commit()


def _begin(connection: sa.Connection) -> None:
    if not connection.get_execution_options().get("reading"):
        connection.exec_driver_sql(_DURABLE)
