"""`Books`: every book of an exchange, kept by its public changes alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..machine import Machine
from ..machine._books import Books
from ..records.changes import CHANGE, ChangeKind
from ..records.schema import Place

__all__ = ["Books", "books_of"]


def books_of(machine: Machine) -> Books:
    """The books as a machine has them now; they share its instruments."""
    books = Books(machine.instruments)
    hidden = _of_markets(machine)
    for number in range(1, len(machine.instruments) + 1):
        orders = hidden[number] if number in hidden else machine.orders(number)
        if len(orders):
            books.apply(_added(number, orders))
    return books


def _of_markets(machine: Machine) -> dict[int, NDArray[np.void]]:
    """By instrument with a market the orders that its public book shows, with what it shows."""
    found: dict[int, NDArray[np.void]] = {}
    if machine.rules < 3:
        return found
    state, at = machine.state(), 0
    for number in state.markets["instrument"].tolist():
        orders = state.orders[number - 1]
        more = state.market_orders[at : at + len(orders)]
        at += len(orders)
        shown = (more["place"] == Place.BOOK) & (more["shown"] > 0)
        found[number] = orders[shown].copy()
        found[number]["quantity"] = more["shown"][shown]
    return found


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
