"""BME order files: one stock's day as `ordtype;uid;is_buy;qty;price;timestamp`, plain or gzipped.

new: a limit order; modif: the quantity to take off, the order keeps its place; cancel: takes the
order off, `qty` being what it still has at that moment.  Times are `2019-05-21 09:00:00.123456`,
with at most these digits and an offset or as UTC.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..commands import COMMAND, Kind, OrderType, Side, TimeInForce
from ..errors import ImportFormatError, InvalidCommand, PriceError
from ..instruments import INT64_MAX, INT64_MIN, Directory, Instrument, Price

COLUMNS = ("ordtype", "uid", "is_buy", "qty", "price", "timestamp")
KINDS = {"new": Kind.NEW, "modif": Kind.REDUCE, "cancel": Kind.CANCEL}
SIDES = {"true": Side.BUY, "false": Side.SELL}
USUAL_TICK = "0.05"
LINE_BYTES_MAX = 256
UINT64_MAX = 2**64 - 1
_FILE_NAME = re.compile(r"orders-([A-Za-z0-9.]{1,24})-")
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d[ T](?!24)\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?([+-]\d\d:\d\d|Z)?", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


class Bme:
    """The `Importer` of this format: one instrument, named by `orders-<symbol>-<date>.csv`."""

    name = "bme"

    def instruments(
        self, path: Path, *, symbol: str | None = None, tick: Price | None = None
    ) -> list[Instrument]:
        return [Instrument(symbol or _symbol(path), USUAL_TICK if tick is None else tick)]

    def commands(
        self, path: Path, directory: Directory, *, symbol: str | None = None, chunk: int = 4096
    ) -> Iterator[NDArray[np.void]]:
        """The rows as commands for the instrument of that symbol."""
        number = directory.number(symbol or _symbol(path))
        instrument = directory[number]
        batch = np.zeros(chunk, COMMAND)
        filled = 0
        for line, row in _rows(path):
            with _named(path, line):
                _fill(batch[filled], row, instrument, number)
            filled += 1
            if filled == chunk:
                yield batch
                batch, filled = np.zeros(chunk, COMMAND), 0
        if filled:
            yield batch[:filled]

    def quantities(self, path: Path) -> NDArray[np.void]:
        """The `qty` of each row, int64, in the file's order: cancels carry what must be open."""
        found = []
        for line, row in _rows(path):
            with _named(path, line):
                found.append(_whole(row, "qty", INT64_MAX))
        return np.array(found, np.int64)


def _symbol(path: Path) -> str:
    match = _FILE_NAME.match(path.name)
    if match is None:
        raise ImportFormatError(
            str(path), 0, "the name is not orders-<symbol>-<date>.csv: give a symbol"
        )
    return match[1].upper()


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number (from 1, the header's) and fields of each row, streamed."""
    number = 0
    with open(path, "rb") as raw:
        source = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        try:
            while line := source.readline(LINE_BYTES_MAX + 1):
                number += 1
                if len(line) > LINE_BYTES_MAX:
                    raise ImportFormatError(str(path), number, f"over {LINE_BYTES_MAX} bytes long")
                fields = line.decode("utf-8").rstrip("\r\n").split(";")
                if number == 1:
                    if tuple(fields) != COLUMNS:
                        raise ImportFormatError(
                            str(path), 1, f"the header is not {';'.join(COLUMNS)}"
                        )
                    continue
                if len(fields) != len(COLUMNS):
                    raise ImportFormatError(
                        str(path), number, f"{len(fields)} fields, not {len(COLUMNS)}"
                    )
                yield number, dict(zip(COLUMNS, fields, strict=True))
        except UnicodeDecodeError:
            raise ImportFormatError(str(path), number, "not UTF-8 text") from None
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ImportFormatError(str(path), number + 1, f"broken gzip: {error}") from None
    if number == 0:
        raise ImportFormatError(str(path), 1, "the file is empty")


@contextmanager
def _named(path: Path, line: int) -> Iterator[None]:
    """Whatever is wrong with a row is said with its file and line."""
    try:
        yield
    except KeyError as error:
        raise ImportFormatError(str(path), line, f"unknown ordtype or is_buy {error}") from None
    except PriceError as error:
        raise ImportFormatError(str(path), line, f"{error}; another tick can be given") from None
    except (InvalidCommand, ValueError) as error:
        raise ImportFormatError(str(path), line, str(error)) from None


def _fill(record: np.void, row: dict[str, str], instrument: Instrument, number: int) -> None:
    kind = KINDS[row["ordtype"]]
    record["kind"] = kind
    record["instrument"] = number
    record["order_id"] = _whole(row, "uid", UINT64_MAX)
    record["time"] = _time(row["timestamp"])
    quantity = _whole(row, "qty", INT64_MAX)
    if kind == Kind.NEW:
        record["side"] = SIDES[row["is_buy"].lower()]
        record["price"] = instrument.ticks(row["price"])
        record["order_type"], record["time_in_force"] = OrderType.LIMIT, TimeInForce.GTC
    if kind != Kind.CANCEL:
        record["quantity"] = quantity


def _whole(row: dict[str, str], name: str, most: int) -> int:
    text = row[name]
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and 1 <= int(text) <= most):
        raise ValueError(f"{name} {text!r} is not a whole number from 1 to {most}")
    return int(text)


def _time(text: str) -> int:
    """Nanoseconds since 1970; never 0, which would let the engine put its clock's time there.

    `datetime.fromisoformat` alone takes other forms in each version of Python, and drops digits
    beyond microseconds in some.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"timestamp {text!r} is not a time like 2019-05-21 09:00:00.123456")
    second, fraction, offset = match.groups(default="")
    zone = offset if offset not in ("", "Z") else "+00:00"
    try:
        moment = datetime.fromisoformat(f"{second}.{fraction:0<6}{zone}")
    except ValueError as error:
        raise ValueError(f"timestamp {text!r}: {error}") from None
    time = (moment - _EPOCH) // _MICROSECOND * 1000
    if not INT64_MIN <= time <= INT64_MAX:
        raise ValueError(f"timestamp {text!r} is beyond 64 bits of nanoseconds")
    if time == 0:
        raise ValueError(f"timestamp {text!r} is 0, which means: no time, take the clock's")
    return time
