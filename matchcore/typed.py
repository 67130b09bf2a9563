"""Commands and events with names, enumerations and decimal prices, for people.

The only place where these faces turn into records (`encode`) and back (`decode`,
`decode_event`).  Machines and logs know records only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .commands import COMMAND, INSTRUMENT, Flag, Kind, OrderType, Side, TimeInForce
from .errors import InvalidCommand
from .events import EventKind, Field, Reason
from .instruments import (
    INT64_MAX,
    INT64_MIN,
    Directory,
    Instrument,
    Price,
    read_instrument,
    write_instrument,
)

_COMMAND = struct.Struct("<qQQQqqqqqIBBBBBBHIQ")  # COMMAND, field by field
assert _COMMAND.size == COMMAND.itemsize
UINT64_MAX = 2**64 - 1


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A new order.  Without a price it is a MARKET order, and IOC unless told otherwise.

    ``quantity`` in units; ``order_id`` 0 lets the exchange assign one; ``time`` in
    nanoseconds since 1970 UTC, 0: the engine's clock.

    >>> from matchcore import Directory, Instrument, NewOrder, Side, decode, encode
    >>> directory = Directory([Instrument("ANA", tick="0.05")])
    >>> record = encode(NewOrder("ANA", Side.BUY, 30, "95.70"), directory)
    >>> record["price"].tolist(), decode(record[0], directory).price
    ([1914], Decimal('95.70'))
    """

    symbol: str
    side: Side
    quantity: int
    price: Price | None = None
    time_in_force: TimeInForce | None = None
    account: int = 0
    order_id: int = 0
    client_order_id: int = 0
    post_only: bool = False
    time: int = 0


@dataclass(frozen=True, slots=True)
class Cancel:
    """Takes a resting order off.  A nonzero account must be the order's own."""

    symbol: str
    order_id: int
    account: int = 0
    time: int = 0


@dataclass(frozen=True, slots=True)
class Amend:
    """A new open quantity and/or price; None leaves a value as it is."""

    symbol: str
    order_id: int
    quantity: int | None = None
    price: Price | None = None
    account: int = 0
    time: int = 0


@dataclass(frozen=True, slots=True)
class Reduce:
    """Takes a quantity off an order, which keeps its place."""

    symbol: str
    order_id: int
    quantity: int
    account: int = 0
    time: int = 0


@dataclass(frozen=True, slots=True)
class MassCancel:
    """Cancels all orders that match; None and 0 match everything."""

    symbol: str | None = None
    account: int = 0
    side: Side | None = None
    time: int = 0


@dataclass(frozen=True, slots=True)
class EndDay:
    """Ends the day of an instrument (None: of all): DAY orders are cancelled."""

    symbol: str | None = None
    time: int = 0


@dataclass(frozen=True, slots=True)
class AddInstrument:
    instrument: Instrument
    time: int = 0


@dataclass(frozen=True, slots=True)
class ChangeInstrument:
    """New parameters for the instrument of that symbol."""

    instrument: Instrument
    time: int = 0


Command = (
    NewOrder | Cancel | Amend | Reduce | MassCancel | EndDay | AddInstrument | ChangeInstrument
)


def encode(command: Command, directory: Directory) -> NDArray[np.void]:
    """One typed command as a `COMMAND` array of length 1; `InvalidCommand` when it can not be.

    Only what a record can not hold is refused here (types, 64 bits, ticks, unknown symbols).
    All rules of the exchange are the machine's, and its refusals are in the log.
    """
    match command:
        case NewOrder():
            market = command.price is None
            tif = command.time_in_force or (TimeInForce.IOC if market else TimeInForce.GTC)
            return _record(
                directory, command, Kind.NEW,
                side=command.side, tif=tif, client_order_id=command.client_order_id,
                order_type=OrderType.MARKET if market else OrderType.LIMIT,
                flags=Flag.POST_ONLY if command.post_only else 0,
            )  # fmt: skip
        case Cancel():
            return _record(directory, command, Kind.CANCEL)
        case Amend():
            keep = Flag.KEEP_PRICE if command.price is None else 0
            keep |= Flag.KEEP_QUANTITY if command.quantity is None else 0
            return _record(directory, command, Kind.AMEND, flags=keep)
        case Reduce():
            return _record(directory, command, Kind.REDUCE)
        case MassCancel():
            return _record(directory, command, Kind.MASS_CANCEL, side=command.side or 0)
        case EndDay():
            return _record(directory, command, Kind.END_DAY)
        case AddInstrument() | ChangeInstrument():
            return _instrument_record(directory, command)
    raise InvalidCommand(f"{command!r} is not a command")


