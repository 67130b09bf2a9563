"""An instrument moves to another engine, between days, by commands in both logs.

Each step is one batch, and a step that is done is seen in the logs: a move that was cut off is
finished by calling it again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..engine.engine import Engine
from ..errors import ShardError
from ..machine import machine_class
from ..records.codec import pack
from ..records.commands import COMMAND
from ..records.ids import id_of
from ..records.instruments import Instrument
from ..records.market import Market
from ..records.order_faces import MassCancel
from ..records.schema import DAY_TIFS, EventKind, Field, Kind, OrderType, Reason
from ..records.typed import AddInstrument, ChangeInstrument, Command
from .market import check_leaving, closing, opening
from .standing import Standing, State, book_digest, standing

ORDERS_STEP = 4096  # of one batch


@dataclass(frozen=True, slots=True)
class Moved:
    """A move that is done.

    ``orders``: that rest in the book; ``digest``: of the book, equal on both engines, hexadecimal;
    ``moves``: how often the instrument has moved by now.
    """

    symbol: str
    origin: str
    to: str
    orders: int
    digest: str
    moves: int


def move(source: Engine, target: Engine, symbol: str, *, origin: str, to: str) -> Moved:
    """Moves an instrument and its resting orders; returns when both logs have it.

    The orders keep ids, accounts, client order ids, sessions, and their places in the queue.
    ``source``, ``target``: the engines; ``symbol``: of the instrument; ``origin``, ``to``: names of
    the two shards.  Nobody else may send commands to either engine.
    Sessions are told by the old shard that the orders are cancelled (MASS_CANCEL), and by the new
    one that they are new.  Limits of accounts for this instrument go along, and its market with the
    protections of its market makers; the price of the last trade and the repeat window do not.

    `ShardError` if DAY orders rest (end the day first), if a market is not closed or has other than
    limit orders that are GTC and show all, if the instrument is not on the source, or if the target
    refuses an order: then it is still on the source, and once the cause is removed
    the same call goes on.
    """
    here, there = standing(source, symbol), standing(target, symbol)
    if here.state == State.LEFT and there.state == State.HERE and there.moves == here.moves:
        return Moved(symbol, origin, to, _count(target, symbol), here.digest.hex(), here.moves)
    orders, instrument = _to_move(source, symbol, here, origin)
    moves, digest = here.moves + 1, book_digest(instrument, orders)
    arrived = Standing(State.HERE, moves, origin, digest)
    if there != arrived:
        arriving = Standing(State.ARRIVING, moves, origin, digest)
        number = _number(target, symbol)
        first = _first(target, instrument, there, arriving, to)
        if first:  # in the same batch
            first = [np.concatenate([first[0], opening(source, target, symbol, number, to)])]
        rest = _orders(
            source, target, symbol, orders if first else _missing(target, symbol, orders)
        )
        market = closing(source, symbol, number)
        _rehearse(source, target, [*first, *rest, market], instrument, digest, to)
        for commands in [*first, *rest]:
            _send(target, commands)
        limits = [one for one in source.limits() if one.symbol == symbol]
        last = _packed(target, [*limits, arrived.entry(number)])
        _send(target, np.concatenate([market, last]))
    left = Standing(State.LEFT, moves, to, digest).entry(source.instruments.number(symbol))
    _send(source, _packed(source, [MassCancel(symbol), left]))
    return Moved(symbol, origin, to, len(orders), digest.hex(), moves)


def _count(engine: Engine, symbol: str) -> int:
    return len(engine.book(symbol).orders())


def _to_move(
    source: Engine, symbol: str, here: Standing, origin: str
) -> tuple[NDArray[np.void], Instrument]:
    """The resting orders, if the instrument may leave."""
    if here.state != State.HERE:
        where = f": it left for {here.other}" if here.state == State.LEFT else ""
        raise ShardError(f"{symbol} is not on the shard {origin}{where}")
    orders = source.book(symbol).orders()
    if np.isin(orders["time_in_force"], sorted(DAY_TIFS)).any():
        raise ShardError(f"{symbol} has orders of the day on the shard {origin}: end its day first")
    check_leaving(source, symbol, origin)
    return orders, source.instruments[symbol]


def _number(engine: Engine, symbol: str) -> int:
    """Of an instrument, also of the one that is added next."""
    if engine.instruments.get(symbol) is None:
        return len(engine.instruments) + 1
    return engine.instruments.number(symbol)


def _first(
    target: Engine, instrument: Instrument, there: Standing, arriving: Standing, to: str
) -> list[NDArray[np.void]]:
    """The batch that brings the instrument without orders, and a mark that it is not here yet."""
    if there == arriving:  # a move that was cut off
        return []
    symbol, number = instrument.symbol, _number(target, instrument.symbol)
    if there.state == State.HERE or there.moves > arriving.moves:
        raise ShardError(f"the shard {to} has an instrument {symbol} of its own")
    if there.state == State.ABSENT:
        return [_packed(target, [AddInstrument(instrument), arriving.entry(number)])]
    emptied = MassCancel(symbol)  # of a move that was cut off, and a book that changed since
    return [_packed(target, [emptied, ChangeInstrument(instrument), arriving.entry(number)])]


def _missing(target: Engine, symbol: str, orders: NDArray[np.void]) -> NDArray[np.void]:
    """What a move that was cut off has not entered yet: those behind the others."""
    there = target.book(symbol).orders()["order_id"]
    return orders[~np.isin(orders["order_id"], there)]


def _orders(
    source: Engine, target: Engine, symbol: str, orders: NDArray[np.void]
) -> list[NDArray[np.void]]:
    """Batches that enter orders, in the order in which they trade."""
    records = np.zeros(len(orders), COMMAND)
    for name in ("order_id", "client_order_id", "account", "price", "quantity", "side",
                 "time_in_force", "flags"):  # fmt: skip
        records[name] = orders[name]
    records["kind"], records["order_type"] = Kind.NEW, OrderType.LIMIT
    records["instrument"] = _number(target, symbol)
    sessions = _sessions(source, symbol, orders)
    for row, order_id in zip(records, orders["order_id"].tolist(), strict=True):
        row["session"], row["client_order_tail"] = sessions.get(order_id, (0, 0))
    return [records[at : at + ORDERS_STEP] for at in range(0, len(records), ORDERS_STEP)]


def _sessions(source: Engine, symbol: str, orders: NDArray[np.void]) -> dict[int, tuple[int, int]]:
    """Session and client order tail by order id, which the log knows and the book does not."""
    found = {}
    for account in np.unique(orders["account"]).tolist():
        for order in source.open_orders(account):
            if order.symbol == symbol and order.client_order_id:
                tail = id_of(order.client_order_id)[1]
                found[order.order_id] = (order.session, tail)
            elif order.symbol == symbol:
                found[order.order_id] = (order.session, 0)
    return found


def _rehearse(
    source: Engine,
    target: Engine,
    batches: list[NDArray[np.void]],
    instrument: Instrument,
    digest: bytes,
    to: str,
) -> None:
    """`ShardError` unless these commands will make the same book: tried on a copy."""
    machine = machine_class("cython").from_state(target.state())
    number = _number(target, instrument.symbol)
    for commands in batches:
        _check(machine.apply(commands, None, time.time_ns()), instrument.symbol, to)
    mine, theirs = source.market(instrument.symbol), machine.market(number)
    same = (mine is None) == (theirs is None)
    if mine is not None and theirs is not None:
        same = mine == Market.of_rows(theirs[0], instrument)
    if not same or book_digest(instrument, machine.orders(number)) != digest:
        raise ShardError(
            f"{instrument.symbol}: its book on the shard {to} would not be the one on its own; it"
            " has not moved"
        )


def _check(events: NDArray[np.void], symbol: str, to: str) -> None:
    """`ShardError` for a command that did not do what it says."""
    kinds = events["kind"]
    for event in events[(kinds == EventKind.REJECTED) | (kinds == EventKind.REPEATED)]:
        what = f"{symbol} has not moved: its order {int(event['order_id'])}"
        if event["kind"] == EventKind.REPEATED:
            raise ShardError(
                f"{symbol} has not moved: the shard {to} remembers client order id"
                f" {int(event['client_order_id'])} of account {int(event['account'])}, and would"
                " take its order for a repeat. Move it when that shard has forgotten the id, or"
                " cancel the order"
            )
        reason, field = Reason(int(event["reason"])), Field(int(event["field"]))
        raise ShardError(f"{what} would be refused by the shard {to}: {reason.name}, {field.name}")


def _packed(engine: Engine, commands: Sequence[Command]) -> NDArray[np.void]:
    """As one batch: the log has all of it, or nothing."""
    records = b"".join(pack(one, engine.instruments) for one in commands)
    found: NDArray[np.void] = np.frombuffer(records, COMMAND)
    return found


def _send(engine: Engine, commands: NDArray[np.void]) -> None:
    events = engine.submit_batch(commands)
    for event in events[events["kind"] == EventKind.REJECTED]:
        raise ShardError(f"a command of the move was refused: {Reason(int(event['reason'])).name}")
