"""Rule tables: rows of numbers with the day that they hold from, and where they come from.

The tables are the TOML files in `data/`.  A row is of some boards; it holds from ``since`` until a
later row of the same table and board.  A day before the first row is refused, never guessed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from importlib.resources import files
from operator import itemgetter
from typing import Any

from ..errors import InvalidArgument, UnknownDay
from ..records.arguments import shown

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Every board has rows in each of these.
TABLES = ("timetable", "trading", "auction", "closing", "tick", "limits", "cage", "halts",
          "quantities")  # fmt: skip
VENUES = ("sse", "szse", "bse", "generic")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    - ``since``: the first day that it holds on.
    - ``source``: names in `Rules.sources`.
    - ``unknown``: values that no source states; they are defaults.
    - ``values``: by name.
    """

    table: str
    board: str
    since: date
    source: tuple[str, ...]
    unknown: tuple[str, ...]
    values: Mapping[str, Any] = field(repr=False)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)


@dataclass(frozen=True, slots=True)
class Rules:
    """The rule tables of a venue.

    - ``venue``, ``name``: the short and the long name.
    - ``timezone``: of all times; ``calendar``: code of the exchange in `exchange-calendars`.
    - ``boards``: short name -> long name; ``groups``: short name -> group of SET_PHASE.
    - ``sources``: what the names in ``source`` of rows stand for.
    - ``rows``: (table, board) -> its rows, oldest first.
    """

    venue: str
    name: str
    timezone: str
    calendar: str
    boards: Mapping[str, str]
    groups: Mapping[str, int]
    sources: Mapping[str, str]
    rows: Mapping[tuple[str, str], tuple[Row, ...]] = field(repr=False)

    def row(self, table: str, board: str, on: date) -> Row:
        """The row that holds for a board on a day; `UnknownDay` before the first one."""
        found = [row for row in self.rows[table, board] if row.since <= on]
        if not found:
            first = self.rows[table, board][0].since
            raise UnknownDay(f"{self.venue} {board} on {on}: the table {table!r} begins on {first}")
        return found[-1]

    def board(self, name: str) -> str:
        """The name of a board; `InvalidArgument` if the venue has none of that name."""
        if name not in self.boards:
            raise InvalidArgument(f"board {shown(name)}: {self.venue} has {', '.join(self.boards)}")
        return name


@lru_cache(maxsize=len(VENUES))
def rules_of(venue: str) -> Rules:
    """The tables of a venue by its short name; `InvalidArgument` for an unknown one."""
    if venue not in VENUES:
        raise InvalidArgument(f"venue {shown(venue)}: one of {', '.join(VENUES)}")
    text = (files(__package__) / "data" / f"{venue}.toml").read_text("utf-8")
    said = tomllib.loads(text)
    boards, sources = said["boards"], said["sources"]
    rows = {
        (table, board): tuple(_rows_of(table, board, said[table])) for table in TABLES
        for board in boards
    }  # fmt: skip
    return Rules(
        venue, said["name"], said["timezone"], said["calendar"], boards, said["groups"], sources,
        rows,
    )  # fmt: skip


def _rows_of(table: str, board: str, rows: list[dict[str, Any]]) -> Iterator[Row]:
    mine = [row for row in rows if board in row["boards"]]
    for row in sorted(mine, key=itemgetter("since")):
        values = {name: value for name, value in row.items()
                  if name not in ("boards", "since", "source", "unknown")}  # fmt: skip
        yield Row(
            table, board, row["since"], tuple(row["source"]), tuple(row.get("unknown", ())), values
        )
