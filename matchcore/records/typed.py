"""Typed commands and events, with names, enumerations and decimal prices.

`decode` and `decode_event` make them of records; `codec.py` makes records of commands.  Machines
and logs use records only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from dataclasses import field as dataclass_field
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any, TypeVar

import numpy as np

from ..errors import InvalidCommand, InvalidEvent
from .arguments import integer
from .commands import INSTRUMENT
from .events import EventRow
from .instruments import (
    Directory,
    Instrument,
    Price,
    exact,
    price_text,
    read_instrument,
)
from .operating import Notice, Register, SetLimits, operating_face
from .schema import (
    BOOK_EVENTS,
    INSTRUMENT_KINDS,
    KINDS_OF_2,
    LATER_FIELDS,
    ORDER_EVENTS,
    SWEEP_KINDS,
    UNPRICED_TYPES,
    EventKind,
    Field,
    Flag,
    Kind,
    OrderType,
    Reason,
    Side,
    TimeInForce,
    Topic,
)

_SIDES: dict[int, Side] = {int(side): side for side in Side}
_KEEPS = (Flag.KEEP_PRICE, Flag.KEEP_QUANTITY, Flag.KEEP_PRICE | Flag.KEEP_QUANTITY)
Values = dict[str, int]  # of a record, by field
Code = TypeVar("Code", bound=IntEnum)


# Not frozen: making an order, which is all that some callers do, would take three times as long.


@dataclass(slots=True, unsafe_hash=True)
class NewOrder:
    """A new order.

    - ``symbol``: of the instrument.
    - ``side``: a `Side`.
    - ``quantity``: in units.
    - ``price``: a string, Decimal, int or float on a tick; None: a MARKET order.
    - ``time_in_force``: None: GTC with a price, IOC without.
    - ``account``: the owner; 0: none.
    - ``order_id``: 0: the exchange assigns one.
    - ``client_order_id``: if not 0, the command can be sent again.
    - ``post_only``: the order is refused if it would trade.
    - ``time``: nanoseconds since 1970 UTC; 0: the engine's clock.
    - ``session``: number of the login that sends it; 0: none.
    - ``client_order_tail``: second half of a long client order id; only stored.

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
    session: int = 0
    client_order_tail: int = 0


@dataclass(slots=True, unsafe_hash=True)
class Cancel:
    """Cancels a resting order.  ``account``: if not 0, it must be the order's."""

    symbol: str
    order_id: int
    account: int = 0
    time: int = 0
    client_order_id: int = 0
    session: int = 0
    client_order_tail: int = 0


@dataclass(slots=True, unsafe_hash=True)
class Amend:
    """Changes the open ``quantity``, the ``price``, or both; None: unchanged."""

    symbol: str
    order_id: int
    quantity: int | None = None
    price: Price | None = None
    account: int = 0
    time: int = 0
    client_order_id: int = 0
    session: int = 0
    client_order_tail: int = 0


@dataclass(slots=True, unsafe_hash=True)
class Reduce:
    """Subtracts ``quantity`` from an order, which keeps its place in the queue."""

    symbol: str
    order_id: int
    quantity: int
    account: int = 0
    time: int = 0
    client_order_id: int = 0
    session: int = 0
    client_order_tail: int = 0


@dataclass(slots=True, unsafe_hash=True)
class MassCancel:
    """Cancels all orders of ``symbol``, ``account`` and ``side``; None and 0: of all."""

    symbol: str | None = None
    account: int = 0
    side: Side | None = None
    time: int = 0
    client_order_id: int = 0
    session: int = 0
    client_order_tail: int = 0


@dataclass(slots=True, unsafe_hash=True)
class EndDay:
    """Cancels the DAY orders of the instrument ``symbol`` (None: of all)."""

    symbol: str | None = None
    time: int = 0
    session: int = 0
    client_order_tail: int = 0


@dataclass(slots=True, unsafe_hash=True)
class AddInstrument:
    """Adds ``instrument``, whose symbol must be new."""

    instrument: Instrument
    time: int = 0


@dataclass(slots=True, unsafe_hash=True)
class ChangeInstrument:
    """Gives the instrument with the symbol of ``instrument`` its parameters."""

    instrument: Instrument
    time: int = 0


