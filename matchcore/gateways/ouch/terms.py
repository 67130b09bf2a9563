"""Items of orders that only instruments with a market take, as fields of a command."""

from __future__ import annotations

from ...records.arguments import INT64_MAX
from ...records.schema import Flag, OrderType, TimeInForce
from . import layout


def time_of(said: bytes, expires: bool) -> int:
    """The time in force of a request; 0: none that it can have."""
    if expires:
        return int(TimeInForce.GTD) if said == layout.TILL_TIME else 0
    return int(layout.TIMES.get(said, 0))


def terms_of(extra: dict[int, int], order_type: int, flags: int) -> dict[str, int]:
    """What only an order of a market has."""
    found: dict[str, int] = {}
    if layout.STOP_PRICE in extra:
        ticks = extra[layout.STOP_PRICE]
        found["stop_price"] = ticks if ticks <= INT64_MAX else ticks - 2**64
        stops = OrderType.STOP if order_type == OrderType.MARKET else OrderType.STOP_LIMIT
        found["order_type"] = stops
    if layout.EXPIRY in extra:
        found["expiry"] = min(extra[layout.EXPIRY], INT64_MAX)
    if layout.DISPLAY_QUANTITY in extra:
        found["display_quantity"] = min(extra[layout.DISPLAY_QUANTITY], INT64_MAX)
        found["flags"] = flags if found["display_quantity"] else flags | Flag.HIDDEN
    if layout.SELF_TRADE in extra:
        found["self_trade"] = extra[layout.SELF_TRADE]
    return found
