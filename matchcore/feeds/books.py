"""`Books`: every book of an exchange, kept by its public changes alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..machine import Machine
from ..machine._books import Books
from ..records.changes import CHANGE, ChangeKind

__all__ = ["Books", "books_of"]


def books_of(machine: Machine) -> Books:
    """The books as a machine has them now; they share its instruments."""
    books = Books(machine.instruments)
    for number in range(1, len(machine.instruments) + 1):
        orders = machine.orders(number)
        if len(orders):
            books.apply(_added(number, orders))
    return books


def _added(number: int, orders: NDArray[np.void]) -> NDArray[np.void]:
    """Resting orders, an `ORDER` array by side, level and age, as changes that add them."""
    rows = np.zeros(len(orders), CHANGE)
    rows["kind"], rows["instrument"] = ChangeKind.ADDED, number
    for name in ("order_id", "side", "price", "quantity"):
        rows[name] = orders[name]
    rows["left"] = orders["quantity"]
    fresh = np.ones(len(orders), bool)
    fresh[1:] = np.diff(orders["side"]).astype(bool) | (orders["price"][1:] != orders["price"][:-1])
    level = np.cumsum(fresh) - 1
    starts = np.flatnonzero(fresh)
    # unsigned and modulo 2^64: a level fits, the sum of all may not
    sums = np.cumsum(orders["quantity"].astype(np.uint64), dtype=np.uint64)
    before = np.concatenate([np.zeros(1, np.uint64), sums])[starts]
    rows["level_quantity"] = sums - before[level]
    rows["level_orders"] = np.arange(len(orders)) - starts[level] + 1
    return rows
