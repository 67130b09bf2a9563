"""Columns whose numbers are codes, and the words that people read for them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from ...records.schema import CANCEL_REASONS, OrderType, Parameter, Phase, Reason, Side, TimeInForce
from .tables import CANCELLED, CROSSED, FILLED, MAKER, NOBODY, OPEN, TAKER


def _words(kinds: Iterable[IntEnum]) -> dict[int, str]:
    return {int(kind): kind.name.lower().replace("_", " ") for kind in kinds}


_SIDES, _PHASES = _words(Side), _words(Phase)
#: Column -> code -> word.
WORDS: dict[str, dict[int, str]] = {
    "side": _SIDES,
    "aggressor": {NOBODY: "nobody", **_SIDES},
    "order_type": _words(OrderType),
    "time_in_force": _words(TimeInForce),
    "status": {OPEN: "open", FILLED: "filled", CANCELLED: "cancelled"},
    "reason": _words([Reason.NONE, *sorted(CANCEL_REASONS)]),
    "liquidity": {MAKER: "maker", TAKER: "taker", CROSSED: "auction"},
    "parameter": _words(Parameter),
    "phase": _PHASES,
    "former": _PHASES,
}
