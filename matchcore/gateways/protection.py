"""What one session may ask of a gateway, so that the others do not notice it.

This protects the gateway and the engine.  Limits that decide whether an order trades belong to the
machine.  Cancels have a share of their own: who has spent all on orders can still take them away.
"""

from __future__ import annotations

import math
import time

import numpy as np
from numpy.typing import NDArray

from ..records.schema import Kind
from ..serving.rates import Bucket
from .logins import Limits, Login, Throttled

#: Kinds that only take orders out of the book.
RELIEVING_KINDS = frozenset({Kind.CANCEL, Kind.REDUCE, Kind.MASS_CANCEL})
_RELIEVING = np.zeros(256, np.bool_)
_RELIEVING[[int(kind) for kind in RELIEVING_KINDS]] = True
FULL_NS = 100_000_000  # until a session with too much under way should come again


def relieving(kinds: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which commands only take orders out of the book."""
    found: NDArray[np.bool_] = _RELIEVING[kinds]
    return found


class Guard:
    """Counts what one login sends: its rate, and what is under way.

    ``under_way``: commands without an answer, orders and cancels apart.
    """

    __slots__ = ("_cancels", "_orders", "limits", "under_way")

    def __init__(self, limits: Limits, now: float) -> None:
        self.limits, self.under_way = limits, [0, 0]
        self._orders = Bucket(limits.messages_per_second, limits.burst, now)
        self._cancels = Bucket(limits.messages_per_second, limits.burst, now)

    def admit(self, kinds: NDArray[np.uint8], now: float) -> None:
        """Counts commands of these kinds; `Throttled`, and nothing is counted, if they are too
        many."""
        cancels = int(np.count_nonzero(relieving(kinds)))
        orders = len(kinds) - cancels
        limits = self.limits
        for count, there in ((orders, self.under_way[0]), (cancels, self.under_way[1])):
            if count and there + count > limits.under_way:
                raise Throttled(f"{limits.under_way} commands wait for an answer", FULL_NS)
        for count, bucket in ((orders, self._orders), (cancels, self._cancels)):
            if count > limits.burst:
                raise Throttled(f"{count} commands at once, {limits.burst} at most", FULL_NS)
            pause = bucket.wait(count, now) if count else 0.0
            if pause > 0:
                after = int(min(pause, 3600.0) * 1e9) if math.isfinite(pause) else 3600 * 10**9
                raise Throttled(f"more than {limits.messages_per_second} commands a second", after)
        self._orders.take(orders, now)
        self._cancels.take(cancels, now)
        self.under_way[0] += orders
        self.under_way[1] += cancels

    def answered(self, orders: int, cancels: int) -> int:
        """So many are in the log, of this gateway or of another one; how many were ours."""
        before = sum(self.under_way)
        self.under_way[0] = max(0, self.under_way[0] - orders)
        self.under_way[1] = max(0, self.under_way[1] - cancels)
        return before - sum(self.under_way)


class Guards:
    """The guards of all logins.  One of a login outlives its connections: to connect again gives
    nobody a new allowance."""

    def __init__(self) -> None:
        self._guards: dict[int, Guard] = {}
        self.waiting = 0  # commands of all logins without an answer

    def admit(self, login: Login, kinds: NDArray[np.uint8], now: float) -> None:
        """Counts commands of a login, as `Guard.admit`."""
        self._of(login).admit(kinds, now)
        self.waiting += len(kinds)

    def _of(self, login: Login) -> Guard:
        """The guard of a login, with its limits of now."""
        guard = self._guards.get(login.session)
        if guard is None or guard.limits != login.limits:
            there = guard.under_way if guard else [0, 0]
            guard = self._guards[login.session] = Guard(login.limits, time.monotonic())
            guard.under_way = there
        return guard

    def answered(self, commands: NDArray[np.void]) -> None:
        """These commands are in the log."""
        keys = commands["session"].astype(np.uint64) << 1 | relieving(commands["kind"])
        for key, count in zip(
            *(a.tolist() for a in np.unique(keys, return_counts=True)), strict=True
        ):
            guard = self._guards.get(key >> 1)
            if guard is not None:
                self.waiting -= guard.answered(*((0, count) if key & 1 else (count, 0)))

    def under_way(self, session: int) -> int:
        """Orders of a session without an answer."""
        guard = self._guards.get(session)
        return guard.under_way[0] if guard else 0
