"""Puts the recorded figures into the tables of docs/benchmarks.md and the pages of PAGES.

    matchcore bench --suite journal --json > benchmarks/recorded/journal.json
    python -m benchmarks.page

A table stands between two comments, <!-- neutral --> and <!-- end -->, and is made anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from .databases import SIZED
from .sizing import bytes_by_frame
from .sizing import sizes as sizes_of_machines
from .tables import recorded, table

DAY_COMMANDS = 100_000_000
ROOT = Path(__file__).parents[1]
PAGES = (
    ROOT / "docs" / "benchmarks.md",
    ROOT / "docs" / "reliability.md",
    ROOT / "docs" / "availability" / "sizing.md",
    *(ROOT / "docs" / "databases").glob("*.md"),
)  # fmt: skip


def by_scenario(name: str, value: Callable[[dict[str, Any]], Any]) -> str:
    """Scenarios down, ways of asking across."""
    cells: dict[str, dict[str, Any]] = {}
    for figure in recorded(name)["figures"]:
        scenario, _, way = figure["what"].partition(", ")
        if way and figure["suite"] == "neutral" and "typed" not in scenario:
            cells.setdefault(scenario, {})[way] = value(figure)
    ways = list(next(iter(cells.values())))
    return table(["", *ways], [[row, *(cells[row][way] for way in ways)] for row in cells])


def suite(name: str) -> str:
    rows = [
        [figure["what"], figure["median"], figure["least"], figure["most"], figure["unit"]]
        for figure in recorded(name)["figures"]
    ]
    return table(["", "median", "least", "most", ""], rows)


def beside() -> str:
    found = recorded("beside")
    ways = list(next(iter(found.values())))
    rows = [
        [scenario, *(f"{found[scenario][way]['ratio']:.2f}" for way in ways)] for scenario in found
    ]
    return table(["ratio to the prototype", *ways], rows)


def peers() -> str:
    rows = [
        [
            f"{row['name']} {row['version']}".strip(),
            f"{row['thousand_per_s']:,.0f}" if row["thousand_per_s"] else "",
            row["agrees"],
            row["known_case"],
            row["note"],
        ]
        for row in recorded("peers")["rows"]
    ]
    return table(["", "thousand/s", "fills agree", "known case", ""], rows)


def latency() -> str:
    """Rates down, percentiles across."""
    cells: dict[str, dict[str, str]] = {}
    for figure in recorded("latency")["figures"]:
        rate, _, percentile = figure["what"].rpartition(", ")
        cells.setdefault(rate, {})[percentile] = f"{figure['median']:.3g}"
    columns = list(next(iter(cells.values())))
    return table(
        ["µs from arrival to event", *columns],
        [[rate, *(found.get(column, "") for column in columns)] for rate, found in cells.items()],
    )


def instructions() -> str:
    """Where the orders rest and how many, down; operations across."""
    rows = recorded("instructions")["instructions"]
    names = list(rows[0])
    return table(
        [f"resting orders, {names[0]}", "how many", *names[2:]],
        [[row["prices"], f"{row['orders']:,}", *(row[name] for name in names[2:])] for row in rows],
    )


def _digits(value: float) -> str:
    """Three of them, and no exponent."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def indexes() -> str:
    """Tables, their indexes and what is asked, down; databases across."""
    cells: dict[tuple[str, str, str], dict[str, str]] = {}
    for figure in recorded("indexes")["figures"]:
        place = figure["table"], ", ".join(figure["index"]) or "none"
        rate = {"written, thousand rows/s": f"{figure['rows_per_s'] / 1e3:.0f}"}
        asked = {f"{what}, ms": _digits(value) for what, value in figure["ms"].items()}
        for what, value in (rate | asked).items():
            cells.setdefault((*place, what), {})[figure["database"]] = value
    names = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MariaDB"}
    return table(
        ["table", "index", "", *names.values()],
        [[*row, *(found[name] for name in names)] for row, found in cells.items()],
    )


