"""The rules of docs/commands-and-events.md in plain Python: the oracle of the compiled machine.

Written to be obviously right.  Prices, quantities and ids are Python integers, so nothing can
overflow here.
"""

from __future__ import annotations

from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from ...errors import SnapshotDamaged, UnknownInstrument
from ...records.arguments import INT64_MAX, depth_limit, integer, shown, side_code
from ...records.changes import CHANGE, change_bytes
from ...records.commands import COMMAND, LEVEL, ORDER
from ...records.events import EVENT, event_bytes
from ...records.instruments import Directory
from ...records.limits import LAST
from ...records.register import Register
from ...records.rules import checked_rules, first_rules
from ...records.schema import (
    FOLLOWER_FIELDS,
    KINDS_OF_2,
    KINDS_OF_3,
    LATER_FIELDS,
    ORDER_KINDS,
    OWN_LAYOUT_KINDS,
    PLAIN_TIFS,
    PLAIN_TYPES,
    REPEATABLE_KINDS,
    RESTING_TIFS,
    RESTING_TYPES,
    UNPRICED_TYPES,
    ChangeFlag,
    ChangeKind,
    EventKind,
    Field,
    Flag,
    Kind,
    Reason,
    Side,
    TimeInForce,
)
from ..state import State, reserved
from .book import Book, Order, as_row, other
from .dedup import Window
from .limits import Limits, Place, admit, allow, of_rows, rows_of
from .market.book import MarketBook
from .market.commands import Protection
from .market.states import check_market, restore_markets
from .refusals import Refused, require
from .sweeping import SIDES, Row, Sweeps


