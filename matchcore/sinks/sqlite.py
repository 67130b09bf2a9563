"""SQLite through the standard library: orders, trades and instruments, equal to the log.

One batch is one transaction: its rows and the position, so that each row is there once, whatever
dies when.  Write-ahead mode with full sync: readers are not blocked, and a commit is durable.
Unsigned 64-bit values are stored as SQLite's signed ones with the same bits; the views
`orders_view` and `trades_view` show them unsigned (``printf('%u', …)``).  What an order has
filled has no limit, since it can be amended up again and again: beyond 63 bits it is its digits
as text.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..commands import INSTRUMENT
from ..errors import SinkError
from ..events import EventKind, fresh
from ..instruments import INT64_MAX, Instrument, price_text, read_instrument
from ..journal import Position

SCHEMA = 1
OPEN, FILLED, CANCELLED = "open", "filled", "cancelled"
PRICES_CACHED_MAX = 100_000

_TABLES = {"position", "instruments", "orders", "trades"}
_NAMES = _TABLES | {
    "orders_open", "orders_account", "trades_instrument", "orders_view", "trades_view"
}  # fmt: skip
_DDL = """
CREATE TABLE position (one INTEGER PRIMARY KEY CHECK (one = 1), exchange BLOB NOT NULL,
    schema INTEGER NOT NULL, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL);
CREATE TABLE instruments (number INTEGER PRIMARY KEY, symbol TEXT NOT NULL UNIQUE,
    tick TEXT NOT NULL, lot INTEGER NOT NULL, max_quantity INTEGER NOT NULL,
    max_orders INTEGER NOT NULL);
CREATE TABLE orders (sequence INTEGER PRIMARY KEY, instrument INTEGER NOT NULL,
    order_id INTEGER NOT NULL, client_order_id INTEGER NOT NULL, account INTEGER NOT NULL,
    side INTEGER NOT NULL, order_type INTEGER NOT NULL, time_in_force INTEGER NOT NULL,
    price_ticks INTEGER NOT NULL, price TEXT NOT NULL, quantity INTEGER NOT NULL,
    filled NOT NULL, left INTEGER NOT NULL, status TEXT NOT NULL,
    accepted_ns INTEGER NOT NULL, changed_ns INTEGER NOT NULL);
CREATE UNIQUE INDEX orders_open ON orders (instrument, order_id) WHERE status = 'open';
CREATE INDEX orders_account ON orders (account, sequence);
CREATE TABLE trades (trade_id INTEGER PRIMARY KEY, sequence INTEGER NOT NULL,
    instrument INTEGER NOT NULL, price_ticks INTEGER NOT NULL, price TEXT NOT NULL,
    quantity INTEGER NOT NULL, aggressor INTEGER NOT NULL, maker_order_id INTEGER NOT NULL,
    maker_account INTEGER NOT NULL, taker_order_id INTEGER NOT NULL,
    taker_account INTEGER NOT NULL, time_ns INTEGER NOT NULL);
CREATE INDEX trades_instrument ON trades (instrument, trade_id);
CREATE VIEW orders_view AS SELECT o.sequence, i.symbol, printf('%u', order_id) AS order_id,
    printf('%u', client_order_id) AS client_order_id, printf('%u', account) AS account,
    CASE side WHEN 1 THEN 'buy' ELSE 'sell' END AS side, price, quantity, filled, left, status,
    datetime(accepted_ns / 1000000000, 'unixepoch') AS accepted,
    datetime(changed_ns / 1000000000, 'unixepoch') AS changed
    FROM orders o JOIN instruments i ON i.number = o.instrument;
CREATE VIEW trades_view AS SELECT trade_id, t.sequence, i.symbol, price, quantity,
    CASE aggressor WHEN 1 THEN 'buy' ELSE 'sell' END AS aggressor,
    printf('%u', maker_order_id) AS maker_order_id, printf('%u', maker_account) AS maker_account,
    printf('%u', taker_order_id) AS taker_order_id, printf('%u', taker_account) AS taker_account,
    datetime(time_ns / 1000000000, 'unixepoch') AS time
    FROM trades t JOIN instruments i ON i.number = t.instrument;
