"""The scheduler at work: it drives an engine by a schedule, and catches up after a restart."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from ...engine.engine import Engine
from ...errors import InvalidArgument
from ...records.arguments import UINT32_MAX, flag, integer
from ...records.codec import encode_all
from ...records.instruments import Instrument, Price
from ...records.market_faces import Clock, SetMarket, SetPhase
from ...records.operating import Register
from ...records.order_faces import EndDay
from ...records.register import Place
from ...records.schema import EventKind, Field, Parameter, Phase, Reason, Topic
from ...records.typed import Command
from .looking import USUAL, MarketNow, markets_of, phases_to
from .schedule import Action, Due, Schedule

#: Of the entry in the register: the time until which everything that was due is done.
_MARK = struct.Struct("<q")
_WAIT_SECONDS_MAX = 1.0  # so a clock that is set is noticed
SECOND_NS = 10**9


@dataclass(frozen=True, slots=True)
class DayData:
    """What is new about an instrument on a day; None: it is as it was, or follows from the close.

    ``previous_close``, ``reference``, ``listed_days``, ``special``: as of `matchcore.markets.sse`.
    """

    previous_close: Price | None = None
    reference: Price | None = None
    listed_days: int | None = None
    special: bool | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What a scheduler has done about something that was due.

    - ``due``: a `Due`.
    - ``sent``: number of commands; 0: it was so already.
    - ``skipped``: it was of a day that is over, and was not done.
    - ``refused``: what the exchange refused, in words.
    """

    due: Due
    sent: int = 0
    skipped: bool = False
    refused: tuple[str, ...] = ()


