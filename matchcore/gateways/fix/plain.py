"""The codec in plain Python: messages in a stream, fields, numbers, times, prices.

It reads every message, also those that the compiled readers leave, and is compared with them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timezone

from ...records.arguments import INT64_MAX
from ._frames import BODY_BYTES_MAX, GARBLED, MESSAGE, PARTIAL
from .layout import DATA_TAGS, GROUPED_TYPES, REPEATED_TAGS, SINGLE_TAGS

SOH = b"\x01"
_BEGIN = b"8=FIX"
_BEGIN_BYTES_MAX = 12
_LENGTH_DIGITS_MAX = 9  # some write leading zeros
_TRAILER = re.compile(rb"10=(\d{3})\x01")
_TIME = re.compile(rb"(\d{4})(\d\d)(\d\d)-(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?")
_PRICE = re.compile(rb"-?(?:\d+\.?\d*|\.\d+)")
PRICE_DIGITS_MAX = 18
YEAR_MIN, YEAR_MAX = 1970, 2261


class SessionFault(Exception):
    """A fault that Reject (35=3) answers: its reason (373), the tag (371), a text."""

    def __init__(self, reason: int, tag: int, text: str) -> None:
        super().__init__(text)
        self.reason, self.tag, self.text = reason, tag, text


TAG_NOT_DEFINED, MISSING, EMPTY, BAD_VALUE, BAD_FORMAT = 0, 1, 4, 5, 6
BAD_COMP_ID, BAD_SENDING_TIME, BAD_TYPE, TWICE = 9, 10, 11, 13


@dataclass(slots=True)
class Message:
    """A message whose length and checksum are right.

    ``fields``: the first value of each tag. ``fault``: of its fields, if there is one. ``pairs``:
    all tags and values in order, of a type of `GROUPED_TYPES`.
    """

    begin: bytes
    kind: str
    fields: dict[int, bytes]
    fault: SessionFault | None = None
    number: int = field(default=0)  # MsgSeqNum; 0 if it has none
    pairs: list[tuple[int, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        number = whole(self.fields.get(34, b""), 18)
        self.number = number if number is not None else 0

    @property
    def possibly_resent(self) -> bool:
        """PossDupFlag."""
        return self.fields.get(43) == b"Y"

    def need(self, tag: int) -> bytes:
        """The value of a tag; `SessionFault` without it."""
        value = self.fields.get(tag)
        if value is None:
            raise SessionFault(MISSING, tag, f"required tag {tag} is missing")
        return value

    def need_whole(self, tag: int, digits: int = 18) -> int:
        """The number of a tag; `SessionFault` without it, or if it is none."""
        value = whole(self.need(tag), digits)
        if value is None:
            raise SessionFault(BAD_FORMAT, tag, f"tag {tag}: must be 1 to {digits} digits")
        return value


def find(data: bytes | bytearray, at: int) -> tuple[int, int, int]:
    """As `_frames.find`."""
    begin = _opening(data, at)
    if len(data) - begin < len(_BEGIN):
        return PARTIAL, begin, len(data)
    skipped = GARBLED, begin, begin + len(_BEGIN)
    stop = data.find(SOH, begin)
    if stop < 0 or stop - begin > _BEGIN_BYTES_MAX:
        short = stop < 0 and len(data) - begin <= _BEGIN_BYTES_MAX
        return (PARTIAL, begin, len(data)) if short else skipped
    if len(data) - stop < 3:
        return PARTIAL, begin, len(data)
    if data[stop + 1 : stop + 3] != b"9=":
        return skipped
    body = data.find(SOH, stop + 3)
    digits = bytes(data[stop + 3 : body if body >= 0 else len(data)])
    size = whole(digits, _LENGTH_DIGITS_MAX) if digits else 0
    if size is None or size > BODY_BYTES_MAX:
        return skipped
    if body < 0:
        return PARTIAL, begin, len(data)
    body += 1
    if len(data) - body < size + 7:
        other = data.find(SOH + _BEGIN, body - 1)
        return (PARTIAL, begin, len(data)) if other < 0 else (GARBLED, begin, other + 1)
    trailer = _TRAILER.fullmatch(data, body + size, body + size + 7)
    if size < 5 or data[body + size - 1] != 1 or trailer is None:
        return skipped
    right = sum(data[begin : body + size]) & 255 == int(trailer[1])
    whole_one = right and data[body : body + 3] == b"35="
    return MESSAGE if whole_one else GARBLED, begin, body + size + 7


def _opening(data: bytes | bytearray, at: int) -> int:
    found = data.find(_BEGIN, at)
    if found >= 0:
        return found
    for size in range(min(len(_BEGIN) - 1, len(data) - at), 0, -1):
        if data.endswith(_BEGIN[:size]):
            return len(data) - size
    return len(data)


def split(data: bytes) -> Message:
    """The fields of a message that `find` has found; a fault of theirs is kept in it."""
    fields: dict[int, bytes] = {}
    pairs: list[tuple[int, bytes]] = []
    fault: SessionFault | None = None
    grouped = False
    at, end, expected = 0, len(data) - 7, 0
    data_size = 0
    while at < end:
        equals = data.find(b"=", at, end)
        name = data[at:equals] if equals >= 0 else data[at:end]
        if equals < 0 or not name.isdigit() or name.startswith(b"0") or len(name) > 9:
            fault = fault or SessionFault(TAG_NOT_DEFINED, 0, f"{_shown(name)} is no tag")
            at = _after(data, at, end)
            continue
        tag, at = int(name), equals + 1
        if tag == expected and at + data_size < end and data[at + data_size] == 1:
            stop = at + data_size
        else:
            stop = data.find(SOH, at)
        value, at = data[at:stop], stop + 1
        if not value:
            fault = fault or SessionFault(EMPTY, tag, f"tag {tag} has no value")
        elif tag in fields and tag in SINGLE_TAGS and not (grouped and tag in REPEATED_TAGS):
            fault = fault or SessionFault(TWICE, tag, f"tag {tag} comes more than once")
        fields.setdefault(tag, value)
        grouped = grouped or (tag == 35 and value in GROUPED_TYPES)
        if grouped:
            pairs.append((tag, value))
        expected = DATA_TAGS.get(tag, 0)
        data_size = whole(value, 5) or 0 if expected else 0
    kind = fields.get(35, b"").decode("latin-1")
    return Message(fields.get(8, b""), kind, fields, fault, pairs=pairs)


def _after(data: bytes, at: int, end: int) -> int:
    stop = data.find(SOH, at, end)
    return end if stop < 0 else stop + 1


def _shown(name: bytes) -> str:
    return name[:16].decode("ascii", "replace").replace("\ufffd", "?")


def whole(value: bytes, digits: int) -> int | None:
    """The number of 1 to ``digits`` digits; None for anything else."""
    return int(value) if value.isdigit() and len(value) <= digits else None


def moment(value: bytes) -> int | None:
    """Nanoseconds since 1970 of YYYYMMDD-HH:MM:SS and up to nine decimals; None for another."""
    match = _TIME.fullmatch(value)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    if not (YEAR_MIN <= year <= YEAR_MAX and 1 <= month <= 12 and 1 <= day <= 31):
        return None
    if hour > 23 or minute > 59 or second > 60:
        return None
    try:
        first = datetime(year, month, 1, tzinfo=timezone.utc)
    except ValueError:
        return None
    days: int = first.toordinal() - datetime(1970, 1, 1).toordinal() + day - 1
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second
    return seconds * 10**9 + int(f"{(match[7] or b'').decode():0<9}")


def time_text(time: int, digits: int) -> bytes:
    """A time as FIX writes it, with ``digits`` decimals of the second, which are cut off."""
    seconds, rest = divmod(time, 10**9)
    text = datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y%m%d-%H:%M:%S")
    return (f"{text}.{rest:09d}"[: 18 + digits] if digits else text).encode()


def ticks(value: bytes, mantissa: int, decimals: int) -> int | None:
    """A price in ticks of ``mantissa`` / 10^``decimals``; None for none, or off the tick."""
    if not _PRICE.fullmatch(value):
        return None
    before, _, behind = value.lstrip(b"-").partition(b".")
    digits = (before + behind).decode()
    if len(digits) > PRICE_DIGITS_MAX:
        return None
    step = int(10 ** len(behind)) * mantissa
    scaled, rest = divmod(int(digits) * int(10**decimals), step)
    if rest or scaled > INT64_MAX:
        return None
    return -scaled if value.startswith(b"-") else scaled


def price_text(value: int, mantissa: int, decimals: int) -> bytes:
    """A price of ticks, in digits."""
    return decimal_text(value * mantissa, decimals)


def decimal_text(value: int, decimals: int) -> bytes:
    """``value`` / 10^``decimals``."""
    digits = f"{abs(value):0{decimals + 1}d}"
    text = f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits
    return ("-" + text if value < 0 else text).encode()


AVERAGE_DECIMALS = 4  # of an average price, beyond those of the tick


def average(turnover: int, filled: int, mantissa: int, decimals: int) -> bytes:
    """``turnover``, in ticks times units, over ``filled``: rounded half away from zero."""
    if not filled:
        return b"0"
    scaled = abs(turnover) * mantissa * 10**AVERAGE_DECIMALS
    value = (2 * scaled + filled) // (2 * filled)
    text = decimal_text(-value if turnover < 0 else value, decimals + AVERAGE_DECIMALS)
    for _ in range(AVERAGE_DECIMALS):
        if not text.endswith(b"0"):
            break
        text = text[:-1]
    return text.removesuffix(b".")


def build(begin: bytes, body: bytes) -> bytes:
    """A message of its body, which begins with 35= and ends with a separator."""
    text = b"8=%b\x019=%d\x01%b" % (begin, len(body), body)
    return b"%b10=%03d\x01" % (text, sum(text) & 255)
