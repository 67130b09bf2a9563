"""The act of a scheduler: one step of it, on the engine that has the exchange."""

from __future__ import annotations

from pathlib import Path
from time import time_ns
from typing import Any

from ...engine.engine import Engine
from ...operations.scheduling import Done, Scheduler, read_day_data, schedule_of
from ...records.times import text_of
from .acts import act


@act
def schedule(
    engine: Engine, venue: str, board: str, symbols: list[str] | None, day_data: str | None,
    options: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Does what is due now on a board; tells when something is due next, in nanoseconds.

    ``day_data``: path of a file, which is read on a morning; a request would be too small for it.
    """
    made = schedule_of(venue, board, **options)
    file = None if day_data is None else Path(day_data)
    scheduler = Scheduler(
        engine, made, symbols=symbols,
        day_data=lambda on: {} if file is None else read_day_data(file)(on),
    )  # fmt: skip
    now = time_ns()
    done = scheduler.step(now)
    return {"done": [plain(one) for one in done], "next": scheduler.next_time(now), "now": now}


def plain(done: Done) -> dict[str, Any]:
    """As plain values."""
    due = done.due
    return {
        "time": text_of(due.time),
        "day": due.on.isoformat(),
        "action": str(due.action),
        "phase": None if due.phase is None else due.phase.name,
        "sent": done.sent,
        "skipped": done.skipped,
        "refused": list(done.refused),
    }