class Machine(Sweeps):
    """All instruments: commands in, events out; the interface of the compiled one."""

    def __init__(self, reserve: int = 0, rules: int | None = None) -> None:
        reserved(reserve)  # speed is not its business
        self.sequence, self.next_order_id, self.next_trade_id = 0, 1, 1
        self.rules = first_rules(rules)
        self.instruments = Directory()
        self._register = Register()
        self.register = self._register.view
        self._limits: dict[Place, Limits] = {}
        self._last: list[int | None] = []
        self._protections: dict[Place, Protection] = {}
        self._books: list[Book] = []
        self._window = Window()
        self._events: list[bytes] = []
        self._changes: list[bytes] = []
        self._time = self._now = 0

    # ------------------------------------------------------------------ commands in, events out

    def apply(
        self, commands: NDArray[np.void], out: NDArray[np.void] | None = None, now: int = 0
    ) -> NDArray[np.void]:
        """Applies a 1-D `COMMAND` array; returns its events, an `EVENT` array.

        ``out`` is not used; ``now``: nanoseconds, of commands with time 0.
        """
        if getattr(commands, "dtype", None) != COMMAND:
            raise TypeError("commands: a NumPy array of dtype matchcore.COMMAND")
        if commands.ndim != 1:
            raise ValueError(f"commands: one dimension, not {commands.ndim}")
        self._events, self._changes = [], []
        self._now = integer(now, "now")
        names = COMMAND.names or ()
        for record in commands:
            self.sequence += 1
            row = dict(zip(names, record.tolist(), strict=True))
            self._time = row["time"]
            client = row["client_order_id"] if self._is_repeatable(row["kind"]) else 0
            if client and (again := self._window.again(row, self.sequence)):
                self._events += again
                continue
            start = len(self._events)
            try:
                self._apply(row, record)
            except Refused as refusal:
                self._refuse(row, refusal)
            if client:
                self._window.put(row["account"], client, self.sequence, self._events[start:])
        return np.frombuffer(bytearray().join(self._events), EVENT)

    def replay(self, commands: NDArray[np.void]) -> int:
        """Applies a 1-D `COMMAND` array whose events nobody needs; returns how many there were."""
        return len(self.apply(commands))

    def changes(self, commands: NDArray[np.void]) -> NDArray[np.void]:
        """Applies a 1-D `COMMAND` array; returns the public changes, a `CHANGE` array."""
        self.apply(commands)
        return np.frombuffer(bytearray().join(self._changes), CHANGE)

    def apply_one(self, record: bytes) -> bytes:
        """One command as the bytes of a `COMMAND` row; the bytes of its `EVENT` rows."""
        if not isinstance(record, bytes):
            raise TypeError("record: bytes")
        if len(record) != COMMAND.itemsize:
            raise ValueError(f"record: {COMMAND.itemsize} bytes, not {len(record)}")
        return self.apply(np.frombuffer(record, COMMAND)).tobytes()

    def begin_under(self, version: int) -> None:
        """Takes a version of the rules for the first command; ValueError behind it."""
        if self.sequence:
            raise ValueError(
                f"the rules of a machine at sequence {self.sequence} change with upgrade"
            )
        self.rules = first_rules(version)

    def upgrade(self, version: int) -> NDArray[np.void]:
        """Applies the command UPGRADE_RULES; returns its one event, an `EVENT` array.

        `UnknownRules` for a version that is not known, or not newer: nothing has changed then.
        """
        before, self.rules = self.rules, checked_rules(version, self.rules)
        if before == 1:  # a state of version 1 does not know what was before
            self._last = [None] * len(self._books)
        self.sequence += 1
        self._events = []
        self._say(EventKind.RULES_CHANGED, 0, quantity=self.rules, left=before)
        return np.frombuffer(bytearray().join(self._events), EVENT)

    def _apply(self, row: Row, record: np.void) -> None:
        first = 3 if row["kind"] in KINDS_OF_3 else 2 if row["kind"] in KINDS_OF_2 else 1
        require(self.rules >= first, Reason.UNKNOWN_KIND, Field.KIND)
        if row["kind"] in KINDS_OF_3:
            self._market_command(row, record)
            return
        if row["kind"] in ORDER_KINDS and self.has_market(row["instrument"]):
            self._market_order(row)
            return
        match row["kind"]:
            case Kind.NEW:
                self._new(row)
            case Kind.CANCEL:
                book = self._book(row)
                self._cancel(row["instrument"], self._live(book, row), Reason.REQUESTED)
            case Kind.AMEND:
                self._amend(row)
            case Kind.REDUCE:
                self._reduce(row)
            case Kind.MASS_CANCEL:
                self._sweep(row, EventKind.MASS_CANCELLED, Reason.MASS_CANCEL)
            case Kind.END_DAY:
                self._sweep(row, EventKind.DAY_ENDED, Reason.END_OF_DAY)
            case Kind.ADD_INSTRUMENT | Kind.CHANGE_INSTRUMENT:
                self._define(row["kind"], record)
            case Kind.SET_LIMITS:
                self._set_limits(record)
            case Kind.REGISTER:
                self._enter(record)
            case Kind.NOTICE:
                self._note(record)
            case _:
                raise Refused(Reason.UNKNOWN_KIND, Field.KIND)

    def _is_repeatable(self, kind: int) -> bool:
        """Whether its answers are remembered: not of a kind that these rules do not know."""
        return kind in REPEATABLE_KINDS and (self.rules > 2 or kind not in KINDS_OF_3)

    def _say(
        self, kind: EventKind, instrument: int, order: Order | None = None, /, **more: int
    ) -> None:
        event: dict[str, int] = {"sequence": self.sequence, "kind": kind, "instrument": instrument}
        if order is not None:
            event |= {
                "order_id": order.order_id,
                "client_order_id": order.client_order_id,
                "account": order.account,
                "side": order.side,
                "price": order.price,
            }
        self._events.append(event_bytes(event | more))

    def _change(
        self, kind: ChangeKind, instrument: int, order: Order | None = None, /, **more: int
    ) -> None:
        """A public change; of an order, its level holds already what it does afterwards."""
        change = {"sequence": self.sequence, "time": self._time, "instrument": instrument}
        if order is not None:
            levels = self._books[instrument - 1].sides[order.side]
            level = levels.get(order.price, {}).values()
            change |= {
                "order_id": order.order_id,
                "side": order.side,
                "price": order.price,
                "level_quantity": sum(one.left for one in level),
                "level_orders": len(level),
            }
        self._changes.append(change_bytes(change | {"kind": kind} | more))

    def _put(self, instrument: int, order: Order, flags: int = 0) -> None:
        self._books[instrument - 1].put(order)
        self._change(
            ChangeKind.ADDED, instrument, order, quantity=order.left, left=order.left, flags=flags
        )

    def _remove(self, instrument: int, order: Order, flags: int = 0) -> None:
        self._books[instrument - 1].remove(order)
        self._change(ChangeKind.DELETED, instrument, order, quantity=order.left, flags=flags)

    def _refuse(self, row: Row, refusal: Refused) -> None:
        more: dict[str, int] = {"reason": refusal.reason, "field": refusal.field}
        if row["kind"] not in OWN_LAYOUT_KINDS or refusal.reason == Reason.UNKNOWN_KIND:
            echoed = ("order_id", "client_order_id", "account", "side", "price", "quantity")
            more |= {name: row[name] for name in echoed}
        self._say(EventKind.REJECTED, row["instrument"], **more)

    # ------------------------------------------------------------------ orders

    def _new(self, row: Row) -> None:
        book, instrument = self._book(row), row["instrument"]
        kind, tif = row["order_type"], row["time_in_force"]
        market = kind in UNPRICED_TYPES
        resting = kind in RESTING_TYPES and tif in RESTING_TIFS
        limits = self._limits_of(row["account"], instrument)
        admit(list(limits.values()), row["time"] or self._now)
        require(row["side"] in SIDES, Reason.BAD_SIDE, Field.SIDE)
        require(kind in PLAIN_TYPES, Reason.BAD_ORDER_TYPE, Field.ORDER_TYPE)
        require(tif in PLAIN_TIFS, Reason.BAD_TIME_IN_FORCE, Field.TIME_IN_FORCE)
        fine = row["flags"] == 0 or (row["flags"] == Flag.POST_ONLY and resting)
        require(fine, Reason.BAD_FLAGS, Field.FLAGS)
        self._check_later_fields(row)
        require(not market or row["price"] == 0, Reason.PRICE_NOT_ALLOWED, Field.PRICE)
        self._check_quantity(row)
        require(row["order_id"] not in book.live, Reason.DUPLICATE_ORDER, Field.ORDER_ID)
        price = None if market else row["price"]
        if resting:
            most = self.instruments[instrument].max_orders
            require(len(book.live) < most, Reason.TOO_MANY_ORDERS, Field.MAX_ORDERS)
            crossing = row["flags"] == Flag.POST_ONLY and book.crosses(row["side"], price)
            require(not crossing, Reason.WOULD_TRADE, Field.PRICE)
            total = book.total(row["side"], row["price"]) + row["quantity"]
            require(total <= INT64_MAX, Reason.LEVEL_OVERFLOW, Field.QUANTITY)
        opened = [self._open(*place) for place in limits] if resting else []
        allow([*limits.values()], self._last[instrument - 1], price, row["quantity"], opened)

        order = Order(
            row["order_id"] or self._assign_id(book), row["client_order_id"], row["account"],
            row["side"], row["price"], row["quantity"], tif, row["flags"],
        )  # fmt: skip
        self._say(EventKind.ACCEPTED, instrument, order, quantity=order.left, left=order.left)
        if tif == TimeInForce.FOK and not book.can_fill(order.side, price, order.left):
            self._say_cancelled(instrument, order, Reason.FILL_OR_KILL)
            return
        self._take(book, instrument, order, price)
        if order.left and resting:
            self._put(instrument, order)
        elif order.left:
            reason = Reason.MARKET_REMAINDER if market else Reason.IMMEDIATE_OR_CANCEL
            self._say_cancelled(instrument, order, reason)

    def _assign_id(self, book: Book) -> int:
        while self.next_order_id in book.live:
            self.next_order_id += 1
        self.next_order_id += 1
        return self.next_order_id - 1

    def _take(self, book: Book, instrument: int, taker: Order, limit: int | None) -> None:
        """Trades while the best price of the other side is within the limit: oldest first."""
        while taker.left and book.crosses(taker.side, limit):
            best = book.best(other(taker.side))
            maker: Order = next(iter(book.sides[other(taker.side)][best].values()))
            quantity = min(maker.left, taker.left)
            maker.left -= quantity
            taker.left -= quantity
            self._say(
                EventKind.TRADED, instrument, maker,
                quantity=quantity, left=maker.left, trade_id=self.next_trade_id,
                taker_order_id=taker.order_id, taker_account=taker.account, taker_left=taker.left,
            )  # fmt: skip
            if not maker.left:
                book.remove(maker)
            self._change(
                ChangeKind.EXECUTED, instrument, maker, quantity=quantity, left=maker.left,
                taker_order_id=taker.order_id, trade_id=self.next_trade_id,
            )  # fmt: skip
            self.next_trade_id += 1
            self._last[instrument - 1] = maker.price

    def _limits_of(self, account: int, instrument: int) -> dict[Place, Limits]:
        """Those that an order of an account is under: of all instruments, then of its own."""
        places = (account, 0), (account, instrument)
        return {place: self._limits[place] for place in places if place in self._limits}

    def _open(self, account: int, instrument: int) -> int:
        """How many orders of an account rest, in one book or in all."""
        books = [self._books[instrument - 1]] if instrument else self._books
        return sum(order.account == account for book in books for order in book.live.values())

    def _amend(self, row: Row) -> None:
        book, instrument = self._book(row), row["instrument"]
        keeps = (0, int(Flag.KEEP_PRICE), int(Flag.KEEP_QUANTITY))
        require(row["flags"] in keeps, Reason.BAD_FLAGS, Field.FLAGS)
        self._check_later_fields(row)
        if row["flags"] != Flag.KEEP_QUANTITY:
            self._check_quantity(row)
        order = self._live(book, row)
        limits = list(self._limits_of(order.account, instrument).values())
        admit(limits, row["time"] or self._now)
        price = order.price if row["flags"] == Flag.KEEP_PRICE else row["price"]
        quantity = order.left if row["flags"] == Flag.KEEP_QUANTITY else row["quantity"]
        moves = price != order.price
        if moves and order.flags == Flag.POST_ONLY:
            require(not book.crosses(order.side, price), Reason.WOULD_TRADE, Field.PRICE)
        total = book.total(order.side, price) - (0 if moves else order.left) + quantity
        require(total <= INT64_MAX, Reason.LEVEL_OVERFLOW, Field.QUANTITY)

        keeps_place = not moves and quantity <= order.left
        if not keeps_place:
            allow(limits, self._last[instrument - 1], price, quantity, [])
        less = order.left - quantity
        if not keeps_place:
            self._remove(instrument, order, ChangeFlag.REPLACING)
        order.price, order.left = price, quantity
        self._say(EventKind.AMENDED, instrument, order, quantity=quantity, left=quantity)
        if not keeps_place:
            self._take(book, instrument, order, price)
            if order.left:
                self._put(instrument, order, ChangeFlag.REPLACING)
        elif less:
            self._change(ChangeKind.REDUCED, instrument, order, quantity=less, left=quantity)

    def _reduce(self, row: Row) -> None:
        book, instrument = self._book(row), row["instrument"]
        require(row["quantity"] > 0, Reason.QUANTITY_NOT_POSITIVE, Field.QUANTITY)
        order = self._live(book, row)
        if row["quantity"] >= order.left:
            self._cancel(instrument, order, Reason.REDUCED_TO_NOTHING)
            return
        lot = self.instruments[instrument].lot
        require(row["quantity"] % lot == 0, Reason.OFF_LOT, Field.QUANTITY)
        order.left -= row["quantity"]
        self._say(EventKind.AMENDED, instrument, order, quantity=order.left, left=order.left)
        taken = {"quantity": row["quantity"], "left": order.left}
        self._change(ChangeKind.REDUCED, instrument, order, **taken)

    def _cancel(self, instrument: int, order: Order, reason: Reason) -> None:
        self._remove(instrument, order)
        self._say_cancelled(instrument, order, reason)

    def _say_cancelled(self, instrument: int, order: Order, reason: Reason) -> None:
        self._say(EventKind.CANCELLED, instrument, order, quantity=order.left, reason=reason)

    # ------------------------------------------------------------------ checks

    def _book(self, row: Row) -> Book:
        known = 1 <= row["instrument"] <= len(self._books)
        require(known, Reason.UNKNOWN_INSTRUMENT, Field.INSTRUMENT)
        return self._books[row["instrument"] - 1]

    def _live(self, book: Book, row: Row) -> Order:
        require(row["order_id"] in book.live, Reason.UNKNOWN_ORDER, Field.ORDER_ID)
        order = book.live[row["order_id"]]
        require(row["account"] in (0, order.account), Reason.NOT_OWNER, Field.ACCOUNT)
        return order

    def _check_later_fields(self, row: Row) -> None:
        fields = LATER_FIELDS | FOLLOWER_FIELDS if self.rules == 1 else LATER_FIELDS
        for name, field in fields.items():
            require(row[name] == 0, Reason.UNSUPPORTED, field)

    def _check_quantity(self, row: Row) -> None:
        limits, quantity = self.instruments[row["instrument"]], row["quantity"]
        require(quantity > 0, Reason.QUANTITY_NOT_POSITIVE, Field.QUANTITY)
        require(quantity <= limits.max_quantity, Reason.QUANTITY_TOO_LARGE, Field.QUANTITY)
        require(quantity % limits.lot == 0, Reason.OFF_LOT, Field.QUANTITY)

    # ------------------------------------------------------------------ looking

    def _known(self, number: SupportsIndex) -> Book:
        at = integer(number, "instrument number", None, None)
        if not 1 <= at <= len(self._books):
            raise UnknownInstrument(f"unknown instrument number {shown(at)}")
        return self._books[at - 1]

    def orders(self, number: SupportsIndex) -> NDArray[np.void]:
        """Resting orders as an `ORDER` array: buys, then sells, best to worst, oldest first."""
        return np.array([as_row(order) for order in self._known(number).orders()], ORDER)

    def levels(self, number: int, side: int, depth: int | None = None) -> NDArray[np.void]:
        """Up to `depth` price levels (all: None) of a side as a `LEVEL` array, best first."""
        book, side = self._known(number), side_code(side)
        if isinstance(book, MarketBook):
            shown = [(price, *book.level(side, price)) for price in book.prices(side)]
            return np.array([row for row in shown if row[2]][: depth_limit(depth)], LEVEL)
        prices = book.prices(side)[: depth_limit(depth)]
        rows = [(price, book.total(side, price), len(book.sides[side][price])) for price in prices]
        return np.array(rows, LEVEL)

    def order(self, number: SupportsIndex, order_id: SupportsIndex) -> Any:
        """The live order of this id as an `ORDER` row, or None."""
        order = self._known(number).live.get(integer(order_id, "order_id", None, None))
        return None if order is None else np.array([as_row(order)], ORDER)[0]

    def state(self) -> State:
        """Everything, as a `State` of fresh arrays."""
        books = [self.orders(number) for number in range(1, len(self._books) + 1)]
        counters = self.sequence, self.next_order_id, self.next_trade_id
        answers, told = self._window.arrays()
        former = self.instruments.former(told)
        return State(
            *counters, list(self.instruments), books, answers, told, former, self.rules,
            self._register.rows(), self._last_rows(), self.limits(), *self.market_rows(),
        )  # fmt: skip

    def _last_rows(self) -> NDArray[np.void]:
        known = self._last if self.rules > 1 else []
        return np.array([(price or 0, price is not None) for price in known], LAST)

    def limits(self) -> NDArray[np.void]:
        """The limits of accounts, an `ACCOUNT_LIMITS` array by account and instrument."""
        return rows_of(self._limits)

    @classmethod
    def from_state(cls, state: State, reserve: int = 0) -> Machine:
        """A machine in this state; `SnapshotDamaged` when it breaks a rule of the book."""
        state.check()
        machine = cls(reserve, state.rules)
        machine.sequence = state.sequence
        machine.next_order_id, machine.next_trade_id = state.next_order_id, state.next_trade_id
        markets = {int(row["instrument"]) for row in state.markets}
        for instrument, orders in zip(state.instruments, state.orders, strict=True):
            machine._add(instrument)
            if len(machine._books) in markets:
                continue
            for identity, client, account, price, left, side, tif, flags, _ in orders.tolist():
                order = Order(identity, client, account, side, price, left, tif, flags)
                if identity in machine._books[-1].live or side not in (Side.BUY, Side.SELL):
                    raise SnapshotDamaged(f"{instrument.symbol}: order {identity} cannot be there")
                machine._books[-1].put(order)
            if machine.orders(len(machine._books)).tobytes() != orders.tobytes():
                raise SnapshotDamaged(f"{instrument.symbol}: orders that are not sorted")
        machine.instruments.restore(state.former)
        machine._register.restore(state.register)
        machine._limits = of_rows(state.limits)
        if state.rules > 1:
            machine._last = [price if traded else None for price, traded in state.last.tolist()]
        restore_markets(machine, state)
        machine._window = Window.of_arrays(state.answers, state.answer_events)
        try:
            machine._check()
        except AssertionError as error:
            raise SnapshotDamaged(str(error)) from None
        return machine

    def digest(self) -> str:
        """SHA-256 of the whole state, the same for every implementation."""
        return self.state().digest()

    def _check(self) -> None:
        """Asserts every invariant of every book."""
        for number, book in enumerate(self._books, 1):
            if isinstance(book, MarketBook):
                check_market(number, book)
                continue
            where = f"instrument {number}"
            bid = book.best(Side.BUY)
            assert bid is None or not book.crosses(Side.BUY, bid), f"{where}: crossed at {bid}"
            queued = list(book.orders())
            assert {id(o) for o in queued} == {id(o) for o in book.live.values()}, f"{where}: ids"
            assert len(queued) == len(book.live), f"{where}: an order twice"
            for side, levels in book.sides.items():
                for price, level in levels.items():
                    total = book.total(side, price)
                    assert level and 0 < total <= INT64_MAX, f"{where}: level {price} of {total}"
                    for key, order in level.items():
                        assert (key, order.side, order.price) == (order.order_id, side, price), (
                            where
                        )
                        assert order.left > 0 and key > 0, f"{where}: order {key} of {order.left}"
                        assert order.time_in_force in RESTING_TIFS, where
                        assert order.flags in (0, Flag.POST_ONLY), f"{where}: order {key} flags"
        assert len(self.instruments) == len(self._books), "a book for each instrument"
        self._window.check(self.sequence, any(self._market_numbers()))
