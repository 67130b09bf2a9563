"""Rows of markets: phases that began, indicative prices, busted trades."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...records.markets import ANY_BUY, ANY_SELL, PARAMETER
from ...records.parameters import VALUES
from ...records.schema import EventKind, Flag, Kind, OrderType
from .tables import TABLES
from .taking import taken

if TYPE_CHECKING:
    from .rows import _Batch

Array = NDArray[np.void]


def _told(batch: _Batch, kind: EventKind, table: str) -> tuple[Array, Array]:
    """The events of a kind, and rows of a table with what all of them have."""
    at = np.flatnonzero(batch.kind == kind)
    rows = np.zeros(len(at), TABLES[table].dtype)
    rows["shard"], rows["seq"], rows["time_ns"] = batch.shard, batch.seq[at], batch.time[at]
    rows["instrument_seq"] = batch.version[at]
    events = taken(batch.events, at)
    rows["instrument"], rows["quantity"] = events["instrument"], events["quantity"]
    rows["price_ticks"] = events["price"]
    if "n" in TABLES[table].key:
        rows["n"] = np.arange(len(at)) - np.searchsorted(rows["seq"], rows["seq"])
    return events, rows


def phase_changes(batch: _Batch) -> Array:
    """``price_ticks`` and ``quantity``: of the auction that ended with the former phase, or 0."""
    events, rows = _told(batch, EventKind.PHASE_CHANGED, "phase_changes")
    rows["phase"], rows["former"] = events["left"], events["taker_left"]
    rows["reason"] = events["reason"]
    return rows


def indicatives(batch: _Batch) -> Array:
    """All zero: nothing would trade any more."""
    events, rows = _told(batch, EventKind.INDICATIVE, "indicatives")
    rows["imbalance"] = events["left"]
    return rows


def market_parameters(batch: _Batch) -> Array:
    """What SET_MARKET has set, as the values of its parameter (`records/markets.py`)."""
    at = np.flatnonzero(batch.kind == EventKind.MARKET_SET)
    given = np.ascontiguousarray(taken(batch.commands, batch.at[at])).view(PARAMETER)
    rows = np.zeros(len(at), TABLES["market_parameters"].dtype)
    rows["shard"], rows["seq"], rows["time_ns"] = batch.shard, batch.seq[at], batch.time[at]
    rows["instrument_seq"] = batch.version[at]
    for name in ("instrument", "parameter", *(f"value{n}" for n in range(1, VALUES + 1))):
        rows[name] = given[name]
    rows["place"] = given["index"]
    return rows


def terms(rows: Array, given: Array) -> None:
    """Of new orders: stop price, displayed quantity and expiry, as far as their commands say."""
    stops = np.isin(given["order_type"], [OrderType.STOP, OrderType.STOP_LIMIT])
    stops &= given["kind"] == Kind.NEW
    rows["stop_ticks"][stops] = given["stop_price"][stops]
    shows = (given["kind"] == Kind.NEW) & (given["flags"] & Flag.LINKED == 0)
    rows["display_quantity"][shows] = given["display_quantity"][shows]
    rows["expiry_ns"] = given["expiry"]


def new_terms(rows: Array, at: NDArray[np.intp], given: Array) -> None:
    """Those that AMEND has changed, in order."""
    amends = given["kind"] == Kind.AMEND
    changed = (
        (Flag.NEW_STOP, "stop_ticks", "stop_price"),
        (Flag.NEW_DISPLAY, "display_quantity", "display_quantity"),
    )
    for flag, name, field in changed:
        new = amends & (given["flags"] & flag != 0)
        rows[name][at[new]] = given[field][new]


def busts(batch: _Batch) -> Array:
    """``price_ticks`` and ``quantity`` are what the operator said of the trade."""
    events, rows = _told(batch, EventKind.BUSTED, "busts")
    rows["trade_id"] = events["trade_id"]
    return rows


def shown_prices(order_types: NDArray[np.integer], prices: NDArray[np.int64]) -> NDArray[np.int64]:
    """0 in place of the prices that stand for any, of market orders in a call."""
    at_any = (prices == ANY_BUY) | (prices == ANY_SELL)
    return np.where(at_any & (order_types == OrderType.MARKET), 0, prices)
