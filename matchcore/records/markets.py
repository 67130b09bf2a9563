"""The market of an instrument: its records, its parameters and their values.

`PARAMETERS` is the one declaration: both machines check and keep the values by it, the typed
commands name them by it, and the documentation shows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import SnapshotDamaged
from .arguments import INT64_MAX, INT64_MIN
from .schema import (
    AMEND_FLAGS,
    CALL_PHASES,
    MARKET_ORDER_RECORD,
    MARKET_STATE_RECORD,
    MARKET_VALUE_RECORD,
    NEW_FLAGS,
    PARAMETER_RECORD,
    PEG_TYPES,
    PHASE_RECORD,
    PROTECTION_RECORD,
    PROTECTION_STATE_RECORD,
    STOP_TYPES,
    AuctionRule,
    CageMode,
    ClosingRule,
    Field,
    OrderType,
    Parameter,
    Phase,
    Reason,
    TimeInForce,
)

#: The layout of a SET_MARKET, of a SET_PHASE and of a SET_PROTECTION, 96 bytes each.
PARAMETER = np.dtype(PARAMETER_RECORD.dtype_spec())
PHASE = np.dtype(PHASE_RECORD.dtype_spec())
PROTECTION = np.dtype(PROTECTION_RECORD.dtype_spec())
#: Parts of a state: a parameter, what changes, an order, a group or protection.
MARKET_VALUE = np.dtype(MARKET_VALUE_RECORD.dtype_spec())
MARKET_STATE = np.dtype(MARKET_STATE_RECORD.dtype_spec())
MARKET_ORDER = np.dtype(MARKET_ORDER_RECORD.dtype_spec())
PROTECTION_STATE = np.dtype(PROTECTION_STATE_RECORD.dtype_spec())

VALUES = 8  # of a parameter
INDICES = 16  # places of TICKS; every other parameter has one
PROTECTIONS_MAX = 65_536
_PART = 10_000  # hundredths of a percent in one
#: No price of a market is further from zero, in ticks: so sums and parts of prices have 64 bits.
PRICE_MAX = 2**40


def bits(codes: Iterable[int]) -> int:
    """A mask with bit n for each code n."""
    return sum(1 << int(code) for code in codes)


class Value(NamedTuple):
    """One value of a parameter: its name, its bounds, what it is before it is set, its unit."""

    name: str
    least: int
    most: int
    default: int
    unit: str


def _flag(name: str, unit: str = "0 or 1", default: int = 0) -> Value:
    return Value(name, 0, 1, default, unit)


def _units(name: str, default: int = 0) -> Value:
    return Value(name, 0, INT64_MAX, default, "units, 0: none")


def _part(name: str, most: int = _PART * 100) -> Value:
    return Value(name, 0, most, 0, "hundredths of a percent, 0: none")


def _price(name: str) -> Value:
    return Value(name, -PRICE_MAX, PRICE_MAX, 0, "ticks")


_ENTRY = CALL_PHASES | {Phase.PRE_OPEN, Phase.CONTINUOUS, Phase.AT_CLOSING_PRICE}
_CANCEL = _ENTRY - {Phase.OPENING_CALL_LOCKED} | {Phase.HALTED, Phase.CANCEL_ONLY}
_CALL_TYPES = {OrderType.LIMIT, OrderType.MARKET}

#: parameter -> its values, in the order of the record.
PARAMETERS: dict[Parameter, tuple[Value, ...]] = {
    Parameter.TRADING: (
        Value("order_types", 0, bits(OrderType), bits(OrderType), "bits of OrderType"),
        Value("call_types", 0, bits(_CALL_TYPES), bits(_CALL_TYPES), "bits of OrderType"),
        Value("times_in_force", 0, bits(TimeInForce), bits(TimeInForce), "bits of TimeInForce"),
        Value("order_flags", 0, int(NEW_FLAGS), int(NEW_FLAGS), "Flag"),
        Value("entry_phases", 0, bits(Phase), bits(_ENTRY), "bits of Phase"),
        Value("cancel_phases", 0, bits(Phase), bits(_CANCEL), "bits of Phase"),
        _flag("amends", "1: AMEND is taken", 1),
        Value("group", 0, 2**32 - 1, 0, "any number, of SET_PHASE"),
    ),
    Parameter.ALLOCATION: (
        _flag("pro_rata"),
        Value("top_share", 0, 100, 0, "percent of what is left, for the oldest order"),
        _units("least"),
    ),
    Parameter.AUCTION: (
        Value("rule", 0, max(AuctionRule), 0, "AuctionRule"),
        Value(
            "interval_ns", -1, INT64_MAX, 0, "nanoseconds between two indicative prices, -1: off"
        ),
    ),
    Parameter.QUANTITIES: (
        _units("buy_least"),
        _units("buy_step"),
        _units("sell_least"),
        _units("sell_step"),
        _units("limit_most"),
        _units("market_most"),
        Value("value_most", 0, INT64_MAX, 0, "ticks times units, 0: none"),
        _units("display_least"),
    ),
    Parameter.LIMITS: (
        _part("up"),
        _part("down", _PART),
        _part("special_up"),
        _part("special_down", _PART),
        Value("free_days", 0, 2**32 - 1, 0, "days from listing without a limit"),
    ),
    Parameter.CAGE: (
        Value("mode", 0, max(CageMode), 0, "CageMode"),
        _part("part"),
        Value("ticks", 0, 2**31, 0, "ticks, 0: the part alone"),
    ),
    Parameter.VOLATILITY: (
        _part("static"),
        _part("dynamic"),
        Value("duration_ns", 0, INT64_MAX, 0, "nanoseconds"),
    ),
    Parameter.HALTS: (
        _part("first"),
        _part("second"),
        Value("duration_ns", 0, INT64_MAX, 0, "nanoseconds"),
    ),
    Parameter.DAY: (
        _price("previous_close"),
        _price("reference"),
        Value("listed_days", 0, 2**32 - 1, 0, "1: the day of listing, 0: not told"),
        _flag("special", "1: under special treatment"),
    ),
    Parameter.TICKS: (
        Value("from_price", 0, PRICE_MAX, 0, "ticks, without a sign"),
        Value("step", 1, PRICE_MAX, 1, "ticks"),
    ),
    Parameter.CLOSING: (
        Value("rule", 0, max(ClosingRule), 0, "ClosingRule"),
        Value("from_ns", INT64_MIN, INT64_MAX, 0, "time from which AVERAGE counts"),
    ),
}
#: Types that a call does not take, whatever the market says.
CONTINUOUS_TYPES = STOP_TYPES | PEG_TYPES
assert all(len(values) <= VALUES for values in PARAMETERS.values())
assert int(AMEND_FLAGS) < 2**16


def defaults() -> dict[Parameter, tuple[int, ...]]:
    """The values of a market that nothing is set of; TICKS is not among them."""
    return {
        parameter: tuple(value.default for value in values)
        for parameter, values in PARAMETERS.items()
        if parameter != Parameter.TICKS
    }


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
