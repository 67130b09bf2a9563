"""A venue on one day: the parameters of its instruments, and its timetable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from decimal import Decimal
from functools import cached_property
from typing import Any

from ..errors import InvalidArgument
from ..records.arguments import shown
from ..records.instruments import Instrument
from ..records.market import NAMES, Market
from ..records.market_faces import SetMarket
from ..records.parameters import PARAMETERS
from ..records.schema import Parameter, Phase
from ..records.times import parse, zone_of
from .limits import price_limits
from .tables import Row

Values = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PhaseAt:
    """When a phase begins.

    - ``at``: local time.
    - ``phase``: a `Phase`.
    - ``window_ns``: the phase begins at a random moment within so many nanoseconds after ``at``.
    - ``ends_halts``: before it, halts that are under way end.
    - ``cancel_orders``: before it, every order is cancelled.
    """

    at: time
    phase: Phase
    window_ns: int = 0
    ends_halts: bool = False
    cancel_orders: bool = False


@dataclass(frozen=True)
class VenueDay:
    """A board of a venue on one day, of an instrument whose day data are told.

    - ``venue``, ``board``, ``on``: which board, and the day.
    - ``timezone``, ``calendar``: of the timetable; code of the exchange in `exchange-calendars`.
    - ``group``: of SET_PHASE, for all instruments of the board.
    - ``tick``, ``lot``: of the instrument.
    - ``timetable``: the phases of the day, a `PhaseAt` each, in order.
    - ``day_data``, ``end_day``: local times at which the scheduler sets the parameters of the day,
      and ends it.
    - ``clock_ns``: nanoseconds between two CLOCKs.
    - ``market``: how an instrument trades, a `Market`.
    - ``rows``: the rows of the rule tables that this comes from.

    `commands` makes the market of an instrument; `dataclasses.replace` changes any of these, and
    `changed` what is in the market.
    """

    venue: str
    board: str
    on: date
    timezone: str
    calendar: str
    group: int
    tick: Decimal
    lot: int
    timetable: tuple[PhaseAt, ...]
    day_data: time
    end_day: time
    clock_ns: int
    market: Market
    rows: tuple[Row, ...] = field(default=(), repr=False)

    def instrument(self, symbol: str, **limits: int) -> Instrument:
        """The instrument ``symbol`` with the tick and lot of the board.

        ``limits``: ``max_quantity`` and ``max_orders`` as of `Instrument`.
        """
        return Instrument(symbol, self.tick, self.lot, **limits)

    def commands(self, symbol: str) -> list[SetMarket]:
        """The commands that make ``symbol`` an instrument of this market.

        They set what differs from a market that nothing is set of.  The book must be empty.
        """
        return self.market.commands(self.instrument(symbol))

    @cached_property
    def parameters(self) -> Mapping[Parameter, Values]:
        """The values of every `Parameter` but TICKS, by name, in the units of the log.

        `matchcore.records.parameters.PARAMETERS` lists them.
        """
        found: dict[Parameter, Values] = {
            parameter: {one.name: one.default for one in PARAMETERS[parameter]}
            for parameter in Parameter
            if parameter != Parameter.TICKS
        }
        for command in self.commands("DAY"):
            if command.parameter != Parameter.TICKS:
                found[command.parameter] = dict(command.values)
        return found

    def changed(self, **market: Any) -> VenueDay:
        """The same day with other parameters, by the names of `Market`.

        `InvalidArgument` for a name that it does not have; raises what `Market` raises.
        """
        for name in market:
            if name not in NAMES:
                raise InvalidArgument(f"{name}: a Market has no such field")
        return replace(self, market=replace(self.market, **market))

    def time_of(self, at: time) -> int:
        """A local time of this day, as nanoseconds since 1970 UTC.

        `InvalidArgument` if clocks are changed then, and the zone skips it or has it twice.
        """
        try:
            return parse(f"{self.on}T{at}", zone_of(self.timezone))
        except ValueError as error:
            raise InvalidArgument(f"{self.venue} on {self.on}: {error}") from None

    @property
    def limits(self) -> tuple[Decimal | None, Decimal | None]:
        """The lowest and the highest price of the day; None: no limit."""
        told, rule = self.parameters[Parameter.DAY], self.parameters[Parameter.LIMITS]
        free = 0 < told["listed_days"] <= rule["free_days"]
        if told["reference"] <= 0 or free:
            return None, None
        kind = "special_" if told["special"] else ""
        found = price_limits(told["reference"], rule[f"{kind}down"], rule[f"{kind}up"])
        lowest, highest = (None if ticks is None else ticks * self.tick for ticks in found)
        return lowest, highest


def day_of(on: object) -> date:
    """A date, or a text like 2026-11-27; `InvalidArgument` for anything else."""
    if isinstance(on, str):
        try:
            return date.fromisoformat(on)
        except ValueError:
            pass
    elif isinstance(on, date) and not isinstance(on, datetime):
        return on
    raise InvalidArgument(f"on {shown(on)}: a date, or a text like 2026-11-27")
