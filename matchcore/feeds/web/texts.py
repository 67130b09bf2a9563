"""Numbers and messages as JSON text.

The shapes are few and fixed, so the text is put together, not serialized: that is several times
faster.  `_texts` does it for changes.  What comes from outside (symbols, reasons) goes through
`json.dumps`.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ...records.instruments import Instrument
from ...records.markets import ANY_BUY, ANY_SELL
from ...records.schema import Side
from ..notices import Told, signed_bytes
from ..states import State, phase_name
from ..statistics import WORD, Symbol

if TYPE_CHECKING:
    from ..serving import Feed

SAFE_MAX = 2**53  # what every reader of JSON takes as an exact number
VWAP_DECIMALS = 4  # behind those of the tick
SIDES = {1: "buy", 2: "sell"}
AGGRESSORS = {0: "null", 1: '"buy"', 2: '"sell"'}  # nobody is one in an auction
BUY = int(Side.BUY)  # an enumeration compares slowly


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


def limit(side: int, value: int, tick: tuple[int, int]) -> str:
    """A price of an order as `decimal`; null for an order that trades at any."""
    return "null" if value == (ANY_BUY if side == BUY else ANY_SELL) else decimal(value, *tick)


def instrument_said(number: int, instrument: Instrument) -> dict[str, Any]:
    return {
        "number": number,
        "symbol": instrument.symbol,
        "tick": format(instrument.tick, "f"),
        "lot": instrument.lot,
    }


Level = tuple[int, int, int, int]  # side, price in ticks, quantity, orders


def _level(level: Level, tick: tuple[int, int]) -> str:
    side, price, quantity, orders = level
    return f"[{limit(side, price, tick)},{whole(quantity)},{orders}]"


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
        sides[side].append(f"[{whole(order_id)},{limit(side, price, tick)},{whole(quantity)}]")
    return f'"bids":[{",".join(sides[Side.BUY])}],"asks":[{",".join(sides[Side.SELL])}]'


def trades(found: Any) -> str:
    """The fields of trades, from a `TRADE` array."""
    said = [
        f'{{"id":{whole(trade_id)},"price":{decimal(price, mantissa, exponent)},'
        f'"quantity":{whole(quantity)},"side":{AGGRESSORS[side]},"time":"{time}"}}'
        for trade_id, price, quantity, time, mantissa, exponent, side, _ in found.tolist()
    ]
    return f'"trades":[{",".join(said)}]'


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


def status(symbol: Symbol, state: State) -> str:
    """The fields of status; null before the first trade of the day, and for what was not said."""
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
        f'"trades":{count},"day":{symbol.days_ended},{_state(state, symbol.tick)}'
    )


def _state(state: State, tick: tuple[int, int]) -> str:
    phase = f'"{phase_name(state.phase)}"' if state.phase else "null"
    reference = "null" if state.reference is None else decimal(state.reference, *tick)
    indicative, one = "null", state.indicative
    if one is not None:
        side = f'"{SIDES[one.side]}"' if one.side in SIDES else "null"
        indicative = (
            f'{{"price":{decimal(one.price, *tick)},"quantity":{whole(one.quantity)},'
            f'"imbalance":{whole(one.imbalance)},"side":{side},'
            f'"phase":"{phase_name(one.phase)}"}}'
        )
    halted = "true" if state.halted else "false"
    return f'"phase":{phase},"halted":{halted},"reference":{reference},"indicative":{indicative}'


class NoticeTexts:
    """Notices of ``feed`` as JSON, each made and signed once.  ``sign``: as of `WebOutlet`."""

    def __init__(self, feed: Feed, sign: Callable[[bytes], bytes] | None) -> None:
        self._feed, self._sign = feed, sign
        self._known: dict[int, str] = {}  # by number

    def fields(self, symbols: frozenset[str] | None, after: int = 0) -> str:
        """The fields of notices: of the last, those behind ``after`` that ``symbols`` may see."""
        last = self._feed.notices.last
        self._known = {one.number: self._known.get(one.number) or self._said(one) for one in last}
        seen = [self._known[one.number] for one in self.visible(symbols) if one.number > after]
        return f'"notices":[{",".join(seen)}]'

    def visible(self, symbols: frozenset[str] | None) -> list[Told]:
        """The last ones that are about all instruments or one of ``symbols``; None: all."""
        last = self._feed.notices.last
        return [
            one for one in last
            if symbols is None or not one.instrument or self._symbol(one) in symbols
        ]  # fmt: skip

    def _symbol(self, one: Told) -> str | None:
        return self._feed.stream.instruments[one.instrument].symbol if one.instrument else None

    def _said(self, one: Told) -> str:
        symbol, time = self._symbol(one), str(one.time)
        said = {"number": one.number, "time": time, "text": one.text, "symbol": symbol}
        if self._sign is not None:
            data = signed_bytes(self._feed.stream.session, one.number, time, symbol, one.text)
            said["signature"] = b64encode(self._sign(data)).decode()
        return json.dumps(said, separators=(",", ":"))


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
