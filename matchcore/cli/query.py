"""`matchcore query`: what people ask a database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from ..records.arguments import SHARD_MAX
from ..records.times import parse
from .options import json_option
from .output import failing_kindly, show, show_rows

if TYPE_CHECKING:
    from ..sinks.rows.rows import Array
    from ..sinks.sql.queries import Queries

SHOWN = 20  # rows, unless said
_FOR_MACHINES = ("shard", "instrument", "instrument_seq")


class Asked:
    """The options of a question; one that it needs and was not given is wrong usage."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given

    def __getattr__(self, name: str) -> Any:
        return self._given[name]

    def needed(self, name: str) -> Any:
        if self._given[name] is None:
            raise click.UsageError(f"{self.what} needs --{name}")
        return self._given[name]


def _day(_: object, __: object, text: str | None) -> date | None:
    """A day within 64 bits of nanoseconds."""
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
        parse(day.isoformat())
    except ValueError as error:
        raise click.BadParameter(f"{error}: must be a day like 2019-05-21") from None
    return day


def _lives(ask: Queries, by: Asked, what: str) -> Array:
    """The orders that an id meant, newest first, or the executions of all of them."""
    import numpy as np

    from ..sinks.rows.tables import TABLES

    lives = ask.lives(by.needed("symbol"), by.needed("order"))
    if what == "orders":
        return np.array([life.order for life in lives], TABLES[what].dtype)[: by.limit]
    none = np.zeros(0, TABLES[what].dtype)
    return np.concatenate([none, *(life.executions for life in lives)])[: by.limit]


QUESTIONS: dict[str, Callable[[Queries, Asked], Array]] = {
    "trades": lambda ask, by: ask.trades(by.needed("day"), by.symbol, limit=by.limit),
    "executions": lambda ask, by: ask.executions(by.needed("account"), by.day, limit=by.limit),
    "open-orders": lambda ask, by: ask.open_orders(by.account, by.symbol, limit=by.limit),
    "daily-bars": lambda ask, by: ask.daily_bars(by.symbol, by.day, by.day, limit=by.limit),
    "minute-bars": lambda ask, by: ask.minute_bars(by.needed("day"), by.symbol, limit=by.limit),
    "order": lambda ask, by: _lives(ask, by, "orders"),
    "order-executions": lambda ask, by: _lives(ask, by, "executions"),
}


@click.command()
@click.argument("what", type=click.Choice(list(QUESTIONS)))
@click.option("--from", "url", required=True, envvar="MATCHCORE_SINK_URL",
              help="Database URL, e.g. sqlite:///exchange.db.")  # fmt: skip
@click.option("--day", callback=_day, help="UTC day, e.g. 2019-05-21.")
@click.option("--symbol", help="Only this instrument.")
@click.option("--account", type=click.IntRange(0, 2**64 - 1), help="Only this account.")
@click.option("--order", type=click.IntRange(0, 2**64 - 1), help="Order id.")
@click.option("--shard", type=click.IntRange(0, SHARD_MAX), default=0, show_default=True,
              help="Number of the log if several share the database.")  # fmt: skip
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=SHOWN, show_default=True,
              help="Maximum number of rows.")  # fmt: skip
@json_option
def query(what: str, url: str, shard: int, as_json: bool, **given: Any) -> None:
    """Query a database that follows a log.

    Prices are exact, times are in UTC, and sides, kinds, statuses and reasons are words.

    \b
    Example:  matchcore query trades --day 2019-05-21 --from sqlite:///exchange.db
              matchcore query executions --account 7 --limit 1000 --json
              matchcore query order --symbol ANA --order 1234
    Put a URL with a password into the environment variable MATCHCORE_SINK_URL, so that no list of
    processes shows it.  Queries write and lock nothing.
    """
    with failing_kindly(as_json):
        from ..sinks.sql.frames import TEXTS, readable
        from ..sinks.sql.queries import Queries

        with Queries(url, shard=shard) as ask:
            rows = QUESTIONS[what](ask, Asked({"what": what, **given}))
            columns = readable(ask, rows, TEXTS)
    if as_json:
        lines = zip(*columns.values(), strict=True)
        show({"rows": [dict(zip(columns, line, strict=True)) for line in lines]}, True)
        return
    for name in [name for name in columns if name in _FOR_MACHINES or name[-6:] == "_ticks"]:
        del columns[name]
    shown = [[str(value) for value in line] for line in zip(*columns.values(), strict=True)]
    show_rows(list(columns), shown, f"{what}: {len(shown)} rows")
