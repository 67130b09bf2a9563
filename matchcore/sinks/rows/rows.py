"""From commands and events to rows: what a batch does to each table, computed with NumPy.

The net effect comes first: an order that comes and goes within a batch is one row of `orders`,
and no other.  What rests from earlier batches is kept here (`OpenOrders`), as the database has
it; that takes about 350 bytes for each order in the books, as many as the machine holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import SinkError
from ...records.arguments import INT64_MAX
from ...records.commands import INSTRUMENT, among, joined
from ...records.events import fresh
from ...records.schema import (
    BOOK_EVENTS,
    INSTRUMENT_EVENTS,
    MOVING_EVENTS,
    OPENING_EVENTS,
    EventKind,
    Flag,
    Kind,
    OrderType,
    TimeInForce,
)
from .bars import Bars, wide_sum
from .markets import (
    busts,
    indicatives,
    market_parameters,
    new_terms,
    phase_changes,
    shown_prices,
    terms,
)
from .tables import CANCELLED, CROSSED, FILLED, MAKER, NOBODY, OPEN, TABLES, TAKER
from .taking import taken

Array = NDArray[np.void]
_ORDER = TABLES["orders"].dtype
_ONE_ORDER = BOOK_EVENTS - {EventKind.TRADED}
_REPRICING = OPENING_EVENTS - {EventKind.ACCEPTED, EventKind.DECREMENTED}
#: Reads rows of a table: all of them, or those whose column has one of some values.
Reader = Callable[[str, str, Sequence[int]], Array]


class Rows(NamedTuple):
    """What a batch does: by table, the `seq`s whose rows go, and then the rows that come."""

    gone: dict[str, NDArray[np.int64]]
    new: dict[str, Array]


class OpenOrders:
    """The rows of `open_orders`, found by instrument and order id."""

    def __init__(self, rows: Array) -> None:
        self._rows = rows.copy()
        self._free: list[int] = []
        keys = zip(rows["instrument"].tolist(), rows["order_id"].tolist(), strict=True)
        self._slots = {key: at for at, key in enumerate(keys)}
        self._quotes: dict[int, set[tuple[int, int]]] = {}  # `seq` -> orders of a quote
        self._note_quotes(rows)

    def _note_quotes(self, rows: Array) -> None:
        for row in rows[(rows["flags"] & Flag.QUOTED) != 0]:
            key = int(row["instrument"]), int(row["order_id"])
            self._quotes.setdefault(int(row["seq"]), set()).add(key)

    def siblings(self, rows: Array) -> Array:
        """The other orders of their quotes: rows go by `seq`, so that those come again."""
        quoted = rows[(rows["flags"] & Flag.QUOTED) != 0]
        own = set(zip(quoted["instrument"].tolist(), quoted["order_id"].tolist(), strict=True))
        others = {key for seq in set(quoted["seq"].tolist()) for key in self._quotes[seq]} - own
        return self.find([number for number, _ in others], [order for _, order in others])

    def __len__(self) -> int:
        return len(self._slots)

    def rows(self) -> Array:
        """All of them, in no order."""
        return taken(self._rows, np.array(list(self._slots.values()), np.intp))

    def find(self, instruments: list[int], ids: list[int]) -> Array:
        """Their rows; `SinkError` for one that is not there."""
        try:
            slots = [self._slots[key] for key in zip(instruments, ids, strict=True)]
        except KeyError as error:
            number, order = error.args[0]
            raise SinkError(
                f"open_orders has no order {order} of instrument {number}: the database does"
                " not match the log; rebuild it"
            ) from None
        return taken(self._rows, np.array(slots, np.intp))

    def remove(self, rows: Array) -> None:
        keys = zip(rows["instrument"].tolist(), rows["order_id"].tolist(), strict=True)
        self._free += map(self._slots.pop, keys)
        for row in rows[(rows["flags"] & Flag.QUOTED) != 0]:
            quote = self._quotes[int(row["seq"])]
            quote.remove((int(row["instrument"]), int(row["order_id"])))
            if not quote:
                del self._quotes[int(row["seq"])]

    def put(self, rows: Array) -> None:
        """New ones; their ids are free."""
        missing = len(rows) - len(self._free)
        if missing > 0:
            known = len(self._rows)
            grown = np.zeros(max(known + missing, known * 3 // 2), _ORDER)
            grown[:known] = self._rows
            self._rows = grown
            self._free += range(known, len(grown))
        slots = [self._free.pop() for _ in range(len(rows))]
        self._rows[slots] = rows
        keys = zip(rows["instrument"].tolist(), rows["order_id"].tolist(), strict=True)
        self._slots.update(zip(keys, slots, strict=True))
        self._note_quotes(rows)


class RowMaker:
    """Makes the rows of one shard, batch by batch, beginning where a database stands.

    `make` changes nothing here; `accept` takes over what it made, once the database has it.
    """

    def __init__(self, shard: int, read: Reader) -> None:
        self._shard = shard
        self.open_orders = OpenOrders(read("open_orders", "", ()))
        self._bars = Bars(shard, read)
        known = read("instruments", "", ())
        self._since = np.zeros(int(known["number"].max(initial=0)) + 1, np.int64)
        np.maximum.at(self._since, known["number"], known["seq"])
        self._then: Callable[[], None] = lambda: None

    def accept(self) -> None:
        self._then()
        self._then = lambda: None

    def make(self, first: int, commands: Array, events: Array) -> Rows:
        """The rows of commands from sequence `first` on, and of their events.

        Raises `SinkError` for a sequence or trade id beyond 63 bits, which no column takes.
        """
        events = fresh(events)
        if first + len(commands) - 1 > INT64_MAX or (events["trade_id"] > INT64_MAX).any():
            raise SinkError(f"sequences or trade ids from sequence {first} on exceed 63 bits")
        batch = _Batch(self._shard, first, commands, events, self._since)
        lives = _Lives(batch, self.open_orders)
        trades, executions = _trades(batch, lives)
        bars, replaced = self._bars.make(trades)
        rests = lives.rows["status"] == OPEN
        resting = _by_seq(lives.rows, rests)
        coming = joined([resting, self.open_orders.siblings(lives.known)])
        new = {
            "instruments": batch.instruments,
            "open_orders": _by_seq(coming, np.ones(len(coming), np.bool_)),
            "orders": _by_seq(lives.rows, ~rests),
            "trades": trades,
            "executions": executions,
            "phases": batch.phases(),
            "market_parameters": market_parameters(batch),
            "phase_changes": phase_changes(batch),
            "indicatives": indicatives(batch),
            "busts": busts(batch),
            "daily_bars": bars,
        }
        gone = {"open_orders": np.unique(lives.known["seq"]), "daily_bars": replaced}

        def then() -> None:
            self._since = batch.since
            self.open_orders.remove(lives.known)
            self.open_orders.put(resting)
            self._bars.accept(bars)

        self._then = then
        return Rows(gone, {name: rows for name, rows in new.items() if len(rows)})


class _Batch:
    """Columns of a batch's events that several tables need."""

    def __init__(
        self, shard: int, first: int, commands: Array, events: Array, since: NDArray[np.int64]
    ) -> None:
        self.shard, self.commands, self.events = shard, commands, events
        self.kind = events["kind"]
        self.seq = events["sequence"].astype(np.int64)
        self.at = self.seq - first
        self.time = commands["time"][self.at]
        self.instruments = np.zeros(0, TABLES["instruments"].dtype)
        self.since, self.version = self._versions(since)

    def crossed(self, trades: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which trades are of auctions: no event of the command has moved their taker before."""
        events, places = self.events, np.arange(len(self.events))
        movers = np.maximum.accumulate(np.where(among(self.kind, MOVING_EVENTS), places, 0))
        by, taking = movers[trades], np.ones(len(trades), np.bool_)
        for name, of in (("sequence", "sequence"), ("instrument", "instrument"),
                         ("order_id", "taker_order_id")):  # fmt: skip
            taking &= events[name][by] == events[of][trades]
        return ~taking

    def _versions(self, since: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The newest version of each instrument behind the batch, and that of each event."""
        number = self.events["instrument"]
        defined = np.flatnonzero(among(self.kind, INSTRUMENT_EVENTS))
        most = max(len(since), int(number[defined].max(initial=0)) + 1)
        after = np.zeros(most, np.int64)
        after[: len(since)] = since
        within = np.where(number < most, number, 0)
        version = after[within]
        if len(defined):
            self.instruments = self._defined(defined)
            for at in defined.tolist():
                after[number[at]] = self.seq[at]
                version[at:][number[at:] == number[at]] = self.seq[at]
        return after, version

    def _defined(self, defined: NDArray[np.intp]) -> Array:
        given = np.ascontiguousarray(self.commands[self.at[defined]]).view(INSTRUMENT)
        rows = np.zeros(len(defined), TABLES["instruments"].dtype)
        rows["shard"], rows["seq"] = self.shard, self.seq[defined]
        rows["number"] = self.events["instrument"][defined]
        for name in ("symbol", "tick_mantissa", "tick_exponent", "lot", "max_quantity",
                     "max_orders"):  # fmt: skip
            rows[name] = given[name]
        _fewest_decimals(rows)
        rows["time_ns"] = self.time[defined]
        return rows

    def phases(self) -> Array:
        ended = np.flatnonzero(self.kind == EventKind.DAY_ENDED)
        rows = np.zeros(len(ended), TABLES["phases"].dtype)
        rows["shard"], rows["seq"], rows["time_ns"] = self.shard, self.seq[ended], self.time[ended]
        rows["kind"] = self.kind[ended]
        rows["instrument"] = self.events["instrument"][ended]
        rows["orders"] = self.events["quantity"][ended]
        return rows


class _Lives:
    """The orders that a batch touches, each as a row in the state that it has behind it.

    Events name orders by ids, which are used again: a *life* is what one id meant from an
    ACCEPTED, or from before the batch, up to the next ACCEPTED of that id.
    """

    def __init__(self, batch: _Batch, open_orders: OpenOrders) -> None:
        events, kind = batch.events, batch.kind
        one = np.flatnonzero(among(kind, _ONE_ORDER))
        self.traded = np.flatnonzero(kind == EventKind.TRADED)
        at = np.concatenate([one, self.traded, self.traded])  # events, those of trades twice
        plain = at[: len(one) + len(self.traded)]
        ids = np.concatenate([events["order_id"][plain], events["taker_order_id"][self.traded]])
        left = np.concatenate([events["left"][plain], events["taker_left"][self.traded]])
        number = events["instrument"][at]
        queue = np.lexsort((at, ids, number))
        at, ids, left, number = at[queue], ids[queue], left[queue], number[queue]
        begins = kind[at] == EventKind.ACCEPTED
        born_at = begins.copy()
        begins[:1] = True
        begins[1:] |= (ids[1:] != ids[:-1]) | (number[1:] != number[:-1])
        starts, life = np.flatnonzero(begins), np.cumsum(begins) - 1
        ends = np.append(starts[1:], len(at))[: len(starts)] - 1
        born = born_at[starts]

        old = starts[~born]
        self.known = open_orders.find(number[old].tolist(), ids[old].tolist())
        places = np.empty(len(starts), np.intp)
        places[born] = np.arange(len(starts) - len(old))
        places[~born] = np.arange(len(starts) - len(old), len(starts))
        new = _accepted(batch, at[starts[born]])
        self.rows = taken(joined([new, self.known]), places)
        _bring_up(self.rows, batch, at, left[ends], starts, ends, life)
        self.of = np.empty(len(at), np.intp)  # reference -> life, in the order they came
        self.of[queue] = life
        self.of = self.of[len(one) :]


def _accepted(batch: _Batch, at: NDArray[np.intp]) -> Array:
    """Orders as these ACCEPTED events tell them."""
    events, given = taken(batch.events, at), taken(batch.commands, batch.at[at])
    rows = np.zeros(len(at), _ORDER)
    rows["shard"], rows["seq"] = batch.shard, batch.seq[at]
    rows["instrument_seq"] = batch.version[at]
    for name in ("instrument", "order_id", "client_order_id", "account", "side", "quantity"):
        rows[name] = events[name]
    for name in ("order_type", "time_in_force", "flags"):
        rows[name] = given[name]
    quoted = given["kind"] == Kind.QUOTE
    rows["order_type"][quoted], rows["time_in_force"][quoted] = OrderType.LIMIT, TimeInForce.DAY
    rows["flags"][quoted] = Flag.QUOTED
    terms(rows, given)
    rows["price_ticks"] = events["price"]
    rows["accepted_ns"] = batch.time[at]
    return rows


def _bring_up(
    rows: Array,
    batch: _Batch,
    at: NDArray[np.intp],
    left: NDArray[np.int64],
    starts: NDArray[np.intp],
    ends: NDArray[np.intp],
    life: NDArray[np.intp],
) -> None:
    """Takes each life from where it stood to its last event in the batch."""
    if not len(rows):
        return
    kind, last = batch.kind[at], at[ends]
    rows["open_quantity"] = left
    rows["changed_ns"], rows["changed_seq"] = batch.time[last], batch.seq[last]
    fills = np.where(kind == EventKind.TRADED, batch.events["quantity"][at], 0)
    rows["filled"], rows["filled_wraps"] = wide_sum(
        fills, starts, rows["filled"], rows["filled_wraps"]
    )
    moved = np.flatnonzero(among(kind, _REPRICING))  # in order: the last one counts
    rows["price_ticks"][life[moved]] = batch.events["price"][at[moved]]
    rows["price_ticks"] = shown_prices(rows["order_type"], rows["price_ticks"])
    triggered = np.flatnonzero(kind == EventKind.TRIGGERED)
    rows["triggered_seq"][life[triggered]] = batch.seq[at[triggered]]
    amended = np.flatnonzero(kind == EventKind.AMENDED)
    new_terms(rows, life[amended], taken(batch.commands, batch.at[at[amended]]))
    cancelled = batch.kind[last] == EventKind.CANCELLED
    rows["status"] = np.where(left != 0, OPEN, np.where(cancelled, CANCELLED, FILLED))
    rows["reason"] = np.where(cancelled, batch.events["reason"][last], 0)


def _trades(batch: _Batch, lives: _Lives) -> tuple[Array, Array]:
    """Rows of `trades`, and of `executions`, of which each has two."""
    at = lives.traded
    events, count = taken(batch.events, at), len(at)
    made = np.zeros(count, TABLES["trades"].dtype)
    made["shard"], made["seq"] = batch.shard, batch.seq[at]
    made["n"] = np.arange(count) - np.searchsorted(made["seq"], made["seq"])
    made["instrument_seq"], made["time_ns"] = batch.version[at], batch.time[at]
    crossed = batch.crossed(at)
    made["price_ticks"] = events["price"]
    made["aggressor"] = np.where(crossed, NOBODY, 3 - events["side"])
    for name in ("trade_id", "instrument", "quantity", "taker_order_id", "taker_account"):
        made[name] = events[name]
    made["maker_order_id"], made["maker_account"] = events["order_id"], events["account"]
    seqs, clients = lives.rows["seq"][lives.of], lives.rows["client_order_id"][lives.of]
    made["maker_seq"], made["taker_seq"] = seqs[:count], seqs[count:]

    both = np.zeros((count, 2), TABLES["executions"].dtype)
    for name in ("shard", "seq", "trade_id", "instrument", "instrument_seq", "price_ticks",
                 "quantity", "time_ns"):  # fmt: skip
        both[name] = made[name][:, np.newaxis]
    for role, prefix in enumerate(("maker", "taker")):
        one = both[:, role]
        one["n"] = 2 * made["n"] + role
        one["liquidity"] = np.where(crossed, CROSSED, (MAKER, TAKER)[role])
        one["account"], one["order_id"] = made[f"{prefix}_account"], made[f"{prefix}_order_id"]
        one["order_seq"] = made[f"{prefix}_seq"]
        one["client_order_id"] = clients[role * count : (role + 1) * count]
        one["side"] = 3 - events["side"] if role else events["side"]
        one["open_quantity"] = events["taker_left" if role else "left"]
    return made, both.reshape(-1)


def _fewest_decimals(rows: Array) -> None:
    """Ticks in the form that the exchange keeps them in."""
    while True:
        shorter = (rows["tick_exponent"] < 0) & (rows["tick_mantissa"] % 10 == 0)
        if not shorter.any():
            return
        rows["tick_mantissa"][shorter] //= 10
        rows["tick_exponent"][shorter] += 1


def _by_seq(rows: Array, wanted: NDArray[np.bool_]) -> Array:
    """Those that are wanted, in the order in which a table is to grow."""
    at = np.flatnonzero(wanted)
    return taken(rows, at[np.argsort(rows["seq"][at])])
