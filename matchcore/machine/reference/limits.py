"""The limits of accounts in the reference machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ...records.limits import ACCOUNT_LIMITS, VALUES
from ...records.schema import Field, LimitFlag, Reason
from .refusals import require

Place = tuple[int, int]  # account, instrument


@dataclass(slots=True)
class Limits:
    """Of an account in one instrument, or in all; 0: no limit."""

    max_quantity: int = 0
    max_value: int = 0
    max_open_orders: int = 0
    collar: int = 0
    max_messages: int = 0
    window_ns: int = 0
    flags: int = 0
    window_start: int = 0
    messages: int = 0

    @classmethod
    def of(cls, values: Mapping[str, int]) -> Limits:
        named = {name: values[name] for name in VALUES}
        return cls(**named, flags=values["flags"] & LimitFlag.BLOCKED)

    @property
    def is_set(self) -> bool:
        return any(getattr(self, name) for name in VALUES) or bool(self.flags)

    def starts_anew(self, time: int) -> bool:
        """Whether a message at this time is the first of a window."""
        return self.messages == 0 or time - self.window_start >= self.window_ns

    def check_rate(self, time: int) -> None:
        fine = not self.max_messages or self.messages < self.max_messages or self.starts_anew(time)
        require(fine, Reason.LIMIT_EXCEEDED, Field.MAX_MESSAGES)

    def count(self, time: int) -> None:
        if self.max_messages:
            if self.starts_anew(time):
                self.window_start, self.messages = time, 0
            self.messages += 1


def admit(limits: Sequence[Limits], time: int) -> None:
    """Whether an account may send a NEW or AMEND now; then it is counted."""
    for one in limits:
        require(not one.flags, Reason.ACCOUNT_BLOCKED, Field.ACCOUNT)
    for one in limits:
        one.check_rate(time)
    for one in limits:
        one.count(time)


def allow(
    limits: Sequence[Limits],
    last: int | None,
    price: int | None,
    quantity: int,
    open_orders: Sequence[int],
) -> None:
    """Whether an order that all other rules allow is within its account's limits.

    ``price``: None for a MARKET order; ``open_orders``: for each of the limits, how many rest if
    this one may rest, too, and nothing otherwise.
    """
    value = last if price is None else price
    for at, one in enumerate(limits):
        over = {
            Field.MAX_QUANTITY: one.max_quantity and quantity > one.max_quantity,
            Field.MAX_VALUE: (
                one.max_value and value is not None and abs(value) * quantity > one.max_value
            ),
            Field.MAX_OPEN_ORDERS: (
                one.max_open_orders and open_orders and open_orders[at] >= one.max_open_orders
            ),
            Field.COLLAR: (
                one.collar
                and last is not None
                and price is not None
                and abs(price - last) > one.collar
            ),
        }
        for field, exceeded in over.items():
            require(not exceeded, Reason.LIMIT_EXCEEDED, field)


def rows_of(limits: Mapping[Place, Limits]) -> NDArray[np.void]:
    """An `ACCOUNT_LIMITS` array by account and instrument."""
    rows = np.zeros(len(limits), ACCOUNT_LIMITS)
    for row, ((account, instrument), one) in zip(rows, sorted(limits.items()), strict=True):
        row["account"], row["instrument"] = account, instrument
        for item in fields(Limits):
            row[item.name] = getattr(one, item.name)
    return rows


def of_rows(rows: NDArray[np.void]) -> dict[Place, Limits]:
    """The same back."""
    names = [item.name for item in fields(Limits)]
    return {
        (int(row["account"]), int(row["instrument"])): Limits(*(int(row[name]) for name in names))
        for row in rows
    }
