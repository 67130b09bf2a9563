"""Orders that fill books: what latency, scale and snapshots are measured with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..records.commands import COMMAND
from ..records.schema import Kind, OrderType, Side, TimeInForce


def resting_orders(count: int, instruments: int = 1, seed: int = 7) -> NDArray[np.void]:
    """New orders that all rest: buys below and sells above a mid, ids in no order."""
    rng = np.random.default_rng(seed)
    made = np.zeros(count, COMMAND)
    made["kind"], made["order_type"] = Kind.NEW, OrderType.LIMIT
    made["time_in_force"] = TimeInForce.GTC
    made["order_id"] = rng.permutation(count) + 1
    made["instrument"] = zipf(rng, count, instruments)
    made["side"] = rng.integers(Side.BUY, Side.SELL + 1, count)
    far = rng.geometric(0.01, count)
    made["price"] = np.where(made["side"] == Side.BUY, 100_000 - far, 100_000 + far)
    made["quantity"] = rng.integers(1, 101, count)
    return made


def zipf(rng: np.random.Generator, count: int, instruments: int) -> NDArray[np.int64]:
    """Instrument numbers, the n-th as often as 1 / n."""
    weights = np.cumsum(1 / np.arange(1, instruments + 1))
    numbers: NDArray[np.int64] = np.searchsorted(weights, rng.random(count) * weights[-1])
    return numbers + 1
