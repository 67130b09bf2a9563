"""Databases to test with: an exchange, its whole contents, and what the events say of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from flows import flow
from numpy.typing import NDArray

import matchcore as mc
from matchcore.journal import LogReader, identity_of
from matchcore.sinks import SqliteSink, open_sink

WORLD = (mc.Instrument("ONE", "0.01"), mc.Instrument("TWO", "0.5", lot=3, max_quantity=999))
Row = tuple[Any, ...]


def filled(path: Path, seed: int = 1, count: int = 600, step: int = 25, **more: Any) -> Path:
    """An exchange with a random history in many frames, closed."""
    with mc.Engine.open(path, instruments=WORLD, policy="os") as engine:
        commands = flow(seed, count, **more)
        for at in range(0, count, step):
            engine.submit_batch(commands[at : at + step])
    return path


def logged(path: Path) -> tuple[NDArray, NDArray]:
    """Every command of a log, and the events of a fresh machine."""
    with LogReader(path) as reader:
        commands = np.concatenate([frame.commands for frame in reader.read()])
    return commands, mc.Machine().apply(commands)


def sink_of(exchange: Path, database: Path) -> SqliteSink:
    sink = open_sink(f"sqlite:///{database}", identity_of(exchange))
    assert isinstance(sink, SqliteSink)
    return sink


def followed(exchange: Path, database: Path) -> Path:
    with mc.Follower(exchange, sink_of(exchange, database)) as follower:
        follower.run()
    return database


def rows(database: Path, query: str) -> list[Row]:
    with closing(sqlite3.connect(database)) as db:
        return db.execute(query).fetchall()


def dumped(database: Path) -> list[str]:
    """The whole database as SQL, and that SQLite finds it sound."""
    with closing(sqlite3.connect(database)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return list(db.iterdump())


def signed(value: object) -> int:
    number = int(value)  # type: ignore[call-overload]
    return number - 2**64 if number >= 2**63 else number


def ticks_of(commands: NDArray, events: NDArray) -> Iterator[tuple[NDArray, NDArray, Decimal]]:
    """Each event with its command and the tick that its instrument has at that moment."""
    ticks: dict[int, Decimal] = {}
    for event in events:
        command = commands[int(event["sequence"]) - 1]
        number = int(event["instrument"])
        if event["kind"] in (mc.EventKind.INSTRUMENT_ADDED, mc.EventKind.INSTRUMENT_CHANGED):
            exponent = int(command.tobytes() and _parts(command)[1])
            ticks[number] = Decimal(_parts(command)[0]).scaleb(exponent)
        yield event, command, ticks.get(number, Decimal(0))


def _parts(command: NDArray) -> tuple[int, int]:
    row = np.frombuffer(command.tobytes(), mc.INSTRUMENT)[0]
    return int(row["tick_mantissa"]), int(row["tick_exponent"])


def expected_trades(commands: NDArray, events: NDArray) -> list[Row]:
    """Rows of `trades` from the events alone; prices as numbers."""
    made = []
    for event, command, tick in ticks_of(commands, events):
        if event["kind"] == mc.EventKind.TRADED:
            made.append((
                int(event["trade_id"]), int(event["sequence"]), int(event["instrument"]),
                int(event["price"]), int(event["price"]) * tick, int(event["quantity"]),
                2 if event["side"] == 1 else 1,
                *(signed(event[name]) for name in
                  ("order_id", "account", "taker_order_id", "taker_account")),
                int(command["time"]),
            ))  # fmt: skip
    return made


def expected_orders(commands: NDArray, events: NDArray) -> list[Row]:
    """Rows of `orders` from the events alone, order by order; prices as numbers or None."""
    done: list[dict[str, Any]] = []
    live: dict[tuple[int, int], dict[str, Any]] = {}
    for event, command, tick in ticks_of(commands, events):
        kind, book, now = int(event["kind"]), int(event["instrument"]), int(command["time"])
        key = book, int(event["order_id"])
        if kind == mc.EventKind.ACCEPTED:
            live[key] = _accepted(event, command, tick)
            done.append(live[key])
        elif kind == mc.EventKind.TRADED:
            for id_name, left_name in (("order_id", "left"), ("taker_order_id", "taker_left")):
                order = live[book, int(event[id_name])]
                order["filled"] += int(event["quantity"])
                _now(order, int(event[left_name]), now, "filled")
        elif kind == mc.EventKind.CANCELLED:
            _now(live[key], 0, now, "cancelled")
        elif kind == mc.EventKind.AMENDED:
            live[key].update(price_ticks=int(event["price"]), price=int(event["price"]) * tick)
            _now(live[key], int(event["left"]), now, "")
    return [tuple(order.values()) for order in done]


def _accepted(event: NDArray, command: NDArray, tick: Decimal) -> dict[str, Any]:
    limit = command["order_type"] == mc.OrderType.LIMIT
    names = ("order_id", "client_order_id", "account", "side")
    return {
        "sequence": int(event["sequence"]),
        "instrument": int(event["instrument"]),
        **{name: signed(event[name]) for name in names},
        "order_type": int(command["order_type"]),
        "time_in_force": int(command["time_in_force"]),
        "price_ticks": int(event["price"]),
        "price": int(event["price"]) * tick if limit else None,
        "quantity": int(event["quantity"]),
        "filled": 0,
        "left": int(event["quantity"]),
        "status": "open",
        "accepted_ns": int(command["time"]),
        "changed_ns": int(command["time"]),
    }


def _now(order: dict[str, Any], left: int, time: int, ended: str) -> None:
    order.update(left=left, changed_ns=time)
    if left == 0:
        order["status"] = ended


def numbered(found: list[Row], at: int) -> list[Row]:
    """Rows with the text of the price at a column as the number it is, None if empty."""
    return [(*r[:at], Decimal(r[at]) if r[at] else None, *r[at + 1 :]) for r in found]
