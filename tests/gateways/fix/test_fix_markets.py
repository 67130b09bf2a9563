"""Tags of orders that only instruments with a market take: what they become, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from matchcore import COMMAND, Directory, Instrument, OrderType, SelfTrade, TimeInForce
from matchcore.gateways.fix.layout import ORIGINAL
from matchcore.gateways.fix.plain import Message
from matchcore.gateways.fix.reading import Refused, read
from matchcore.gateways.fix.tables import Tables
from matchcore.records.schema import Flag

DIRECTORY = Directory([Instrument("ANA", "0.05")])
ORDER = {11: b"x", 55: b"ANA", 54: b"1", 38: b"100", 40: b"2", 44: b"95.00"}
AMEND = ORDER | {41: b"w"}
STOP = {40: b"3", 44: None, 99: b"96.00"}
PEG = {40: b"P", 44: None}


def command_of(kind: str, fields: dict[int, bytes]) -> np.void:
    tables = Tables(lambda: DIRECTORY)
    tables.refresh()
    command, original = np.zeros(1, COMMAND), np.zeros(1, ORIGINAL)
    read(Message(b"FIX.4.4", kind, fields), tables, 7, command[0], original[0])
    return command[0]


def changed(base: dict[int, bytes], change: dict[int, bytes | None]) -> dict[int, bytes]:
    found = {**base, **change}
    return {tag: value for tag, value in found.items() if value is not None}


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (STOP, {"order_type": OrderType.STOP, "stop_price": 1920, "price": 0}),
        ({40: b"4", 99: b"96.00"},
         {"order_type": OrderType.STOP_LIMIT, "stop_price": 1920, "price": 1900}),
        ({40: b"K", 44: None}, {"order_type": OrderType.MARKET_TO_LIMIT}),
        (PEG | {18: b"R", 211: b"-0.10"},
         {"order_type": OrderType.PEG_PRIMARY, "stop_price": -2, "flags": 0}),
        (PEG | {1094: b"2", 44: b"95.50"},
         {"order_type": OrderType.PEG_MIDPOINT, "price": 1910, "flags": Flag.PROTECTED}),
        (PEG | {18: b"a", 211: b"0.50"},
         {"order_type": OrderType.TRAILING_STOP, "stop_price": 10}),
        ({111: b"20"}, {"display_quantity": 20, "flags": 0}),
        ({1138: b"0"}, {"display_quantity": 0, "flags": Flag.HIDDEN}),
        ({110: b"40"}, {"stop_price": 40, "flags": Flag.MINIMUM}),
        ({59: b"6", 126: b"20260102-00:00:00"},
         {"time_in_force": TimeInForce.GTD, "expiry": 1767312000 * 10**9}),
        ({59: b"7"}, {"time_in_force": TimeInForce.AT_CLOSE}),
        ({59: b"9"}, {"time_in_force": TimeInForce.AUCTION}),
        ({59: b"B"}, {"time_in_force": TimeInForce.AUCTION}),
        ({2964: b"3"}, {"self_trade": SelfTrade.CANCEL_BOTH}),
        ({18: b"6"}, {"flags": Flag.POST_ONLY}),
    ],
)  # fmt: skip
def test_what_tags_become(change: dict[int, bytes | None], wanted: dict[str, int]) -> None:
    command = command_of("D", changed(ORDER, change))
    assert {name: command[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({99: b"96.00"}, r"StopPx \(99\): of OrdType 3 and 4 only"),
        (STOP | {99: None}, r"StopPx \(99\): OrdType 3 and 4 have one"),
        (STOP | {99: b"96.01"}, r"StopPx \(99\) is not on a tick"),
        (STOP | {44: b"96.00"}, r"OrdType 3 has no Price \(44\)"),
        (STOP | {110: b"5"}, r"MinQty \(110\)"),
        (PEG, "OrdType P: one of ExecInst"),
        (PEG | {18: b"R", 1094: b"2"}, "OrdType P: one of ExecInst"),
        (PEG | {18: b"a"}, r"PegOffsetValue \(211\): a trailing stop has one"),
        ({18: b"R"}, r"OrdType \(40\) P"),
        ({18: b"G"}, r"ExecInst \(18\)"),
        ({211: b"0.05"}, "of OrdType P only"),
        ({59: b"6"}, r"ExpireTime \(126\) is missing"),
        ({126: b"20260102-00:00:00"}, r"ExpireTime \(126\)"),
        ({111: b"5", 1138: b"5"}, "not both"),
        ({2964: b"9"}, r"\(2964\)"),
        ({432: b"20260102"}, r"ExpireDate \(432\) is not supported"),
    ],
)
def test_refusals_name_the_tag(change: dict[int, bytes | None], says: str) -> None:
    with pytest.raises(Refused, match=says):
        command_of("D", changed(ORDER, change))


def test_changes_of_stop_and_display() -> None:
    command = command_of("G", changed(AMEND, {40: b"4", 99: b"96.00", 111: b"10"}))
    assert command["flags"] == Flag.NEW_STOP | Flag.NEW_DISPLAY
    assert (command["stop_price"], command["display_quantity"]) == (1920, 10)
    with pytest.raises(Refused, match=r"ExpireTime \(126\)"):
        command_of("G", changed(AMEND, {126: b"20260102-00:00:00"}))
