"""What an order of a market has beside price and quantity, as it stands."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from ..records.fields import values_of
from ..records.instruments import Instrument, percent
from ..records.order_records import stop_said
from ..records.schema import UNPRICED_TYPES, Flag, OrderType, Place, SelfTrade


@dataclass(frozen=True, slots=True)
class Terms:
    """What a live order of a market has beside price and quantity; fields as of `NewOrder`.

    - ``order_type``: what it is now: a stop that was triggered is a MARKET or LIMIT order.
    - ``place``, a `matchcore.records.schema.Place`: BOOK; STOPS or TRAILING until it is triggered;
      WAITING for its call; CAGED until the price cage lets it in.
    - ``filled``, ``shown``: in units; what the book shows of it.
    - ``stop_price``: of a trailing stop too, where it stands.
    - ``bound``: the worst price of an order without a limit of its own; None: any.
    - ``quoted``: it is a side of a quote.
    """

    order_type: OrderType
    place: Place
    filled: int
    shown: int
    display_quantity: int = 0
    minimum_quantity: int = 0
    stop_price: Decimal | None = None
    offset: Decimal | None = None
    trailing_percent: Decimal | None = None
    bound: Decimal | None = None
    expiry: int = 0
    self_trade: SelfTrade = SelfTrade.ALLOWED
    hidden: bool = False
    quoted: bool = False
    linked_order_id: int = 0
    session: int = 0


def terms_of(row: np.void, instrument: Instrument) -> Terms:
    """The typed form of a `MARKET_ORDER` row."""
    values = values_of(row)
    kind, flags, limit = OrderType(values["order_type"]), values["flags"], values["limit"]
    stop: dict[str, Any]
    if kind == OrderType.TRAILING_STOP:  # whose distance is kept in the place of a bound
        stop = {"stop_price": instrument.price(values["stop_price"])}
        if flags & Flag.PERCENT:
            stop["trailing_percent"] = percent(limit)
        else:
            stop["offset"] = instrument.price(limit)
    else:
        stop = stop_said({**values, "flags": flags & ~Flag.PERCENT}, kind, instrument)
    bounded = flags & Flag.PROTECTED and kind in UNPRICED_TYPES - {OrderType.TRAILING_STOP}
    return Terms(
        kind,
        Place(values["place"]),
        values["filled"],
        values["shown"],
        values["display"],
        **stop,
        bound=instrument.price(limit) if bounded else None,
        expiry=values["expiry"],
        self_trade=SelfTrade(values["self_trade"]),
        hidden=bool(flags & Flag.HIDDEN),
        quoted=bool(flags & Flag.QUOTED),
        linked_order_id=values["link"],
        session=values["session"],
    )
