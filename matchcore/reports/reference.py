"""What docs/orders.md says about reports, in plain Python: the oracle of the compiled `Reports`.

Written to be obviously right: an order is an object, a table is a dict, and nothing is fast.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ReportsError
from ..records.commands import COMMAND
from ..records.events import EVENT
from ..records.markets import ANY_BUY, ANY_SELL
from ..records.reports import REPORT, report_bytes
from ..records.schema import (
    EXPIRY_REASONS,
    NAMING_KINDS,
    OPEN_STATUSES,
    ORDER_KINDS,
    EventKind,
    Flag,
    Kind,
    OrderStatus,
    OrderType,
    Reason,
    ReportFlag,
    ReportKind,
    TimeInForce,
)
from .limits import PENDING_MAX, REMEMBERED, TRADES_MAX, remembered_limit

Row = dict[str, int]
Name = tuple[int, int, int]  # account, client order id, tail
#: Kind of a refused command -> what its session is told; nothing for the others.
REFUSALS = {
    Kind.NEW: ReportKind.REJECTED,
    Kind.CANCEL: ReportKind.CANCEL_REJECTED,
    Kind.AMEND: ReportKind.REPLACE_REJECTED,
    Kind.REDUCE: ReportKind.REPLACE_REJECTED,
    Kind.MASS_CANCEL: ReportKind.MASS_CANCEL_REJECTED,
    Kind.QUOTE: ReportKind.QUOTE_REJECTED,
}
#: Events of one order that its session did not ask for -> what it is told.
FOLLOWING: dict[int, ReportKind] = {
    EventKind.TRIGGERED: ReportKind.TRIGGERED,
    EventKind.REPRICED: ReportKind.REPRICED,
    EventKind.DECREMENTED: ReportKind.DECREMENTED,
}
#: Events that end a request of many orders -> what its session is told.
SUMMARIES: dict[int, ReportKind] = {
    EventKind.MASS_CANCELLED: ReportKind.MASS_CANCELLED,
    EventKind.QUOTE_SET: ReportKind.QUOTE_SET,
}
CARRIED = (
    "order_id", "account", "price", "instrument", "side", "order_type", "time_in_force",
)  # fmt: skip
#: Kind of a command -> the reasons for which it cancels the order that it names.
ASKED: dict[int, tuple[Reason, ...]] = {
    Kind.CANCEL: (Reason.REQUESTED,),
    Kind.REDUCE: (Reason.REDUCED_TO_NOTHING,),
    Kind.AMEND: (Reason.AMENDED_TO_FILLED,),
}
#: What every order of a quote is, whatever its command says.
QUOTED = {"order_type": OrderType.LIMIT, "time_in_force": TimeInForce.DAY}


@dataclass(eq=False)
class Order:
    """An order as its reports tell it; ``left`` of one that is done: what was taken off it."""

    values: Row  # the fields of `CARRIED`
    session: int
    name: Name
    flags: int
    left: int
    filled: int = 0
    turnover: int = 0
    status: OrderStatus = OrderStatus.NEW
    sequence: int = 0
    time: int = 0
    reason: int = 0
    field: int = 0
    entry: Entry | None = None
    entered: int = 0
    forgotten: bool = False

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES

    def row(self) -> Row:
        return self.values | {
            "quantity": wrapped(self.filled + self.left),
            "filled": wrapped(self.filled),
            "left": self.left if self.is_open else 0,
            "turnover": self.turnover & (2**64 - 1),
            "turnover_high": wrapped(self.turnover >> 64),
            "status": self.status,
            "flags": self.flags,
        }


@dataclass(eq=False)
class Entry:
    """A name of an order in the index, until it is forgotten or another order takes the name."""

    name: Name
    order: Order


@dataclass(eq=False)
class Trade:
    """A trade that may still be busted: maker, then taker."""

    trade_id: int
    orders: tuple[Order, Order]
    price: int
    quantity: int
    flags: int
    busted: bool = False


def wrapped(value: int) -> int:
    """As a signed 64-bit integer, which sums beyond it run over."""
    return (value + 2**63) % 2**64 - 2**63


def rows_of(array: NDArray[np.void]) -> list[Row]:
    names = array.dtype.names or ()
    return [dict(zip(names, row, strict=True)) for row in array.tolist()]


class Reports:
    """The interface of the compiled one."""

    def __init__(self, *, remembered: int = REMEMBERED) -> None:
        self.sequence, self.day = 0, 0
        self._remembered = remembered_limit(remembered)
        self._trades_kept = min(self._remembered, TRADES_MAX)
        self._orders: dict[tuple[int, int], Order] = {}  # instrument and order id -> the newest
        self._names: dict[Name, Entry] = {}
        self._open: OrderedDict[int, Order] = OrderedDict()  # by `id`, in the order of entry
        self._ring: deque[Order | Entry] = deque()  # what is forgotten next comes first
        self._pending: dict[Name, tuple[int, int, int]] = {}  # id, instrument, how many-th
        self._pended = 0
        self._trades: dict[int, Trade] = {}  # the newest, by where a ring has them
        self._last: dict[int, int] = {}
        self._out: list[bytes] = []

    # ------------------------------------------------------------------ commands and events in

    def apply(self, commands: NDArray[np.void], events: NDArray[np.void]) -> NDArray[np.void]:
        if commands.dtype != COMMAND or events.dtype != EVENT:
            raise TypeError("commands and events: arrays of matchcore.COMMAND and matchcore.EVENT")
        self._out = []
        said = deque(rows_of(events))
        for command in rows_of(commands):
            if said and not self.sequence:
                self.sequence = said[0]["sequence"] - 1  # begins with the first that it is given
            if not said or said[0]["sequence"] != self.sequence + 1:
                raise ReportsError(f"sequence {self.sequence + 1}: its events do not follow")
            self.sequence += 1
            mine = []
            while said and said[0]["sequence"] <= self.sequence:
                mine.append(said.popleft())
            self._command(command, mine)
        if said:
            raise ReportsError(f"events after those of sequence {self.sequence}")
        return np.frombuffer(bytearray().join(self._out), REPORT)

    def _command(self, command: Row, events: list[Row]) -> None:
        self._done_waiting(command)
        moved = None  # the order that came to others last
        for part, event in enumerate(events):
            head = {"sequence": self.sequence, "time": command["time"], "part": part}
            head["day"] = self.day
            kind = event["kind"]
            match kind:
                case EventKind.ACCEPTED:
                    moved = self._accepted(command, event, head)
                case EventKind.AMENDED:
                    moved = self._amended(command, event, head)
                case EventKind.TRIGGERED | EventKind.REPRICED:
                    moved = self._followed(event, head)
                case EventKind.DECREMENTED:
                    self._followed(event, head | {"last_quantity": event["quantity"]})
                case EventKind.TRADED:
                    self._traded(moved, event, head)
                case EventKind.CANCELLED:
                    self._cancelled(command, event, head)
                case EventKind.BUSTED:
                    self._busted(event, head)
                case EventKind.REJECTED:
                    self._refused(command, event, head)
                case EventKind.MASS_CANCELLED | EventKind.QUOTE_SET:
                    more = {name: event[name] for name in ("instrument", "account", "side")}
                    more["last_quantity"] = event["quantity"]
                    more["left"] = event["left"]
                    self._answer(SUMMARIES[kind], command, head | more)
                case EventKind.DAY_ENDED if event["instrument"] == 0:
                    self.day += 1
                    self._last = {}
                case EventKind.REPEATED:
                    self._repeated(command, event, head)
                    return

    def _accepted(self, command: Row, event: Row, head: Row) -> Order:
        order = self._enter(command, event["order_id"], event["quantity"])
        order.values["side"] = event["side"]
        if command["kind"] == Kind.QUOTE:
            order.values |= QUOTED
        order.values["price"] = shown_price(order, event["price"])
        self._orders[order.values["instrument"], order.values["order_id"]] = order
        self._open[id(order)] = order
        self._name(order)
        self._of_order(ReportKind.NEW, order, order.session, head)
        return order

    def _amended(self, command: Row, event: Row, head: Row) -> Order:
        order = self._known(event)
        order.values["price"], order.left = shown_price(order, event["price"]), event["left"]
        self._asked(ReportKind.REPLACED, order, command, head)
        return order

    def _followed(self, event: Row, head: Row) -> Order:
        """What happened to an order without a request of its session."""
        order = self._known(event)
        order.values["price"], order.left = shown_price(order, event["price"]), event["left"]
        self._of_order(FOLLOWING[event["kind"]], order, order.session, head)
        return order

    def _traded(self, moved: Order | None, event: Row, head: Row) -> None:
        maker = self._known(event)
        taker = self._known(event | {"order_id": event["taker_order_id"]})
        flags = 0 if taker is moved else ReportFlag.AUCTION
        for order, flag in ((maker, ReportFlag.MAKER), (taker, 0)):
            order.filled += event["quantity"]
            order.left -= event["quantity"]
            order.turnover += event["price"] * event["quantity"]
            order.status = OrderStatus.PARTLY_FILLED if order.left else OrderStatus.FILLED
            last = {
                "last_price": event["price"],
                "last_quantity": event["quantity"],
                "trade_id": event["trade_id"],
            }
            self._of_order(ReportKind.TRADE, order, order.session, head | last, flags | flag)
            if not order.left:
                self._done(order)
        trade = Trade(event["trade_id"], (maker, taker), event["price"], event["quantity"], flags)
        self._trades[trade.trade_id % self._trades_kept] = trade

    def _busted(self, event: Row, head: Row) -> None:
        """The trade counts no more for its orders, as far as they are known."""
        trade = self._trades.get(event["trade_id"] % self._trades_kept)
        if trade is None or trade.trade_id != event["trade_id"] or trade.busted:
            return
        if trade.orders[0].values["instrument"] != event["instrument"]:
            return
        trade.busted = True
        last = {
            "last_price": trade.price,
            "last_quantity": trade.quantity,
            "trade_id": trade.trade_id,
        }
        for order, flag in zip(trade.orders, (ReportFlag.MAKER, 0), strict=True):
            if order.forgotten:
                continue
            order.filled -= trade.quantity
            order.turnover -= trade.price * trade.quantity
            if not order.filled and order.is_open:
                order.status = OrderStatus.NEW
            elif not order.filled and order.status == OrderStatus.FILLED:
                order.status = OrderStatus.CANCELLED
            flags = trade.flags | flag | ReportFlag.UNSOLICITED
            self._of_order(ReportKind.BUSTED, order, order.session, head | last, flags)

    def _cancelled(self, command: Row, event: Row, head: Row) -> None:
        order = self._known(event)
        ended = event["reason"] in EXPIRY_REASONS
        order.status = OrderStatus.EXPIRED if ended else OrderStatus.CANCELLED
        order.reason = head["reason"] = event["reason"]
        if event["reason"] in ASKED.get(command["kind"], ()):
            self._asked(ReportKind.CANCELLED, order, command, head)
        else:
            own = order.entered == self.sequence
            flag = 0 if own else ReportFlag.UNSOLICITED
            self._of_order(ReportKind.CANCELLED, order, order.session, head, flag)
        self._done(order)

    def _refused(self, command: Row, event: Row, head: Row) -> None:
        kind = REFUSALS.get(Kind(command["kind"])) if command["kind"] in set(Kind) else None
        if kind is None:
            return
        head |= {"reason": event["reason"], "field": event["field"]}
        named = {name: command[name] for name in ("order_id", "instrument", "account", "side")}
        row = named
        if command["kind"] == Kind.NEW:
            order = self._enter(command, command["order_id"], command["quantity"])
            order.status = OrderStatus.REJECTED
            order.reason, order.field = event["reason"], event["field"]
            row = order.row()
            if command["client_order_id"] and order.name not in self._names:
                order.sequence, order.time = head["sequence"], head["time"]
                self._name(order)
                self._done(order)
        elif command["kind"] in ORDER_KINDS:
            found = self._orders.get((command["instrument"], command["order_id"]))
            if found and command["account"] in (0, found.values["account"]):
                row = found.row() | original(found.name)
        self._answer(kind, command, row | head)

    def _repeated(self, command: Row, event: Row, head: Row) -> None:
        names = ("order_id", "instrument", "account", "side")
        row = {name: command[name] for name in names}
        row["trade_id"] = event["trade_id"]
        self._answer(ReportKind.REPEATED, command, row | head, numbered=False)

    # ------------------------------------------------------------------ reports out

    def _asked(self, kind: ReportKind, order: Order, command: Row, head: Row) -> None:
        """To the order's session, and to the one that asked if it is another."""
        before = order.name
        if command["client_order_id"] and name_of(command) != before:
            self._renamed(order, command)
        answer = head | original(before)
        if command["client_order_id"]:
            answer |= answered(command)
        if command["session"] == order.session:
            self._of_order(kind, order, order.session, answer)
        else:
            self._of_order(kind, order, order.session, head, ReportFlag.UNSOLICITED)
            self._of_order(kind, order, command["session"], answer, ReportFlag.COPY)

    def _renamed(self, order: Order, command: Row) -> None:
        """A request of its account gives an order a name; its present one only of its session."""
        name = name_of(command)
        if name[0] != order.name[0]:
            return
        if command["session"] != order.session:
            self._names[name] = Entry(name, order)
            self._remember(self._names[name])
            return
        if order.entry:
            self._remember(order.entry)
        order.name = name
        self._name(order)

    def _of_order(
        self, kind: ReportKind, order: Order, session: int, more: Row, flag: int = 0
    ) -> None:
        order.sequence, order.time = more["sequence"], more["time"]
        _, client, tail = order.name
        row = order.row() | {"client_order_id": client, "client_order_tail": tail} | more
        self._say(kind, session, row | {"flags": row["flags"] | flag})

    def _answer(self, kind: ReportKind, command: Row, row: Row, *, numbered: bool = True) -> None:
        self._say(kind, command["session"], row | answered(command), numbered=numbered)

    def _say(self, kind: ReportKind, session: int, row: Row, *, numbered: bool = True) -> None:
        number = 0
        if numbered:
            number = self._last[session] = self._last.get(session, 0) + 1
        self._out.append(report_bytes(row | {"kind": kind, "session": session, "number": number}))

    # ------------------------------------------------------------------ what is known

    def _enter(self, command: Row, order_id: int, quantity: int) -> Order:
        values = {name: command[name] for name in CARRIED} | {"order_id": order_id}
        post = ReportFlag.POST_ONLY if command["flags"] & Flag.POST_ONLY else 0
        return Order(
            values, command["session"], name_of(command), post, quantity, entered=self.sequence
        )

    def _known(self, event: Row) -> Order:
        order = self._orders.get((event["instrument"], event["order_id"]))
        if order is None or not order.is_open:
            raise ReportsError(
                f"sequence {self.sequence}: order {event['order_id']} of instrument"
                f" {event['instrument']} is not known; reports need the log from its beginning"
            )
        return order

    def _name(self, order: Order) -> None:
        order.entry = None
        if order.name[1]:
            order.entry = self._names[order.name] = Entry(order.name, order)

    def _done(self, order: Order) -> None:
        self._open.pop(id(order), None)
        self._remember(order)

    def _remember(self, what: Order | Entry) -> None:
        if len(self._ring) == self._remembered:
            self._forget(self._ring.popleft())
        self._ring.append(what)

    def _forget(self, what: Order | Entry) -> None:
        entry = what if isinstance(what, Entry) else what.entry
        if entry and self._names.get(entry.name) is entry:
            del self._names[entry.name]
        if isinstance(what, Order):
            what.forgotten = True
            key = what.values["instrument"], what.values["order_id"]
            if self._orders.get(key) is what:
                del self._orders[key]

    # ------------------------------------------------------------------ looking

    def pend(self, commands: NDArray[np.void]) -> None:
        for command in rows_of(commands):
            named = command["client_order_id"] and command["order_id"]
            if command["kind"] in NAMING_KINDS and named:
                self._pended += 1
                waiting = command["order_id"], command["instrument"], self._pended
                self._pending[name_of(command)] = waiting

    def _done_waiting(self, command: Row) -> None:
        if command["kind"] in NAMING_KINDS:
            self._pending.pop(name_of(command), None)

    def find(self, account: int, client_order_id: int, tail: int = 0) -> tuple[int, int] | None:
        name = account, client_order_id, tail
        order_id, instrument, count = self._pending.get(name, (0, 0, 0))
        if count > max(0, self._pended - PENDING_MAX):
            return instrument, order_id
        entry = self._names.get(name)
        if entry is None:
            return None
        return entry.order.values["instrument"], entry.order.values["order_id"]

    def status(self, account: int, client_order_id: int, tail: int = 0) -> NDArray[np.void] | None:
        entry = self._names.get((account, client_order_id, tail))
        return None if entry is None else self._state(entry.order)

    def order(self, instrument: int, order_id: int) -> NDArray[np.void] | None:
        order = self._orders.get((instrument, order_id))
        return None if order is None else self._state(order)

    def open_orders(self, account: int) -> NDArray[np.void]:
        rows = [self._state(one) for one in self._open.values() if one.values["account"] == account]
        return np.concatenate([np.empty(0, REPORT), *rows])

    def last(self, session: int) -> int:
        return self._last.get(session, 0)

    def _state(self, order: Order) -> NDArray[np.void]:
        _, client, tail = order.name
        row = order.row() | {"client_order_id": client, "client_order_tail": tail}
        row |= {name: getattr(order, name) for name in ("session", "sequence", "time")}
        row |= {"reason": order.reason, "field": order.field, "day": self.day}
        return np.frombuffer(bytearray(report_bytes(row)), REPORT)


def name_of(command: Row) -> Name:
    return command["account"], command["client_order_id"], command["client_order_tail"]


def answered(command: Row) -> Row:
    return {name: command[name] for name in ("client_order_id", "client_order_tail")}


def shown_price(order: Order, price: int) -> int:
    """A price; 0 in place of those that stand for any in a call."""
    at_any = order.values["order_type"] == OrderType.MARKET and price in (ANY_BUY, ANY_SELL)
    return 0 if at_any else price


def original(name: Name) -> Row:
    return {"original_id": name[1], "original_tail": name[2]}
