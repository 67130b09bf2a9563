"""The market of an instrument as one value, in names, enumerations, decimal prices and percent.

`markets.py` declares the parameters as the log has them; `FIELDS` says which field of a `Market` is
which value of which parameter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidCommand
from .arguments import flag, shown, whole
from .instruments import Instrument, Price, exact, hundredths, percent
from .market_faces import SetMarket
from .markets import defaults, is_tick_table, parameter_names, values_of
from .parameters import INDICES, PARAMETERS, PRICE_MAX, bits
from .schema import (
    NEW_FLAGS,
    AuctionRule,
    CageMode,
    ClosingRule,
    Flag,
    OrderType,
    Parameter,
    Phase,
    TimeInForce,
)

Raw = dict[Parameter, tuple[int, ...]]  # parameter -> its values, as the log has them
Ticks = list[tuple[int, int]]  # the tick table, in ticks: from, step


class Source(NamedTuple):
    """Which value a field is.  ``codes``: of an enumeration, or of a set of its members."""

    parameter: Parameter
    value: str
    form: str  # "set", "code", "flags", "bool", "count", "percent" or "price"
    codes: Any = None


_T, _Q, _L, _D = Parameter.TRADING, Parameter.QUANTITIES, Parameter.LIMITS, Parameter.DAY
#: field -> the value that it is; ``tick_table``, which is many, is not among them.
FIELDS: dict[str, Source] = {
    "order_types": Source(_T, "order_types", "set", OrderType),
    "call_types": Source(_T, "call_types", "set", OrderType),
    "times_in_force": Source(_T, "times_in_force", "set", TimeInForce),
    "order_flags": Source(_T, "order_flags", "flags", Flag),
    "entry_phases": Source(_T, "entry_phases", "set", Phase),
    "cancel_phases": Source(_T, "cancel_phases", "set", Phase),
    "amends": Source(_T, "amends", "bool"),
    "group": Source(_T, "group", "count"),
    "pro_rata": Source(Parameter.ALLOCATION, "pro_rata", "bool"),
    "top_share": Source(Parameter.ALLOCATION, "top_share", "count"),
    "least_allocation": Source(Parameter.ALLOCATION, "least", "count"),
    "auction_rule": Source(Parameter.AUCTION, "rule", "code", AuctionRule),
    "indicative_interval_ns": Source(Parameter.AUCTION, "interval_ns", "count"),
    "buy_least": Source(_Q, "buy_least", "count"),
    "buy_step": Source(_Q, "buy_step", "count"),
    "sell_least": Source(_Q, "sell_least", "count"),
    "sell_step": Source(_Q, "sell_step", "count"),
    "limit_most": Source(_Q, "limit_most", "count"),
    "market_most": Source(_Q, "market_most", "count"),
    "value_most": Source(_Q, "value_most", "count"),
    "display_least": Source(_Q, "display_least", "count"),
    "limit_up": Source(_L, "up", "percent"),
    "limit_down": Source(_L, "down", "percent"),
    "special_limit_up": Source(_L, "special_up", "percent"),
    "special_limit_down": Source(_L, "special_down", "percent"),
    "free_days": Source(_L, "free_days", "count"),
    "cage": Source(Parameter.CAGE, "mode", "code", CageMode),
    "cage_percent": Source(Parameter.CAGE, "part", "percent"),
    "cage_ticks": Source(Parameter.CAGE, "ticks", "count"),
    "static_range": Source(Parameter.VOLATILITY, "static", "percent"),
    "dynamic_range": Source(Parameter.VOLATILITY, "dynamic", "percent"),
    "volatility_ns": Source(Parameter.VOLATILITY, "duration_ns", "count"),
    "first_halt": Source(Parameter.HALTS, "first", "percent"),
    "second_halt": Source(Parameter.HALTS, "second", "percent"),
    "halt_ns": Source(Parameter.HALTS, "duration_ns", "count"),
    "previous_close": Source(_D, "previous_close", "price"),
    "reference_price": Source(_D, "reference", "price"),
    "listed_days": Source(_D, "listed_days", "count"),
    "special": Source(_D, "special", "bool"),
    "closing_rule": Source(Parameter.CLOSING, "rule", "code", ClosingRule),
    "closing_from_ns": Source(Parameter.CLOSING, "from_ns", "count"),
    "closing_window_ns": Source(Parameter.CLOSING, "window_ns", "count"),
}
#: Parameters that a day sets anew.
DAILY = frozenset({Parameter.DAY, Parameter.CLOSING})


def _codes(parameter: Parameter, name: str, members: Any) -> frozenset[Any]:
    """The members of a mask before it is set."""
    at = [one.name for one in PARAMETERS[parameter]].index(name)
    mask = PARAMETERS[parameter][at].default
    return frozenset(member for member in members if mask >> member & 1)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Market:
    """How an instrument trades: every parameter of its market, by keyword (docs/markets/index.md).

    Prices are strings, Decimals, ints or floats, on a tick; percent likewise, with up to two
    decimals; quantities in units; ``_ns``: nanoseconds.  0, or None for a price: none.

    - What is taken: ``order_types``, ``times_in_force``, ``order_flags`` (a `Flag`) in continuous
      trading, ``call_types`` in calls; new orders in ``entry_phases``, cancels in
      ``cancel_phases``; ``amends``: whether orders may be amended.  ``group``: a number for
      `SetPhase`.
    - Allocation: ``pro_rata``, of which the oldest order has ``top_share`` percent first, and
      others nothing below ``least_allocation``.
    - Auctions: ``auction_rule``; ``indicative_interval_ns``: between two indicative prices, -1:
      none.
    - Quantities: ``buy_least``, ``sell_least``: smallest ones; ``buy_step``, ``sell_step``:
      multiples of it; ``limit_most``, ``market_most``: largest ones, with and without a limit;
      ``value_most``: price times quantity, in ticks times units; ``display_least``: of an iceberg.
    - Limits of the day, from ``reference_price``: ``limit_up``, ``limit_down``; with ``special``:
      ``special_limit_up``, ``special_limit_down``; in percent, and not on the first ``free_days``.
    - Cage: ``cage`` says what happens to an order further than ``cage_percent`` from the best
      price, or ``cage_ticks`` ticks if that is more.
    - Interruptions: a trade further than ``static_range`` percent from the last auction, or
      ``dynamic_range`` from the last trade, begins a call of ``volatility_ns`` instead; one
      ``first_halt`` or ``second_halt`` percent from the open begins a halt of ``halt_ns``.
    - The day: ``previous_close``, ``reference_price``, ``listed_days`` (1 on the day of listing, 0:
      not told), ``special`` treatment; ``closing_rule``; ``closing_from_ns``: since when trades
      count for an average; ``closing_window_ns``: how long before the last trade, 0: any.
    - ``tick_table``: pairs (from this price, step), from 0 up, at most 16; empty: the tick of the
      instrument.  A row begins at a multiple of its step, and of the step before it.

    `InvalidCommand` or `PriceError` for other values; for prices off a tick when they are set.

    >>> from matchcore import CageMode, Market
    >>> Market(limit_up="10", limit_down=10, cage=CageMode.REFUSE)
    Market(limit_up=10, limit_down=10, cage=REFUSE)
    """

    order_types: frozenset[OrderType] = _codes(_T, "order_types", OrderType)
    call_types: frozenset[OrderType] = _codes(_T, "call_types", OrderType)
    times_in_force: frozenset[TimeInForce] = _codes(_T, "times_in_force", TimeInForce)
    order_flags: Flag = NEW_FLAGS
    entry_phases: frozenset[Phase] = _codes(_T, "entry_phases", Phase)
    cancel_phases: frozenset[Phase] = _codes(_T, "cancel_phases", Phase)
    amends: bool = True
    group: int = 0
    pro_rata: bool = False
    top_share: int = 0
    least_allocation: int = 0
    auction_rule: AuctionRule = AuctionRule.GENERIC
    indicative_interval_ns: int = 0
    buy_least: int = 0
    buy_step: int = 0
    sell_least: int = 0
    sell_step: int = 0
    limit_most: int = 0
    market_most: int = 0
    value_most: int = 0
    display_least: int = 0
    limit_up: Price = Decimal(0)
    limit_down: Price = Decimal(0)
    special_limit_up: Price = Decimal(0)
    special_limit_down: Price = Decimal(0)
    free_days: int = 0
    cage: CageMode = CageMode.OFF
    cage_percent: Price = Decimal(0)
    cage_ticks: int = 0
    static_range: Price = Decimal(0)
    dynamic_range: Price = Decimal(0)
    volatility_ns: int = 0
    first_halt: Price = Decimal(0)
    second_halt: Price = Decimal(0)
    halt_ns: int = 0
    previous_close: Price | None = None
    reference_price: Price | None = None
    listed_days: int = 0
    special: bool = False
    closing_rule: ClosingRule = ClosingRule.AUCTION
    closing_from_ns: int = 0
    closing_window_ns: int = 0
    tick_table: Iterable[tuple[Price, Price]] = ()

    def __post_init__(self) -> None:
        for name, source in FIELDS.items():
            object.__setattr__(self, name, _taken(name, source, getattr(self, name)))
        object.__setattr__(self, "tick_table", _table(self.tick_table))
        if self.second_halt and not self.second_halt > self.first_halt > 0:  # type: ignore[operator]  # both are Decimals now
            raise InvalidCommand(f"second_halt {self.second_halt}: more than first_halt")

    def __repr__(self) -> str:
        values = {name: getattr(self, name) for name in NAMES}
        said = [f"{name}={_shown(value)}" for name, value in values.items()
                if value != getattr(_USUAL, name)]  # fmt: skip
        return f"Market({', '.join(said)})"

    def commands(self, instrument: Instrument, before: Market | None = None) -> list[SetMarket]:
        """What makes this the market of ``instrument``, in order.

        ``before``: the market that it has, whose parameters are not set again; None: it has none,
        and there is at least one command.  `PriceError` for a price off the instrument's tick.
        """
        (values, table), (had, ticks) = self._raw(instrument), (defaults(), _NO_TABLE)
        if before is not None:
            had, ticks = before._raw(instrument)
        changed = [one for one in values if values[one] != had[one]]
        made = [SetMarket(instrument.symbol, one, _named(one, values[one])) for one in changed]
        for index, row in _rows_to_set(table, ticks):
            named = _named(Parameter.TICKS, row)
            made.append(SetMarket(instrument.symbol, Parameter.TICKS, named, index))
        if before is None and not made:
            made.append(SetMarket(instrument.symbol, _T, _named(_T, values[_T])))
        return made

    def differs(self, other: Market, instrument: Instrument) -> list[Parameter]:
        """The parameters that another market of the instrument has otherwise, but for `DAILY`."""
        (mine, table), (theirs, ticks) = self._raw(instrument), other._raw(instrument)
        found = [one for one in mine if mine[one] != theirs[one] and one not in DAILY]
        return found + [Parameter.TICKS] * (table != ticks)

    def _raw(self, instrument: Instrument) -> tuple[Raw, Ticks]:
        """The values as the log has them."""
        values = {one: list(usual) for one, usual in defaults().items()}
        for name, source in FIELDS.items():
            at = parameter_names(source.parameter).index(source.value)
            raw, most = _raw_of(source, getattr(self, name), instrument), PRICE_MAX
            if source.form == "price" and abs(raw) > most:
                raise InvalidCommand(f"{name} {getattr(self, name)}: within {most} ticks of zero")
            values[source.parameter][at] = raw
        table = [
            (instrument.ticks(start), instrument.ticks(step)) for start, step in self.tick_table
        ]
        most = max((one for row in table for one in row), default=0)
        if most > PRICE_MAX or not is_tick_table(dict(enumerate(table))):
            raise InvalidCommand(
                f"tick_table {_shown(self.tick_table)}: a row begins at a multiple of its step, and"
                f" of the step before; up to {PRICE_MAX} ticks"
            )
        return {one: tuple(row) for one, row in values.items()}, table or _NO_TABLE

    @classmethod
    def of_rows(cls, rows: NDArray[np.void], instrument: Instrument) -> Market:
        """The market of ``instrument`` whose parameters are ``rows``, a `MARKET_VALUE` array."""
        given: dict[str, Any] = {}
        values, table = defaults(), []
        for row in rows:
            parameter, said = Parameter(int(row["parameter"])), values_of(row)
            if parameter == Parameter.TICKS:
                table.append((instrument.price(said[0]), instrument.price(said[1])))
            else:
                values[parameter] = said
        for name, source in FIELDS.items():
            at = parameter_names(source.parameter).index(source.value)
            given[name] = _said(source, values[source.parameter][at], instrument)
        if table == [(instrument.price(0), instrument.price(1))]:
            table = []
        return cls(**given, tick_table=table)

    def as_plain(self) -> dict[str, Any]:
        """All fields as values for JSON: names of codes, prices and percent as text."""
        return {name: _plain(getattr(self, name)) for name in NAMES}


#: Names of the fields of a `Market`, in order.
NAMES = tuple(one.name for one in fields(Market))
_NO_TABLE: Ticks = [(0, 1)]
assert {*NAMES} == {*FIELDS, "tick_table"}


def _taken(name: str, source: Source, value: Any) -> Any:
    """The value of a field as it is kept; `InvalidCommand` or `PriceError` for others."""
    if source.form == "price":
        number = None if value is None else exact(value, name)
        return number or None  # as the log has it, which has no other sign for none
    at = parameter_names(source.parameter).index(source.value)
    bounds = PARAMETERS[source.parameter][at]
    if source.form == "set":
        try:
            return frozenset(source.codes(one) for one in value)
        except (TypeError, ValueError):
            what = source.codes.__name__
            raise InvalidCommand(f"{name} {shown(value)}: a set of {what}") from None
    if source.form == "bool":
        return flag(value, name, InvalidCommand)
    if source.form == "percent":
        raw: int | None = hundredths(value, name)
    else:
        raw = whole(value)
    if raw is None or not bounds.least <= raw <= bounds.most or (
        source.form == "flags" and raw & ~bounds.most
    ):  # fmt: skip
        raise InvalidCommand(f"{name} {shown(value)}: {bounds.unit}")
    if source.form == "percent":
        return _short(percent(raw))
    return source.codes(raw) if source.codes is not None else raw


def _table(rows: Any) -> tuple[tuple[Decimal, Decimal], ...]:
    try:
        table = tuple(
            (exact(start, "tick_table"), exact(step, "tick_table")) for start, step in rows
        )
    except (TypeError, ValueError):
        raise InvalidCommand(f"tick_table {shown(rows)}: pairs of prices") from None
    starts = [start for start, _ in table]
    fine = not table or (starts[0] == 0 and starts == sorted({*starts}))
    if not fine or len(table) > INDICES or any(step <= 0 for _, step in table):
        raise InvalidCommand(
            f"tick_table {shown(rows)}: up to {INDICES} pairs (from this price, step), from 0 up"
        )
    return table


def _raw_of(source: Source, value: Any, instrument: Instrument) -> int:
    """The value of a field as the log has it."""
    if source.form == "set":
        return bits(value)
    if source.form == "percent":
        return hundredths(value, source.value)
    if source.form == "price":
        return 0 if value is None else instrument.ticks(value)
    return int(value)


def _said(source: Source, raw: int, instrument: Instrument) -> Any:
    """A value of the log for a field."""
    if source.form == "set":
        return [one for one in source.codes if raw >> one & 1]
    if source.form == "percent":
        return percent(raw)
    if source.form == "price":
        return instrument.price(raw) if raw else None
    return raw


def _named(parameter: Parameter, values: tuple[int, ...]) -> dict[str, int]:
    return dict(zip(parameter_names(parameter), values, strict=True))


def _rows_to_set(table: Ticks, had: Ticks) -> list[tuple[int, tuple[int, int]]]:
    """Rows of a tick table, by place: setting one takes away those behind it."""
    if table == had:
        return []
    same = 0
    # of the table that is none, the log may have nothing
    while had != _NO_TABLE and table[: same + 1] == had[: same + 1]:
        same += 1
    return list(enumerate(table))[min(same, len(table) - 1) :]


def _short(number: Decimal) -> Decimal:
    """Without zeros at the end, and not as 1E+1."""
    return number.quantize(Decimal(1)) if number == number.to_integral() else number.normalize()


def _shown(value: Any) -> str:
    plain = _plain(value)
    if isinstance(plain, list):
        if isinstance(value, tuple):
            return "[" + ", ".join(f"({start}, {step})" for start, step in plain) + "]"
        return "{" + ", ".join(plain) + "}"
    return str(plain)


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return [one.name for one in sorted(value)]
    if isinstance(value, Flag):
        return [one.name for one in Flag if one & value]
    if isinstance(value, IntEnum):
        return value.name
    if isinstance(value, tuple):
        return [[format(start, "f"), format(step, "f")] for start, step in value]
    return format(value, "f") if isinstance(value, Decimal) else value


_USUAL = Market()
