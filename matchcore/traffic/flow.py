"""What the orders are: a function of the seed, the session, and the place of the order in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidArgument
from ..records.schema import Side

UNITS = 10_000  # in a price of 1
QUANTITY_MAX = 2**32 - 1
SYMBOLS_MAX = 2**15 - 1
BLOCK = 4096  # orders that one state of the random numbers makes

#: An order: its side, the place of its symbol, its quantity, and its price times `UNITS`.
ORDER = np.dtype([("side", "u1"), ("symbol", "<i2"), ("quantity", "<u4"), ("price", "<u8")])


class Source(Protocol):
    """Where the orders of a session come from.

    ``open``: a session cancels an order when it has sent so many newer ones; 0: it cancels none.
    """

    @property
    def symbols(self) -> tuple[str, ...]: ...

    @property
    def open(self) -> int: ...

    def block(self, session: int, number: int) -> NDArray[np.void]:
        """`BLOCK` orders of a session, the same at each call; fewer if there are no more."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Random orders.

    - ``symbols``: what the exchange calls its instruments; over OUCH up to 8 characters each.
    - ``low``, ``high``, ``tick``: prices, times 10,000.
    - ``quantity``: from 1 to this, in steps of ``lot``.
    - ``open``: a session cancels an order when it has sent so many newer ones; 0: none.
    - ``seed``: of the random numbers.
    """

    symbols: tuple[str, ...]
    low: int
    high: int
    tick: int
    quantity: int = 100
    open: int = 50
    seed: int = 1
    lot: int = 1

    def __post_init__(self) -> None:
        if not self.symbols or len(self.symbols) > SYMBOLS_MAX:
            raise InvalidArgument(f"symbols: 1 to {SYMBOLS_MAX:,}")
        if any(not one or not one.isascii() for one in self.symbols):
            raise InvalidArgument("symbols: must be ASCII, and not empty")
        if not 0 < self.low <= self.high or self.tick <= 0:
            raise InvalidArgument("low, high and tick: prices above 0, low not above high")
        if not 0 < self.lot <= self.quantity <= QUANTITY_MAX or self.open < 0:
            raise InvalidArgument("quantity and lot: 1 or more, the lot not above the quantity")

    def block(self, session: int, number: int) -> NDArray[np.void]:
        """`BLOCK` orders of a session, the same at each call."""
        random = np.random.default_rng((self.seed, session, number))
        orders = np.zeros(BLOCK, ORDER)
        orders["side"] = random.integers(int(Side.BUY), int(Side.SELL) + 1, size=BLOCK)
        orders["symbol"] = random.integers(len(self.symbols), size=BLOCK)
        lots = self.quantity // self.lot
        orders["quantity"] = self.lot * random.integers(1, lots + 1, size=BLOCK)
        steps = (self.high - self.low) // self.tick + 1
        orders["price"] = self.low + self.tick * random.integers(steps, size=BLOCK)
        return orders


class Script:
    """Given orders: those of each session, an `ORDER` array."""

    def __init__(self, symbols: tuple[str, ...], sessions: list[NDArray[np.void]]) -> None:
        self.symbols, self.open, self._sessions = symbols, 0, sessions

    def block(self, session: int, number: int) -> NDArray[np.void]:
        """The orders of a session that have their places in this block."""
        return self._sessions[session][number * BLOCK : (number + 1) * BLOCK]