def encode_all(commands: Iterable[Command], directory: Directory) -> NDArray[np.void]:
    """Typed commands as one `COMMAND` array, for `Engine.submit_batch`.

    Instruments must be known beforehand: an AddInstrument takes effect when it is applied.
    """
    rows = [encode(command, directory) for command in commands]
    return np.concatenate(rows) if rows else np.empty(0, COMMAND)


def decode(row: np.void, directory: Directory) -> Command:
    """The typed command of a `COMMAND` row; `InvalidCommand` if its kind has no typed face."""
    kind, time = int(row["kind"]), int(row["time"])
    if kind in (Kind.ADD_INSTRUMENT, Kind.CHANGE_INSTRUMENT):
        instrument = read_instrument(np.frombuffer(row.tobytes(), INSTRUMENT)[0])
        face = AddInstrument if kind == Kind.ADD_INSTRUMENT else ChangeInstrument
        return face(instrument, time)
    number, side = int(row["instrument"]), int(row["side"])
    instrument_of = directory[number] if number else None
    symbol = instrument_of.symbol if instrument_of else None
    order_id, account = int(row["order_id"]), int(row["account"])
    quantity, flags = int(row["quantity"]), int(row["flags"])
    if kind == Kind.MASS_CANCEL:
        return MassCancel(symbol, account, Side(side) if side else None, time)
    if kind == Kind.END_DAY:
        return EndDay(symbol, time)
    if instrument_of is None or kind not in (Kind.NEW, Kind.CANCEL, Kind.AMEND, Kind.REDUCE):
        raise InvalidCommand(f"kind {kind} of instrument {number} has no typed face")
    symbol = instrument_of.symbol
    price = instrument_of.price(int(row["price"]))
    if kind == Kind.CANCEL:
        return Cancel(symbol, order_id, account, time)
    if kind == Kind.REDUCE:
        return Reduce(symbol, order_id, quantity, account, time)
    if kind == Kind.AMEND:
        return Amend(
            symbol,
            order_id,
            None if flags & Flag.KEEP_QUANTITY else quantity,
            None if flags & Flag.KEEP_PRICE else price,
            account,
            time,
        )
    try:
        return NewOrder(
            symbol,
            Side(side),
            quantity,
            None if int(row["order_type"]) == OrderType.MARKET else price,
            TimeInForce(int(row["time_in_force"])),
            account,
            order_id,
            int(row["client_order_id"]),
            bool(flags & Flag.POST_ONLY),
            time,
        )
    except ValueError as error:
        raise InvalidCommand(f"a NEW that no face can show: {error}") from None


def _whole(command: Any, name: str, low: int, high: int) -> int:
    value = getattr(command, name, None)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InvalidCommand(f"{type(command).__name__}.{name}: {value!r} is not a whole number")
    if not low <= value <= high:
        raise InvalidCommand(f"{type(command).__name__}.{name}: {value} is outside {low} to {high}")
    return int(value)


