"""matchcore under PyPI's `tracebook-conformance`, which compares an engine with one of its own.

    pip install matchcore tracebook-conformance==0.6.0
    tracebook-conformance qualify --profile fifo-full-v1 --seed 42 --output-dir report \
        --candidate-cmd 'python examples/conformance/adapter.py'

Reads one JSON message a line from standard input and answers each with one line.  A message
that is malformed, or asks for what matchcore does not have, is answered with an error, and the
program ends with code 2.  docs/conformance.md says what is translated and what is left out.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, BinaryIO, TextIO

import matchcore as mc

PROTOCOL, VERSION = "tracebook.conformance", 1
LINE_BYTES_MAX = 65_536
SYMBOLS_MAX = 1000
ORDERS_MAX = 100_000  # resting in one book
DIGITS_MAX = 40  # of a number, before and after the point
EXACT = Context(prec=4 * DIGITS_MAX)
INT64_MAX = 2**63 - 1
SIDES = {"BUY": mc.Side.BUY, "SELL": mc.Side.SELL}
LIFETIMES = {
    "LIMIT": mc.TimeInForce.GTC,
    "MARKET": mc.TimeInForce.IOC,
    "IOC": mc.TimeInForce.IOC,
    "FOK": mc.TimeInForce.FOK,
}
ALLOCATIONS = {"fifo": False, "pro_rata": True}
SELF_TRADES = {
    "NONE": mc.SelfTrade.ALLOWED,
    "CANCEL_RESTING": mc.SelfTrade.CANCEL_OLDEST,
    "CANCEL_INCOMING": mc.SelfTrade.CANCEL_NEWEST,
}
#: What the suite calls a refusal.
REASONS = {
    mc.Reason.UNKNOWN_ORDER: "ORDER_NOT_ACTIVE",
    mc.Reason.DUPLICATE_ORDER: "DUPLICATE_ORDER_ID",
}


class Fault(Exception):
    """A message that is answered with an error."""

    code: str


class Malformed(Fault):
    """A message that the protocol does not allow."""

    code = "PROTOCOL_ERROR"


class Unsupported(Fault):
    """A message that matchcore cannot carry out."""

    code = "UNSUPPORTED"


class Rejected(Exception):
    """An event that changes nothing; its argument is the suite's reason."""


