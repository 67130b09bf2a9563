"""What people ask a database of an exchange, answered as NumPy arrays, the same on each of them.

Rows are records of ``TABLES[…].dtype``: prices in ticks, times in nanoseconds since 1970 UTC, ids
unsigned; `Queries.prices` and `frames` make them readable.  A day is one of UTC, from midnight to
before the next.  Every value goes to the database as a parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, NamedTuple, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from ..._closing import Closing
from ...errors import InvalidArgument, MissingExtra, SinkError, TooManyRows, UnknownInstrument
from ...records.arguments import (
    INT64_MAX,
    INT64_MIN,
    UINT64_MAX,
    integer,
    shard_number,
    shown,
    symbol_text,
    whole,
)
from ...records.instruments import SYMBOL
from ..rows.rows import Array
from ..rows.tables import ADDED, DAY_NS, TABLES, VERSION

try:
    import sqlalchemy as sa
except ImportError:
    raise MissingExtra("querying a database", "sql") from None

from .access import open_existing
from .minutes import MINUTE_BAR, minutes
from .schema import POSITIONS, SQL_TABLES

Symbol = str | bytes  # bytes, as the arrays of answers hold them
#: a date, its text, a datetime64 of days, or days since 1970, as bars have them
Day = date | str | np.datetime64 | SupportsIndex
ROWS_MAX = 1_000_000  # of one answer, of some 100 bytes each
LIVES_MAX = 100  # of one order id
NAMED_MAX = 10_000  # instruments in a statement; SQLite takes 32,766 parameters
FETCHED_TOGETHER = 10_000
_OLDEST = 2  # schema whose rows can be read, with zeros where it has no such column
#: Tables whose rows may be named by their `seq` alone, which few of them share.
_OF_SEQ = ("open_orders", "orders", "daily_bars")
_NOTHING: Any = sa.literal_column("0")
_MINUTES_OF_A_DAY = 24 * 60
_MINUTE_KEY = ("start_ns", "instrument_seq")
#: What finds rows: the table's key, an index after which they are sorted, or one in their order.
KEY, INDEX, ORDERED = "key", "index", "ordered index"


class Life(NamedTuple):
    """An order: its row as it is now or was at its end, and its executions, oldest first."""

    order: np.void
    executions: Array


class Queries(Closing):
    """Questions to the database of a URL (see `open_sink`), each answered as of one moment.

    It reads through connections that cannot write, locks nothing, and works while a follower
    writes.  `identity`: the exchange that the database must belong to (`identity_of`), any unless
    said.  Not for two threads.  `SinkError` when the database is away, has no tables of ours, or
    is another exchange's or of a schema that this matchcore does not know.

    An answer is all there is, and `TooManyRows` beyond `ROWS_MAX` rows.  With `limit` it is so many
    rows at most; the next ones are those `after` the last of them: a row, or its key.  Of orders
    and daily bars the key may also be the `seq` alone.
    """

    def __init__(self, url: str, *, shard: int = 0, identity: bytes | None = None) -> None:
        self._shard = shard_number(shard)
        self._store = open_existing(url, None, self._shard, read_only=True)
        self._asking: sa.Connection | None = None
        self._version = VERSION  # of the database's schema
        try:
            self._check(identity)
        except BaseException:
            self.close()
            raise

    def _check(self, identity: bytes | None) -> None:
        shown = self._store.shown
        with self._moment() as connection:
            row = connection.execute(
                sa.select(POSITIONS.c.exchange, POSITIONS.c.version).where(
                    POSITIONS.c.shard == self._shard
                )
            ).first()
        if row is None:
            raise SinkError(f"{shown} has no position of shard {self._shard}")
        if not _OLDEST <= row.version <= VERSION:
            raise SinkError(f"{shown} has schema {row.version}, this matchcore reads {_OLDEST} to"
                            f" {VERSION}")  # fmt: skip
        self._version = row.version
        if identity is not None and bytes(row.exchange) != identity:
            raise SinkError(
                f"{shown}: shard {self._shard} belongs to another exchange"
                f" ({bytes(row.exchange).hex()})"
            )

    def instruments(self) -> Array:
        """All versions of all instruments, oldest first."""
        return self._rows("instruments", [])

    def number(self, symbol: Symbol) -> int:
        """The number of an instrument; `UnknownInstrument` if there is none of this symbol."""
        text = symbol_text(symbol) or ""
        found = np.empty(0, TABLES["instruments"].dtype)
        if SYMBOL.fullmatch(text):  # some databases do not take other characters
            found = self._rows("instruments", [SQL_TABLES["instruments"].c.symbol == text])
            found = found[found["symbol"] == text.encode()]  # MySQL may see no difference of case
        if not len(found):
            raise UnknownInstrument(f"no instrument {shown(symbol)} in {self._store.shown}")
        return int(found["number"][0])

    def trades(
        self, day: Day, symbol: Symbol | None = None, *, limit: int | None = None, after: Any = None
    ) -> Array:
        """The trades of a day, of one instrument or of all, as they were made."""
        with self._moment():
            wanted = self._traded_on(day, symbol)
            return self._rows("trades", wanted, limit, after, by=INDEX)

    def executions(
        self,
        account: int,
        day: Day | None = None,
        *,
        limit: int | None = None,
        after: Any = None,
    ) -> Array:
        """What an account has traded, on a day or in all, as it was made."""
        columns = SQL_TABLES["executions"].c
        wanted = [columns.account == self._id(account, "account")]
        if day is not None:
            wanted.append(columns.time_ns.between(*_bounds(day)))
        return self._rows("executions", wanted, limit, after, by=ORDERED)

    def open_orders(
        self,
        account: int | None = None,
        symbol: Symbol | None = None,
        *,
        limit: int | None = None,
        after: Any = None,
    ) -> Array:
        """The orders that rest now, of an account, of an instrument or of all, oldest first."""
        columns, wanted = SQL_TABLES["open_orders"].c, []
        if account is not None:
            wanted.append(columns.account == self._id(account, "account"))
        with self._moment():
            if symbol is not None:
                wanted.append(columns.instrument == self.number(symbol))
            by = KEY if account is None else INDEX
            return self._rows("open_orders", wanted, limit, after, by=by)

    def daily_bars(
        self,
        symbol: Symbol | None = None,
        first: Day | None = None,
        last: Day | None = None,
        *,
        limit: int | None = None,
        after: Any = None,
    ) -> Array:
        """The bars of days, from `first` to `last` if these are said, in the order of their first
        trades; a day on which the tick changed has two."""
        columns, wanted = SQL_TABLES["daily_bars"].c, []
        if first is not None:
            wanted.append(columns.day >= _bounds(first)[1] // DAY_NS)
        if last is not None:
            wanted.append(columns.day <= _bounds(last)[1] // DAY_NS)
        with self._moment():
            if symbol is not None:
                wanted.append(columns.instrument == self.number(symbol))
            by = INDEX if wanted else KEY
            return self._rows("daily_bars", wanted, limit, after, by=by)

    def minute_bars(
        self,
        day: Day,
        symbol: Symbol | None = None,
        *,
        length: int = 1,
        limit: int | None = None,
        after: Any = None,
    ) -> Array:
        """Bars (`MINUTE_BAR`) of `length` minutes, which the database makes of the trades of a day.

        Minutes without a trade have none, and one in which the tick changed has two.
        `InvalidArgument` for a length below a minute or beyond a day.
        """
        length = integer(length, "length", 1, _MINUTES_OF_A_DAY)
        with self._moment():
            wanted = [self._mine("trades", INDEX), *self._traded_on(day, symbol)]
            bars = minutes(wanted, length).subquery("m")
            asked = sa.select(bars).order_by(*(bars.c[name] for name in _MINUTE_KEY))
            if after is not None:
                asked = asked.where(_behind(bars.c, _MINUTE_KEY, after))
            return self._ask(asked, _minute_bars, limit)

    def lives(self, symbol: Symbol, order_id: int) -> list[Life]:
        """The lives of an order id of an instrument, newest first: an id may be used again.

        No more than the newest `LIVES_MAX`.
        """
        wanted, found = self._id(order_id, "order_id"), []
        with self._moment():
            number = self.number(symbol)
            for table in ("open_orders", "orders"):
                columns = SQL_TABLES[table].c
                where = [columns.order_id == wanted, columns.instrument == number]
                found += list(self._rows(table, where, LIVES_MAX, by=INDEX, newest=True))
            found.sort(key=lambda order: -int(order["seq"]))
            return [Life(order, self._executions_of(order)) for order in found[:LIVES_MAX]]

    def life(self, seq: int) -> Life | None:
        """The order that the command of a sequence entered; None if it entered none.

        Of a quote that is one of two: one that rests, if there is one.
        """
        if integer(seq, "seq", 0, UINT64_MAX) > INT64_MAX:  # which no database of ours goes to
            return None
        with self._moment():
            for table in ("open_orders", "orders"):
                found = self._rows(table, [SQL_TABLES[table].c.seq == int(seq)])
                if len(found):
                    return Life(found[0], self._executions_of(found[0]))
        return None

    def versions(self, rows: Array) -> Array:
        """The instruments of rows, as they were then."""
        known = self.instruments()
        at = np.searchsorted(known["seq"], rows["instrument_seq"])
        if len(rows) and not np.array_equal(known["seq"][at % len(known)], rows["instrument_seq"]):
            raise SinkError(f"{self._store.shown} has no such instruments: not its rows")
        made: Array = known[at]
        return made

    def prices(self, rows: Array, column: str = "price_ticks") -> NDArray[np.float64]:
        """A column of ticks as prices: the nearest doubles; exact are the ticks."""
        return as_prices(rows[column], self.versions(rows))

    def close(self) -> None:
        self._store.close()

    # ------------------------------------------------------------------ inside

    @contextmanager
    def _moment(self) -> Iterator[sa.Connection]:
        """The connection, which sees one moment of the database until the outermost one ends."""
        if self._asking is not None:
            yield self._asking
            return
        with self._store._speaking(reading=True) as connection:
            if connection.dialect.name != "sqlite":  # whose readers see nothing else
                connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            self._asking = connection
            try:
                yield connection
            finally:
                self._asking = None
            connection.rollback()

    def _traded_on(self, day: Day, symbol: Symbol | None) -> list[Any]:
        """All instruments by their numbers too, as the index begins with them, if they are not so
        many that a statement does not hold them."""
        columns = SQL_TABLES["trades"].c
        within = columns.time_ns.between(*_bounds(day))
        if symbol is not None:
            return [columns.instrument == self.number(symbol), within]
        numbers = np.unique(self.instruments()["number"]).tolist()
        return [columns.instrument.in_(numbers), within] if len(numbers) <= NAMED_MAX else [within]

    def _executions_of(self, order: np.void) -> Array:
        """By account and sequence, which are indexed, from an order's first command to its last."""
        columns = SQL_TABLES["executions"].c
        return self._rows(
            "executions",
            [
                columns.account == self._id(order["account"], "account"),
                columns.seq.between(int(order["seq"]), int(order["changed_seq"])),
                columns.order_seq == int(order["seq"]),
                columns.side == int(order["side"]),  # a quote has entered two
            ],
            by=ORDERED,
        )

    def _id(self, value: object, name: str) -> int:
        """An id of 64 bits as the database has it."""
        found = integer(value, name, 0, UINT64_MAX)
        return found - 2**64 if self._store.signed and found >= 2**63 else found

    def _mine(self, table: str, by: str) -> Any:
        """The condition that rows are of our shard.

        SQLite, which has no statistics, takes that for the best one there is and reads the whole
        shard by its key: the sum keeps it from that.
        """
        shard: Any = SQL_TABLES[table].c.shard
        sqlite = self._store.url.get_backend_name() == "sqlite"
        return (shard + 0 if by != KEY and sqlite else shard) == self._shard

    def _rows(
        self,
        table: str,
        conditions: Sequence[Any],
        limit: int | None = None,
        after: Any = None,
        *,
        by: str = KEY,
        newest: bool = False,
    ) -> Array:
        source, key = SQL_TABLES[table], TABLES[table].key[1:]
        columns = [
            one if ADDED.get(one.name, 0) <= self._version else _NOTHING.label(one.name)
            for one in source.c
        ]
        wanted = sa.select(*columns).where(self._mine(table, by), *conditions)
        order: list[Any] = [source.c[name].desc() if newest else source.c[name] for name in key]
        if by == INDEX and not newest:
            order[0] = source.c[key[0]] + 0  # or MariaDB reads all of the key to spare the sort

        def made(found: Sequence[Any]) -> Array:
            return self._store.as_array(table, found)

        if after is not None:
            bare = table in _OF_SEQ and isinstance(after, Sequence) and len(after) == 1
            wanted = wanted.where(_behind(source.c, key[:1] if bare else key, after))
        return self._ask(wanted.order_by(*order), made, limit)

    def _ask(
        self, wanted: sa.Select[Any], made: Callable[[Sequence[Any]], Array], limit: int | None
    ) -> Array:
        """The rows as an array, `made` of some thousand at a time."""
        if limit is not None:
            limit = integer(limit, "limit", 1, ROWS_MAX)
        wanted = wanted.limit(ROWS_MAX + 1 if limit is None else limit)
        with self._moment() as connection:
            found = connection.execute(wanted, execution_options={"yield_per": FETCHED_TOGETHER})
            rows = np.concatenate([made([]), *(made(part) for part in found.partitions())])
        if len(rows) > ROWS_MAX:
            raise TooManyRows(
                f"more than {ROWS_MAX:,} rows: select fewer, or page by page with limit= and after="
            )
        return rows


