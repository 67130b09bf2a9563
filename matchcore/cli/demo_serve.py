"""`matchcore demo --serve`: the sample day's orders over all protocols, while processes die."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.engine import Engine
from ..engine.recovery import apply
from ..importers import sample_day, source_of
from ..journal import LogReader, batches
from ..machine import machine_class
from ..records.instruments import Instrument
from ..records.schema import Kind, OrderType, ReportKind, Side

#: The sessions: user, protocol.
SESSIONS = (("c1", "ouch"), ("c2", "fix44"), ("c3", "web"), ("c4", "ouch"), ("c5", "fix50"),
            ("c6", "web"))  # fmt: skip
NAMES = {"ouch": "OUCH", "fix44": "FIX 4.4", "fix50": "FIX 5.0 SP2", "web": "HTTP and WebSocket"}
RATE = 400.0  # orders a second
UNITS = 10_000  # in a price of 1
TAG = "day-"  # that client order ids begin with, where they are texts
PASSWORD = "demo-day"  # of an exchange that nobody else reaches


class Steps:
    """What is done to the exchange when so many orders have been answered."""

    def __init__(self, steps: list[tuple[int, str, Callable[[], None]]],
                 say: Callable[[str], None]) -> None:  # fmt: skip
        self._steps, self._say = steps, say
        self.done = 0

    def look(self, answered: int) -> None:
        """Does what is due."""
        while self._steps and answered >= self._steps[0][0]:
            _, what, act = self._steps.pop(0)
            self._say(what)
            act()
            self.done += 1


def run_serve(place: Path, count: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Everything; ``count``: of orders.  Every claim in the result is computed from the log."""
    from ..drills.processes import HOST
    from ..traffic.flow import Script
    from ..traffic.processes import BALANCER, Exchange, User
    from ..traffic.running import run_load
    from ..traffic.session import Account, Target

    source = source_of("bme", sample_day())
    orders = _orders(source.instruments, count)
    users = [User(name, PASSWORD, n, n) for n, (name, _) in enumerate(SESSIONS, 1)]
    say(f"1. an exchange with {len(users)} users; an engine, two gateways with two lines each")
    exchange = Exchange(place, source.instruments, users)
    shares = [orders[at :: len(SESSIONS)] for at in range(len(SESSIONS))]
    names = [one.symbol for one in source.instruments]
    script = Script(tuple(names), [_scripted(share, source.instruments) for share in shares])
    balanced = exchange.balancer is not None
    try:
        exchange.start()
        say(
            f"2. {count:,} orders of the sample day over {', '.join(NAMES.values())} at once, "
            + (f"through {BALANCER}" if balanced else f"without {BALANCER}, which is not installed")
        )
        targets = {
            protocol: Target(HOST, ports[0], also=tuple(ports[1:]), tag=TAG)
            for protocol in NAMES
            for ports in [exchange.ports["fix" if "fix" in protocol else protocol]]
        }  # fmt: skip
        steps = Steps(_steps(exchange, count), say)
        result = run_load(
            targets, [Account(name, PASSWORD, protocol) for name, protocol in SESSIONS], script,
            rate=RATE, seconds=count / RATE, totals=[len(share) for share in shares],
            watch=steps.look,
        )  # fmt: skip
    finally:
        exchange.end()
    counts = result.whole.counts
    return {
        "orders": count,
        **{f"over {NAMES[name]}": part.counts["orders"]
           for name, part in result.by_protocol.items()},
        "answered": counts["accepted"] + counts["refused"],
        "missing": counts["missing"], "answered_twice": counts["twice"],
        "answers_that_do_not_fit": counts["wrong"],
        "fills_told": counts["executions"],
        "connected_again": counts["reconnects"],
        "sent_again": counts["again"],
        "balancer": BALANCER if balanced else None,
        **_checked(exchange.path, shares, result.fine),
    }  # fmt: skip


def _steps(exchange: Any, count: int) -> list[tuple[int, str, Callable[[], None]]]:
    """Kills, each with the number of answers before it."""
    engine = exchange.engine
    found = [(count // 4, "3. SIGKILL to the gateway that serves; clients come back at the other",
              lambda: exchange.serving.kill_and_start())]  # fmt: skip
    if exchange.lines:
        line = exchange.lines[0]
        found.append((count // 2, "4. SIGKILL to the first line of both gateways; they take the"
                      " other one", line.kill_and_start))  # fmt: skip
    found.append((3 * count // 4, f"{len(found) + 3}. SIGKILL to the engine; gateways wait, and"
                  " send again what its log does not have", engine.kill_and_start))  # fmt: skip
    return found


def _orders(instruments: list[Instrument], count: int) -> NDArray[np.void]:
    """The first limit orders of the day, as `COMMAND` rows."""
    source = source_of("bme", sample_day())
    rows = np.concatenate([rows for rows, _ in source.rows(source.instruments)])
    limits = (rows["kind"] == Kind.NEW) & (rows["order_type"] == OrderType.LIMIT)
    first: NDArray[np.void] = rows[limits][:count]
    return first


def _scripted(rows: NDArray[np.void], instruments: list[Instrument]) -> NDArray[np.void]:
    """The same for clients."""
    from ..traffic.flow import ORDER

    ticks = np.array([int(one.tick * UNITS) for one in instruments])
    orders = np.zeros(len(rows), ORDER)
    orders["side"], orders["quantity"] = rows["side"], rows["quantity"]
    orders["symbol"] = rows["instrument"] - 1
    orders["price"] = rows["price"] * ticks[orders["symbol"]]
    return orders


def _checked(path: Path, shares: list[NDArray[np.void]], fine: bool) -> dict[str, Any]:
    """The log, replayed on both machines, and beside the same orders without gateways."""
    from ..gateways.reports import Reports
    from ..traffic.told import places_of

    compiled, plain = machine_class("cython")(), machine_class("reference")()
    reports, told, commands = Reports(), [], []
    with LogReader(path) as reader:
        for batch in batches(reader.read(), 8192):
            told.append(reports.apply(batch.commands, apply(compiled, batch)))
            apply(plain, batch)
            commands.append(batch.commands)
    rows = np.concatenate(told)
    news = rows[np.isin(rows["kind"], (ReportKind.NEW, ReportKind.REJECTED))]
    arrived = [
        (session, int(places_of(row, SESSIONS[session - 1][1], TAG)[0]))
        for row in np.split(news, len(news))
        for session in row["session"].tolist()
    ]
    expected = {(n, place) for n, share in enumerate(shares, 1) for place in range(len(share))}
    once = len(arrived) == len(expected) and set(arrived) == expected
    digests = compiled.digest() == plain.digest()
    books = once and _books_equal(compiled, shares, arrived)
    return {
        "sequence": compiled.sequence,
        "digest": compiled.digest(),
        "each_order_answered_once_in_the_log": once,
        "digests_of_both_machines_equal": digests,
        "books_without_gateways_equal": books,
        "nothing_lost_or_doubled": fine and once and digests and books,
    }


def _books_equal(
    machine: Any, shares: list[NDArray[np.void]], arrived: list[tuple[int, int]]
) -> bool:
    """Whether the day's orders, given to an engine as they arrived, make the same books."""
    source = source_of("bme", sample_day())
    rows = np.concatenate([shares[session - 1][place : place + 1] for session, place in arrived])
    with Engine.memory(instruments=source.instruments) as straight:
        straight.submit_batch(rows)
        return all(
            straight.book(one.symbol).levels(side).tobytes()
            == machine.levels(number, side, None).tobytes()
            for number, one in enumerate(source.instruments, 1)
            for side in Side
        )
