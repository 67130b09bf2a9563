"""A seeded day of orders for an instrument with a market: every type that its phases take.

A stand-in for a real day where there is none: prices walk about a reference, orders come as they do
over a day (dense at the open and before the close), and a share of them is cancelled.  The same
arguments give the same commands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..records.commands import COMMAND
from ..records.markets import CONTINUOUS_TYPES
from ..records.parameters import PARAMETERS
from ..records.schema import (
    CALL_PHASES,
    PEG_TYPES,
    UNPRICED_TYPES,
    Kind,
    OrderType,
    Parameter,
    Phase,
    Side,
    TimeInForce,
)

Array = NDArray[Any]
#: Share of the orders of a day in a phase, by its length in seconds and this weight.
_WEIGHTS = {
    Phase.OPENING_CALL: 4.0,
    Phase.OPENING_CALL_LOCKED: 3.0,
    Phase.CONTINUOUS: 1.0,
    Phase.CLOSING_CALL: 5.0,
    Phase.AT_CLOSING_PRICE: 0.3,
}
_CANCELS = 0.22
#: How often a type is drawn, beside LIMIT.
_TYPES = {
    OrderType.MARKET: 0.05,
    OrderType.BEST_FIVE: 0.04,
    OrderType.BEST_FIVE_LIMIT: 0.04,
    OrderType.OWN_BEST: 0.03,
    OrderType.COUNTERPARTY_BEST: 0.03,
    OrderType.MARKET_TO_LIMIT: 0.02,
    OrderType.STOP: 0.02,
    OrderType.STOP_LIMIT: 0.02,
    OrderType.TRAILING_STOP: 0.01,
    OrderType.PEG_PRIMARY: 0.02,
    OrderType.PEG_MARKET: 0.01,
    OrderType.PEG_MIDPOINT: 0.01,
}
_ICEBERGS = 0.06  # of limit orders, where a market has them
_SECOND = 1_000_000_000


class Stretch(NamedTuple):
    """A part of a day in one phase, in nanoseconds since 1970."""

    start: int
    end: int
    phase: Phase


@dataclass(frozen=True)
class DayOfOrders:
    """What a day is drawn for.

    - ``number``: of the instrument; ``values``: the parameters of its market.
    - ``stretches``: its phases in order.
    - ``reference``: a price in ticks; ``lowest``, ``highest``: the limits of the day, or None.
    - ``step``: ticks between two prices.
    """

    number: int
    stretches: Sequence[Stretch]
    reference: int
    values: dict[Parameter, tuple[int, ...]] = field(default_factory=dict)
    lowest: int | None = None
    highest: int | None = None
    step: int = 1
    accounts: int = 40

    def value(self, parameter: Parameter, name: str) -> int:
        """A value of the market, or what it is at first."""
        named = PARAMETERS[parameter]
        at = [one.name for one in named].index(name)
        given = self.values.get(parameter)
        return named[at].default if given is None else given[at]

    def takes(self, mask: str, code: int) -> bool:
        return bool(self.value(Parameter.TRADING, mask) >> code & 1)


def day_of_orders(day: DayOfOrders, orders: int, seed: int) -> Array:
    """``orders`` new orders and cancels as a `COMMAND` array, in the order of their times."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(orders, COMMAND)
    rows["time"], phases = _times(rng, day, orders)
    rows["instrument"] = day.number
    walk = np.cumsum(rng.normal(0, 0.35, orders)) * day.step
    middle = day.reference + walk - 0.3 * (walk - walk.mean())
    live: list[tuple[int, int]] = []  # ids and accounts of orders that may still be there
    for at in range(orders):
        row, phase = rows[at : at + 1], Phase(int(phases[at]))
        if live and rng.random() < _CANCELS and day.takes("cancel_phases", phase):
            row["kind"] = Kind.CANCEL
            row["order_id"], row["account"] = live.pop(int(rng.integers(len(live))))
            continue
        _draw(rng, day, row[0], phase, float(middle[at]))
        row["order_id"] = at + 1
        row["client_order_id"] = at + 1
        live.append((at + 1, int(row["account"][0])))
    return rows