def as_prices(ticks: NDArray[Any], versions: Array) -> NDArray[np.float64]:
    """Ticks of instruments as doubles, divided once, so that 95.7 is what a reader types."""
    scale = 10.0 ** -versions["tick_exponent"].astype(np.float64)
    prices: NDArray[np.float64] = ticks * versions["tick_mantissa"].astype(np.float64) / scale
    return prices


def _behind(columns: Any, key: tuple[str, ...], after: Any) -> Any:
    """Rows whose key is greater, in a form that every database takes a range of the key from."""
    if isinstance(after, np.void):
        after = [after[name] if name in (after.dtype.names or ()) else None for name in key]
    if not isinstance(after, Sequence) or len(after) != len(key):
        raise InvalidArgument(f"after {shown(after)}: a row, or its {', '.join(key)}")
    values = [integer(value, f"after, {name}") for name, value in zip(key, after, strict=True)]
    first, rest = columns[key[0]], list(zip(key[1:], values[1:], strict=True))
    if not rest:
        return first > values[0]
    ((name, value),) = rest
    return sa.and_(first >= values[0], sa.or_(first > values[0], columns[name] > value))


def _minute_bars(found: Sequence[Any]) -> Array:
    return np.array([tuple(int(value) for value in row) for row in found], MINUTE_BAR)