class Scheduler:
    """Sends to an engine what is due by a schedule.

    - ``engine``: an `Engine`.
    - ``schedule``: a `Schedule`.
    - ``symbols``: instruments of the board.  Those without a market get one in the morning.  None:
      all instruments whose market has the group of the board.
    - ``day_data``: returns what is new on a day, by symbol: a `DayData` each.
    - ``done``: is called with each `Done`.

    What is done is in the register of the exchange, so another scheduler goes on where this one
    ended.  One at a time may drive a board.
    """

    def __init__(
        self,
        engine: Engine,
        schedule: Schedule,
        *,
        symbols: Sequence[str] | None = None,
        day_data: Callable[[date], Mapping[str, DayData]] = lambda on: {},
        done: Callable[[Done], object] = lambda done: None,
    ) -> None:
        self._engine, self._schedule, self._done = engine, schedule, done
        self._symbols = None if symbols is None else list(dict.fromkeys(symbols))
        self._day_data = day_data

    # ------------------------------------------------------------------ when

    def step(self, now: int) -> list[Done]:
        """Does all that is due at ``now``, in nanoseconds since 1970 UTC.

        After a time in which nobody did it, in the order of the timetable: what was left of the day
        that was interrupted, and of today.  Days that were missed as a whole are skipped.
        `UnknownDay` for a day that the calendar or the rules do not know; `LogFailed` as `submit`.
        """
        today = self._schedule.date_of(now)
        mark = self._mark(self._schedule.day(today).group)
        if mark is None:
            found = [self._do(due, now) for due in self._begin(today, now)]
        else:
            found = [self._do_or_skip(due, mark, today, now)
                     for due in self._schedule.between(mark, now, clocks=False)]  # fmt: skip
        if self._is_clocked(today, now):
            self._send([Clock(time=now)], now)
        for one in found:
            self._done(one)
        return found

    def next_time(self, now: int) -> int:
        """When `step` should be called next after ``now``; both nanoseconds since 1970 UTC."""
        later = self._schedule.next_after(now)
        today = self._schedule.date_of(now)
        if self._is_clocked(today, now):
            return min(later, now + self._schedule.clock_ns(today))
        return later

    def run(self, stop: threading.Event, clock: Callable[[], int] = time.time_ns) -> None:
        """Calls `step` whenever something is due, until ``stop`` is set.

        ``clock``: returns nanoseconds since 1970 UTC.  Raises what `step` raises.
        """
        while not stop.is_set():
            now = clock()
            self.step(now)
            wait = (self.next_time(now) - clock()) / SECOND_NS
            stop.wait(max(0.0, min(wait, _WAIT_SECONDS_MAX)))

    def _begin(self, today: date, now: int) -> list[Due]:
        """What brings an exchange that no scheduler has driven to where it should be."""
        table = self._schedule.timetable(today)
        over = [due for due in table if due.time <= now]
        phases = [due for due in over if due.action == Action.PHASE]
        phase = phases[-1].phase if phases else Phase.CLOSED
        found = [replace(due, time=now) for due in table[:1] if table[-1].time > now]
        return [*found, Due(now, today, Action.PHASE, phase)]

    def _do_or_skip(self, due: Due, mark: int, today: date, now: int) -> Done:
        if due.on != today and self._schedule.timetable(due.on)[0].time > mark:
            self._send([], now, due.on, due.time)
            return Done(due, skipped=True)
        return self._do(due, now)

    def _is_clocked(self, today: date, now: int) -> bool:
        phases = [due.time for due in self._schedule.timetable(today) if due.phase is not None]
        open_ = bool(phases) and phases[0] < now <= phases[-1]
        return open_ and self._schedule.clock_ns(today) > 0

    # ------------------------------------------------------------------ what

    def _do(self, due: Due, now: int) -> Done:
        mine = self._markets(due.on)
        if due.action == Action.DAY:
            commands = self._day_commands(due.on, mine, now)
        elif due.action == Action.END_DAY:
            commands = self._end_commands(due.on, mine, now)
        else:
            commands = self._phase_commands(due, mine, now)
        refused = self._send(commands, now, due.on, due.time)
        return Done(due, len(commands), refused=refused)

    def _markets(self, on: date) -> dict[str, MarketNow]:
        """The instruments of the board that have a market."""
        engine, group = self._engine, self._schedule.day(on).group
        if self._symbols is not None:
            return markets_of(engine, self._symbols)
        every = markets_of(engine, [one.symbol for one in engine.instruments])
        return {symbol: one for symbol, one in every.items() if one.group == group}

    def _phase_commands(self, due: Due, mine: Mapping[str, MarketNow], now: int) -> list[Command]:
        """Those that nobody needs any more are left out."""
        phase = due.phase
        assert phase is not None
        commands: list[Command] = []
        begins = {symbol: one.phase for symbol, one in mine.items() if not one.is_held}
        for symbol, one in mine.items():
            if due.ends_halts and one.is_paused:
                commands.append(SetPhase(symbol, Phase.CONTINUOUS, time=now))
                begins[symbol] = Phase.CONTINUOUS
        ways = {symbol: phases_to(begin, phase) for symbol, begin in begins.items()
                if begin != phase}  # fmt: skip
        if len(ways) == len(mine) and all(len(way) == 1 for way in ways.values()):
            group = self._whole_group(due.on, mine)
            if group and ways:
                commands.append(
                    SetPhase(None, phase, group, cancel_orders=due.cancel_orders, time=now)
                )
                return commands
        for symbol, way in ways.items():
            for step in way:
                cancels = due.cancel_orders and step == way[-1]
                commands.append(SetPhase(symbol, step, cancel_orders=cancels, time=now))
        return commands

    def _whole_group(self, on: date, mine: Mapping[str, MarketNow]) -> int:
        """The group, if these are all of it; otherwise 0."""
        group = self._schedule.day(on).group
        if self._symbols is None:
            return group
        every = markets_of(self._engine, [one.symbol for one in self._engine.instruments])
        whole = {symbol for symbol, one in every.items() if one.group == group} == set(mine)
        return group if whole else 0

    def _day_commands(self, on: date, mine: Mapping[str, MarketNow], now: int) -> list[Command]:
        """The parameters of a day, where they are different."""
        news, directory = self._day_data(on), self._engine.instruments
        found: list[Command] = []
        for symbol in mine if self._symbols is None else self._symbols:
            instrument = directory[symbol]
            current = mine[symbol].values if symbol in mine else USUAL
            told = _told(instrument, current[Parameter.DAY], news.get(symbol, DayData()))
            day = self._schedule.day(on, told["listed_days"])
            if day.tick != instrument.tick:
                raise InvalidArgument(
                    f"{symbol}: its tick is {instrument.tick}, and that of {day.venue} {day.board}"
                    f" {day.tick}"
                )
            wanted = {**day.parameters, Parameter.DAY: told}
            found += [
                SetMarket(symbol, parameter, values, time=now)
                for parameter, values in wanted.items()
                if values != current[parameter]
            ]
        return found

    def _end_commands(self, on: date, mine: Mapping[str, MarketNow], now: int) -> list[Command]:
        """The closing prices become previous ones, before the end of the day forgets them."""
        commands: list[Command] = []
        for symbol, one in mine.items():
            told = dict(one.values[Parameter.DAY])
            told["listed_days"] += 1 if told["listed_days"] else 0
            if one.closing_price is not None and one.closing_price > 0:
                told["previous_close"] = told["reference"] = one.closing_price
            if told != one.values[Parameter.DAY]:
                commands.append(SetMarket(symbol, Parameter.DAY, told, time=now))
        if len(mine) == len(self._engine.instruments):
            return [*commands, EndDay(time=now)]
        return [*commands, *(EndDay(symbol, time=now) for symbol in mine)]

    # ------------------------------------------------------------------ the log

    def _mark(self, group: int) -> int | None:
        """The time until which everything is done, if it is known."""
        data = self._engine.register().get(Place(Topic.SCHEDULE, group))
        return None if data is None else int(_MARK.unpack_from(data)[0])

    def _send(
        self, commands: list[Any], now: int, on: date | None = None, mark: int | None = None
    ) -> tuple[str, ...]:
        """Sends commands, and with a mark how far the schedule is done, as one batch."""
        if mark is not None:
            assert on is not None
            group = self._schedule.day(on).group
            # one byte more: an entry of zeros alone would be none
            data = _MARK.pack(mark) + b"\x01"
            commands = [*commands, Register(Topic.SCHEDULE, group, data, time=now)]
        if not commands:
            return ()
        before = self._engine.sequence
        events = self._engine.submit_batch(encode_all(commands, self._engine.instruments))
        return tuple(self._refusals(events, commands, before))

    def _refusals(self, events: np.ndarray, commands: list[Any], before: int) -> list[str]:
        found = []
        first = int(events["sequence"].min()) if len(events) else before + 1
        for event in events[events["kind"] == EventKind.REJECTED]:
            at = int(event["sequence"]) - first
            what = commands[at] if 0 <= at < len(commands) else None
            reason, field = Reason(int(event["reason"])).name, Field(int(event["field"])).name
            found.append(f"{_shown(what)}: refused, {reason} of {field}")
        return found


def _told(instrument: Instrument, now: Mapping[str, int], new: DayData) -> dict[str, int]:
    """The values of DAY: as they are, but for what is new."""
    told = dict(now)
    if new.previous_close is not None:
        told["previous_close"] = told["reference"] = instrument.ticks(new.previous_close)
    if new.reference is not None:
        told["reference"] = instrument.ticks(new.reference)
    if new.listed_days is not None:
        told["listed_days"] = integer(new.listed_days, "listed_days", 0, UINT32_MAX)
    if new.special is not None:
        told["special"] = int(flag(new.special, "special"))
    return told


def _shown(command: Any) -> str:
    where = getattr(command, "symbol", None) or "all"
    return f"{type(command).__name__} of {where}"
