"""Typed commands of markets, and their records both ways (docs/markets/index.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import InvalidCommand
from .arguments import INT64_MAX, INT64_MIN, UINT32_MAX, UINT64_MAX, flag, shown
from .commands import COMMAND
from .fields import code, expect, known, values_of, whole, within, wrong
from .instruments import Directory, Price
from .markets import PARAMETER, PHASE, PROTECTION, defaults_of, parameter_names
from .parameters import PARAMETERS
from .schema import Kind, Parameter, Phase, PhaseFlag, SelfTrade


@dataclass(slots=True, unsafe_hash=True)
class SetMarket:
    """Sets one parameter of the market of an instrument; the first one makes the market.

    `Market.commands` makes those of a whole market.

    - ``parameter``: a `Parameter`.
    - ``values``: by name, as `matchcore.records.parameters.PARAMETERS` has them, in its units:
      prices are in ticks.  Those that are not named are as before anything is set.
    - ``index``: of TICKS: the place in the table, from 0; otherwise 0.
    - ``time``, ``session``: as of `NewOrder`.
    """

    symbol: str
    parameter: Parameter
    values: Mapping[str, int] = field(default_factory=dict, hash=False)
    index: int = 0
    time: int = 0
    session: int = 0


@dataclass(slots=True, unsafe_hash=True)
class SetPhase:
    """Sets the phase of a market, of a group of markets, or of all.

    - ``symbol``: of the instrument; None: of all, or of those of ``group``.
    - ``phase``: a `Phase`.
    - ``group``: markets whose parameter ``group`` has this number; 0: all.
    - ``until``: of a HALTED or VOLATILITY_CALL: nanoseconds since 1970 UTC; a `Clock` at or after
      it ends the phase.  0: another SetPhase does.
    - ``cancel_orders``: every order is cancelled before.
    - ``time``, ``session``: as of `NewOrder`.
    """

    symbol: str | None
    phase: Phase
    group: int = 0
    until: int = 0
    cancel_orders: bool = False
    time: int = 0
    session: int = 0


@dataclass(slots=True, unsafe_hash=True)
class Clock:
    """Tells the market of ``symbol``, or all with None, that it is ``time``.

    Orders expire, timed phases end, and indicative prices that waited for their interval are told.
    ``time``: nanoseconds since 1970 UTC; 0: the engine's clock.
    """

    symbol: str | None = None
    time: int = 0
    session: int = 0


@dataclass(slots=True, unsafe_hash=True)
class Quote:
    """Both sides of a market maker, in place of those that ``account`` has in the instrument.

    - ``bid``, ``ask``: prices; None: without that side, whose quantity is 0 then.
    - ``bid_quantity``, ``ask_quantity``: in units.
    - ``self_trade``: a `SelfTrade`, of both orders.
    - ``time``, ``session``, ``client_order_id``, ``client_order_tail``: as of `NewOrder`.

    Without any side it takes the quote away.
    """

    symbol: str
    account: int
    bid: Price | None = None
    bid_quantity: int = 0
    ask: Price | None = None
    ask_quantity: int = 0
    self_trade: SelfTrade = SelfTrade.ALLOWED
    time: int = 0
    client_order_id: int = 0
    session: int = 0
    client_order_tail: int = 0


@dataclass(slots=True, unsafe_hash=True)
class SetProtection:
    """Sets the protection of an account as a market maker, or the group that it belongs to.

    - ``symbol``: of the instrument that the protection is for; None: sets the ``group``.
    - ``max_fills``, ``max_quantity``: fills of its quotes within the window, and their sum in
      units, at which its quotes are pulled; 0: no such limit.
    - ``window_ns``: the window, in nanoseconds.
    - ``group``: accounts of one group do not trade with each other, as `SelfTrade` says; 0: none.
    - ``time``, ``session``: as of `NewOrder`.
    """

    account: int
    symbol: str | None = None
    max_fills: int = 0
    max_quantity: int = 0
    window_ns: int = 0
    group: int = 0
    time: int = 0
    session: int = 0


@dataclass(slots=True, unsafe_hash=True)
class Bust:
    """Says that a trade does not count; books and counters stay as they are.

    ``trade_id``, ``price``, ``quantity``: of the trade.  ``time``, ``session``: as of `NewOrder`.
    """

    symbol: str
    trade_id: int
    price: Price
    quantity: int
    time: int = 0
    session: int = 0


MarketCommand = SetMarket | SetPhase | Clock | Quote | SetProtection | Bust


# ---------------------------------------------------------------------- into a record


def market_record(command: MarketCommand, directory: Directory, now: int) -> bytes:
    """The bytes of a command; `InvalidCommand` or `UnknownInstrument` if none can hold it."""
    every = command.symbol is None and isinstance(command, SetPhase | Clock | SetProtection)
    number = 0 if every else directory.number(command.symbol)  # type: ignore[arg-type]  # says why
    match command:
        case SetMarket():
            fields, layout = _market_fields(command), PARAMETER
        case SetPhase():
            fields, layout = _phase_fields(command), PHASE
        case SetProtection():
            fields, layout = _protection_fields(command), PROTECTION
        case Clock():
            fields, layout = {"kind": Kind.CLOCK}, COMMAND
        case Quote():
            fields, layout = _quote_fields(command, directory, number), COMMAND
        case Bust():
            fields, layout = _bust_fields(command, directory, number), COMMAND
    record = np.zeros(1, layout)
    row = record[0]
    row["instrument"] = number
    row["time"] = whole(command, "time", INT64_MIN, INT64_MAX) or now
    row["session"] = whole(command, "session", 0, UINT32_MAX)
    for name, value in fields.items():
        row[name] = value
    return record.tobytes()


def _market_fields(command: SetMarket) -> dict[str, int]:
    try:
        parameter = Parameter(command.parameter)
    except ValueError:
        raise wrong(command, "parameter", "no Parameter") from None
    names = parameter_names(parameter)
    given = command.values
    if not isinstance(given, Mapping) or not given.keys() <= set(names):
        why = f"values of {parameter.name}, by name: {', '.join(names)}"
        raise InvalidCommand(f"SetMarket.values {shown(given)}: {why}")
    fields = {"kind": int(Kind.SET_MARKET), "parameter": int(parameter)}
    fields["index"] = whole(command, "index", 0, 255)
    for at, (name, usual) in enumerate(zip(names, defaults_of(parameter), strict=True), 1):
        value = given.get(name, usual)
        fields[f"value{at}"] = within(command, f"values[{name!r}]", value, INT64_MIN, INT64_MAX)
    return fields


def _phase_fields(command: SetPhase) -> dict[str, int]:
    cancels = flag(command.cancel_orders, "SetPhase.cancel_orders", InvalidCommand)
    return {
        "kind": Kind.SET_PHASE,
        "phase": whole(command, "phase", 0, 255),
        "group": whole(command, "group", 0, UINT32_MAX),
        "until": whole(command, "until", INT64_MIN, INT64_MAX),
        "flags": PhaseFlag.CANCEL_ORDERS if cancels else 0,
    }


def _protection_fields(command: SetProtection) -> dict[str, int]:
    fields = {"kind": int(Kind.SET_PROTECTION)}
    for name in ("account", "group"):
        fields[name] = whole(command, name, 0, UINT64_MAX)
    for name in ("max_fills", "max_quantity", "window_ns"):
        fields[name] = whole(command, name, INT64_MIN, INT64_MAX)
    return fields


def _quote_fields(quote: Quote, directory: Directory, number: int) -> dict[str, int]:
    fields = {
        "kind": int(Kind.QUOTE),
        "account": whole(quote, "account", 0, UINT64_MAX),
        "client_order_id": whole(quote, "client_order_id", 0, UINT64_MAX),
        "client_order_tail": whole(quote, "client_order_tail", 0, UINT64_MAX),
        "self_trade": whole(quote, "self_trade", 0, 255),
    }
    sides = (("bid", "price", "quantity"), ("ask", "stop_price", "display_quantity"))
    for side, price_column, quantity_column in sides:
        price = getattr(quote, side)
        quantity = whole(quote, f"{side}_quantity", INT64_MIN, INT64_MAX)
        if price is None and quantity:
            raise wrong(quote, side, f"with a {side}_quantity it is a price")
        fields[price_column] = 0 if price is None else directory.ticks(number, price)
        fields[quantity_column] = quantity
    return fields


def _bust_fields(command: Bust, directory: Directory, number: int) -> dict[str, int]:
    return {
        "kind": Kind.BUST,
        "order_id": whole(command, "trade_id", 0, UINT64_MAX),
        "price": directory.ticks(number, command.price),
        "quantity": whole(command, "quantity", INT64_MIN, INT64_MAX),
    }


# ---------------------------------------------------------------------- out of a record


def market_face(record: np.void, directory: Directory) -> MarketCommand:
    """The command of a `COMMAND` row; `InvalidCommand` if none can say it."""
    kind, number = int(record["kind"]), int(record["instrument"])
    every = number == 0 and kind in (Kind.SET_PHASE, Kind.CLOCK, Kind.SET_PROTECTION)
    found = None if every else known(number, directory.in_order(), InvalidCommand)
    symbol = None if found is None else found.symbol
    carried = {"time": int(record["time"]), "session": int(record["session"])}
    if kind == Kind.CLOCK:
        return Clock(symbol, **carried)
    if kind == Kind.SET_PHASE:
        return _phase_face(_row(record, PHASE), symbol, carried)
    if kind == Kind.SET_PROTECTION:
        return _protection_face(_row(record, PROTECTION), symbol, carried)
    assert found is not None
    if kind == Kind.SET_MARKET:
        return _market_face(_row(record, PARAMETER), found.symbol, carried)
    values = values_of(record)
    if kind == Kind.BUST:
        price = found.price(values["price"])
        return Bust(found.symbol, values["order_id"], price, values["quantity"], **carried)
    for name in ("flags", "expiry", "reserved"):
        expect(values, name, 0)
    sides: dict[str, Any] = {}
    for side, price_column, column in (
        ("bid", "price", "quantity"), ("ask", "stop_price", "display_quantity"),
    ):  # fmt: skip
        ticks, quantity = values[price_column], values[column]
        sides[f"{side}_quantity"] = quantity
        sides[side] = found.price(ticks) if ticks or quantity else None
    return Quote(
        found.symbol,
        values["account"],
        **sides,
        self_trade=code("self_trade", values["self_trade"], SelfTrade, InvalidCommand),
        client_order_id=values["client_order_id"],
        client_order_tail=values["client_order_tail"],
        **carried,
    )


def _row(record: np.void, layout: np.dtype[Any]) -> dict[str, int]:
    """The same bytes in another layout; what belongs to nobody must be zero."""
    values = values_of(np.frombuffer(record.tobytes(), layout)[0])
    for name in values:
        if name.startswith("reserved"):
            expect(values, name, 0)
    return values


def _phase_face(values: dict[str, int], symbol: str | None, carried: dict[str, int]) -> SetPhase:
    expect(values, "flags", 0, PhaseFlag.CANCEL_ORDERS)
    return SetPhase(
        symbol, code("phase", values["phase"], Phase, InvalidCommand), values["group"],
        values["until"], bool(values["flags"]), **carried,
    )  # fmt: skip


def _protection_face(
    values: dict[str, int], symbol: str | None, carried: dict[str, int]
) -> SetProtection:
    names = ("max_fills", "max_quantity", "window_ns", "group")
    return SetProtection(
        values["account"], symbol, **{name: values[name] for name in names}, **carried
    )


def _market_face(values: dict[str, int], symbol: str, carried: dict[str, int]) -> SetMarket:
    parameter = code("parameter", values["parameter"], Parameter, InvalidCommand)
    named = PARAMETERS[parameter]
    for at in range(len(named) + 1, 9):
        expect(values, f"value{at}", 0)
    said = {one.name: values[f"value{at}"] for at, one in enumerate(named, 1)}
    return SetMarket(symbol, parameter, said, values["index"], **carried)
