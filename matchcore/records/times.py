"""Moments: nanoseconds since 1970 UTC, as people and libraries write and read them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import SupportsIndex

import numpy as np

from ..errors import InvalidArgument
from .arguments import INT64_MAX, INT64_MIN, shown, whole

_TEXT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[ T]((?!24)\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?)?([+-]\d\d:\d\d|Z)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)


#: what stands for a moment: whole nanoseconds since 1970 UTC; a datetime or pandas Timestamp with
#: a time zone; a NumPy datetime64, which has no zone and counts as UTC; a text as `parse` takes it
Moment = SupportsIndex | datetime | np.datetime64 | str


def nanoseconds(moment: Moment, name: str = "time") -> int:
    """A moment as nanoseconds since 1970; what is finer is cut off.

    `InvalidArgument` for a float, whose digits do not reach to nanoseconds today, for a datetime
    without a time zone, which could be anybody's clock, for what is no time, and beyond 64 bits.
    """
    if isinstance(moment, str):
        try:
            return parse(moment)
        except ValueError as error:
            raise InvalidArgument(f"{name}: {error}") from None
    if isinstance(moment, datetime | np.datetime64) and moment != moment:
        raise InvalidArgument(f"{name} NaT: no time")
    if isinstance(moment, datetime):
        known = _of_datetime(moment, name)
    elif isinstance(moment, np.datetime64):
        known = _of_datetime64(moment)
    else:
        count = whole(moment)
        if count is None:
            raise InvalidArgument(
                f"{name} {shown(moment)}: whole nanoseconds since 1970, a datetime with a time"
                " zone, a datetime64, or a text like 2019-05-21T09:00:00+02:00"
            )
        known = count
    if not INT64_MIN <= known <= INT64_MAX:
        raise InvalidArgument(f"{name} {shown(moment)}: beyond 64 bits of nanoseconds")
    return known


def _of_datetime(moment: datetime, name: str) -> int:
    """Of a pandas `Timestamp` with the nanoseconds that it has and a `datetime` has not."""
    if moment.tzinfo is None:
        raise InvalidArgument(
            f"{name} {moment.isoformat()}: of which time zone? Give tzinfo=timezone.utc"
        )
    plain = datetime(
        moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second,
        moment.microsecond, moment.tzinfo, fold=moment.fold,
    )  # fmt: skip
    return (plain - _EPOCH) // _MICROSECOND * 1000 + int(getattr(moment, "nanosecond", 0))


#: units of a datetime64 in nanoseconds, and how many of the finer ones make a nanosecond
_UNITS = {"W": 604_800 * 10**9, "D": 86_400 * 10**9, "h": 3_600 * 10**9, "m": 60 * 10**9,
          "s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}  # fmt: skip
_FINER = {"ps": 1000, "fs": 10**6, "as": 10**9}


def _of_datetime64(moment: np.datetime64) -> int:
    """In Python's integers: NumPy's own conversion to nanoseconds wraps round."""
    unit, step = np.datetime_data(moment.dtype)
    count = int(moment.astype(np.int64)) * step
    if unit in ("Y", "M"):
        years, month = divmod(count * (12 if unit == "Y" else 1), 12)
        if not 1 <= 1970 + years <= 9999:  # what a datetime holds, and more than 64 bits do
            return years * 366 * _UNITS["D"]
        first = datetime(1970 + years, 1 + month, 1, tzinfo=timezone.utc)
        return (first - _EPOCH).days * _UNITS["D"]
    return count * _UNITS[unit] if unit in _UNITS else count // _FINER[unit]


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
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # by what the name makes of a path
        raise ValueError(f"unknown time zone {name!r}: a name like Europe/Madrid or UTC") from None


def text_of(time: int) -> str:
    """A time in UTC with all its nanoseconds, as `parse` takes it."""
    seconds, rest = divmod(int(time), 10**9)
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
