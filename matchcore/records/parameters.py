"""The parameters of a market: their values, the bounds of each, and what they are at first.

The one declaration: both machines check and keep the values by it, the typed commands name them
by it, and the documentation shows it.  Only the standard library is imported, as `generate.py`
needs it before anything is compiled.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .schema import (
    CALL_PHASES,
    NEW_FLAGS,
    AuctionRule,
    CageMode,
    ClosingRule,
    OrderType,
    Parameter,
    Phase,
    TimeInForce,
)

VALUES = 8  # of a parameter
INDICES = 16  # places of TICKS; every other parameter has one
INT64_MAX, INT64_MIN = 2**63 - 1, -(2**63)
_PART = 10_000  # hundredths of a percent in one
WINDOW_MAX_NS = 600 * 10**9  # of a closing average: what is counted is kept by milliseconds
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
        Value(
            "window_ns", 0, WINDOW_MAX_NS, 0, "nanoseconds before the last trade that are averaged"
        ),
    ),
}
assert all(len(values) <= VALUES for values in PARAMETERS.values())
