"""Tags of orders that only instruments with a market take, as the fields of a command."""

from __future__ import annotations

import numpy as np

from ...records.schema import PEG_TYPES, Flag, Kind, OrderType, SelfTrade, TimeInForce
from .layout import QUANTITY_DIGITS_MAX
from .plain import BAD_FORMAT, BAD_VALUE, Message, SessionFault, moment, ticks, whole
from .refusals import OTHER, UNSUPPORTED, Refused

#: ExecInst (18) and PegPriceType (1094) -> what a pegged order follows.
PEGS = {b"R": OrderType.PEG_PRIMARY, b"P": OrderType.PEG_MARKET, b"M": OrderType.PEG_MIDPOINT,
        b"a": OrderType.TRAILING_STOP}  # fmt: skip
PEG_PRICES = {b"5": OrderType.PEG_PRIMARY, b"4": OrderType.PEG_MARKET,
              b"2": OrderType.PEG_MIDPOINT, b"8": OrderType.TRAILING_STOP}  # fmt: skip
#: SelfMatchPreventionInstruction (2964).
SELF_TRADES = {b"1": SelfTrade.CANCEL_NEWEST, b"2": SelfTrade.CANCEL_OLDEST,
               b"3": SelfTrade.CANCEL_BOTH}  # fmt: skip
STOPPING = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})
POST_ONLY = b"6"


def read_terms(message: Message, command: np.void, mantissa: int, decimals: int) -> None:
    """Stop, peg, display, least quantity, expiry, self-trade: of a NEW or an AMEND."""
    fields = message.fields
    amends = command["kind"] == Kind.AMEND
    _instruction(message, command, amends)
    if not amends and command["order_type"] in PEG_TYPES | {OrderType.TRAILING_STOP}:
        _offset(message, command, mantissa, decimals)
    elif 211 in fields or 1094 in fields:
        raise Refused(
            UNSUPPORTED, "PegOffsetValue (211) and PegPriceType (1094): of OrdType P only"
        )
    _stop(message, command, amends, mantissa, decimals)
    _display(message, command, amends)
    if 110 in fields:
        if amends or command["stop_price"]:
            raise Refused(UNSUPPORTED, "MinQty (110): of an order without a stop or a peg only")
        command["stop_price"] = units_of(message, 110, "MinQty")
        command["flags"] |= Flag.MINIMUM
    _expiry(message, command, amends)
    if 2964 in fields:
        if amends or fields[2964] not in SELF_TRADES:
            raise Refused(UNSUPPORTED, "SelfMatchPreventionInstruction (2964): 1, 2, 3 of an order")
        command["self_trade"] = SELF_TRADES[fields[2964]]


def _instruction(message: Message, command: np.void, amends: bool) -> None:
    """ExecInst and PegPriceType: post only, and what is followed."""
    given = message.fields.get(18, b"").split(b" ") if 18 in message.fields else []
    follows = [PEGS[one] for one in given if one in PEGS]
    if any(one != POST_ONLY and one not in PEGS for one in given) or len(follows) > 1:
        raise Refused(
            UNSUPPORTED,
            "ExecInst (18) may only be 6: participate, do not initiate; of OrdType P one of R, P,"
            " M, a",
        )
    if POST_ONLY in given:
        command["flags"] |= Flag.POST_ONLY
    kind = message.fields.get(1094)
    if kind is not None:
        if kind not in PEG_PRICES:
            raise Refused(UNSUPPORTED, "PegPriceType (1094): 2, 4, 5 or 8")
        follows.append(PEG_PRICES[kind])
    pegged = command["order_type"] in PEG_TYPES
    if follows and not pegged and not amends:
        raise Refused(UNSUPPORTED, "a peg has OrdType (40) P")
    if pegged and not amends:
        if not follows or any(one != follows[0] for one in follows):
            raise Refused(UNSUPPORTED, "OrdType P: one of ExecInst (18) R, P, M, a or the same as"
                                       " PegPriceType (1094)")  # fmt: skip
        command["order_type"] = follows[0]


