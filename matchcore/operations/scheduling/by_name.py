"""Schedules of venues by name, as the command line and an exchange's server are told them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from ... import markets
from ...errors import InvalidArgument
from ...records.arguments import shown
from ...venues import rules_of, venue_day
from .calendars import ExchangeCalendar
from .schedule import Schedule
from .scheduler import DayData

SECOND_NS = 10**9
_FIELDS = ("previous_close", "reference", "listed_days", "special")


@lru_cache(maxsize=64)
def schedule_of(
    venue: str,
    board: str = "main",
    *,
    seed: str = "",
    clock_seconds: int | None = None,
    calendar: str | None = None,
    timezone: str | None = None,
) -> Schedule:
    """The schedule of a board.

    - ``venue``, ``board``: by their short names.
    - ``seed``: of the moments that are drawn within windows.
    - ``clock_seconds``: between two CLOCKs, 0: none; None: what the board names.
    - ``calendar``: code in `exchange-calendars`; None: that of the board.
    - ``timezone``: of the generic venue; None: UTC.

    `InvalidArgument` for names that there are not.
    """
    rules_of(venue).board(board)
    if timezone is not None and venue != "generic":
        raise InvalidArgument(f"timezone {timezone}: only the generic venue has any")
    generic = partial(markets.generic, timezone=timezone or "UTC")
    return Schedule(
        generic if venue == "generic" else partial(venue_day, venue, board),
        None if calendar is None else ExchangeCalendar(calendar),
        seed=seed,
        clock_ns=None if clock_seconds is None else clock_seconds * SECOND_NS,
    )


def read_day_data(file: Path) -> Callable[[date], dict[str, DayData]]:
    """As `day_data_of`, of a ``file`` of JSON; `InvalidArgument` if it is none or not readable."""
    try:
        said = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidArgument(f"day data {file}: {error}") from None
    return day_data_of(said)


def day_data_of(said: Mapping[str, Any]) -> Callable[[date], dict[str, DayData]]:
    """What is new on days, for a `Scheduler`.

    ``said``: as JSON has it: day -> symbol -> the fields of a `DayData`.  `InvalidArgument` if it
    is something else.
    """
    found: dict[date, dict[str, DayData]] = {}
    try:
        for day, symbols in said.items():
            news = {symbol: DayData(**_fields(symbol, one)) for symbol, one in symbols.items()}
            found[date.fromisoformat(day)] = news
    except (AttributeError, TypeError, ValueError) as error:
        why = error if isinstance(error, InvalidArgument) else "day -> symbol -> values"
        raise InvalidArgument(f"day data {shown(json.dumps(said))}: {why}") from None
    return lambda on: found.get(on, {})


def _fields(symbol: str, one: Mapping[str, Any]) -> dict[str, Any]:
    for name in one:
        if name not in _FIELDS:
            raise InvalidArgument(f"{symbol}: {name} is none of {', '.join(_FIELDS)}")
    return dict(one)
