"""The tables as SQLAlchemy sees them, and as text for each way a database may be laid out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from ...errors import SinkError
from ..rows.tables import TABLES, Table

PARTITIONS = 16


@dataclass(frozen=True, slots=True)
class Layout:
    """How the tables lie in a database.

    ``name``: "plain"; "partitions" (MySQL, one server); "polardbx" (PolarDB-X in AUTO mode) or
    "drds" (DRDS, or PolarDB-X in DRDS mode), both sharded.  ``sub``: tables of each DRDS database.
    """

    name: str = "plain"
    partitions: int = PARTITIONS
    sub: int = 0

    @property
    def sharded(self) -> bool:
        return self.name in ("polardbx", "drds")

    def clause(self, table: str) -> str:
        """What follows a table's columns."""
        broadcast = table in TABLES and TABLES[table].broadcast
        if self.name == "partitions":
            return f" PARTITION BY KEY(shard) PARTITIONS {self.partitions}"
        if self.name == "polardbx":
            split = f" PARTITION BY KEY(shard) PARTITIONS {self.partitions}"
            return " BROADCAST" if broadcast else split
        if self.name == "drds":
            sub = f" TBPARTITION BY HASH(shard) TBPARTITIONS {self.sub}" if self.sub else ""
            return " BROADCAST" if broadcast else f" DBPARTITION BY HASH(shard){sub}"
        return ""


LAYOUTS = ("plain", "partitions", "polardbx", "drds")


def layout_of(version: str, made: str = "") -> str:
    """The layout for what `SELECT VERSION()` says, and `SHOW CREATE DATABASE` of a TDDL server.

    PolarDB-X 2.0 and DRDS both call themselves TDDL; AUTO is a mode of a single database.
    """
    if "polardb-x" in version.lower() or "tddl" in version.lower():
        auto = re.search(r"MODE\s*=\s*'?auto", made, re.IGNORECASE)
        return "polardbx" if auto else "drds"
    return "plain"


_TYPES: dict[str, Any] = {
    "i2": sa.SmallInteger(),
    "i4": sa.Integer(),
    "i8": sa.BigInteger(),
    "u8": sa.BigInteger().with_variant(mysql.BIGINT(unsigned=True), "mysql", "mariadb"),
    "S24": sa.String(24).with_variant(
        mysql.VARCHAR(24, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
    ),
}
_IDENTITY = sa.LargeBinary(16).with_variant(mysql.BINARY(16), "mysql", "mariadb")

METADATA = sa.MetaData()


def _table(spec: Table) -> sa.Table:
    columns = [
        sa.Column(
            name, _TYPES[form], primary_key=name in spec.key, nullable=False, autoincrement=False
        )
        for name, form in spec.columns.items()
    ]
    indexes = [sa.Index(f"{spec.name}_{'_'.join(one)}", *one) for one in spec.indexes]
    return sa.Table(spec.name, METADATA, *columns, *indexes, sqlite_with_rowid=False)


#: One row a shard: whose it is, what schema, and how far it is.  Every write locks its row.
POSITIONS = sa.Table(
    "positions", METADATA,
    sa.Column("shard", sa.Integer(), primary_key=True, autoincrement=False),
    sa.Column("exchange", _IDENTITY, nullable=False),
    sa.Column("version", sa.Integer(), nullable=False),
    sa.Column("epoch", sa.BigInteger(), nullable=False),
    sa.Column("seq", sa.BigInteger(), nullable=False),
    sqlite_with_rowid=False,
)  # fmt: skip
SQL_TABLES = {name: _table(spec) for name, spec in TABLES.items()}


def ddl(dialect: Dialect, layout: Layout, missing: frozenset[str] | None = None) -> list[str]:
    """The statements that make the tables, all or those that are missing.

    Indexes are within their table's statement on MySQL: of a table that says its own partitions
    they are local ones, and never a global table of their own.
    """
    made = []
    for table in METADATA.sorted_tables:
        if missing is not None and table.name not in missing:
            continue
        text = str(CreateTable(table).compile(dialect=dialect)).strip()
        ordered = sorted(table.indexes, key=lambda index: str(index.name))
        if dialect.name in ("mysql", "mariadb"):
            for index in ordered:
                names = ", ".join(column.name for column in index.columns)
                text = text.removesuffix(")").rstrip() + f", \n\tKEY {index.name} ({names})\n)"
            engine = "" if layout.sharded else "ENGINE=InnoDB"
            made.append(f"{text}{engine}{layout.clause(table.name)}")
        else:
            made.append(text)
            made += [str(CreateIndex(index).compile(dialect=dialect)) for index in ordered]
    return [re.sub(r"[ \t]+\n", "\n", statement) for statement in made]


def check_layout(name: str) -> None:
    if name not in LAYOUTS:
        raise SinkError(f"layout {name!r}: must be one of {', '.join(LAYOUTS)}")
