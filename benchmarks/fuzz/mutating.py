"""Inputs that are nearly right: seeded changes of right ones."""

from __future__ import annotations

import random
from collections.abc import Callable

CHANGES_MAX = 4
BYTES_MAX = 4096  # of an input
NUMBERS = [b"0", b"-1", b"255", b"256", b"65535", b"65536", b"2147483648", b"4294967296",
           b"9223372036854775808", b"18446744073709551616", b"9" * 30, b"00", b"1e9", b".", b"\x01",
           b"=", b"\0", b"\xff" * 4, b'"', b"{", b"}", b"\\u0000", b"NaN"]  # fmt: skip


class Mutator:
    """Draws inputs from ``seeds`` and ``pieces``, which say what belongs into the format."""

    def __init__(self, seed: str, seeds: list[bytes], pieces: list[bytes]) -> None:
        self._draw = random.Random(seed)
        self._seeds, self._pieces = seeds, pieces + NUMBERS
        self._ways: list[Callable[[bytearray, int], None]] = [
            self._flip, self._set, self._cut, self._repeat, self._insert, self._digits,
            self._end, self._other,
        ]  # fmt: skip

    def next(self) -> bytes:
        """One input."""
        draw = self._draw
        data = bytearray(draw.choice(self._seeds))
        while draw.random() < 0.3:
            data += draw.choice(self._seeds)
        for _ in range(draw.randrange(CHANGES_MAX + 1)):
            if data:
                draw.choice(self._ways)(data, draw.randrange(len(data)))
        return bytes(data[:BYTES_MAX])

    def _flip(self, data: bytearray, at: int) -> None:
        data[at] ^= 1 << self._draw.randrange(8)

    def _set(self, data: bytearray, at: int) -> None:
        data[at] = self._draw.choice(
            (0, 1, 0x30, 0x39, 0x7F, 0x80, 0xFF, self._draw.randrange(256))
        )

    def _cut(self, data: bytearray, at: int) -> None:
        del data[at : at + self._draw.choice((1, 2, 4, 8, 20))]

    def _repeat(self, data: bytearray, at: int) -> None:
        size = self._draw.choice((1, 4, 20, 100))
        data[at:at] = data[at : at + size]

    def _insert(self, data: bytearray, at: int) -> None:
        data[at:at] = self._draw.choice(self._pieces)

    def _digits(self, data: bytearray, at: int) -> None:
        """Another number in place of digits, if there are some here."""
        end = at
        while end < len(data) and 0x30 <= data[end] <= 0x39:
            end += 1
        if end > at:
            data[at:end] = self._draw.choice(self._pieces)

    def _end(self, data: bytearray, at: int) -> None:
        del data[at:]

    def _other(self, data: bytearray, at: int) -> None:
        data[at:] = self._draw.choice(self._seeds)[at:]
