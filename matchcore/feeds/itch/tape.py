"""The newest messages of a line, by number, for those who have missed some."""

from __future__ import annotations

from bisect import bisect_right

from ._frames import cut

PART_BYTES = 1 << 16
KEPT_BYTES = 64 << 20


class Tape:
    """Blocks in a row, of which the oldest are dropped beyond ``bytes_max``.

    ``first`` and ``next`` are the numbers of the oldest one and behind the newest one.
    """

    def __init__(self, number: int, bytes_max: int = KEPT_BYTES) -> None:
        self.next = number  # of the next message
        self._firsts: list[int] = []  # numbers that the parts begin with
        self._parts: list[bytearray] = []
        self._size, self._bytes_max = 0, bytes_max

    @property
    def first(self) -> int:
        return self._firsts[0] if self._firsts else self.next

    def take(self, blocks: bytes, count: int) -> None:
        """The next ``count`` messages, as blocks."""
        start = 0
        while count:
            if not self._parts or len(self._parts[-1]) >= PART_BYTES:
                self._firsts.append(self.next)
                self._parts.append(bytearray())
            start, end, found = cut(blocks, start, 0, count, PART_BYTES)
            self._parts[-1] += blocks[start:end]
            self.next += found
            count -= found
            start = end
        self._size += len(blocks)
        while self._size > self._bytes_max and len(self._parts) > 1:
            self._size -= len(self._parts.pop(0))
            del self._firsts[0]

    def blocks(self, number: int, count: int, bytes_max: int) -> tuple[bytes, int]:
        """Blocks from ``number`` on and how many: at most ``count``, in ``bytes_max`` bytes.

        None and 0 of them if that number has been dropped or is not there yet.  It need not be all
        that there is: ask again behind them.
        """
        if not self.first <= number < self.next:
            return b"", 0
        at = bisect_right(self._firsts, number) - 1
        part = self._parts[at]
        start, end, found = cut(part, 0, number - self._firsts[at], count, bytes_max)
        return bytes(part[start:end]), found