@dataclass(slots=True, unsafe_hash=True)
class UpgradeRules:
    """A change of the rules to a version, as a log has it.

    Only `Engine.upgrade_rules` makes one: sent like other commands it is refused.
    """

    version: int
    time: int = 0


Command = (
    NewOrder | Cancel | Amend | Reduce | MassCancel | EndDay | AddInstrument | ChangeInstrument
    | UpgradeRules | Register | Notice | SetLimits
)  # fmt: skip


def decode(row: np.void, directory: Directory) -> Command:
    """The typed command of ``row``, of a `COMMAND` array; ignores fields its kind does not read.

    ``directory``: the instruments.  `InvalidCommand`, with the field, if no typed command can
    express the record.  An exchange refuses such records, but its log contains them.
    """
    if int(row["kind"]) in INSTRUMENT_KINDS:
        return _instrument_face(row, directory)
    if int(row["kind"]) in KINDS_OF_2:
        return operating_face(row, directory)
    values = _values(row)
    kind, symbol, time = values["kind"], None, values["time"]
    _expect(values, "kind", *Kind)
    if kind == Kind.UPGRADE_RULES:
        return UpgradeRules(values["quantity"], time)
    if values["instrument"] or kind not in SWEEP_KINDS:
        symbol = _known(values["instrument"], directory.in_order(), InvalidCommand).symbol
    carried = values["session"], values["client_order_tail"]
    if kind == Kind.END_DAY:
        return EndDay(symbol, time, *carried)
    account, order_id = values["account"], values["order_id"]
    client = values["client_order_id"]
    if kind == Kind.MASS_CANCEL:
        side = _code("side", values["side"], Side, InvalidCommand) if values["side"] else None
        return MassCancel(symbol, account, side, time, client, *carried)
    assert symbol is not None
    if kind == Kind.CANCEL:
        return Cancel(symbol, order_id, account, time, client, *carried)
    if kind == Kind.REDUCE:
        return Reduce(symbol, order_id, values["quantity"], account, time, client, *carried)
    for name in LATER_FIELDS:
        _expect(values, name, 0)
    price = directory[values["instrument"]].price(values["price"])
    face = _new_face if kind == Kind.NEW else _amend_face
    return face(values, symbol, price)


def _new_face(values: Values, symbol: str, price: Decimal) -> NewOrder:
    _expect(values, "flags", 0, Flag.POST_ONLY)
    unpriced = (
        _code("order_type", values["order_type"], OrderType, InvalidCommand) in UNPRICED_TYPES
    )
    if unpriced:
        _expect(values, "price", 0)
    return NewOrder(
        symbol,
        _code("side", values["side"], Side, InvalidCommand),
        values["quantity"],
        None if unpriced else price,
        _code("time_in_force", values["time_in_force"], TimeInForce, InvalidCommand),
        values["account"],
        values["order_id"],
        values["client_order_id"],
        bool(values["flags"]),
        values["time"],
        values["session"],
        values["client_order_tail"],
    )


def _amend_face(values: Values, symbol: str, price: Decimal) -> Amend:
    _expect(values, "flags", 0, *_KEEPS)
    return Amend(
        symbol,
        values["order_id"],
        None if values["flags"] & Flag.KEEP_QUANTITY else values["quantity"],
        None if values["flags"] & Flag.KEEP_PRICE else price,
        values["account"],
        values["time"],
        values["client_order_id"],
        values["session"],
        values["client_order_tail"],
    )


def _instrument_face(row: np.void, directory: Directory) -> AddInstrument | ChangeInstrument:
    raw = np.frombuffer(row.tobytes(), INSTRUMENT)[0]
    instrument, time = read_instrument(raw), int(raw["time"])
    if raw["kind"] == Kind.ADD_INSTRUMENT:
        return AddInstrument(instrument, time)
    meant = _known(int(raw["instrument"]), directory.in_order(), InvalidCommand)
    if meant.symbol != instrument.symbol:
        raise InvalidCommand(f"symbol {instrument.symbol!r}: the number is that of {meant.symbol}")
    return ChangeInstrument(instrument, time)


