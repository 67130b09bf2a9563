"""Typed commands and events, with names, enumerations and decimal prices.

`decode` and `decode_event` make them of records; `codec.py` makes records of commands.  Machines
and logs use records only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from dataclasses import field as dataclass_field
from decimal import Decimal
from enum import Enum
from typing import Any

import numpy as np

from ..errors import InvalidCommand, InvalidEvent
from .arguments import integer
from .commands import INSTRUMENT
from .events import EventRow
from .fields import code, expect, known, values_of
from .instruments import Directory, Instrument, exact, price_text, read_instrument
from .market_faces import (
    Bust,
    Clock,
    Quote,
    SetMarket,
    SetPhase,
    SetProtection,
    market_face,
)
from .markets import at_any
from .operating import Notice, Register, SetLimits, operating_face
from .order_faces import Amend, Cancel, EndDay, MassCancel, NewOrder, Reduce
from .order_records import amend_face, mass_cancel_face, new_face
from .schema import (
    BOOK_EVENTS,
    INSTRUMENT_KINDS,
    KINDS_OF_2,
    KINDS_OF_3,
    MARKET_EVENTS,
    ORDER_EVENTS,
    SWEEP_KINDS,
    EventKind,
    Field,
    Kind,
    Phase,
    Reason,
    Side,
    Topic,
)

_SIDES: dict[int, Side] = {int(side): side for side in Side}


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
    | SetMarket | SetPhase | Clock | Quote | SetProtection | Bust
)  # fmt: skip


def decode(row: np.void, directory: Directory) -> Command:
    """The typed command of ``row``, of a `COMMAND` array; ignores fields its kind does not read.

    ``directory``: the instruments.  `InvalidCommand`, with the field, if no typed command can
    express the record.  An exchange refuses such records, but its log contains them.
    """
    kind = int(row["kind"])
    if kind in INSTRUMENT_KINDS:
        return _instrument_face(row, directory)
    if kind in KINDS_OF_2:
        return operating_face(row, directory)
    if kind in KINDS_OF_3:
        return market_face(row, directory)
    values = values_of(row)
    time, found = values["time"], None
    expect(values, "kind", *Kind)
    if kind == Kind.UPGRADE_RULES:
        return UpgradeRules(values["quantity"], time)
    if values["instrument"] or kind not in SWEEP_KINDS:
        found = known(values["instrument"], directory.in_order(), InvalidCommand)
    symbol = None if found is None else found.symbol
    carried = values["session"], values["client_order_tail"]
    if kind == Kind.END_DAY:
        return EndDay(symbol, time, *carried)
    if kind == Kind.MASS_CANCEL:
        return mass_cancel_face(values, symbol, found)
    assert found is not None and symbol is not None
    if kind == Kind.NEW:
        return new_face(values, symbol, found)
    if kind == Kind.AMEND:
        return amend_face(values, symbol, found)
    order_id, account = values["order_id"], values["account"]
    client = values["client_order_id"]
    if kind == Kind.CANCEL:
        return Cancel(symbol, order_id, account, time, client, *carried)
    return Reduce(symbol, order_id, values["quantity"], account, time, client, *carried)


def _instrument_face(row: np.void, directory: Directory) -> AddInstrument | ChangeInstrument:
    raw = np.frombuffer(row.tobytes(), INSTRUMENT)[0]
    instrument, time = read_instrument(raw), int(raw["time"])
    if raw["kind"] == Kind.ADD_INSTRUMENT:
        return AddInstrument(instrument, time)
    meant = known(int(raw["instrument"]), directory.in_order(), InvalidCommand)
    if meant.symbol != instrument.symbol:
        raise InvalidCommand(f"symbol {instrument.symbol!r}: the number is that of {meant.symbol}")
    return ChangeInstrument(instrument, time)


@dataclass(frozen=True, slots=True)
class Trade:
    """One fill, at the price of the resting order.  ``side`` is the maker's.

    In an auction, at its price, both orders rested: the buy order is told as the maker.

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

    ``price`` is None, too, of a market order in a call, which trades at any.

    Of markets: PHASE_CHANGED has the new ``phase``, the one ``before`` it, and ``price`` and
    ``quantity`` of the auction that ended, if it traded.  INDICATIVE has ``price`` and ``quantity``
    that would trade, and in ``left`` what would be left over, buys less sells; without a price
    nothing would trade.  BUSTED has ``trade_id``, ``price`` and ``quantity`` of the trade.
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
    trade_id: int = 0
    phase: Phase | None = None
    before: Phase | None = None


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
    kind = code("kind", row.kind, EventKind, InvalidEvent)
    found = None
    # only a refusal may be about an instrument that is none
    if kind in BOOK_EVENTS or 1 <= row.instrument <= len(instruments):
        found = known(row.instrument, instruments, InvalidEvent)
    if kind == EventKind.TRADED:
        assert found is not None
        return Trade(
            row.sequence,
            found.symbol,
            row.trade_id,
            found.price(row.price),
            row.quantity,
            code("side", row.side, Side, InvalidEvent),
            row.order_id,
            row.account,
            row.left,
            row.taker_order_id,
            row.taker_account,
            row.taker_left,
            time,
        )
    changed = kind == EventKind.PHASE_CHANGED
    return OrderEvent(
        row.sequence,
        kind,
        found.symbol if found else None,
        row.order_id,
        row.client_order_id,
        row.account,
        _SIDES.get(row.side),
        found.price(row.price) if found and _has_price(kind, row) else None,
        row.quantity,
        row.left,
        code("reason", row.reason, Reason, InvalidEvent),
        code("field", row.field, Field, InvalidEvent),
        time,
        row.trade_id if kind == EventKind.BUSTED else 0,
        code("left", row.left, Phase, InvalidEvent) if changed else None,
        code("taker_left", row.taker_left, Phase, InvalidEvent) if changed else None,
    )


def _has_price(kind: EventKind, row: EventRow) -> bool:
    """Of an auction that trades nothing there is none, nor of an order of a call at any price."""
    if kind in ORDER_EVENTS:
        return not at_any(row.side, row.price)
    return kind in MARKET_EVENTS and (kind == EventKind.BUSTED or row.quantity > 0)


#: Fields of typed objects that are prices, or written like them.
_NUMBERS = frozenset(
    {"price", "tick", "stop_price", "offset", "trailing_percent", "lowest", "highest", "bid", "ask"}
)


def as_plain(face: Command | Event | Instrument) -> dict[str, Any]:
    """The typed object ``face`` as values for JSON, with prices and enumerations as text.

    Bytes become hexadecimal digits, but for the data of a SECRET: None.  A price that is a text is
    not changed.  `PriceError` for an invalid price.
    """
    plain: dict[str, Any] = {"type": type(face).__name__}
    for item in fields(face):
        value = getattr(face, item.name)
        if item.name in _NUMBERS and value is not None and not isinstance(value, str):
            value = price_text(exact(value, item.name))
        elif isinstance(value, Enum):
            value = value.name
        elif isinstance(value, Instrument):
            value = as_plain(value)
        elif isinstance(value, Mapping):
            value = {name: int(one) for name, one in value.items()}
        elif isinstance(value, np.generic):
            value = value.item()
        elif isinstance(value, bytes):  # a secret is in the log, and nowhere else
            value = None if getattr(face, "topic", 0) == Topic.SECRET else value.hex()
        plain[item.name] = value
    return plain
