"""The commands of markets in the reference machine, and what their rules need of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from ....records.arguments import INT64_MAX, integer
from ....records.limits import ACCOUNT_LIMITS
from ....records.markets import (
    MARKET_ORDER,
    MARKET_STATE,
    MARKET_TRADES,
    MARKET_VALUE,
    PARAMETER,
    PHASE,
    PROTECTION,
    PROTECTION_STATE,
    PROTECTIONS_MAX,
    defaults,
    is_tick_table,
    parameter_refusal,
    values_of,
)
from ....records.parameters import PARAMETERS, PRICE_MAX, VALUES
from ....records.schema import (
    MARKET_RECORD,
    ChangeKind,
    EventKind,
    Field,
    Kind,
    Parameter,
    Reason,
)
from ..aside import Aside
from ..limits import Limits, admit, allow
from ..refusals import Refused, require
from . import amending, clocking, entry, phases, quotes
from .auction import publish
from .book import MarketBook, MarketOrder, market_row
from .settling import settle
from .turn import Turn

Row = dict[str, int]
_FACT = MARKET_RECORD.packer(
    "sequence", "time", "price", "quantity", "imbalance", "phase", "instrument", "kind", "side",
    "halted",
)  # fmt: skip
_FACT_NAMES = ("price", "quantity", "imbalance", "phase")
assert ACCOUNT_LIMITS.itemsize


@dataclass(slots=True)
class Protection:
    """The group of an account (instrument 0), or its protection as a market maker in one."""

    group: int = 0
    max_quantity: int = 0
    max_fills: int = 0
    window_ns: int = 0
    window_start: int = 0
    quantity: int = 0
    fills: int = 0

    def values(self) -> tuple[int, ...]:
        """As a row of a state has them."""
        return (
            self.group, self.max_quantity, self.max_fills, self.window_ns, self.window_start,
            self.quantity, self.fills,
        )  # fmt: skip


class Markets(Aside):
    """What `Machine` does about instruments that have a market."""

    rules: int
    next_order_id: int
    next_trade_id: int
    _now: int
    _protections: dict[tuple[int, int], Protection]

    @abstractmethod
    def _limits_of(self, account: int, instrument: int) -> dict[tuple[int, int], Limits]: ...

    @abstractmethod
    def _open(self, account: int, instrument: int) -> int: ...

    @abstractmethod
    def _assign_id(self, book: Any) -> int: ...

    @abstractmethod
    def _live(self, book: Any, row: Row) -> Any: ...

    # ------------------------------------------------------------------ what the rules need

    def market_of(self, instrument: int) -> MarketBook:
        book = self._books[instrument - 1]
        assert isinstance(book, MarketBook)
        return book

    def has_market(self, instrument: int) -> bool:
        known = 1 <= instrument <= len(self._books)
        return known and isinstance(self._books[instrument - 1], MarketBook)

    def last_of(self, instrument: int) -> int | None:
        return self._last[instrument - 1]

    def set_last(self, instrument: int, price: int) -> None:
        self._last[instrument - 1] = price

    def lot_of(self, instrument: int) -> int:
        return self.instruments[instrument].lot

    def max_orders_of(self, instrument: int) -> int:
        return self.instruments[instrument].max_orders

    def assign_id(self, instrument: int) -> int:
        return self._assign_id(self._books[instrument - 1])

    def live_order(self, book: MarketBook, row: Row) -> MarketOrder:
        order = self._live(book, row)
        assert isinstance(order, MarketOrder)
        return order

    def check_plain_quantity(self, instrument: int, quantity: int, field: Field) -> None:
        limits = self.instruments[instrument]
        require(quantity > 0, Reason.QUANTITY_NOT_POSITIVE, field)
        require(quantity <= limits.max_quantity, Reason.QUANTITY_TOO_LARGE, field)
        require(quantity % limits.lot == 0, Reason.OFF_LOT, field)

    def admit_account(
        self, account: int, instrument: int, time: int
    ) -> dict[tuple[int, int], Limits]:
        """The limits that an account is under, after its message is counted."""
        limits = self._limits_of(account, instrument)
        admit(list(limits.values()), time)
        return limits

    def allow_account(
        self, limits: dict[tuple[int, int], Limits], instrument: int, price: int | None,
        quantity: int, resting: bool, leaving: int = 0,
    ) -> None:  # fmt: skip
        """`allow`; ``leaving``: how many open orders of the account make place for this one."""
        opened = [self._open(*place) - leaving for place in limits] if resting else []
        allow([*limits.values()], self._last[instrument - 1], price, quantity, opened)

    def market_change(self, kind: ChangeKind, instrument: int, **more: int) -> None:
        """A public change that brings its own level."""
        self._change(kind, instrument, None, **more)

    def market_fact(self, kind: ChangeKind, instrument: int, **more: int) -> None:
        """A public change in the layout `MARKET`."""
        values = [more.get(name, 0) for name in _FACT_NAMES]
        self._changes.append(
            _FACT.pack(
                self.sequence,
                self._time,
                *values,
                instrument,
                kind,
                more.get("side", 0),
                more.get("halted", 0),
            )
        )

    # ------------------------------------------------------------------ groups and protections

    def group_of(self, account: int) -> int:
        entry = self._protections.get((account, 0))
        return entry.group if entry else 0

    def protection_hit(self, maker: MarketOrder, instrument: int, quantity: int, time: int) -> bool:
        """Counts a fill of a quote; true if the maker's quotes go."""
        entry = self._protections.get((maker.account, instrument))
        if entry is None:
            return False
        if entry.fills == 0 or time - entry.window_start >= entry.window_ns:
            entry.window_start, entry.fills, entry.quantity = time, 0, 0
        entry.fills += 1
        entry.quantity = min(entry.quantity + quantity, INT64_MAX)
        hit = 0 < entry.max_fills <= entry.fills or 0 < entry.max_quantity <= entry.quantity
        if hit:
            entry.window_start = entry.fills = entry.quantity = 0
        return hit

    def _set_protection(self, record: np.void) -> None:
        row = _named(record, PROTECTION)
        account, instrument = row["account"], row["instrument"]
        _check_reserved(row)
        known = instrument <= len(self._books)
        require(known, Reason.UNKNOWN_INSTRUMENT, Field.INSTRUMENT)
        require(account > 0, Reason.BAD_VALUE, Field.ACCOUNT)
        if instrument:
            require(self.has_market(instrument), Reason.NO_MARKET, Field.INSTRUMENT)
            require(row["group"] == 0, Reason.BAD_VALUE, Field.GROUP)
        numbers = ("max_quantity", Field.MAX_QUANTITY), ("max_fills", Field.MAX_FILLS)
        for name, field in (*numbers, ("window_ns", Field.WINDOW)):
            fine = row[name] >= 0 and (instrument > 0 or row[name] == 0)
            require(fine, Reason.BAD_LIMIT, field)
        both = (row["window_ns"] > 0) == (row["max_quantity"] > 0 or row["max_fills"] > 0)
        require(both, Reason.BAD_LIMIT, Field.WINDOW)
        place = account, instrument
        entry = Protection(row["group"], row["max_quantity"], row["max_fills"], row["window_ns"])
        fills = entry != Protection()
        room = not fills or place in self._protections or len(self._protections) < PROTECTIONS_MAX
        require(room, Reason.TOO_MANY_ENTRIES, Field.ACCOUNT)
        self._protections.pop(place, None)
        if fills:
            self._protections[place] = entry
        said = {"quantity": row["max_quantity"], "left": row["max_fills"]}
        self._say(
            EventKind.PROTECTION_SET, instrument, account=account, trade_id=row["group"], **said
        )

    # ------------------------------------------------------------------ commands

    def _market_order(self, row: Row) -> None:
        """A command of one order of a market."""
        turn = self._turn(row["instrument"], row)
        match row["kind"]:
            case Kind.NEW:
                entry.enter(turn, row)
            case Kind.CANCEL:
                amending.cancel(turn, row)
            case Kind.AMEND:
                amending.amend(turn, row)
            case Kind.REDUCE:
                amending.reduce(turn, row)
            case _:
                quotes.quote(turn, row)
        publish(turn)

    def _turn(self, instrument: int, row: Row) -> Turn:
        return Turn(self, instrument, row["time"] or self._now)

    def _market_command(self, row: Row, record: np.void) -> None:
        """A kind that there is for markets only."""
        match row["kind"]:
            case Kind.SET_MARKET:
                self._set_market(np.frombuffer(record.tobytes(), PARAMETER)[0])
            case Kind.SET_PHASE:
                self._set_phase(_named(record, PHASE))
            case Kind.CLOCK:
                self._clock(row)
            case Kind.SET_PROTECTION:
                self._set_protection(record)
            case Kind.BUST:
                self._bust(row)
            case _:
                number = row["instrument"]
                known = 1 <= number <= len(self._books)
                require(known, Reason.UNKNOWN_INSTRUMENT, Field.INSTRUMENT)
                require(self.has_market(number), Reason.NO_MARKET, Field.INSTRUMENT)
                self._market_order(row)

    def _markets(self, number: int) -> list[int]:
        """One market, or all with 0."""
        known = number <= len(self._books)
        require(known, Reason.UNKNOWN_INSTRUMENT, Field.INSTRUMENT)
        if number:
            require(self.has_market(number), Reason.NO_MARKET, Field.INSTRUMENT)
            return [number]
        return [at for at in range(1, len(self._books) + 1) if self.has_market(at)]

    def _set_market(self, row: np.void) -> None:
        number = int(row["instrument"])
        known = 1 <= number <= len(self._books)
        require(known, Reason.UNKNOWN_INSTRUMENT, Field.INSTRUMENT)
        wrong = parameter_refusal(row)
        if wrong is not None:
            raise Refused(*wrong)
        new = not self.has_market(number)
        empty = not self._books[number - 1].live
        require(not new or empty, Reason.BOOK_NOT_EMPTY, Field.INSTRUMENT)
        parameter, index, values = (
            Parameter(int(row["parameter"])),
            int(row["index"]),
            values_of(row),
        )
        book = MarketBook() if new else self.market_of(number)
        if parameter == Parameter.TICKS:
            require(index <= len(book.ticks), Reason.BAD_PARAMETER, Field.INDEX)
            table = {at: one for at, one in book.ticks.items() if at < index}
            table[index] = values[0], values[1]
            require(is_tick_table(table), Reason.BAD_PARAMETER, Field.VALUE)
            book.ticks = table
        else:
            book.values[parameter] = values[: len(PARAMETERS[parameter])]
        if parameter == Parameter.CLOSING:
            book.forget_counted()
        self._books[number - 1] = book  # type: ignore[call-overload]  # a book of another kind
        last = self._last[number - 1]
        if last is not None and abs(last) > PRICE_MAX:
            self._last[number - 1] = None  # of the time before the market, which has no such price
        self._say(EventKind.MARKET_SET, number, order_id=parameter, quantity=index, left=int(new))
        if parameter == Parameter.DAY:
            self.market_fact(ChangeKind.REFERENCE, number, price=values[1], phase=book.phase)

    def _set_phase(self, row: Row) -> None:
        _check_reserved(row)
        numbers, group = self._markets(row["instrument"]), row["group"]
        phases.check_codes(row)
        if row["instrument"] == 0:
            numbers = [at for at in numbers
                       if group in (0, self.market_of(at).trading.group)]  # fmt: skip
            require(bool(numbers), Reason.NO_MARKET, Field.GROUP)
        else:
            require(group == 0, Reason.BAD_VALUE, Field.GROUP)
        turns = [self._turn(number, row) for number in numbers]
        fine = []
        for turn in turns:
            try:
                phases.check_phase(turn, row)
                fine.append(turn)
            except Refused:
                if row["instrument"]:
                    raise
        require(bool(fine), Reason.PHASE_OUT_OF_ORDER, Field.PHASE)
        for turn in fine:
            clocking.set_phase(turn, row)
            publish(turn)

    def _clock(self, row: Row) -> None:
        counts = [0, 0]
        for number in self._markets(row["instrument"]):
            turn = self._turn(number, row)
            for at, count in enumerate(clocking.clock(turn)):
                counts[at] += count
            publish(turn)
        self._say(EventKind.CLOCKED, row["instrument"], quantity=counts[0], left=counts[1])

    def _bust(self, row: Row) -> None:
        number, trade = row["instrument"], row["order_id"]
        known = 1 <= number <= len(self._books)
        require(known, Reason.UNKNOWN_INSTRUMENT, Field.INSTRUMENT)
        require(0 < trade < self.next_trade_id, Reason.UNKNOWN_TRADE, Field.ORDER_ID)
        self._say(
            EventKind.BUSTED, number, trade_id=trade, price=row["price"], quantity=row["quantity"]
        )

    def _sweep_market(self, number: int, row: Row, hits: Any, reason: Reason, day: bool) -> int:
        """Cancels the orders that match in one market; returns how many did."""
        turn = self._turn(number, row)
        mine = [order for order in turn.book.orders() if hits(order)]
        for order in mine:
            turn.cancel(order, reason)
        settle(turn)
        if day:
            turn.book.end_day()
        publish(turn)
        return len(mine)

    # ------------------------------------------------------------------ looking

    @abstractmethod
    def _known(self, number: SupportsIndex) -> Any: ...

    def market(self, number: SupportsIndex) -> tuple[NDArray[np.void], np.void] | None:
        """Parameters that are not as at first, a `MARKET_VALUE` array, and the `MARKET_STATE` of
        an instrument; None if it has no market."""
        book = self._known(number)
        if not isinstance(book, MarketBook):
            return None
        at = integer(number, "number")
        values = np.array(list(_value_rows(at, book)), MARKET_VALUE)
        return values, np.array([_state_row(at, book)], MARKET_STATE)[0]

    def market_order(self, number: SupportsIndex, order_id: SupportsIndex) -> np.void | None:
        """What the live order of this id has beside an `ORDER`, a `MARKET_ORDER` row, or None."""
        book = self._known(number)
        order = book.live.get(integer(order_id, "order_id", None, None))
        if not isinstance(order, MarketOrder):
            return None
        found: np.void = np.array([market_row(integer(number, "number"), order)], MARKET_ORDER)[0]
        return found

    # ------------------------------------------------------------------ states

    def _market_numbers(self) -> Iterator[tuple[int, MarketBook]]:
        for number, book in enumerate(self._books, 1):
            if isinstance(book, MarketBook):
                yield number, book

    def market_rows(self) -> tuple[NDArray[np.void], ...]:
        """Parameters, states, orders, protections and counted trades: those parts of a `State`."""
        values: list[tuple[int, ...]] = []
        states: list[tuple[int, ...]] = []
        orders: list[tuple[int, ...]] = []
        trades: list[tuple[int, ...]] = []
        for number, book in self._market_numbers():
            values += _value_rows(number, book)
            states.append(_state_row(number, book))
            orders += [market_row(number, order) for order in book.orders()]
            trades += [(time, volume, turnover % 2**64, turnover >> 64, number, 0)
                       for time, volume, turnover in book.counted]  # fmt: skip
        kept = [(account, *self._protections[account, instrument].values(), instrument, 0)
                for account, instrument in sorted(self._protections)]  # fmt: skip
        return (
            np.array(values, MARKET_VALUE), np.array(states, MARKET_STATE),
            np.array(orders, MARKET_ORDER), np.array(kept, PROTECTION_STATE),
            np.array(trades, MARKET_TRADES),
        )  # fmt: skip