def _values(row: np.void) -> Values:
    """A row as field name -> Python int."""
    return dict(zip(row.dtype.names or (), row.item(), strict=True))


def _expect(values: Values, name: str, *allowed: int) -> None:
    if values[name] not in allowed:
        raise InvalidCommand(f"{name} {values[name]}: no typed command has that")


def _code(name: str, value: int, codes: type[Code], error: type[Exception]) -> Code:
    try:
        return codes(value)
    except ValueError:
        raise error(f"{name} {value}: no {codes.__name__} has that number") from None


def _known(number: int, instruments: Sequence[Instrument], error: type[Exception]) -> Instrument:
    if not 1 <= number <= len(instruments):
        raise error(f"instrument {number}: none has that number")
    return instruments[number - 1]


@dataclass(frozen=True, slots=True)
class Trade:
    """One fill, at the price of the resting order.  ``side`` is the maker's.

    ``time``: of the command that traded, in nanoseconds since 1970 UTC; 0: unknown.  Comparison
    ignores it.
    """

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
    time: int = dataclass_field(default=0, compare=False)

    @property
    def aggressor(self) -> Side:
        """The side of the taker."""
        return Side.SELL if self.side == Side.BUY else Side.BUY


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """Any event except a trade, by ``kind``; unused fields are zero or None.

    ``time``: of the command, in nanoseconds since 1970 UTC; 0: unknown.  Comparison ignores it.
    """

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
    time: int = dataclass_field(default=0, compare=False)


Event = Trade | OrderEvent


def decode_event(row: np.void, directory: Directory, time: int = 0) -> Event:
    """The typed event of ``row``, of an `EVENT` array; ``directory``: the instruments.

    ``time``: of its command, in nanoseconds since 1970 UTC, which events do not have; see
    `times_of`.  The price uses the tick at the sequence of the event.  `InvalidEvent`, with the
    field, if no exchange emits such an event.
    """
    event = EventRow._make(row.item())
    return event_of(event, directory.in_order(event.sequence), integer(time, "time"))


def event_of(row: EventRow, instruments: Sequence[Instrument], time: int = 0) -> Event:
    """As `decode_event`, with the instruments by number - 1."""
    kind = _code("kind", row.kind, EventKind, InvalidEvent)
    known = None
    # only a refusal may be about an instrument that is none
    if kind in BOOK_EVENTS or 1 <= row.instrument <= len(instruments):
        known = _known(row.instrument, instruments, InvalidEvent)
    if kind == EventKind.TRADED:
        assert known is not None
        return Trade(
            row.sequence,
            known.symbol,
            row.trade_id,
            known.price(row.price),
            row.quantity,
            _code("side", row.side, Side, InvalidEvent),
            row.order_id,
            row.account,
            row.left,
            row.taker_order_id,
            row.taker_account,
            row.taker_left,
            time,
        )
    return OrderEvent(
        row.sequence,
        kind,
        known.symbol if known else None,
        row.order_id,
        row.client_order_id,
        row.account,
        _SIDES.get(row.side),
        known.price(row.price) if known and kind in ORDER_EVENTS else None,
        row.quantity,
        row.left,
        _code("reason", row.reason, Reason, InvalidEvent),
        _code("field", row.field, Field, InvalidEvent),
        time,
    )


def as_plain(face: Command | Event | Instrument) -> dict[str, Any]:
    """The typed object ``face`` as values for JSON, with prices and enumerations as text.

    Bytes become hexadecimal digits, but for the data of a SECRET: None.  A price that is a text is
    not changed.  `PriceError` for an invalid price.
    """
    plain: dict[str, Any] = {"type": type(face).__name__}
    for item in fields(face):
        value = getattr(face, item.name)
        if item.name in ("price", "tick") and value is not None and not isinstance(value, str):
            value = price_text(exact(value, item.name))
        elif isinstance(value, Enum):
            value = value.name
        elif isinstance(value, Instrument):
            value = as_plain(value)
        elif isinstance(value, np.generic):
            value = value.item()
        elif isinstance(value, bytes):  # a secret is in the log, and nowhere else
            value = None if getattr(face, "topic", 0) == Topic.SECRET else value.hex()
        plain[item.name] = value
    return plain
