"""Writes the rule tables of docs/markets/venues.md from the data of `matchcore.venues`.

python docs/generate_venues.py            rewrites the page
python docs/generate_venues.py --check    exits with 1 if the page is out of date
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matchcore.venues import TABLES, VENUES, Row, Rules, rules_of

PAGE = Path(__file__).parent / "markets" / "venues.md"
BEGIN, END = "<!-- generated: tables -->", "<!-- generated: end -->"
_PARTS = {"up", "down", "special_up", "special_down", "first_day_up", "first_day_down", "part",
          "first", "second"}  # fmt: skip


def tables() -> Iterator[str]:
    """The lines of the generated region."""
    for venue in VENUES:
        rules = rules_of(venue)
        yield f"### {rules.name}"
        yield ""
        calendar = f"`{rules.calendar}`" if rules.calendar else "none"
        groups = ", ".join(f"{name} {group}" for name, group in rules.groups.items())
        yield f"`{venue}`; times of {rules.timezone}; calendar {calendar}; groups: {groups}."
        yield ""
        for table in TABLES:
            yield from _timetable(rules) if table == "timetable" else _table(rules, table)
        yield "Sources:"
        yield ""
        for name, what in rules.sources.items():
            yield from _wrapped(f"- `{name}`: {what}")
        yield ""


def _rows(rules: Rules, table: str) -> list[tuple[list[str], Row]]:
    """The rows of a table with their boards, in the order of days."""
    found: list[tuple[list[str], Row]] = []
    for board in rules.boards:
        for row in rules.rows[table, board]:
            for boards, other in found:
                if (other.since, other.values, other.source) == (row.since, row.values, row.source):
                    boards.append(board)
                    break
            else:
                found.append(([board], row))
    return sorted(found, key=lambda one: (one[1].since, one[0]))


def _timetable(rules: Rules) -> Iterator[str]:
    rows = _rows(rules, "timetable")
    yield f"**timetable** of {rules.venue}:"
    yield ""
    yield "| since | boards | day data | phases | end of day | source | default |"
    yield "|---|---|---|---|---|---|---|"
    for boards, row in rows:
        phases = ", ".join(_phase(one) for one in row["phases"])
        yield (
            f"| {row.since} | {', '.join(boards)} | {row['day_data']:%H:%M} | {phases} "
            f"| {row['end_day']:%H:%M} | {_names(row.source)} | {_names(row.unknown)} |"
        )
    yield ""


def _phase(one: dict[str, Any]) -> str:
    said = f"{one['at']:%H:%M} {one['phase']}"
    notes = [name.replace("_", " ") for name in ("ends_halts", "cancel_orders") if one.get(name)]
    if one.get("window_seconds"):
        notes.append(f"within {one['window_seconds']} s")
    return f"{said} ({', '.join(notes)})" if notes else said


def _table(rules: Rules, table: str) -> Iterator[str]:
    rows = _rows(rules, table)
    names = list(dict.fromkeys(name for _, row in rows for name in row.values))
    yield f"**{table}** of {rules.venue}:"
    yield ""
    yield f"| since | boards |{''.join(f' {_title(name)} |' for name in names)} source | default |"
    yield "|---|---|" + "---|" * len(names) + "---|---|"
    for boards, row in rows:
        values = "".join(f" {_value(name, row.get(name))} |" for name in names)
        yield (
            f"| {row.since} | {', '.join(boards)} |{values} {_names(row.source)} "
            f"| {_names(row.unknown)} |"
        )
    yield ""


def _title(name: str) -> str:
    return name.replace("_", " ") + (", %" if name in _PARTS else "")


def _value(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    if name in _PARTS:
        return f"{value / 100:g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _names(names: tuple[str, ...]) -> str:
    return "; ".join(names)


def _wrapped(text: str) -> list[str]:
    """An item of a list, over lines of at most 100 columns."""
    return textwrap.wrap(
        text, 100, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def page(old: str) -> str:
    """The page with its region made anew."""
    before, rest = old.split(BEGIN)
    after = rest.split(END)[1]
    lines = "\n".join(tables())
    return f"{before}{BEGIN}\n\n{lines}\n{END}{after}"


def main(arguments: list[str]) -> int:
    old = PAGE.read_text()
    new = page(old)
    if new == old:
        return 0
    if "--check" in arguments:
        print(f"{PAGE}: differs from the tables")
        return 1
    PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
