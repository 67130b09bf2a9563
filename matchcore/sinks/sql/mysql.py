"""MySQL and what speaks its protocol: RDS, MariaDB, PolarDB-X, DRDS, Spider.  Driver: PyMySQL.

The bulk path is an INSERT of many rows, whose text is NumPy's integers as Python writes them.
Nothing but integers ever goes that way: symbols go as parameters.
"""

from __future__ import annotations

import ssl
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from ...errors import MissingExtra
from ..rows.tables import TABLES
from .schema import PARTITIONS, Layout, check_layout, layout_of
from .store import STATEMENT_ROWS, SqlStore

SECONDS_MAX = 30  # for a connection, and for any one answer: a dead network is noticed by then
_TIMEOUTS = ("connect_timeout", "read_timeout", "write_timeout")
_OURS = ("layout", "partitions", "tbpartitions", "ssl_key_password")
#: What is known to last, by code; so are integrity and data errors.  All else is asked again.
_LASTS = {
    1044, 1045, 1130, 1142, 1143, 1227, 1251, 1370, 1698, 1820, 1862,  # rights, hosts, passwords
    2054, 2059, 2061,  # ways of logging in that the driver does not know
    1049,  # no such database
    3819, 4025,  # a constraint that a row does not meet
    1033, 1034, 1035, 1194, 1195, 1712, 1932,  # damaged tables
}  # fmt: skip
#: A statement that is too long: said by the server, or the connection just ends.
_TOO_LONG = {1153, 2006, 2013, 2014}
#: Said by the driver while it connects, before SQLAlchemy looks at how names are quoted: by default
#: a server may have ANSI_QUOTES or ORACLE.  Strict: what does not fit is an error, and never cut.
_SESSION = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"


class MysqlStore(SqlStore):
    """URL: ``mysql://user:word@host:3306/database?layout=…&partitions=16``, or ``mariadb://``.

    ``views=no`` makes no views.  Other options of the URL go to PyMySQL, such as ``ssl_ca`` and
    ``read_timeout`` (see `urls.OPTIONS`).
    """

    signed = False
    ddl_is_undone = False

    def __init__(self, url: sa.URL, shard: int = 0) -> None:
        query = dict(url.query)
        self._layout_name = str(query.get("layout", ""))
        if self._layout_name:
            check_layout(self._layout_name)
        self._partitions = int(str(query.get("partitions", PARTITIONS)))
        self._sub = int(str(query.get("tbpartitions", 0)))
        self._seconds = {name: int(str(query.get(name, SECONDS_MAX))) for name in _TIMEOUTS}
        super().__init__(url, shard)

    def _connector(self) -> sa.Engine:
        url = self.url.set(drivername="mysql+pymysql")
        try:
            engine = sa.create_engine(
                url.difference_update_query([*_OURS, *_TIMEOUTS]),
                poolclass=sa.NullPool,
                connect_args={
                    **self._seconds,
                    "init_command": _SESSION,
                    "password": (url.password or "").encode(),
                },
            )
        except ImportError:
            raise MissingExtra("a mysql:// sink", "mysql") from None
        sa.event.listen(engine, "do_connect", self._with_key_password)
        sa.event.listen(engine, "connect", self._session)
        sa.event.listen(engine, "begin", self._begin)
        return engine

    def _with_key_password(self, _: object, __: object, ___: object, given: dict[str, Any]) -> None:
        """SQLAlchemy gathers what PyMySQL is to know of TLS, but for this.

        Without any OpenSSL would ask the terminal.
        """
        if "key" in given.get("ssl", {}):
            given["ssl"]["password"] = str(self.url.query.get("ssl_key_password", ""))

    def _session(self, connection: Any, _: object) -> None:
        """OceanBase ends a statement after 10 seconds by default: it may take as long as we wait.

        It answers before we give up the connection, and says a lock's timeout as one.
        """
        with connection.cursor() as cursor:
            cursor.execute("SELECT @@version_comment")
            if "oceanbase" in str(cursor.fetchone()[0]).lower():
                patience = self._seconds["read_timeout"] * 900_000  # microseconds, nine tenths
                cursor.execute(f"SET SESSION ob_query_timeout = {patience}")

    def _begin(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("START TRANSACTION READ ONLY" if self.read_only else "BEGIN")

    def _settle(self, connection: sa.Connection, identity: bytes) -> None:
        name = self._layout_name
        if not name:
            version = str(connection.exec_driver_sql("SELECT VERSION()").scalar())
            made = ""
            if layout_of(version) != "plain":
                database = connection.dialect.identifier_preparer.quote(str(self.url.database))
                made = str(connection.exec_driver_sql(f"SHOW CREATE DATABASE {database}").all())
            name = layout_of(version, made)
            connection.rollback()
        self.layout = Layout(name, self._partitions, self._sub)
        super()._settle(connection, identity)

    def _insert(self, connection: sa.Connection, table: str, rows: NDArray[np.void]) -> None:
        if any(form.startswith("S") for form in TABLES[table].columns.values()):
            names = TABLES[table].columns
            marks = ", ".join(["%s"] * len(names))
            connection.exec_driver_sql(
                f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", _as_tuples(rows)
            )
            return
        head = insert_head(table)
        for at in range(0, len(rows), STATEMENT_ROWS):
            connection.exec_driver_sql(head + values_text(rows[at : at + STATEMENT_ROWS]))

    def _lasts(self, error: sa.exc.DBAPIError) -> bool:
        cause = getattr(error.orig, "original_exception", None)  # PyMySQL's, of 2003
        refused = sa.exc.IntegrityError | sa.exc.DataError
        return (
            isinstance(cause, ssl.SSLCertVerificationError)
            or isinstance(error, refused)
            or _code(error) in _LASTS
        )

    def _advice(self, error: sa.exc.DBAPIError) -> str:
        if _code(error) in _TOO_LONG:
            return "max_allowed_packet of the server may be too small: 1 MB is enough"
        return ""


def _code(error: sa.exc.DBAPIError) -> object:
    return error.orig.args[0] if error.orig is not None and error.orig.args else None


def insert_head(table: str) -> str:
    return f"INSERT INTO {table} ({', '.join(TABLES[table].columns)}) VALUES "


def values_text(rows: NDArray[np.void]) -> str:
    """Rows of integers as SQL: what `repr` makes of a list of tuples, without its brackets."""
    return repr(rows.tolist())[1:-1]


def _as_tuples(rows: NDArray[np.void]) -> list[tuple[Any, ...]]:
    return [
        tuple(value.decode("ascii") if isinstance(value, bytes) else value for value in row)
        for row in rows.tolist()
    ]
