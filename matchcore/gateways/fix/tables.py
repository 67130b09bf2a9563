"""The instruments as the codec needs them, for all sessions of a door."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...records.instruments import Directory, Instrument

Known = tuple[bytes, int, int]  # symbol, tick mantissa, decimals


class Writer(Protocol):
    """`_reports.Reports`, or `plain_reports.Plain`."""

    instruments: list[Known]

    def write(
        self,
        reports: NDArray[np.void],
        first: int,
        now: int,
        *,
        again: bool = False,
        perhaps: bool = False,
        status: bool = False,
        extra: bytes = b"",
    ) -> bytes: ...


def known(instruments: Iterable[Instrument]) -> list[Known]:
    """Instruments as the writers take them."""
    parts = ((one.symbol.encode(), *one.tick_parts) for one in instruments)
    return [(symbol, mantissa, -exponent) for symbol, mantissa, exponent in parts]


class Tables:
    """Follows the instruments: call `refresh` before `by_symbol` and `by_number` are used."""

    def __init__(self, directory: Callable[[], Directory]) -> None:
        self._directory = directory
        self._then: object = None
        self.by_symbol: dict[bytes, tuple[int, int, int]] = {}
        self.by_number: list[Known] = []

    def refresh(self) -> None:
        """Takes over what has changed."""
        directory = self._directory()
        if directory.then is not self._then:  # a tick has changed
            self._then = directory.then
            self.by_number.clear()
        if len(self.by_number) == len(directory):
            return
        for one in known(directory.in_order()[len(self.by_number) :]):
            self.by_number.append(one)
            self.by_symbol[one[0]] = len(self.by_number), one[1], one[2]

    def write(
        self,
        writer: Writer,
        reports: NDArray[np.void],
        first: int,
        now: int,
        *,
        again: bool = False,
        perhaps: bool = False,
        status: bool = False,
        extra: bytes = b"",
    ) -> bytes:
        """As ``writer.write``, with prices in the ticks that they had at the time."""
        self.refresh()
        former = self._directory().then.former
        old = bool(former) and not status and former[-1].sequence > int(reports["sequence"][0])
        if not old:
            writer.instruments = self.by_number
            return writer.write(
                reports, first, now, again=again, perhaps=perhaps, status=status, extra=extra
            )
        parts = []
        for place in range(len(reports)):
            sequence = int(reports["sequence"][place])
            writer.instruments = known(self._directory().in_order(sequence))
            parts.append(
                writer.write(
                    reports[place : place + 1], first + place, now,
                    again=again, perhaps=perhaps, extra=extra,
                )
            )  # fmt: skip
        return b"".join(parts)
