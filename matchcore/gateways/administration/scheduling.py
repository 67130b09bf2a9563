"""The act of a scheduler: one step of it, on the engine that has the exchange."""

from __future__ import annotations

import time
from typing import Any

from ...engine.engine import Engine
from ...operations.scheduling import Done, Scheduler, day_data_of, schedule_of
from ...records.times import text_of
from .acts import act


@act
def schedule(
    engine: Engine, venue: str, board: str, symbols: list[str] | None, day_data: dict[str, Any],
    options: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Does what is due now on a board; tells when something is due next, in nanoseconds."""
    made = schedule_of(venue, board, **options)
    scheduler = Scheduler(engine, made, symbols=symbols, day_data=day_data_of(day_data))
    now = time.time_ns()
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
