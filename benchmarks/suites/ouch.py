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
PACES, PACED_SECONDS = (50_000, 100_000, 200_000), 10
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
    return sessions * each / _run(way, sessions, each)["seconds"] / 1e3


def wait(took: dict[str, float], pace: int, percent: str) -> float:
    """Milliseconds from the moment at which an order is due to its durable answer.

    ``took``: where a run leaves what the next percentile, of the same run, has.
    """
    if percent not in took:
        took |= _run("ouch", SESSIONS[-1], PACED_SECONDS * pace // SESSIONS[-1], pace)
    return took.pop(percent)


def _run(way: str, sessions: int, each: int, *pace: int) -> dict[str, float]:
    """What the clients have measured."""
    with _module("server", way, sessions) as server:
        assert server.stdin is not None and server.stdout is not None
        port = json.loads(server.stdout.readline())["port"]
        with _module("clients", way, port, sessions, each, *pace) as clients:
            found: dict[str, float] = json.loads(clients.communicate(timeout=300)[0])
        server.stdin.close()
        server.wait(30)
    return found


def _module(name: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"benchmarks.orders.{name}", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