def _offset(message: Message, command: np.void, mantissa: int, decimals: int) -> None:
    if message.fields.get(836, b"0") != b"0":
        raise Refused(UNSUPPORTED, "PegOffsetType (836): 0 (price) only")
    if 211 in message.fields:
        command["stop_price"] = ticks_of(message, 211, "PegOffsetValue", mantissa, decimals)
    elif command["order_type"] == OrderType.TRAILING_STOP:
        raise Refused(UNSUPPORTED, "PegOffsetValue (211): a trailing stop has one")
    if 44 in message.fields:
        command["price"] = ticks_of(message, 44, "Price", mantissa, decimals)
        command["flags"] |= Flag.PROTECTED


def _stop(message: Message, command: np.void, amends: bool, mantissa: int, decimals: int) -> None:
    stops = command["order_type"] in STOPPING
    if 99 not in message.fields:
        if stops and not amends:
            raise Refused(UNSUPPORTED, "StopPx (99): OrdType 3 and 4 have one")
        return
    if not stops:
        raise Refused(UNSUPPORTED, "StopPx (99): of OrdType 3 and 4 only")
    command["stop_price"] = ticks_of(message, 99, "StopPx", mantissa, decimals)
    if amends:
        command["flags"] |= Flag.NEW_STOP


def _display(message: Message, command: np.void, amends: bool) -> None:
    """MaxFloor, or DisplayQty of FIX 5.0: nothing is shown with 0."""
    tags = [tag for tag in (111, 1138) if tag in message.fields]
    if len(tags) > 1:
        raise Refused(UNSUPPORTED, "MaxFloor (111) or DisplayQty (1138), not both")
    if not tags:
        return
    shown = units_of(message, tags[0], "MaxFloor" if tags[0] == 111 else "DisplayQty", least=0)
    if amends:
        command["display_quantity"] = shown
        command["flags"] |= Flag.NEW_DISPLAY
    elif shown:
        command["display_quantity"] = shown
    else:
        command["flags"] |= Flag.HIDDEN


def _expiry(message: Message, command: np.void, amends: bool) -> None:
    if 126 in message.fields:
        time = moment(message.fields[126])
        if time is None:
            raise SessionFault(BAD_FORMAT, 126, "ExpireTime: YYYYMMDD-HH:MM:SS")
        if amends or command["time_in_force"] != TimeInForce.GTD:
            raise Refused(UNSUPPORTED, "ExpireTime (126): of a new order with TimeInForce 6 only")
        command["expiry"] = time
    elif command["time_in_force"] == TimeInForce.GTD and not amends:
        raise Refused(UNSUPPORTED, "TimeInForce 6: ExpireTime (126) is missing")


def units_of(message: Message, tag: int, name: str, least: int = 1) -> int:
    """A quantity that is there, ``least`` or more; `SessionFault` for another."""
    whole_part, _, rest = message.fields[tag].partition(b".")
    value = whole(whole_part, QUANTITY_DIGITS_MAX)
    if value is None or rest.strip(b"0"):
        raise SessionFault(BAD_FORMAT, tag, f"{name}: a whole number of up to 18 digits")
    if value < least:
        raise SessionFault(BAD_VALUE, tag, f"{name}: at least {least}")
    return value


def ticks_of(message: Message, tag: int, name: str, mantissa: int, decimals: int) -> int:
    """A price that is there, in ticks; `Refused` off the tick, `SessionFault` for no number."""
    value = message.fields[tag]
    found = ticks(value, mantissa, decimals)
    if found is None:
        if value.replace(b".", b"", 1).lstrip(b"-").isdigit():
            raise Refused(OTHER, f"{name} ({tag}) is not on a tick of the instrument, or too large")
        raise SessionFault(BAD_FORMAT, tag, f"{name}: a decimal number")
    return found
