"""What a scheduler sees of an exchange: its markets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...engine.engine import Engine
from ...records.instruments import Instrument
from ...records.markets import defaults, parameter_names, values_of
from ...records.parameters import PARAMETERS
from ...records.schema import NEXT_PHASES, TIMED_PHASES, Parameter, Phase

_CLOSING_KNOWN = 4  # the bit of ``known``
_GROUP = parameter_names(Parameter.TRADING).index("group")


@dataclass(frozen=True)
class MarketNow:
    """A market as it is.

    ``rows``: a `MARKET_VALUE` array; ``state``: its `MARKET_STATE`.
    """

    instrument: Instrument
    rows: NDArray[np.void]
    state: np.void

    @cached_property
    def phase(self) -> Phase:
        return Phase(int(self.state["phase"]))

    @property
    def closing_price(self) -> int | None:
        """In ticks; None until it is known."""
        known = int(self.state["known"]) & _CLOSING_KNOWN
        return int(self.state["closing_price"]) if known else None

    @cached_property
    def values(self) -> Mapping[Parameter, Mapping[str, int]]:
        """The values of every parameter but TICKS, by name."""
        said = {Parameter(int(row["parameter"])): values_of(row) for row in self.rows}
        said.pop(Parameter.TICKS, None)
        return USUAL | {parameter: _named(parameter, values) for parameter, values in said.items()}

    @property
    def group(self) -> int:
        for row in self.rows:
            if row["parameter"] == Parameter.TRADING:
                return values_of(row)[_GROUP]
        return USUAL[Parameter.TRADING]["group"]

    @property
    def is_held(self) -> bool:
        """Whether an operator has halted it without an end."""
        return self.phase == Phase.HALTED and not self.state["until"]

    @property
    def is_paused(self) -> bool:
        """Whether trading is interrupted for a time."""
        return self.phase in TIMED_PHASES and bool(self.state["until"] > 0)


def markets_of(engine: Engine, symbols: Iterable[str]) -> dict[str, MarketNow]:
    """The markets of the instruments that have one, by symbol.

    One by one, so nobody has to wait for all of them.
    """
    found = {}
    for symbol in symbols:
        market, instrument = engine._market(symbol)  # as records: thousands are read at an opening
        if market is not None:
            found[symbol] = MarketNow(instrument, *market)
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
