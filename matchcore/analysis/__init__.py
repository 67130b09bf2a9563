"""A symbol's trading as a picture: best prices and trades, volume, and depth near the touch."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from ..journal import Keys
from ..records.times import nanoseconds, zone_of
from .drawing import check_drawable, paint
from .sampling import LEVELS, sampled


def draw(
    path: str | os.PathLike[str],
    directory: str | os.PathLike[str],
    symbol: str,
    *,
    first: int | datetime | None = None,
    end: int | datetime | None = None,
    levels: int = LEVELS,
    timezone: str = "UTC",
    keys: Keys | None = None,
    progress: Callable[[int], None] = lambda step: None,
) -> dict[str, int]:
    """Draws a symbol's part of a log, also while an engine writes it; returns counts, and
    the sequences of the first and last command that it shows.

    ``path``: PNG, or what its suffix says.  ``first`` and ``end``: nanoseconds or datetimes;
    commands from `first` on and before `end` are drawn, all by default.  ``levels``: price levels
    a side that count as near the touch.  ``timezone``: name of that of the time axis.
    ``progress`` is told of commands read, each twice.  Memory does not grow with the log.  Needs
    the extra `plot`.

    ValueError for an unknown time zone, `InvalidCommand` for a suffix that is no form of picture,
    `UnknownInstrument`, `NotInTheLog` for a range without commands of the symbol, `LogDamaged` as
    recovery raises it.
    """
    target, zone = Path(path), zone_of(timezone)
    check_drawable(target)
    begin, before = (at if at is None else nanoseconds(at) for at in (first, end))
    samples = sampled(
        Path(directory), symbol, first=begin, end=before, levels=levels, keys=keys,
        progress=progress,
    )  # fmt: skip
    paint(target, samples, zone)
    return {
        "commands": samples.commands,
        "trades": samples.trades,
        "traded_quantity": samples.traded,
        "first_sequence": samples.first_sequence,
        "last_sequence": samples.last_sequence,
    }


__all__ = ["LEVELS", "check_drawable", "draw"]
