"""The market of an instrument that moves: as commands, which the other engine takes.

What changes in a market during the day is not moved, so it must be over: the market is closed, its
day is ended, and only limit orders rest that last and show all that they have.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ..engine.engine import Engine
from ..errors import ShardError
from ..records.commands import COMMAND
from ..records.market import Market
from ..records.market_faces import SetMarket
from ..records.markets import PARAMETER, PHASE, PROTECTION
from ..records.parameters import PARAMETERS
from ..records.schema import Flag, Kind, OrderType, Parameter, Phase, Place, TimeInForce

Rows = NDArray[np.void]
#: Without limits, ticks, halts and anything else that could refuse an order that rests elsewhere.
_NEUTRAL = Market()
_LIMITS = ("max_quantity", "max_fills", "window_ns")


def check_leaving(source: Engine, symbol: str, origin: str) -> None:
    """`ShardError` unless commands can carry the market of an instrument."""
    if source.market(symbol) is None:
        return
    where, day = f"{symbol} has a market on the shard {origin}", source.trading_day(symbol)
    assert day is not None
    if day.phase != Phase.CLOSED or day.until or day.open_price is not None:
        raise ShardError(f"{where} in the phase {day.phase.name}: close it, and end its day first")
    state, number = source.state(), source.instruments.number(symbol)
    rows = state.market_orders[state.market_orders["instrument"] == number]
    orders = state.orders[number - 1]
    plain = (rows["place"] == Place.BOOK) & (rows["order_type"] == OrderType.LIMIT)
    plain &= (rows["display"] == 0) & (rows["link"] == 0) & np.isin(rows["flags"], _FLAGS)
    plain &= orders["time_in_force"] == TimeInForce.GTC
    if not plain.all():
        first = int(orders["order_id"][~plain][0])
        raise ShardError(
            f"{where} with orders that cannot be moved: order {first} is not a limit order that is"
            " GTC and shows all that it has. Cancel them first"
        )


_FLAGS = [0, int(Flag.POST_ONLY)]


def opening(source: Engine, target: Engine, symbol: str, number: int, to: str) -> Rows:
    """What makes an empty book of the target, instrument ``number``, take orders as they come."""
    known = target.instruments.get(symbol) is not None
    before = target.market(symbol) if known else None
    if source.market(symbol) is None:
        if before is not None:
            raise ShardError(f"{symbol} has a market on the shard {to}, and none where it is")
        return np.zeros(0, COMMAND)
    instrument = source.instruments[symbol]
    rows = [] if before is None else [_phase(number, Phase.CONTINUOUS)]
    rows += _parameters(_NEUTRAL.commands(instrument, before), number)
    return np.concatenate(rows) if rows else np.zeros(0, COMMAND)


def closing(source: Engine, symbol: str, number: int) -> Rows:
    """What makes the market as it is on the source: behind the orders."""
    market, instrument = source.market(symbol), source.instruments[symbol]
    if market is None:
        return np.zeros(0, COMMAND)
    ended: Rows = np.zeros(1, COMMAND)
    ended["kind"], ended["instrument"] = Kind.END_DAY, number  # forgets the closing price
    protections = source.state().protections
    mine = protections[protections["instrument"] == source.instruments.number(symbol)]
    return np.concatenate([
        *_parameters(market.commands(instrument, _NEUTRAL), number),
        _phase(number, Phase.CLOSED), ended, *(_protection(row, number) for row in mine),
    ])  # fmt: skip


def _parameters(commands: Iterable[SetMarket], number: int) -> list[Rows]:
    """SET_MARKETs of an instrument that has this number, and need not be known yet."""
    found = []
    for one in commands:
        row: Rows = np.zeros(1, PARAMETER)
        row["kind"], row["instrument"] = Kind.SET_MARKET, number
        row["parameter"], row["index"] = Parameter(one.parameter), one.index
        for at, value in enumerate(PARAMETERS[Parameter(one.parameter)], 1):
            row[f"value{at}"] = one.values.get(value.name, value.default)
        found.append(row.view(COMMAND))
    return found


def _phase(number: int, phase: Phase) -> Rows:
    row: Rows = np.zeros(1, PHASE)
    row["kind"], row["instrument"], row["phase"] = Kind.SET_PHASE, number, phase
    return row.view(COMMAND)


def _protection(protection: np.void, number: int) -> Rows:
    row: Rows = np.zeros(1, PROTECTION)
    row["kind"], row["instrument"] = Kind.SET_PROTECTION, number
    row["account"] = protection["account"]
    for name in _LIMITS:
        row[name] = protection[name]
    return row.view(COMMAND)
