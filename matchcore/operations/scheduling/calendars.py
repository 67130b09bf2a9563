"""Which days an exchange trades on."""

from __future__ import annotations

import warnings
from datetime import date
from functools import lru_cache
from typing import Any, Protocol

from ...errors import InvalidArgument, MissingExtra, UnknownDay


class Calendar(Protocol):
    """Days on which there is trading."""

    def is_open(self, on: date) -> bool:
        """Whether there is trading on the day ``on``; `UnknownDay` if the calendar cannot tell."""


class EveryDay:
    """A calendar without holidays, also at weekends."""

    def is_open(self, on: date) -> bool:
        """True, whatever day ``on`` is."""
        return True


class ExchangeCalendar:
    """The calendar of an exchange from the library `exchange-calendars` (extra ``calendars``).

    - ``code``: of the exchange, as XSHG; `InvalidArgument` if the library has none of that name.

    `MissingExtra` without the library.  The library has holidays up to a year that depends on its
    version; a later day is refused, not taken for open.
    """

    def __init__(self, code: str) -> None:
        self.code = code
        _calendar(code)

    def __repr__(self) -> str:
        return f"ExchangeCalendar({self.code!r})"

    def is_open(self, on: date) -> bool:
        """Whether there is trading on the day ``on``; `UnknownDay` if the library cannot tell."""
        return on in _sessions(self.code, on.year)


def _library() -> Any:
    try:
        import exchange_calendars
    except ImportError as error:
        raise MissingExtra("the calendar of an exchange", "calendars") from error
    return exchange_calendars


def _calendar(code: str, **bounds: str) -> Any:
    """A calendar of the library; `InvalidArgument` for an unknown one."""
    library = _library()
    with warnings.catch_warnings():
        # of pandas, about how the library uses it (findings/exchange-calendars-pandas.sh)
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return library.get_calendar(code, **bounds)
        except library.errors.InvalidCalendarName:
            why = "exchange-calendars has none of that name"
            raise InvalidArgument(f"calendar {code!r}: {why}") from None


@lru_cache(maxsize=64)
def _sessions(code: str, year: int) -> frozenset[date]:
    """All trading days of a year.

    Of the sessions themselves: `is_session` of the library takes a day before the first session of
    what was asked for as out of bounds (findings/exchange-calendars-bounds.sh).
    """
    kind = type(_calendar(code))
    begins, ends = (None if bound is None else bound.date()
                    for bound in (kind.bound_min(), kind.bound_max()))  # fmt: skip
    first, last = date(year, 1, 1), date(year, 12, 31)
    if (begins is not None and last < begins) or (ends is not None and first > ends):
        raise UnknownDay(
            f"{code} in {year}: exchange-calendars {_library().__version__} knows it"
            f" from {begins or 'its beginning'} to {ends or 'its end'}"
        )
    first = first if begins is None else max(first, begins)
    last = last if ends is None else min(last, ends)
    made = _calendar(code, start=first.isoformat(), end=last.isoformat())
    return frozenset(day.date() for day in made.sessions)
