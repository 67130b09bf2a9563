"""What an engine answers to people: the outcome of one command, and a look into a book."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..machine import Machine
from ..records.events import EVENT, EventRow, event_rows
from ..records.instruments import Directory, Instrument, price_text
from ..records.schema import (
    OPENING_EVENTS,
    ORDER_EVENTS,
    EventKind,
    Field,
    Reason,
    Side,
    Status,
)
from ..records.typed import Event, Trade, event_of


@dataclass(frozen=True, slots=True)
class Durability:
    """What an answer is worth.

    ``loss_ms_max``: when the machine dies, the answers lost were all given within this many
    milliseconds; 0: none is lost, None: there is no bound.  ``survives_the_process``: none is lost
    when only the process dies.
    """

    policy: str
    loss_ms_max: float | None
    survives_the_process: bool


IN_MEMORY = Durability("memory", None, False)


class Answer:
    """The events of one command, and what they mean for its order.

    Made of the bytes of its events; everything is worked out from them when asked for.
    ``durability`` says what a crash can take of it.  ``time``: of the command, in nanoseconds since
    1970 UTC; of a repeat, not of the first, whose time is not known.  0: it has none.
    """

    __slots__ = ("_events", "_repeated", "_rows", "_then", "durability", "records", "time")

    def __init__(
        self,
        records: bytes,
        directory: Directory,
        durability: Durability = IN_MEMORY,
        time: int = 0,
    ) -> None:
        self.durability = durability
        self.records = records
        self.time = time
        self._then = directory.then
        self._events: NDArray[np.void] | None = None
        self._rows: list[EventRow] | None = None
        self._repeated: EventRow | None = None

    def __repr__(self) -> str:
        reason = f" ({self.reason.name}, {self.field.name})" if self.reason else ""
        repeat = f", a repeat of {self.first_sequence}" if self.repeat else ""
        return (
            f"<Answer {self.sequence}{repeat}: order {self.order_id} {self.status}{reason},"
            f" filled {self.filled}, left {self.left}>"
        )

    @property
    def events(self) -> NDArray[np.void]:
        """`EVENT` array, at least one; read-only."""
        if self._events is None:
            self._events = np.frombuffer(self.records, EVENT)
        return self._events

    @property
    def rows(self) -> list[EventRow]:
        """The events as Python integers; without REPEATED, so of a repeat those of the first."""
        if self._rows is None:
            rows = event_rows(self.records)
            self._repeated = rows[0] if rows[0].kind == EventKind.REPEATED else None
            self._rows = rows if self._repeated is None else rows[1:]
        return self._rows

    @property
    def sequence(self) -> int:
        """Of the command in the log; of a repeat, not of the first."""
        first = self.first_sequence
        return first if self._repeated is None else self._repeated.sequence

    @property
    def repeat(self) -> bool:
        """True when the command was sent before and changed nothing now: this is what it was
        told then."""
        return bool(self.rows) and self._repeated is not None

    @property
    def first_sequence(self) -> int:
        """Of the command that did what this answer says: of a repeat, the first one's."""
        return self.rows[0].sequence

    @property
    def durable(self) -> bool:
        """True if the command was on disk when this was given: no crash takes it."""
        return self.durability.loss_ms_max == 0

    @property
    def events_missing(self) -> int:
        """How many events of a long first answer are not told again: those before its last.

        `status`, `left`, `filled` and `order_id` are right all the same; `trades` are not all.
        """
        return self._repeated.left if self.repeat and self._repeated is not None else 0

    @property
    def order_id(self) -> int:
        """Of the order the command was about; 0 for commands about many."""
        return self.rows[0].order_id

    @property
    def rejected(self) -> bool:
        return self.rows[0].kind == EventKind.REJECTED

    @property
    def reason(self) -> Reason:
        """Why the command was refused or the order cancelled; NONE (false) otherwise."""
        return Reason(self.rows[-1].reason)

    @property
    def field(self) -> Field:
        """The field that a refusal is about."""
        return Field(self.rows[-1].field)

    @property
    def trades(self) -> list[Trade]:
        """The fills, in order; in a repeat with time 0."""
        typed = (self._typed(row) for row in self.rows if row.kind == EventKind.TRADED)
        return [trade for trade in typed if isinstance(trade, Trade)]

    @property
    def filled(self) -> int:
        """Quantity traded by this command."""
        if self.events_missing:  # what it began with, less what was left or taken off at its end
            last = self.rows[-1]
            if last.kind == EventKind.MASS_CANCELLED:
                return 0
            rest = last.taker_left if last.kind == EventKind.TRADED else last.quantity
            return self.rows[0].quantity - rest
        return sum(row.quantity for row in self.rows if row.kind == EventKind.TRADED)

    @property
    def left(self) -> int:
        """Quantity of the order still open after this command; 0 if it was not about one."""
        last = self.rows[-1]
        if last.kind == EventKind.TRADED:
            return last.taker_left
        # INSTRUMENT_ADDED and INSTRUMENT_CHANGED carry a limit in this field
        return last.left if last.kind in ORDER_EVENTS else 0

    @property
    def status(self) -> Status:
        """Where the order stands; DONE for commands about many orders or an instrument."""
        last = self.rows[-1].kind
        if last == EventKind.REJECTED:
            return Status.REJECTED
        if last == EventKind.CANCELLED:
            return Status.CANCELLED
        if last == EventKind.TRADED:
            return Status.PARTLY_FILLED if self.left else Status.FILLED
        if last in OPENING_EVENTS:
            return Status.OPEN
        return Status.DONE

    def typed(self) -> list[Event]:
        """All events with names and decimal prices; of a repeat those of the first."""
        return [self._typed(row) for row in self.rows]

    def _typed(self, row: EventRow) -> Event:
        time = self.time if self._repeated is None else 0
        return event_of(row, self._then.with_ticks_of(row.sequence), time)


