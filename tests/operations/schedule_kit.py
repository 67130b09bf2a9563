"""Days, exchanges and orders for tests of schedules."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import matchcore as mc
from matchcore.operations.scheduling import Schedule, Scheduler
from matchcore.operations.scheduling.looking import MarketNow, markets_of
from matchcore.records.times import parse, zone_of

#: The machines that have the rules of markets.
MACHINES = ("cython", "reference")
SHANGHAI = zone_of("Asia/Shanghai")
FRIDAY, MONDAY = "2026-11-27", "2026-11-30"
SECOND = 10**9
STOCK, OTHER = mc.Instrument("600519", "0.01"), mc.Instrument("600000", "0.01")


def at(text: str, day: str = FRIDAY) -> int:
    """A local time like 09:30 as nanoseconds since 1970."""
    return parse(f"{day}T{text}", SHANGHAI)


def exchange(
    machine: str = "reference", *instruments: mc.Instrument, log: bool = False
) -> mc.Engine:
    """An exchange in memory."""
    return mc.Engine.memory(
        machine=machine,
        instruments=instruments or (STOCK,),
        log=mc.MemoryLog() if log else None,
        clock=lambda: SECOND,
    )


def now(engine: mc.Engine, symbol: str = "600519") -> MarketNow:
    return markets_of(engine, [symbol])[symbol]


def drive(scheduler: Scheduler, schedule: Schedule, begin: int, end: int) -> list[Any]:
    """Steps whenever something is due, as a runner does, but with a clock of its own."""
    moment, done = begin, scheduler.step(begin)
    while (moment := schedule.next_after(moment)) <= end:
        done += scheduler.step(moment)
    return done


def commands_of(engine: mc.Engine) -> NDArray[np.void]:
    """All commands in the log of an exchange."""
    log = engine.log
    assert log is not None
    engine.sequence  # noqa: B018  # waits until all of it is in the log
    return np.concatenate([frame.commands for frame in log.frames()])


def phases_set(engine: mc.Engine) -> list[mc.Phase]:
    """The phases of all SET_PHASE in the log, in order."""
    rows = commands_of(engine)
    rows = rows[rows["kind"] == mc.Kind.SET_PHASE]
    return [mc.Phase(int(row["phase"])) for row in rows.view(mc.PHASE)]
