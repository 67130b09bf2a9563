"""`matchcore demo`: a real trading day with a crash in the middle."""

from __future__ import annotations

import math
import shutil
import signal
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from ..analysis import check_drawable, draw
from ..engine.engine import Engine
from ..engine.follower import Follower
from ..errors import InvalidArgument, InvalidCommand, LogError
from ..importers import sample_day, source_of
from ..records.schema import EventKind
from ..sinks import open_sink
from .demo_market import MARKETS, run_market
from .demo_market import ORDERS as MARKET_ORDERS
from .demo_serve import run_serve
from .demo_web import run_web
from .feed_web import web_outlet
from .options import json_option
from .output import failing_kindly, out, progress_bar, show

MARK = "matchcore-demo"
WEB_PORT = 8080
SERVE_ORDERS, SERVE_ORDERS_MAX = 3000, 10_000
SPEED_MAX = 1e6  # seconds of the day in a second


@click.command()
@click.option(
    "--dir", "place", type=click.Path(file_okay=False, path_type=Path), default=Path("demo.d"),
    show_default=True, help="Working directory; replaces that of an earlier demo.",
)  # fmt: skip
@click.option(
    "--web",
    "port",
    type=click.IntRange(1, 65535),
    is_flag=False,
    flag_value=WEB_PORT,
    metavar="[PORT]",
    help=f"Replay the day into a web page on this port ({WEB_PORT}).",
)
@click.option(
    "--speed",
    type=click.FloatRange(0, SPEED_MAX, min_open=True),
    default=60.0,
    show_default=True,
    help="With --web: seconds of the day in one second.",
)
@click.option("--serve", "serves", is_flag=True,
              help="Send the day's orders through gateways that are killed meanwhile.")  # fmt: skip
@click.option("--market", type=click.Choice(sorted(MARKETS)),
              help="Trade a seeded day of an exchange by name, with its calls.")  # fmt: skip
@click.option("--orders", type=click.IntRange(3, 1_000_000),
              help="Of --serve (3,000, at most 10,000) or --market (20,000).")  # fmt: skip
