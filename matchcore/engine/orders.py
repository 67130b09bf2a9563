"""Orders by the id that their client gave them: where they stand, and what they traded.

Derived from the log when somebody asks, and kept up to date by following it: an engine that is not
asked does nothing for it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidCommand, LogError, NotInTheLog
from ..journal import first_sequence
from ..records.arguments import UINT64_MAX, integer
from ..records.commands import joined
from ..records.ids import id_of, text_of
from ..records.instruments import EXACT, Directory
from ..records.schema import (
    OPEN_STATUSES,
    UNPRICED_TYPES,
    Field,
    OrderStatus,
    Reason,
    ReportFlag,
    ReportKind,
    Side,
    TimeInForce,
)
from .recovery import apply, recorded
from .streaming import Events, Followed
from .terms import Terms, terms_of

if TYPE_CHECKING:
    from ..reports._reports import Derivation
    from ..reports._spool import Spool
    from .engine import Engine

WAIT_SECONDS = 1.0  # for more of the log, before looking whether it has ended
FILLS_MAX = 10_000
BUNDLE_PARTS = 4096
AVERAGE = Context(prec=28)  # whatever the program's own is
Name = int | str  # of an order: the number or the text that its client gave it
_TIMES = {int(tif): tif for tif in TimeInForce}
_SIDES = {int(side): side for side in Side}


@dataclass(frozen=True, slots=True)
class OrderState:
    """An order as it stands.

    - ``client_order_id``: the text of its client order id (`matchcore.records.ids`); that of the
      last amend or cancel of its session, if that had one.
    - ``price``: its limit; None: a MARKET order.
    - ``status``: NEW, PARTLY_FILLED, FILLED, CANCELLED, REJECTED, or EXPIRED at the end of its day.
    - ``quantity``: in units, of the whole order: ``filled`` and ``left``, or what it had before it
      was cancelled. ``average_price``: of its fills; None without any.
    - ``reason``, ``field``: why it was cancelled or refused.
    - ``session``: that entered it; 0: none. ``sequence``, ``time``: of the command that changed it
      last, nanoseconds since 1970 UTC.
    - ``terms``: what it has beside, while it is live in an instrument with a market.
    """

    symbol: str
    order_id: int
    client_order_id: str
    account: int
    session: int
    side: Side | None
    price: Decimal | None
    time_in_force: TimeInForce | None
    post_only: bool
    status: OrderStatus
    quantity: int
    filled: int
    left: int
    average_price: Decimal | None
    reason: Reason
    field: Field
    sequence: int
    time: int
    terms: Terms | None = None

    @property
    def is_open(self) -> bool:
        """True while it may trade."""
        return self.status in OPEN_STATUSES


@dataclass(frozen=True, slots=True)
class Fill:
    """One side of a trade, as the account of the order sees it.

    ``number``: the trade id, which counts over the whole exchange. ``price``: of the trade;
    ``left``: what is open of the order then, in units. ``is_maker``: the order rested. ``time``: of
    the command that traded, nanoseconds since 1970 UTC.
    """

    number: int
    symbol: str
    order_id: int
    client_order_id: str
    side: Side
    price: Decimal
    quantity: int
    left: int
    is_maker: bool
    sequence: int
    time: int


class Named(Followed):
    """Reads of an engine by account and client order id.

    The first of them reads the whole log, O(log); each later one what has come since.  They show
    what is durable, like the other reads, and must not be called in a callback of the engine.  From
    then on the engine keeps about 300 bytes for each open order and each of the last 1,048,576
    finished ones, and 168 bytes for each fill and side in a temporary file.

    `LogError` for an engine in memory that has no log; `NotInTheLog` if the beginning of the log
    was archived; what reading a log raises.
    """

    _index: _Index | None = None
    _index_lock = threading.Lock()

    def order(self, account: int, client_order_id: Name) -> OrderState | None:
        """The newest order of an account with a client order id, or None.

        - ``account``: the owner.
        - ``client_order_id``: a number, or a text as `matchcore.records.ids` has it. Also one that
          the order had before an amend, and that of an amend or a cancel of it.

        None too for an order that ended 1,048,576 others ago.  O(1) and what has come since.

        >>> from matchcore import Engine, Instrument, MemoryLog, NewOrder, Side
        >>> engine = Engine.memory(instruments=[Instrument("ANA", "0.05")], log=MemoryLog())
        >>> order = NewOrder("ANA", Side.BUY, 10, "95.70", account=7, client_order_id=1001)
        >>> answer = engine.submit(order)
        >>> state = engine.order(7, 1001)
        >>> state.status.name, state.left, state.order_id == answer.order_id
        ('NEW', 10, True)
        """
        name = named(account, client_order_id)
        with self._indexed() as index:
            found = index.derived.status(*name)
            directory = index.directory
        return None if found is None else self._with_terms(state_of(found[0], directory))

    def open_orders(self, account: int) -> list[OrderState]:
        """The open orders of an account, in the order in which they were entered."""
        owner = integer(account, "account", 0, UINT64_MAX)
        with self._indexed() as index:
            found, directory = index.derived.open_orders(owner), index.directory
        return [self._with_terms(state_of(row, directory)) for row in found]

    def fills(self, account: int, *, after: int = 0, limit: int = FILLS_MAX) -> list[Fill]:
        """The fills of an account, oldest first.

        - ``after``: those with a larger number: that of the last fill that the caller has.
        - ``limit``: at most so many, and one more if the account has both sides of the last trade.

        O(limit + log of the account's fills).
        """
        owner = integer(account, "account", 0, UINT64_MAX)
        first = integer(after, "after", 0, UINT64_MAX)
        most = integer(limit, "limit", 1)
        with self._indexed() as index:
            found, directory = index.fills_after(owner, first, most), index.directory
        return [fill_of(row, directory) for row in found]

    def _with_terms(self: Any, state: OrderState) -> OrderState:
        """The same with what the machine knows of it now."""
        if not state.is_open:
            return state
        with self._lock:
            machine = self._seen()
            row = machine.market_order(machine.instruments.number(state.symbol), state.order_id)
            instrument = machine.instruments[state.symbol]
        return state if row is None else replace(state, terms=terms_of(row, instrument))

    def _order_named(self, account: int, client_order_id: Name) -> tuple[str, int]:
        """Symbol and order id; `InvalidCommand` if the account has no such order."""
        name = named(account, client_order_id)
        with self._indexed() as index:
            found = index.derived.find(*name)
            directory = index.directory
        if found is None:
            raise InvalidCommand(
                f"original_client_order_id {client_order_id!r}: account {account} has no order of"
                " that name; nothing was sent"
            )
        return directory[found[0]].symbol, found[1]

    @contextmanager
    def _indexed(self: Any) -> Iterator[_Index]:
        """The index, held at what is durable now."""
        sequence, directory = self.sequence, self.instruments
        with self._index_lock:
            if self._index is None:
                self._index = _Index(self)
            index: _Index = self._index
        with index.lock:
            index.come_to(sequence)
            index.directory = directory
            yield index


class _Index:
    """What the log has told of orders, up to a sequence; for who has its ``lock``."""

    def __init__(self, engine: Engine) -> None:
        from ..reports._reports import Derivation  # only for those who ask
        from ..reports.stored import temporary

        self.derived: Derivation = Derivation()
        self.directory = Directory()
        self.lock = threading.Lock()
        if engine.log is None and engine.place is None:
            raise LogError(
                "an engine in memory without a log does not know its orders by name: give it one"
                " with Engine.memory(log=MemoryLog())"
            )
        self._parts = _past(engine) if engine.log is None else _present(engine.events())
        self._fills: Spool = temporary()

    def come_to(self, sequence: int) -> None:
        """Follows the log to a sequence that is durable."""
        while self.derived.sequence < sequence:
            part = next(self._parts, None)
            if part is None:
                raise LogError(
                    f"the log can be followed to sequence {self.derived.sequence} only: open the"
                    " exchange again"
                )
            self._take(*part)

    def _take(self, commands: NDArray[np.void], events: NDArray[np.void]) -> None:
        told = self.derived.apply(commands, events)
        fills = told[told["kind"] == ReportKind.TRADE]
        self._fills.append(fills, fills["account"])

    def fills_after(self, account: int, number: int, most: int) -> NDArray[np.void]:
        """`REPORT` rows of trades; both sides of one trade are never taken apart."""
        low, high = 0, self._fills.count_of(account)
        while low < high:  # the first with a larger number lies behind `low` and not behind `high`
            middle = (low + high) // 2
            if self._fills.read(account, middle + 1, 1)["trade_id"][0] <= number:
                low = middle + 1
            else:
                high = middle
        found = self._fills.read(account, low + 1, most + 1)
        if len(found) <= most or found["trade_id"][most] == found["trade_id"][most - 1]:
            return found
        return found[:most]


Part = tuple[NDArray[np.void], NDArray[np.void]]


def _present(events: Events) -> Iterator[Part]:
    """The log of an engine until it is closed, many small parts at once."""
    while True:
        part = events.read(WAIT_SECONDS)
        if part is None:
            if events.ended:
                return
            continue
        parts = [part]
        while len(parts) < BUNDLE_PARTS and (part := events.read(0)) is not None:
            parts.append(part)
        yield joined([part.commands for part in parts]), joined([part.events for part in parts])


def _past(engine: Engine) -> Iterator[Part]:
    """The log of an engine of `Engine.at`, as far as it shows it."""
    assert engine.place is not None
    first, machine = first_sequence(engine.place), type(engine._machine)()
    if first > 1:
        raise NotInTheLog(
            f"{engine.place}: the log begins with sequence {first}: restore the archived segments"
            " to look orders up"
        )
    for frame in recorded(engine.place, engine._keys)(0):
        events = apply(machine, frame, upto=engine.sequence)
        yield frame.commands[: machine.sequence + 1 - frame.first_sequence], events


def named(account: int, client_order_id: Name) -> tuple[int, int, int]:
    """Account, client order id and tail; `InvalidCommand` or InvalidArgument for others."""
    owner = integer(account, "account", 0, UINT64_MAX)
    if isinstance(client_order_id, str):
        return owner, *id_of(client_order_id)
    return owner, integer(client_order_id, "client_order_id", 1, UINT64_MAX), 0


def state_of(row: np.void, directory: Directory) -> OrderState:
    """The typed form of a state: a `REPORT` row of `Derivation.status`."""
    values = dict(zip(row.dtype.names or (), row.item(), strict=True))
    instruments = directory.in_order(values["sequence"])
    known = 1 <= values["instrument"] <= len(instruments)  # a refused order may name any
    instrument = instruments[values["instrument"] - 1] if known else None
    turnover = values["turnover_high"] * 2**64 + values["turnover"]
    priced = instrument is not None and values["order_type"] not in UNPRICED_TYPES
    average = None
    if values["filled"] and instrument is not None:
        average = AVERAGE.divide(EXACT.multiply(instrument.tick, turnover), values["filled"])
    return OrderState(
        instrument.symbol if instrument else "",
        values["order_id"],
        text_of(values["client_order_id"], values["client_order_tail"]),
        values["account"],
        values["session"],
        _SIDES.get(values["side"]),
        instrument.price(values["price"]) if instrument and priced else None,
        _TIMES.get(values["time_in_force"]),
        bool(values["flags"] & ReportFlag.POST_ONLY),
        OrderStatus(values["status"]),
        values["quantity"],
        values["filled"],
        values["left"],
        average,
        Reason(values["reason"]),
        Field(values["field"]),
        values["sequence"],
        values["time"],
    )


def fill_of(row: np.void, directory: Directory) -> Fill:
    """The typed form of a `REPORT` row of a trade."""
    values = dict(zip(row.dtype.names or (), row.item(), strict=True))
    instrument = directory.in_order(values["sequence"])[values["instrument"] - 1]
    return Fill(
        values["trade_id"],
        instrument.symbol,
        values["order_id"],
        text_of(values["client_order_id"], values["client_order_tail"]),
        Side(values["side"]),
        instrument.price(values["last_price"]),
        values["last_quantity"],
        values["left"],
        bool(values["flags"] & ReportFlag.MAKER),
        values["sequence"],
        values["time"],
    )
