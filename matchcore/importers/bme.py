"""BME order files: one stock's day as `ordtype;uid;is_buy;qty;price;timestamp`, plain or gzipped.

new: a limit order; modif: the quantity to take off, the order keeps its place; cancel: takes the
order off, `qty` being what it still has at that moment.  Times are taken as UTC.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..commands import COMMAND, Kind, OrderType, Side, TimeInForce
from ..errors import ImportFormatError, InvalidCommand, PriceError
from ..instruments import INT64_MAX, Directory, Instrument, Price

COLUMNS = ("ordtype", "uid", "is_buy", "qty", "price", "timestamp")
KINDS = {"new": Kind.NEW, "modif": Kind.REDUCE, "cancel": Kind.CANCEL}
SIDES = {"true": Side.BUY, "false": Side.SELL}
USUAL_TICK = "0.05"
LINE_BYTES_MAX = 256
UINT64_MAX = 2**64 - 1
_FILE_NAME = re.compile(r"orders-([A-Za-z0-9.]{1,24})-")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


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
            _fill(batch[filled], row, instrument, number, path, line)
            filled += 1
            if filled == chunk:
                yield batch
                batch, filled = np.zeros(chunk, COMMAND), 0
        if filled:
            yield batch[:filled]

    def quantities(self, path: Path) -> NDArray[np.void]:
        """The `qty` of each row, int64, in the file's order: cancels carry what must be open."""
        return np.array([int(row["qty"]) for _, row in _rows(path)], np.int64)


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


def _fill(
    record: np.void,
    row: dict[str, str],
    instrument: Instrument,
    number: int,
    path: Path,
    line: int,
) -> None:
    try:
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
    except KeyError as error:
        raise ImportFormatError(str(path), line, f"unknown ordtype or is_buy {error}") from None
    except PriceError as error:
        raise ImportFormatError(str(path), line, f"{error}; another tick can be given") from None
    except (InvalidCommand, ValueError, OverflowError) as error:
        raise ImportFormatError(str(path), line, str(error)) from None


def _whole(row: dict[str, str], name: str, most: int) -> int:
    text = row[name]
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and 1 <= int(text) <= most):
        raise ValueError(f"{name} {text!r} is not a whole number from 1 to {most}")
    return int(text)


def _time(text: str) -> int:
    """Nanoseconds since 1970; digits beyond microseconds are refused, none are in this format."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    since = moment - _EPOCH
    return ((since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds) * 1000
