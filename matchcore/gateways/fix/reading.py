"""One message as a command: what it says, and why it cannot be one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...records.arguments import INT64_MAX, INT64_MIN
from ...records.ids import TEXT_MAX, id_of
from ...records.schema import Flag, Kind, OrderType, TimeInForce
from .layout import ORDER_TYPES, QUANTITY_DIGITS_MAX, SIDES, TIMES_IN_FORCE, UNSUPPORTED_TAGS
from .plain import BAD_FORMAT, BAD_VALUE, Message, SessionFault, moment, ticks, whole
from .refusals import BAD_QUANTITY, OTHER, UNKNOWN_SYMBOL, UNSUPPORTED, Refused
from .tables import Tables
from .terms import read_terms, ticks_of

_NO_PRICE = frozenset({OrderType.MARKET, OrderType.STOP, OrderType.MARKET_TO_LIMIT})
SESSION_ID = b"55"  # PartyRole
KINDS = {"D": Kind.NEW, "F": Kind.CANCEL, "G": Kind.AMEND, "q": Kind.MASS_CANCEL}


def read(
    message: Message, tables: Tables, account: int, command: np.void, original: np.void
) -> None:
    """Fills a `COMMAND` row, and the id of the order that F and G are about.

    ``account``: of a message that names none.  An AMEND has OrderQty as quantity.  `SessionFault`
    for what breaks the layout of the message, `Refused` for what cannot become a command.
    """
    kind = KINDS[message.kind]
    command["kind"] = kind
    id = message.need(11)
    if kind in (Kind.CANCEL, Kind.AMEND):
        original["id"], original["tail"] = _id(message.need(41), 41)
    if 60 in message.fields and moment(message.fields[60]) is None:
        raise SessionFault(BAD_FORMAT, 60, "TransactTime: YYYYMMDD-HH:MM:SS")
    if kind == Kind.MASS_CANCEL:
        _read_mass(message, tables, command)
    else:
        symbol = message.need(55)
        command["side"] = _coded(message, 54, SIDES, "Side")
        if kind != Kind.CANCEL:
            _read_terms(message, kind, command)
        instrument = tables.by_symbol.get(symbol)
        if instrument is None:
            raise Refused(UNKNOWN_SYMBOL, "Symbol is not known")
        command["instrument"] = instrument[0]
        if kind != Kind.CANCEL:
            read_terms(message, command, instrument[1], instrument[2])
        if command["order_type"] in (OrderType.LIMIT, OrderType.STOP_LIMIT):
            command["price"] = _price(message, instrument[1], instrument[2])
    command["account"] = account_of(message, account)
    command["client_order_id"], command["client_order_tail"] = _id(id, 11)


def _read_terms(message: Message, kind: Kind, command: np.void) -> None:
    """Quantity, order type, time in force, instructions."""
    quantity = message.need(38)
    order_type = _coded(message, 40, ORDER_TYPES, "OrdType")
    for tag, name in UNSUPPORTED_TAGS.items():
        if tag in message.fields:
            raise Refused(UNSUPPORTED, f"{name} ({tag}) is not supported")
    whole_part, point, rest = quantity.partition(b".")
    value = whole(whole_part, QUANTITY_DIGITS_MAX)
    if value is None or (point and rest.strip(b"0")):
        if value is not None and rest.isdigit():
            raise Refused(BAD_QUANTITY, "OrderQty must be a whole number of units")
        raise SessionFault(BAD_FORMAT, 38, "OrderQty: a whole number of up to 18 digits")
    if value < 1:
        raise Refused(BAD_QUANTITY, "OrderQty must be above 0")
    if kind == Kind.AMEND and order_type == OrderType.MARKET:
        raise Refused(UNSUPPORTED, "OrdType of an order cannot be changed")
    if order_type in _NO_PRICE and 44 in message.fields:
        raise Refused(UNSUPPORTED, f"OrdType {message.fields[40].decode()} has no Price (44)")
    command["quantity"], command["order_type"] = value, order_type
    command["time_in_force"] = TimeInForce.DAY
    if 59 in message.fields:
        command["time_in_force"] = _coded(message, 59, TIMES_IN_FORCE, "TimeInForce")


def _read_mass(message: Message, tables: Tables, command: np.void) -> None:
    what = message.need(530)
    if what not in (b"1", b"7"):
        raise Refused(OTHER, "MassCancelRequestType: 1 (symbol) or 7 (all orders)")
    if what == b"1":
        instrument = tables.by_symbol.get(message.need(55))
        if instrument is None:
            raise Refused(UNKNOWN_SYMBOL, "Symbol is not known")
        command["instrument"] = instrument[0]
    if 54 in message.fields:
        command["side"] = _coded(message, 54, SIDES, "Side")
    _read_range(message, tables, command)
    _read_target(message, command)


def _read_range(message: Message, tables: Tables, command: np.void) -> None:
    """LowPx and HighPx: orders at these prices and between."""
    if 332 not in message.fields and 333 not in message.fields:
        return
    if not command["instrument"]:
        raise Refused(OTHER, "LowPx (333) and HighPx (332): of one Symbol, MassCancelRequestType 1")
    _, mantissa, decimals = tables.by_number[int(command["instrument"]) - 1]
    command["price"], command["stop_price"] = INT64_MIN, INT64_MAX
    if 333 in message.fields:
        command["price"] = ticks_of(message, 333, "LowPx", mantissa, decimals)
    if 332 in message.fields:
        command["stop_price"] = ticks_of(message, 332, "HighPx", mantissa, decimals)
    if command["price"] > command["stop_price"]:
        raise Refused(OTHER, "LowPx (333) is above HighPx (332)")
    command["flags"] |= Flag.RANGE


def _read_target(message: Message, command: np.void) -> None:
    """TargetParties: the session itself, as party of the role 55."""
    fields = message.fields
    if 1461 not in fields:
        return
    own = (b"1", fields.get(49), SESSION_ID)
    if (fields[1461], fields.get(1462), fields.get(1464)) != own:
        raise Refused(
            OTHER, "TargetParties (1461): one, of TargetPartyRole (1464) 55, whose TargetPartyID"
            " (1462) is the SenderCompID",
        )  # fmt: skip
    command["flags"] |= Flag.OF_SESSION


def _coded(message: Message, tag: int, codes: Mapping[bytes, int], name: str) -> int:
    """A code: one that FIX has but matchcore has not is refused, another is a fault."""
    value = message.need(tag)
    code = codes.get(value)
    if code is None:
        if len(value) == 1 and value.isalnum():
            offered = ", ".join(known.decode() for known in codes)
            raise Refused(UNSUPPORTED, f"{name} {value.decode()} is not supported: {offered}")
        raise SessionFault(BAD_VALUE, tag, f"{name} has no such value")
    return code


def _price(message: Message, mantissa: int, decimals: int) -> int:
    value = message.need(44)
    price = ticks(value, mantissa, decimals)
    if price is None:
        if value.replace(b".", b"", 1).lstrip(b"-").isdigit():
            raise Refused(OTHER, "Price is not on a tick of the instrument, or too large")
        raise SessionFault(BAD_FORMAT, 44, "Price: a decimal number")
    return price


def account_of(message: Message, usual: int) -> int:
    if 1 not in message.fields:
        return usual
    value = whole(message.fields[1], 18)
    if value is None:
        raise Refused(OTHER, "Account must be a number of up to 18 digits")
    return value


def _id(value: bytes, tag: int) -> tuple[int, int]:
    return checked_id(value, "ClOrdID" if tag == 11 else "OrigClOrdID")


def checked_id(value: bytes, name: str) -> tuple[int, int]:
    """A text as a client order id; `Refused` if it is none."""
    if len(value) > TEXT_MAX:
        raise Refused(OTHER, f"{name} has {len(value)} characters, at most {TEXT_MAX}")
    try:
        return id_of(value.decode("latin-1"))
    except ValueError as error:
        raise Refused(OTHER, f"{name}: {error}") from None
