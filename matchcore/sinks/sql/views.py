"""Views for people who ask in SQL: symbols, prices, times and words beside the numbers.

They are text, because databases say decimals and times in ways of their own, and nothing is in
that text but names of columns and constants of this module.  None has a window function, which
MySQL 5.7 does not know.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from ..rows.tables import TABLES
from ..rows.words import WORDS
from .minutes import minutes
from .schema import METADATA


@dataclass(frozen=True, slots=True)
class _Speech:
    """How a database says a price (exact, but on SQLite the nearest double), a time in UTC, the
    date of a number of days since 1970, and a number of more than 63 bits.

    ``shard``: SQLite, without statistics, would look rows up by their shard alone.
    """

    price: str
    time: str
    day: str
    date: str
    wide: str
    shard: str = "t.shard"


# Division rounds towards zero, and times before 1970 are negative.
_DAY = "86400000000000"
_POSTGRES = _Speech(
    price="{0}::numeric * i.tick_mantissa * ('1e' || i.tick_exponent)::numeric",
    # of the day, because an interval is multiplied as a double
    time=f"DATE '1970-01-01' + CAST({{0}} / {_DAY} - CAST(MOD({{0}}, {_DAY}) < 0 AS int) AS int)"
    f" + MOD(MOD({{0}}, {_DAY}) + {_DAY}, {_DAY}) / 1000 * INTERVAL '1 microsecond'",
    day=f"DATE '1970-01-01' + CAST({{0}} / {_DAY} - CAST(MOD({{0}}, {_DAY}) < 0 AS int) AS int)",
    date="DATE '1970-01-01' + {0}",
    wide="{0} + {1} * 9223372036854775808::numeric",
)
_MYSQL = _Speech(
    price="CAST(CONCAT({0}, 'e', i.tick_exponent) AS DECIMAL(37, 18)) * i.tick_mantissa",
    # in two parts: OceanBase takes 32 bits of a unit
    time="TIMESTAMP'1970-01-01 00:00:00' + INTERVAL ({0} DIV 60000000000) MINUTE"
    " + INTERVAL (MOD({0}, 60000000000) DIV 1000 - (MOD({0}, 1000) < 0)) MICROSECOND",
    day=f"DATE'1970-01-01' + INTERVAL ({{0}} DIV {_DAY} - (MOD({{0}}, {_DAY}) < 0)) DAY",
    date="DATE'1970-01-01' + INTERVAL {0} DAY",
    wide="CAST({0} AS DECIMAL(38)) + CAST({1} AS DECIMAL(38)) * 9223372036854775808",
)
_SECOND = "({0} / 1000000000 - ({0} % 1000000000 < 0))"
_SQLITE = _Speech(
    price="{0} * i.tick_mantissa / CAST('1e' || -i.tick_exponent AS REAL)",
    time=f"strftime('%Y-%m-%d %H:%M:%S', {_SECOND}, 'unixepoch')"
    " || printf('.%09d', ({0} % 1000000000 + 1000000000) % 1000000000)",
    day=f"date({_SECOND}, 'unixepoch')",
    date="date({0} * 86400, 'unixepoch')",
    wide="CASE {1} WHEN 0 THEN {0} ELSE {0} + {1} * 9223372036854775808.0 END",
    shard="+t.shard",
)
#: The command that busted a trade, if there is one.
_BUSTED = (
    "(SELECT MIN(b.seq) FROM busts b WHERE b.shard = t.shard AND b.trade_id = t.trade_id"
    " AND b.instrument = t.instrument)"
)
_SPEECHES = {"postgresql": _POSTGRES, "mysql": _MYSQL, "mariadb": _MYSQL, "sqlite": _SQLITE}


_MINUTES = ("shard", "instrument", "instrument_seq", "start_ns", "open_ticks", "high_ticks",
            "low_ticks", "close_ticks", "volume", "volume_wraps", "trades")  # fmt: skip
#: View -> the tables whose rows it has.
VIEWS: dict[str, tuple[str, ...]] = {
    "trades_view": ("trades",),
    "executions_view": ("executions",),
    "open_orders_view": ("open_orders",),
    "orders_view": ("orders", "open_orders"),
    "phase_changes_view": ("phase_changes",),
    "indicatives_view": ("indicatives",),
    "busts_view": ("busts",),
    "market_parameters_view": ("market_parameters",),
    "daily_bars_view": ("daily_bars",),
    "minute_bars_view": (),  # made of trades
}


def columns_of(view: str) -> list[str]:
    """The names of a view's columns, in order."""
    return [name for name, _ in _columns(VIEWS[view], _SQLITE)]


def ddl(dialect: Dialect) -> dict[str, str]:
    """By name the statement that makes a view, without an end."""
    say = _SPEECHES[dialect.name]
    made = {}
    for view, tables in VIEWS.items():
        listed = ",\n\t".join(f"{value} AS {name}" for name, value in _columns(tables, say))
        sources = tables or (f"(\n{_compiled(dialect)}\n)",)
        parts = [
            f"SELECT\n\t{listed}\nFROM {source} t\nJOIN instruments i ON i.shard = {say.shard}"
            " AND i.seq = t.instrument_seq AND i.number = t.instrument"
            for source in sources
        ]
        made[view] = f"CREATE VIEW {view} AS\n" + "\nUNION ALL\n".join(parts)
    return made


def drop_views(connection: sa.Connection) -> None:
    """Drops those of our names, which are known to be ours."""
    quote = connection.dialect.identifier_preparer.quote
    for name in sa.inspect(connection).get_view_names():
        if name.lower() in VIEWS:
            connection.exec_driver_sql(f"DROP VIEW {quote(name)}")


def make_views(connection: sa.Connection) -> None:
    """Makes those that are not there; needs no right to drop any."""
    there = {name.lower() for name in sa.inspect(connection).get_view_names()}
    for name, statement in ddl(connection.dialect).items():
        if name not in there:
            connection.exec_driver_sql(statement)


def _compiled(dialect: Dialect) -> str:
    bars = minutes([], 1)
    text = str(bars.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    return "\n".join(line.rstrip() for line in text.splitlines())


def _columns(tables: tuple[str, ...], say: _Speech) -> Iterator[tuple[str, str]]:
    """Names and expressions: all columns of a table, and what makes them readable before them."""
    yield "symbol", "i.symbol"
    for name in TABLES[tables[0]].columns if tables else _MINUTES:
        own = f"t.{name}"
        if name == "day":
            yield "day", say.date.format(own)
        elif name in WORDS:
            told = " ".join(f"WHEN {number} THEN '{word}'" for number, word in WORDS[name].items())
            yield name, f"CASE {own} {told} END"
        elif name == "expiry_ns":
            yield "expiry_utc", f"CASE WHEN {own} > 0 THEN {say.time.format(own)} END"
            yield name, own
        elif name in ("filled", "volume"):
            yield name, say.wide.format(own, f"{own}_wraps")
        elif not name.endswith("_wraps"):
            if name.endswith("_ticks"):
                yield name.removesuffix("_ticks"), say.price.format(own)
            elif name.endswith("_ns"):
                if name in ("time_ns", "start_ns"):
                    yield "day", say.day.format(own)
                yield f"{name.removesuffix('_ns')}_utc", say.time.format(own)
            yield name, own
    if tables and "trade_id" in TABLES[tables[0]].columns and tables != ("busts",):
        yield "busted_seq", _BUSTED


@sa.event.listens_for(METADATA, "before_drop")
def _drop_views(_: object, connection: sa.Connection, **__: Any) -> None:
    """A database does not let tables go that views need."""
    for name in VIEWS:
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
