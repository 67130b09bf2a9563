"""BME order files: one stock's day as `ordtype;uid;is_buy;qty;price;timestamp`, plain or gzipped.

new: a limit order; modif: the quantity to take off, the order keeps its place; cancel: takes the
order off, `qty` being what it still has at that moment.  Times are `2019-05-21 09:00:00.123456`,
with at most these digits, and local to Madrid unless they have an offset.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import tzinfo
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ImportFormatError, InvalidCommand, PriceError
from ..records.arguments import INT64_MAX, UINT64_MAX
from ..records.commands import COMMAND
from ..records.instruments import Directory, Instrument, Price
from ..records.schema import Kind, OrderType, Side, TimeInForce
from ..records.times import parse, zone_of

COLUMNS = ("ordtype", "uid", "is_buy", "qty", "price", "timestamp")
KINDS = {"new": Kind.NEW, "modif": Kind.REDUCE, "cancel": Kind.CANCEL}
SIDES = {"true": Side.BUY, "false": Side.SELL}
USUAL_TICK = "0.05"
LINE_BYTES_MAX = 256
_PRICE = re.compile(r"[!-^`-~]*")  # no spaces or underscores, which Decimal takes in a number
_FILE_NAME = re.compile(r"orders-([A-Za-z0-9.]{1,24})-")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,6})?([+-]\d\d:\d\d|Z)?", re.ASCII)


class Bme:
    """The `Importer` of this format: one instrument, named by `orders-<symbol>-<date>.csv`."""

    name = "bme"
    timezone = "Europe/Madrid"

    def instruments(
        self, path: Path, *, symbol: str | None = None, tick: Price | None = None
    ) -> list[Instrument]:
        return [Instrument(symbol or _symbol(path), USUAL_TICK if tick is None else tick)]

    def commands(
        self,
        path: Path,
        directory: Directory,
        *,
        symbol: str | None = None,
        timezone: str | None = None,
        chunk: int = 4096,
    ) -> Iterator[NDArray[np.void]]:
        """The rows as commands for the instrument of that symbol."""
        rows = self.rows(path, directory, symbol=symbol, timezone=timezone, chunk=chunk)
        return (commands for commands, _ in rows)

    def rows(
        self,
        path: Path,
        directory: Directory,
        *,
        symbol: str | None = None,
        timezone: str | None = None,
        chunk: int = 4096,
    ) -> Iterator[tuple[NDArray[np.void], NDArray[np.int64]]]:
        """Commands and the `qty` of their rows: of a cancel, what must still be open."""
        number = directory.number(symbol or _symbol(path))
        instrument = directory[number]
        zone = zone_of(self.timezone if timezone is None else timezone)
        batch, quantities = np.zeros(chunk, COMMAND), np.zeros(chunk, np.int64)
        filled = 0
        for line, row in _rows(path):
            with _named(path, line):
                quantities[filled] = _fill(batch[filled], row, instrument, number, zone)
            filled += 1
            if filled == chunk:
                yield batch, quantities
                batch, quantities = np.zeros(chunk, COMMAND), np.zeros(chunk, np.int64)
                filled = 0
        if filled:
            yield batch[:filled], quantities[:filled]


def _symbol(path: Path) -> str:
    match = _FILE_NAME.match(path.name)
    if match is None:
        raise ImportFormatError(
            str(path), 0, "the name is not orders-<symbol>-<date>.csv: give a symbol"
        )
    return match[1].upper()


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number (from 1, the header's) and fields of each row, streamed."""
    lines = _lines(path)
    number, header = next(lines, (0, ""))
    if number == 0:
        raise ImportFormatError(str(path), 1, "the file is empty")
    wanted = ";".join(COLUMNS)
    if header != wanted:
        raise ImportFormatError(str(path), 1, f"the header is {header!r}, not {wanted!r}")
    empty = 0  # number of the first of the empty lines just read: the last ones are no rows
    for number, line in lines:
        if not line.strip(" \t"):
            empty = empty or number
            continue
        if empty:
            raise ImportFormatError(str(path), empty, "an empty line between rows")
        fields = line.split(";")
        if len(fields) != len(COLUMNS):
            raise ImportFormatError(str(path), number, f"{len(fields)} fields, not {len(COLUMNS)}")
        yield number, dict(zip(COLUMNS, fields, strict=True))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each line, without its end and without the file's byte-order mark."""
    number = 0
    with open(path, "rb") as raw:
        source = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        try:
            while line := source.readline(LINE_BYTES_MAX + 1):
                number += 1
                if len(line) > LINE_BYTES_MAX:
                    raise ImportFormatError(str(path), number, f"over {LINE_BYTES_MAX} bytes long")
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                yield number, text.rstrip("\r\n")
        except UnicodeDecodeError:
            raise ImportFormatError(str(path), number, "not UTF-8 text") from None
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ImportFormatError(str(path), number + 1, f"broken gzip: {error}") from None


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


def _fill(
    record: np.void, row: dict[str, str], instrument: Instrument, number: int, zone: tzinfo
) -> int:
    """Writes the command of a row into a record of zeros; returns the row's quantity."""
    kind = KINDS[row["ordtype"]]
    record["kind"] = kind
    record["instrument"] = number
    record["order_id"] = _whole(row, "uid", UINT64_MAX)
    record["time"] = _time(row["timestamp"], zone)
    quantity = _whole(row, "qty", INT64_MAX)
    if kind == Kind.NEW:
        record["side"] = SIDES[row["is_buy"].lower()]
        record["price"] = _price(row["price"], instrument)
        record["order_type"], record["time_in_force"] = OrderType.LIMIT, TimeInForce.GTC
    if kind != Kind.CANCEL:
        record["quantity"] = quantity
    return quantity


def _whole(row: dict[str, str], name: str, most: int) -> int:
    text = row[name]
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and 1 <= int(text) <= most):
        raise ValueError(f"{name} {text!r} is not a whole number from 1 to {most}")
    return int(text)


def _price(text: str, instrument: Instrument) -> int:
    if _PRICE.fullmatch(text) is None:
        raise ValueError(f"price {text!r} is not a number in plain digits")
    return instrument.ticks(text)


def _time(text: str, zone: tzinfo) -> int:
    """Nanoseconds since 1970; never 0, which would let the engine put its clock's time there."""
    if _TIME.fullmatch(text) is None:
        raise ValueError(f"timestamp {text!r} is not a time like 2019-05-21 09:00:00.123456")
    try:
        time = parse(text, zone)
    except ValueError as error:
        raise ValueError(f"timestamp {error}") from None
    if time == 0:
        raise ValueError(f"timestamp {text!r} is 0, which means: no time, take the clock's")
    return time