@dataclass(frozen=True, slots=True)
class PriceLevel:
    """One price of a book: open quantity in units, and how many orders make it up."""

    price: Decimal
    quantity: int
    orders: int

    def __str__(self) -> str:
        return f"{price_text(self.price)} x {self.quantity}"


class Top(NamedTuple):
    """The best level of each side at one moment; None for a side on which nothing rests."""

    bid: PriceLevel | None
    ask: PriceLevel | None

    def __str__(self) -> str:
        return f"{self.bid or '-'} / {self.ask or '-'}"


class Depth(NamedTuple):
    """Levels of both sides at one moment, best first."""

    bids: list[PriceLevel]
    asks: list[PriceLevel]

    @property
    def top(self) -> Top:
        """The first of each."""
        return Top(next(iter(self.bids), None), next(iter(self.asks), None))


@dataclass(frozen=True, slots=True)
class RestingOrder:
    order_id: int
    client_order_id: int
    account: int
    side: Side
    price: Decimal
    quantity: int


class BookView:
    """One instrument's book as it is now.  Every call reads anew, at one moment.

    Two calls are two moments: what belongs together comes from one (`top`, `depth`).  ``look``
    gives the machine to read, and is called under ``lock``.
    """

    __slots__ = ("_lock", "_look", "_number")

    def __init__(
        self,
        look: Callable[[], Machine],
        number: int,
        lock: AbstractContextManager[object] | None = None,
    ) -> None:
        self._look = look
        self._lock = nullcontext() if lock is None else lock
        self._number = number

    @property
    def instrument(self) -> Instrument:
        with self._lock:
            return self._look().instruments[self._number]

    @property
    def best_bid(self) -> PriceLevel | None:
        """O(log of the price range).  For both sides use `top`."""
        return next(iter(self.bids(1)), None)

    @property
    def best_ask(self) -> PriceLevel | None:
        """O(log of the price range).  For both sides use `top`."""
        return next(iter(self.asks(1)), None)

    def top(self) -> Top:
        """Best bid and best ask of one moment.  O(log of the price range)."""
        return self._sides(1)[1].top

    def depth(self, levels: int | None = None) -> Depth:
        """Both sides of one moment, best first: so many levels, or all."""
        return self._sides(levels)[1]

    def bids(self, depth: int | None = None) -> list[PriceLevel]:
        """Buy levels, best first; all of them without a depth."""
        return self._sides(depth, [Side.BUY])[1].bids

    def asks(self, depth: int | None = None) -> list[PriceLevel]:
        """Sell levels, best first; all of them without a depth."""
        return self._sides(depth, [Side.SELL])[1].asks

    def levels(self, side: Side, depth: int | None = None) -> NDArray[np.void]:
        """The same as a `LEVEL` array, prices in ticks."""
        with self._lock:
            return self._look().levels(self._number, side, depth)

    def orders(self) -> NDArray[np.void]:
        """All resting orders as an `ORDER` array, prices in ticks: buys, then sells, best to
        worst, oldest first."""
        with self._lock:
            return self._look().orders(self._number)

    def order(self, order_id: int) -> RestingOrder | None:
        """One resting order, or None.  O(1)."""
        with self._lock:
            machine = self._look()
            row = machine.order(self._number, order_id)
            instrument = machine.instruments[self._number]
        if row is None:
            return None
        return RestingOrder(
            int(row["order_id"]),
            int(row["client_order_id"]),
            int(row["account"]),
            Side(int(row["side"])),
            instrument.price(int(row["price"])),
            int(row["quantity"]),
        )

    def _sides(
        self, depth: int | None, sides: Iterable[Side] = tuple(Side)
    ) -> tuple[Instrument, Depth]:
        """The instrument and levels of these sides, in one read."""
        with self._lock:
            machine = self._look()
            instrument = machine.instruments[self._number]
            rows = {side: machine.levels(self._number, side, depth).tolist() for side in sides}
        price = instrument.price
        made = (
            [PriceLevel(price(ticks), size, orders) for ticks, size, orders in rows.get(side, ())]
            for side in Side
        )
        return instrument, Depth(*made)

    def __repr__(self) -> str:
        instrument, sides = self._sides(1)
        return f"<book of {instrument.symbol}: {sides.top}>"

    def as_plain(self, depth: int | None = None) -> dict[str, Any]:
        """Both sides of one moment as JSON-ready values, prices as text."""
        instrument, sides = self._sides(depth)
        plain = {
            name: [
                {"price": price_text(at.price), "quantity": at.quantity, "orders": at.orders}
                for at in levels
            ]
            for name, levels in sides._asdict().items()
        }
        return {"symbol": instrument.symbol, **plain}
