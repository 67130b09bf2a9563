"""Numbers and messages as JSON text.

The shapes are few and fixed, so the text is put together, not serialized: that is several times
faster.  What comes from outside (symbols, reasons) goes through `json.dumps`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from ...records.instruments import Instrument
from ...records.schema import BOOK_CHANGES, ChangeKind, Side
from ..statistics import WORD, Symbol

SAFE_MAX = 2**53  # what every reader of JSON takes as an exact number
VWAP_DECIMALS = 4  # behind those of the tick
SIDES = {1: "buy", 2: "sell"}
AGGRESSORS = {1: "sell", 2: "buy"}  # by the side of the order that rested
BUY, EXECUTED = int(Side.BUY), int(ChangeKind.EXECUTED)  # enumerations compare slowly
OPERATIONS = {1: "add", 2: "execute", 3: "reduce", 4: "delete"}
assert [*OPERATIONS] == sorted(BOOK_CHANGES) and [*SIDES] == [Side.BUY, Side.SELL]


def whole(value: int) -> str:
    """An integer; as a string where a reader might round it."""
    return str(value) if -SAFE_MAX <= value <= SAFE_MAX else f'"{value}"'


@lru_cache(maxsize=1 << 16)
def decimal(value: int, mantissa: int, exponent: int) -> str:
    """``value`` x ``mantissa`` x 10 ** ``exponent`` (at most 0), quoted: "95.05"."""
    value *= mantissa
    if exponent == 0:
        return f'"{value}"'
    digits = str(abs(value)).rjust(1 - exponent, "0")
    return f'"{"-" if value < 0 else ""}{digits[:exponent]}.{digits[exponent:]}"'


def instrument_said(number: int, instrument: Instrument) -> dict[str, Any]:
    return {
        "number": number,
        "symbol": instrument.symbol,
        "tick": format(instrument.tick, "f"),
        "lot": instrument.lot,
    }


Level = tuple[int, int, int, int]  # side, price in ticks, quantity, orders


def _level(level: Level, tick: tuple[int, int]) -> str:
    _, price, quantity, orders = level
    return f"[{decimal(price, *tick)},{whole(quantity)},{orders}]"


def levels(found: Iterable[Level], tick: tuple[int, int]) -> str:
    """The fields of book.l2."""
    bids: list[str] = []
    asks: list[str] = []
    for level in found:
        (bids if level[0] == BUY else asks).append(_level(level, tick))
    return f'"bids":[{",".join(bids)}],"asks":[{",".join(asks)}]'


def best(found: Iterable[Level], tick: tuple[int, int]) -> str:
    """The fields of book.l1."""
    said = {level[0]: _level(level, tick) for level in found}
    return f'"bid":{said.get(Side.BUY, "null")},"ask":{said.get(Side.SELL, "null")}'


def orders(found: Any, tick: tuple[int, int]) -> str:
    """The fields of a snapshot of book.l3, from an `ORDER` array."""
    sides: dict[int, list[str]] = {Side.BUY: [], Side.SELL: []}
    columns = (found[name].tolist() for name in ("side", "order_id", "price", "quantity"))
    for side, order_id, price, quantity in zip(*columns, strict=True):
        sides[side].append(f"[{whole(order_id)},{decimal(price, *tick)},{whole(quantity)}]")
    return f'"bids":[{",".join(sides[Side.BUY])}],"asks":[{",".join(sides[Side.SELL])}]'


#: Columns of a `CHANGE` array.
CHANGE_FIELDS = ("kind", "order_id", "side", "price", "quantity", "left", "trade_id")
EXECUTED_FIELDS = ("kind", "trade_id", "price", "quantity", "side", "time")


def changes(found: Iterable[tuple[int, ...]], tick: tuple[int, int]) -> str:
    """The fields of an update of book.l3, from `CHANGE_FIELDS`."""
    said = []
    for kind, order_id, side, price, quantity, left, trade_id in found:
        trade = f',"trade_id":{whole(trade_id)}' if kind == EXECUTED else ""
        said.append(
            f'{{"op":"{OPERATIONS[kind]}","order_id":{whole(order_id)},"side":"{SIDES[side]}",'
            f'"price":{decimal(price, *tick)},"quantity":{whole(quantity)},'
            f'"left":{whole(left)}{trade}}}'
        )
    return f'"changes":[{",".join(said)}]'


def trades(found: Any) -> str:
    """The fields of trades, from a `TRADE` array."""
    said = [
        _trade(trade_id, decimal(price, mantissa, exponent), quantity, SIDES[side], time)
        for trade_id, price, quantity, time, mantissa, exponent, side, _ in found.tolist()
    ]
    return f'"trades":[{",".join(said)}]'


def executions(found: Iterable[tuple[int, ...]], tick: tuple[int, int]) -> str:
    """The same from `EXECUTED_FIELDS`, of which some are of other changes."""
    said = [
        _trade(trade_id, decimal(price, *tick), quantity, AGGRESSORS[side], time)
        for kind, trade_id, price, quantity, side, time in found
        if kind == EXECUTED
    ]
    return f'"trades":[{",".join(said)}]'


def _trade(trade_id: int, price: str, quantity: int, side: str, time: int) -> str:
    return (
        f'{{"id":{whole(trade_id)},"price":{price},"quantity":{whole(quantity)},'
        f'"side":"{side}","time":"{time}"}}'
    )


def bars(found: Any) -> str:
    """The fields of bars, from a `BAR` array."""
    said = []
    for (start, first, high, low, close, volume, volume_high, turnover, turnover_high, _,
         *unit, _) in found.tolist():  # fmt: skip
        prices = ",".join(decimal(price, *unit) for price in (first, high, low, close))
        said.append(
            f"[{start},{prices},{whole(volume_high * WORD + volume)},"
            f"{decimal(turnover_high * WORD + turnover, *unit)}]"
        )
    return f'"bars":[{",".join(said)}]'


def status(symbol: Symbol) -> str:
    """The fields of status; null before the first trade of the day."""
    day, unit = symbol.day, symbol.unit
    names = ("open", "high", "low", "last")
    if day is None:
        prices = ["null"] * 4
        volume, turnover, vwap, count = 0, decimal(0, *unit), "null", 0
    else:
        prices = [decimal(price, *unit) for price in (day.open, day.high, day.low, day.close)]
        volume, turnover, count = day.volume, decimal(day.turnover, *unit), day.trades
        vwap = average(day.turnover, day.volume, unit)
    said = ",".join(f'"{name}":{price}' for name, price in zip(names, prices, strict=True))
    return (
        f'{said},"volume":{whole(volume)},"turnover":{turnover},"vwap":{vwap},'
        f'"trades":{count},"day":{symbol.days_ended}'
    )


def average(turnover: int, volume: int, unit: tuple[int, int]) -> str:
    """Turnover by volume, rounded half to even, with some more decimals than prices have."""
    mantissa, exponent = unit
    whole_part, rest = divmod(turnover * mantissa * 10**VWAP_DECIMALS, volume)
    if 2 * rest > volume or (2 * rest == volume and whole_part % 2):
        whole_part += 1
    return decimal(whole_part, 1, exponent - VWAP_DECIMALS)


def message(kind: str, **fields: Any) -> bytes:
    """A message that is no market data."""
    said = {name: value for name, value in fields.items() if value is not None}
    return json.dumps({"type": kind, **said}, separators=(",", ":")).encode()