@json_option
def demo(
    place: Path, port: int | None, speed: float, serves: bool, market: str | None,
    orders: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Trade a real day, kill the engine half-way, recover, and check that nothing is lost.

    \b
    Example:  matchcore demo --dir demo.d
    Exit 0 if nothing was lost or duplicated, 1 otherwise.

    \b
    Example:  matchcore demo --web 8080 --speed 60
    Replays the day into a new exchange, and prints the address of a page that shows its market.
    Ctrl-C ends it, with exit 0.

    \b
    Example:  matchcore demo --market sse
    A day of the Shanghai main board from a seeded flow: opening call, continuous trading, break,
    closing call, trading at the closing price.  The engine is killed in the middle of each call,
    recovers, and must be in the state that it had.

    \b
    Example:  matchcore demo --serve
    Starts an engine, two gateways and haproxy, if that is installed.  Clients send orders of the
    day over OUCH, FIX, HTTP and WebSocket, while the serving gateway, a line and the engine are
    killed.  Then the log is replayed on both machines, and compared with the same orders given to
    an engine without gateways.
    """
    with failing_kindly(as_json):
        if market is not None:
            _fresh(place)
            result = run_market(place, market, orders or MARKET_ORDERS, quiet=as_json)
            show(result, as_json, title=f"Result of the day at {market}")
            raise SystemExit(0 if result["nothing_lost_or_doubled"] else 1)
        if serves:
            _fresh(place)
            orders = min(orders or SERVE_ORDERS, SERVE_ORDERS_MAX)
            result = run_serve(place.resolve(), orders, partial(_say, as_json))
            show(result, as_json, title="Result of the orders")
            raise SystemExit(0 if result["nothing_lost_or_doubled"] else 1)
        if port is not None:
            web_outlet()  # or its extra is missing, which is said before anything is made
            if math.isnan(speed):
                raise InvalidArgument("--speed: nan is no number")
            _fresh(place)
            run_web(place / "exchange.d", port, speed, ready=partial(_opened, as_json))
            return
        result = run_demo(place, quiet=as_json)
    show(result, as_json, title="Result of the day")
    raise SystemExit(0 if result["nothing_lost_or_doubled"] else 1)


def _opened(as_json: bool, said: dict[str, Any]) -> None:
    if as_json:
        show(said, as_json)
    else:
        out.print(
            f"{said['url']} shows {said['commands']:,} commands of the sample day,"
            f" {said['speed']:g} seconds in one; Ctrl-C ends it"
        )
    sys.stdout.flush()


def run_demo(place: Path, *, quiet: bool) -> dict[str, Any]:
    """All steps; every claim in the result is computed from the files that the steps left."""
    exchange, database, picture = place / "exchange.d", place / "day.db", place / "day.png"
    check_drawable(Path(picture.name))  # not after the whole day; its folder is made now
    _fresh(place)
    say = partial(_say, quiet)
    day = sample_day()
    source = source_of("bme", day)
    commands = np.concatenate([commands for commands, _ in source.rows(source.instruments)])

    say(f"1. an uninterrupted run in memory: {len(commands):,} commands")
    with Engine.memory(instruments=source.instruments) as straight:
        expected = straight.submit_batch(commands)
        expected_digest = straight.digest()

    say("2. the same day, order by order, each one synced to disk; SIGKILL half-way")
    acknowledged = _run_child(day, exchange, len(commands), kill_at=len(commands) // 2)

    say("3. recovery")
    with Engine.open(exchange) as engine:
        recovery, recovered = engine.recovery, engine.sequence
        engine.snapshot()
    say(
        f"  {recovery.commands:,} commands in {recovery.seconds * 1000:.0f} ms;"
        f" acknowledged before the kill {acknowledged:,}, recovered {recovered:,},"
        f" torn bytes cut {recovery.cut_bytes:,}"
    )

    say("4. the rest of the day, from the end of the log")
    _run_child(day, exchange, len(commands), kill_at=None)

    say("5. orders and trades into SQLite, and a picture of the day")
    with Engine.open(exchange) as engine:
        digest, sequence, identity = engine.digest(), engine.sequence, engine.identity
    with Follower(exchange, open_sink(f"sqlite:///{database}", identity)) as follower:
        follower.run()
    draw(picture, exchange, source.instruments[0].symbol, timezone=source.importer.timezone)
    return _verdict(
        commands, expected, database,
        acknowledged=acknowledged, recovered=recovered, cut_bytes=recovery.cut_bytes,
        recovery_ms=round(recovery.seconds * 1000, 1), sequence=sequence,
        digests_equal=digest == expected_digest, digest=digest,
        first=len(source.instruments), picture=str(picture),
    )  # fmt: skip


def _say(quiet: bool, text: str) -> None:
    if not quiet:
        out.print(text)


def _verdict(
    commands: NDArray[np.void],
    expected: NDArray[np.void],
    database: Path,
    *,
    acknowledged: int,
    recovered: int,
    sequence: int,
    digests_equal: bool,
    first: int,
    **rest: Any,
) -> dict[str, Any]:
    trades = expected[expected["kind"] == EventKind.TRADED]
    connection = sqlite3.connect(database)
    try:
        rows, distinct, quantity = connection.execute(
            "SELECT count(*), count(DISTINCT trade_id), coalesce(sum(quantity), 0) FROM trades"
        ).fetchone()
    finally:
        connection.close()
    good = (
        digests_equal
        and acknowledged <= recovered
        and sequence == len(commands) + first
        and rows == distinct == len(trades)
        and quantity == int(trades["quantity"].sum())
    )
    return {
        "commands": len(commands),
        "trades": len(trades),
        "traded_quantity": int(trades["quantity"].sum()),
        "acknowledged_before_the_kill": acknowledged,
        "recovered": recovered,
        "last_sequence": sequence,
        "trades_in_sqlite": rows,
        "digests_equal": digests_equal,
        "nothing_lost_or_doubled": good,
        "database": str(database),
        **rest,
    }


def _fresh(place: Path) -> None:
    """An empty working directory; only a demo's own is ever removed."""
    if place.exists():
        if any(place.iterdir()) and not (place / MARK).exists():
            raise InvalidCommand(
                f"{place} holds something that is not a demo: choose another --dir"
            )
        shutil.rmtree(place)
    place.mkdir(parents=True)
    (place / MARK).write_text("made by matchcore demo, and removed by the next one\n")


def _run_child(day: Path, exchange: Path, total: int, *, kill_at: int | None) -> int:
    """Imports in a process of its own; kills it at a sequence; returns the last acknowledged."""
    arguments = [sys.executable, "-m", "matchcore", "import", "bme", str(day), str(exchange)]
    arguments += ["--batch", "1", "--echo"]
    last = 0
    with (
        subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as child,
        progress_bar("  trading", total) as progress,
    ):
        assert child.stdout is not None
        for line in child.stdout:
            if not line.strip().isdigit():
                continue
            progress(int(line) - last)
            last = int(line)
            if kill_at is not None and last >= kill_at:
                child.kill()
    wanted = 0 if kill_at is None else -signal.SIGKILL
    if child.returncode != wanted:
        raise LogError(f"the exchange process ended with {child.returncode}, not {wanted}")
    return last
