"""The acts of those who operate markets."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...engine.engine import Engine
from ...errors import InvalidArgument
from ...records.instruments import price_text
from ...records.market_texts import market_changes
from ...records.schema import EventKind, Phase
from .acts import accepted, act


@act
def market_set(engine: Engine, symbol: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Changes what is named of a market, or makes the market; ``changes``: as `market_changes`."""
    count = engine.set_market(symbol, **market_changes(changes))
    return {"symbol": symbol, "commands": count, **shown(engine, symbol)}


@act
def market_phase(
    engine: Engine, symbol: str | None, phase: str, group: int, until: str, cancel_orders: bool
) -> dict[str, Any]:
    """Sets the phase of a market, of a group, or of all."""
    answer = engine.set_phase(
        symbol, phase_of(phase), group=group, until=until or 0, cancel_orders=cancel_orders
    )
    accepted(answer.events)
    kinds = answer.events["kind"]
    changed = answer.events[kinds == EventKind.PHASE_CHANGED]
    traded = answer.events[kinds == EventKind.TRADED]
    return {
        "phase": phase_of(phase).name,
        "markets": [engine.instruments[number].symbol for number in _distinct(changed)],
        "trades": len(traded),
        "quantity": int(traded["quantity"].sum()),
        "cancelled": int((kinds == EventKind.CANCELLED).sum()),
        "sequence": int(answer.events["sequence"][-1]),
    }


def _distinct(events: np.ndarray[Any, Any]) -> list[int]:
    return [int(number) for number in dict.fromkeys(events["instrument"].tolist())]


def phase_of(name: str) -> Phase:
    """The phase of a name, in capitals or not; `InvalidArgument` if there is none."""
    try:
        return Phase[name.upper().replace("-", "_")]
    except KeyError:
        known = ", ".join(one.name for one in Phase)
        raise InvalidArgument(f"phase {name!r}: one of {known}") from None


def shown(engine: Engine, symbol: str) -> dict[str, Any]:
    """A market as plain values: where it stands, and its parameters; None: it has none."""
    market, day = engine.market(symbol), engine.trading_day(symbol)
    if market is None or day is None:
        return {"market": None}
    told = day.indicative
    stands = {
        "phase": day.phase.name,
        "until": day.until,
        **{name: _price(getattr(day, name))
           for name in ("open_price", "auction_price", "closing_price")},
        "indicative": None if told is None else {**told._asdict(), "price": _price(told.price)},
    }  # fmt: skip
    return {**stands, "market": market.as_plain()}


def _price(price: Any) -> str | None:
    return None if price is None else price_text(price)
