"""What brings tables of an older schema to the next one.

A server that makes no transaction of it may have done a part already.
"""

from __future__ import annotations

import sqlalchemy as sa

from ..rows.tables import ADDED, TABLES
from .schema import SQL_TABLES, Layout, ddl

_KEYED = ("open_orders", "orders", "daily_bars")  # whose key has one column more since schema 5


def other_indexes(connection: sa.Connection, layout: Layout) -> None:
    """From 2 to 3."""
    looker = sa.inspect(connection)
    then = sa.Table("orders", sa.MetaData(), sa.Column("account"), sa.Column("seq"))
    old = sa.Index("orders_account_seq", then.c.account, then.c.seq)
    if old.name in {index["name"] for index in looker.get_indexes("orders")}:
        connection.execute(sa.schema.DropIndex(old))
    for table in ("orders", "daily_bars"):
        there = {index["name"] for index in looker.get_indexes(table)}
        for index in SQL_TABLES[table].indexes:
            if index.name not in there:
                connection.execute(sa.schema.CreateIndex(index))


def with_markets(connection: sa.Connection, layout: Layout) -> None:
    """From 4 to 5: tables of markets, more columns of orders, and longer keys."""
    there = {name.lower() for name in sa.inspect(connection).get_table_names()}
    new = frozenset(name for name, table in TABLES.items() if table.since == 5) - there
    for statement in ddl(connection.dialect, layout, new) if new else ():
        connection.exec_driver_sql(statement)
    for name in _KEYED:
        if connection.dialect.name == "sqlite":
            _copy(connection, name)
        else:
            _alter(connection, name)


def _columns_of(connection: sa.Connection, name: str) -> list[str]:
    asked = sa.select(sa.text("*")).select_from(sa.table(name)).limit(0)
    return list(connection.execute(asked).keys())


def _copy(connection: sa.Connection, name: str) -> None:
    """SQLite changes no key of a table: another one takes its place."""
    old = _columns_of(connection, name)
    given = ", ".join(column if column in old else "0" for column in TABLES[name].columns)
    made, *indexes = ddl(connection.dialect, Layout(), frozenset({name}))
    connection.exec_driver_sql(f"ALTER TABLE {name} RENAME TO former_{name}")
    connection.exec_driver_sql(made)
    connection.exec_driver_sql(f"INSERT INTO {name} SELECT {given} FROM former_{name}")
    connection.exec_driver_sql(f"DROP TABLE former_{name}")  # with its indexes
    for index in indexes:
        connection.exec_driver_sql(index)


def _alter(connection: sa.Connection, name: str) -> None:
    old = _columns_of(connection, name)
    changes = [
        f"ADD COLUMN {column} BIGINT NOT NULL DEFAULT 0"
        for column in ADDED
        if column in TABLES[name].columns and column not in old
    ]
    key = sa.inspect(connection).get_pk_constraint(name)
    if list(key["constrained_columns"]) != list(TABLES[name].key):
        if connection.dialect.name == "postgresql":
            quote = connection.dialect.identifier_preparer.quote
            changes.append(f"DROP CONSTRAINT {quote(str(key['name']))}")
        else:
            changes.append("DROP PRIMARY KEY")
        changes.append(f"ADD PRIMARY KEY ({', '.join(TABLES[name].key)})")
    if changes:
        connection.exec_driver_sql(f"ALTER TABLE {name} {', '.join(changes)}")