def _bounds(day: Day) -> tuple[int, int]:
    """The first and the last nanosecond of a day.

    `InvalidArgument` for what is no date, for a moment instead of a day, and for days beyond
    64 bits of nanoseconds.
    """
    start = _days(day) * DAY_NS
    if not INT64_MIN - DAY_NS < start <= INT64_MAX:
        raise InvalidArgument(f"day {shown(day)}: beyond 64 bits of nanoseconds")
    return max(start, INT64_MIN), min(start + DAY_NS - 1, INT64_MAX)


def _days(day: object) -> int:
    """A day as days since 1970."""
    if isinstance(day, np.datetime64):
        if day != day or np.datetime_data(day.dtype) != ("D", 1):
            raise InvalidArgument(f"day {day!r}: must be a datetime64 of days, not a time")
        return int(day.astype(np.int64))
    if isinstance(day, str):
        try:
            day = date.fromisoformat(day)
        except ValueError as error:
            raise InvalidArgument(f"day {shown(day)}: {error}") from None
    if isinstance(day, datetime):
        raise InvalidArgument(f"day {day.isoformat()}: must be a day, not a time")
    if isinstance(day, date):
        return (day - date(1970, 1, 1)).days
    count = whole(day)
    if count is None:
        raise InvalidArgument(f"day {shown(day)}: must be a date, or a text like 2019-05-21")
    return count
