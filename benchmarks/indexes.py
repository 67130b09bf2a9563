"""What an index gives to each question and takes from each row, on databases of one's own.

    python -m benchmarks.indexes sqlite:///empty.db postgresql://… mysql://… > recorded/indexes.json

Each table is filled once for each choice of an index, in transactions as a follower's, and asked
by the helpers of `matchcore.sinks.sql.queries`.  The tables are dropped before and after: the
databases must be empty ones.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from functools import cache
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from matchcore.bench.suite import stamp
from matchcore.sinks import TABLES, open_store
from matchcore.sinks.rows.tables import DAY_NS
from matchcore.sinks.sql.access import transaction
from matchcore.sinks.sql.queries import Queries
from matchcore.sinks.sql.schema import METADATA, SQL_TABLES

ROWS, INSTRUMENTS, ACCOUNTS, DAYS = 300_000, 50, 2_000, 10
TOGETHER = 12_000  # rows of a table in a transaction: about those of 4,096 commands
TIMES = 3
DAY, ACCOUNT, SYMBOL = "2026-01-05", 77, "I7"
START = (date(2026, 1, 1) - date(1970, 1, 1)).days

#: What servers do by themselves a while after a table has grown; SQLite does not.
ANALYZE = {"postgresql": "ANALYZE", "mysql": "ANALYZE TABLE"}

Index = tuple[str, ...]
Question = Callable[[Queries], Any]
#: table -> the indexes to choose from (the schema has the last one), and what is asked
CHOICES: dict[str, tuple[list[Index], dict[str, Question]]] = {
    "trades": (
        [(), ("time_ns",), ("time_ns", "instrument"), ("instrument", "time_ns")],
        {
            "a day, one instrument": lambda q: q.trades(DAY, SYMBOL),
            "a day, all": lambda q: q.trades(DAY),
            "minute bars of a day, one instrument": lambda q: q.minute_bars(DAY, SYMBOL),
            "minute bars of a day, all": lambda q: q.minute_bars(DAY),
        },
    ),
    "executions": (
        [(), ("account",), ("account", "seq")],
        {
            "of an account, a day": lambda q: q.executions(ACCOUNT, DAY),
            "of an account, all": lambda q: q.executions(ACCOUNT),
            "of an account, the first 20": lambda q: q.executions(ACCOUNT, limit=20),
            "of nobody": lambda q: q.executions(ACCOUNTS + 1),
        },
    ),
    "orders": (
        [(), ("account", "seq"), ("instrument", "order_id"), ("order_id",)],
        {"life of an order by id": lambda q: q.lives(SYMBOL, an_order())},
    ),
    "open_orders": (
        [(), ("account",)],
        {"of an account": lambda q: q.open_orders(ACCOUNT)},
    ),
    "daily_bars": (
        [(), ("day", "instrument"), ("instrument", "day")],
        {
            "30 days of an instrument": lambda q: q.daily_bars(SYMBOL, DAY, "2026-02-03"),
            "a day, as a follower reads it": lambda q: q._store.read(
                0, "daily_bars", "day", [START]
            ),
        },
    ),
}  # fmt: skip


def rows_of(table: str) -> np.ndarray:
    """Random ones: instruments and accounts as likely as each other, times and keys growing."""
    rng = np.random.default_rng(1)
    count = len(SYMBOLS) if table == "instruments" else ROWS // (10 if "open" in table else 1)
    rows = np.zeros(count, TABLES[table].dtype)
    at = np.arange(count)
    rows["seq"] = len(SYMBOLS) + 1 + at
    if table == "instruments":
        rows["seq"], rows["number"], rows["symbol"] = at + 1, at + 1, SYMBOLS
        rows["tick_mantissa"], rows["tick_exponent"] = 5, -2
        return rows
    number = rng.integers(1, INSTRUMENTS + 1, count)
    if table == "daily_bars":  # many more instruments, so that days are large
        number = at % (ROWS // 60) + 1
        rows["day"] = START + at // (ROWS // 60)
    rows["instrument"] = rows["instrument_seq"] = number
    names = rows.dtype.names or ()
    if "account" in names:
        rows["account"] = rng.integers(1, ACCOUNTS + 1, count)
    if "order_id" in names:
        rows["order_id"] = at * INSTRUMENTS + number
    if "changed_seq" in names:
        rows["changed_seq"] = rows["seq"]
    for name in ("price_ticks", "quantity"):
        if name in names:
            rows[name] = rng.integers(1, 10_000, count)
    if "time_ns" in names:
        rows["time_ns"] = START * DAY_NS + at * (DAYS * DAY_NS // count)
    if table == "trades":
        rows["trade_id"] = at + 1
    return rows


@cache
def an_order() -> int:
    """The id of one of the instrument that is asked for, from the middle."""
    rows = rows_of("orders")
    ids = rows["order_id"][SYMBOLS[rows["instrument"] - 1] == SYMBOL.encode()]
    return int(ids[len(ids) // 2])


SYMBOLS = np.array([f"I{number}" for number in range(1, INSTRUMENTS + 1)], "S24")


def filled(store: Any, table: str, index: Index) -> float:
    """Makes a table with this index, and fills it; rows a second."""
    source, rows = SQL_TABLES[table], rows_of(table)
    with transaction(store) as connection:
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {table}")
        connection.exec_driver_sql(str(CreateTable(source).compile(dialect=connection.dialect)))
        if index:
            listed = ", ".join(index)
            connection.exec_driver_sql(f"CREATE INDEX measured_{table} ON {table} ({listed})")
    started = time.perf_counter()
    for at in range(0, len(rows), TOGETHER):
        with transaction(store) as connection:
            store._insert(connection, table, rows[at : at + TOGETHER])
    seconds = time.perf_counter() - started
    analyze = ANALYZE.get(store.url.get_backend_name())
    if analyze is not None:
        with transaction(store) as connection:
            connection.exec_driver_sql(f"{analyze} {table}").close()
    return len(rows) / seconds


def milliseconds(ask: Question, queries: Queries) -> float:
    taken = []
    for _ in range(TIMES):
        started = time.perf_counter()
        ask(queries)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1e3


def measured(url: str) -> Iterator[dict[str, Any]]:
    with closing(open_store(f"{url}{'' if 'sqlite' in url else '?views=no'}", bytes(16))) as made:
        store: Any = made
        with transaction(store) as connection:
            METADATA.drop_all(connection)
        store.prepare(bytes(16))
        with transaction(store) as connection:
            for view in sa.inspect(connection).get_view_names():
                connection.exec_driver_sql(f"DROP VIEW {view}")
            store._insert(connection, "instruments", rows_of("instruments"))
        for table, (indexes, questions) in CHOICES.items():
            for index in indexes:
                rate = filled(store, table, index)
                with closing(Queries(url)) as queries:
                    found = {what: milliseconds(ask, queries) for what, ask in questions.items()}
                yield {
                    "database": url.partition(":")[0], "table": table, "index": list(index),
                    "rows_per_s": round(rate),
                    "ms": {what: float(f"{value:.3g}") for what, value in found.items()},
                }  # fmt: skip
        with transaction(store) as connection:
            METADATA.drop_all(connection)


def main() -> None:
    parser = argparse.ArgumentParser(description="What indexes give and take.")
    parser.add_argument("url", nargs="+")
    made = []
    for url in parser.parse_args().url:
        for one in measured(url):
            print(one, file=sys.stderr)
            made.append(one)
    print(json.dumps({**stamp(), "rows": ROWS, "figures": made}, indent=1))


if __name__ == "__main__":
    main()