def _value_rows(number: int, book: MarketBook) -> Iterator[tuple[int, ...]]:
    """A `MARKET_VALUE` row for each parameter that is not as at first."""
    usual = defaults()
    said = [(parameter, 0, one) for parameter, one in book.values.items()
            if one != usual[parameter]]  # fmt: skip
    said += [(Parameter.TICKS, index, one) for index, one in book.ticks.items()]
    for parameter, index, one in sorted(said):
        yield (*one, *[0] * (VALUES - len(one)), number, parameter, index, 0)


def _named(record: np.void, dtype: np.dtype[Any]) -> Row:
    row = np.frombuffer(record.tobytes(), dtype)[0]
    return {name: int(row[name]) for name in dtype.names or ()}


def _check_reserved(row: Row) -> None:
    """What belongs to nobody is zero."""
    unread = [value for name, value in row.items() if name.startswith("reserved")]
    require(not any(unread), Reason.UNSUPPORTED, Field.RESERVED)


def _state_row(number: int, book: MarketBook) -> tuple[int, ...]:
    told = book.indicative
    prices = book.open_price, book.auction_price, book.closing_price
    known = sum(1 << at for at, price in enumerate(prices) if price is not None)
    turnover = book.close_turnover
    return (
        book.until, book.entries, *(price or 0 for price in prices), turnover % 2**64,
        turnover >> 64, book.close_volume, *(astuple(told) if told else (0, 0, 0, 0)), number,
        book.phase, known | (8 if told else 0), book.halts, 0,
    )  # fmt: skip
