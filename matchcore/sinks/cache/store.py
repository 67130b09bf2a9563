"""The rows of a follower in Redis: what is open now, and what has just ended.

A cache holds the newest state and no history.  What the follower must read again is there as
records (`rows:open_orders`, `rows:instruments`, `rows:daily_bars`), and beside them the same for
readers, as JSON.  A batch and its position are one transaction.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import SinkError
from ...journal import Position
from ...records.instruments import Instrument, price_text, read_instrument
from ...records.schema import (
    CANCEL_REASONS,
    UNPRICED_TYPES,
    OrderType,
    Reason,
    Side,
    TimeInForce,
)
from ..rows.rows import Rows
from ..rows.tables import CANCELLED, OPEN, TABLES, VERSION
from ..urls import shown
from .keys import Keys, connected, speaking
from .levels import Levels

if TYPE_CHECKING:
    from redis.client import Pipeline

#: Rows that the follower reads again; of bars only those of the newest days, of parameters of
#: markets the first of each.
STORED = ("open_orders", "instruments", "daily_bars", "market_parameters")
DAYS_KEPT = 2
REMOVE_STEP = 1000
_STATUS = {OPEN: "open", CANCELLED: "cancelled"}
_REASONS = {int(reason): reason.name.lower() for reason in CANCEL_REASONS | {Reason.NONE}}


class RedisStore:
    """A `Store` in the Redis of a URL, for the log of one shard.  Not for two threads.

    ``identity``: of the exchange.  ``redis://…?keep=SECONDS``: how long finished orders stay.
    """

    def __init__(self, url: str, identity: bytes, shard: int = 0) -> None:
        self._redis, self._keep = connected(url)
        self._where = shown(url)
        self._keys, self._identity = Keys(identity, shard), identity
        self._instruments: dict[int, Instrument] = {}  # by `instrument_seq`
        self._levels = Levels()
        self._days: dict[int, list[int]] = {}  # day -> `seq`s of its bars
        self._markets: set[int] = set()  # numbers of the instruments that have one

    def prepare(self) -> None:
        """`SinkError` if Redis may drop keys that have no end."""
        with speaking(self._where):
            memory = self._redis.info("memory")
        policy = memory.get("maxmemory_policy", "noeviction")
        if memory.get("maxmemory", 0) and policy.startswith("allkeys"):
            raise SinkError(
                f"{self._where}: maxmemory-policy is {policy}, so Redis drops keys when it is full:"
                " set it to noeviction"
            )

    # ------------------------------------------------------------------ reading again

    def position(self, shard: int) -> Position | None:
        """The last position written, None when there is none yet."""
        with speaking(self._where):
            found: dict[bytes, bytes] = self._redis.hgetall(self._keys.position)
        return self._position(found)

    def _position(self, found: dict[bytes, bytes]) -> Position | None:
        if not found:
            return None
        try:
            version = int(found[b"version"])
            said = Position(int(found[b"epoch"]), int(found[b"sequence"]))
        except (KeyError, ValueError):
            raise SinkError(
                f"{self._where}: {self._keys.position} was not written by matchcore"
            ) from None
        if version != VERSION:
            raise SinkError(
                f"{self._where}: the cache is of version {version}, and this matchcore writes"
                f" {VERSION}: delete the keys {self._keys.prefix}:*, and it is filled again"
            )
        return said

    def read(
        self, shard: int, table: str, column: str = "", values: Sequence[int] = ()
    ) -> NDArray[np.void]:
        """Rows of a table: all, or those where a column has one of some values."""
        dtype = TABLES[table].dtype
        with speaking(self._where):
            found: dict[bytes, bytes] = self._redis.hgetall(self._keys.rows(table))
        if any(len(row) % dtype.itemsize for row in found.values()):
            raise SinkError(f"{self._where}: {self._keys.rows(table)} was not written by matchcore")
        rows: NDArray[np.void] = np.frombuffer(b"".join(found.values()), dtype)
        if column:
            rows = rows[np.isin(rows[column], list(values))]
        elif table == "instruments":
            self._define(rows)
            self._markets = set(self.read(shard, "market_parameters")["instrument"].tolist())
        elif table == "open_orders":
            self._levels = Levels()
            self._levels.add(rows)
        return rows

    def _define(self, rows: Iterable[np.void]) -> None:
        for row in rows:
            self._instruments[int(row["seq"])] = read_instrument(row)

    # ------------------------------------------------------------------ writing

    def write(self, shard: int, epoch: int, first: int, last: int, rows: Rows) -> None:
        """One transaction: rows that go, rows that come, and the position `(epoch, last)`."""
        from redis.exceptions import WatchError

        with speaking(self._where), self._redis.pipeline(transaction=True) as batch:
            batch.watch(self._keys.position)
            at = self._position(batch.hgetall(self._keys.position)) or Position(0, 0)
            if at.sequence >= last:
                return
            self._check(at, epoch, first)
            if first == 1:
                self._empty()
            batch.multi()
            touched = self._fill(batch, rows)
            self._tops(batch, touched)
            batch.hset(self._keys.position, mapping={
                "identity": self._identity.hex(), "version": VERSION, "epoch": epoch,
                "sequence": last, "written_ns": time.time_ns(),
            })  # fmt: skip
            try:
                batch.execute()
            except WatchError:
                raise SinkError(f"{self._where}: another follower writes here") from None
        self._define(rows.new.get("instruments", ()))

    def _check(self, at: Position, epoch: int, first: int) -> None:
        if epoch < at.epoch:
            raise SinkError(
                f"{self._where}: has epoch {at.epoch}, and this log is of epoch {epoch}: it is an"
                " old copy, or another engine has taken over"
            )
        if first != at.sequence + 1:
            raise SinkError(
                f"{self._where}: ends at sequence {at.sequence}, and sequence {first} does not"
                " follow it"
            )

    def _empty(self) -> None:
        """Before the first batch: what is left of keys that lost their position."""
        self._levels, self._instruments, self._days, self._markets = Levels(), {}, {}, set()
        names = []
        for name in self._redis.scan_iter(f"{self._keys.prefix}:*", REMOVE_STEP):
            names.append(name)
            if len(names) >= REMOVE_STEP:
                self._redis.unlink(*names)
                names.clear()
        if names:
            self._redis.unlink(*names)

    def _fill(self, batch: Pipeline, rows: Rows) -> set[tuple[int, int]]:
        """The rows of a batch; returns instruments and sides whose levels changed."""
        new, keys = rows.new, self._keys
        for row in new.get("instruments", ()):
            instrument = read_instrument(row)
            self._instruments[int(row["seq"])] = instrument
            batch.hset(keys.instruments, instrument.symbol, _instrument_text(instrument))
        gone = rows.gone.get("open_orders", np.zeros(0, np.int64))
        ended = self._levels.take(gone)
        for row in ended:
            symbol = self._instrument(row).symbol
            batch.hdel(keys.account(int(row["account"])), f"{symbol}:{row['order_id']}")
        resting, done = new.get("open_orders", ended[:0]), new.get("orders", ended[:0])
        self._levels.add(resting)
        now = time.time_ns()
        for row in resting:
            text, symbol = self._order_text(row), self._instrument(row).symbol
            batch.set(keys.order(symbol, int(row["order_id"])), text)
            name = f"{symbol}:{row['order_id']}"
            batch.hset(keys.account(int(row["account"])), name, text)
        for row in done:
            self._finish(batch, row, now)
        rows = self._first_of_markets(batch, rows)
        for table in STORED:
            self._store(batch, table, rows)
        self._forget_days(batch, rows)
        return {
            (int(row["instrument_seq"]), int(row["instrument"]))
            for part in (ended, resting) for row in part
        }  # fmt: skip

    def _first_of_markets(self, batch: Pipeline, rows: Rows) -> Rows:
        """The rows with those parameters only that make a market.

        The book of a market has orders that its public does not see, and no row says which part
        of them is shown: its best prices are not in the cache.
        """
        given = rows.new.get("market_parameters")
        if given is None:
            return rows
        _, firsts = np.unique(given["instrument"], return_index=True)
        first = [at for at in firsts.tolist() if int(given["instrument"][at]) not in self._markets]
        for row in given[first]:
            self._markets.add(int(row["instrument"]))
            batch.hdel(self._keys.tops, self._instrument(row).symbol)
        return Rows(rows.gone, {**rows.new, "market_parameters": given[first]})

    def _finish(self, batch: Pipeline, row: np.void, now: int) -> None:
        """An order that has ended: kept for a while, from when it ended."""
        key = self._keys.order(self._instrument(row).symbol, int(row["order_id"]))
        left = self._keep - (now - int(row["changed_ns"])) // 10**9
        if left > 0:
            batch.set(key, self._order_text(row), ex=min(left, self._keep))
        else:
            batch.delete(key)

    def _store(self, batch: Pipeline, table: str, rows: Rows) -> None:
        key, gone, new = self._keys.rows(table), rows.gone.get(table), rows.new.get(table)
        if gone is not None and len(gone):
            batch.hdel(key, *gone.tolist())
        if new is not None and len(new):
            mapping: dict[Any, bytes] = {}  # number -> rows of one `seq` together
            for row in new:
                mapping[int(row["seq"])] = mapping.get(int(row["seq"]), b"") + row.tobytes()
            batch.hset(key, mapping=mapping)

    def _forget_days(self, batch: Pipeline, rows: Rows) -> None:
        """Bars are kept of the newest days, which trades may still change."""
        for row in rows.new.get("daily_bars", ()):
            self._days.setdefault(int(row["day"]), []).append(int(row["seq"]))
        newest = max(self._days, default=0)
        for day in [day for day in self._days if day <= newest - DAYS_KEPT]:
            batch.hdel(self._keys.rows("daily_bars"), *self._days.pop(day))

    def _tops(self, batch: Pipeline, touched: set[tuple[int, int]]) -> None:
        for version, number in touched:
            if number in self._markets:
                continue
            instrument = self._instruments[version]
            found: dict[str, Any] = {}
            for side in Side:
                best = self._levels.best(number, side)
                found[side.name.lower()] = best and {
                    "price": price_text(instrument.price(best[0])), "quantity": best[1],
                    "orders": best[2],
                }  # fmt: skip
            batch.hset(self._keys.tops, instrument.symbol, _text(found))

    # ------------------------------------------------------------------ what readers see

    def _instrument(self, row: np.void) -> Instrument:
        return self._instruments[int(row["instrument_seq"])]

    def _order_text(self, row: np.void) -> str:
        instrument, kind = self._instrument(row), int(row["order_type"])
        price = price_text(instrument.price(int(row["price_ticks"])))
        return _text({
            "symbol": instrument.symbol, "order_id": str(row["order_id"]),
            "client_order_id": str(row["client_order_id"]), "account": str(row["account"]),
            "side": Side(int(row["side"])).name.lower(),
            "price": None if kind in UNPRICED_TYPES and not int(row["price_ticks"]) else price,
            "order_type": OrderType(kind).name,
            "time_in_force": TimeInForce(int(row["time_in_force"])).name,
            "status": _STATUS.get(int(row["status"]), "filled"),
            "quantity": int(row["quantity"]), "left": int(row["open_quantity"]),
            "filled": str(int(row["filled"]) + (int(row["filled_wraps"]) << 63)),
            "reason": _REASONS.get(int(row["reason"]), "none"),
            "sequence": str(row["changed_seq"]), "time": str(row["changed_ns"]),
        })  # fmt: skip

    def close(self) -> None:
        """Lets go of the connection."""
        with suppress(SinkError), speaking(self._where):
            self._redis.close()


def _text(said: dict[str, Any]) -> str:
    return json.dumps(said, separators=(",", ":"))


def _instrument_text(instrument: Instrument) -> str:
    return _text({
        "symbol": instrument.symbol, "tick": price_text(instrument.tick), "lot": instrument.lot,
        "max_quantity": instrument.max_quantity, "max_orders": instrument.max_orders,
    })  # fmt: skip
