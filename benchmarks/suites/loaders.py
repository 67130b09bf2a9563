"""What a database's driver can do alone: plain loops that share nothing with `matchcore.sinks`.

All begin with the same NumPy rows, and make of them what their driver takes fastest.  A batch is
one durable transaction.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

Batch = dict[str, NDArray[np.void]]  # table -> rows
STATEMENT_ROWS = 1000


def load(url: Any, batches: list[Batch]) -> None:
    """Connects by the driver alone and loads; `url` is SQLAlchemy's."""
    scheme = url.get_backend_name()
    loaders: dict[str, Callable[[Any, list[Batch]], None]] = {
        "sqlite": _sqlite, "mysql": _mysql, "mariadb": _mysql, "postgresql": _postgres,
    }  # fmt: skip
    loaders[scheme](url, batches)


def _sqlite(url: Any, batches: list[Batch]) -> None:
    connection = import_module("sqlite3").connect(url.database, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = FULL")  # the file is in write-ahead mode
        for batch in batches:
            connection.execute("BEGIN")
            for table, rows in batch.items():
                marks = ", ".join("?" * len(rows.dtype.names or ()))
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", _signed(rows))
            connection.execute("COMMIT")
    finally:
        connection.close()


def _mysql(url: Any, batches: list[Batch]) -> None:
    connection = import_module("pymysql").connect(
        host=url.host, port=url.port or 3306, user=url.username, password=url.password or "",
        database=url.database,
    )  # fmt: skip
    with connection, connection.cursor() as cursor:
        for batch in batches:
            for table, rows in batch.items():
                for at in range(0, len(rows), STATEMENT_ROWS):
                    some = repr(rows[at : at + STATEMENT_ROWS].tolist())[1:-1]
                    cursor.execute(f"INSERT INTO {table} VALUES {some}")
            connection.commit()


def _postgres(url: Any, batches: list[Batch]) -> None:
    connection = import_module("psycopg").connect(
        host=url.host, port=url.port, user=url.username, password=url.password,
        dbname=url.database,
    )  # fmt: skip
    with connection, connection.cursor() as cursor:
        for batch in batches:
            for table, rows in batch.items():
                with cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
                    copy.write(_binary(rows))
            connection.commit()


def _signed(rows: NDArray[np.void]) -> list[tuple[int, ...]]:
    """SQLite has no unsigned numbers of 64 bits."""
    names = rows.dtype.names or ()
    forms = [rows.dtype[name].str.replace("u", "i") for name in names]
    found: list[tuple[int, ...]] = rows.view(list(zip(names, forms, strict=True))).tolist()
    return found


def _binary(rows: NDArray[np.void]) -> bytes:
    """A binary COPY of rows of integers."""
    names = rows.dtype.names or ()
    fields: list[tuple[str, str]] = [("count", ">i2")]
    for name in names:
        size = rows.dtype[name].itemsize
        fields += [(f"size_{name}", ">i4"), (name, f">i{size}")]
    made = np.empty(len(rows), fields)
    made["count"] = len(names)
    for name in names:
        made[f"size_{name}"], made[name] = rows.dtype[name].itemsize, rows[name].astype("i8")
    return b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0) + made.tobytes() + b"\xff\xff"
