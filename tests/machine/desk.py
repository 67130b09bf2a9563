"""A desk to send raw commands from, on either machine, and to read the answers as plain rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from matchcore import COMMAND, EventKind, Instrument, Kind, Machine, Side
from matchcore.reference import Machine as Reference

BUY, SELL = Side.BUY, Side.SELL
MACHINES = {"cython": Machine, "reference": Reference}


class Desk:
    """One machine with the instruments given; instrument 1 is meant unless another is named."""

    def __init__(self, machine: str, *instruments: Instrument) -> None:
        from flows import definitions

        self.machine = MACHINES[machine]()
        self.machine.apply(definitions(*(instruments or (Instrument("ONE", "1"),))))

    def send(self, **fields: int) -> NDArray[np.void]:
        """One command; its events, with the invariants checked after it."""
        row = np.zeros(1, COMMAND)
        row["instrument"] = 1
        for name, value in fields.items():
            row[name] = value
        events = self.machine.apply(row)
        self.machine._check()
        assert len(events) and (events["sequence"] == self.machine.sequence).all()
        return events

    def add(
        self, order_id: int, side: int, price: int, quantity: int, tif: int = 1, **more: int
    ) -> list[tuple[int, int, int]]:
        """A limit order; its trades as (maker, price, quantity)."""
        fields = {"order_type": 1, "time_in_force": tif, **more}
        return self.trades(
            self.send(
                kind=Kind.NEW,
                order_id=order_id,
                side=side,
                price=price,
                quantity=quantity,
                **fields,
            )
        )

    def market(
        self, order_id: int, side: int, quantity: int, tif: int = 3
    ) -> list[tuple[int, ...]]:
        return self.add(order_id, side, 0, quantity, tif, order_type=2)

    def amend(self, order_id: int, quantity: int = 0, price: int | None = None) -> NDArray[np.void]:
        """To a new quantity (0: the same) and price (None: the same)."""
        flags = (2 if price is None else 0) | (4 if quantity == 0 else 0)
        return self.send(
            kind=Kind.AMEND, order_id=order_id, quantity=quantity, price=price or 0, flags=flags
        )

    def cancel(self, order_id: int, **more: int) -> NDArray[np.void]:
        return self.send(kind=Kind.CANCEL, order_id=order_id, **more)

    def reduce(self, order_id: int, quantity: int, **more: int) -> NDArray[np.void]:
        return self.send(kind=Kind.REDUCE, order_id=order_id, quantity=quantity, **more)

    def queue(self, instrument: int = 1) -> list[tuple[int, int, int, int]]:
        """(side, price, order id, open quantity), buys then sells, best first, oldest first."""
        orders = self.machine.orders(instrument)
        return [tuple(row) for row in orders[["side", "price", "order_id", "quantity"]].tolist()]

    def best(self) -> tuple[int | None, int | None]:
        sides = (self.machine.levels(1, side, 1) for side in (BUY, SELL))
        bid, ask = (int(levels["price"][0]) if len(levels) else None for levels in sides)
        return bid, ask

    @staticmethod
    def trades(events: NDArray[np.void]) -> list[tuple[int, int, int]]:
        made = events[events["kind"] == EventKind.TRADED]
        return [tuple(row) for row in made[["order_id", "price", "quantity"]].tolist()]

    @staticmethod
    def row(events: NDArray[np.void], at: int = -1) -> dict[str, Any]:
        return dict(zip(events.dtype.names or (), events[at].tolist(), strict=True))
