"""PostgreSQL and what speaks its protocol: RDS, Aurora, Cloud SQL.  Driver: psycopg 3.

The bulk path is a binary COPY, whose bytes NumPy makes (`binary_copy`).
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from ..errors import MissingExtra
from .binary_copy import encode
from .store import SqlStore
from .tables import TABLES

SECONDS_MAX = 30  # for a connection, and for a dead network to be noticed
#: Lost connections, no more of them, shutdown, starting up, cut while idle, lock timeout, deadlock,
#: serialization.
_AWAY = ("08", "53300", "57P01", "57P02", "57P03", "57P05", "25P03", "55P03", "40")
#: Of an error without a state: what libpq says of the network, and a server of its own state.  All
#: else (a wrong password, no such database or file, a certificate) stays wrong however often
#: it is asked.
_AWAY_TEXT = re.compile(
    r"refused|time(d out|out)|reset by peer|closed the connection|closed unexpectedly|unreachable"
    r"|no route|broken pipe|EOF|connection (is closed|is lost|is bad|not open)"
    r"|could not (receive|send)"
    r"|name resolution|translate host name|failed to resolve"
    r"|starting up|shutting down|recovery mode|not yet accepting|too many (clients|connections)"
    r"|remaining connection slots|terminating connection|server login has been failing",
    re.IGNORECASE,
)
_KEEPALIVES = {
    "connect_timeout": SECONDS_MAX,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": SECONDS_MAX * 1000,
}
#: A commit is durable, whatever the role's or the database's default: a stronger one stays.
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') = 'off'"
)


class PostgresStore(SqlStore):
    """URL: ``postgresql://user:word@host:5432/database?sslmode=verify-full``.

    ``views=no`` makes no views.  The other parameters of the URL go to libpq, such as ``sslmode``,
    ``sslrootcert`` and ``application_name``.
    """

    def __init__(self, url: sa.URL, shard: int = 0) -> None:
        super().__init__(url.set(drivername="postgresql+psycopg"), shard)
        self.shown = url.render_as_string(hide_password=True)

    def _connector(self) -> sa.Engine:
        given = {name: value for name, value in _KEEPALIVES.items() if name not in self.url.query}
        try:
            engine = sa.create_engine(self.url, poolclass=sa.NullPool, connect_args=given)
        except ImportError:
            raise MissingExtra("a postgresql:// sink", "postgres") from None
        sa.event.listen(engine, "connect", _session)
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

    def _away(self, error: sa.exc.DBAPIError) -> bool:
        state = getattr(error.orig, "sqlstate", None)
        if state is None:  # libpq's own: it could not connect, or lost the connection
            return error.connection_invalidated or bool(_AWAY_TEXT.search(str(error.orig)))
        return error.connection_invalidated or state.startswith(_AWAY)


def _session(connection: Any, _: object) -> None:
    connection.execute(_DURABLE)
    connection.commit()
