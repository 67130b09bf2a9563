"""What is due when: a venue's timetable on the trading days of a calendar, as a pure function."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from enum import Enum
from functools import partial
from typing import Any

from ...errors import UnknownDay
from ...records.market_faces import Clock, SetPhase
from ...records.order_faces import EndDay
from ...records.schema import Phase
from ...records.times import zone_of
from ...venues import VenueDay, venue_day
from .calendars import Calendar, EveryDay, ExchangeCalendar

#: Makes the day of a board: takes the day, and day data by name as `matchcore.markets.sse` does.
Maker = Callable[..., VenueDay]
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LOOKED_AHEAD = 40  # days to the next trading day, at most
_DAYS_KEPT = 64
_LISTED_DAYS_TOLD = 30  # more are all the same to every table


class Action(str, Enum):
    """What is due: DAY sets the parameters of the day, the others are a command each."""

    DAY = "day data"
    PHASE = "phase"
    CLOCK = "clock"
    END_DAY = "end of day"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Due:
    """Something that is due.

    - ``time``: nanoseconds since 1970 UTC.
    - ``on``: the trading day.
    - ``action``: an `Action`; ``phase``: of PHASE, a `Phase`.
    - ``ends_halts``, ``cancel_orders``, ``window_ns``: as of `PhaseAt`.
    """

    time: int
    on: date
    action: Action
    phase: Phase | None = None
    ends_halts: bool = False
    cancel_orders: bool = False
    window_ns: int = 0

    def command(self, group: int) -> SetPhase | Clock | EndDay | None:
        """The command for all instruments of a ``group``; None for DAY, which is no one command."""
        if self.action == Action.PHASE:
            assert self.phase is not None
            return SetPhase(
                None, self.phase, group, cancel_orders=self.cancel_orders, time=self.time
            )
        if self.action == Action.CLOCK:
            return Clock(time=self.time)
        return EndDay(time=self.time) if self.action == Action.END_DAY else None


class Schedule:
    """What is due when on a board.

    - ``make``: returns its `VenueDay` of a day, such as ``functools.partial(markets.sse, "main")``.
    - ``calendar``: a `Calendar`; None: the one that the board names.
    - ``seed``: of the moments that are drawn within windows.  The same seed draws the same moments;
      who knows it can tell them beforehand.
    - ``clock_ns``: nanoseconds between two CLOCKs, 0: none; None: what the board names.
    """

    def __init__(
        self,
        make: Maker,
        calendar: Calendar | None = None,
        *,
        seed: int | str = 0,
        clock_ns: int | None = None,
    ) -> None:
        self.make, self._calendar, self._seed, self._clock_ns = make, calendar, seed, clock_ns
        self._days: dict[tuple[date, int], VenueDay] = {}
        self._tables: dict[date, tuple[Due, ...]] = {}

    @classmethod
    def named(cls, venue: str, board: str = "main", **more: Any) -> Schedule:
        """The schedule of a ``venue`` and ``board`` by name; ``more``: other arguments."""
        return cls(partial(venue_day, venue, board), **more)

    def day(self, on: date, listed_days: int = 0) -> VenueDay:
        """The board on a day, of an instrument whose prices are not told.

        ``listed_days``: of the instrument, as of `matchcore.markets.sse`.
        """
        listed_days = min(listed_days, _LISTED_DAYS_TOLD)
        if (on, listed_days) not in self._days:
            _make_room(self._days)
            self._days[on, listed_days] = self.make(on=on, listed_days=listed_days)
        return self._days[on, listed_days]

    def calendar_of(self, day: VenueDay) -> Calendar:
        """The calendar; `MissingExtra` if its library is not installed."""
        if self._calendar is None:
            self._calendar = ExchangeCalendar(day.calendar) if day.calendar else EveryDay()
        return self._calendar

    def is_open(self, on: date) -> bool:
        """Whether there is trading; `UnknownDay` if calendar or rules do not know the day."""
        return self.calendar_of(self.day(on)).is_open(on)

    def timetable(self, on: date) -> tuple[Due, ...]:
        """All that is due on a day but CLOCKs, in order; nothing on a day without trading.

        `UnknownDay` if the calendar or the rules do not know the day.
        """
        if on not in self._tables:
            _make_room(self._tables)
            self._tables[on] = tuple(self._made(on)) if self.is_open(on) else ()
        return self._tables[on]

    def _made(self, on: date) -> list[Due]:
        day = self.day(on)
        found = [Due(day.time_of(day.day_data), on, Action.DAY)]
        for at, one in enumerate(day.timetable):
            begins = day.time_of(one.at) + self._drawn(day, at, one.window_ns)
            found.append(
                Due(max(begins, found[-1].time), on, Action.PHASE, one.phase, one.ends_halts,
                    one.cancel_orders, one.window_ns)
            )  # fmt: skip
        ends = max(day.time_of(day.end_day), found[-1].time)
        return [*found, Due(ends, on, Action.END_DAY)]

    def _drawn(self, day: VenueDay, at: int, window_ns: int) -> int:
        """A moment in a window, the same for the same seed, board, day and place."""
        if not window_ns:
            return 0
        told = f"{self._seed}/{day.venue}/{day.board}/{day.on}/{at}"
        return int.from_bytes(hashlib.sha256(told.encode()).digest()[:16], "big") % window_ns

    def date_of(self, moment: int) -> date:
        """The local date of a ``moment`` in nanoseconds since 1970 UTC."""
        utc = _EPOCH + timedelta(microseconds=moment // 1000)
        try:
            day = self.day(utc.date())
        except UnknownDay:  # where the rules begin, it may be the next day already
            day = self.day(utc.date() + timedelta(days=1))
        return utc.astimezone(zone_of(day.timezone)).date()

    def between(self, begin: int, end: int, *, clocks: bool = True) -> list[Due]:
        """All that is due after ``begin`` and until ``end``, in order.

        - ``begin``, ``end``: nanoseconds since 1970 UTC.
        - ``clocks``: whether CLOCKs are in it.

        `UnknownDay` if the calendar or the rules do not know a day in between.
        """
        found: list[Due] = []
        for on in self._dates(begin, end):
            table = self.timetable(on)
            found += table
            if clocks and table:
                found += self._clocks(on, table)
        # of the same moment a CLOCK is last: it sees the phase that begins with it
        return [due for due in sorted(found, key=_order) if begin < due.time <= end]

    def commands_between(
        self, begin: int, end: int, *, clocks: bool = True
    ) -> list[SetPhase | Clock | EndDay]:
        """What is due as commands for all instruments of the board, but for day data.

        ``begin``, ``end``, ``clocks``: as of `between`.
        """
        found = []
        for due in self.between(begin, end, clocks=clocks):
            command = due.command(self.day(due.on).group)
            if command is not None:
                found.append(command)
        return found

    def _dates(self, begin: int, end: int) -> Iterator[date]:
        if begin >= end:
            return
        on, last = self.date_of(begin), self.date_of(end)
        while on <= last:
            yield on
            on += timedelta(days=1)

    def _clocks(self, on: date, table: tuple[Due, ...]) -> Iterator[Due]:
        step = self.clock_ns(on)
        phases = [due.time for due in table if due.action == Action.PHASE]
        if step:
            for moment in range(phases[0] + step, phases[-1] + 1, step):
                yield Due(moment, on, Action.CLOCK)

    def clock_ns(self, on: date) -> int:
        """Nanoseconds between two CLOCKs; 0: none."""
        return self.day(on).clock_ns if self._clock_ns is None else self._clock_ns

    def next_after(self, moment: int) -> int:
        """When something but a CLOCK is due after a ``moment``; nanoseconds since 1970 UTC.

        The first moment of the first day that calendar or rules do not know counts as well: then
        `between` refuses it.
        """
        on = self.date_of(moment)
        for _ in range(_LOOKED_AHEAD):
            try:
                table = self.timetable(on)
            except UnknownDay:
                return max(moment, self._midnight(on))
            later = [due.time for due in table if due.time > moment]
            if later:
                return later[0]
            on += timedelta(days=1)
        raise UnknownDay(f"no trading day in {_LOOKED_AHEAD} days after {self.date_of(moment)}")

    def _midnight(self, on: date) -> int:
        zone = zone_of(self.day(on).timezone)
        return (datetime.combine(on, time(), zone) - _EPOCH) // timedelta(microseconds=1) * 1000


def _make_room(days: dict[Any, Any]) -> None:
    if len(days) >= _DAYS_KEPT:
        days.clear()


def _order(due: Due) -> tuple[int, bool]:
    return due.time, due.action == Action.CLOCK