class Exchange:
    """An engine in memory that takes the suite's events."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        pro_rata = choice(config.get("matching_algorithm"), "matching_algorithm", ALLOCATIONS)
        self.self_trade = choice(config.get("self_trade_policy"), "self_trade_policy", SELF_TRADES)
        # instruments without a market match by price and time, and ask no owner
        plain = not pro_rata and self.self_trade == mc.SelfTrade.ALLOWED
        self.market = None if plain else mc.Market(pro_rata=pro_rata)
        places = integer(config.get("quantity_decimal_places"), "quantity_decimal_places", 0, 18)
        self.unit = Decimal(1).scaleb(-places)
        try:
            self.tick = mc.Instrument("config", tick=str(config.get("tick_size"))).tick
        except mc.InvalidCommand as error:
            raise Unsupported(str(error)) from None
        self.engine = mc.Engine.memory()
        self.operations = {
            "new": self._new,
            "cancel": self._cancel,
            "reduce": self._reduce,
            "replace": self._replace,
            "clear": self._clear,
        }

    def apply(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Outcome, trades and state of one event."""
        operation = self.operations.get(text(event.get("op"), "op"))
        if operation is None:
            raise Malformed(f"op: one of {', '.join(self.operations)}")
        symbol = text(event.get("symbol"), "symbol")
        status, reason, trades = "applied", None, []
        try:
            trades = operation(symbol, event).trades
        except Rejected as rejected:
            status, reason = "rejected", str(rejected)
        state = self.state()
        return {
            "outcome": {"status": status, "reason": reason, "message": None},
            "trades": [self._trade(trade) for trade in trades],
            "state_hash": digest(state),
            "resting_order_count": sum(
                len(book["bids"]) + len(book["asks"]) for book in state["books"]
            ),
        }

    def state(self) -> dict[str, Any]:
        """Every resting order in the order in which it would trade."""
        symbols = sorted(instrument.symbol for instrument in self.engine.instruments)
        return {"books": [self._book(symbol) for symbol in symbols]}

    def _new(self, symbol: str, event: Mapping[str, Any]) -> mc.Answer:
        self._open(symbol)
        order_id = integer(event.get("order_id"), "order_id", 1, INT64_MAX)
        lifetime = choice(event.get("order_type"), "order_type", LIFETIMES)
        quantity = self._quantity(event)
        market = event["order_type"] == "MARKET"
        price = None if market else self._price(event)
        order = mc.NewOrder(
            symbol, choice(event.get("side"), "side", SIDES), quantity, price, lifetime,
            account=integer(event.get("owner"), "owner", -INT64_MAX - 1, INT64_MAX) % 2**64,
            order_id=order_id, self_trade=self.self_trade,
        )  # fmt: skip
        if quantity <= 0 or (price is not None and price <= 0):  # to matchcore any price is legal
            live = self.engine.book(symbol).order(order_id)
            raise Rejected("DUPLICATE_ORDER_ID" if live else "INVALID_ORDER")
        return done(self.engine.submit(order))

    def _cancel(self, symbol: str, event: Mapping[str, Any]) -> mc.Answer:
        return done(self.engine.cancel(symbol, self._live(symbol, event).order_id))

    def _reduce(self, symbol: str, event: Mapping[str, Any]) -> mc.Answer:
        order, quantity = self._live(symbol, event), self._quantity(event)
        if not 0 < quantity <= order.quantity:
            raise Rejected("INVALID_ORDER")
        return done(self.engine.reduce(symbol, order.order_id, quantity))

    def _replace(self, symbol: str, event: Mapping[str, Any]) -> mc.Answer:
        """The suite's replacement always goes to the back; an amendment may keep its place."""
        order = self._live(symbol, event)
        price = order.price if event.get("price") is None else self._price(event)
        quantity = order.quantity if event.get("quantity") is None else self._quantity(event)
        if price <= 0 or quantity <= 0:
            raise Rejected("INVALID_REPLACEMENT")
        if price != order.price or quantity > order.quantity:
            return done(self.engine.amend(symbol, order.order_id, quantity, price))
        done(self.engine.cancel(symbol, order.order_id))
        again = mc.NewOrder(symbol, order.side, quantity, price,
                            account=order.account, order_id=order.order_id,
                            self_trade=self.self_trade)  # fmt: skip
        return done(self.engine.submit(again))

    def _clear(self, symbol: str, event: Mapping[str, Any]) -> mc.Answer:
        self._open(symbol)
        return done(self.engine.mass_cancel(symbol))

    def _open(self, symbol: str) -> None:
        if symbol in self.engine.instruments:
            return
        if len(self.engine.instruments) == SYMBOLS_MAX:
            raise Unsupported(f"more than {SYMBOLS_MAX} symbols")
        try:
            self.engine.add_instrument(mc.Instrument(symbol, self.tick, max_orders=ORDERS_MAX))
            if self.market is not None:
                self.engine.set_market(symbol, self.market)
        except mc.InvalidCommand as error:
            raise Unsupported(str(error)) from None

    def _live(self, symbol: str, event: Mapping[str, Any]) -> mc.RestingOrder:
        order_id = integer(event.get("order_id"), "order_id", 1, INT64_MAX)
        known = symbol in self.engine.instruments
        order = self.engine.book(symbol).order(order_id) if known else None
        if order is None:
            raise Rejected("ORDER_NOT_ACTIVE")
        return order

    def _price(self, event: Mapping[str, Any]) -> Decimal:
        """Rounded to a whole tick, as the suite does; matchcore would refuse it."""
        ticks = EXACT.divide(number(event, "price"), self.tick)
        return self.tick * limited(ticks.to_integral_value(ROUND_HALF_EVEN, EXACT), "price")

    def _quantity(self, event: Mapping[str, Any]) -> int:
        units = EXACT.divide(number(event, "quantity"), self.unit)
        if units != units.to_integral_value(context=EXACT):
            raise Unsupported(f"quantity: finer than {self.unit:f}")
        return limited(units, "quantity")

    def _trade(self, trade: mc.Trade) -> dict[str, Any]:
        ids = [trade.maker_order_id, trade.taker_order_id]
        buy, sell = ids if trade.side == mc.Side.BUY else reversed(ids)
        return {
            "symbol": trade.symbol, "buy_order_id": buy, "sell_order_id": sell,
            "price": plain(trade.price), "quantity": plain(trade.quantity * self.unit),
        }  # fmt: skip

    def _book(self, symbol: str) -> dict[str, Any]:
        book = self.engine.book(symbol)
        sides: dict[int, list[dict[str, Any]]] = {mc.Side.BUY: [], mc.Side.SELL: []}
        for row in book.orders():
            account = int(row["account"])
            sides[int(row["side"])].append({
                "order_id": int(row["order_id"]),
                "price": plain(book.instrument.price(int(row["price"]))),
                "remaining_quantity": plain(int(row["quantity"]) * self.unit),
                "owner": account if account <= INT64_MAX else account - 2**64,
                "order_type": "LIMIT",
            })  # fmt: skip
        return {"symbol": symbol, "bids": sides[mc.Side.BUY], "asks": sides[mc.Side.SELL]}


