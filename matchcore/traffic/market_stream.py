"""A venue's whole day as one array of commands: instrument, market, phases, clock and orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..operations.scheduling import EveryDay, Schedule
from ..operations.scheduling.schedule import Action
from ..records.codec import encode
from ..records.commands import COMMAND, joined
from ..records.instruments import Directory, Instrument
from ..records.market_faces import SetMarket, SetPhase
from ..records.schema import Parameter, Phase
from ..records.typed import AddInstrument, Command
from ..venues import VenueDay
from .market_day import DayOfOrders, Stretch, day_of_orders

Array = NDArray[Any]
_CLOCK_NS = 60 * 10**9


def commands_of(
    day: VenueDay, instrument: Instrument, seed: int, orders: int
) -> tuple[Array, list[Stretch]]:
    """The day as a `COMMAND` array in the order of its times, and the stretches of its phases.

    - ``day``: with the day data of the instrument.
    - ``seed``, ``orders``: of the flow (`day_of_orders`).
    """
    directory = Directory([instrument])
    schedule = Schedule(lambda on, **told: day, EveryDay(), seed=seed, clock_ns=_CLOCK_NS)
    due = schedule.between(day.time_of(day.day_data) - 1, _end(day))
    phases = [(one.time, one.phase) for one in due if one.phase is not None]
    ends = [moment for moment, _ in phases[1:]] + [phases[-1][0] + 1]
    stretches = [
        Stretch(begin, end, phase) for (begin, phase), end in zip(phases, ends, strict=True)
    ]
    rows = [_encoded([AddInstrument(instrument, time=due[0].time)], directory)]
    rows.append(
        _encoded([_at(one, due[0].time) for one in day.commands(instrument.symbol)], directory)
    )
    # an exchange is closed before its day, and a market that is new is continuous
    rows.append(_encoded([_phase_of(day, due[0].time)], directory))
    made = [one.command(day.group) for one in due if one.action != Action.DAY]
    rows.append(_encoded([one for one in made if one is not None], directory))
    rows.append(day_of_orders(_asked(day, instrument, stretches), orders, seed))
    stream = joined(rows)
    # orders come behind the phase and the clock of their moment
    return stream[np.argsort(stream["time"], kind="stable")], stretches


def _end(day: VenueDay) -> int:
    return day.time_of(day.end_day) + 1


def _at(command: SetMarket, time: int) -> SetMarket:
    return replace(command, time=time)


def _phase_of(day: VenueDay, time: int) -> Command:
    return SetPhase(None, Phase.CLOSED, day.group, time=time)


def _encoded(commands: Sequence[Command], directory: Directory) -> Array:
    return joined([encode(command, directory) for command in commands] or [np.empty(0, COMMAND)])


def _asked(day: VenueDay, instrument: Instrument, stretches: list[Stretch]) -> DayOfOrders:
    values = {parameter: tuple(given.values()) for parameter, given in day.parameters.items()}
    lowest, highest = (None if one is None else instrument.ticks(one) for one in day.limits)
    reference = day.parameters[Parameter.DAY]["reference"]
    return DayOfOrders(1, stretches, reference, values, lowest, highest)