def _times(rng: np.random.Generator, day: DayOfOrders, orders: int) -> tuple[Array, Array]:
    """When orders come, and in which phase: where the market takes some."""
    open_ones = [one for one in day.stretches if day.takes("entry_phases", one.phase)]
    weights = np.array(
        [_WEIGHTS.get(one.phase, 0.5) * (one.end - one.start) / _SECOND for one in open_ones]
    )
    counts = rng.multinomial(orders, weights / weights.sum())
    times, phases = [], []
    for one, count in zip(open_ones, counts.tolist(), strict=True):
        # denser at both ends of a stretch, as days are
        drawn = rng.beta(0.8, 0.8, count)
        span = one.end - one.start - 1
        times.append(np.sort(one.start + (drawn * span).astype(np.int64)))
        phases.append(np.full(count, int(one.phase)))
    return np.concatenate(times), np.concatenate(phases)


def _draw(
    rng: np.random.Generator, day: DayOfOrders, row: Any, phase: Phase, middle: float
) -> None:
    """A new order that the phase takes."""
    row["kind"], row["account"] = Kind.NEW, int(rng.integers(1, day.accounts + 1))
    side = Side.BUY if rng.random() < 0.5 else Side.SELL
    row["side"] = side
    kind = _type(rng, day, phase)
    row["order_type"] = kind
    away = float(rng.exponential(4.0)) - 1.2  # below zero: beyond the middle
    price = middle - away * day.step if side == Side.BUY else middle + away * day.step
    row["price"] = 0 if kind in UNPRICED_TYPES else _inside(day, price)
    row["time_in_force"] = _tif(rng, day, kind, phase)
    least = day.value(Parameter.QUANTITIES, "buy_least" if side == Side.BUY else "sell_least")
    step = max(1, day.value(Parameter.QUANTITIES, "buy_step"))
    row["quantity"] = max(least, step * int(1 + rng.geometric(0.25)))
    continuous = phase == Phase.CONTINUOUS
    if kind in (OrderType.STOP, OrderType.STOP_LIMIT):
        beyond = abs(float(rng.normal(0, 12))) + 3
        row["stop_price"] = _inside(
            day, middle + (beyond if side == Side.BUY else -beyond) * day.step
        )
    elif kind == OrderType.TRAILING_STOP:
        row["stop_price"] = day.step * int(rng.integers(4, 15))
    elif kind in PEG_TYPES:
        row["stop_price"] = -day.step * int(rng.integers(0, 3))
    elif (kind == OrderType.LIMIT and continuous and row["time_in_force"] == TimeInForce.DAY
          and rng.random() < _ICEBERGS and _icebergs(day)):  # fmt: skip
        row["display_quantity"] = row["quantity"]
        row["quantity"] *= int(rng.integers(3, 9))


def _icebergs(day: DayOfOrders) -> bool:
    """A market with pegs is one with icebergs: neither is a kind of the Chinese exchanges."""
    return day.takes("order_types", OrderType.PEG_PRIMARY)


def _type(rng: np.random.Generator, day: DayOfOrders, phase: Phase) -> OrderType:
    draw = float(rng.random())
    for kind, share in _TYPES.items():
        if draw < share:
            fits = day.takes("order_types", kind)
            if phase in CALL_PHASES:
                fits = fits and kind not in CONTINUOUS_TYPES and day.takes("call_types", kind)
            fits = fits and phase != Phase.AT_CLOSING_PRICE
            call_only = kind == OrderType.MARKET or phase not in CALL_PHASES
            return kind if fits and call_only else OrderType.LIMIT
        draw -= share
    return OrderType.LIMIT


def _tif(rng: np.random.Generator, day: DayOfOrders, kind: OrderType, phase: Phase) -> TimeInForce:
    if kind == OrderType.LIMIT and phase == Phase.CONTINUOUS and rng.random() < 0.05:
        for tif in (TimeInForce.IOC, TimeInForce.FOK):
            if day.takes("times_in_force", tif) and rng.random() < 0.5:
                return tif
    sweeps = kind in (OrderType.MARKET, OrderType.BEST_FIVE) and phase == Phase.CONTINUOUS
    if sweeps and day.takes("times_in_force", TimeInForce.IOC):
        return TimeInForce.IOC
    return TimeInForce.DAY


def _inside(day: DayOfOrders, price: float) -> int:
    """A price on the tick and within the limits of the day."""
    ticks = round(price / day.step) * day.step
    if day.lowest is not None:
        ticks = max(ticks, -(-day.lowest // day.step) * day.step)
    if day.highest is not None:
        ticks = min(ticks, day.highest // day.step * day.step)
    return ticks