def done(answer: mc.Answer) -> mc.Answer:
    if not answer.rejected:
        return answer
    if answer.reason in REASONS:
        raise Rejected(REASONS[answer.reason])
    raise Unsupported(f"matchcore refuses: {answer.reason.name}, {answer.field.name}")


def text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise Malformed(f"{what}: a string")
    return value


def integer(value: object, what: str, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise Malformed(f"{what}: an integer from {least} to {most}")
    return value


def choice(value: object, what: str, choices: Mapping[str, Any]) -> Any:
    found = choices.get(text(value, what))
    if found is None:
        raise Malformed(f"{what}: one of {', '.join(choices)}")
    return found


def number(event: Mapping[str, Any], what: str) -> Decimal:
    value = event.get(what)
    if type(value) is int:
        value = Decimal(value)
    if not isinstance(value, Decimal):
        raise Malformed(f"{what}: a number")
    if value and not -DIGITS_MAX < value.adjusted() < DIGITS_MAX:
        raise Unsupported(f"{what}: out of range")
    return value


def limited(value: Decimal, what: str) -> int:
    if abs(value) > INT64_MAX:
        raise Unsupported(f"{what}: more than 64 bits")
    return int(value)


def plain(value: Decimal) -> str:
    """Digits, without an exponent or zeros at the end."""
    return format(value.normalize(EXACT), "f")


def digest(state: Mapping[str, Any]) -> str:
    data = json.dumps(state, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(data.encode()).hexdigest()


def read(source: BinaryIO) -> dict[str, Any]:
    """The next message; numbers with a point are Decimals, so that nothing is rounded here."""
    line = source.readline(LINE_BYTES_MAX + 1)
    if not line:
        raise Malformed("the input ends before finish")
    if len(line) > LINE_BYTES_MAX:
        raise Malformed(f"a line is longer than {LINE_BYTES_MAX} bytes")
    try:
        message = json.loads(line.decode(), parse_float=Decimal, parse_constant=refuse)
    except (ValueError, RecursionError, ArithmeticError) as error:
        raise Malformed(f"not JSON: {type(error).__name__}") from None
    if not isinstance(message, dict):
        raise Malformed("a message is an object")
    return message


def refuse(constant: str) -> None:
    raise ValueError(constant)


def part(message: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = message.get(name)
    if not isinstance(value, dict):
        raise Malformed(f"{name}: an object")
    return value


def write(sink: TextIO, **message: object) -> None:
    sink.write(json.dumps(message, separators=(",", ":")) + "\n")
    sink.flush()


def greet(source: BinaryIO, sink: TextIO) -> Exchange:
    hello = read(source)
    for name, value in ("type", "hello"), ("protocol", PROTOCOL), ("protocol_version", VERSION):
        if hello.get(name) != value:
            raise Malformed(f"the first message has {name} {value}")
    exchange = Exchange(part(hello, "config"))
    engine = {"name": "matchcore", "version": mc.__version__, "language": "Cython"}
    write(sink, type="ready", protocol=PROTOCOL, protocol_version=VERSION, engine=engine)
    return exchange


def converse(source: BinaryIO, sink: TextIO) -> None:
    exchange, count = greet(source, sink), 0
    while True:
        message = read(source)
        match message.get("type"):
            case "event":
                count += 1
                integer(message.get("index"), "index", count, count)
                write(sink, type="observation", index=count,
                      **exchange.apply(part(message, "event")))  # fmt: skip
            case "snapshot":
                integer(message.get("index"), "index", count, count)
                write(sink, type="snapshot", index=count, state=exchange.state())
            case "finish":
                integer(message.get("event_count"), "event_count", count, count)
                write(sink, type="complete", event_count=count)
                return
            case _:
                raise Malformed("type: event, snapshot or finish")


def main(source: BinaryIO, sink: TextIO) -> int:
    """Answers until the end; the exit code."""
    try:
        converse(source, sink)
    except Fault as error:
        write(sink, type="error", code=error.code, message=str(error))
        return 2
    return 0


if __name__ == "__main__":
    # The suite waits half a second for the end, and Python's takes longer on a busy machine.
    os._exit(main(sys.stdin.buffer, sys.stdout))
