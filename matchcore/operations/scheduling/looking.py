"""What a scheduler sees of an exchange: the markets of a state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...machine.state import State
from ...records.instruments import Instrument
from ...records.markets import defaults, values_of
from ...records.parameters import PARAMETERS
from ...records.schema import NEXT_PHASES, TIMED_PHASES, Parameter, Phase

_CLOSING_KNOWN = 4  # the bit of ``known``


@dataclass(frozen=True, slots=True)
class MarketNow:
    """A market as it is: its phase, its closing price in ticks, and its parameters."""

    instrument: Instrument
    phase: Phase
    until: int
    closing_price: int | None
    values: Mapping[Parameter, Mapping[str, int]]

    @property
    def group(self) -> int:
        return self.values[Parameter.TRADING]["group"]

    @property
    def is_held(self) -> bool:
        """Whether an operator has halted it without an end."""
        return self.phase == Phase.HALTED and not self.until

    @property
    def is_paused(self) -> bool:
        """Whether trading is interrupted for a time."""
        return self.phase in TIMED_PHASES and self.until > 0


def markets_of(state: State) -> dict[str, MarketNow]:
    """The markets of a state by symbol, in the order of their numbers."""
    said: dict[int, dict[Parameter, Mapping[str, int]]] = {}
    for row in state.market_values:
        parameter = Parameter(int(row["parameter"]))
        if parameter != Parameter.TICKS:
            mine = said.setdefault(int(row["instrument"]), {})
            mine[parameter] = _named(parameter, values_of(row))
    found = {}
    for row in state.markets:
        number, known = int(row["instrument"]), int(row["known"])
        instrument = state.instruments[number - 1]
        found[instrument.symbol] = MarketNow(
            instrument, Phase(int(row["phase"])), int(row["until"]),
            int(row["closing_price"]) if known & _CLOSING_KNOWN else None,
            USUAL | said.get(number, {}),
        )  # fmt: skip
    return found


def _named(parameter: Parameter, values: tuple[int, ...]) -> dict[str, int]:
    return {one.name: value for one, value in zip(PARAMETERS[parameter], values, strict=False)}


#: The parameters of an instrument without a market.
USUAL = {parameter: _named(parameter, values) for parameter, values in defaults().items()}


def phases_to(now: Phase, wanted: Phase) -> list[Phase]:
    """The phases to set, one after the other, to get from one to another.

    The shortest way on which nothing trades before the end; over phases of a usual day, if there is
    one.
    """
    trading = {Phase.CONTINUOUS, Phase.AT_CLOSING_PRICE}
    for avoided in (trading | TIMED_PHASES | {Phase.CANCEL_ONLY}, trading):
        ways, seen = [[now]], {now}
        while ways:
            way = ways.pop(0)
            for phase in sorted(NEXT_PHASES[way[-1]] - seen, key=_closed_first):
                if phase == wanted:
                    return [*way[1:], phase]
                if phase not in avoided:
                    seen.add(phase)
                    ways.append([*way, phase])
    raise AssertionError(f"no way from {now!r} to {wanted!r}")


def _closed_first(phase: Phase) -> tuple[bool, int]:
    return phase != Phase.CLOSED, int(phase)
