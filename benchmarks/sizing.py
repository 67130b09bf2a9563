"""How large the machines of an exchange must be: the tables of docs/availability/sizing.md.

    python -m benchmarks.sizing                   # prints the table
    python -m benchmarks.sizing --measure > benchmarks/recorded/sizing.json
    python -m benchmarks.page                     # writes it into the page

All of it is computed from recorded figures and from what `ASSUMED` says.
"""

from __future__ import annotations

import json
import sys
from math import ceil
from typing import Any, NamedTuple

import numpy as np

from matchcore.bench.suite import stamp
from matchcore.importers import sample_day, source_of
from matchcore.journal.format import NO_CHAIN, FrameHeader
from matchcore.journal.packing import packed
from matchcore.records.ids import id_of

from .databases import SIZED
from .tables import figure, recorded, table

#: Commands of a frame whose bytes are measured.
FRAMES = (1, 4, 16, 64, 256, 1024, 4096)
ONE_BOOK = "one instrument, neutral static"
MANY_BOOKS = "10000 instruments, every second command cancels any order at random"
SESSIONS, ACCOUNTS = 211, 997  # of the measured flow


class Profile(NamedTuple):
    """An exchange to size; ``commands``: of a day."""

    name: str
    instruments: int
    commands: int


PROFILES = (
    Profile("1 instrument", 1, 20_000),
    Profile("100 instruments", 100, 2_000_000),
    Profile("5,000 instruments", 5_000, 20_000_000),
    Profile("100 million commands", 5_000, 100_000_000),
)


class Assumed(NamedTuple):
    """What no measurement here can say."""

    hours: float = 8.0  # of trading in a day
    peak: float = 100.0  # the busiest second to the average one
    busy: float = 0.5  # of what was measured, to be used at the peak
    frame_seconds: float = 0.005  # a frame gathers what comes while another one is stored
    days: int = 30  # of log at each server
    open_share: float = 0.1  # of a day's commands: orders that rest at its end
    copies: int = 5  # readers of the log: two servers, standby, remote copy, SQL follower


ASSUMED = Assumed()


def measured() -> dict[str, Any]:
    """Bytes a command in the log, by commands of a frame, and the busiest second and minute.

    Of the sample day, with sessions, accounts, and client order ids as texts.
    """
    source = source_of("bme", sample_day())
    rows = np.concatenate([part for part, _ in source.rows(source.instruments)])
    number = np.arange(len(rows))
    rows["session"], rows["account"] = number % SESSIONS + 1, number % ACCOUNTS + 1
    ids = [id_of(f"C{one % SESSIONS}-{one // SESSIONS:06}") for one in number.tolist()]
    rows["client_order_id"], rows["client_order_tail"] = np.array(ids, np.uint64).T
    stored = {size: sum(_frames(rows, size)) / len(rows) for size in FRAMES}
    seconds = (rows["time"] - rows["time"].min()) // 10**9
    average = len(rows) / (int(seconds.max()) + 1)
    return {
        **stamp(),
        "commands": len(rows),
        "bytes_a_command": {str(size): round(value, 1) for size, value in stored.items()},
        "busiest_second": round(int(np.bincount(seconds).max()) / average),
        "busiest_minute": round(int(np.bincount(seconds // 60).max()) / 60 / average),
    }


def _frames(rows: Any, size: int) -> list[int]:
    """Bytes of each frame, if ``size`` commands share one."""
    return [
        FrameHeader(codec, count, len(payload), 1, 1, 0, 0, NO_CHAIN).frame_bytes
        for at in range(0, len(rows), size)
        for codec, count, payload in packed(rows[at : at + size], 0).frames
    ]


def bytes_a_command(rate: float) -> float:
    """In the log, at so many commands a second: of the next smaller frame that was measured."""
    found = recorded("sizing")["bytes_a_command"]
    together = max(1.0, rate * ASSUMED.frame_seconds)
    return float(found[str(max(size for size in FRAMES if size <= together))])


def sized(profile: Profile) -> dict[str, str]:
    """Everything about one exchange, by what it is."""
    average = profile.commands / (ASSUMED.hours * 3600)
    peak = average * ASSUMED.peak
    stored = profile.commands * bytes_a_command(average)
    wire = peak * bytes_a_command(peak) * ASSUMED.copies * 8 / 1e6
    engine = 1e6 * figure("scale", ONE_BOOK if profile.instruments == 1 else MANY_BOOKS)
    resting = profile.commands * ASSUMED.open_share
    books = profile.instruments * figure("scale", "an empty book") + resting * figure(
        "scale", "a resting order, all told, of 4000000 in a book"
    )
    gateway = figure("orders", "1 sessions: FIX, policy sync")
    (sql,) = [row for row in recorded("sql")["rows"] if row["database"] == "mysql"]
    tables = [sql["sizes"][name] for name in ("orders", "trades", "executions")]
    rows = profile.commands * sum(one["rows"] for one in tables) / SIZED
    in_sql = profile.commands * sum(one["rows"] * one["bytes"] for one in tables) / SIZED
    into = 1e3 * float(np.median(sql["sink"]))
    replay = figure("journal", "recovery from the whole log") * 1e6
    return {
        "commands a day": f"{profile.commands:,}",
        "commands a second, average": f"{average:,.0f}" if average >= 1 else f"{average:.1f}",
        "commands a second, busiest": f"{peak:,.0f}",
        "log a day": _bytes(stored),
        f"log of {ASSUMED.days} days, at each server": _bytes(stored * ASSUMED.days),
        "network for all copies, busiest second": f"{wire:,.1f} Mbit/s",
        "engine: share of a core, busiest second": f"{peak / engine:.2%}",
        "engines": f"{_needed(peak, engine)}",
        "FIX gateways, of a core each": f"{_needed(peak, gateway)}",
        "memory of books and orders": _bytes(books),
        "replay of a day": f"{profile.commands / replay:,.2f} s",
        "rows a day in SQL": f"{rows:,.0f}",
        "one SQL follower needs for them": f"{rows / into / 60:,.1f} min",
        "SQL a day": _bytes(in_sql),
    }


def _needed(amount: float, one: float) -> int:
    """How many of ``one``, each used as far as planned, carry this amount."""
    return max(1, ceil(amount / (one * ASSUMED.busy)))


def _bytes(count: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count / 1e3:,.1f} kB"


def sizes() -> str:
    """Exchanges across."""
    found = [sized(profile) for profile in PROFILES]
    return table(
        ["", *(profile.name for profile in PROFILES)],
        [[what, *(one[what] for one in found)] for what in found[0]],
    )


def bytes_by_frame() -> str:
    """Commands of a frame across."""
    found = recorded("sizing")["bytes_a_command"]
    return table(["commands of a frame", *found], [["bytes a command", *found.values()]])


if __name__ == "__main__":
    print(json.dumps(measured(), indent=1) if "--measure" in sys.argv[1:] else sizes())
