"""`matchcore demo --market`: a whole day of an exchange by name, with its calls and two kills."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import markets
from .._children import environment
from ..analysis import check_drawable, draw
from ..engine.engine import Engine
from ..engine.follower import Follower
from ..errors import LogError
from ..records.events import fresh
from ..records.schema import CALL_PHASES, EventKind, Kind, OrderType, Phase
from ..sinks import open_sink
from ..traffic.market_stream import commands_of
from ..venues import VenueDay
from .output import out, progress_bar

Array = NDArray[Any]
#: name of a market -> what makes its day: board, date and price before it.
MARKETS: dict[str, Callable[[], VenueDay]] = {
    "sse": partial(markets.sse, "main", on="2026-11-27", previous_close="18.08"),
    "star": partial(markets.star, on="2026-11-27", previous_close="52.30"),
    "szse": partial(markets.szse, "main", on="2026-11-27", previous_close="12.40"),
    "chinext": partial(markets.chinext, on="2026-11-27", previous_close="24.75"),
    "bse": partial(markets.bse, on="2026-11-27", previous_close="9.60"),
}
SYMBOL = "DEMO"
ORDERS = 20_000
SEED = 20_261_127
_BATCH = 64


def run_market(place: Path, name: str, orders: int, *, quiet: bool) -> dict[str, Any]:
    """All steps; every claim in the result is computed from the files that the steps left."""
    exchange, picture, stored = place / "exchange.d", place / "day.png", place / "day.commands"
    check_drawable(picture)
    day = MARKETS[name]()
    say = partial(_say, quiet)
    stream, _ = commands_of(day, day.instrument(SYMBOL), SEED, orders)
    stream.tofile(stored)

    say(f"1. {day.venue} {day.board} on {day.on}, {len(stream):,} commands: straight, in memory")
    with Engine.memory() as straight:
        expected = straight.submit_batch(stream)
        expected_digest = straight.digest()

    kills = _middles_of_calls(stream)
    say(f"2. the same day on disk; SIGKILL in the middle of {len(kills)} calls")
    recovered = [_killed(exchange, stored, stream, at, say) for at in kills]
    _child(exchange, stored, len(stream), None)

    say("3. orders and trades into SQLite, and a picture of the day")
    database = place / "day.db"
    with Engine.open(exchange) as engine:
        digest, identity = engine.digest(), engine.identity
    with Follower(exchange, open_sink(f"sqlite:///{database}", identity)) as follower:
        follower.run()
    draw(picture, exchange, SYMBOL, timezone=day.timezone)
    result = _verdict(day, stream, fresh(expected), database, all(recovered))
    good = result["nothing_lost_or_doubled"] and digest == expected_digest
    return result | {
        "kills_in_calls": len(kills),
        "digests_equal": digest == expected_digest,
        "digest": digest,
        "nothing_lost_or_doubled": good,
        "picture": str(picture),
    }


def _say(quiet: bool, text: str) -> None:
    if not quiet:
        out.print(text)


def _middles_of_calls(stream: Array) -> list[int]:
    """Sequences in the middle of the orders of the calls of a day."""
    phases = np.flatnonzero(stream["kind"] == Kind.SET_PHASE)
    found = []
    for at, end in zip(phases.tolist(), [*phases[1:].tolist(), len(stream)], strict=True):
        orders = np.flatnonzero(stream["kind"][at:end] == Kind.NEW) + at
        # side is where a SET_PHASE has its phase
        if int(stream["side"][at]) in CALL_PHASES and len(orders) > 1:
            found.append(int(orders[len(orders) // 2]) + 1)
    return found


def _killed(
    exchange: Path, stored: Path, stream: Array, kill_at: int, say: Callable[[str], None]
) -> bool:
    """Trades up to a sequence, is killed, and recovers; true if it is in the state of then."""
    acknowledged = _child(exchange, stored, len(stream), kill_at)
    with Engine.open(exchange) as engine:
        sequence, digest = engine.sequence, engine.digest()
        told = engine.indicative(SYMBOL)
    with Engine.memory() as straight:
        straight.submit_batch(stream[:sequence])
        same = straight.digest() == digest
    price = "no price yet" if told is None else f"the call at {told.price} for {told.quantity:,}"
    say(f"  killed at {acknowledged:,}, recovered {sequence:,}: {price}; the same state: {same}")
    return same and sequence >= acknowledged


def _child(exchange: Path, stored: Path, total: int, kill_at: int | None) -> int:
    """Submits what is stored in a process of its own; returns the last sequence it answered."""
    arguments = [sys.executable, "-m", "matchcore.cli.demo_market", str(exchange), str(stored)]
    last = 0
    with (
        subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment()) as child,
        progress_bar("  trading", total) as progress,
    ):
        assert child.stdout is not None
        for line in child.stdout:
            progress(int(line) - last)
            last = int(line)
            if kill_at is not None and last >= kill_at:
                child.kill()
    wanted = 0 if kill_at is None else -signal.SIGKILL
    if child.returncode != wanted:
        raise LogError(f"the exchange process ended with {child.returncode}, not {wanted}")
    return last


def _trade(exchange: Path, stored: Path) -> None:
    """What the child does: the rest of the day, a few commands at a time."""
    from ..records.commands import COMMAND

    stream = np.fromfile(stored, COMMAND)
    with Engine.open(exchange) as engine:
        for at in range(engine.sequence, len(stream), _BATCH):
            engine.submit_batch(stream[at : at + _BATCH])
            print(engine.sequence, flush=True)


def _verdict(
    day: VenueDay, stream: Array, expected: Array, database: Path, recovered: bool
) -> dict[str, Any]:
    """What happened, and whether the database has each trade once."""
    trades = expected[expected["kind"] == EventKind.TRADED]
    connection = sqlite3.connect(database)
    try:
        rows, distinct, quantity = connection.execute(
            "SELECT count(*), count(DISTINCT trade_id), coalesce(sum(quantity), 0) FROM trades"
        ).fetchone()
    finally:
        connection.close()
    kinds = np.unique(stream["order_type"][stream["kind"] == Kind.NEW])
    return {
        "market": f"{day.venue} {day.board}",
        "day": str(day.on),
        "commands": len(stream),
        "order_types": [OrderType(int(kind)).name for kind in kinds],
        "refused": int((expected["kind"] == EventKind.REJECTED).sum()),
        "trades": len(trades),
        "traded_quantity": int(trades["quantity"].sum()),
        **_auctions(day, expected),
        "trades_in_sqlite": rows,
        "nothing_lost_or_doubled": recovered
        and rows == distinct == len(trades)
        and quantity == int(trades["quantity"].sum()),
    }


def _auctions(day: VenueDay, expected: Array) -> dict[str, Any]:
    """Prices and volumes of the opening and the closing call."""
    changed = expected[expected["kind"] == EventKind.PHASE_CHANGED]
    traded = changed[changed["quantity"] > 0]
    price = day.instrument(SYMBOL).price
    found: dict[str, Any] = {}
    for row in traded:
        before = int(row["taker_left"])
        name = "closing" if before == Phase.CLOSING_CALL else "opening"
        found[f"{name}_price"] = str(price(int(row["price"])))
        found[f"{name}_quantity"] = int(row["quantity"])
    return found


if __name__ == "__main__":
    _trade(Path(sys.argv[1]), Path(sys.argv[2]))
