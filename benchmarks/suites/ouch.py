"""Orders of 64 sessions over OUCH, beside JSON lines over asyncio's streams and `AsyncEngine`."""

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
SHARES = {"ouch": 5, "json": 50}  # of the count: so that a run takes a second or some


def groups(count: int) -> Iterator[list[tuple[Any, ...]]]:
    for sessions in SESSIONS:
        yield [
            (f"{sessions} sessions, policy sync: {name}",
             partial(rate, way, sessions, max(1, count // SHARES[way] // sessions)), "thousand/s")
            for way, name in NAMES.items()
        ]  # fmt: skip


def rate(way: str, sessions: int, each: int) -> float:
    """Thousand orders a second whose durable answers the clients have read."""
    with _module("server", way, sessions) as server:
        assert server.stdin is not None and server.stdout is not None
        port = json.loads(server.stdout.readline())["port"]
        with _module("clients", way, port, sessions, each) as clients:
            seconds = json.loads(clients.communicate(timeout=300)[0])["seconds"]
        server.stdin.close()
        server.wait(30)
    return sessions * each / float(seconds) / 1e3


def _module(name: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"benchmarks.orders.{name}", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
