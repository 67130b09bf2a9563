"""Orders of 64 sessions over OUCH, beside JSON lines over asyncio's streams and `AsyncEngine`.

And how long answers over OUCH take when orders come at a fixed rate, whatever is answered.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

SESSIONS = (1, 64)
CHECKOUT = Path(__file__).parents[2]
NAMES = {"ouch": "OUCH", "json": "JSON lines, asyncio streams, AsyncEngine"}
PACES, PACED_SECONDS = (10_000, 25_000, 50_000, 100_000), 30
SHARES = {"ouch": 5, "json": 50}  # of the count: so that a run takes a second or some


def groups(count: int) -> Iterator[list[tuple[Any, ...]]]:
    for sessions in SESSIONS:
        yield [
            (f"{sessions} sessions, policy sync: {name}",
             partial(rate, way, sessions, max(1, count // SHARES[way] // sessions)), "thousand/s")
            for way, name in NAMES.items()
        ]  # fmt: skip
    for pace in PACES:
        took: dict[str, float] = {}
        yield [
            (f"{SESSIONS[-1]} sessions, {pace:,} orders/s: OUCH, {percent}",
             partial(wait, took, pace, percent), "ms")
            for percent in ("p50", "p99")
        ]  # fmt: skip


def rate(way: str, sessions: int, each: int) -> float:
    """Thousand orders a second whose durable answers the clients have read."""
    seconds = _run(way, sessions, "clients", way, sessions, each)["seconds"]
    return sessions * each / seconds / 1e3


def wait(took: dict[str, float], pace: int, percent: str) -> float:
    """Milliseconds from the moment at which an order is due to its durable answer.

    ``took``: where a run leaves what the next percentile, of the same run, has.
    """
    if percent not in took:
        sessions = SESSIONS[-1]
        took |= _run("ouch", sessions, "paced", sessions, PACED_SECONDS * pace // sessions, pace)
    return took.pop(percent)


def _run(way: str, sessions: int, client: str, *arguments: object) -> dict[str, float]:
    """What the clients have measured; the port goes before their numbers."""
    with _module("server", way, sessions) as server:
        assert server.stdin is not None and server.stdout is not None
        port = json.loads(server.stdout.readline())["port"]
        ways = [one for one in arguments if isinstance(one, str)]
        numbers = arguments[len(ways) :]
        with _module(client, *ways, port, *numbers) as clients:
            found: dict[str, float] = json.loads(clients.communicate(timeout=300)[0])
        server.stdin.close()
        server.wait(30)
    return found


def _module(name: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"benchmarks.orders.{name}", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