def drills(name: str) -> str:
    """Faults down; times in seconds across."""
    columns = ["fault", "rounds", "lost", "RTO s, median", "p99", "max", "longest silence s",
               "remote copy lacks", "for ms"]  # fmt: skip
    rows = [
        [row["fault"], row["rounds"], row["lost"],
         *(f"{row[one] / 1e3:.2f}" for one in ("rto_ms_median", "rto_ms_p99", "rto_ms_max",
                                              "silence_ms_max")),
         *(f"{row[one]:.0f}" for one in ("copy_behind_max", "copy_ms_max"))]
        for row in recorded(name)["table"]
    ]  # fmt: skip
    return table(columns, rows)


_DATABASES = {"sqlite": "SQLite", "mysql": "MariaDB", "postgresql": "PostgreSQL"}


def spread(values: list[float], form: str = ".0f") -> str:
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def sql() -> str:
    """Thousand rows/s into each database."""
    rows = [
        [_DATABASES[row["database"]], spread(row["sink"]), spread(row["plain"]),
         f"{row['rows_ratio']:.2f}"]
        for row in recorded("sql")["rows"]
    ]  # fmt: skip
    return table(["thousand rows/s", "through the sink", "the driver alone", "ratio"], rows)


def beside_database() -> str:
    """Million commands/s of an engine, without and with a follower into each database."""
    rows = []
    for row in recorded("sql")["rows"]:
        name = _DATABASES[row["database"]]
        for where, found in ((name, row), (f"{name}, its files in memory", row.get("apart"))):
            if found is None:  # an older record
                continue
            alone, followed = found["alone"], found["followed"]
            ratio = f"{median(followed) / median(alone):.2f}"
            rows.append([where, spread(alone, ".2f"), spread(followed, ".2f"), ratio])
    return table(["million commands/s", "alone", "with a follower", "ratio"], rows)


def sizes(name: str) -> str:
    """Bytes of a row with its indexes, and what a day of 100 million commands makes of it."""
    (sized,) = [row["sizes"] for row in recorded("sql")["rows"] if row["database"] == name]
    rows, total = [], 0.0
    for one in ("orders", "open_orders", "trades", "executions"):
        count = sized[one]["rows"] * DAY_COMMANDS / SIZED
        gigabytes = count * sized[one]["bytes"] / 1e9
        total += gigabytes
        rows.append(
            [f"`{one}`", f"{sized[one]['bytes']:.0f}", f"{count / 1e6:.1f}", f"{gigabytes:.1f}"]
        )
    rows.append(["all", "", "", f"{total:.1f}"])
    return table(["", "bytes a row", "million rows a day", "GB a day"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "neutral": lambda: by_scenario("neutral", lambda figure: f"{figure['median']:.1f}"),
    "journal": lambda: suite("journal"),
    "scale": lambda: suite("scale"),
    "latency": latency,
    "peers": peers,
    "beside": beside,
    "instructions": instructions,
    "indexes": indexes,
    "auctions": lambda: suite("auctions"),
    "worst": lambda: suite("worst"),
    "fanout": lambda: suite("fanout"),
    "markets": lambda: suite("markets"),
    "orders": lambda: suite("orders"),
    "snapshot": lambda: suite("snapshot"),
    "sql": sql,
    "beside_database": beside_database,
    "drills": lambda: drills("drills"),
    "drills_primary": lambda: drills("drills_primary"),
    "sizes_machines": sizes_of_machines,
    "bytes_by_frame": bytes_by_frame,
    "sizes_sqlite": lambda: sizes("sqlite"),
    "sizes_mysql": lambda: sizes("mysql"),
    "sizes_postgresql": lambda: sizes("postgresql"),
}


def filled(text: str) -> str:
    def fresh(match: re.Match[str]) -> str:
        return f"<!-- {match[1]} -->\n{TABLES[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- (\w+) -->\n.*?<!-- end -->", fresh, text, flags=re.DOTALL)


def main() -> None:
    for page in PAGES:
        page.write_text(filled(page.read_text()))


if __name__ == "__main__":
    main()
