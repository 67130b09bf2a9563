"""`OrderBook` in plain Python: the machine with one instrument, and what only a book has."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...errors import OrderRejected
from ...records.arguments import INT64_MAX
from ...records.commands import COMMAND, ORDER
from ...records.events import EVENT
from ...records.instruments import ORDERS_MAX, Instrument
from ...records.limits import LAST
from ...records.rules import first_rules
from ...records.schema import EventKind, Field, Flag, Kind, OrderType, Reason, Side
from ..book_state import BookState
from ..state import State
from .book import as_row
from .dedup import Window
from .machine import Machine
from .refusals import Refused, require

Level = tuple[int, int]  # side, price
FillRow = tuple[int, int, int]
LevelRow = tuple[int, int, int, int]


class Apart(Machine):
    """A machine whose books never match."""

    matching = False


class OrderBook:
    """The interface of the compiled one, for arguments that fit their fields."""

    def __init__(
        self, *, matching: bool = True, lot: int = 1, max_quantity: int = INT64_MAX,
        max_orders: int = ORDERS_MAX,
    ) -> None:  # fmt: skip
        empty = np.empty(0, ORDER)
        self._set(BookState(matching, lot, max_quantity, max_orders, 0, 1, 1, empty))

    def _set(self, state: BookState) -> None:
        limits = Instrument("BOOK", 1, state.lot, state.max_quantity, state.max_orders)
        kind = Machine if state.matching else Apart
        counters = state.sequence, state.next_order_id, state.next_trade_id
        self._machine = kind.from_state(
            State(
                *counters, [limits], [state.orders], rules=first_rules(None), last=np.zeros(1, LAST)
            )
        )
        self._book, self._limits = self._machine._books[0], limits
        self.events = np.empty(0, EVENT)
        self.changed_levels: list[LevelRow] = []

    # ------------------------------------------------------------------ calls

    def add(
        self, order_id: int, side: int, price: int | None, quantity: int, time_in_force: int = 1,
        *, post_only: bool = False, account: int = 0, client_order_id: int = 0,
    ) -> int:  # fmt: skip
        self._send(
            kind=Kind.NEW, order_id=order_id, side=side, price=price or 0, quantity=quantity,
            order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
            time_in_force=time_in_force, flags=Flag.POST_ONLY if post_only else 0,
            account=account, client_order_id=client_order_id,
        )  # fmt: skip
        return self._traded()

    def cancel(self, order_id: int) -> int:
        try:
            self._send(kind=Kind.CANCEL, order_id=order_id)
        except OrderRejected:
            self.events = self.events[:0]
            return 0
        return int(self.events["quantity"][0])

    def amend(self, order_id: int, quantity: int | None = None, price: int | None = None) -> int:
        keeps = Flag.KEEP_QUANTITY if quantity is None else 0
        keeps |= Flag.KEEP_PRICE if price is None else 0
        self._send(
            kind=Kind.AMEND, order_id=order_id, quantity=quantity or 0, price=price or 0,
            flags=keeps,
        )  # fmt: skip
        return self._traded()

    def reduce(self, order_id: int, quantity: int) -> int:
        self._send(kind=Kind.REDUCE, order_id=order_id, quantity=quantity)
        return int(self.events["left"][0])

    def execute(self, order_id: int, quantity: int, price: int | None = None) -> int:
        self._call(order_id, lambda: self._take(order_id, quantity, price))
        return int(self.events["left"][0])

    def _send(self, **fields: int) -> None:
        row = np.zeros(1, COMMAND)
        for name, value in {"instrument": 1, **fields}.items():
            row[name] = value
        self._call(fields["order_id"], lambda: self._machine.apply(row))
        self._machine._window = Window()  # a book remembers nothing

    def _call(self, order_id: int, act: Callable[[], NDArray[np.void]]) -> None:
        """One call: its events, and the levels that differ after it."""
        before, order = self._levels(), self._book.live.get(order_id)
        left = [] if order is None else [(order.side, order.price)]
        self.events = act()
        self.changed_levels = self._changes(before, left)
        first = self.events[0]
        if first["kind"] == EventKind.REJECTED:
            raise OrderRejected(Reason(first["reason"]), Field(first["field"]))

    def _take(self, order_id: int, quantity: int, price: int | None) -> NDArray[np.void]:
        """A trade of one resting order with nobody."""
        machine, book = self._machine, self._book
        row = dict.fromkeys(COMMAND.names or (), 0)
        row |= {"order_id": order_id, "quantity": quantity, "price": price or 0, "instrument": 1}
        machine.sequence += 1
        machine._events = []
        try:
            require(quantity > 0, Reason.QUANTITY_NOT_POSITIVE, Field.QUANTITY)
            order = machine._live(book, row)
            require(quantity <= order.left, Reason.QUANTITY_TOO_LARGE, Field.QUANTITY)
            whole = quantity == order.left or quantity % self._limits.lot == 0
            require(whole, Reason.OFF_LOT, Field.QUANTITY)
        except Refused as refusal:
            machine._refuse(row, refusal)
        else:
            order.left -= quantity
            machine._say(
                EventKind.TRADED, 1, order, quantity=quantity, left=order.left,
                price=order.price if price is None else price, trade_id=machine.next_trade_id,
            )  # fmt: skip
            machine.next_trade_id += 1
            if not order.left:
                book.remove(order)
        return np.frombuffer(b"".join(machine._events), EVENT)

    def _traded(self) -> int:
        return sum(quantity for _, _, quantity in self.fills)

    # ------------------------------------------------------------------ what has changed

    @property
    def fills(self) -> list[FillRow]:
        trades = self.events[self.events["kind"] == EventKind.TRADED]
        return [tuple(row) for row in trades[["order_id", "price", "quantity"]].tolist()]

    def _levels(self) -> dict[Level, tuple[int, int]]:
        """Side and price -> quantity and number of orders, best first."""
        book = self._book
        return {
            (int(side), price): (book.total(side, price), len(book.sides[side][price]))
            for side in (Side.BUY, Side.SELL)
            for price in book.prices(side)
        }

    def _changes(self, before: dict[Level, tuple[int, int]], left: list[Level]) -> list[LevelRow]:
        """Levels that differ: of the other side, best first, then left, then what is new."""
        after = self._levels()
        side = left[0][0] if left else self.events["side"][0]
        traded = [level for level in before if level[0] != side]
        own = left + [level for level in (*before, *after) if level[0] == side]
        changed = [one for one in dict.fromkeys(traded + own) if before.get(one) != after.get(one)]
        return [(*level, *after.get(level, (0, 0))) for level in changed]

    # ------------------------------------------------------------------ looking

    def orders(self) -> NDArray[np.void]:
        return self._machine.orders(1)

    def orders_at(self, side: int, price: int) -> NDArray[np.void]:
        queue = self._book.sides[side].get(price, {})
        return np.array([as_row(order) for order in queue.values()], ORDER)

    def ahead(self, order_id: int) -> tuple[int, int] | None:
        order = self._book.live.get(order_id)
        if order is None:
            return None
        queue = list(self._book.sides[order.side][order.price].values())
        before = queue[: queue.index(order)]
        return len(before), sum(one.left for one in before)

    # ------------------------------------------------------------------ the whole book

    def to_bytes(self) -> bytes:
        machine, limits = self._machine, self._limits
        return BookState(
            int(self._book.matching), limits.lot, limits.max_quantity, limits.max_orders,
            machine.sequence, machine.next_order_id, machine.next_trade_id, self.orders(),
        ).to_bytes()  # fmt: skip

    @classmethod
    def from_bytes(cls, data: bytes) -> OrderBook:
        book = cls()
        book._set(BookState.from_bytes(data))
        return book

    def digest(self) -> str:
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def _check(self) -> None:
        self._machine._check()
