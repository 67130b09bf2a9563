"""The best prices of each book, from the orders that rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sortedcontainers import SortedDict

from ...records.schema import Side
from ..rows.tables import TABLES
from ..rows.taking import taken

Best = tuple[int, int, int]  # price in ticks, quantity, number of orders


class Levels:
    """Orders by the sequence that made them, and their levels by instrument and side."""

    def __init__(self) -> None:
        self._orders: dict[int, list[NDArray[np.void]]] = {}  # a quote has made two
        self._sides: dict[tuple[int, int], SortedDict] = {}

    def add(self, rows: NDArray[np.void]) -> None:
        """Orders, as rows of `open_orders`."""
        for at, (seq, key, price, quantity) in enumerate(_parts(rows)):
            self._orders.setdefault(seq, []).append(rows[at : at + 1].copy())
            side = self._sides.setdefault(key, SortedDict())
            total, count = side.get(price, (0, 0))
            side[price] = total + quantity, count + 1

    def take(self, seqs: NDArray[np.int64]) -> NDArray[np.void]:
        """Removes the orders of these sequences and returns their rows."""
        found = [row for seq in seqs.tolist() for row in self._orders.pop(seq)]
        if not found:
            return np.zeros(0, TABLES["open_orders"].dtype)
        rows = taken(np.concatenate(found), np.arange(len(found)))
        for _, key, price, quantity in _parts(rows):
            side = self._sides[key]
            total, count = side[price]
            if count == 1:
                del side[price]
            else:
                side[price] = total - quantity, count - 1
        return rows

    def best(self, instrument: int, side: Side) -> Best | None:
        """The best level of a side, None if it is empty."""
        levels = self._sides.get((instrument, int(side)))
        if not levels:
            return None
        price, (quantity, orders) = levels.peekitem(-1 if side == Side.BUY else 0)
        return price, quantity, orders


def _parts(rows: NDArray[np.void]) -> list[tuple[int, tuple[int, int], int, int]]:
    keys = zip(rows["instrument"].tolist(), rows["side"].tolist(), strict=True)
    return list(zip(rows["seq"].tolist(), keys, rows["price_ticks"].tolist(),
                    rows["open_quantity"].tolist(), strict=True))  # fmt: skip
