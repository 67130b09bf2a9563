"""The scheduler: calendar and clock become commands (docs/markets/scheduler.md).

A `Schedule` says what is due when; a `Scheduler` sends it to an engine.
"""

from __future__ import annotations

from .by_name import day_data_of, read_day_data, schedule_of
from .calendars import Calendar, EveryDay, ExchangeCalendar
from .schedule import Action, Due, Schedule
from .scheduler import DayData, Done, Scheduler

__all__ = [
    "Action",
    "Calendar",
    "DayData",
    "Done",
    "Due",
    "EveryDay",
    "ExchangeCalendar",
    "Schedule",
    "Scheduler",
    "day_data_of",
    "read_day_data",
    "schedule_of",
]