"""
_INSERT_ORDER = "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_UPDATE_ORDER = (
    "UPDATE orders SET price_ticks = coalesce(?1, price_ticks), price = coalesce(?2, price),"
    " filled = CASE WHEN typeof(?3) = 'integer' AND filled <= 9223372036854775807 - ?3"
    " THEN filled + ?3 ELSE exact_sum(filled, ?3) END, left = ?4, status = ?5, changed_ns = ?6"
    " WHERE instrument = ?7 AND order_id = ?8 AND status = 'open'"
)
_INSERT_TRADE = "INSERT INTO trades VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_INSTRUMENT = (
    "INSERT INTO instruments VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (number) DO UPDATE SET"
    " tick = excluded.tick, lot = excluded.lot, max_quantity = excluded.max_quantity,"
    " max_orders = excluded.max_orders"
)


@dataclass(slots=True)
class _Change:
    """What a batch does to one order: a new row, or an update of the open row it had."""

    instrument: int
    order_id: int
    row: list[int | str] | None  # of a new order, up to its price
    quantity: int = 0
    price_ticks: int | None = None
    price: str | None = None
    filled: int = 0
    left: int = 0
    status: str = OPEN
    accepted: int = 0
    changed: int = 0


class SqliteSink:
    """`Sink` into one SQLite file.  Each database belongs to one exchange, by identity.

    Raises `SinkError` for a file that is no database, belongs to another exchange or another
    schema, holds foreign tables of the same names, or is asked to skip or go back.
    """

    def __init__(self, path: str | os.PathLike[str], identity: bytes) -> None:
        self.path = Path(path)
        self._identity = identity
        self._instruments: dict[int, Instrument] = {}
        self._prices: dict[tuple[int, int], str] = {}
        if not self.path.absolute().parent.is_dir():
            raise SinkError(
                f"{self.path}: the directory {self.path.absolute().parent} is not there"
            )
        try:
            self._look_without_writing()
            self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise
        except sqlite3.Error as error:
            raise SinkError(f"{self.path}: {error}") from error

    @classmethod
    def from_url(cls, url: str, identity: bytes) -> SqliteSink:
        """``sqlite:///relative.db`` or ``sqlite:////absolute.db``."""
        path = url.removeprefix("sqlite:///")
        if path == url or not path:
            raise SinkError(f"{url!r}: sqlite:///relative.db or sqlite:////absolute.db")
        return cls(path, identity)

    def _look_without_writing(self) -> None:
        """Refuses what is not ours through a connection that can not write.

        Closing the last connection that could write moves what waits in the write-ahead log
        into the file, and a refused file is to keep its bytes.
        """
        if not self.path.is_file():
            return
        address = f"{self.path.absolute().as_uri()}?mode=ro"
        # Only a writer can roll back what a crash left half-done: `_prepare` looks first then.
        with (
            suppress(sqlite3.OperationalError),
            closing(sqlite3.connect(address, uri=True)) as db,
        ):
            self._is_ours(db)

    def _prepare(self) -> None:
        self._is_ours(self._db)  # before the first write, which is that of the journal mode
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.create_function("exact_sum", 2, _exact_sum, deterministic=True)
        with self._transaction():
            if not self._is_ours(self._db):  # and nobody else has made the tables meanwhile
                for statement in _DDL.split(";\n"):
                    if statement.strip():
                        self._db.execute(statement)
                self._db.execute(
                    "INSERT INTO position VALUES (1, ?, ?, 0, 0)", (self._identity, SCHEMA)
                )
        for number, *rest in self._db.execute("SELECT * FROM instruments"):
            self._instruments[number] = Instrument(*rest)

    def _is_ours(self, db: sqlite3.Connection) -> bool:
        """True for this exchange's database, False for one without our tables yet."""
        names = {row[0].lower() for row in db.execute("SELECT name FROM sqlite_master")}
        taken = sorted(_NAMES & names)
        if not taken:
            return False
        columns = {row[1] for row in db.execute("PRAGMA table_info(position)")}
        if not (names >= _TABLES and columns >= {"one", "exchange", "schema"}):
            raise SinkError(f"{self.path} has tables of its own named {', '.join(taken)}")
        row = db.execute("SELECT exchange, schema FROM position WHERE one = 1").fetchone()
        if row is None or row[1] != SCHEMA:
            raise SinkError(f"{self.path} is not of schema {SCHEMA}: rebuild it from the log")
        if row[0] != self._identity:
            raise SinkError(f"{self.path} belongs to another exchange ({bytes(row[0]).hex()})")
        return True

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def position(self) -> Position | None:
        row = self._db.execute("SELECT epoch, sequence FROM position WHERE one = 1").fetchone()
        return Position(*row) if row[1] else None

    def write(
        self, position: Position, commands: NDArray[np.void], events: NDArray[np.void]
    ) -> None:
        """One transaction.  What is there already is skipped by position, never by its keys."""
        try:
            with self._transaction():
                at = self.position() or Position(0, 0)
                if position.epoch < at.epoch:
                    raise SinkError(
                        f"{self.path} is at epoch {at.epoch}: a writer of {position.epoch} is old"
                    )
                first = position.sequence - len(commands) + 1
                if first > at.sequence + 1:
                    raise SinkError(
                        f"{self.path} is at sequence {at.sequence}, {first} does not follow"
                    )
                if position.sequence <= at.sequence:
                    return
                new = fresh(events)
                self._rows(first, commands, new[new["sequence"] > at.sequence])
                self._db.execute("UPDATE position SET epoch = ?, sequence = ?", position)
        except sqlite3.Error as error:
            raise SinkError(
                f"{self.path}: {error}; nothing of sequence {position.sequence} was written"
            ) from error

    def _rows(self, first: int, commands: NDArray[np.void], events: NDArray[np.void]) -> None:
        changes: list[_Change] = []
        live: dict[tuple[int, int], _Change] = {}
        trades: list[tuple[int | str, ...]] = []
        times = commands["time"].tolist()
        terms = commands[["order_type", "time_in_force"]].tolist()

        def change_of(instrument: int, order_id: int) -> _Change:
            key = instrument, order_id
            if key not in live:
                live[key] = _Change(instrument, order_id, None)
                changes.append(live[key])
            return live[key]

        def update(change: _Change, left: int, time: int, filled: int = 0) -> None:
            change.filled += filled
            change.left, change.changed = left, time
            if left == 0:
                change.status = FILLED if filled else CANCELLED
                del live[change.instrument, change.order_id]

        for (sequence, order_id, client, account, ticks, quantity, left, taker, taker_account,
             taker_left, trade_id, instrument, kind, side, _, _) in _signed(events):  # fmt: skip
            at = sequence - first
            if kind == EventKind.ACCEPTED:
                price = self._price(instrument, ticks) if terms[at][0] == 1 else ""
                row: list[int | str] = [
                    sequence, instrument, order_id, client, account, side, *terms[at], ticks, price,
                ]  # fmt: skip
                made = _Change(instrument, order_id, row, quantity, left=left)
                made.accepted = made.changed = times[at]
                live[instrument, order_id] = made
                changes.append(made)
            elif kind == EventKind.TRADED:
                price = self._price(instrument, ticks)
                trades.append((
                    trade_id, sequence, instrument, ticks, price, quantity, 3 - side, order_id,
                    account, taker, taker_account, times[at],
                ))  # fmt: skip
                update(change_of(instrument, order_id), left, times[at], quantity)
                update(change_of(instrument, taker), taker_left, times[at], quantity)
            elif kind == EventKind.AMENDED:
                change = change_of(instrument, order_id)
                change.price_ticks, change.price = ticks, self._price(instrument, ticks)
                update(change, left, times[at])
            elif kind == EventKind.CANCELLED:
                update(change_of(instrument, order_id), 0, times[at])
            elif kind in (EventKind.INSTRUMENT_ADDED, EventKind.INSTRUMENT_CHANGED):
                self._put_instrument(instrument, commands[at])
        self._store(changes, trades)

    def _store(self, changes: list[_Change], trades: list[tuple[int | str, ...]]) -> None:
        updates = [
            (
                c.price_ticks,
                c.price,
                _exact(c.filled),
                c.left,
                c.status,
                c.changed,
                c.instrument,
                c.order_id,
            )
            for c in changes
            if c.row is None
        ]
        done = self._db.executemany(_UPDATE_ORDER, updates)
        if updates and done.rowcount != len(updates):
            raise SinkError(
                f"{self.path}: {len(updates)} open orders to update, {done.rowcount} found:"
                " the database is not what the log has written; rebuild it"
            )
        rows = []
        for c in changes:
            if c.row is not None:
                if c.price_ticks is not None:
                    c.row[8:10] = [c.price_ticks, c.price or ""]
                filled = _exact(c.filled)
                rows.append((*c.row, c.quantity, filled, c.left, c.status, c.accepted, c.changed))
        self._db.executemany(_INSERT_ORDER, rows)
        self._db.executemany(_INSERT_TRADE, trades)

    def _put_instrument(self, number: int, command: np.void) -> None:
        one = read_instrument(np.frombuffer(command.tobytes(), INSTRUMENT)[0])
        self._instruments[number] = one
        self._prices.clear()
        tick = price_text(one.tick)
        row = (number, one.symbol, tick, one.lot, one.max_quantity, one.max_orders)
        self._db.execute(_PUT_INSTRUMENT, row)

    def _price(self, instrument: int, ticks: int) -> str:
        key = instrument, ticks
        if key not in self._prices:
            if len(self._prices) >= PRICES_CACHED_MAX:
                self._prices.clear()
            self._prices[key] = price_text(self._instruments[instrument].price(ticks))
        return self._prices[key]

    def close(self) -> None:
        self._db.close()


def _exact(number: int) -> int | str:
    """A whole number as SQLite can hold it; a column without a type leaves text as it is."""
    return number if number <= INT64_MAX else str(number)


def _exact_sum(one: int | str, other: int | str) -> int | str:
    """For SQL, whose own sum turns into a rounded one beyond 63 bits."""
    return _exact(int(one) + int(other))


def _signed(events: NDArray[np.void]) -> list[tuple[int, ...]]:
    """Rows of Python ints, unsigned fields as the signed integers of the same bits."""
    names = events.dtype.names or ()
    columns = []
    for name in names:
        column = events[name]
        columns.append((column.view("<i8") if column.dtype == "<u8" else column).tolist())
    return list(zip(*columns, strict=True))
