"""Limits of what is remembered of orders."""

from __future__ import annotations

from ..records.arguments import integer

#: How many finished orders, and client order ids that an amend has replaced, are remembered.
REMEMBERED = 1 << 20
#: How many trades, at most, are remembered, so that one that is busted can be told.
TRADES_MAX = 1 << 20
#: How many commands under way can be found by their client order id.
PENDING_MAX = 1 << 16


def remembered_limit(value: int) -> int:
    """``remembered`` of `Reports`; InvalidArgument for anything but 1 to 2^30."""
    return integer(value, "remembered", 1, 1 << 30)
