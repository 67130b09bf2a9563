"""Market data to 1, 100 and 1,000 subscribers, beside what a user would build instead."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from matchcore.bench.latency import Taken

from ..fanout import delay, market

SUBSCRIBERS = (1, 100, 1000)
#: Messages for each subscriber: so that a run takes a second or some.
MESSAGES = {
    "feed": {1: 150_000, 100: 60_000, 1000: 6_000},
    "bare": {1: 150_000, 100: 60_000, 1000: 6_000},
    "websockets": {1: 40_000, 100: 1_500, 1000: 150},
}
NAMES = {"feed": "the feed", "bare": "a bare protocol, the same bytes",
         "websockets": "websockets, a broadcast loop"}  # fmt: skip


def groups(orders: int) -> Iterator[list[tuple[Any, ...]]]:
    """The market is always the same: `orders`, of the neutral workload, changes nothing."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "exchange"
        market.make(path)
        for many in SUBSCRIBERS:
            yield [
                (f"{many} subscribers, {name}", partial(delivered, way, path, many), "thousand/s")
                for way, name in NAMES.items()
            ]
        yield [*_delays(Path(directory))]


def _delays(directory: Path) -> Iterator[tuple[Any, ...]]:
    """From the durable answer to the bytes at one of a hundred subscribers."""
    number = count()
    taken = Taken(lambda: delay.nanoseconds(directory / str(next(number)), 100))
    what = f"100 subscribers, {delay.RATE:,} changes/s"
    yield f"{what}, p50", partial(taken.at, 50), "us"
    yield f"{what}, p99", partial(taken.last, 99), "us"


def delivered(way: str, path: Path, many: int) -> float:
    """Thousand messages a second that all subscribers together have read."""
    most = MESSAGES[way][many]
    with module("server", way, path, many, most) as server:
        assert server.stdout is not None
        port = json.loads(server.stdout.readline())["port"]
        with module("clients", port, many, "ask" if way == "feed" else "no") as clients:
            started = json.loads(server.stdout.readline())["started"]
            sent = json.loads(server.stdout.readline())["sent"]
            ended = json.loads(clients.communicate(timeout=120)[0])["ended"]
    return float(sent * many / (ended - started) / 1e3)


def module(name: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"benchmarks.fanout.{name}", *map(str, arguments)]
    return subprocess.Popen(command, cwd=market.CHECKOUT, stdout=subprocess.PIPE, text=True)
