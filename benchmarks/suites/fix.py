"""FIX orders through the door and the engine, beside an acceptor of QuickFIX that keeps no book."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks.fixing import free_port, rate, started

FEW, MANY = 1, 16


def groups(count: int) -> Iterator[list[tuple[Any, ...]]]:
    orders = max(1000, count // 10)
    yield [
        (f"{sessions} sessions: {name}", partial(measured, what, sessions, share), "orders/s")
        for sessions in (FEW, MANY)
        for name, what, share in (
            ("FIX, policy sync", "sync", orders),
            ("FIX, policy os", "os", orders),
            ("QuickFIX acceptor, files, no book", "quickfix", max(1000, orders // 20)),
        )
    ]


def measured(what: str, sessions: int, orders: int) -> float:
    """Orders a second that a fresh server answers."""
    users = [f"USER{number}" for number in range(sessions)]
    port = free_port()
    arguments = ["quickfix"] if what == "quickfix" else ["matchcore"]
    policy = [] if what == "quickfix" else [what]
    server = started("benchmarks.fixing", *arguments, str(port), ",".join(users), *policy)
    try:
        return asyncio.run(rate(port, users, max(1, orders // sessions)))
    finally:
        assert server.stdin is not None
        server.stdin.close()
        server.wait(30)