def _record(
    directory: Directory,
    command: Any,
    kind: Kind,
    *,
    side: int = 0,
    order_type: int = 0,
    tif: int = 0,
    flags: int = 0,
    client_order_id: int = 0,
) -> NDArray[np.void]:
    number = directory.number(command.symbol) if command.symbol is not None else 0
    price = getattr(command, "price", None)
    for name, value in (("side", side), ("time_in_force", tif)):
        if not isinstance(value, int | np.integer) or not 0 <= value <= 255:
            raise InvalidCommand(f"{type(command).__name__}.{name}: {value!r} is not one")
    packed = _COMMAND.pack(
        _whole(command, "time", INT64_MIN, INT64_MAX),
        _whole(command, "order_id", 0, UINT64_MAX),
        _whole(command, "client_order_id", 0, UINT64_MAX) if client_order_id else 0,
        _whole(command, "account", 0, UINT64_MAX),
        directory[number].ticks(price) if price is not None else 0,
        0,
        _whole(command, "quantity", INT64_MIN, INT64_MAX),
        0,
        0,
        number,
        kind,
        side,
        order_type,
        tif,
        0,
        0,
        flags,
        0,
        0,
    )
    return np.frombuffer(packed, COMMAND)


def _instrument_record(
    directory: Directory, command: AddInstrument | ChangeInstrument
) -> NDArray[np.void]:
    record = np.zeros(1, INSTRUMENT)
    row = record[0]
    write_instrument(row, command.instrument)
    row["time"] = _whole(command, "time", INT64_MIN, INT64_MAX)
    if isinstance(command, AddInstrument):
        row["kind"] = Kind.ADD_INSTRUMENT
    else:
        row["kind"] = Kind.CHANGE_INSTRUMENT
        row["instrument"] = directory.number(command.instrument.symbol)
    return record.view(COMMAND)


@dataclass(frozen=True, slots=True)
class Trade:
    """One fill, at the resting order's price.  ``side`` is the maker's."""

    sequence: int
    symbol: str
    trade_id: int
    price: Decimal
    quantity: int
    side: Side
    maker_order_id: int
    maker_account: int
    maker_left: int
    taker_order_id: int
    taker_account: int
    taker_left: int

    @property
    def aggressor(self) -> Side:
        """The side whose order came second and took."""
        return Side.SELL if self.side == Side.BUY else Side.BUY


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """Any event but a trade; `kind` tells which, unused fields are zero or None."""

    sequence: int
    kind: EventKind
    symbol: str | None
    order_id: int
    client_order_id: int
    account: int
    side: Side | None
    price: Decimal | None
    quantity: int
    left: int
    reason: Reason
    field: Field


Event = Trade | OrderEvent


def decode_event(row: np.void, directory: Directory) -> Event:
    """The typed event of an `EVENT` row."""
    number = int(row["instrument"])
    known = directory[number] if 1 <= number <= len(directory) else None
    kind = EventKind(int(row["kind"]))
    if kind == EventKind.TRADED:
        assert known is not None, "a trade in an unknown instrument"
        return Trade(
            int(row["sequence"]),
            known.symbol,
            int(row["trade_id"]),
            known.price(int(row["price"])),
            int(row["quantity"]),
            Side(int(row["side"])),
            int(row["order_id"]),
            int(row["account"]),
            int(row["left"]),
            int(row["taker_order_id"]),
            int(row["taker_account"]),
            int(row["taker_left"]),
        )
    about_order = kind <= EventKind.REJECTED and known is not None
    side = int(row["side"])
    return OrderEvent(
        int(row["sequence"]),
        kind,
        known.symbol if known else None,
        int(row["order_id"]),
        int(row["client_order_id"]),
        int(row["account"]),
        Side(side) if side in (1, 2) else None,
        known.price(int(row["price"])) if about_order and known else None,
        int(row["quantity"]),
        int(row["left"]),
        Reason(int(row["reason"])),
        Field(int(row["field"])),
    )


def as_plain(face: Command | Event | Instrument) -> dict[str, Any]:
    """A typed face as JSON-ready values: prices and enumerations as text."""
    plain: dict[str, Any] = {"type": type(face).__name__}
    for item in fields(face):
        value = getattr(face, item.name)
        if isinstance(value, Decimal):
            value = str(value)
        elif isinstance(value, Enum):
            value = value.name
        elif isinstance(value, Instrument):
            value = as_plain(value)
        plain[item.name] = value
    return plain
