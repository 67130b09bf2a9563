"""Answers of an engine with names and decimal prices: results of commands, and books."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..journal import Log
from ..machine import Machine
from ..records.events import EVENT, EventRow, event_rows
from ..records.instruments import EXACT, Directory, Instrument, price_text
from ..records.markets import at_any
from ..records.schema import (
    MARKET_EVENTS,
    ORDER_EVENTS,
    EventKind,
    Field,
    Reason,
    Side,
    Status,
)
from ..records.typed import Event, Trade, event_of
from .terms import Terms, terms_of


@dataclass(frozen=True, slots=True)
class Durability:
    """What a crash can lose.

    - ``policy``: "sync", "interval", "os", "replicated" or "memory".
    - ``loss_ms_max``: if the machine dies, all answers that are lost were given within this many
      milliseconds. 0: none is lost. None: no bound.
    - ``survives_the_process``: True if no answer is lost when only the process dies.
    """

    policy: str
    loss_ms_max: float | None
    survives_the_process: bool


IN_MEMORY = Durability("memory", None, False)
#: what a crash can lose, by policy; the bound of "interval" is its interval
DURABILITY = {
    "sync": Durability("sync", 0.0, True), "os": Durability("os", None, True),
    "replicated": Durability("replicated", 0.0, True), "memory": IN_MEMORY,
}  # fmt: skip


def durability_of(log: Log | None) -> Durability:
    policy = getattr(log, "policy", "memory")
    return DURABILITY.get(policy) or Durability(policy, float(getattr(log, "interval_ms", 0)), True)


class Answer:
    """The result of one command: its events, and what they mean for its order.

    - ``records``: the bytes of its events.
    - ``directory``: the instruments, for symbols and prices.
    - ``durability``: what a crash can lose.
    - ``time``: of the command, in nanoseconds since 1970 UTC; of a repeat, that of the repeat. 0:
      the command has none.

    Properties are computed from the events when they are read.
    """

    __slots__ = ("_events", "_own", "_repeated", "_rows", "_then", "durability", "records", "time")

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
        self._own: int | None = None

    def __repr__(self) -> str:
        reason = f" ({self.reason.name}, {self.field.name})" if self.reason else ""
        repeat = f", a repeat of {self.first_sequence}" if self.repeat else ""
        return (
            f"<Answer {self.sequence}{repeat}: order {self.order_id} {self.status}{reason},"
            f" filled {self.filled}, left {self.left}>"
        )

    @property
    def events(self) -> NDArray[np.void]:
        """The events, a read-only `EVENT` array with at least one."""
        if self._events is None:
            self._events = np.frombuffer(self.records, EVENT)
        return self._events

    @property
    def rows(self) -> list[EventRow]:
        """The events as Python integers; of a repeat the events of the first answer."""
        if self._rows is None:
            rows = event_rows(self.records)
            self._repeated = rows[0] if rows[0].kind == EventKind.REPEATED else None
            self._rows = rows if self._repeated is None else rows[1:]
        return self._rows

    @property
    def sequence(self) -> int:
        """Sequence of this command in the log; of a repeat, that of the repeat."""
        first = self.first_sequence
        return first if self._repeated is None else self._repeated.sequence

    @property
    def repeat(self) -> bool:
        """True if the command was sent before; it changed nothing, and this is the first answer."""
        return bool(self.rows) and self._repeated is not None

    @property
    def first_sequence(self) -> int:
        """Sequence of the command that was executed; of a repeat, that of the first."""
        return self.rows[0].sequence

    @property
    def durable(self) -> bool:
        """True if the command was on disk when this answer was given."""
        return self.durability.loss_ms_max == 0

    @property
    def events_missing(self) -> int:
        """Of a repeat: number of events of the first answer left out before its last one.

        `status`, `left`, `filled` and `order_id` are complete, but in a market of what is there;
        `trades` are not.
        """
        return self._repeated.left if self.repeat and self._repeated is not None else 0

    @property
    def order_id(self) -> int:
        """Id of the order of the command; 0 for commands on many orders."""
        if self._own is None:
            rows = self.rows
            many = rows[0].kind not in _OF_ONE or any(
                row.kind in _OF_MANY or (row.kind == EventKind.PHASE_CHANGED and not row.reason)
                for row in rows
            )
            self._own = 0 if many else rows[0].order_id
        return self._own

    @property
    def _last(self) -> EventRow:
        """The last event of the order of the command; of commands on many, the last of all."""
        own, rows = self.order_id, self.rows
        if own:
            for row in reversed(rows):
                if own in (row.order_id, row.taker_order_id):
                    return row
        return rows[-1]

    @property
    def rejected(self) -> bool:
        """True if the exchange refused the command; see `reason` and `field`."""
        return self.rows[0].kind == EventKind.REJECTED

    @property
    def reason(self) -> Reason:
        """The reason why the command was refused or the order cancelled; otherwise NONE."""
        return Reason(self._last.reason)

    @property
    def field(self) -> Field:
        """The field at fault of a refused command; otherwise NONE."""
        return Field(self._last.field)

    @property
    def trades(self) -> list[Trade]:
        """The fills, in order; in a repeat with time 0."""
        typed = (self._typed(row) for row in self.rows if row.kind == EventKind.TRADED)
        return [trade for trade in typed if isinstance(trade, Trade)]

    @property
    def filled(self) -> int:
        """Quantity traded by the order of this command, or by all of many orders, in units."""
        own, last = self.order_id, self.rows[-1]
        if self.events_missing:  # what it began with, less what was left or taken off at its end
            if last.kind == EventKind.MASS_CANCELLED:
                return 0
            if own in (last.order_id, last.taker_order_id):
                rest = _left(last, own) if last.kind == EventKind.TRADED else last.quantity
                return self.rows[0].quantity - rest
        trades = [row for row in self.rows if row.kind == EventKind.TRADED]
        mine = [row for row in trades if not own or own in (row.order_id, row.taker_order_id)]
        return sum(row.quantity for row in mine)

    @property
    def left(self) -> int:
        """Open quantity of the order after this command, in units; 0 if there is no order."""
        last = self._last
        # INSTRUMENT_ADDED and others carry something else in this field
        return _left(last, self.order_id) if last.kind in ORDER_EVENTS else 0

    @property
    def status(self) -> Status:
        """Status of the order; DONE for commands on many orders or on an instrument."""
        last = self._last
        if last.kind == EventKind.REJECTED:
            return Status.REJECTED
        if not self.order_id:
            return Status.DONE
        if last.kind == EventKind.CANCELLED:
            return Status.CANCELLED
        if last.kind == EventKind.TRADED:
            return Status.PARTLY_FILLED if self.left else Status.FILLED
        return Status.OPEN

    def typed(self) -> list[Event]:
        """All events with names and decimal prices; of a repeat those of the first answer."""
        return [self._typed(row) for row in self.rows]

    def _typed(self, row: EventRow) -> Event:
        time = self.time if self._repeated is None else 0
        return event_of(row, self._then.with_ticks_of(row.sequence), time)


#: Events that the answer to a command on one order begins with; and those that only commands on
#: many orders, or on none, have.
_OF_ONE = frozenset(
    {EventKind.ACCEPTED, EventKind.AMENDED, EventKind.CANCELLED, EventKind.REJECTED}
)
_OF_MANY = frozenset(EventKind) - ORDER_EVENTS - MARKET_EVENTS


def _left(row: EventRow, own: int) -> int:
    """What an event says is open of an order, which may be the taker of a trade."""
    is_taker = row.kind == EventKind.TRADED and row.taker_order_id == own
    return row.taker_left if is_taker else row.left


@dataclass(frozen=True, slots=True)
class PriceLevel:
    """One price of a book: ``price``, open ``quantity`` in units, number of ``orders``.

    ``price``: None: of the market orders of a call, which trade at any price.
    """

    price: Decimal | None
    quantity: int
    orders: int

    def __str__(self) -> str:
        return f"{self.price_text} x {self.quantity}"

    @property
    def price_text(self) -> str:
        """The price in digits, or "market"."""
        return "market" if self.price is None else price_text(self.price)


class Top(NamedTuple):
    """The best level of each side at one moment: ``bid``, ``ask``; None for an empty side."""

    bid: PriceLevel | None
    ask: PriceLevel | None

    def __str__(self) -> str:
        return f"{self.bid or '-'} / {self.ask or '-'}"


class Depth(NamedTuple):
    """Levels of both sides at one moment, best first: ``bids``, ``asks``."""

    bids: list[PriceLevel]
    asks: list[PriceLevel]

    @property
    def top(self) -> Top:
        """The best level of each side."""
        return Top(next(iter(self.bids), None), next(iter(self.asks), None))


@dataclass(frozen=True, slots=True)
class RestingOrder:
    """A resting order: decimal price, open quantity in units.

    ``price``: None: a market order in a call.  ``terms``: what it has beside, in an instrument
    with a market.
    """

    order_id: int
    client_order_id: int
    account: int
    side: Side
    price: Decimal | None
    quantity: int
    terms: Terms | None = None


class BookView:
    """The book of one instrument.  Every call reads the current book, at one moment.

    Two calls read two moments; `top` and `depth` read both sides at one.  Made by `Engine.book`:
    ``look`` returns the machine and is called under ``lock``; ``number`` is the instrument's.
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
        """The instrument of the book."""
        with self._lock:
            return self._look().instruments[self._number]

    @property
    def best_bid(self) -> PriceLevel | None:
        """Highest buy level, or None.  For both sides use `top`.  O(log of the price range)."""
        return next(iter(self.bids(1)), None)

    @property
    def best_ask(self) -> PriceLevel | None:
        """Lowest sell level, or None.  For both sides use `top`.  O(log of the price range)."""
        return next(iter(self.asks(1)), None)

    def top(self) -> Top:
        """Best bid and best ask at one moment.  O(log of the price range)."""
        return self._sides(1)[1].top

    def depth(self, levels: int | None = None) -> Depth:
        """The best ``levels`` of both sides at one moment, best first; None: all levels."""
        return self._sides(levels)[1]

    def bids(self, depth: int | None = None) -> list[PriceLevel]:
        """The best ``depth`` buy levels, best first; None: all."""
        return self._sides(depth, [Side.BUY])[1].bids

    def asks(self, depth: int | None = None) -> list[PriceLevel]:
        """The best ``depth`` sell levels, best first; None: all."""
        return self._sides(depth, [Side.SELL])[1].asks

    def levels(self, side: Side, depth: int | None = None) -> NDArray[np.void]:
        """The best ``depth`` levels of ``side`` as a `LEVEL` array, prices in ticks."""
        with self._lock:
            return self._look().levels(self._number, side, depth)

    def orders(self) -> NDArray[np.void]:
        """All resting orders as an `ORDER` array, prices in ticks: buys, then sells, best to
        worst, oldest first."""
        with self._lock:
            return self._look().orders(self._number)

    def order(self, order_id: int) -> RestingOrder | None:
        """The resting order with the id ``order_id``, or None.  O(1)."""
        with self._lock:
            machine = self._look()
            row = machine.order(self._number, order_id)
            more = None if row is None else machine.market_order(self._number, order_id)
            instrument = machine.instruments[self._number]
        if row is None:
            return None
        unpriced = more is not None and at_any(int(row["side"]), int(row["price"]))
        return RestingOrder(
            int(row["order_id"]),
            int(row["client_order_id"]),
            int(row["account"]),
            Side(int(row["side"])),
            None if unpriced else instrument.price(int(row["price"])),
            int(row["quantity"]),
            None if more is None else terms_of(more, instrument),
        )

    def _sides(
        self, depth: int | None, sides: Iterable[Side] = tuple(Side)
    ) -> tuple[Instrument, Depth]:
        """The instrument and levels of these sides, in one read."""
        with self._lock:
            machine = self._look()
            instrument = machine.instruments[self._number]
            rows = {side: machine.levels(self._number, side, depth).tolist() for side in sides}
            extreme = [side for side in sides if rows[side] and at_any(side, rows[side][0][0])]
            unpriced = bool(extreme) and machine.market(self._number) is not None
        times, tick = EXACT.multiply, instrument.tick  # `Instrument.price`, of ticks that are right
        made = {
            side: [PriceLevel(times(tick, ticks), size, orders) for ticks, size, orders in found]
            for side, found in rows.items()
        }
        for side in extreme if unpriced else ():
            made[side][0] = replace(made[side][0], price=None)
        return instrument, Depth(*(made.get(side, []) for side in Side))

    def __repr__(self) -> str:
        instrument, sides = self._sides(1)
        return f"<book of {instrument.symbol}: {sides.top}>"

    def as_plain(self, depth: int | None = None) -> dict[str, Any]:
        """The best ``depth`` levels of both sides as values for JSON, prices as text."""
        instrument, sides = self._sides(depth)
        plain = {
            name: [
                {"price": _plain_price(at), "quantity": at.quantity, "orders": at.orders}
                for at in levels
            ]
            for name, levels in sides._asdict().items()
        }
        return {"symbol": instrument.symbol, **plain}


def _plain_price(level: PriceLevel) -> str | None:
    return None if level.price is None else price_text(level.price)
