"""Exchanges by name: what a board of one is on a day (docs/markets/venues.md).

Each function returns a `VenueDay`: how an instrument trades, and the timetable of the day.

>>> from matchcore import markets
>>> day = markets.sse("main", on="2026-11-27", previous_close="1808.00")
>>> day.limits, day.timetable[0].phase.name
((Decimal('1627.20'), Decimal('1988.80')), 'OPENING_CALL')
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any

from .records.arguments import INT64_MAX, integer
from .records.instruments import Instrument, Price
from .venues import PhaseAt, VenueDay, venue_day
from .venues.building import told

__all__ = ["PhaseAt", "VenueDay", "bse", "chinext", "generic", "sse", "star", "szse"]


def sse(
    board: str = "main",
    *,
    on: date | str,
    previous_close: Price | None = None,
    reference: Price | None = None,
    listed_days: int = 0,
    special: bool = False,
) -> VenueDay:
    """A board of the Shanghai Stock Exchange on a day.

    - ``board``: "main", "star" or "fund".
    - ``on``: the day, a date or a text like 2026-11-27.
    - ``previous_close``: of the instrument, a price on its tick; None: not told, and then the day
      has no price limits.
    - ``reference``: the price that limits are computed from, after ex-rights; None: the previous
      close.
    - ``listed_days``: 1 on the day of listing, 2 on the next trading day; 0: not told.
    - ``special``: whether the stock is under special treatment.

    `UnknownDay` for a day before the first one of the rule tables; `InvalidArgument` or
    `PriceError` for other arguments that are wrong.
    """
    return venue_day(
        "sse", board, on, previous_close=previous_close, reference=reference,
        listed_days=listed_days, special=special,
    )  # fmt: skip


def szse(
    board: str = "main",
    *,
    on: date | str,
    previous_close: Price | None = None,
    reference: Price | None = None,
    listed_days: int = 0,
    special: bool = False,
) -> VenueDay:
    """A board of the Shenzhen Stock Exchange on a day; ``board``: "main", "chinext" or "fund".

    ``on``, ``previous_close``, ``reference``, ``listed_days``, ``special``: as of `sse`.
    """
    return venue_day(
        "szse", board, on, previous_close=previous_close, reference=reference,
        listed_days=listed_days, special=special,
    )  # fmt: skip


def star(
    *,
    on: date | str,
    previous_close: Price | None = None,
    reference: Price | None = None,
    listed_days: int = 0,
    special: bool = False,
) -> VenueDay:
    """The STAR Market of the Shanghai Stock Exchange on a day.

    ``on``, ``previous_close``, ``reference``, ``listed_days``, ``special``: as of `sse`.
    """
    return sse("star", on=on, previous_close=previous_close, reference=reference,
               listed_days=listed_days, special=special)  # fmt: skip


def chinext(
    *,
    on: date | str,
    previous_close: Price | None = None,
    reference: Price | None = None,
    listed_days: int = 0,
    special: bool = False,
) -> VenueDay:
    """ChiNext of the Shenzhen Stock Exchange on a day.

    ``on``, ``previous_close``, ``reference``, ``listed_days``, ``special``: as of `sse`.
    """
    return szse("chinext", on=on, previous_close=previous_close, reference=reference,
                listed_days=listed_days, special=special)  # fmt: skip


def bse(
    *,
    on: date | str,
    previous_close: Price | None = None,
    reference: Price | None = None,
    listed_days: int = 0,
    special: bool = False,
) -> VenueDay:
    """The Beijing Stock Exchange on a day.

    ``on``, ``previous_close``, ``reference``, ``listed_days``, ``special``: as of `sse`.
    """
    return venue_day(
        "bse", "main", on, previous_close=previous_close, reference=reference,
        listed_days=listed_days, special=special,
    )  # fmt: skip


def generic(
    *,
    on: date | str = date(1970, 1, 1),
    tick: Price = "0.01",
    lot: int = 1,
    previous_close: Price | None = None,
    reference: Price | None = None,
    listed_days: int = 0,
    special: bool = False,
    timezone: str = "UTC",
    calendar: str = "",
    timetable: Iterable[PhaseAt] | None = None,
    **market: Any,
) -> VenueDay:
    """A venue that takes every order type, time in force and flag, in every phase that can.

    - ``tick``, ``lot``: of the instrument.
    - ``timezone``, ``calendar``: of the timetable; code of an exchange in `exchange-calendars`, or
      "" for one that is open every day.
    - ``timetable``: `PhaseAt`s in order; None: the one in docs/markets/venues.md.
    - ``on``, ``previous_close``, ``reference``, ``listed_days``, ``special``: as of `sse`.
    - ``market``: anything that a `Market` has, as in ``limit_up="10", pro_rata=True``.
    """
    made = venue_day("generic", "main", on)
    instrument = Instrument("DAY", tick, integer(lot, "lot", 1, INT64_MAX))
    made = replace(
        made, tick=instrument.tick, lot=instrument.lot, timezone=timezone, calendar=calendar,
        timetable=made.timetable if timetable is None else tuple(timetable),
    )  # fmt: skip
    return told(made.changed(**market), previous_close, reference, listed_days, special)
