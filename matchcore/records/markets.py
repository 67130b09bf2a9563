"""The market of an instrument: its records, its parameters and their values.

`PARAMETERS` is the one declaration: both machines check and keep the values by it, the typed
commands name them by it, and the documentation shows it.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..errors import SnapshotDamaged
from .arguments import INT64_MAX, INT64_MIN
from .parameters import INDICES, PARAMETERS, PRICE_MAX, VALUES
from .schema import (
    AMEND_FLAGS,
    MARKET_ORDER_RECORD,
    MARKET_STATE_RECORD,
    MARKET_TRADES_RECORD,
    MARKET_VALUE_RECORD,
    PARAMETER_RECORD,
    PEG_TYPES,
    PHASE_RECORD,
    PROTECTION_RECORD,
    PROTECTION_STATE_RECORD,
    STOP_TYPES,
    ClosingRule,
    Field,
    Parameter,
    Phase,
    Reason,
    Side,
)

#: The layout of a SET_MARKET, of a SET_PHASE and of a SET_PROTECTION, 96 bytes each.
PARAMETER = np.dtype(PARAMETER_RECORD.dtype_spec())
PHASE = np.dtype(PHASE_RECORD.dtype_spec())
PROTECTION = np.dtype(PROTECTION_RECORD.dtype_spec())
#: Parts of a state: a parameter, what changes, an order, a group or protection, counted trades.
MARKET_VALUE = np.dtype(MARKET_VALUE_RECORD.dtype_spec())
MARKET_STATE = np.dtype(MARKET_STATE_RECORD.dtype_spec())
MARKET_ORDER = np.dtype(MARKET_ORDER_RECORD.dtype_spec())
PROTECTION_STATE = np.dtype(PROTECTION_STATE_RECORD.dtype_spec())
MARKET_TRADES = np.dtype(MARKET_TRADES_RECORD.dtype_spec())

#: The price of an order of a market that trades at any, while it is in a call: no number to show.
ANY_BUY, ANY_SELL = INT64_MAX, INT64_MIN


def at_any(side: int, price: int) -> bool:
    """True if an order of a market with this price trades at any, in a call."""
    return price == (ANY_BUY if side == Side.BUY else ANY_SELL)


PROTECTIONS_MAX = 65_536
MILLISECOND_NS = 1_000_000
#: Types that a call does not take, whatever the market says.
CONTINUOUS_TYPES = STOP_TYPES | PEG_TYPES
assert int(AMEND_FLAGS) < 2**16


def parameter_names(parameter: Parameter) -> list[str]:
    """The names of the values of a parameter, in order."""
    return [value.name for value in PARAMETERS[parameter]]


def defaults_of(parameter: Parameter) -> tuple[int, ...]:
    """The values of a parameter before it is set."""
    return tuple(value.default for value in PARAMETERS[parameter])


def defaults() -> dict[Parameter, tuple[int, ...]]:
    """The values of a market that nothing is set of; TICKS is not among them."""
    return {one: defaults_of(one) for one in PARAMETERS if one != Parameter.TICKS}


def values_of(row: np.void) -> tuple[int, ...]:
    """All eight values of a `PARAMETER` or `MARKET_VALUE` row."""
    return tuple(int(row[f"value{at}"]) for at in range(1, VALUES + 1))


def parameter_refusal(row: np.void) -> tuple[Reason, Field] | None:
    """What forbids the parameter of a SET_MARKET, whatever the instrument; None: nothing."""
    code, index, values = int(row["parameter"]), int(row["index"]), values_of(row)
    if code not in {int(parameter) for parameter in Parameter}:
        return Reason.BAD_PARAMETER, Field.PARAMETER
    parameter = Parameter(code)
    if index >= (INDICES if parameter == Parameter.TICKS else 1):
        return Reason.BAD_PARAMETER, Field.INDEX
    if row["reserved"] or row["reserved_long"] or row["reserved_last"]:
        return Reason.UNSUPPORTED, Field.RESERVED
    named = PARAMETERS[parameter]
    fine = all(one.least <= value <= one.most for one, value in zip(named, values, strict=False))
    fine = fine and not any(values[len(named) :])
    if parameter in (Parameter.TRADING, Parameter.QUANTITIES):
        fine = fine and not _unknown_bits(parameter, values)
    if parameter == Parameter.HALTS:
        fine = fine and (values[1] == 0 or values[1] > values[0] > 0)
    return None if fine else (Reason.BAD_PARAMETER, Field.VALUE)


def _unknown_bits(parameter: Parameter, values: tuple[int, ...]) -> bool:
    """True if a mask has a bit that stands for nothing."""
    if parameter != Parameter.TRADING:
        return False
    masks = (one.most for one in PARAMETERS[parameter][:6])
    return any(value & ~mask for value, mask in zip(values, masks, strict=False))


def is_tick_table(table: dict[int, tuple[int, int]]) -> bool:
    """True for a table of ticks (index -> from_price, step): from 0 up, without gaps.

    Each row begins at a price that its own step has, and the step before: so the price on a tick
    below or above another one is one that orders may have.
    """
    rows = [table[index] for index in sorted(table)]
    starts = [start for start, _ in rows]
    fine = sorted(table) == list(range(len(table))) and starts == sorted(set(starts))
    steps = pairwise(rows)
    return (
        fine
        and (not rows or starts[0] == 0)
        and all(start % step == 0 == start % before for (_, before), (start, step) in steps)
    )


def check_values(rows: NDArray[np.void], instruments: int) -> None:
    """`SnapshotDamaged` for parameters that no exchange has in this form."""
    places = rows[["instrument", "parameter", "index"]].tolist()
    if places != sorted(set(places)):
        raise SnapshotDamaged("parameters of markets: twice, or not in order")
    if rows["reserved"].any():
        raise SnapshotDamaged("parameters of markets: reserved bytes that are not 0")
    for row in rows:
        given = np.zeros(1, PARAMETER)[0]
        for name in MARKET_VALUE.names or ():
            given[name] = row[name]
        if not 1 <= row["instrument"] <= instruments or parameter_refusal(given) is not None:
            raise SnapshotDamaged(f"parameters of market {row['instrument']}: none has these")
    ticks = rows[rows["parameter"] == Parameter.TICKS]
    for number in set(ticks["instrument"].tolist()):
        mine = ticks[ticks["instrument"] == number]
        if not is_tick_table({int(r["index"]): (int(r["value1"]), int(r["value2"])) for r in mine}):
            raise SnapshotDamaged(f"parameters of market {number}: no table of ticks")


def check_markets(rows: NDArray[np.void], values: NDArray[np.void], instruments: int) -> None:
    """`SnapshotDamaged` for markets that no exchange has in this form."""
    numbers = rows["instrument"].tolist()
    if numbers != sorted(set(numbers)) or not set(values["instrument"].tolist()) <= set(numbers):
        raise SnapshotDamaged("markets: twice, not in order, or parameters of none")
    fine = (rows["instrument"] >= 1) & (rows["instrument"] <= instruments) & (rows["known"] < 16)
    fine &= (rows["phase"] >= min(Phase)) & (rows["phase"] <= max(Phase)) & (rows["halts"] < 16)
    fine &= (rows["reserved"] == 0) & (rows["close_volume"] >= 0)
    for bit, name in enumerate(("open_price", "auction_price", "closing_price", "indicative_time")):
        fine &= (rows["known"] >> bit & 1 == 1) | (rows[name] == 0)
    for name in ("open_price", "auction_price", "closing_price"):
        fine &= (rows[name] >= -PRICE_MAX) & (rows[name] <= PRICE_MAX)
    if not fine.all():
        raise SnapshotDamaged("markets: values that no exchange has")


def counts_window(closing: tuple[int, ...]) -> bool:
    """True if a market with these values of CLOSING averages what is near the last trade."""
    rule, _, window_ns = closing[:3]
    return rule != ClosingRule.LAST and window_ns > 0


def check_trades(
    rows: NDArray[np.void], markets: NDArray[np.void], values: NDArray[np.void]
) -> None:
    """`SnapshotDamaged` for counted trades that no exchange has in this form."""
    places = rows[["instrument", "time_ms"]].tolist()
    fine = bool((rows["volume"] > 0).all() and (rows["reserved"] == 0).all())
    if not fine or places != sorted(set(places)):
        raise SnapshotDamaged("counted trades: twice, not in order, or of nothing")
    if not set(rows["instrument"].tolist()) <= set(markets["instrument"].tolist()):
        raise SnapshotDamaged("counted trades of no market")
    closing = {
        int(row["instrument"]): values_of(row)
        for row in values[values["parameter"] == Parameter.CLOSING]
    }
    usual = defaults_of(Parameter.CLOSING)
    for market in markets:
        mine = rows[rows["instrument"] == market["instrument"]]
        rule = closing.get(int(market["instrument"]), usual)
        if not counts_window(rule):
            fine = not len(mine) and (rule[0] == ClosingRule.AVERAGE or not market["close_volume"])
        else:
            sums = sum(mine["volume"].tolist()), _turnover(mine, "turnover")
            fine = sums == (int(market["close_volume"]), _turnover(market, "close_turnover"))
            times = mine["time_ms"].tolist()
            fine = fine and (not times or times[-1] - times[0] <= rule[2] // MILLISECOND_NS)
        if not fine:
            raise SnapshotDamaged(f"market {market['instrument']}: counts other trades than it has")


def _turnover(rows: NDArray[np.void] | np.void, name: str) -> int:
    """The sum of numbers of 128 bits."""
    low: list[int] = np.atleast_1d(rows[name]).tolist()
    high: list[int] = np.atleast_1d(rows[f"{name}_high"]).tolist()
    return sum(low) + (sum(high) << 64)


def check_protections(rows: NDArray[np.void], instruments: int) -> None:
    """`SnapshotDamaged` for groups or protections that no exchange has in this form."""
    if len(rows) > PROTECTIONS_MAX:
        raise SnapshotDamaged(f"protections: {len(rows)} entries, {PROTECTIONS_MAX} at most")
    places = rows[["account", "instrument"]].tolist()
    if places != sorted(set(places)):
        raise SnapshotDamaged("protections: entries twice, or not in order")
    counted = [
        rows[name] for name in ("max_quantity", "max_fills", "window_ns", "quantity", "fills")
    ]
    fine = (rows["account"] > 0) & (rows["instrument"] <= instruments) & (rows["reserved"] == 0)
    fine &= (np.stack(counted) >= 0).all(axis=0)
    fine &= ((rows["group"] > 0) & (rows["instrument"] == 0)) | (
        (rows["group"] == 0) & (rows["instrument"] > 0)
    )
    if not fine.all():
        raise SnapshotDamaged("protections: values that no command sets")
