"""Moments: nanoseconds since 1970 UTC, as people write and read them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
_TEXT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[ T]((?!24)\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?)?([+-]\d\d:\d\d|Z)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)


def nanoseconds(moment: int | datetime) -> int:
    """A moment as nanoseconds since 1970.

    ValueError for a datetime without a time zone, which could be anybody's clock, and beyond
    64 bits.
    """
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise ValueError(f"{moment.isoformat()}: of which time zone? Give tzinfo=timezone.utc")
        moment = (moment - _EPOCH) // _MICROSECOND * 1000
    if not INT64_MIN <= moment <= INT64_MAX:
        raise ValueError(f"time {moment}: beyond 64 bits of nanoseconds")
    return int(moment)


def parse(text: str, zone: tzinfo = timezone.utc) -> int:
    """The nanoseconds of a text like ``2019-05-21T09:00:00.123456789+02:00``.

    A date alone is its first moment; without an offset the text is a time of `zone`.  ValueError
    otherwise, and for a local time that the zone skips or has twice.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a time like 2019-05-21T09:00:00.123456")
    day, clock, fraction, offset = match.groups(default="")
    try:
        second = _second(f"{day}T{clock or '00:00'}{offset.replace('Z', '+00:00')}", zone)
        return nanoseconds(second * 10**9 + int(f"{fraction:0<9}"))
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None


@lru_cache(maxsize=4096)
def _second(text: str, zone: tzinfo) -> int:
    """Seconds since 1970; remembered, because in files of orders many rows share a second."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        before, after = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
        change = (after.utcoffset() or timedelta()) - (before.utcoffset() or timedelta())
        if change:
            what = "does not exist" if change > timedelta() else "comes twice"
            raise ValueError(f"this time {what} in {zone}, where clocks change: give an offset")
        moment = before
    return (moment - _EPOCH) // _SECOND


def zone_of(name: str) -> tzinfo:
    """The time zone of a name like ``Europe/Madrid`` or ``UTC``; ValueError for an unknown one."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # by what the name makes of a path
        raise ValueError(f"unknown time zone {name!r}: a name like Europe/Madrid or UTC") from None


def text_of(time: int) -> str:
    """A time in UTC with all its nanoseconds, as `parse` takes it."""
    seconds, rest = divmod(int(time), 10**9)
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
