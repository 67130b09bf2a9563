"""What sessions are told, in plain Python: the oracle of the compiled `Reports`.

The rules are in docs/gateways/reports.md.  Everything follows from the commands and their events,
so that every gateway says the same under the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...records.events import EventRow, event_rows
from ...records.reports import REPORT, OrderStatus, ReportFlag, ReportKind, report_bytes
from ...records.schema import COMMAND_RECORD, ORDER_KINDS, EventKind, Flag, Kind, Reason

MASK = 2**64 - 1
REFUSALS = {
    Kind.NEW: ReportKind.REJECTED,
    Kind.CANCEL: ReportKind.CANCEL_REJECTED,
    Kind.AMEND: ReportKind.REPLACE_REJECTED,
    Kind.REDUCE: ReportKind.REPLACE_REJECTED,
    Kind.MASS_CANCEL: ReportKind.MASS_CANCEL_REJECTED,
}
Id = tuple[int, int]  # client order id and its tail
Values = dict[str, int]


@dataclass(slots=True)
class Order:
    """An order as its session knows it."""

    instrument: int
    order_id: int
    session: int
    account: int
    name: Id
    side: int
    order_type: int
    time_in_force: int
    flags: int
    price: int
    left: int
    filled: int = 0
    turnover: int = 0
    before: Id = (0, 0)
    status: int = OrderStatus.NEW

    @property
    def quantity(self) -> int:
        return self.filled + self.left


class Reports:
    """Derives the reports of all sessions, from the log's first command on."""

    def __init__(self) -> None:
        self.day = 0
        self.sequence = 0
        self._live: dict[tuple[int, int], Order] = {}
        self._named: dict[tuple[int, Id], Order] = {}
        self._pending: dict[tuple[int, Id], tuple[int, int]] = {}
        self._told: dict[int, list[bytes]] = {}
        self._new: list[bytes] = []

    # ------------------------------------------------------------------ what is asked

    def pend(self, commands: NDArray[np.void]) -> None:
        """Notes NEW commands under way: `find` knows them before the log has them."""
        for command in commands[commands["kind"] == Kind.NEW]:
            name = int(command["client_order_id"]), int(command["client_order_tail"])
            place = int(command["instrument"]), int(command["order_id"])
            self._pending[int(command["account"]), name] = place

    def find(self, account: int, client_order_id: int, tail: int = 0) -> tuple[int, int] | None:
        """Instrument and order id of an order by a name that it has or had; None: unknown."""
        key = account, (client_order_id, tail)
        order = self._named.get(key)
        return (order.instrument, order.order_id) if order else self._pending.get(key)

    def status(self, account: int, client_order_id: int, tail: int = 0) -> NDArray[np.void] | None:
        """What is known of an order: a `REPORT` of length 1 with number 0; None: unknown."""
        order = self._named.get((account, (client_order_id, tail)))
        return None if order is None else _records([report_bytes(self._of(order))])

    def open_orders(self, account: int) -> NDArray[np.void]:
        """The open orders of an account as `REPORT` rows with number 0, oldest first."""
        found = [order for order in self._live.values() if order.account == account]
        return _records([report_bytes(self._of(order)) for order in found])

    def last(self, session: int) -> int:
        """Number of the session's last report of the day; 0: none yet."""
        return len(self._told.get(session, ()))

    def read(self, session: int, first: int, count: int) -> NDArray[np.void]:
        """At most ``count`` reports of a session's day, from number ``first`` on."""
        return _records(self._told.get(session, [])[first - 1 : first - 1 + count])

    # ------------------------------------------------------------------ what is derived

    def apply(self, commands: NDArray[np.void], events: NDArray[np.void]) -> NDArray[np.void]:
        """The reports of ``commands`` and their ``events``, which follow those before."""
        self._new = []
        rows = iter(event_rows(events.tobytes()))
        row = next(rows, None)
        for command in commands:
            assert row is not None
            self.sequence, mine = row.sequence, [row]
            if row.kind == EventKind.REPEATED:
                for _ in range(row.quantity - row.left):
                    next(rows)
                row = next(rows, None)
            else:
                while (row := next(rows, None)) is not None and row.sequence == self.sequence:
                    mine.append(row)
            self._command(command, mine)
        return _records(self._new)

    def _command(self, command: np.void, events: list[EventRow]) -> None:
        kind = int(command["kind"])
        asked = {name: int(command[name]) for name in COMMAND_RECORD.names}
        if kind not in ORDER_KINDS and kind not in (Kind.MASS_CANCEL, Kind.END_DAY):
            return
        if kind == Kind.NEW:
            self._pending.pop((asked["account"], _name(asked)), None)
        for part, event in enumerate(events):
            for values, session in self._event(asked, event):
                self._tell(values, session, asked, part)
        ended = events[-1].kind == EventKind.DAY_ENDED and not asked["instrument"]
        if kind == Kind.END_DAY and ended:
            self.day += 1
            self._told.clear()

    def _event(self, asked: Values, event: EventRow) -> Iterator[tuple[Values, int]]:
        """What an event says, and to whom; the book of orders follows it."""
        session = asked["session"]
        if event.kind == EventKind.ACCEPTED:
            yield self._accepted(asked, event), session
        elif event.kind == EventKind.TRADED:
            yield from self._traded(event)
        elif event.kind == EventKind.AMENDED:
            yield from self._changed(asked, event, ReportKind.REPLACED)
        elif event.kind == EventKind.CANCELLED:
            yield from self._changed(asked, event, ReportKind.CANCELLED)
        elif event.kind == EventKind.REJECTED:
            yield self._refused(asked, event), session
        elif event.kind == EventKind.MASS_CANCELLED:
            yield (
                {
                    **_request(asked),
                    "kind": ReportKind.MASS_CANCELLED,
                    "last_quantity": event.quantity,
                },
                session,
            )
        elif event.kind == EventKind.REPEATED:
            yield (
                {
                    **_request(asked),
                    "kind": ReportKind.REPEATED,
                    "trade_id": event.trade_id,
                    "order_id": asked["order_id"],
                },
                session,
            )

    def _accepted(self, asked: Values, event: EventRow) -> Values:
        order = Order(
            event.instrument, event.order_id, asked["session"], asked["account"], _name(asked),
            event.side, asked["order_type"], asked["time_in_force"],
            ReportFlag.POST_ONLY if asked["flags"] & Flag.POST_ONLY else 0, event.price, event.left,
        )  # fmt: skip
        self._live[order.instrument, order.order_id] = order
        if order.name[0]:
            self._named[order.account, order.name] = order
        return {**self._of(order), "kind": ReportKind.NEW}

    def _traded(self, event: EventRow) -> Iterator[tuple[Values, int]]:
        for order_id, left, flag in (
            (event.order_id, event.left, ReportFlag.MAKER),
            (event.taker_order_id, event.taker_left, 0),
        ):
            order = self._live[event.instrument, order_id]
            order.filled += event.quantity
            order.turnover += event.price * event.quantity
            order.left = left
            order.status = OrderStatus.PARTLY_FILLED if left else OrderStatus.FILLED
            if not left:
                del self._live[event.instrument, order_id]
            said = self._of(order)
            yield (
                {
                    **said,
                    "kind": ReportKind.TRADE,
                    "last_price": event.price,
                    "last_quantity": event.quantity,
                    "trade_id": event.trade_id,
                    "flags": said["flags"] | flag,
                },
                order.session,
            )

    def _changed(
        self, asked: Values, event: EventRow, kind: ReportKind
    ) -> Iterator[tuple[Values, int]]:
        """An order is cancelled or amended: by its session, by another one, or by a rule."""
        order = self._live[event.instrument, event.order_id]
        had = order.quantity
        if kind == ReportKind.REPLACED:
            order.price, order.left = event.price, event.left
        else:
            order.left = 0
            is_over = event.reason == Reason.END_OF_DAY
            order.status = OrderStatus.EXPIRED if is_over else OrderStatus.CANCELLED
            del self._live[event.instrument, event.order_id]
        is_asked = asked["kind"] in (Kind.CANCEL, Kind.AMEND, Kind.REDUCE)
        if is_asked and asked["session"] == order.session and asked["client_order_id"]:
            order.before, order.name = order.name, _name(asked)
            self._named[order.account, order.name] = order
        said = {**self._of(order), "kind": kind, "reason": event.reason}
        if kind == ReportKind.CANCELLED:
            said["quantity"] = had
        own = asked["kind"] == Kind.NEW or (is_asked and asked["session"] == order.session)
        yield (
            {**said, "flags": said["flags"] | (0 if own else ReportFlag.UNSOLICITED)},
            order.session,
        )
        if is_asked and asked["session"] != order.session:
            name, before = _name(asked), order.name
            yield (
                {
                    **said,
                    "client_order_id": name[0],
                    "client_order_tail": name[1],
                    "original_id": before[0],
                    "original_tail": before[1],
                },
                asked["session"],
            )

    def _refused(self, asked: Values, event: EventRow) -> Values:
        said = {
            **_request(asked),
            "kind": REFUSALS.get(Kind(asked["kind"]), ReportKind.REJECTED),
            "order_id": asked["order_id"],
            "reason": event.reason,
            "field": event.field,
            "status": OrderStatus.REJECTED if asked["kind"] == Kind.NEW else OrderStatus.NONE,
        }
        if asked["kind"] == Kind.NEW:
            said |= {
                name: asked[name] for name in ("price", "quantity", "order_type", "time_in_force")
            }
            return said
        order = self._live.get((asked["instrument"], asked["order_id"]))
        if order is not None and order.account == asked["account"]:
            name = _name(asked)
            said = {
                **self._of(order),
                **said,
                "side": order.side,
                "status": order.status,
                "client_order_id": name[0],
                "client_order_tail": name[1],
                "original_id": order.name[0],
                "original_tail": order.name[1],
            }
        return said

    def _tell(self, values: Values, session: int, asked: Values, part: int) -> None:
        if not session:
            return
        told = self._told.setdefault(session, [])
        number = 0 if values["kind"] == ReportKind.REPEATED else len(told) + 1
        record = report_bytes(
            {
                **values,
                "number": number,
                "session": session,
                "sequence": self.sequence,
                "time": asked["time"],
                "part": part,
                "day": self.day,
            }
        )
        if number:
            told.append(record)
        self._new.append(record)

    def _of(self, order: Order) -> Values:
        """What every report of an order says."""
        return {
            "order_id": order.order_id,
            "client_order_id": order.name[0],
            "client_order_tail": order.name[1],
            "original_id": order.before[0],
            "original_tail": order.before[1],
            "account": order.account,
            "price": order.price,
            "quantity": order.quantity,
            "filled": order.filled,
            "left": order.left,
            "turnover": order.turnover & MASK,
            "turnover_high": order.turnover >> 64,
            "instrument": order.instrument,
            "session": order.session,
            "day": self.day,
            "status": order.status,
            "side": order.side,
            "order_type": order.order_type,
            "time_in_force": order.time_in_force,
            "flags": order.flags,
        }


def _name(asked: Values) -> Id:
    return asked["client_order_id"], asked["client_order_tail"]


def _request(asked: Values) -> Values:
    """What a report says that is about a request and no order."""
    return {
        name: asked[name]
        for name in ("client_order_id", "client_order_tail", "account", "instrument", "side")
    }


def _records(rows: list[bytes]) -> NDArray[np.void]:
    return np.frombuffer(b"".join(rows), REPORT)
