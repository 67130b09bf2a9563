"""From rows of rule tables to a venue's day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, time
from decimal import Decimal
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ..records.arguments import UINT32_MAX, flag, integer
from ..records.instruments import Price
from ..records.market import Market
from ..records.markets import MARKET_VALUE
from ..records.parameters import PARAMETERS, bits
from ..records.schema import (
    AuctionRule,
    CageMode,
    ClosingRule,
    Flag,
    OrderType,
    Parameter,
    Phase,
    TimeInForce,
)
from .day import PhaseAt, VenueDay, day_of
from .tables import TABLES, Row, rules_of

SECOND_NS = 10**9
MINUTE_NS = 60 * SECOND_NS
_Values = dict[str, int]


def venue_day(
    venue: str,
    board: str,
    on: date | str,
    *,
    previous_close: Price | None = None,
    reference: Price | None = None,
    listed_days: int = 0,
    special: bool = False,
) -> VenueDay:
    """A board of a venue on a day; `matchcore.markets` describes the arguments."""
    rules, on = rules_of(venue), day_of(on)
    rules.board(board)
    row = {table: rules.row(table, board, on) for table in TABLES}
    listed_days = integer(listed_days, "listed_days", 0, UINT32_MAX)
    table, tick = row["timetable"], Decimal(row["tick"]["tick"])
    made = VenueDay(
        venue, board, on, rules.timezone, rules.calendar, rules.groups[board], tick, 1,
        tuple(_phases(table)), table["day_data"], table["end_day"],
        table["clock_seconds"] * SECOND_NS, Market(), tuple(row.values()),
    )  # fmt: skip
    free = 0 < listed_days <= row["limits"].get("free_days", 0)
    parameters: Mapping[Parameter, _Values] = {
        Parameter.TRADING: {**_trading(row["trading"], free), "group": made.group},
        Parameter.AUCTION: _auction(row["auction"]),
        Parameter.QUANTITIES: _named(row["quantities"], Parameter.QUANTITIES),
        Parameter.LIMITS: _limits(row["limits"], listed_days),
        Parameter.CAGE: {"mode": CageMode[row["cage"]["mode"]],
                         "part": row["cage"].get("part", 0), "ticks": row["cage"].get("ticks", 0)},
        Parameter.HALTS: _halts(row["halts"]) if free else {},
        Parameter.CLOSING: _closing(row["closing"]),
    }  # fmt: skip
    market = Market.of_rows(_rows(parameters), made.instrument("DAY"))
    return told(
        replace(made, market=market), previous_close, reference, listed_days,
        flag(special, "special"),
    )  # fmt: skip


def told(
    day: VenueDay,
    previous_close: Price | None,
    reference: Price | None,
    listed_days: int,
    special: bool,
) -> VenueDay:
    """A day with its day data; `PriceError` for a price that is not on the tick."""
    reference = previous_close if reference is None else reference
    for price in (previous_close, reference):
        if price is not None:
            day.instrument("DAY").ticks(price)
    return day.changed(
        previous_close=previous_close, reference_price=reference, listed_days=listed_days,
        special=special,
    )  # fmt: skip


def _rows(parameters: Mapping[Parameter, _Values]) -> NDArray[np.void]:
    """A `MARKET_VALUE` array; values that are not given are as at first."""
    rows = np.zeros(len(parameters), MARKET_VALUE)
    for row, (parameter, values) in zip(rows, parameters.items(), strict=True):
        assert values.keys() <= {one.name for one in PARAMETERS[parameter]}, parameter
        row["parameter"] = parameter
        for at, one in enumerate(PARAMETERS[parameter], 1):
            row[f"value{at}"] = values.get(one.name, one.default)
    return rows


def _phases(table: Row) -> Iterable[PhaseAt]:
    before = time()
    for one in table["phases"]:
        assert one["at"] >= before, f"{table}: not in order"
        before = one["at"]
        yield PhaseAt(
            one["at"], Phase[one["phase"]], one.get("window_seconds", 0) * SECOND_NS,
            one.get("ends_halts", False), one.get("cancel_orders", False),
        )  # fmt: skip


def _codes(names: list[str], codes: type[IntEnum]) -> int:
    return bits(codes[name] for name in names)


def _trading(row: Row, free: bool) -> _Values:
    if "types" not in row.values:  # everything
        return {}
    types = row["types_without_limit"] if free else row["types"]
    return {
        "order_types": _codes(types, OrderType),
        "call_types": _codes(row["call_types"], OrderType),
        "times_in_force": _codes(row["times_in_force"], TimeInForce),
        "order_flags": sum(Flag[name] for name in row["flags"]),
        "entry_phases": _codes(row["entry"], Phase),
        "cancel_phases": _codes(row["cancel"], Phase),
        "amends": int(row["amends"]),
    }


def _auction(row: Row) -> _Values:
    return {"rule": AuctionRule[row["rule"]], "interval_ns": row["interval_ms"] * 10**6}


def _named(row: Row, parameter: Parameter) -> _Values:
    """The values that a row has under their own names."""
    names = [one.name for one in PARAMETERS[parameter]]
    return {name: row[name] for name in names if name in row.values}


def _limits(row: Row, listed_days: int) -> _Values:
    values = _named(row, Parameter.LIMITS)
    if listed_days == 1 and "first_day_up" in row.values:
        up, down = row["first_day_up"], row["first_day_down"]
        values |= {"up": up, "down": down, "special_up": up, "special_down": down}
    return values


def _halts(row: Row) -> _Values:
    return {**_named(row, Parameter.HALTS), "duration_ns": row["minutes"] * MINUTE_NS}


def _closing(row: Row) -> _Values:
    window_ns = row.get("last_seconds", 0) * SECOND_NS
    return {"rule": ClosingRule[row["rule"]], "window_ns": window_ns}
