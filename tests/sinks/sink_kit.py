"""Databases to test with: an exchange, its whole contents, and what the events say of them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from flows import flow
from market_flows import market_flow
from market_flows import world as market_world
from numpy.typing import NDArray

import matchcore as mc
from matchcore.journal import LogReader, identity_of
from matchcore.machine.reference import Machine as Reference
from matchcore.records.events import fresh
from matchcore.records.instruments import read_instrument
from matchcore.records.markets import PARAMETER
from matchcore.records.schema import INSTRUMENT_EVENTS, Flag
from matchcore.sinks import TABLES, RowSink, open_sink

WORLD = (mc.Instrument("ONE", "0.01"), mc.Instrument("TWO", "0.5", lot=3, max_quantity=999))
DAY = 86_400 * 10**9
MARKET_TABLES = {
    mc.EventKind.MARKET_SET: "market_parameters", mc.EventKind.PHASE_CHANGED: "phase_changes",
    mc.EventKind.INDICATIVE: "indicatives", mc.EventKind.BUSTED: "busts",
}  # fmt: skip
IDENTITY = bytes(range(16))
Row = tuple[Any, ...]
Contents = dict[str, list[Row]]


def filled(path: Path, seed: int = 1, count: int = 600, step: int = 25, **more: Any) -> Path:
    """An exchange with a random history in many frames and over several days, closed."""
    with mc.Engine.open(path, instruments=WORLD, policy="os", clock=lambda: DAY) as engine:
        commands = flow(seed, count, **more)
        commands["time"] *= DAY // 150
        for at in range(0, count, step):
            engine.submit_batch(commands[at : at + step])
    return path


def filled_with_markets(path: Path, seed: int = 10, count: int = 300, step: int = 25) -> Path:
    """The same with markets: every table has rows."""
    commands, _ = market_log(seed, count)
    with mc.Engine.open(path, policy="os") as engine:
        for at in range(0, len(commands), step):
            engine.submit_batch(commands[at : at + step])
    return path


def logged(path: Path) -> tuple[NDArray, NDArray]:
    """Every command of a log, and the events of a fresh machine."""
    with LogReader(path) as reader:
        commands = np.concatenate([frame.commands for frame in reader.read()])
    return commands, mc.Machine().apply(commands)


#: Tables that an exchange without markets has rows in.
PLAIN_TABLES = [name for name, table in TABLES.items() if table.since < 5]


def market_log(seed: int, count: int) -> tuple[NDArray, NDArray]:
    """Every command of a random history of markets over several days, and its events."""
    commands = np.concatenate([market_world(), market_flow(seed, count)])
    commands["time"] += DAY
    return commands, Reference().apply(commands)


def filled_with(
    url: str, commands: NDArray, events: NDArray, step: int, identity: bytes = IDENTITY
) -> str:
    """A database that such a history went into, some commands at a time."""
    events = fresh(events)  # what is told again has the sequence of its first answer
    with closing(open_sink(url, identity)) as sink:
        for at in range(0, len(commands), step):
            part = commands[at : at + step]
            of_part = (events["sequence"] > at) & (events["sequence"] <= at + len(part))
            sink.write(mc.Position(1, at + len(part)), part, events[of_part])
    return url


def price_of(order_type: int, event: NDArray) -> int:
    """A market order in a call has a price that is none."""
    price = int(event["price"])
    at_any = order_type == mc.OrderType.MARKET and price in (2**63 - 1, -(2**63))
    return 0 if at_any else price


def url_of(database: Path | str) -> str:
    return database if isinstance(database, str) else f"sqlite:///{database}"


def sink_of(exchange: Path, database: Path | str, **more: Any) -> RowSink:
    return open_sink(url_of(database), identity_of(exchange), **more)


def followed(exchange: Path, database: Any, **more: Any) -> Any:
    with mc.Follower(exchange, sink_of(exchange, database, **more)) as follower:
        follower.run()
    return database


def contents(exchange: Path, database: Path | str, shard: int = 0) -> Contents:
    """All rows of all tables, sorted, as Python values."""
    with closing(sink_of(exchange, database, shard=shard)) as sink:
        return {name: sorted(sink.store.read(shard, name).tolist()) for name in TABLES}


def rows(database: Path, query: str) -> list[Row]:
    with closing(sqlite3.connect(database)) as db:
        return db.execute(query).fetchall()


def dumped(database: Path) -> list[str]:
    """The whole database as SQL, and that SQLite finds it sound."""
    with closing(sqlite3.connect(database)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return list(db.iterdump())


def expected(commands: NDArray, events: NDArray, shard: int = 0) -> Contents:
    """Every row from the events alone, one by one in plain Python."""
    told = _Told(commands, shard)
    for event in fresh(events):
        told.hear(event)
    return told.contents()


class _Told:
    """What the events have said so far.  Rows are dicts whose order is that of the columns."""

    def __init__(self, commands: NDArray, shard: int) -> None:
        self.commands, self.shard = commands, shard
        self.live: dict[tuple[int, int], dict[str, Any]] = {}
        self.bars: dict[tuple[int, int], dict[str, Any]] = {}
        self.version: dict[int, int] = {}
        self.seq, self.moved = 0, (0, 0)  # which order came to others last
        self.made: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}

    def contents(self) -> Contents:
        self.made["open_orders"] = list(self.live.values())
        self.made["daily_bars"] = list(self.bars.values())
        return {
            name: sorted(tuple(one[column] for column in TABLES[name].columns) for one in made)
            for name, made in self.made.items()
        }

    def hear(self, event: NDArray) -> None:
        kind, number = int(event["kind"]), int(event["instrument"])
        if int(event["sequence"]) != self.seq:
            self.moved = 0, 0
        self.seq = int(event["sequence"])
        self.command = self.commands[self.seq - 1]
        self.key = {"shard": self.shard, "seq": self.seq}
        self.time = int(self.command["time"])
        own = number, int(event["order_id"])
        if kind in (mc.EventKind.ACCEPTED, mc.EventKind.AMENDED, mc.EventKind.TRIGGERED,
                    mc.EventKind.REPRICED):  # fmt: skip
            self.moved = own
        if kind == mc.EventKind.ACCEPTED:
            self.live[own] = self._accepted(event)
        elif kind == mc.EventKind.TRADED:
            self._traded(event, self.live[own], self.live[number, int(event["taker_order_id"])])
        elif kind == mc.EventKind.CANCELLED:
            self.live[own]["reason"] = int(event["reason"])
            self._now(own, 0, 2)
        elif kind in (mc.EventKind.AMENDED, mc.EventKind.TRIGGERED, mc.EventKind.REPRICED):
            self._moves(self.live[own], event, kind)
            self._now(own, int(event["left"]), 0)
        elif kind == mc.EventKind.DECREMENTED:
            self._now(own, int(event["left"]), 0)
        elif kind == mc.EventKind.DAY_ENDED:
            self.made["phases"].append({
                **self.key, "kind": kind, "instrument": number, "orders": int(event["quantity"]),
                "time_ns": self.time,
            })  # fmt: skip
        elif kind in INSTRUMENT_EVENTS:
            self._instrument(number)
        elif kind in MARKET_TABLES:
            self._of_market(MARKET_TABLES[kind], event)

    def _moves(self, order: dict[str, Any], event: NDArray, kind: int) -> None:
        order["price_ticks"] = price_of(order["order_type"], event)
        if kind == mc.EventKind.TRIGGERED:
            order["triggered_seq"] = self.seq
        elif self.command["kind"] == mc.Kind.AMEND and kind == mc.EventKind.AMENDED:
            if self.command["flags"] & Flag.NEW_STOP:
                order["stop_ticks"] = int(self.command["stop_price"])
            if self.command["flags"] & Flag.NEW_DISPLAY:
                order["display_quantity"] = int(self.command["display_quantity"])

    def _of_market(self, table: str, event: NDArray) -> None:
        """A row of what a market is from now on, or of a trade that does not count."""
        given = np.frombuffer(self.command.tobytes(), PARAMETER)[0]
        same_seq = [row for row in self.made[table] if row["seq"] == self.seq]
        number = int(event["instrument"])
        values = {
            **self.key, "n": len(same_seq), "instrument": number,
            "instrument_seq": self.version[number], "time_ns": self.time,
            "price_ticks": int(event["price"]), "quantity": int(event["quantity"]),
            "phase": int(event["left"]), "former": int(event["taker_left"]),
            "reason": int(event["reason"]), "imbalance": int(event["left"]),
            "trade_id": int(event["trade_id"]), "parameter": int(given["parameter"]),
            "place": int(given["index"]),
            **{f"value{n}": int(given[f"value{n}"]) for n in range(1, 9)},
        }  # fmt: skip
        self.made[table].append({name: values[name] for name in TABLES[table].columns})

    def _instrument(self, number: int) -> None:
        one = read_instrument(np.frombuffer(self.command.tobytes(), mc.INSTRUMENT)[0])
        self.version[number] = self.seq
        mantissa, exponent = one.tick_parts
        self.made["instruments"].append({
            **self.key, "number": number, "symbol": one.symbol.encode(),
            "tick_mantissa": mantissa, "tick_exponent": exponent, "lot": one.lot,
            "max_quantity": one.max_quantity, "max_orders": one.max_orders, "time_ns": self.time,
        })  # fmt: skip

    def _accepted(self, event: NDArray) -> dict[str, Any]:
        number, size = int(event["instrument"]), int(event["quantity"])
        names = ("order_id", "client_order_id", "account", "side")
        terms = {name: int(self.command[name]) for name in ("order_type", "time_in_force", "flags")}
        stop, display = int(self.command["stop_price"]), int(self.command["display_quantity"])
        if self.command["kind"] == mc.Kind.QUOTE:
            terms = {"order_type": mc.OrderType.LIMIT, "time_in_force": mc.TimeInForce.DAY,
                     "flags": int(Flag.QUOTED)}  # fmt: skip
            display = 0
        if terms["order_type"] not in (mc.OrderType.STOP, mc.OrderType.STOP_LIMIT):
            stop = 0
        if terms["flags"] & Flag.LINKED:
            display = 0
        return {
            **self.key, "instrument": number, "instrument_seq": self.version[number],
            **{name: int(event[name]) for name in names},
            **terms, "stop_ticks": stop, "display_quantity": display,
            "expiry_ns": int(self.command["expiry"]), "triggered_seq": 0,
            "price_ticks": price_of(terms["order_type"], event),
            "quantity": size, "filled": 0, "filled_wraps": 0,
            "open_quantity": size, "status": 0, "reason": 0, "accepted_ns": self.time,
            "changed_ns": self.time, "changed_seq": self.seq,
        }  # fmt: skip

    def _now(self, own: tuple[int, int], left: int, ended: int) -> None:
        order = self.live[own]
        order.update(open_quantity=left, changed_ns=self.time, changed_seq=self.seq)
        if left == 0:
            order["status"] = ended
            self.made["orders"].append(self.live.pop(own))

    def _traded(self, event: NDArray, maker: dict[str, Any], taker: dict[str, Any]) -> None:
        number, size = int(event["instrument"]), int(event["quantity"])
        n = sum(one["seq"] == self.seq for one in self.made["trades"][-200:])
        trade = {
            **self.key, "n": n, "trade_id": int(event["trade_id"]), "instrument": number,
            "instrument_seq": self.version[number], "price_ticks": int(event["price"]),
            "quantity": size, "aggressor": taker["side"], "time_ns": self.time,
        }  # fmt: skip
        crossed = self.moved != (number, taker["order_id"])
        if crossed:
            trade["aggressor"] = 0
        for at, (name, order, left) in enumerate(
            (("maker", maker, "left"), ("taker", taker, "taker_left"))
        ):
            trade[f"{name}_seq"] = order["seq"]
            trade[f"{name}_order_id"] = order["order_id"]
            trade[f"{name}_account"] = order["account"]
            self.made["executions"].append({
                **trade, "n": 2 * n + at, "order_seq": order["seq"],
                "liquidity": 3 if crossed else at + 1,
                **{key: order[key] for key in ("order_id", "client_order_id", "account", "side")},
                "open_quantity": int(event[left]),
            })  # fmt: skip
            wide = order["filled"] + order["filled_wraps"] * 2**63 + size
            order["filled_wraps"], order["filled"] = divmod(wide, 2**63)
            self._now((number, order["order_id"]), int(event[left]), 1)
        self.made["trades"].append(trade)
        self._bar(trade)

    def _bar(self, trade: dict[str, Any]) -> None:
        day, price = trade["time_ns"] // DAY, trade["price_ticks"]
        bar = self.bars.setdefault((trade["instrument_seq"], day), {
            **self.key, "instrument": trade["instrument"], "day": day,
            "instrument_seq": trade["instrument_seq"], "open_ticks": price, "high_ticks": price,
            "low_ticks": price, "volume": 0, "volume_wraps": 0, "trades": 0,
        })  # fmt: skip
        bar["high_ticks"] = max(bar["high_ticks"], price)
        bar["low_ticks"] = min(bar["low_ticks"], price)
        bar["close_ticks"] = price
        wide = bar["volume"] + bar["volume_wraps"] * 2**63 + trade["quantity"]
        bar["volume_wraps"], bar["volume"] = divmod(wide, 2**63)
        bar["trades"] += 1
