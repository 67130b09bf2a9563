"""Columns whose numbers are codes, and the words that people read for them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from ...records.schema import CANCEL_REASONS, OrderType, Reason, Side, TimeInForce
from .tables import CANCELLED, FILLED, MAKER, OPEN, TAKER


def _words(kinds: Iterable[IntEnum]) -> dict[int, str]:
    return {int(kind): kind.name.lower().replace("_", " ") for kind in kinds}


_SIDES = _words(Side)
#: Column -> code -> word.
WORDS: dict[str, dict[int, str]] = {
    "side": _SIDES,
    "aggressor": _SIDES,
    "order_type": _words(OrderType),
    "time_in_force": _words(TimeInForce),
    "status": {OPEN: "open", FILLED: "filled", CANCELLED: "cancelled"},
    "reason": _words([Reason.NONE, *sorted(CANCEL_REASONS)]),
    "liquidity": {MAKER: "maker", TAKER: "taker"},
}
