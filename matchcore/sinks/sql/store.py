"""A relational database behind the `Store` interface: one transaction a batch, by position.

What differs between databases (connecting, the bulk path, values they cannot hold) is in one
small class each: `sqlite.py`, `mysql.py`, `postgres.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from ...errors import SinkError
from ...journal import Position
from ..interface import SinkAway
from ..rows.rows import Rows
from ..rows.tables import ADDED, TABLES, VERSION
from ..urls import hide, secrets_of, shown
from .migrating import other_indexes, with_markets
from .schema import METADATA, POSITIONS, SQL_TABLES, Layout, ddl
from .views import VIEWS, columns_of, drop_views, make_views

STATEMENT_ROWS = 1000
SHOWN_MAX = 5
#: What is said by SQLAlchemy, drivers and what they stand on, and never leaves as it is.
FOREIGN = (sa.exc.SQLAlchemyError, UnicodeError, OSError)
MAKING_TRIES, MAKING_SECONDS = 20, 1.0  # looks at tables that somebody else makes, a pause each


def _columns(connection: sa.Connection, name: str) -> list[str]:
    """The names of the columns of a table or view, in order.

    By a select: to describe a view takes a right of its own on MySQL, and what describes a table
    is written in other ways by OceanBase and PolarDB-X than SQLAlchemy can read.
    """
    asked = sa.select(sa.text("*")).select_from(sa.table(name)).limit(0)
    return list(connection.execute(asked).keys())


#: From a version of the schema to the next: what brings the tables there.
#: Version 4 has other views only, which `_migrate` makes anew.
MIGRATIONS: dict[int, Callable[[sa.Connection, Layout], None]] = {
    2: other_indexes,
    3: lambda connection, layout: None,
    4: with_markets,
}


class SqlStore:
    """Tables of one database.  For one thread; after an error the next call makes a new connection.

    Every connection is looked at before it is used: an address may lead to another server by then,
    and a file be another one.  What is known to last is a `SinkError`: foreign tables, another
    exchange or schema, missing rights, values that do not fit.  Everything else is `SinkAway`.
    """

    signed = True  # unsigned values are stored as the signed ones of the same bits
    read_only = False  # set before the first connection
    ddl_is_undone = True  # with the transaction that it is in

    def __init__(self, url: sa.URL, shard: int = 0, layout: Layout | None = None) -> None:
        self.url = url.difference_update_query(["views"])
        self._views = url.query.get("views", "yes")
        if self._views not in ("yes", "no"):
            raise SinkError(f"views={self._views}: yes or no")
        self.shard = shard
        self.layout = layout or Layout()
        text = url.render_as_string(hide_password=False)
        self.shown, self._secrets = shown(text), secrets_of(text)
        self._left = ""  # what an opening that fails leaves behind
        self._engine = self._connector()
        self._live: sa.Connection | None = None
        self._identity: bytes | None = None  # of the exchange that it must belong to

    # ------------------------------------------------------------------ for each database

    def _connector(self) -> sa.Engine:
        return sa.create_engine(self.url, poolclass=sa.NullPool)

    def _insert(self, connection: sa.Connection, table: str, rows: NDArray[np.void]) -> None:
        """The bulk path: these rows into a table."""
        raise NotImplementedError

    def _remove(self, connection: sa.Connection, table: str, seqs: NDArray[np.int64]) -> None:
        """Takes away the rows of these sequences, as many as there are."""
        keys = SQL_TABLES[table].c
        for at in range(0, len(seqs), STATEMENT_ROWS):
            some = seqs[at : at + STATEMENT_ROWS].tolist()
            connection.execute(
                sa.delete(SQL_TABLES[table]).where(keys.shard == self.shard, keys.seq.in_(some))
            )

    def _lasts(self, error: sa.exc.DBAPIError) -> bool:
        """Whether it is known that asking again gives the same error, until somebody acts."""
        return False

    def _advice(self, error: sa.exc.DBAPIError) -> str:
        """What to do about an error that comes again and again."""
        return ""

    def _gone(self) -> bool:
        """Whether the connection leads to something that is not at the URL any more."""
        return False

    # ------------------------------------------------------------------ opening

    def prepare(self, identity: bytes) -> None:
        """Makes what is missing; `SinkError` for a database that is not this exchange's.

        Looks before it writes: what is refused is left as it was.  So does every connection later.
        """
        self._identity = identity
        with self._speaking(lambda: self._left):
            pass

    def _settle(self, connection: sa.Connection, identity: bytes) -> None:
        """What `prepare` does, with a new connection.

        Where another follower makes the tables at the same time, it is left to finish: two nodes
        of a Galera cluster that make the same view at once may wait for each other without end.
        A failure that comes again while nothing was made meanwhile is not its doing.
        """
        self._left = "nothing was written"
        seen = frozenset(METADATA.tables), frozenset(VIEWS if self._views == "yes" else ())
        failed: tuple[frozenset[str], frozenset[str]] | None = None
        for left in reversed(range(MAKING_TRIES)):
            connection.execution_options(reading=True)
            missing = self._missing(connection)
            new = "positions" in missing
            owner = None if new else self._owner(connection, identity, missing)
            views = frozenset[str]()
            if owner is None or owner < VERSION:
                views = self._look_for_views(connection)
            connection.rollback()
            connection.execution_options(reading=False)
            if owner is not None:
                if owner < VERSION:
                    self._migrate(connection)
                return
            if (missing, views) == seen or not (missing or views):
                try:
                    return self._make(connection, identity, missing)
                except sa.exc.DBAPIError as error:
                    lasts = self._lasts(error) and not isinstance(error, sa.exc.IntegrityError)
                    again = not left or (missing, views) == failed
                    if lasts or error.connection_invalidated or again:
                        raise
                    failed = missing, views
            seen = missing, views
            time.sleep(MAKING_SECONDS)
        raise SinkAway(f"{self.shown}: another follower is creating its tables")

    def _make(self, connection: sa.Connection, identity: bytes, missing: frozenset[str]) -> None:
        """The tables that are missing, and our position."""
        made: list[str] = []
        with connection.begin():
            for statement in ddl(connection.dialect, self.layout, missing):
                connection.exec_driver_sql(statement)
                if not self.ddl_is_undone:
                    made.append(statement.split()[2])
                    self._left = (
                        f"the tables {', '.join(made)} were created and are empty: the"
                        " next start creates the rest"
                    )
            self._make_views(connection)
            connection.execute(
                POSITIONS.insert().values(
                    shard=self.shard, exchange=identity, version=VERSION, epoch=0, seq=0
                )
            )

    def _make_views(self, connection: sa.Connection) -> None:
        if self._views == "yes":
            make_views(connection)

    def _missing(self, connection: sa.Connection) -> frozenset[str]:
        """Tables to be made.  `SinkError` unless those of our names have our columns."""
        looker = sa.inspect(connection)
        names = {
            name.lower(): name for name in [*looker.get_table_names(), *looker.get_view_names()]
        }
        ours = {table.name: set(table.columns.keys()) for table in METADATA.sorted_tables}
        added = frozenset(ADDED)  # which older tables do not have
        ours["position"] = {"old"}  # of schema 1
        foreign, there = [], set()
        for name, columns in ours.items():
            if name in names:
                found = set(_columns(connection, names[name]))
                if name == "position" and {"one", "exchange", "schema"} <= found:
                    raise SinkError(
                        f"{self.shown} has schema 1, this matchcore needs {VERSION}: follow the"
                        " log into a new database"
                    )
                if name != "position" and found != columns and found != columns - added:
                    foreign.append(name)
                there.add(name)
        missing = frozenset(ours) - there - {"position"}
        self._refuse(foreign)
        return missing

    def _refuse(self, foreign: list[str]) -> None:
        if foreign:
            raise SinkError(f"{self.shown} has foreign tables named {', '.join(sorted(foreign))}")

    def _look_for_views(self, connection: sa.Connection) -> frozenset[str]:
        """Views to be made.  `SinkError` unless what is there of their names is ours."""
        if self._views == "no":
            return frozenset()
        looker = sa.inspect(connection)
        foreign, there = [], set()
        for name in [*looker.get_table_names(), *looker.get_view_names()]:
            ours = name.lower()
            if ours in VIEWS:
                there.add(ours)
                if _columns(connection, name) != columns_of(ours):
                    foreign.append(ours)
        self._refuse(foreign)
        return frozenset(VIEWS) - there

    def _owner(
        self, connection: sa.Connection, identity: bytes, missing: frozenset[str]
    ) -> int | None:
        """The version of our own shard, None when it is not there yet."""
        rows = connection.execute(
            sa.select(POSITIONS.c.shard, POSITIONS.c.exchange, POSITIONS.c.version)
        ).all()
        for shard, exchange, version in rows:
            if version > VERSION:
                raise SinkError(
                    f"{self.shown} has schema {version}, this matchcore supports {VERSION}:"
                    " use a newer matchcore"
                )
            if version < VERSION and version not in MIGRATIONS:
                raise SinkError(
                    f"{self.shown} has schema {version}, this matchcore needs {VERSION}: follow"
                    " the log into a new database"
                )
            if (shard == self.shard) != (bytes(exchange) == identity):
                raise SinkError(
                    f"{self.shown}: shard {shard} belongs to another exchange"
                    f" ({bytes(exchange).hex()})"
                    if shard == self.shard
                    else f"{self.shown}: this exchange is shard {shard} there, not {self.shard}"
                )
        missing = self.lacking(connection, missing)
        if rows and missing:
            raise SinkError(
                f"{self.shown} has lost {', '.join(sorted(missing))}: follow the log into a new"
                " database"
            )
        return next((version for shard, _, version in rows if shard == self.shard), None)

    def lacking(self, connection: sa.Connection, missing: frozenset[str]) -> frozenset[str]:
        """Of missing tables those that a database of its schema should have."""
        if "positions" in missing:
            return missing
        oldest = connection.execute(sa.select(sa.func.min(POSITIONS.c.version))).scalar()
        version = VERSION if oldest is None else oldest
        return frozenset(name for name in missing if TABLES[name].since <= version)

    def _migrate(self, connection: sa.Connection) -> None:
        """Step by step to our version, all shards together."""
        if not self.ddl_is_undone:
            self._left = "some of it may be new already; the next start creates the rest"
        with connection.begin():
            if self._views == "yes":
                drop_views(connection)
            version = connection.execute(sa.select(sa.func.min(POSITIONS.c.version))).scalar_one()
            while version < VERSION:
                MIGRATIONS[version](connection, self.layout)
                version += 1
                connection.execute(sa.update(POSITIONS).values(version=version))
            self._make_views(connection)

    # ------------------------------------------------------------------ the interface

    def position(self, shard: int) -> Position | None:
        with self._speaking(reading=True) as connection:
            row = connection.execute(
                sa.select(POSITIONS.c.epoch, POSITIONS.c.seq).where(POSITIONS.c.shard == shard)
            ).first()
            connection.rollback()
        if row is None:
            raise self._lost(shard)
        return Position(*row) if row[1] else None

    def _lost(self, shard: int) -> SinkAway:
        """Another database was put in its place: a new connection makes what is missing."""
        return SinkAway(f"{self.shown} has no position of shard {shard} any more")

    def read(
        self, shard: int, table: str, column: str = "", values: Sequence[int] = ()
    ) -> NDArray[np.void]:
        """Rows of a table as an array of its dtype: all of the shard, or those with a value."""
        source = SQL_TABLES[table]
        wanted = sa.select(source).where(source.c.shard == shard)
        parts = []
        with self._speaking(reading=True) as connection:
            for at in range(0, max(1, len(values)), STATEMENT_ROWS):
                query = wanted
                if column:
                    query = wanted.where(source.c[column].in_(values[at : at + STATEMENT_ROWS]))
                found = connection.execute(query, execution_options={"yield_per": 10_000})
                parts += [self.as_array(table, part) for part in found.partitions()]
            connection.rollback()
        return np.concatenate([np.zeros(0, TABLES[table].dtype), *parts])

    def as_array(self, table: str, rows: Sequence[Any]) -> NDArray[np.void]:
        """Rows as a query gives them; `SinkError` for text that no row of ours has."""
        made = np.zeros(len(rows), TABLES[table].dtype)
        for (name, form), column in zip(
            TABLES[table].columns.items(), zip(*rows, strict=True), strict=False
        ):
            if form == "u8" and self.signed:
                made[name] = np.array(column, np.int64).view(np.uint64)
            else:
                try:
                    made[name] = np.array(column, made.dtype[name])
                except UnicodeEncodeError as error:
                    raise SinkError(
                        f"{self.shown}: {error.object!r} is not a valid {name}: run"
                        " matchcore reconcile"
                    ) from None
        return made

    def write(self, shard: int, epoch: int, first: int, last: int, rows: Rows) -> None:
        """Rows of the commands `first` to `last`, and the position behind them: all or nothing.

        What is there already is skipped by position.  `SinkError` for an older epoch, for a gap,
        and for keys that are there beyond the position.
        """
        with self._speaking(f"nothing of sequence {last} was written") as connection:
            try:
                if self.layout.sharded and "instruments" in rows.new:
                    rows = self._write_broadcast(connection, shard, epoch, first, last, rows)
                with connection.begin():
                    if self._is_next(connection, shard, epoch, first, last):
                        self._write_rows(connection, shard, epoch, last, rows)
            except sa.exc.IntegrityError as error:
                raise SinkError(self._beyond(connection, shard, last, rows, error)) from None

    def _write_broadcast(
        self, connection: sa.Connection, shard: int, epoch: int, first: int, last: int, rows: Rows
    ) -> Rows:
        """Instruments in a transaction of their own, as they are on all nodes; the other rows.

        Written before the position, and again if that did not follow: a commit that was torn
        between nodes leaves some of them, and the next try puts them in their place.
        """
        with connection.begin():
            if self._is_next(connection, shard, epoch, first, last):
                self._remove(connection, "instruments", rows.new["instruments"]["seq"])
                self._insert(connection, "instruments", rows.new["instruments"])
        new = {name: new for name, new in rows.new.items() if name != "instruments"}
        return Rows(rows.gone, new)

    def _write_rows(
        self, connection: sa.Connection, shard: int, epoch: int, last: int, rows: Rows
    ) -> None:
        for name, seqs in rows.gone.items():
            if len(seqs):
                self._remove(connection, name, seqs)
        for name, new in rows.new.items():
            self._insert(connection, name, new)
        connection.execute(
            sa.update(POSITIONS).where(POSITIONS.c.shard == shard).values(epoch=epoch, seq=last)
        )

    def _is_next(
        self, connection: sa.Connection, shard: int, epoch: int, first: int, last: int
    ) -> bool:
        """Locks the position; False when all of it is there, `SinkError` when it cannot follow."""
        row = connection.execute(
            sa.select(POSITIONS.c.epoch, POSITIONS.c.seq)
            .where(POSITIONS.c.shard == shard)
            .with_for_update()
        ).first()
        if row is None:
            raise self._lost(shard)
        if epoch < row.epoch:
            raise SinkError(f"{self.shown} is at epoch {row.epoch}: epoch {epoch} is an old writer")
        if last <= row.seq:
            return False
        if first > row.seq + 1:
            raise SinkError(f"{self.shown} is at sequence {row.seq}, {first} does not follow")
        if first <= row.seq:
            raise SinkError(
                f"{self.shown} is at sequence {row.seq}, within {first} to {last}: another"
                " follower writes here"
            )
        return True

    def _beyond(
        self,
        connection: sa.Connection,
        shard: int,
        last: int,
        rows: Rows,
        error: sa.exc.IntegrityError,
    ) -> str:
        """What is wrong with a database that refuses a key: the rows that have it."""
        for name, new in rows.new.items():
            gone = rows.gone.get(name, np.zeros(0, np.int64))
            seqs = np.setdiff1d(new["seq"], gone)
            keys = SQL_TABLES[name].c
            for at in range(0, len(seqs), STATEMENT_ROWS):
                some = seqs[at : at + STATEMENT_ROWS].tolist()
                found = connection.execute(
                    sa.select(*(keys[key] for key in TABLES[name].key))
                    .where(keys.shard == shard, keys.seq.in_(some))
                    .limit(SHOWN_MAX)
                ).all()
                if found:
                    connection.rollback()
                    shown = ", ".join(str(tuple(row)) for row in found)
                    return (
                        f"{self.shown}: {name} has rows beyond its position already,"
                        f" {', '.join(TABLES[name].key)} = {shown}: it does not match the"
                        " log; rebuild it from the log"
                    )
        connection.rollback()
        return str(self.ours(error, f"nothing of sequence {last} was written"))

    def close(self) -> None:
        if self._live is not None:
            self._live.invalidate() if self._live.invalidated else self._live.close()
            self._live = None
        self._engine.dispose()

    # ------------------------------------------------------------------ connections

    @contextmanager
    def _speaking(
        self, consequence: str | Callable[[], str] = "", *, reading: bool = False
    ) -> Iterator[sa.Connection]:
        """The connection, and its errors as ours.  After any error it is a new one."""
        try:
            if self._live is not None and self._gone():
                self._drop()
            if self._live is None:
                self._live = self._connected()
                if self._identity is not None:
                    self._settle(self._live, self._identity)
            self._live.execution_options(reading=reading)
            yield self._live
        except BaseException as error:
            self._drop()
            if not isinstance(error, FOREIGN):
                raise
            after = consequence if isinstance(consequence, str) else consequence()
            raise self.ours(error, after) from None

    def ours(self, error: BaseException, consequence: str = "") -> SinkError:
        """One of `FOREIGN` as our own, without the secrets of the URL."""
        driver = error if isinstance(error, sa.exc.DBAPIError) else None
        what = hide(str(driver.orig if driver else error), self._secrets)
        text = "; ".join(part for part in (f"{self.shown}: {what}", consequence) if part)
        if driver is None or (self._lasts(driver) and not driver.connection_invalidated):
            return SinkError(text)
        return SinkAway(text, self._advice(driver))

    def _connected(self) -> sa.Connection:
        try:
            return self._engine.connect()
        except sa.exc.SQLAlchemyError:
            raise
        except Exception as error:  # a driver's, about its parameters or an answer it cannot read
            raise self.ours(error, "check the parameters in the URL") from None

    def _drop(self) -> None:
        if self._live is not None:
            live, self._live = self._live, None
            try:
                live.invalidate()
                live.close()
            except Exception:  # what is broken may break once more on its way out
                pass
