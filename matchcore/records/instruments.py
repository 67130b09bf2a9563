"""Instruments (symbol, tick, lot, limits), and the conversion of prices.

Inside the exchange a price is a whole number of ticks and a quantity a whole number of units, both
64-bit signed.  `Instrument.ticks` and `Instrument.price` convert prices.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from typing import NamedTuple, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from ..errors import (
    InstrumentConflict,
    InvalidArgument,
    InvalidCommand,
    PriceError,
    UnknownInstrument,
)
from .arguments import INT64_MAX, INT64_MIN, integer, shown, symbol_text, whole

SYMBOL_BYTES_MAX = 24
TICK_EXPONENT_MAX = 18
ORDERS_MAX = 2**32 - 1
INSTRUMENTS_MAX = 2**20
FORMER_MIN = 1024  # so many changes of ticks are kept without asking who needs them
TICKS_KNOWN_MAX = 1 << 16  # prices of one instrument whose ticks are remembered
DIGITS_MAX = 60  # more than a 64-bit tick count times any tick can have

Price = Decimal | str | int | float

EXACT = Context(prec=2 * DIGITS_MAX)
#: a number in ASCII digits, as `Decimal` writes them; nothing else that its constructor takes
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_BLANKS = " \t\r\n"
SYMBOL = re.compile(f"[!-~]{{1,{SYMBOL_BYTES_MAX}}}")


@dataclass(frozen=True, slots=True)
class Instrument:
    """A tradable security or contract.

    - ``symbol``: 1 to 24 printable ASCII characters without spaces.
    - ``tick``: the smallest price step, above 0, with at most 18 decimals.
    - ``lot``: quantities of orders are multiples of it, in units.
    - ``max_quantity``: the largest quantity of an order, in units.
    - ``max_orders``: the largest number of resting orders; it bounds memory.

    `InvalidCommand` or `PriceError` for other values.

    >>> ana = Instrument("ANA", tick="0.05")
    >>> ana.ticks("95.70"), ana.price(1914)
    (1914, Decimal('95.70'))
    """

    symbol: str
    tick: Decimal
    lot: int = 1
    max_quantity: int = INT64_MAX
    max_orders: int = 10_000_000

    def __init__(
        self,
        symbol: str,
        tick: Price,
        lot: int = 1,
        max_quantity: int = INT64_MAX,
        max_orders: int = 10_000_000,
    ) -> None:
        if not isinstance(symbol, str) or not SYMBOL.fullmatch(symbol):
            raise InvalidCommand(
                f"symbol {shown(symbol)}: 1 to {SYMBOL_BYTES_MAX} printable ASCII characters,"
                " no spaces"
            )
        symbol = str(symbol)  # NumPy has strings of its own
        lot = _limit(symbol, "lot", lot, 1, INT64_MAX)
        max_quantity = _limit(symbol, "max_quantity", max_quantity, lot, INT64_MAX)
        max_orders = _limit(symbol, "max_orders", max_orders, 1, ORDERS_MAX)
        mantissa, exponent = _parts(exact(tick, f"{symbol}: tick"))
        while exponent < 0 and mantissa % 10 == 0 and mantissa:
            mantissa, exponent = mantissa // 10, exponent + 1
        if not (0 < mantissa <= INT64_MAX and -TICK_EXPONENT_MAX <= exponent <= 0):
            raise PriceError(
                f"{symbol}: tick {tick!r}: above zero, at most {TICK_EXPONENT_MAX} decimals"
            )
        step = Decimal(mantissa).scaleb(exponent, EXACT)
        object.__setattr__(self, "symbol", symbol)
        object.__setattr__(self, "tick", step)
        object.__setattr__(self, "lot", lot)
        object.__setattr__(self, "max_quantity", max_quantity)
        object.__setattr__(self, "max_orders", max_orders)

    def ticks(self, price: Price) -> int:
        """``price`` as a whole number of ticks; `PriceError` off the tick: it never rounds.

        A float stands for the decimal number that Python prints for it: 95.7 is on a tick of 0.05,
        0.1 + 0.2 is not on a tick of 0.1.
        """
        mantissa, exponent = _parts(exact(price, f"{self.symbol}: price"))
        tick_mantissa, tick_exponent = _parts(self.tick)
        shift = exponent - tick_exponent
        scaled = mantissa * 10**shift if shift >= 0 else mantissa
        step = tick_mantissa if shift >= 0 else tick_mantissa * 10**-shift
        ticks, rest = divmod(scaled, step)
        if rest:
            below, above = (price_text(EXACT.multiply(self.tick, at)) for at in (ticks, ticks + 1))
            raise PriceError(
                f"{self.symbol}: price {price!r} is not on a tick of {price_text(self.tick)}"
                f" (nearest: {below} and {above})"
            )
        if not INT64_MIN <= ticks <= INT64_MAX:
            raise PriceError(f"{self.symbol}: price {price!r} is beyond 64 bits of ticks")
        return ticks

    @property
    def tick_parts(self) -> tuple[int, int]:
        """The tick as (mantissa, exponent of ten), in the form with the fewest decimals."""
        return _parts(self.tick)

    def price(self, ticks: SupportsIndex) -> Decimal:
        """The price of a number of ``ticks``, with as many decimals as the tick."""
        if type(ticks) is not int or not INT64_MIN <= ticks <= INT64_MAX:
            ticks = integer(ticks, f"{self.symbol}: ticks")
        return EXACT.multiply(self.tick, ticks)


def price_text(price: Decimal) -> str:
    """A price as text in digits: 0.000000001, where `str` returns 1E-9."""
    return format(price, "f")


def hundredths(value: Price, what: str) -> int:
    """A number of percent as hundredths of a percent; `PriceError`, about ``what``, for others."""
    number = exact(value, what)
    scaled = number.scaleb(2, EXACT)
    count = int(scaled)
    if count != scaled or not INT64_MIN <= count <= INT64_MAX:
        raise PriceError(f"{what} {value!r}: percent, with up to two decimals")
    return count


def percent(count: int) -> Decimal:
    """Hundredths of a percent as a number of percent, with two decimals."""
    return Decimal(count).scaleb(-2, EXACT)


class Former(NamedTuple):
    """What an instrument was before the command of a sequence gave it another tick."""

    sequence: int
    number: int
    instrument: Instrument


class Then(NamedTuple):
    """Instruments by number - 1, and changes of ticks that led to them or, perhaps, came later."""

    instruments: list[Instrument]
    former: list[Former]

    def with_ticks_of(self, sequence: int) -> Sequence[Instrument]:
        """The instruments with the ticks that the events of a sequence have."""
        if not self.former or self.former[-1].sequence <= sequence:
            return self.instruments
        then = self.instruments.copy()
        for change in reversed(self.former):
            if change.sequence <= sequence:
                break
            then[change.number - 1] = change.instrument
        return then


class Directory:
    """The instruments of an exchange, by symbol and by number (1, 2, 3 … in order of entry)."""

    __slots__ = ("_by_number", "_former", "_former_max", "_numbers", "_ticks", "then")

    def __init__(self, instruments: Iterable[Instrument] = ()) -> None:
        self._by_number: list[Instrument] = []
        self._numbers: dict[str, int] = {}
        self._ticks: list[dict[str | int, int]] = []  # what prices are in ticks, by number - 1
        self._former: list[Former] = []  # oldest first
        self._former_max = FORMER_MIN
        self.then = Then(self._by_number, self._former)  # another when a tick has changed
        for instrument in instruments:
            self.add(instrument)

    def add(self, instrument: Instrument) -> int:
        """Appends ``instrument``; returns its number.  `InstrumentConflict` for a known symbol."""
        if not isinstance(instrument, Instrument):
            raise InvalidArgument(f"instrument {shown(instrument)}: an Instrument")
        if instrument.symbol in self._numbers:
            raise InstrumentConflict(f"the symbol {instrument.symbol!r} is taken already")
        self._by_number.append(instrument)
        self._numbers[instrument.symbol] = len(self._by_number)
        self._ticks.append({})
        return len(self._by_number)

    def replace(
        self,
        number: int,
        instrument: Instrument,
        sequence: int = 0,
        told: Callable[[], NDArray[np.void]] | None = None,
    ) -> None:
        """Replaces the instrument of ``number`` by ``instrument``, which has the same symbol.

        ``sequence``: of the command that changes it, for `in_order`.  ``told``: returns the events
        of remembered answers, whose ticks must be kept.  `InstrumentConflict` for another symbol.
        """
        at = self._at(number)
        known = self._by_number[at]
        if known.symbol != instrument.symbol:
            raise InstrumentConflict(f"instrument {number} is {known.symbol!r}")
        if known.tick != instrument.tick:
            self._by_number = self._by_number.copy()  # see `in_order`
            if sequence:
                self._former.append(Former(sequence, at + 1, known))
            if told is not None and len(self._former) > self._former_max:
                self._former = needed(self._former, told())
                self._former_max = max(FORMER_MIN, 2 * len(self._former))
        self._by_number[at] = instrument
        self._ticks[at] = {}
        if known.tick != instrument.tick:
            # last: what began with the old one may have seen half of it
            self.then = Then(self._by_number, self._former)

    def former(self, told: NDArray[np.void]) -> list[Former]:
        """The earlier instruments whose ticks the events ``told`` of remembered answers need."""
        return needed(self._former, told)

    def restore(self, former: Iterable[Former]) -> None:
        """Restores the result ``former`` of that method."""
        self._former = list(former)
        self.then = Then(self._by_number, self._former)

    def ticks(self, key: SupportsIndex | str | bytes, price: Price) -> int:
        """``price`` in ticks of the instrument ``key``, a symbol or number.

        Raises as `Instrument.ticks` and `number`.
        """
        return self.ticks_at(self._at(key), price)

    def ticks_at(self, at: int, price: Price) -> int:
        """As `ticks`: ``price`` in ticks, with ``at``, the number - 1, which is not checked.

        Results are cached, because exact arithmetic is slow, by text or int of the exact type only:
        1 == True == Decimal(1) for a dict.
        """
        kind = type(price)
        if kind is str or kind is int:
            written: str | int = price  # type: ignore[assignment]
        elif kind is Decimal or kind is float:
            written = str(price)  # the number that `exact` makes of it
        else:
            return self._by_number[at].ticks(price)
        known = self._ticks[at]
        ticks = known.get(written)
        if ticks is None:
            ticks = self._by_number[at].ticks(price)
            if kind is int or len(written) <= DIGITS_MAX:  # type: ignore[arg-type]
                if len(known) >= TICKS_KNOWN_MAX:
                    known.clear()
                known[written] = ticks
        return ticks

    def number(self, symbol: str | bytes) -> int:
        """The number of ``symbol``; `UnknownInstrument` if no instrument has it."""
        try:
            return self._numbers[symbol if type(symbol) is str else symbol_text(symbol) or ""]
        except KeyError:
            raise UnknownInstrument(f"unknown instrument {shown(symbol)}") from None

    def in_order(self, sequence: int | None = None) -> Sequence[Instrument]:
        """The instruments by number - 1, with current ticks, or those of events of ``sequence``.

        The returned list never changes the tick of an instrument.
        """
        return self._by_number if sequence is None else self.then.with_ticks_of(sequence)

    def get(self, key: SupportsIndex | str | bytes) -> Instrument | None:
        """The instrument of ``key``, a symbol or number; None if there is none."""
        try:
            return self[key]
        except UnknownInstrument:
            return None

    def __getitem__(self, key: SupportsIndex | str | bytes) -> Instrument:
        """The instrument of a symbol or number; `UnknownInstrument`, a `KeyError`, if none has it.

        `InvalidArgument` for what is neither.
        """
        return self._by_number[self._at(key)]

    def _at(self, key: SupportsIndex | str | bytes) -> int:
        """The place of a symbol or number."""
        if isinstance(key, str | bytes):
            return self.number(key) - 1
        number = integer(key, "instrument number", None, None)
        if not 1 <= number <= len(self._by_number):
            raise UnknownInstrument(f"unknown instrument number {shown(number)}")
        return number - 1

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._by_number)

    def __len__(self) -> int:
        return len(self._by_number)

    def __contains__(self, symbol: object) -> bool:
        return symbol_text(symbol) in self._numbers


def needed(former: Sequence[Former], told: NDArray[np.void]) -> list[Former]:
    """Those that an event of an `EVENT` array is of: between a change of the tick and the next."""
    kept: list[Former] = []
    since: dict[int, int] = {}
    sequences: dict[int, NDArray[np.uint64]] = {}
    for change in former:
        number = change.number
        if number not in sequences:
            sequences[number] = np.sort(told["sequence"][told["instrument"] == number])
        events, before = sequences[number], since.get(number, 0)
        since[number] = int(np.searchsorted(events, change.sequence))
        if since[number] > before:
            kept.append(change)
    return kept


def distinct(instruments: Iterable[Instrument]) -> list[Instrument]:
    """As a list; `InstrumentConflict` for a symbol given twice."""
    wanted = list(instruments)
    Directory(wanted)
    return wanted


def write_instrument(row: np.void, instrument: Instrument) -> None:
    """Fills an `INSTRUMENT` row but for its number, kind and time."""
    mantissa, exponent = instrument.tick_parts
    row["symbol"] = instrument.symbol.encode("ascii")
    row["tick_mantissa"] = mantissa
    row["tick_exponent"] = exponent
    row["lot"] = instrument.lot
    row["max_quantity"] = instrument.max_quantity
    row["max_orders"] = instrument.max_orders


def read_instrument(row: np.void) -> Instrument:
    """The `Instrument` of an `INSTRUMENT` row; `InvalidCommand` when it holds none."""
    tick = Decimal(int(row["tick_mantissa"])).scaleb(int(row["tick_exponent"]), EXACT)
    return Instrument(
        bytes(row["symbol"]).decode("latin-1"),  # every byte its own character, so ASCII stays
        tick,
        int(row["lot"]),
        int(row["max_quantity"]),
        int(row["max_orders"]),
    )


def _limit(symbol: str, name: str, value: int, least: int, most: int) -> int:
    return integer(value, f"{symbol}: {name}", least, most, InvalidCommand)


def exact(value: Price, what: str) -> Decimal:
    """The number that a price is written as; `PriceError`, about `what`, when it is none.

    At most `DIGITS_MAX` digits and decimals, so that whatever comes out is quick to work with.
    A text is a decimal number in ASCII digits; blanks around it do not matter.
    """
    try:
        if isinstance(value, str):
            text = value.strip(_BLANKS)
            if not _NUMBER.fullmatch(text):
                raise PriceError(f"{what} {shown(value)} is not a number")
            number = Decimal(text)
        elif isinstance(value, Decimal):
            number = value
        elif isinstance(value, float):
            number = Decimal(float.__repr__(value))  # NumPy's repr says its type as well
        elif (count := whole(value)) is not None:
            number = Decimal(count)
        else:
            raise PriceError(f"{what} {shown(value)}: a string, Decimal, int or float")
    except InvalidOperation:
        raise PriceError(f"{what} {shown(value)} is not a number") from None
    if not number.is_finite():
        raise PriceError(f"{what} {value!r} is not finite")
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    if len(digits) > DIGITS_MAX:
        raise PriceError(f"{what} has {len(digits)} digits, at most {DIGITS_MAX} make sense")
    if abs(exponent) > DIGITS_MAX:
        if number:
            raise PriceError(f"{what} {value!r} is too large or too fine")
        return Decimal(0)
    return Decimal((sign, digits + (0,) * exponent, 0)) if exponent > 0 else number


def _parts(value: Decimal) -> tuple[int, int]:
    sign, digits, exponent = value.as_tuple()
    mantissa = 0
    for digit in digits:
        mantissa = mantissa * 10 + digit
    return (-mantissa if sign else mantissa), int(exponent)
