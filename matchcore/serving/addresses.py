"""How many connections there are, and how many of them come from one address."""

from __future__ import annotations

import resource
from asyncio import BaseTransport
from collections import Counter

FILES_KEPT = 64  # that connections must leave to the process: its log has to open files


def takes_last_files(transport: BaseTransport) -> bool:
    """Whether a connection has one of the last files that the system gives to this process.

    The system gives the lowest number that is free.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    told = transport.get_extra_info("socket")
    if told is None or soft == resource.RLIM_INFINITY:
        return False
    return bool(told.fileno() >= soft - FILES_KEPT)


class Addresses:
    """Counts connections: at most ``most``, and a quarter of them, or one, from one address."""

    def __init__(self, most: int) -> None:
        self.most, self.most_of_one = most, max(1, most // 4)
        self._counts: Counter[str] = Counter()

    def full(self, address: str) -> str:
        """Why there is no room for one more from an address; "" if there is."""
        if self._counts.total() >= self.most:
            return f"{self.most} clients are connected"
        if self._counts[address] >= self.most_of_one:
            return f"{self.most_of_one} clients are connected from this address"
        return ""

    def enter(self, address: str) -> None:
        """One more is connected."""
        self._counts[address] += 1

    def leave(self, address: str) -> None:
        """One that had entered is gone."""
        self._counts[address] -= 1
        if not self._counts[address]:
            del self._counts[address]
